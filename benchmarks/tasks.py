"""What a task costs: scoring any head against one plain forward and backward pass.

    .venv/bin/python benchmarks/tasks.py [--before FOLDER]

Interleaved, medians of several turns, one run. With --before, a folder that holds an older tree of
this package, the intents are scored by both, in turns, each in a process of its own.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import pruning_lessons as pl

TURNS = 7
BEFORE = "the tree before there were tasks (commit 5e6722d)"
SCORE = """
import sys, time, torch
torch.set_num_threads(2)
import pruning_lessons as pl
model, tokenizer = pl.load()
batches = list(pl.load_intents("train", limit=384).batches(tokenizer))
pl.importance(model, batches[:1])
print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    pl.importance(model, batches)
    print(time.perf_counter() - start, flush=True)
"""


def plain_pass(model, batches: list[dict]) -> None:
    """One forward and backward pass, all weights asking for their gradients."""
    for batch in batches:
        model.zero_grad()
        inputs = {n: t for n, t in batch.items() if n in ("input_ids", "attention_mask")}
        model.base_model(**inputs).last_hidden_state.sum().backward()


def heads() -> dict:
    """The intents classifier, a tagger of the same encoder, and the embedder, with batches."""
    intents, tokenizer = pl.load()
    embedder, its_tokenizer = pl.load(task="embedding")
    tagger, _ = pl.untrained("base", "tokens", pieces=19_000, labels=["O", "B-X", "I-X"])
    data = pl.load_intents("train", limit=256)
    tagged = pl.Tagged([text.split() for text in data.sentences[:64]])
    return {
        "intents": (intents, list(data.batches(tokenizer))),
        "tagger, base size": (tagger, list(tagged.batches(tokenizer))),
        "embedder": (embedder, list(pl.Texts(data.sentences).batches(its_tokenizer))),
    }


def compare(functions: dict) -> dict[str, float]:
    """Median seconds of each, in turns, after one turn to warm up."""
    times = {name: [] for name in functions}
    for turn in range(TURNS + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def before_and_after(folder: Path) -> dict[str, float]:
    """Median seconds to score the intents by the older tree and by this one, in turns."""
    places = {"before": folder, "after": Path(__file__).resolve().parents[1]}
    runs = {
        name: subprocess.Popen(
            [sys.executable, "-c", SCORE],
            cwd=place,
            env={"PYTHONPATH": str(place), "OMP_WAIT_POLICY": "PASSIVE", "PATH": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, place in places.items()
    }
    for run in runs.values():
        assert run.stdout.readline() == "ready\n"

    def ask(run) -> None:
        run.stdin.write("\n")
        run.stdin.flush()
        run.stdout.readline()

    found = compare({name: lambda run=run: ask(run) for name, run in runs.items()})
    for run in runs.values():
        run.stdin.close()
        run.wait()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="an older tree of this package")
    args = parser.parse_args()
    torch.set_num_threads(2)
    lines = [
        "# What a task costs",
        "",
        "Written by `benchmarks/tasks.py`: medians of turns, one run, two threads, torch "
        f"{torch.__version__.split('+')[0]}. Scoring all heads, neurons and layers, in plain "
        "forward and backward passes over the same batches:",
        "",
        "| head | passes | seconds |",
        "| --- | ---: | ---: |",
    ]
    for name, (model, batches) in heads().items():
        found = compare(
            {
                "plain": lambda m=model, b=batches: plain_pass(m, b),
                "scores": lambda m=model, b=batches: pl.importance(m, b),
            }
        )
        lines.append(f"| {name} | {found['scores'] / found['plain']:.2f} | {found['scores']:.2f} |")
    if args.before:
        found = before_and_after(args.before)
        ratio = found["after"] / found["before"]
        lines += [
            "",
            f"The intents scored by this tree and by {BEFORE}: {ratio:.3f} times its time.",
        ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_name("tasks.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
