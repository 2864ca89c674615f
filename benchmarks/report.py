"""Write README.md from what the other scripts have left: `python benchmarks/report.py`.

Reads `results.json` (run.py) and `speed.json` (speed.py), and links the pages of the others. With
`--results benchmarks/unfinished.json` it shows how far a run has come.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
FAST, THOROUGH = "compress, fast", "compress, thorough"
LANGUAGE_BUDGETS = (0.5, 0.33, 0.25, 0.15)

# What limits the front: kept true by hand.
LIMITS = """\
What limits it: `compress` refits all matrices of a layer by least squares (those that read and
those that write), but one sublayer after the other, each towards what the whole model has at the
same place; nothing is fitted through several layers at once, and no gradient is followed. The price
of removing a part (`obs`) is an estimate at the whole model, far out of its range where most is
cut. What that leaves, training has to win back (lesson 08). Heads go whole or stay whole, and
hidden states keep their width. And the calibration sentences are of the trained languages alone,
while the zero-shot ones fall first."""

# What each peer is, and where it departs: kept true by hand.
NOTES = """\
- *Fisher, no refit*: masks from the diagonal of the Fisher information, rearranged inside layers.
  *Kwon et al. 2022*: search, rearrangement and mask tuning, written from the paper
  ([kwon.py](kwon.py)).
- *K-prune* (Park, Choi, Kang 2024), written from the paper; [kprune.py](kprune.py) says where it
  departs from it. Its published code squares the gradient of a whole batch's mean loss, and its
  constants belong to that; *per example* squares every example's, as the Fisher information has it.
- *Torch-Pruning*: first-order Taylor importance, heads and neurons, the same share in each layer.
  *TextPruner*: iterative, four steps, uneven layers where that runs, else even; it needs
  transformers 4.57.6, so it runs in an environment of its own.
- *taylor*, *magnitude*, *random*: the best share of the heads and of the neurons over all layers,
  by that score."""

PAGES = {
    "speed.md": "milliseconds of all runtimes and both sizes, the factors, right answers.",
    "base_size.md": "seconds and memory of every stage at XLM-R-base's size.",
    "cost.md": "how seconds and memory grow with sentences, layers and width.",
    "distil.md": "what distillation wins back after the repair, and in what time.",
    "room.md": "how many learners a machine carries.",
    "tasks.md": "what scoring costs for other heads.",
    "trials.md": "what was tried to get here, failures too.",
    "claims.md": "which claims of the lessons hold with other seeds.",
}
MISSING = "Not measured yet: `python benchmarks/run.py`."


def add_out(parser: argparse.ArgumentParser) -> None:
    """The option of every script that writes."""
    told = "folder to write to; else that of this script, or a temporary one for a quick look"
    parser.add_argument("--out", type=Path, help=told)


def folder(args: argparse.Namespace) -> Path:
    """Where to write: a quick look never goes over the committed results."""
    quick = getattr(args, "quick", False) or getattr(args, "limit", None)
    found = args.out or (Path(tempfile.gettempdir()) / "quick_benchmarks" if quick else HERE)
    found.mkdir(parents=True, exist_ok=True)
    return found


def table(head: list[str], rows) -> str:
    lines = [
        "| " + " | ".join(head) + " |",
        "| " + " | ".join(["---"] + ["---:"] * (len(head) - 1)) + " |",
    ]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def spread(values: list[float], form: str = ".1%") -> str:
    """The mean and, in brackets, the smallest and the largest."""
    if not values:
        return "–"
    mean = format(statistics.mean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} ({format(min(values), form)} to {format(max(values), form)})"


def span(values: list[float]) -> str:
    """The smallest and the largest, in points."""
    low, high = (f"{100 * end:.1f}" for end in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


class Rows:
    """The measurements, to choose from."""

    def __init__(self, rows: list[dict]):
        self.rows = rows

    def of(self, **wanted) -> "Rows":
        return Rows([r for r in self.rows if all(r[k] == v for k, v in wanted.items())])

    def values(self, *path: str) -> list[float]:
        """What each has at this path."""
        found = self.rows
        for name in path:
            found = [row[name] for row in found]
        return found

    def budgets(self) -> list[float]:
        return sorted({row["keep"] for row in self.rows}, reverse=True)


# ---- the parts of the page


def front(rows: Rows, whole: dict) -> str:
    """Shares kept by budget, setting and set of one task; and their errors."""
    kinds = list(whole["n"])
    head = ["MACs", *(f"{how}: {kind}" for how in ("fast", "thorough") for kind in kinds)]
    lines = []
    for keep in rows.budgets():
        cells = [f"{keep:.0%}"]
        for method in (FAST, THOROUGH):
            own = rows.of(keep=keep, method=method)
            cells += [spread(own.values("kept", kind)) for kind in kinds]
        lines.append(cells)
    errors = ", ".join(f"{span(rows.values('error', kind))} ({kind})" for kind in kinds)
    return f"{table(head, lines)}\n\nStandard errors of a share kept, in points: {errors}"


def by_language(rows: Rows, whole: dict) -> str:
    """Scores in each language, whole and at some budgets, the mean of the draws."""
    budgets = [keep for keep in rows.budgets() if keep in LANGUAGE_BUDGETS]
    lines = []
    for language, score in sorted(whole["by language"].items()):
        means = (rows.of(keep=keep).values("by language", language) for keep in budgets)
        lines.append((language, f"{score:.1%}", *(f"{statistics.mean(m):.1%}" for m in means)))
    return table(["language", "whole", *(f"{keep:.0%} of MACs" for keep in budgets)], lines)


def beside(rows: Rows, seconds: dict) -> str:
    """Ours and the peers', with the first draw."""
    budgets = rows.of(method=THOROUGH).budgets()
    methods = list(dict.fromkeys([FAST, THOROUGH, *rows.values("method")]))
    lines = []
    for method in methods:
        own, cells = rows.of(method=method), []
        dates = sorted({row["date"] for row in own.rows if row.get("carried")})
        for keep in budgets:
            row = next(iter(own.of(keep=keep).rows), None)
            cells.append(cell(row) if row else "not run")
        at = [row["seconds"] for row in own.rows if "seconds" in row and row["keep"] == 0.33]
        took = seconds.get(method, {}).get("0.33") or next(iter(at), None)
        name = f"{method} (of {', '.join(dates)})" if dates else method
        lines.append((name, *cells, f"{took:.{1 if took < 10 else 0}f}" if took else "–"))
    return table(["method", *(f"{keep:.0%}" for keep in budgets), "seconds"], lines)


