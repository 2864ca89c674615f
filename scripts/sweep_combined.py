"""Compute once what lesson 07 shows and is too long for a lesson: `python scripts/sweep_combined.py` (about twenty minutes).

Every point: heads and neurons under one budget of MACs, with or without dropping layers first (validation decides),
repaired, distilled on 5,000 sentences, then ONNX and int8. Writes pruning_lessons/assets/sweeps/combined.json.
"""
import json
import tempfile
import time
from pathlib import Path

import torch

import pruning_lessons as pl
from pruning_lessons.selection import encoder_macs

OUT = Path(pl.__file__).parent / "assets" / "sweeps" / "combined.json"
BUDGETS, DROPS = (0.5, 0.33, 0.2), (0, 3)
TEST, ZERO_SHOT, VALIDATION = (pl.load_intents(*split) for split in
                               (("test", None, 1500, 0), ("zero_shot", None, 1000, 0), ("validation", None, 600, 0)))


def by_length(data: pl.Intents) -> pl.Intents:
    return data.subset(sorted(range(len(data)), key=lambda i: len(data.sentences[i])))


def accuracies(model, tokenizer) -> dict:
    return {"test": pl.evaluate(model, tokenizer, TEST).accuracy, "zero_shot": pl.evaluate(model, tokenizer, ZERO_SHOT).accuracy}


def folder_megabytes(file: Path) -> float:
    return file.stat().st_size / 1e6


def candidates(model, tokenizer, batches: list[dict]):
    """For each number of dropped layers: a repaired model and its scores."""
    for drop in DROPS:
        less = pl.prune(model, pl.layer_masks(model, pl.layers_to_drop(model, drop, "block_influence", batches[:16])))
        yield drop, less, pl.importance(less, batches)


def main():
    torch.set_num_threads(2)
    began = time.perf_counter()
    model, tokenizer = pl.load()
    batches = list(by_length(pl.load_intents("train", limit=1024, seed=0)).batches(tokenizer))
    whole, found, students = encoder_macs(model), [], {}
    starts = list(candidates(model, tokenizer, batches))
    for keep in BUDGETS:
        tried = []
        for drop, less, scores in starts:
            share = keep * whole / encoder_macs(less)
            if share > 1:
                continue
            masks = pl.select(scores, less, keep_macs=share, rearrange=False, multiple=8)
            cut = pl.repair(pl.prune(less, masks), model, batches)
            tried.append((pl.evaluate(cut, tokenizer, VALIDATION).accuracy, drop, cut))
            print(keep, drop, tried[-1][0], flush=True)
        _, drop, student = max(tried, key=lambda t: t[0])
        point = {"keep": keep, "drop": drop, "macs": encoder_macs(student) / whole, "repaired": accuracies(student, tokenizer),
                 "validation": {str(d): a for a, d, _ in tried}}
        start = time.perf_counter()
        training = pl.distill(student, model, tokenizer, pl.load_intents("train", limit=5000, seed=1), epochs=2,
                              learning_rate=1e-4, validation=VALIDATION, progress=False)
        point |= {"distilled": accuracies(student, tokenizer), "seconds_distilling": time.perf_counter() - start, "steps": training.steps}
        print(point, flush=True)
        found.append(point)
        students[f"{keep:.0%}"] = student
    with tempfile.TemporaryDirectory() as folder:
        onnx, folder = {}, Path(folder)
        for name, m in {"100%": model, **students}.items():
            place = pl.quantize_onnx(pl.export_onnx(m, tokenizer, folder / name.strip("%"))).parent
            for kind, quantized in (("ONNX", False), ("ONNX int8", True)):
                onnx[f"{name} {kind}"] = pl.OnnxClassifier(place, quantized=quantized, threads=2)
                row = next((p for p in found if f"{p['keep']:.0%}" == name), None)
                entry = {"megabytes": folder_megabytes(place / ("model-int8.onnx" if quantized else "model.onnx")),
                         **accuracies(onnx[f"{name} {kind}"], None)}
                (row if row is not None else found.insert(0, {"keep": 1.0, "drop": 0, "macs": 1.0, "distilled": accuracies(model, tokenizer)})
                 or found[0])[kind] = entry
                print(name, kind, entry, flush=True)
        timed = {f"{name} torch": m for name, m in {"100%": model, **students}.items()} | onnx
        times = {batch: pl.latency(timed, batch_size=batch, threads=2, repeats=repeats).median for batch, repeats in ((1, 60), (32, 12))}
    for point in found:
        for kind in ("torch", "ONNX", "ONNX int8"):
            point.setdefault(kind, {})["ms"] = {str(batch): ms[f"{point['keep']:.0%} {kind}"] for batch, ms in times.items()}
    sizes = {"100%": model, **students}
    for point in found:
        point["torch"] |= {"megabytes": pl.summary(sizes[f"{point['keep']:.0%}"]).bytes / 1e6, **point["distilled"]}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"command": "python scripts/sweep_combined.py", "date": time.strftime("%Y-%m-%d"),
                               "torch": torch.__version__.split("+")[0], "threads": 2, "seconds": time.perf_counter() - began,
                               "sentences": {"test": len(TEST), "zero_shot": len(ZERO_SHOT)}, "points": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
