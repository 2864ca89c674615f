"""Compute once what lesson 07 shows and is too long for a lesson: `python
scripts/sweep_combined.py` (about half an hour).

Every point: heads and neurons under one budget of MACs, with or without dropping layers first
(validation decides), repaired, distilled on 10,000 sentences three times over, then ONNX and int8.
Students are kept in artefacts/combined, so that a second run measures them again and trains
nothing. Writes pruning_lessons/assets/sweeps/combined.json.
"""

import json
import tempfile
import time
from pathlib import Path

import torch

import pruning_lessons as pl

OUT = Path(pl.__file__).parent / "assets" / "sweeps" / "combined.json"
KEPT = Path(__file__).resolve().parent.parent / "artefacts" / "combined"
BUDGETS, DROPS = (0.5, 0.33, 0.25), (0, 3)
NEARLY = (
    0.02  # so much less on validation, after repair, and fewer layers are taken: they are faster
)
TEST, ZERO_SHOT, VALIDATION = (
    pl.load_intents(*split)
    for split in (
        ("test", None, 1500, 0),
        ("zero_shot", None, 1000, 0),
        ("validation", None, 600, 0),
    )
)


def accuracies(model, tokenizer) -> dict:
    sets = {"validation": VALIDATION, "test": TEST, "zero_shot": ZERO_SHOT}
    return {name: pl.evaluate(model, tokenizer, data).accuracy for name, data in sets.items()}


def folder_megabytes(file: Path) -> float:
    return file.stat().st_size / 1e6


def candidates(model, tokenizer, batches: list[dict]):
    """For each number of dropped layers: a repaired model and its scores."""
    for drop in DROPS:
        less = pl.prune(
            model,
            pl.layer_masks(model, pl.layers_to_drop(model, drop, "block_influence", batches[:16])),
        )
        yield drop, less, pl.importance(less, batches)


def make_student(keep: float, starts: list, model, tokenizer, batches: list[dict], whole: float):
    """(student, what is known of it): choose, cut, repair, distil; found again if it was made
    before.
    """
    place = KEPT / f"{keep:.0%}".strip("%")
    if (place / "point.json").is_file():
        return pl.load(place / "student")[0], json.loads((place / "point.json").read_text())
    began, tried = time.perf_counter(), {}
    for drop, less, scores in starts:
        share = keep * whole / pl.encoder_macs(less)
        if share <= 1:
            masks = pl.select(scores, less, keep_macs=share, rearrange=False, multiple=8)
            cut = pl.repair(pl.prune(less, masks), model, batches)
            tried[drop] = pl.evaluate(cut, tokenizer, VALIDATION).accuracy, cut
    best = max(accuracy for accuracy, _ in tried.values())
    drop = max(drop for drop, (accuracy, _) in tried.items() if accuracy >= best - NEARLY)
    student = tried[drop][1]
    point = {
        "keep": keep,
        "drop": drop,
        "macs": pl.encoder_macs(student) / whole,
        "repaired": accuracies(student, tokenizer),
        "validation": {str(d): a for d, (a, _) in tried.items()},
    }
    print(point, flush=True)
    training = pl.distill(
        student,
        model,
        tokenizer,
        pl.load_intents("train", limit=10_000, seed=1),
        epochs=3,
        learning_rate=1e-4,
        validation=VALIDATION,
        folder=place / "training",
        progress=False,
    )
    point |= {
        "distilled": accuracies(student, tokenizer),
        "seconds_distilling": training.seconds,
        "steps": training.steps,
        "seconds": time.perf_counter() - began,
    }
    print(point, flush=True)
    pl.save(student, tokenizer, place / "student")
    (place / "point.json").write_text(json.dumps(point))
    return student, point