def cell(row: dict) -> str:
    if "kept" not in row or not row["kept"]:
        return "failed"
    kept = " / ".join(f"{share:.1%}" for share in row["kept"].values())
    over = row["macs"] > row["keep"] + 0.001
    return f"{kept} ({'**' * over}{row['macs']:.3f}{'**' * over})"


def reasons(rows: Rows) -> str:
    """Why a peer did something else than it was asked to."""
    lines = []
    for row in rows.rows:
        failures = [(k, v) for k, v in row.items() if k.startswith("failed")]
        said = [f"with {name.partition(', ')[2]} it stops with `{why}`" for name, why in failures]
        if "asked" in row and row.get("macs", 0) > row["keep"] + 0.001:
            layers = len(row["heads and neurons by layer"])
            kept, asked = (
                " and ".join(f"{round(layers * x[unit])} {unit}" for unit in ("heads", "neurons"))
                for x in (row, row["asked"])
            )
            said.append(
                f"keeps {kept} in all, asked for {asked}: it leaves every layer at least one of "
                "each, and adds to what was chosen where a layer had none"
            )
        if said:
            lines.append(f"- {row['method']} at {row['keep']:.0%}: {'; '.join(said)}.")
    carried = sorted({row["method"] for row in rows.rows if row.get("carried")})
    if carried:
        lines.append(
            f"- {' and '.join(carried)}: could not be run this time. The rows with a date are "
            "those of an earlier run, by the code of that day."
        )
    return "\n".join(lines)


def speed(found: dict | None) -> str:
    """The factors of each size, and what the last layer could save."""
    if found is None:
        return "Not measured yet: `python benchmarks/speed.py`."
    parts = [
        f"On {found['cpu']}, {found['threads']} threads, {found['date']}, with a third of the "
        "encoder's MACs. *runtime*: PyTorch eager → ONNX float32; *int8*: ONNX float32 → int8, "
        "both of the whole model; *pruning*: whole → a third, in eager PyTorch. Each factor is "
        "measured alone, so their product need not be the *fact*, eager whole → int8 pruned: "
        "*pruning, within int8* is what pruning still gives there, *by MACs* what one would "
        "expect of it."
    ]
    for size in found["sizes"]:
        names = [name for name in size["factors"][0] if name not in ("batch", "length")]
        lines = [
            (f"{x['batch']} × {x['length']}", *(f"{x[name]:.2f}" for name in names))
            for x in size["factors"]
        ]
        parts += [f"**{size['title']}**", table(["sentences × tokens", *names], lines)]
        if size["right"]:
            lines = [
                (f"{x['runtime']}, {x['model']}", f"{x['trained']:.1%}", f"{x['zero-shot']:.1%}")
                for x in size["right"]
            ]
            parts += [table(["right answers", "trained", "zero-shot"], lines)]
    saved = ", ".join(
        f"{x['share']:.1%} ({x['model']}, {x['length']} tokens)" for x in found["first token"]
    )
    parts.append(
        "Not in these figures, and exact: a classifier reads `<s>` alone, so its last layer need "
        "be computed for that token alone (keys and values still for all). That would save so much "
        f"of the embedded classifier's encoder MACs: {saved}."
    )
    return "\n\n".join(parts)


