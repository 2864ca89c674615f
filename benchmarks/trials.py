"""What helped and what did not, on two tasks and three draws of calibration sentences.

    .venv/bin/python benchmarks/trials.py intents --out trials_intents.json
    .venv/bin/python benchmarks/trials.py embedder --out trials_embedder.json
    .venv/bin/python benchmarks/trials.py --table    writes trials.md from both

Every draw, budget and variant is measured on the same sentences, so differences are paired.
Intents: training sentences calibrate, and their labels score. Embedder: sentences of ten languages
calibrate, without labels; retrieval is measured in the others, too. Divergences are of every third
batch of these sentences. "Fisher" refits the output matrices alone, "OBS" is `compress`, fast, with
all sentences scored, "and searched" is its thorough setting.
"""

import argparse
import json
import random
import statistics
import time
import warnings
from pathlib import Path

import torch

import pruning_lessons as pl

HERE = Path(__file__).parent
BUDGETS = {"intents": (0.5, 0.33, 0.25, 0.15), "embedder": (0.5, 0.33)}
CALIBRATING = "es el pl pt it nl sv uk ca ro".split()  # the embedder's
VARIANTS = ("Fisher", "Fisher, reading matrices, too", "OBS", "OBS and searched")
DRAWS = 3
PAIRS = 200  # of each language, for the embedder


class Intents:
    def __init__(self, limit: int | None, device: str = "cpu"):
        self.model, self.tokenizer = pl.load(device=device)
        self.sets = {
            "trained": pl.load_intents("test", limit=limit),
            "zero-shot": pl.load_intents("zero_shot", limit=limit or 1500),
        }

    def calibration(self, draw: int, limit: int | None):
        return pl.load_intents("train", limit=limit or 2048, seed=draw)


class Embedder:
    def __init__(self, limit: int | None, device: str = "cpu"):
        self.model, self.tokenizer = pl.load(task="embedding", device=device)
        every = sorted(set(pl.load_parallel().languages))
        unseen = [one for one in every if one not in CALIBRATING]
        self.sets = {
            "unseen": pl.load_parallel(unseen, limit=limit or PAIRS),
            "calibrating": pl.load_parallel(CALIBRATING, limit=limit or PAIRS),
        }

    def calibration(self, draw: int, limit: int | None):
        texts = sorted(set(pl.load_parallel(CALIBRATING, split="calibration").sentences))
        random.Random(draw).shuffle(texts)
        return pl.Texts(texts[: limit or 2048])


def divergence(model, original, batches: list[dict], answers: list) -> float:
    task = pl.task_of(original)
    with torch.inference_mode():
        found = [
            task.divergence(theirs, pl.outputs(model, batch))
            for theirs, batch in zip(answers, batches)
        ]
    return torch.cat(found).mean().item()


