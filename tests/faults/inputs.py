"""Wrong arguments, budgets, batches, rows, tables and tagged words."""

import csv
import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import torch
import world as w
from machine import Kind, Trial, accepted

import pruning_lessons as pl

NAN, INF = float("nan"), float("inf")
ODD = object()
# Values that an argument of a sort must not have.
WRONG = {
    "whole": [-1, 1.5, NAN, INF, True, "3", "x", [], [2], {}, np.float64(2.5), b"2", 2j, ODD],
    "count": [0, -1, 1.5, NAN, INF, True, "3", "x", [], {}, torch.tensor(1.5), ODD],
    "seed": [1.5, NAN, INF, True, "3", [], {}, ODD],
    "share": [-0.1, 1.5, NAN, INF, -INF, True, "0.5", "x", [], {}, 10**30, [0.5], 1j],
    "weight": [-1.0, NAN, INF, True, "1", [], {}, 1j],
    "positive": [0, -1.0, NAN, INF, True, "1", "x", [], {}, [1.0], 1j],
    "choice": ["nonsense", "", 3, [], b"fisher", "Fisher", True, {}, 1.5, ("a",)],
    "folder": [3, "", "a\0b", [], True, 1.5, b"\xff", {}, ODD],
    "model": [None, 3, "model", torch.nn.Linear(2, 2), [], {}, ODD],
    "tokenizer": [3, "x", [], {}, ODD, len, None],
    "data": [3, "abc", {}, [1, 2], [{"x": 3}], [None], ODD, [{"text": 3}], {"text": "a"}],
    "batches": [3, "abc", [1], [None], [{}], {}, ODD, [{"input_ids": 3}], torch.ones(2, 3)],
    "masks": [None, 3, [], {}, "x", torch.ones(3, 4), ODD],
    "places": [3, "abc", [99], [-1], [None], ["a"], [1.5], ODD, [True]],
    "map": [3, "abc", {0: 99}, {9: 0}, {"a": 0}, {0: None}, {0: -1}, [(0, 0)], {0.5: 1}],
    "text": [3, "", [], b"x", {}, ["a", "b"], True, ODD],
    "texts": [3, "a text", None, [3], [None], ["\ud800"], {}, ODD, b"x"],
    "keep": [3, "a text", None, [None], {}, ODD, b"x", [1.5]],
    "names": [3, "abc", [], ["a"], ["a", "a"], [3, 4], {}, True],
}
# The same number as other libraries have it.
SAME = {
    "whole": [np.int64, np.int32, np.uint8],
    "count": [np.int64, np.int16, np.uint8],
    "seed": [np.int64, np.uint8],
    "share": [np.float64, np.float32, Fraction],
    "weight": [np.float64, np.float32],
    "positive": [np.float64, np.float32],
}


def seen(result):
    """What can be compared of a result."""
    if isinstance(result, torch.nn.Module):
        return w.answers(result)
    if isinstance(result, pl.Masks | pl.Scores):
        return [t.double() for t in (result.heads, result.neurons, result.layers)]
    plain = isinstance(result, (int, float, list, torch.Tensor))
    return result if plain else getattr(result, "order", None) or str(result)


class Call:
    """A function, the sorts of the arguments that are tried ("model keep:share"), sound ones."""

    def __init__(self, function: Callable, sorts: str, **sound):
        pairs = [word.partition(":") for word in sorts.split()]
        self.function, self.sound = function, sound
        self.sorts = {name: sort or name for name, _, sort in pairs}

    def __call__(self, **changed):
        return seen(self.function(**self.sound | changed))


def inside(context: Callable, **options):
    with context(w.model(), **options):
        return w.model()(
            **{n: t for n, t in w.batches(8)[0].items() if n != "labels"}
        ).logits.detach()


