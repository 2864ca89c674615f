"""What a task costs: scoring any head against one plain forward and backward pass.

    .venv/bin/python benchmarks/tasks.py [--quick]

Interleaved, medians of several turns, one run.
"""

import argparse
import statistics
import time

import torch
from report import add_out, folder, table

import pruning_lessons as pl

TURNS = 7


def plain_pass(model, batches: list[dict]) -> None:
    """One forward and backward pass, all weights asking for their gradients."""
    for batch in batches:
        model.zero_grad()
        inputs = {n: t for n, t in batch.items() if n in ("input_ids", "attention_mask")}
        model.base_model(**inputs).last_hidden_state.sum().backward()


def heads(sentences: int) -> dict:
    """The intents classifier, a tagger of the same encoder, and the embedder, with batches."""
    intents, tokenizer = pl.load()
    embedder, its_tokenizer = pl.load(task="embedding")
    tagger, _ = pl.untrained("base", "tokens", pieces=19_000, labels=["O", "B-X", "I-X"])
    data = pl.load_intents("train", limit=sentences)
    tagged = pl.Tagged([text.split() for text in data.sentences[: sentences // 4]])
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few sentences")
    add_out(parser)
    args = parser.parse_args()
    torch.set_num_threads(2)
    rows = []
    for name, (model, batches) in heads(32 if args.quick else 256).items():
        found = compare(
            {
                "plain": lambda m=model, b=batches: plain_pass(m, b),
                "scores": lambda m=model, b=batches: pl.importance(m, b),
            }
        )
        passes = found["scores"] / found["plain"]
        rows.append((name, f"{passes:.2f}", f"{found['scores']:.2f}"))
        print(*rows[-1], flush=True)
    text = (
        "# What a task costs\n\nWritten by `benchmarks/tasks.py`: medians of turns, one run, two "
        f"threads, torch {torch.__version__.split('+')[0]}. Scoring all heads, neurons and layers, "
        "in plain forward and backward passes over the same batches:\n\n"
    )
    page = text + table(["head", "passes", "seconds"], rows) + "\n"
    (folder(args) / "tasks.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