class Trials:
    def __init__(self, name: str, limit: int | None):
        self.bench = {"intents": Intents, "embedder": Embedder}[name](limit)
        self.limit, self.name, self.rows = limit, name, []
        model, tokenizer = self.bench.model.eval(), self.bench.tokenizer
        self.asked, self.base = {}, {}
        for kind, data in self.bench.sets.items():
            batches = list(pl.Texts(data.sentences).by_length().batches(tokenizer, 64))[::3]
            with torch.inference_mode():
                answers = [pl.outputs(model, batch) for batch in batches]
            self.asked[kind] = batches, answers
            self.base[kind] = pl.evaluate(model, tokenizer, data).score

    def variants(self, keep: float, batches: list[dict], scores: dict[str, pl.Scores]):
        """(name, what makes the model), without the scoring."""
        model, tokenizer = self.bench.model, self.bench.tokenizer

        def cut(way: str):
            masks = pl.select(scores[way], model, keep_macs=keep, rearrange=False)
            return pl.prune(model, masks)

        compress = lambda way, effort="fast": pl.compress(
            model, tokenizer, batches, keep_macs=keep, scores=scores[way], effort=effort
        )
        return {
            "Fisher": lambda: pl.repair(cut("fisher"), model, batches),
            "Fisher, reading matrices, too": lambda: compress("fisher"),
            "OBS": lambda: compress("obs"),
            "OBS and searched": lambda: compress("obs", "thorough"),
        }

    def run(self, out: Path, draws: int, budgets, wanted) -> None:
        """Measures what is not in `out` yet."""
        if out.exists():
            self.rows = json.loads(out.read_text("utf-8"))[self.name]["rows"]
        known = {(row["draw"], row["keep"], row["variant"]) for row in self.rows}
        for draw in range(draws):
            data, scores, seconds = self.bench.calibration(draw, self.limit), {}, {}
            batches = list(data.by_length().batches(self.bench.tokenizer))
            for way in ("fisher", "obs"):
                start = time.perf_counter()
                scores[way] = pl.importance(self.bench.model, batches, way, seed=draw)
                seconds[way] = time.perf_counter() - start
            for keep in budgets:
                for name, make in self.variants(keep, batches, scores).items():
                    if name not in wanted or (draw, keep, name) in known:
                        continue
                    start = time.perf_counter()
                    small = make()
                    took = time.perf_counter() - start
                    took += seconds["obs" if name.startswith("OBS") else "fisher"]
                    row = {"draw": draw, "keep": keep, "variant": name, "n": len(data)}
                    self.rows.append(row | {"seconds": took, **self.measure(small)})
                    print(json.dumps(self.rows[-1]), flush=True)
                    found = {"base": self.base, "asked": self.counts(), "rows": self.rows}
                    out.write_text(json.dumps({self.name: found}, indent=1) + "\n", "utf-8")

    def counts(self) -> dict[str, int]:
        return {kind: len(data) for kind, data in self.bench.sets.items()}

    def measure(self, small) -> dict:
        found = {}
        for kind, data in self.bench.sets.items():
            score = pl.evaluate(small.eval(), self.bench.tokenizer, data).score
            batches, answers = self.asked[kind]
            found[kind] = score / self.base[kind]
            found[f"{kind} divergence"] = divergence(small, self.bench.model, batches, answers)
        return found


def spread(values: list[float], form: str) -> str:
    """The mean and, in brackets, the smallest and the largest."""
    mean = format(statistics.mean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} ({format(min(values), form)} to {format(max(values), form)})"


def table(found: dict) -> list[str]:
    lines = []
    for name, part in found.items():
        kinds = list(part["base"])
        base = ", ".join(
            f"{kind} {part['base'][kind]:.1%} of {part['asked'][kind]:,}" for kind in kinds
        )
        draws = len({row["draw"] for row in part["rows"]})
        n = part["rows"][0]["n"]
        said = f"The whole model: {base}. Draws of {n:,} calibration sentences: {draws}."
        lines += [f"## {name.capitalize()}", "", said, ""]
        columns = [f"{kind} kept | divergence" for kind in kinds]
        lines += [f"| MACs | variant | {' | '.join(columns)} |"]
        lines += ["| --- | --- |" + " ---: |" * (2 * len(kinds))]
        for keep in dict.fromkeys(row["keep"] for row in part["rows"]):
            for variant in VARIANTS:
                own = [r for r in part["rows"] if (r["keep"], r["variant"]) == (keep, variant)]
                if not own:
                    continue
                cells = [f"{keep:.0%}", variant]
                for kind in kinds:
                    cells.append(spread([row[kind] for row in own], ".1%"))
                    cells.append(spread([row[f"{kind} divergence"] for row in own], ".4f"))
                lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", choices=BUDGETS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--limit", type=int, help="so many sentences, for a quick look")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--budgets", type=float, nargs="*")
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="write trials.md from what is there")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    if args.task:
        out = args.out or HERE / f"trials_{args.task}.json"
        Trials(args.task, args.limit).run(
            out, args.draws, args.budgets or BUDGETS[args.task], args.variants
        )
    if args.table:
        found = {}
        for name in BUDGETS:
            file = HERE / f"trials_{name}.json"
            found |= json.loads(file.read_text("utf-8")) if file.exists() else {}
        left_out = (HERE / "left_out.md").read_text("utf-8")
        text = "\n".join(["# Trials", "", __doc__.split("\n\n")[2], "", *table(found), left_out])
        (HERE / "trials.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