def calls() -> dict[str, Call]:
    net, words, data, some = w.model(), w.tokenizer(), w.texts(), w.batches(16)
    small, masks = w.pruned(0), pl.random_masks(net, 0.5)
    scores = pl.importance(net, None, "random")
    both = dict(model=net, tokenizer=words)
    search = both | dict(data=data, drop=1, progress=False)
    train = dict(tokenizer=words, data=data, batch_size=8, learning_rate=1e-3, progress=False)
    onnx = lambda texts, pairs=None, prompt=None, **k: pl.OnnxModel(**k)(texts, pairs, prompt)[0][1]
    first = lambda function, read: lambda **k: read(function(**k))
    loss = lambda training: round(training.losses[0], 5)
    return {
        "random_masks": Call(pl.random_masks, "model keep:share seed", model=net, keep=0.5, seed=1),
        "masked": Call(lambda **k: inside(pl.masked, **k), "masks", masks=masks),
        "gates": Call(lambda **k: inside(pl.gates, **k), "examples:count", examples=8),
        "prune": Call(pl.prune, "model masks", model=net, masks=masks),
        "importance": Call(
            pl.importance,
            "model batches method:choice seed targets:choice",
            **dict(model=net, batches=some, method="fisher", seed=1, targets="labels"),
        ),
        "select by MACs": Call(
            pl.select,
            "scores:masks model keep_macs:share multiple:count length:count",
            **dict(scores=scores, model=net, keep_macs=0.5, multiple=2, length=24),
        ),
        "select by counts": Call(
            pl.select,
            "keep_heads:whole keep_neurons:whole",
            **dict(scores=scores, model=net, keep_heads=6, keep_neurons=30),
        ),
        "select by time": Call(
            pl.select, "max_latency_ms:positive", scores=scores, model=net, max_latency_ms=99.0
        ),
        "prune_weights": Call(
            pl.prune_weights,
            "model sparsity:share scope:choice method:choice pattern:map",
            **dict(model=net, sparsity=0.5, permanent=True),
        ),
        "prune_weights, random": Call(
            pl.prune_weights,
            "seed",
            model=net,
            sparsity=0.5,
            method="random",
            permanent=True,
            seed=3,
        ),
        "prune_vocabulary": Call(
            first(pl.prune_vocabulary, lambda found: found[0].config.vocab_size),
            "model tokenizer keep",
            **both | dict(keep=w.SENTENCES),
        ),
        "repair": Call(
            pl.repair,
            "pruned:model original:model batches held_out:share ridges:map",
            **dict(pruned=small, original=net, batches=w.batches(), held_out=0.3),
        ),
        "evaluate": Call(
            pl.evaluate,
            "model tokenizer data batch_size:count",
            **both | dict(data=data, batch_size=4),
        ),
        "summary": Call(pl.summary, "model length:count", model=net, length=24),
        "encoder_macs": Call(pl.encoder_macs, "model length:count", model=net, length=24),
        "latency": Call(
            first(pl.latency, lambda found: len(found.median)),
            "models:model batch_size:count length:count repeats:count threads:count warm_up:whole",
            **dict(models=net, batch_size=1, length=8, repeats=1, warm_up=1, threads=1),
        ),
        "latency_table": Call(
            first(pl.latency_table, lambda found: sorted(found.attention)),
            "model batch_size:count length:count repeats:count widths:count threads:count",
            **dict(model=net, batch_size=1, length=8, repeats=1, widths=2, threads=1),
        ),
        "layers_to_drop": Call(
            pl.layers_to_drop,
            "model n:whole method:choice batches",
            **dict(model=net, n=1, method="block_influence", batches=some),
        ),
        "layer_masks": Call(pl.layer_masks, "model drop:places", model=net, drop=[1]),
        "greedy_layer_pruning": Call(
            pl.greedy_layer_pruning,
            "model tokenizer data drop:count objective:choice resume:folder recover:choice",
            **search,
        ),
        "best_layers": Call(
            pl.best_layers,
            "model tokenizer data drop:count objective:choice resume:folder",
            **search,
        ),
        "fine_tune": Call(
            first(pl.fine_tune, loss),
            "model tokenizer data epochs:count learning_rate:positive batch_size:count seed "
            "save_every:count folder validation:data patience:count",
            **train | dict(model=w.fresh(), epochs=1, seed=1, save_every=2),
        ),
        "distill": Call(
            first(pl.distill, loss),
            "student:model teacher:model tokenizer data temperature:positive alpha:share "
            "hidden:weight layer_map:map",
            **train | dict(student=w.copy.deepcopy(small), teacher=net, alpha=0.5, hidden=0.5),
            temperature=2.0,
        ),
        "save": Call(
            first(pl.save, lambda folder: pl.load(folder)[0]),
            "model tokenizer folder",
            **both | dict(folder="out"),
        ),
        "export_onnx": Call(
            pl.export_onnx,
            "model tokenizer folder figures:places",
            **both | dict(model=w.shallow(), folder="out"),
        ),
        "quantize_onnx": Call(pl.quantize_onnx, "folder", folder="out"),
        "OnnxModel": Call(
            onnx,
            "folder threads:count texts pairs:texts prompt:choice",
            **dict(folder=str(w.template("onnx-0")), threads=1, texts=w.SENTENCES),
        ),
        "load": Call(
            first(pl.load, lambda found: found[0]),
            "checkpoint:folder task:choice device:choice labels:names",
            checkpoint=str(w.template("uneven-0")),
        ),
        "untrained": Call(
            first(pl.untrained, lambda found: found[0].config.num_labels),
            "size:choice task:choice pieces:count labels:names",
            **dict(size="base", pieces=50),
        ),
        "load_intents": Call(
            first(pl.load_intents, len),
            "split:choice languages:names limit:count seed",
            **dict(split="test", languages=["de"], limit=9, seed=1),
        ),
        "load_parallel": Call(
            first(pl.load_parallel, len),
            "split:choice languages:names limit:count seed",
            **dict(split="test", languages=["de"], limit=9, seed=1),
        ),
        "mask_tokens": Call(
            first(pl.mask_tokens, len), "data share seed", data=data, share=0.5, seed=1
        ),
        "Texts": Call(
            first(pl.Texts, len),
            "sentences:texts languages:texts labels:masks pairs:texts",
            sentences=w.SENTENCES,
        ),
        "Texts.batches": Call(
            first(data.batches, lambda found: [b["input_ids"].tolist() for b in found]),
            "tokenizer batch_size:count max_length:count",
            **dict(tokenizer=words, batch_size=5, max_length=9),
        ),
        "attention_maps": Call(
            first(pl.attention_maps, lambda maps: str(maps.tokens)),
            "model tokenizer sentence:text pair:text",
            **both | dict(sentence="turn on the light"),
        ),
        "read_csv": Call(
            first(pl.read_csv, lambda found: found.sentences),
            "file:folder text label:text language:text pair:text kind:choice separator:text "
            "encoding:choice label_names:names",
            file="table.csv",
        ),
        "read_conll": Call(
            first(pl.read_conll, lambda found: found.words),
            "file:folder word:places tag:places separator:text encoding:choice label_names:names",
            file="words.conll",
        ),
    }


