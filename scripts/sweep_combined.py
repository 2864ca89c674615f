"""Compute once what lesson 09 shows and is too long for a lesson: `python
scripts/sweep_combined.py` (about half an hour; `--quick` tries it in a few minutes and writes to
artefacts).

Every point: a share of the MACs by `compress`, with or without dropping layers first (validation
decides), distilled on 10,000 sentences three times over, then ONNX and int8; beside them one model
for each kind of part that is cut alone. Students are kept in artefacts/combined, so that a second
run measures them again and trains nothing. Writes pruning_lessons/assets/sweeps/combined.json.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import torch

import pruning_lessons as pl

OUT = Path(pl.__file__).parent / "assets" / "sweeps" / "combined.json"
KEPT = Path(__file__).resolve().parent.parent / "artefacts"
BUDGETS, DROPS = (0.5, 0.33, 0.25), (0, 3)
NEARLY = 0.02  # of accuracy: so much less after repair, and fewer layers are taken, as faster ones
RATE = 3e-4
KINDS = ("torch", "ONNX", "ONNX int8")


class Sweep:
    """The model, its sentences, and where students are kept."""

    def __init__(self, quick: bool):
        few = lambda n: n // 8 if quick else n
        self.model, self.tokenizer = pl.load()
        self.whole = pl.encoder_macs(self.model)
        self.sets = {
            name: pl.load_intents(name, limit=few(n), seed=0)
            for name, n in (("validation", 600), ("test", 1500), ("zero_shot", 1000))
        }
        calibration = pl.load_intents("train", limit=few(2048), seed=0).by_length()
        self.batches = list(calibration.batches(self.tokenizer))
        self.lessons = pl.load_intents("train", limit=320 if quick else 10_000, seed=1)
        self.epochs = 1 if quick else 3
        self.kept = KEPT / ("combined-quick" if quick else "combined")
        self.out = self.kept / "combined.json" if quick else OUT
        if quick:
            shutil.rmtree(self.kept, ignore_errors=True)

    def accuracies(self, model) -> dict:
        score = lambda data: pl.evaluate(model, self.tokenizer, data).accuracy
        return {name: score(data) for name, data in self.sets.items()}

    def starts(self) -> dict:
        """For each number of dropped layers, a model without them, repaired."""
        found = {}
        for drop in DROPS:
            rule = "block_influence"
            gone = pl.layers_to_drop(self.model, drop, rule, self.batches[:16])
            found[drop] = self.repaired(pl.layer_masks(self.model, gone)) if drop else self.model
        return found

    def repaired(self, masks):
        pruned = pl.prune(self.model, masks)
        return pl.repair(pruned, self.model, self.batches, inputs=True)

    def student(self, keep: float, starts: dict, scores: dict):
        """(student, what is known of it): compress, distil; found again if it was made before."""
        place = self.kept / f"{100 * keep:.0f}"
        if (place / "point.json").is_file():
            return pl.load(place / "student")[0], json.loads((place / "point.json").read_text())
        began, tried = time.perf_counter(), {}
        for drop, start in starts.items():
            share = keep * self.whole / pl.encoder_macs(start)
            if share <= 1:
                tried[drop] = pl.compress(
                    start,
                    self.tokenizer,
                    self.batches,
                    keep_macs=share,
                    multiple=8,
                    scores=scores[drop],
                )
        validated = {drop: self.accuracies(m)["validation"] for drop, m in tried.items()}
        drop = max(d for d, a in validated.items() if a >= max(validated.values()) - NEARLY)
        student = tried[drop]
        point = {
            "keep": keep,
            "drop": drop,
            "macs": pl.encoder_macs(student) / self.whole,
            "repaired": self.accuracies(student),
            "validation": {str(d): a for d, a in validated.items()},
        }
        print(point, flush=True)
        training = pl.distill(
            student,
            self.model,
            self.tokenizer,
            self.lessons,
            epochs=self.epochs,
            learning_rate=RATE,
            validation=self.sets["validation"],
            folder=place / "training",
            progress=False,
        )
        point |= {
            "distilled": self.accuracies(student),
            "seconds_distilling": training.seconds,
            "steps": training.steps,
            "seconds": time.perf_counter() - began,
        }
        print(point, flush=True)
        pl.save(student, self.tokenizer, place / "student")
        (place / "point.json").write_text(json.dumps(point))
        return student, point

    def others(self):
        """(name, model): one kind of part cut alone, as good as its lesson can."""
        L, H = pl.Masks.keep_all(self.model).heads.shape
        N = pl.Masks.keep_all(self.model).neurons.shape[1]
        scores = pl.importance(self.model, self.batches, "obs")
        gone = pl.layers_to_drop(self.model, 4, "block_influence", self.batches[:16])
        choose = lambda **count: pl.select(scores, self.model, **count)
        yield "00: half, at random", pl.prune(self.model, pl.random_masks(self.model, 0.5, seed=0))
        yield (
            "03: half of the weights zero",
            pl.prune_weights(
                self.model, 0.5, method="wanda", batches=self.batches[:8], permanent=True
            ),
        )
        neurons, heads = round(0.4 * N) * L, L * H // 3
        yield "05: 40% of the neurons, repaired", self.repaired(choose(keep_neurons=neurons))
        yield "06: a third of the heads, repaired", self.repaired(choose(keep_heads=heads))
        yield "07: 8 of 12 layers, repaired", self.repaired(pl.layer_masks(self.model, gone))


def forms(sweep: Sweep, models: dict[float, object], folder: Path) -> dict:
    """{(share, kind): model} of each model in PyTorch, ONNX and int8."""
    found = {}
    for keep, model in models.items():
        place = folder / f"{100 * keep:.0f}"
        pl.quantize_onnx(pl.export_onnx(model, sweep.tokenizer, place))
        found[keep, "torch"] = model
        for kind, quantized in (("ONNX", False), ("ONNX int8", True)):
            found[keep, kind] = pl.OnnxModel(place, quantized=quantized, threads=2)
    return found


def megabytes(model) -> float:
    return (model.file.stat().st_size if hasattr(model, "file") else pl.summary(model).bytes) / 1e6


def main(quick: bool):
    torch.set_num_threads(2)
    sweep = Sweep(quick)
    starts = sweep.starts()
    scores = {drop: pl.importance(m, sweep.batches, "obs") for drop, m in starts.items()}
    made = {keep: sweep.student(keep, starts, scores) for keep in BUDGETS}
    began, trained = time.perf_counter(), sum(point["seconds"] for _, point in made.values())
    models = {1.0: sweep.model} | {keep: student for keep, (student, _) in made.items()}
    first = {"keep": 1.0, "drop": 0, "macs": 1.0, "distilled": sweep.accuracies(sweep.model)}
    points = {1.0: first} | {keep: point for keep, (_, point) in made.items()}
    course = dict(sweep.others())
    with tempfile.TemporaryDirectory() as folder:
        timed = forms(sweep, models, Path(folder)) | course
        ms = {
            str(batch): pl.latency(timed, batch_size=batch, threads=2, repeats=repeats).median
            for batch, repeats in ((1, 8 if quick else 60), (32, 2 if quick else 12))
        }
        for keep, point in points.items():
            for kind in KINDS:
                one = timed[keep, kind]
                point[kind] = {
                    "megabytes": megabytes(one),
                    **sweep.accuracies(one),
                    "ms": {batch: median[keep, kind] for batch, median in ms.items()},
                }
                print(keep, kind, point[kind], flush=True)
    found = {
        "command": "python scripts/sweep_combined.py",
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__.split("+")[0],
        "threads": 2,
        "seconds": trained + time.perf_counter() - began,
        "others": [
            {
                "name": name,
                "macs": pl.encoder_macs(m) / sweep.whole,
                **sweep.accuracies(m),
                "ms": {batch: median[name] for batch, median in ms.items()},
            }
            for name, m in course.items()
        ],
        "sentences": {name: len(data) for name, data in sweep.sets.items()},
        "points": list(points.values()),
    }
    sweep.out.parent.mkdir(parents=True, exist_ok=True)
    sweep.out.write_text(json.dumps(found, indent=1) + "\n")
    print("written:", sweep.out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few sentences, to try it")
    main(parser.parse_args().quick)
