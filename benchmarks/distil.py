"""What distillation wins back after the repair, and in what time.

    .venv/bin/python benchmarks/distil.py            writes distil.json and distil.md
    .venv/bin/python benchmarks/distil.py --quick

From what `compress` gives: straight to the budget, or, where the cut is deep, in two stages,
distilled half of the epochs at twice the budget and then cut again. The whole model is the teacher;
validation picks the epoch, the test sentences are looked at once. Minutes are the processor's: on
two quiet cores a clock says about half. About an hour and a half on two cores, with up to 7 GiB of
memory; every row is written as soon as it is there; the same command goes on with those that are
missing, or starts over if none is.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import torch
from report import add_out, folder, table
from trials import Embedder, Intents

import pruning_lessons as pl

WAYS = ("repaired", "distilled", "distilled in two stages")
WIDE = "distilled without labels, on all languages"
JOBS = {  # of each task: the share of the MACs, the way
    "intents": [(1.0, "whole"), *((0.15, way) for way in (*WAYS, WIDE))],
    "embedder": [(1.0, "whole"), *((0.33, way) for way in WAYS), *((0.5, way) for way in WAYS[:2])],
}
EPOCHS, WIDE_EPOCHS, RATE = 8, 10, 3e-4
CACHE = 6 * 2**30  # bytes: all that the teacher says fits in, whatever the row

# What the table does not show: kept true by hand.
NOTES = """\
The classifier's training has the sentences of the ten trained languages, with labels, so the
zero-shot languages come back least. *On all languages*: the same sentences without their labels,
and with them the embedder's, messages of web programs in all 22 languages that have nothing to do
with intents; ten epochs in place of eight. (With those messages three times, seven epochs and a
rate of 5e-4, once: 96.9% and 77.7%, in 48 minutes.) *Zero-shot* then says that no label of the
language was ever seen, by teacher or student, but sentences were. The embedder's training has
sentences of all languages and needs no labels: *unseen* are those that its calibration did not
have, not its distillation. Test sentences are in none of them. In two stages half of the epochs go
to the larger model, and only half are left for the small one. Each row is one run, and a difference
of less than a point may be chance: of 1,500 zero-shot sentences a point is 15."""


class Distillation:
    """One task: its data, the whole model, and ways to a smaller one."""

    def __init__(self, name: str, quick: bool):
        self.name, self.quick = name, quick
        self.task = {"intents": Intents, "embedder": Embedder}[name](64 if quick else None)
        few = 64 if quick else None
        if name == "intents":
            self.data = pl.load_intents("train", limit=few)
            pairs = pl.load_parallel(split="calibration", limit=few)
            more = sorted({*pairs.english, *pairs.foreign})
            self.wide = pl.Texts([*self.data.sentences, *more])  # no labels
            self.validation = pl.load_intents("validation", limit=few or 600)
        else:
            pairs = pl.load_parallel(split="calibration", limit=few)
            self.data = pl.Texts(sorted({*pairs.english, *pairs.foreign}))
            self.validation = pl.load_parallel(split="validation", limit=few or 60)
        self.calibration = self.task.calibration(0, few)

    def compressed(self, model, keep: float):
        """`model` with a share `keep` of the whole model's MACs, repaired towards `model`."""
        share = keep * pl.encoder_macs(self.task.model) / pl.encoder_macs(model)
        return pl.compress(model, self.task.tokenizer, self.calibration, keep_macs=share)

    def distilled(self, student, epochs: int, data: pl.Texts | None = None):
        pl.distill(
            student,
            self.task.model,
            self.task.tokenizer,
            data or self.data,
            epochs=epochs,
            learning_rate=RATE,
            validation=self.validation,
            progress=False,
            cache=CACHE,
        )
        return student

    def made(self, keep: float, way: str):
        epochs = 1 if self.quick else WIDE_EPOCHS if way == WIDE else EPOCHS
        if way == "whole":
            return self.task.model
        if way == "repaired":
            return self.compressed(self.task.model, keep)
        if way == "distilled":
            return self.distilled(self.compressed(self.task.model, keep), epochs)
        if way == WIDE:
            return self.distilled(self.compressed(self.task.model, keep), epochs, self.wide)
        first = self.distilled(self.compressed(self.task.model, 2 * keep), max(1, epochs // 2))
        return self.distilled(self.compressed(first, keep), max(1, epochs // 2))

    def row(self, keep: float, way: str) -> dict:
        start = time.process_time()
        small = self.made(keep, way)
        seconds, scores = time.process_time() - start, {}
        for kind, data in self.task.sets.items():
            scores[kind] = pl.evaluate(small.eval(), self.task.tokenizer, data).score
        return {"keep": keep, "way": way, "seconds": seconds, "scores": scores}


def run(name: str, known: list[dict], quick: bool):
    """Yields the rows of a task as they are measured."""
    done = {(row["keep"], row["way"]) for row in known}
    left = [job for job in JOBS[name] if job not in done]
    bench = Distillation(name, quick) if left else None
    for job in left:
        yield bench.row(*job)


def page(found: dict) -> str:
    lines = ["# What distillation wins back", "", *__doc__.split("\n\n")[2].splitlines(), ""]
    version, threads = torch.__version__.split("+")[0], torch.get_num_threads()
    lines += [f"torch {version}, threads: {threads}.", ""]
    for name, rows in found.items():
        if not rows:
            continue
        kinds = list(rows[0]["scores"])
        cells = [
            (
                f"{row['keep']:.0%}",
                row["way"],
                *(f"{row['scores'][kind]:.1%}" for kind in kinds),
                f"{row['seconds'] / 60:.0f}",
            )
            for row in rows
        ]
        lines += [f"## {name.capitalize()}", ""]
        lines += [table(["MACs", "model", *kinds, "processor's minutes"], cells), ""]
    return "\n".join([*lines, NOTES, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few sentences, one epoch")
    parser.add_argument("--tasks", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--threads", type=int, default=2)
    add_out(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    out: Path = folder(args)
    file = out / "distil.json"
    found = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if args.quick or all(len(found.get(name, [])) == len(jobs) for name, jobs in JOBS.items()):
        found = {}
    for name in args.tasks:
        for row in run(name, found.setdefault(name, []), args.quick):
            found[name].append(row)
            print(json.dumps(row), flush=True)
            file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
            (out / "distil.md").write_text(page(found), "utf-8")


if __name__ == "__main__":
    main()
