"""One speed table: the whole model and one with a third of its MACs, in PyTorch, compiled, in ONNX
float32 and in ONNX int8.

    .venv/bin/python benchmarks/speed.py [--quick]

All runtimes and both models take turns in one process; medians with quartiles, in `speed.md`. Then
the factors, each measured alone, and their product against the fact. The embedded classifier, and
XLM-RoBERTa base's proportions with random weights, which say nothing but the time. About half an
hour on two cores, a third of it compiling.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

import pruning_lessons as pl

sys.path.insert(0, str(Path(__file__).parent))
from report import table
from run import mixed_batches

HERE = Path(__file__).parent
KEEP = 1 / 3
SETTINGS = ((1, 24), (1, 128), (32, 24), (32, 128))  # sentences, tokens
EAGER, COMPILED, ONNX, INT8 = "PyTorch eager", "torch.compile", "ONNX float32", "ONNX int8"
WHOLE, THIRD = "whole", "a third of the MACs"
Times = dict[tuple[str, str], tuple[float, float, float]]  # (model, runtime): ms, quartiles 1, 2, 3


def of_torch(model) -> Callable:
    @torch.inference_mode()
    def run(ids, mask):
        model(ids, attention_mask=mask)

    return run


def of_onnx(folder: Path, quantized: bool, threads: int) -> Callable:
    model = pl.OnnxModel(folder, quantized, threads)
    return lambda ids, mask: model.run(ids.numpy(), mask.numpy())


def runners(models: dict, tokenizer, folder: Path, threads: int) -> dict[tuple[str, str], Callable]:
    """Functions of ids and mask (batch, T), by model and runtime."""
    found = {}
    for i, (name, model) in enumerate(models.items()):
        pl.export_onnx(model, tokenizer, folder / str(i))
        pl.quantize_onnx(folder / str(i))
        compiled = torch.compile(model, dynamic=False, fullgraph=True)
        found |= {
            (name, EAGER): of_torch(model),
            (name, COMPILED): of_torch(compiled),
            (name, ONNX): of_onnx(folder / str(i), False, threads),
            (name, INT8): of_onnx(folder / str(i), True, threads),
        }
    return found


def measure(functions: dict, batch: int, length: int, seconds: float, failed: dict) -> Times:
    """Milliseconds of each, in turns, for about so many seconds and at least five rounds.

    Every function runs twice a turn and the second run counts: in the first one threads of the
    runtime before it may still be waiting busily. Every other round goes backwards. What cannot run
    is dropped, and `failed` says why.
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 18_000, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    for key, function in list(functions.items()):  # warm up: compile, allocate
        try:
            for _ in range(3):
                function(ids, mask)
        except Exception as error:
            failed[key] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            del functions[key]
    times, start, rounds = {key: [] for key in functions}, time.perf_counter(), 0
    while rounds < 5 or time.perf_counter() - start < seconds and rounds < 60:
        for key in list(functions)[:: 1 if rounds % 2 else -1]:
            functions[key](ids, mask)
            before = time.perf_counter()
            functions[key](ids, mask)
            times[key].append(1000 * (time.perf_counter() - before))
        rounds += 1
    found = {key: tuple(statistics.quantiles(ms, n=4)) for key, ms in times.items()}
    for key, (low, middle, high) in found.items():
        print(f"{batch:3} × {length:3}  {key}: {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)
    return found


def factors(times: Times, said: float) -> tuple[float, ...]:
    """Runtime, int8, cut (each alone), their product, the fact, their ratio; the cut within int8;
    what the MACs say of the cut.
    """
    ms = {key: quartiles[1] for key, quartiles in times.items()}
    runtime = ms[WHOLE, EAGER] / ms[WHOLE, ONNX]
    int8 = ms[WHOLE, ONNX] / ms[WHOLE, INT8]
    cut = ms[WHOLE, EAGER] / ms[THIRD, EAGER]
    fact = ms[WHOLE, EAGER] / ms[THIRD, INT8]
    product = runtime * int8 * cut
    within = ms[WHOLE, INT8] / ms[THIRD, INT8]
    return runtime, int8, cut, product, fact, fact / product, within, said


def embedded(sentences: int):
    """The intents classifier, and a third of it, repaired; and its tokenizer."""
    model, tokenizer = pl.load()
    batches = mixed_batches(pl.load_intents("train", limit=sentences, seed=0), tokenizer)
    scores = pl.importance(model, batches)
    masks = pl.select(scores, model, keep_macs=KEEP, multiple=16, rearrange=False)
    third = pl.repair(pl.prune(model, masks), model, batches)
    return {WHOLE: model, THIRD: third}, tokenizer


def base_size():
    """XLM-RoBERTa base's proportions, random weights; few pieces, which cost no time."""
    model, tokenizer = pl.untrained("base", pieces=19_000)
    scores = pl.importance(model, None, "magnitude")
    masks = pl.select(scores, model, keep_macs=KEEP, multiple=16)
    return {WHOLE: model, THIRD: pl.prune(model, masks)}, tokenizer


def accuracies(models: dict, tokenizer, folder: Path, limit: int | None) -> dict:
    """Shares of right answers, of trained and of zero-shot languages, by model and runtime."""
    sets = [pl.load_intents("test", limit=limit), pl.load_intents("zero_shot", limit=limit or 1500)]
    found = {}
    for i, (name, model) in enumerate(models.items()):
        for runtime, answers in ((EAGER, model), (INT8, pl.OnnxModel(folder / str(i), True))):
            found[name, runtime] = [pl.evaluate(answers, tokenizer, x).accuracy for x in sets]
    return found


def section(title: str, models: dict, tokenizer, args, limit: int | None = None) -> list[str]:
    """Measure one size; the lines that tell of it. limit: with accuracy, on so many sentences."""
    failed, by_setting = {}, {}
    settings = SETTINGS[:1] + SETTINGS[2:3] if args.quick else SETTINGS
    torch.compiler.reset()
    with tempfile.TemporaryDirectory() as folder:
        functions = runners(models, tokenizer, Path(folder), args.threads)
        right = accuracies(models, tokenizer, Path(folder), limit) if limit != 0 else {}
        for batch, length in settings:
            by_setting[batch, length] = measure(functions, batch, length, args.seconds, failed)
    heads = [f"{b} × {t} tokens" for b, t in settings]
    cell = lambda q: f"{q[1]:.1f} ({q[0]:.1f} to {q[2]:.1f})"
    keys = [(name, runtime) for runtime in (EAGER, COMPILED, ONNX, INT8) for name in models]
    rows = [
        (f"{runtime}, {name}", *(cell(times[name, runtime]) for times in by_setting.values()))
        for name, runtime in keys
        if (name, runtime) not in failed
    ]
    parts = []
    for (batch, length), times in by_setting.items():
        said = pl.encoder_macs(models[WHOLE], length) / pl.encoder_macs(models[THIRD], length)
        parts.append((f"{batch} × {length}", *(f"{x:.2f}" for x in factors(times, said))))
        print("factors", parts[-1], flush=True)
    lines = [f"## {title}", "", "Milliseconds: the median (the middle half).", ""]
    lines += [table(["", *heads], rows), ""]
    lines += [f"Not run: {runtime}, {name}: {why}." for (name, runtime), why in failed.items()]
    named = ["", "runtime", "int8", "cut", "product", "fact", "fact / product"]
    lines += [table([*named, "cut, within int8", "cut, by MACs"], parts), ""]
    if right:
        shown = [
            (f"{runtime}, {name}", *(f"{x:.1%}" for x in r)) for (name, runtime), r in right.items()
        ]
        lines += ["Right answers:", "", table(["", "trained languages", "zero-shot"], shown), ""]
    return lines


def processor() -> str:
    """The CPU's name, and whether it multiplies 8-bit numbers by itself."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [x.partition(": ")[2] for x in text.splitlines() if x.startswith("model name")]
    return f"{(names or [platform.machine()])[0]}, {'with' if 'vnni' in text else 'without'} VNNI"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="two settings, few sentences")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60, help="of turns, for each setting")
    parser.add_argument("--out", type=Path, default=HERE / "speed.md")
    args = parser.parse_args()
    if args.quick:
        args.seconds = 5
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    torch._dynamo.config.recompile_limit = 64  # a graph for each model and setting
    lines = [
        "# Speed, and what it is made of",
        "",
        f"Written by `benchmarks/speed.py`, {time.strftime('%Y-%m-%d')}: torch "
        f"{torch.__version__.split('+')[0]}, {args.threads} threads, "
        f"OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY', 'as it is')}, {processor()}.",
    ]
    lines += ["", *TEXT.splitlines(), ""]
    models, tokenizer = embedded(64 if args.quick else 2048)
    lines += section(
        "The embedded classifier", models, tokenizer, args, 100 if args.quick else None
    )
    lines += section("XLM-RoBERTa base's proportions, random weights", *base_size(), args, 0)
    args.out.write_text("\n".join(lines), encoding="utf-8")
    print(args.out.read_text("utf-8"))


TEXT = """\
All runtimes and both models take turns in one process, the second of two runs counts. Tokenising is
not timed. The cut model keeps a third of the encoder's MACs (24 tokens), neurons in multiples of
16. *runtime*: eager to ONNX float32, *int8*: ONNX float32 to int8, both of the whole model; *cut*:
whole to cut, in eager PyTorch; *fact*: eager whole to int8 cut. Each factor is measured alone, so
their product need not be the fact: *cut, within int8* says what the cut still gives there.
torch.compile makes a graph for each setting (`dynamic=False`); int8 is the package's own.
"""

if __name__ == "__main__":
    main()