def others(model, tokenizer, batches: list[dict]):
    """(name, model): what the lessons before this one made, each as good as its lesson can."""
    L, H = pl.Masks.keep_all(model).heads.shape
    N = pl.Masks.keep_all(model).neurons.shape[1]
    scores = pl.importance(model, batches)
    layers = json.loads(OUT.with_name("layers.json").read_text())
    repaired = lambda masks: pl.repair(pl.prune(model, masks), model, batches)
    yield "00: half, at random", pl.prune(model, pl.random_masks(model, 0.5, seed=0))
    yield (
        "03: half of the weights zero",
        pl.prune_weights(model, 0.5, method="wanda", batches=batches[:8], permanent=True),
    )
    yield (
        "04: 40% of the neurons, repaired",
        repaired(pl.select(scores, model, keep_neurons=round(0.4 * N) * L)),
    )
    yield (
        "05: a third of the heads, repaired",
        repaired(pl.select(scores, model, keep_heads=L * H // 3)),
    )
    yield (
        "06: 8 of 12 layers, repaired",
        repaired(pl.layer_masks(model, layers["greedy"]["order"][:4])),
    )


def main():
    torch.set_num_threads(2)
    model, tokenizer = pl.load()
    batches = list(pl.load_intents("train", limit=1024, seed=0).by_length().batches(tokenizer))
    whole, starts = pl.encoder_macs(model), list(candidates(model, tokenizer, batches))
    made = {keep: make_student(keep, starts, model, tokenizer, batches, whole) for keep in BUDGETS}
    students = {f"{keep:.0%}": student for keep, (student, _) in made.items()}
    found = [point for _, point in made.values()]
    began, trained = time.perf_counter(), sum(point["seconds"] for point in found)
    course = dict(others(model, tokenizer, batches))
    with tempfile.TemporaryDirectory() as folder:
        onnx, folder = {}, Path(folder)
        for name, m in {"100%": model, **students}.items():
            place = pl.quantize_onnx(pl.export_onnx(m, tokenizer, folder / name.strip("%"))).parent
            for kind, quantized in (("ONNX", False), ("ONNX int8", True)):
                onnx[f"{name} {kind}"] = pl.OnnxModel(place, quantized=quantized, threads=2)
                row = next((p for p in found if f"{p['keep']:.0%}" == name), None)
                entry = {
                    "megabytes": folder_megabytes(
                        place / ("model-int8.onnx" if quantized else "model.onnx")
                    ),
                    **accuracies(onnx[f"{name} {kind}"], None),
                }
                (
                    row
                    if row is not None
                    else found.insert(
                        0,
                        {
                            "keep": 1.0,
                            "drop": 0,
                            "macs": 1.0,
                            "distilled": accuracies(model, tokenizer),
                        },
                    )
                    or found[0]
                )[kind] = entry
                print(name, kind, entry, flush=True)
        timed = (
            {f"{name} torch": m for name, m in {"100%": model, **students}.items()} | onnx | course
        )
        times = {
            batch: pl.latency(timed, batch_size=batch, threads=2, repeats=repeats).median
            for batch, repeats in ((1, 60), (32, 12))
        }
    for point in found:
        for kind in ("torch", "ONNX", "ONNX int8"):
            point.setdefault(kind, {})["ms"] = {
                str(batch): ms[f"{point['keep']:.0%} {kind}"] for batch, ms in times.items()
            }
    sizes = {"100%": model, **students}
    for point in found:
        m = sizes[f"{point['keep']:.0%}"]
        point["torch"] |= {"megabytes": pl.summary(m).bytes / 1e6, **accuracies(m, tokenizer)}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(
        json.dumps(
            {
                "command": "python scripts/sweep_combined.py",
                "date": time.strftime("%Y-%m-%d"),
                "torch": torch.__version__.split("+")[0],
                "threads": 2,
                "seconds": trained + time.perf_counter() - began,
                "others": [
                    {
                        "name": name,
                        "macs": pl.encoder_macs(m) / whole,
                        **accuracies(m, tokenizer),
                        "ms": {str(batch): ms[name] for batch, ms in times.items()},
                    }
                    for name, m in course.items()
                ],
                "sentences": {
                    "validation": len(VALIDATION),
                    "test": len(TEST),
                    "zero_shot": len(ZERO_SHOT),
                },
                "points": found,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