def _tries() -> list[tuple]:
    """(call, argument, value, whether it is sound) of all."""
    found = []
    for name, call in calls().items():
        for argument, sort in call.sorts.items():
            wrong = [v for v in WRONG[sort] if v is not None or argument in call.sound]
            found += [(name, argument, value, False) for value in wrong]
            sound = call.sound.get(argument)
            makers = SAME.get(sort, []) if sound is not None else []
            found += [(name, argument, make(sound), True) for make in makers]
    Random(0).shuffle(found)
    return found


TRIES = []


def argument(random: Random, place: int) -> Trial:
    """One argument of one call that is wrong; or right, as a number of NumPy or of fractions."""
    TRIES.extend([] if TRIES else _tries())
    name, key, value, sound = TRIES[place % len(TRIES)]
    call = calls()[name]

    def setup() -> None:
        Path("table.csv").write_text("text,label\nhello,a\nyou,b\n")
        Path("words.conll").write_text("hello O\nyou B-x\n\nshe O\n")

    names = {"sentence": ("sentence", "text"), "models": ("models", "model")}.get(key, (key,))
    names += {
        "file": ("path",),
        "label_names": ("file",),
        "keep_macs": ("budget",),
        "data": ("rows",),
    }.get(key, ())
    wrong = (lambda found: w.differs(calls()[name]())(found)) if sound else accepted
    models = tuple(v for v in call.sound.values() if isinstance(v, torch.nn.Module))
    trains = name in ("fine_tune", "distill")
    return Trial(
        f"{name}({key}={value!r})"[:90],
        lambda: call(**{key: value}),
        names,
        wrong,
        setup,
        models=() if trains and sound else models,
        entry=not sound,
    )


# --- batches ---


def _change(name: str, make: Callable) -> Callable:
    return lambda b, random: b | {name: make(b[name])}


