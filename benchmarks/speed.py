"""One speed table: the whole model and one with a third of its MACs, in PyTorch, compiled, in ONNX
float32 and in ONNX int8.

    .venv/bin/python benchmarks/speed.py [--quick]

All runtimes and both models take turns in one process; medians with quartiles, in `speed.md` (and
`speed.json`, for `report.py`). Then the factors, each measured alone, and their product against the
fact. The embedded classifier, and XLM-RoBERTa base's proportions with random weights, which say
nothing but the time. About half an hour on two cores, a third of it compiling.
"""

import argparse
import json
import math
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
from report import add_out, folder, table

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


def factors(times: Times, said: float) -> dict[str, float]:
    """Runtime, int8 and pruning, each alone, and their product; the fact; what pruning gives within
    int8, and what the MACs say of it.
    """
    ms = {key: quartiles[1] for key, quartiles in times.items()}
    found = {
        "runtime": ms[WHOLE, EAGER] / ms[WHOLE, ONNX],
        "int8": ms[WHOLE, ONNX] / ms[WHOLE, INT8],
        "pruning": ms[WHOLE, EAGER] / ms[THIRD, EAGER],
    }
    product, fact = math.prod(found.values()), ms[WHOLE, EAGER] / ms[THIRD, INT8]
    found |= {"product": product, "fact": fact, "fact / product": fact / product}
    within = ms[WHOLE, INT8] / ms[THIRD, INT8]
    return found | {"pruning, within int8": within, "pruning, by MACs": said}


def first_token_alone(model, length: int) -> float:
    """The share of the encoder's MACs that is saved, exactly, where the last layer is computed for
    `<s>` alone, which is all that a classifier's head reads.

    Of T tokens one has a query, an output and a feed-forward part; keys and values stay. So of a
    head's 4·T·d·d_h + 2·T²·d_h goes (T - 1)·(2·d·d_h + 2·T·d_h), of a neuron's 2·T·d all but 2·d.
    """
    d, (head, neuron) = model.config.hidden_size, pl.unit_macs(model, length)
    sizes = pl.summary(model, length)
    of_heads = sizes.heads[-1] * head * (d + length) / (2 * d + length)
    of_neurons = sizes.neurons[-1] * neuron
    saved = (of_heads + of_neurons) * (length - 1) / length
    return saved / pl.encoder_macs(model, length)


def embedded(sentences: int):
    """The intents classifier, and a third of it, by `compress`; and its tokenizer."""
    model, tokenizer = pl.load()
    data = pl.load_intents("train", limit=sentences, seed=0)
    third = pl.compress(model, tokenizer, data, keep_macs=KEEP, multiple=16)
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


def measured(title: str, models: dict, tokenizer, args, limit: int | None = None) -> dict:
    """Times, factors and right answers of one size. limit: of so many sentences; of none if 0."""
    failed, times, parts = {}, [], []
    quick = SETTINGS[:1] if limit == 0 else SETTINGS[::2]
    settings = quick if args.quick else SETTINGS
    torch.compiler.reset()
    with tempfile.TemporaryDirectory() as folder:
        functions = runners(models, tokenizer, Path(folder), args.threads)
        right = accuracies(models, tokenizer, Path(folder), limit) if limit != 0 else {}
        for batch, length in settings:
            own = measure(functions, batch, length, args.seconds, failed)
            said = pl.encoder_macs(models[WHOLE], length) / pl.encoder_macs(models[THIRD], length)
            place = {"batch": batch, "length": length}
            parts.append(place | factors(own, said))
            print("factors", parts[-1], flush=True)
            times += [dict(place, model=m, runtime=r, ms=q) for (m, r), q in own.items()]
    named = [dict(zip(("trained", "zero-shot"), shares)) for shares in right.values()]
    return {
        "title": title,
        "times": times,
        "factors": parts,
        "right": [{"model": m, "runtime": r} | x for (m, r), x in zip(right, named)],
        "failed": [{"model": m, "runtime": r, "why": why} for (m, r), why in failed.items()],
    }


