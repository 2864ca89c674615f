"""What scoring, repair and search cost: seconds and memory against sentences, layers and width; and
how threads should wait.

    .venv/bin/python benchmarks/cost.py [--quick]

Random models in XLM-R's proportions (heads of 64, four times as many neurons as the width), the
course's sentences. Every measurement has a process of its own, for its peak of memory. Writes
`cost.json`, and of it `cost.md` and `cost.png`; goes on with what is missing there, or starts over
if nothing is. About twenty minutes on two quiet cores; Linux alone tells such peaks.
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaForSequenceClassification

import pruning_lessons as pl

sys.path.insert(0, str(Path(__file__).parent))
from report import add_out, folder, table

BASE = {"sentences": 512, "layers": 6, "width": 384}
SERIES = {
    "sentences": (256, 512, 1024, 2048, 4096),
    "layers": (6, 12, 24),
    "width": (384, 512, 768, 1024),
}
QUICK_BASE = {"sentences": 256, "layers": 2, "width": 128}
QUICK = {"sentences": (128, 256, 512), "layers": (2, 4), "width": (128, 256)}
STEPS = ("fisher", "obs", "repair", "search")
WAITING = {  # what OpenMP's threads do between two products
    "as it is": {},
    "GOMP_SPINCOUNT=20000": {"GOMP_SPINCOUNT": "20000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}


# ---- growth


def random_model(layers: int, width: int):
    names = pl.load_intents("validation", limit=1).label_names
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=19_000,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        max_position_embeddings=514,
        type_vocab_size=1,
        num_labels=len(names),
    )
    return XLMRobertaForSequenceClassification(config).eval()


def memory(field: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(x for x in lines if x.startswith(field)).split()[1]) / 1024


def measured(step: str, sentences: int, layers: int, width: int, threads: int) -> dict:
    """Seconds of one step, and megabytes at its peak over those before it."""
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")  # that repair helps a random model is not promised
    tokenizer = AutoTokenizer.from_pretrained(pl.EMBEDDED)
    model = random_model(layers, width)
    data = pl.load_intents("train", limit=sentences, seed=0)
    batches = list(data.by_length().batches(tokenizer))
    masks = pl.random_masks(model, 0.5)

    def run(data, batches: list[dict]) -> None:
        if step in ("fisher", "obs"):
            pl.importance(model, batches, step)
        elif step == "repair":
            pl.repair(pl.prune(model, masks), model, batches, inputs=True)
        else:
            pl.greedy_layer_pruning(model, tokenizer, data, drop=1, progress=False)

    Path("/proc/self/clear_refs").write_text("5", "utf-8")  # the peak begins anew
    before = memory("VmRSS")
    run(data.subset(range(64)), batches[:2])  # warm up
    start = time.perf_counter()
    run(data, batches)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "megabytes": memory("VmHWM") - before}


def settings(series: dict, base: dict) -> list[dict]:
    """Every step at every size, each once."""
    sizes = [base | {what: size} for what, own in series.items() for size in own]
    every = [{"step": step} | size for size in sizes for step in STEPS]
    return [job for i, job in enumerate(every) if job not in every[:i]]


def measure(job: dict, threads: int) -> dict:
    """`measured` in a process that nothing else ran in; the imports are shared."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pruning_lessons", "transformers.models.xlm_roberta"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measured, **job, threads=threads).result()


def grown(rows: list[dict], series: dict, base: dict) -> dict[str, dict[str, list[dict]]]:
    """By what grows and by step: the rows, each with its "size"."""
    of = lambda job: next(row for row in rows if job.items() <= row.items())
    points = lambda step, what, sizes: [
        {"size": size} | of({"step": step} | base | {what: size}) for size in sizes
    ]
    return {
        what: {step: points(step, what, sizes) for step in STEPS} for what, sizes in series.items()
    }


def exponent(points: list[dict], value: str) -> float:
    """The slope of log value on log size, by least squares: 1 is linear, 2 quadratic."""
    slope, _ = statistics.linear_regression(
        [math.log(p["size"]) for p in points], [math.log(max(p[value], 1e-3)) for p in points]
    )
    return slope