BATCHES = {
    "ids too large": _change("input_ids", lambda t: t + 500),
    "ids below 0": _change("input_ids", lambda t: t - 300),
    "ids of 2**40": _change("input_ids", lambda t: t + 2**40),
    "ids as fractions": _change("input_ids", lambda t: t + 0.5),
    "ids that are NaN": _change("input_ids", lambda t: t * NAN),
    "ids of strings": _change("input_ids", lambda t: [["a"] * t.shape[1]] * len(t)),
    "ids of one dimension": _change("input_ids", lambda t: t[0]),
    "ids of three": _change("input_ids", lambda t: t[None]),
    "a row less": _change("attention_mask", lambda t: t[1:]),
    "a column less": _change("attention_mask", lambda t: t[:, 1:]),
    "a mask of 2": _change("attention_mask", lambda t: t * 2),
    "a mask of halves": _change("attention_mask", lambda t: t * 0.5),
    "a mask of NaN": _change("attention_mask", lambda t: t * NAN),
    "an empty mask": _change("attention_mask", lambda t: t * 0),
    "no mask": lambda b, random: {n: t for n, t in b.items() if n != "attention_mask"},
    "no ids": lambda b, random: {n: t for n, t in b.items() if n != "input_ids"},
    "labels too large": _change("labels", lambda t: t + 50),
    "labels below 0": _change("labels", lambda t: t - 50),
    "labels as fractions": _change("labels", lambda t: t + 0.5),
    "labels that are NaN": _change("labels", lambda t: t * NAN),
    "a label less": _change("labels", lambda t: t[1:]),
    "a label for each token": _change("labels", lambda t: t[:, None].expand(-1, 7)),
    "labels of strings": _change("labels", lambda t: ["a"] * len(t)),
    "labels, all of them -100": _change("labels", lambda t: t * 0 - 100),
    "rows longer than positions": lambda b, random: {
        n: t.repeat(1, 20) if t.dim() == 2 else t for n, t in b.items()
    },
    "input embeddings": lambda b, random: b | {"inputs_embeds": torch.zeros(2, 3, 24)},
    "nothing": lambda b, random: {},
    "None": lambda b, random: None,
}
USES = {
    "importance": lambda b: pl.importance(w.model(), b, targets="labels"),
    "activation": lambda b: pl.importance(w.model(), b, "activation"),
    "repair": lambda b: pl.repair(w.pruned(0), w.model(), b, held_out=0.5),
    "layers_to_drop": lambda b: pl.layers_to_drop(w.model(), 1, "block_influence", b),
    "wanda": lambda b: pl.prune_weights(w.model(), 0.5, method="wanda", batches=b, permanent=True),
}
NEEDS_LABELS = "importance"


def batches(random: Random, place: int) -> Trial:
    """One of three batches that the model would not read as it is meant."""
    what, use = list(BATCHES)[place % len(BATCHES)], random.choice(list(USES))
    if "label" in what:
        use = NEEDS_LABELS
    some = w.batches()
    spot = random.randrange(len(some))
    places = range(len(some)) if "all" in what else [spot]
    for i in places:
        some[i] = BATCHES[what](some[i], random)
    return Trial(
        f"{use}: {what}, batch {spot}",
        lambda: seen(USES[use](some)),
        ("batches",),
        models=(w.model(), w.pruned(0)),
    )


# --- tables ---


def table(random: Random, place: int) -> Trial:
    """A table with one line that is not whole, or written in another way: its rows, or its line."""
    n, words = random.randrange(4, 30), "light on, off; “now” 中文 é \u200b ok|no 'x' \"y\"".split()
    rows = [
        (" ".join(random.choices(words, k=random.randrange(1, 6))), f"l{i % 3}") for i in range(n)
    ]
    separator = random.choice(",;\t|")
    spot, file = random.randrange(n), io.StringIO()
    end = random.choice(["\n", "\r\n"])
    writer = csv.writer(file, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows])
    lines = file.getvalue().split(end)[:-1]
    what, change = random.choice(list(TABLE_HARM.items()))
    skip = random.random() < 0.3
    lines, encoding, truth, named = change(lines, spot + 1, rows, separator)
    content = end.join([*lines, ""]).encode(encoding, "surrogatepass")
    bad = [row for i, row in enumerate(rows) if i != spot]

    def wrong(found: pl.Texts) -> str | None:
        pairs = list(zip(found.sentences, [found.label_names[y] for y in found.labels]))
        if pairs == truth or skip and truth is None and pairs == bad:
            return None
        return f"{len(pairs)} rows of {n}, e.g. {[p for p in pairs if p not in rows][:2]}"

    return Trial(
        f"{what}, line {spot + 2} of {n + 1}, {separator!r}{', skip_bad' * skip}",
        lambda: pl.read_csv("table.csv", skip_bad=skip),
        (f"line {spot + 2}", f"lines {spot + 2}", str(spot + 2))
        if named
        else ("table.csv", "file"),
        wrong,
        lambda: Path("table.csv").write_bytes(content),
    )