def section(size: dict) -> list[str]:
    """The lines that tell of one size."""
    settings = [(x["batch"], x["length"]) for x in size["factors"]]
    by_name: dict[str, list[str]] = {}
    for x in size["times"]:
        low, middle, high = x["ms"]
        cells = by_name.setdefault(f"{x['runtime']}, {x['model']}", [])
        cells.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
    heads = [f"{b} × {t} tokens" for b, t in settings]
    rows = [(n, *x) for n, x in sorted(by_name.items(), key=order) if len(x) == len(settings)]
    lines = [f"## {size['title']}", "", "Milliseconds: the median (the middle half).", ""]
    lines += [table(["", *heads], rows), ""]
    lines += [f"Not run: {x['runtime']}, {x['model']}: {x['why']}." for x in size["failed"]]
    names = list(size["factors"][0])[2:]
    parts = [
        (f"{x['batch']} × {x['length']}", *(f"{x[name]:.2f}" for name in names))
        for x in size["factors"]
    ]
    lines += [table(["sentences × tokens", *names], parts), ""]
    if size["right"]:
        shown = [
            (f"{x['runtime']}, {x['model']}", f"{x['trained']:.1%}", f"{x['zero-shot']:.1%}")
            for x in size["right"]
        ]
        lines += ["Right answers:", "", table(["", "trained languages", "zero-shot"], shown), ""]
    return lines


def order(named: tuple) -> int:
    """Where a row stands: by runtime, in the order above."""
    return [named[0].startswith(runtime) for runtime in (EAGER, COMPILED, ONNX, INT8)].index(True)


def saving(found: list[dict]) -> list[str]:
    """The lines that tell of the last layer."""
    rows = [(x["model"], x["length"], f"{x['share']:.1%}") for x in found]
    return [
        "## The last layer for `<s>` alone",
        "",
        "A classifier's head reads `<s>` alone, so its last layer need be computed for that token",
        "alone, keys and values still for all. It is exact, for classifiers only, and not in the",
        "figures above. Of the embedded classifier's encoder MACs it would save:",
        "",
        table(["model", "tokens", "saved"], rows),
        "",
    ]


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
    add_out(parser)
    args = parser.parse_args()
    if args.quick:
        args.seconds = 5
    out = folder(args)
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    torch._dynamo.config.recompile_limit = 64  # a graph for each model and setting
    models, tokenizer = embedded(128 if args.quick else 2048)
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__.split("+")[0],
        "threads": args.threads,
        "waiting": os.environ.get("OMP_WAIT_POLICY", "as it is"),
        "cpu": processor(),
        "first token": [
            {"model": name, "length": length, "share": first_token_alone(model, length)}
            for name, model in models.items()
            for length in (24, 128)
        ],
    }
    limit = 100 if args.quick else None
    whole = measured("The embedded classifier", models, tokenizer, args, limit)
    found["sizes"] = [whole, measured(BASE, *base_size(), args, 0)]
    (out / "speed.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# Speed, and what it is made of",
        "",
        f"Written by `benchmarks/speed.py`, {found['date']}: torch {found['torch']}, "
        f"{args.threads} threads, OMP_WAIT_POLICY={found['waiting']}, {found['cpu']}.",
    ]
    lines += ["", *TEXT.splitlines(), ""]
    for size in found["sizes"]:
        lines += section(size)
    lines += saving(found["first token"])
    (out / "speed.md").write_text("\n".join(lines), encoding="utf-8")
    print((out / "speed.md").read_text("utf-8"))


BASE = "XLM-RoBERTa base's proportions, random weights"
TEXT = """\
All runtimes and both models take turns in one process, the second of two runs counts. Tokenising is
not timed. The pruned model keeps a third of the encoder's MACs (24 tokens), neurons in multiples of
16. *runtime*: eager to ONNX float32, *int8*: ONNX float32 to int8, both of the whole model;
*pruning*: whole to pruned, in eager PyTorch; *fact*: eager whole to int8 pruned. Each factor is
measured alone, so their product need not be the fact: *pruning, within int8* says what pruning
still gives there. torch.compile makes a graph for each setting (`dynamic=False`); int8 is the
package's own.
"""

if __name__ == "__main__":
    main()