def picture(found: dict, file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    size = dict(figsize=(11, 6.4), layout="constrained")
    figure, axes = plt.subplots(2, len(found), sharex="col", **size)
    for column, (what, steps) in enumerate(found.items()):
        for row, (value, unit) in enumerate((("seconds", "seconds"), ("megabytes", "MB at peak"))):
            ax = axes[row][column]
            for (step, points), mark in zip(steps.items(), "osD^"):
                ax.plot(
                    [p["size"] for p in points],
                    [p[value] for p in points],
                    marker=mark,
                    label=f"{step}, exponent {exponent(points, value):.1f}",
                )
            ax.set(xscale="log", yscale="log")
            ax.set_ylabel(unit)
            ax.set_xticks([], minor=True)
            ax.set_xticks([p["size"] for p in points], [f"{p['size']:,}" for p in points])
            ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter("{x:g}")
            ax.grid(alpha=0.3)
            ax.legend(fontsize=8)
        axes[1][column].set_xlabel(what)
    slopes = [exponent(points, "seconds") for points in found["sentences"].values()]
    figure.suptitle(
        f"Time grows as sentences to the power of {min(slopes):.1f} to {max(slopes):.1f}"
    )
    figure.savefig(file, dpi=80)


# ---- threads

TIMED = """
import json, statistics, sys, time
import torch
torch.set_num_threads(int(sys.argv[1]))
import pruning_lessons as pl
model, tokenizer = pl.load()
for line in sys.stdin:
    batch, seconds = json.loads(line)
    ids = torch.randint(5, 18_000, (batch, 24), generator=torch.Generator().manual_seed(0))
    mask, times = torch.ones_like(ids), []
    with torch.inference_mode():
        start = time.perf_counter()
        while len(times) < 8 or time.perf_counter() - start < seconds:
            before = time.perf_counter()
            model(ids, attention_mask=mask)
            times.append(1000 * (time.perf_counter() - before))
    times = times[len(times) // 4 :]  # the first quarter warms up
    print(json.dumps(statistics.quantiles(times, n=4)), flush=True)
"""


class Timed:
    """A process that times the embedded classifier, with its own way to wait."""

    def __init__(self, waiting: dict[str, str], threads: int):
        known = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
        plain = {name: value for name, value in os.environ.items() if name not in known}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TIMED, str(threads)],
            env=plain | waiting,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, batch: int, seconds: float) -> None:
        self.process.stdin.write(json.dumps([batch, seconds]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> list[float]:
        """Quartiles of a forward pass, in milliseconds."""
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def waits(threads: int, seconds: float, rounds: int = 3) -> list[tuple]:
    """Rows: the way to wait, how many processes side by side, and for each batch the median ms and
    the highest upper quartile. The ways take turns; who waits for its turn sleeps.
    """
    pairs = {name: [Timed(waiting, threads) for _ in range(2)] for name, waiting in WAITING.items()}
    everyone = [process for pair in pairs.values() for process in pair]
    for process in everyone:
        process.ask(1, 0)
    for process in everyone:  # all have loaded their model
        process.answer()
    found = {(name, n, batch): [] for name in pairs for n in (1, 2) for batch in (1, 32)}
    for _ in range(rounds):
        for (name, n, batch), quartiles in found.items():
            for process in pairs[name][:n]:
                process.ask(batch, seconds)
            quartiles += [process.answer() for process in pairs[name][:n]]
    for process in everyone:
        process.end()
    middle = lambda quartiles: statistics.median(q[1] for q in quartiles)
    cell = lambda quartiles: f"{middle(quartiles):.1f} (to {max(q[2] for q in quartiles):.1f})"
    return [
        (name, n, *(cell(found[name, n, batch]) for batch in (1, 32)))
        for name in pairs
        for n in (1, 2)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the script")
    parser.add_argument("--threads", type=int, default=2)
    add_out(parser)
    args = parser.parse_args()
    out, (series, base) = folder(args), (QUICK, QUICK_BASE) if args.quick else (SERIES, BASE)
    file, jobs = out / "cost.json", settings(series, base)
    found = json.loads(file.read_text("utf-8")) if file.exists() and not args.quick else {}
    if len(found.get("rows", [])) == len(jobs):
        found = {}
    if "waits" not in found:
        waiting = waits(args.threads, 0.5 if args.quick else 2.5, 1 if args.quick else 3)
        found |= {"threads": args.threads, "waits": waiting, "rows": []}
    for job in jobs:
        if not any(job.items() <= row.items() for row in found["rows"]):
            found["rows"].append(job | measure(job, found["threads"]))
            print(json.dumps(found["rows"][-1]), flush=True)
            file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    by_size = grown(found["rows"], series, base)
    picture(by_size, out / "cost.png")
    write(out / "cost.md", base, by_size, found)


def write(out: Path, base: dict, found: dict, measured: dict) -> None:
    cell = lambda p: f"{p['seconds']:.1f} s, {p['megabytes']:.0f} MB"
    parts = []
    for what, steps in found.items():
        fixed = ", ".join(f"{size:,} {name}" for name, size in base.items() if name != what)
        sizes = [p["size"] for p in steps["fisher"]]
        lines = [
            (
                step,
                *map(cell, points),
                f"{exponent(points, 'seconds'):.2f}",
                f"{exponent(points, 'megabytes'):.2f}",
            )
            for step, points in steps.items()
        ]
        head = [f"{what}", *(f"{size:,}" for size in sizes), "exponent, time", "exponent, memory"]
        parts += [f"## By {what}", "", f"With {fixed.replace(' width', ' wide')}.", ""]
        parts += [table(head, lines), ""]
    head = ["threads wait", "processes", "batch 1, ms", "batch 32, ms"]
    out.write_text(
        TEXT.format(
            date=time.strftime("%Y-%m-%d"),
            torch=torch.__version__.split("+")[0],
            threads=measured["threads"],
            cores=os.cpu_count(),
            parts="\n".join(parts),
            picture=out.with_suffix(".png").name,
            waits=table(head, measured["waits"]),
        ),
        encoding="utf-8",
    )
    print(out.read_text("utf-8"))


TEXT = """\
# What it costs, and how that grows

Written by `benchmarks/cost.py`, {date}: torch {torch}, {threads} threads on {cores} cores.
Random models in XLM-R's proportions, the course's sentences, each measurement in a process of its
own. *fisher* and *obs*: scoring, the second as `compress` does it; *repair*: of a model cut to half
of its heads and neurons, the cut included, reading matrices, too, as `compress` does it; *search*:
`greedy_layer_pruning` of one layer. Memory is the peak above what the process held before: model,
batches and libraries. An exponent of 1 is linear, of 2 quadratic.

None may grow faster than sentences, nor scoring and repair faster than layers. *obs* has to put all
parts of a sublayer in order, as the cube of their number, however few the sentences: hence its
exponent under 1 here, and over 2 in width. The search tries every layer and runs those above it,
L + L(L - 1)/2 layer evaluations, so in layers its exponent nears 2. In width the matrices grow as
its square; repair's Gram matrices, too, and solving them as its cube. *fisher* keeps derivatives of
every sentence, four bytes for each neuron and head, so that `select` can rearrange masks (lesson
04): its memory grows with sentences. *repair* has the hidden states of all tokens, of both models
and around the sublayer at hand; *obs* and the search keep nothing of a sentence.

![Six panels, log-log: seconds and peak memory of scoring, repair and search against sentences, \
layers and width; the numbers are in the tables below]({picture})

{parts}
## How threads wait

One forward pass of the embedded classifier, 24 tokens, {threads} threads a process, alone and two
processes side by side: medians, in brackets the slowest upper quartile. Between two products
OpenMP's threads spin for a while, then sleep; where another process wants the core, spinning costs.

{waits}

So the course's commands, tests and hubs set `OMP_WAIT_POLICY=PASSIVE`, by which a waiting thread
sleeps at once: it costs something at batch 1 where a process has the machine for itself, and saves
more where it has not, which is the rule in a room, on a hub and beside a browser.
"""

if __name__ == "__main__":
    main()