def setting(r: dict) -> str:
    """When, with what and on what everything was measured."""
    measured = [x for x in r["rows"] if not x.get("carried")]
    all_of = lambda what: " and ".join(sorted({str(x[what]) for x in measured}))
    return (
        f"Written by `report.py` from the measurements of `make benchmark`: {all_of('date')}, "
        f"torch {all_of('torch')}, on {all_of('device')}; seconds are of "
        f"{r['setting']['threads']} threads of the processor, and depend on the machine. All "
        "methods have the same calibration sentences, "
        f"{measured[0]['n'] if measured else 0:,} in each of "
        f"{len({x['draw'] for x in measured})} draws, and are measured on the same test sentences; "
        "none trains by gradients after pruning. *Kept* is a share of what the whole model has. "
        "MACs are the encoder's, for 24 tokens. Where a budget has several draws, the mean is "
        "given and in brackets the smallest and the largest."
    )


def of_task(r: dict, task: str, told: str, errors: str) -> list[str]:
    """What `compress` keeps on a task: what is asked, the table, and how errors were estimated."""
    rows, whole = Rows(r["rows"]).of(task=task), r["whole"].get(task)
    own = Rows([x for x in rows.rows if x["method"] in (FAST, THOROUGH)])
    if not own.rows:
        return [told, MISSING]
    right = ", ".join(f"{whole['score'][k]:.1%} of {n:,} ({k})" for k, n in whole["n"].items())
    return [f"{told} The whole model: {right}.", f"{front(own, whole)}, {errors}."]


def page(r: dict, of_speed: dict | None, there: Callable[[str], bool]) -> str:
    """there: whether a file of this name lies beside the page."""
    first = Rows(r["rows"]).of(task="intents", draw=0)
    thorough = Rows(r["rows"]).of(task="intents", method=THOROUGH)
    parts = ["# Benchmarks", setting(r), "## The front"]
    parts += of_task(
        r,
        "intents",
        "The intents classifier. The trained languages calibrate, and their labels score; of the "
        "zero-shot ones no method sees a sentence. `compress` in its fast setting (score, select, "
        "cut, refit) and its thorough one (with the search for what each sublayer keeps).",
        "from differences sentence by sentence",
    )
    parts.append(LIMITS)
    if thorough.rows:
        parts += ["Right answers in each language, thorough:"]
        parts += [by_language(thorough, r["whole"]["intents"])]
    parts.append("## The embedder")
    parts += of_task(
        r,
        "embedder",
        "The same without labels: the embedder behind a search, calibrated on sentences of ten "
        "languages; retrieval of translations in those and in eleven unseen ones.",
        "as of a share of so many pairs",
    )
    parts += [
        "## Beside others",
        "The intents classifier, the first draw. Kept: trained / zero-shot; in brackets the share "
        "of MACs that the method really kept, bold where that is over the budget; seconds of the "
        "processor at 33%, scoring included, on two quiet cores about twice the clock's (–: not "
        "measured).",
        beside(first, r["seconds"]) if first.of(method=THOROUGH).rows else MISSING,
        NOTES + "\n" + reasons(first),
        "## Speed, and what it is made of",
        speed(of_speed),
    ]
    if "scoring" in r:
        parts += [
            "## What it costs",
            "Scoring all heads, neurons and layers takes "
            f"{r['scoring']['ratio']:.2f} times as long as one plain forward and backward pass "
            "over the same sentences (weights need no gradients for it, only gates).",
        ]
    if there("cost.png"):
        parts.append(
            "![Six panels, log-log: seconds and peak memory of scoring, repair and search against "
            "sentences, layers and width; cost.md has the numbers](cost.png)"
        )
    more = [f"- [{name}]({name}): {told}" for name, told in PAGES.items() if there(name)]
    return "\n\n".join([*parts, "## More", "\n".join(more)]) + "\n"


def write(out: Path, results: Path | None = None) -> None:
    """README.md in this folder, of what lies there."""
    file = out / "speed.json"
    of_speed = json.loads(file.read_text("utf-8")) if file.exists() else None
    found = json.loads((results or out / "results.json").read_text("utf-8"))
    text = page(found, of_speed, lambda name: (out / name).exists())
    (out / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--results", type=Path, help="another file than results.json")
    add_out(parser)
    args = parser.parse_args()
    write(folder(args), args.results)
