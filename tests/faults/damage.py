"""Flipped bits, cut, empty, missing and swapped files, configurations and tokenizers that lie."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import crashes
import torch
import world as w
from machine import Kind, Trial
from transformers import AutoModelForSequenceClassification

import pruning_lessons as pl
from pruning_lessons.models.checkpoints import quiet
from pruning_lessons.models.tasks import labels_of

# --- any file ---


def flip(file: Path, random: Random) -> str:
    content = bytearray(file.read_bytes())
    place, bit = random.randrange(len(content)), random.randrange(8)
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {place} of {len(content)} flipped"


def flip_head(file: Path, random: Random) -> str:
    """Where formats keep names, shapes and sizes."""
    content = bytearray(file.read_bytes())
    place = random.randrange(min(len(content), 400))
    content[place] ^= 1 << random.randrange(8)
    file.write_bytes(content)
    return f"byte {place} of the first 400 changed"


def cut(file: Path, random: Random) -> str:
    size = random.randrange(file.stat().st_size)
    os.truncate(file, size)
    return f"cut to {size} bytes"


def zeros(file: Path, random: Random) -> str:
    """As a power cut leaves what was not on disk yet."""
    size = file.stat().st_size
    start = random.randrange(size)
    content = file.read_bytes()
    file.write_bytes(content[:start] + bytes(size - start))
    return f"zeros from byte {start}"


def empty(file: Path, random: Random) -> str:
    file.write_bytes(b"")
    return "empty"


def missing(file: Path, random: Random) -> str:
    file.unlink()
    return "missing"


def folder_instead(file: Path, random: Random) -> str:
    file.unlink()
    file.mkdir()
    return "a folder"


def noise(file: Path, random: Random) -> str:
    file.write_bytes(random.randbytes(random.randrange(1, 2000)))
    return "noise"


def json_garbage(file: Path, random: Random) -> str:
    text = random.choice(["null", "[]", "3", '"x"', "{}", "{", "\ufeff{}", '{"a": NaN}'])
    file.write_text(text, "utf-8")
    return f"holds {text}"


HARM = (flip, flip, flip_head, cut, zeros, empty, missing, folder_instead, noise, json_garbage)


def swap(other: str) -> Callable:
    """The namesake from another folder."""

    def swapped(file: Path, random: Random) -> str:
        file.write_bytes((w.template(other) / file.name).read_bytes())
        return f"that of {other}"

    return swapped


def damaged(folder: str, twin: str, look: Callable, oracle: Callable = lambda found: "differs"):
    """Trials on each file of a folder: `look` says what it holds, as when whole, or an error; or
    it is right by another oracle.
    """

    def make(random: Random, place: int) -> Trial:
        files = sorted(f.name for f in w.template(folder).iterdir())
        name = files[place % len(files)]
        harm = random.choice([*HARM, swap(twin)])
        seed = random.random()

        def setup() -> None:
            w.copied(folder, "out")
            harm(Path("out", name), Random(seed))

        return Trial(
            f"{folder}: {name}, {harm.__name__}",
            lambda: look("out"),
            (name, "checkpoint", "folder"),
            lambda found: oracle(found) and w.differs(look(w.template(folder)))(found),
            setup,
        )

    return make


def loaded(folder) -> list:
    network, words = pl.load(folder)
    ids = words(w.SENTENCES)["input_ids"]
    return [list(network.state_dict().values()), w.answers(network), labels_of(network), ids]


def by_transformers(found) -> str | None:
    """The oracle of a folder that transformers alone wrote: what it reads itself without a word."""
    theirs = _by_transformers()
    return None if theirs is not None and w.alike(theirs, found[1]) else "transformers says other"


def whole_export(folder) -> list:
    return [list(map(str, pl.OnnxModel(folder, int8, 1)(w.SENTENCES))) for int8 in (False, True)]


# --- journals ---


def journal(random: Random, place: int) -> Trial:
    """A journal that is whole up to the moment of a kill, then damaged."""
    name = list(crashes.workers())[place % 5]
    harm, seed = random.choice([*HARM, flip, flip, flip]), random.random()
    steps = random.randrange(1, 4)

    def setup() -> None:
        def stop(self, *args, real=Journal.write) -> None:
            real(self, *args)
            Journal.left -= 1
            if not Journal.left:
                raise KeyboardInterrupt

        Journal.left, real = steps, Journal.write
        Journal.write = stop
        try:
            act()
        except KeyboardInterrupt:
            pass
        Journal.write = real
        found = [f for f in Path("out").rglob("*.safetensors") if f.is_file()]
        if found:
            harm(found[0], Random(seed))

    from pruning_lessons.models.journal import Journal

    act = crashes.workers()[name][1]
    wrong = lambda found: None if w.alike(w.results(name), found) else "another result"
    return Trial(
        f"{name}: journal, {harm.__name__} after {steps} writes",
        act,
        ("folder", "resume", "training", "search"),
        wrong,
        setup,
        entry=False,
    )


# --- configurations ---

ODD_VALUES = [
    *(None, True, False, -1, 0, 1, 3, 7, 10**9, 10**30, 1.5, -0.5, float("nan"), float("inf")),
    *("", "abc", "None", [], {}, [1], {"a": 1}, "../../x", "\u202e\x00", "gelu", "relu"),
]
ADDED = {
    "model_type": ["bert", "roberta", "gpt2", "t5", "pruned-xlm-roberta", "", "XLM-Roberta"],
    "architectures": [["BertModel"], [], None, ["XLMRobertaForMaskedLM"], "X", [3], ["../x"]],
    "id2label": [
        *({str(i): f"n{i}" for i in (4, 3, 2, 1, 0)}, {str(i): "same" for i in range(5)}),
        *({str(i): f"n{i}" for i in range(4)}, {str(i + 1): f"n{i}" for i in range(5)}),
        *(
            [f"n{i}" for i in range(5)],
            {f"x{i}": i for i in range(5)},
            {str(i): i for i in range(5)},
        ),
        {str(i): "</script><b>\x07" + str(i) for i in range(5)},
    ],
    "problem_type": ["regression", "multi_label_classification", "nonsense", 3],
    "auto_map": [{"AutoModel": "x.Y"}],
    "quantization_config": [{"bits": 4}],
    "is_decoder": [True, "yes"],
    "add_cross_attention": [True],
    "position_embedding_type": ["relative_key", "absolute", 3],
    "hidden_act": ["relu", "silu", "nonsense"],
    "dtype": ["float16", "bfloat16", "nonsense", 16],
    "torch_dtype": ["float16", "int8", "nonsense"],
    "return_dict": [False],
    "output_attentions": [True],
    "output_hidden_states": [True],
    "_attn_implementation": ["flash_attention_2", "eager", "nonsense"],
    "chunk_size_feed_forward": [1, 4, -1, "x"],
    "tie_word_embeddings": [False, "no"],
    "num_labels": [2, 5, 0, -1, "5"],
    "layer_norm_eps": [1e-12, 1.0, "1e-5", -1],
    "kept_heads": [[[0]] * 3, [], "x"],
    "neurons_per_layer": [[20, 20, 19], [0] * 3, "x"],
    "pooling": ["max", 3, ["cls"]],
    "attention_probs_dropout_prob": [1.5, -1, "x", 0.99],
}


def config(random: Random, place: int) -> Trial:
    """One key of config.json changed, in what transformers saved and in what `save` saved."""
    name = random.choice(["plain-0", "plain-0", "uneven-0"])
    raw = json.loads((w.template(name) / "config.json").read_text())
    key = random.choice([*raw, *ADDED, *ADDED])
    values = ADDED.get(key, []) * 3 + ODD_VALUES + ["missing"]
    value = random.choice(values)
    changed = {k: v for k, v in raw.items() if k != key}
    if value != "missing":
        changed[key] = value

    def setup() -> None:
        w.copied(name, "out")
        Path("out/config.json").write_text(json.dumps(changed))

    def wrong(found) -> str | None:
        _, network, labels, ids = found
        named = changed.get("id2label")
        if isinstance(named, dict) and labels != [str(named[str(i)]) for i in range(len(named))]:
            return f"labels {labels}"
        whole = loaded(w.template(name))
        if w.alike(whole[1], network) and w.alike(whole[3], ids):
            return None
        return None if w.alike(_by_transformers(), network) else "answers differ"

    return Trial(
        f"{name}: config.json, {key} = {value!r}"[:100],
        lambda: loaded("out"),
        ("checkpoint", "config.json"),
        wrong,
        setup,
    )


def _by_transformers() -> torch.Tensor | None:
    """The answers of plain transformers, if it loads the folder and says nothing."""
    try:
        with quiet():
            network, said = AutoModelForSequenceClassification.from_pretrained(
                "out", output_loading_info=True, dtype=torch.float32
            )
        return None if any(said.values()) else w.answers(network)
    except Exception:
        return None


# --- tokenizers ---


def _edit(name: str, change: Callable) -> Callable:
    def harm() -> None:
        file = Path("out", name)
        content = json.loads(file.read_text("utf-8"))
        change(content)
        file.write_text(json.dumps(content), "utf-8")

    return harm


def _vocabulary(change: Callable) -> Callable:
    return _edit("tokenizer.json", lambda c: change(c["model"]["vocab"], c))


TOKENIZERS = {
    "no files": lambda: [f.unlink() for f in Path("out").glob("tokenizer*")],
    "no tokenizer.json": lambda: Path("out/tokenizer.json").unlink(),
    "no pieces": _vocabulary(lambda v, c: v.clear()),
    "one piece": _vocabulary(lambda v, c: v.__delitem__(slice(1, None))),
    "more pieces than rows": _vocabulary(lambda v, c: v.extend([f"x{i}", -9.0] for i in range(99))),
    "an added token beyond the rows": _edit(
        "tokenizer.json",
        lambda c: c["added_tokens"].append(
            dict(c["added_tokens"][-1], id=9999, content="<new>", special=False)
        ),
    ),
    "pieces twice": _vocabulary(lambda v, c: v.__setitem__(9, v[8])),
    "a score that is NaN": _vocabulary(lambda v, c: v.__setitem__(9, [v[9][0], float("nan")])),
    "control characters": _vocabulary(lambda v, c: v.__setitem__(9, ["\x00\x1b[2J\u202e", -9.0])),
    "another model": _edit("tokenizer.json", lambda c: c["model"].update(type="WordPiece")),
    "no model": _edit("tokenizer.json", lambda c: c.pop("model")),
    "no post-processor": _edit("tokenizer.json", lambda c: c.update(post_processor=None)),
    "padding of another id": _edit("tokenizer_config.json", lambda c: c.update(pad_token="<s>")),
    "no padding": _edit("tokenizer_config.json", lambda c: c.update(pad_token=None)),
    "a length of -1": _edit("tokenizer_config.json", lambda c: c.update(model_max_length=-1)),
    "a length of 0": _edit("tokenizer_config.json", lambda c: c.update(model_max_length=0)),
    "a length of 'x'": _edit("tokenizer_config.json", lambda c: c.update(model_max_length="x")),
    "a length of 1e30": _edit("tokenizer_config.json", lambda c: c.update(model_max_length=1e30)),
    "another class": _edit("tokenizer_config.json", lambda c: c.update(tokenizer_class="Nonsense")),
    "code of its own": _edit(
        "tokenizer_config.json", lambda c: c.update(auto_map={"AutoTokenizer": ["x.Y", None]})
    ),
    "settings that are a list": lambda: Path("out/tokenizer_config.json").write_text("[]"),
    "padding on the left": _edit("tokenizer_config.json", lambda c: c.update(padding_side="left")),
    "padding nowhere": _edit("tokenizer_config.json", lambda c: c.update(padding_side="middle")),
}


def tokenizer(random: Random, place: int) -> Trial:
    """A tokenizer that is not the model's: refused, or the answers of the one that is there."""
    what = list(TOKENIZERS)[place % len(TOKENIZERS)]
    name = ("plain-0", "uneven-0")[place // len(TOKENIZERS) % 2]

    def setup() -> None:
        w.copied(name, "out")
        TOKENIZERS[what]()

    def act(folder="out") -> list:
        network, words = pl.load(folder)
        texts = pl.Texts(w.SENTENCES, w.LABELS)
        return [float(pl.evaluate(network, words, texts).accuracy), words(w.SENTENCES)["input_ids"]]

    def wrong(found) -> str | None:
        return w.differs(act(w.template(name)))(found)

    return Trial(f"{name}: {what}", act, ("checkpoint", "tokenizer"), wrong, setup)


def settings(random: Random, place: int) -> Trial:
    """One key of an export's settings.json or config.json changed."""
    file = random.choice(["settings.json"] * 3 + ["config.json"])
    raw = json.loads((w.template("onnx-0") / file).read_text())
    key = list(raw)[place % len(raw)]
    value = random.choice([*ODD_VALUES, "missing", ["x"] * 5, ["x"] * 6, "left", "only_second"])
    changed = copy.deepcopy(raw)
    changed.pop(key) if value == "missing" else changed.update({key: value})

    def setup() -> None:
        w.copied("onnx-0", "out")
        Path("out", file).write_text(json.dumps(changed))

    return Trial(
        f"{file}: {key} = {value!r}"[:100],
        lambda: whole_export("out"),
        (file, "folder"),
        lambda found: w.differs(whole_export(w.template("onnx-0")))(found),
        setup,
    )


HARMED = "each file flipped, cut, zeroed, empty, missing, swapped, a folder, noise or other JSON"
KINDS = [
    Kind("damaged files: saved models", damaged("uneven-0", "model-1", loaded), 90, HARMED),
    Kind(
        "damaged files: transformers' models",
        damaged("plain-0", "model-1", loaded, by_transformers),
        50,
    ),
    Kind("damaged files: ONNX folders", damaged("onnx-0", "onnx-1", whole_export), 90, HARMED),
    Kind("damaged files: journals", journal, 80),
    Kind("hostile configurations", config, 160),
    Kind("hostile tokenizers", tokenizer, 2 * len(TOKENIZERS)),
    Kind("hostile settings of exports", settings, 60),
]