def _line(change: Callable) -> Callable:
    """A line in place of the one at `spot`; only a refusal that names it is right."""

    def harm(lines, spot, rows, sep):
        text, label = rows[spot - 1]
        return lines[:spot] + [change(text, label, sep)] + lines[spot + 1 :], "utf-8", None, True

    return harm


def _as(encoding: str, mark: str = "", readable: bool = False) -> Callable:
    return lambda lines, spot, rows, sep: (
        [mark + lines[0], *lines[1:]],
        encoding,
        rows if readable else None,
        False,
    )


TABLE_HARM = {
    "whole": _as("utf-8", readable=True),
    "an unquoted separator": _line(lambda t, y, s: f"a{s} b{s}{y}"),
    "an open quote": _line(lambda t, y, s: f'"a b{s}{y}'),
    "text behind a quote": _line(lambda t, y, s: f'"a" b{s}{y}'),
    "no label": _line(lambda t, y, s: f"a b{s}"),
    "a label of spaces": _line(lambda t, y, s: f"a b{s}   "),
    "no text": _line(lambda t, y, s: f"{s}{y}"),
    "one column": _line(lambda t, y, s: "a b"),
    "four columns": _line(lambda t, y, s: s.join(["a", y, "c", "d"])),
    "a NUL": _line(lambda t, y, s: f"a{s}\x00"),
    "UTF-8 with a mark": _as("utf-8-sig", readable=True),
    "UTF-16 with a mark": _as("utf-16", readable=True),
    "UTF-16 without": _as("utf-16-le"),
    "another encoding": lambda lines, spot, rows, sep: (
        [line.encode("ascii", "replace").decode() for line in lines[:spot]] + ["Ã¤é" + sep + "l0"],
        "latin-1",
        None,
        False,
    ),
    "the header missing": lambda lines, spot, rows, sep: (lines[1:], "utf-8", None, False),
    "the header twice": lambda lines, spot, rows, sep: (
        [f"text{sep}text{sep}label", *lines[1:]],
        "utf-8",
        None,
        False,
    ),
    "nothing": lambda lines, spot, rows, sep: ([], "utf-8", None, False),
    "the header alone": lambda lines, spot, rows, sep: (lines[:1], "utf-8", None, False),
    "empty lines between": lambda lines, spot, rows, sep: (
        [x for line in lines for x in (line, "")],
        "utf-8",
        rows,
        False,
    ),
    "spaces around labels": lambda lines, spot, rows, sep: (
        [line[:-1] + '  "' for line in lines],
        "utf-8",
        rows,
        False,
    ),
    "a line for Excel": lambda lines, spot, rows, sep: (
        [f"sep={sep}", *lines],
        "utf-8",
        rows,
        False,
    ),
}


# --- tagged words ---

CONLL_HARM = {
    "whole": (lambda word, tag: f"{word} {tag}", True),
    "no tag": (lambda word, tag: word, False),
    "four columns": (lambda word, tag: f"{word} NN x {tag}", False),
    "a tab": (lambda word, tag: f"{word}\t{tag}", True),
    "spaces at the end": (lambda word, tag: f"{word} {tag}  ", True),
    "a no-break space as a word": (lambda word, tag: f"\u00a0 {tag}", False),
    "a NUL": (lambda word, tag: f"{word}\x00 {tag}", False),
}


def tagged(random: Random, place: int) -> Trial:
    """Tagged words with one line that is not whole."""
    tags = ["O", "B-per", "I-per", "B-loc"]
    some = lambda: [
        (random.choice(["Anna", "in", "Köln", "."]), random.choice(tags)) for _ in range(4)
    ]
    sentences = [some() for _ in range(random.randrange(2, 9))]
    what, (change, readable) = random.choice(list(CONLL_HARM.items()))
    spot = random.randrange(len(sentences)), random.randrange(4)
    lines = []
    for i, sentence in enumerate(sentences):
        for j, pair in enumerate(sentence):
            lines.append(change(*pair) if (i, j) == spot else " ".join(pair))
        lines.append("")
    number = 5 * spot[0] + spot[1] + 1

    def wrong(found: pl.Tagged) -> str | None:
        names = [[found.label_names[y] for y in row] for row in found.labels]
        pairs = [list(zip(*row)) for row in zip(found.words, names)]
        return (
            None if readable and pairs == sentences else f"{len(pairs)} sentences, {pairs[spot[0]]}"
        )

    return Trial(
        f"{what}, line {number}",
        lambda: pl.read_conll("words.conll"),
        (str(number),),
        wrong,
        lambda: Path("words.conll").write_text("\n".join(lines), "utf-8"),
    )


# --- rows, and the command's arguments ---

ROWS = {
    "no text": {"label": 1},
    "text that is None": {"text": None, "label": 1},
    "text that is NaN": {"text": NAN, "label": 1},
    "no label": {"text": "a"},
    "a label of another sort": {"text": "a", "label": "x"},
    "a label that is NaN": {"text": "a", "label": NAN},
    "a label that is a list": {"text": "a", "label": [1, 2]},
    "a label out of range": {"text": "a", "label": 99},
    "a label below 0": {"text": "a", "label": -3},
    "True as a label": {"text": "a", "label": True},
    "a row that is a list": ["a", 1],
    "a row that is None": None,
    "an empty text": {"text": "  ", "label": 1},
    "bytes": {"text": b"a", "label": 1},
    "half a character": {"text": "\ud800", "label": 1},
}


def rows(random: Random, place: int) -> Trial:
    """A row that is not whole."""
    what = list(ROWS)[place % len(ROWS)]
    some = [{"text": text, "label": i % 5} for i, text in enumerate(w.SENTENCES)]
    spot = random.randrange(1, len(some))
    some[spot] = ROWS[what]
    network = random.choice([w.model(), None]) if what != "a label out of range" else w.model()
    return Trial(
        f"{what}, row {spot}, {'with' if network else 'without'} a model",
        lambda: pl.as_data(some, network),
        (str(spot),),
    )


COMMAND = [
    *(
        "--keep 0",
        "--keep 1.5",
        "--keep nan",
        "--keep x",
        "--keep 0.5 0.5",
        "--keep inf",
        "--keep -1",
    ),
    *("--points -1", "--points nan", "--points x", "--drop -1", "--drop 3", "--drop 1.5"),
    *("--distill -1", "--distill x", "--learning-rate 0", "--learning-rate nan", "--length 0"),
    *("--length 9999", "--threads 0", "--threads x", "--repeats 0", "--batch-size 0", "--seed x"),
    *("--seed 1.5", "--calibration 3", "--label nonsense", "--text nonsense", "--pair nonsense"),
    *("--language nonsense", "--encoding nonsense", "--separator ab", "--label-names a b"),
    *("--task nonsense", "--task tokens", "--nonsense", "--resume", "--word -3 --task tokens"),
    *("--keep 0.6 --drop 2", "--resume --fresh", "--encoding utf-16", "--threads -1"),
]


def command(random: Random, place: int) -> Trial:
    """One option out of range, of another type, unknown, or against another one."""
    import crashes

    options = COMMAND[place % len(COMMAND)]
    name = options.split()[0]
    several = "--task" in options or name == "--resume"
    names = (name, "--out", "TEXTS", "CHECKPOINT") if several else (name,)
    act = lambda: w.command("model", "texts.csv", "--out", "out", "--no-onnx", *options.split())
    return Trial(options, act, names, accepted, crashes._for_command)


KINDS = [
    Kind("wrong arguments and budgets", argument, 500),
    Kind("wrong arguments of the command", command, len(COMMAND)),
    Kind("wrong batches", batches, 3 * len(BATCHES)),
    Kind("wrong tables", table, 120),
    Kind("wrong tagged words", tagged, 40),
    Kind("wrong rows", rows, 2 * len(ROWS)),
]
