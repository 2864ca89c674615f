"""What is exported answers like PyTorch, for every task, and without PyTorch."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import pytest
import torch
import transformers

import pruning_lessons as pl
from pruning_lessons.measuring import metrics
from pruning_lessons.measuring.escapes import in_markdown
from pruning_lessons.models.anatomy import has_masks
from pruning_lessons.models.checkpoints import EMBEDDED
from pruning_lessons.models.tasks import dense, task_of
from pruning_lessons.shipping import export, onnx_model
from pruning_lessons.shipping.card import card
from pruning_lessons.shipping.int8 import rounded
from pruning_lessons.shipping.onnx_model import OnnxModel

sys.path.insert(0, str(Path(__file__).parent))

SENTENCES = [
    "turn on the light",
    "Wie spät ist es?",
    "stop",
    "¿qué tiempo hace mañana en Sevilla, por favor?",
]
LONG = ["turn on the light in the kitchen and play music, please " * 9, "stop"]
CONTEXTS = ["Bill bought Oreos and salad. He also paid in cash.", "It is noon.", "no", LONG[0]]
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
HOSTILE = ["<script>x</script>", "a|b", "# `c`", "![i](http://x)", "line\nbreak"]
SIZES = dict(
    hidden_size=16,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=66,
    type_vocab_size=1,
    pad_token_id=1,
    bos_token_id=0,
    eos_token_id=2,
)


def named(names):
    return dict(id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)})


# task: class, configuration, tokenizer's sides
CASES = {
    "classification": ("ForSequenceClassification", named(HOSTILE), ("left", "left")),
    "multi-label": (
        "ForSequenceClassification",
        named("abcdef") | dict(problem_type="multi_label_classification"),
        ("right", "left"),
    ),
    "regression": (
        "ForSequenceClassification",
        dict(num_labels=1, sbert_ce_default_activation_function="torch.nn.Sigmoid"),
        ("left", "right"),
    ),
    "tokens": ("ForTokenClassification", named(TAGS), ("right", "right")),
    "question-answering": ("ForQuestionAnswering", {}, ("left", "right")),
    "fill-mask": ("ForMaskedLM", {}, ("right", "left")),
    "embedding": (
        "Model",
        dict(pooling="mean", normalize=True, prompts={"query": "query: "}),
        ("right", "right"),
    ),
}


def shaken(model, seed=0):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def cut(model):
    """Layer 0 without heads, layer 1 gone, layer 2 without neurons."""
    masks = pl.Masks.full(model) if hasattr(pl.Masks, "full") else pl.random_masks(model, 1.0)
    masks.heads[0], masks.layers[1], masks.neurons[2] = False, False, False
    return pl.prune(model, masks)


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """(model, tokenizer, folder) of a task; the model has empty and removed layers."""
    kind, changes, (truncation, padding) = CASES[request.param]
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        EMBEDDED, model_max_length=32, truncation_side=truncation, padding_side=padding
    )
    config = transformers.XLMRobertaConfig(vocab_size=len(tokenizer), **SIZES | changes)
    model = cut(shaken(getattr(transformers, "XLMRoberta" + kind)(config)))
    assert task_of(model).name == request.param
    folder = pl.export_onnx(
        model, tokenizer, tmp_path_factory.mktemp("case") / "model", figures={"accuracy": 0.123456}
    )
    return model, tokenizer, folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Pairs with token types, absolute positions, cut on the left, in half precision."""
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] turn on off the light it is cold".split()
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizer.from_pretrained(
        folder, model_max_length=12, truncation_side="left"
    )
    config = transformers.BertConfig(
        **SIZES | dict(vocab_size=len(words), pad_token_id=0, type_vocab_size=2, num_labels=3)
    )
    model = shaken(transformers.BertForSequenceClassification(config)).bfloat16()
    return model, tokenizer, pl.export_onnx(model, tokenizer, folder / "model")


@torch.inference_mode()
def torch_dense(model, tokenizer, texts, pairs=None):
    """What PyTorch gives, with transformers' tokenizer."""
    cutting = "only_second" if task_of(model).name == "question-answering" else True
    batch = tokenizer(texts, pairs, padding=True, truncation=cutting, return_tensors="pt")
    return batch, dense(model.float(), batch).numpy()


def inputs(model, texts=SENTENCES):
    """Texts, and pairs where the task needs them."""
    name = task_of(model).name
    texts = [f"{t} <mask>" for t in texts] if name == "fill-mask" else list(texts)
    return texts, ((CONTEXTS * 9)[: len(texts)] if name == "question-answering" else None)


def test_outputs_equal_pytorch(case):
    model, tokenizer, folder = case
    served = OnnxModel(folder, threads=1)
    again = served.as_transformers()
    for texts in (SENTENCES, ["stop"], [""], SENTENCES * 9, LONG):
        texts, pairs = inputs(model, texts)
        if pairs and texts == LONG:  # a question must leave room
            texts, pairs = pairs[:2], LONG
        batch, wanted = torch_dense(model, tokenizer, texts, pairs)
        found = served.dense(batch)
        assert found.shape == wanted.shape and np.abs(found - wanted).max() < 1e-4
        assert np.abs(served.logits(texts, pairs) - wanted).max() < 1e-4
        cutting = served.settings["truncation"]
        theirs = again(texts, pairs, padding=True, truncation=cutting, return_tensors="pt")
        assert list(theirs) == list(batch)
        assert all(torch.equal(theirs[name], batch[name]) for name in batch)
    assert again.model_max_length == served.max_length == 32
    lengths = [1, 3, 64]  # the longest that it has positions for
    for T in lengths:
        ids = torch.randint(5, 99, (2, T), generator=torch.Generator().manual_seed(T))
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.inference_mode():
            assert np.abs(served.dense(batch) - dense(model, batch).numpy()).max() < 1e-4
    with pytest.raises(ValueError, match="ids.*(2, 65)"):
        served.run(np.full((2, 65), 7), np.ones((2, 65)))


def test_answers_are_in_the_task_s_own_terms(case):
    model, tokenizer, folder = case
    served, (texts, pairs) = OnnxModel(folder, threads=1), inputs(model)
    answers, name = served(texts, pairs), task_of(model).name
    _, wanted = torch_dense(model, tokenizer, texts, pairs)
    out = torch.from_numpy(wanted)
    close = lambda a, b: abs(a - float(b)) < 1e-4
    assert len(answers) == len(texts) and len(served([], pairs and [])) == 0
    assert len(served.logits([], pairs and [])) == 0
    if name == "classification":
        assert served.labels == HOSTILE
        for (label, p), row in zip(answers, out.softmax(-1)):
            assert label == HOSTILE[int(row.argmax())] and close(p, row.max())
    elif name == "multi-label":
        for found, row in zip(answers, out.sigmoid()):
            assert [n for n, _ in found] == ["abcdef"[i] for i, p in enumerate(row) if p >= 0.5]
            assert all(close(p, row["abcdef".index(n)]) for n, p in found)
    elif name == "regression":
        assert all(close(x, row.sigmoid()) for x, (row,) in zip(answers, out))
    elif name == "embedding":
        assert answers.shape == (4, 16) and np.abs(answers - wanted).max() < 1e-4
        assert answers.dtype == np.float32 and served([]).shape == (0, 16)
        _, prompted = torch_dense(model, tokenizer, ["query: " + t for t in texts])
        assert np.abs(served(texts, prompt="query") - prompted).max() < 1e-4
        with pytest.raises(ValueError, match="prompt: is 'passage'.*query"):
            served(texts, prompt="passage")
    elif name == "tokens":
        for text, found, row in zip(texts, answers, out.argmax(-1)):
            words = {}
            encoded = tokenizer(texts, padding=True, return_offsets_mapping=True)
            place = texts.index(text)
            for i, word in enumerate(encoded.word_ids(place)):
                if word is not None:
                    start, end = encoded["offset_mapping"][place][i]
                    first = words.setdefault(word, [TAGS[int(row[i])], start, end])
                    first[2] = end
            words = list(words.values())
            spans = metrics.spans([tag for tag, *_ in words])
            whole = [(k, text[words[a][1] : words[b - 1][2]]) for k, a, b in spans]
            assert [(k, t) for k, t, *_ in found] == [(k, t.strip(" ?,¿")) for k, t in whole]
            assert all(text[start:end] == t for _, t, start, end in found)
    elif name == "question-answering":
        batch = tokenizer(
            texts, pairs, padding=True, truncation="only_second", return_offsets_mapping=True
        )
        for i, (text, score) in enumerate(answers):
            places = [t for t, s in enumerate(batch.sequence_ids(i)) if s == 1]
            first, last = (out[i][side][places].softmax(0) for side in (0, 1))
            best = max(
                (float(first[a] * last[b]), a, b)
                for a in range(len(places))
                for b in range(a, len(places))
                if b < a + 30
            )
            spans = batch["offset_mapping"][i]
            assert close(score, best[0])
            assert text == pairs[i][spans[places[best[1]]][0] : spans[places[best[2]]][1]].strip()
        with pytest.raises(ValueError, match="pairs.*missing"):
            served(texts)
        with pytest.raises(ValueError, match="texts and pairs: cannot be cut to 32 tokens"):
            served(LONG[:1], ["stop"])
    elif name == "fill-mask":
        batch, _ = torch_dense(model, tokenizer, texts)
        for found, row, ids in zip(answers, out, batch["input_ids"]):
            (five,) = found
            p, best = row[ids == tokenizer.mask_token_id][0].softmax(-1).topk(5)
            assert [x for x, _ in five] == [tokenizer.decode([i]).strip() for i in best]
            assert all(close(x, y) for (_, x), y in zip(five, p))
        assert len(served(["<mask> on the <mask>"])[0]) == 2
        with pytest.raises(ValueError, match="has no <mask>"):
            served(["turn on"])


def test_wrong_texts(case):
    model, _, folder = case
    served, (texts, pairs) = OnnxModel(folder, threads=1), inputs(model)
    for wrong, kind in (("stop", "one text"), (None, "NoneType"), (b"stop", "bytes"), (7, "int")):
        with pytest.raises(TypeError, match=f"texts: is .*{kind}"):
            served(wrong, pairs)
    with pytest.raises(TypeError, match="texts: number 1 is a float"):
        served([texts[0], float("nan")], pairs)
    with pytest.raises(ValueError, match="texts: number 0 is no valid Unicode"):
        served(["\udcff"], pairs)
    if task_of(model).name in ("tokens", "embedding"):
        with pytest.raises(ValueError, match="pairs: are given"):
            served(texts, texts)
    else:
        with pytest.raises(ValueError, match="pairs: are 1, must be as many as texts: 4"):
            served(texts, ["one"])
        with pytest.raises(TypeError, match="pairs: is one text"):
            served(texts, "one")


def test_int8_is_close(case):
    model, _, folder = case
    file = pl.quantize_onnx(folder)
    assert file.stat().st_size < 0.5 * (folder / "model.onnx").stat().st_size
    texts, pairs = inputs(model)
    whole, small = (OnnxModel(folder, quantized=q, threads=1) for q in (False, True))
    before, after = (m.logits(texts, pairs) for m in (whole, small))
    assert 0 < np.abs(after - before).mean() < 0.05 * np.abs(before).mean() + 0.02
    assert {p.name for p in folder.iterdir()} == {
        "answer.py",
        "config.json",
        "model-int8.onnx",
        "model.onnx",
        "README.md",
        "settings.json",
        "tokenizer.json",
    }


def test_the_script_needs_no_torch(case):
    model, _, folder = case
    (texts, pairs), name = inputs(model), task_of(model).name
    more = ["--pair", pairs[0]] if pairs else []
    run = script(folder, *texts[:2], *more)
    assert run.returncode == 0 and run.stdout.count("→") == 2, run.stderr
    lines = [f"{a}\t{b}" for a, b in zip(texts, pairs)] if pairs else texts
    run = script(folder, "--json", "--threads", "1", stdin="\n".join([*lines, "", ""]))
    assert run.returncode == 0, run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert [row["text"] for row in found] == texts
    answers = OnnxModel(folder)(texts, pairs)
    if name == "classification":
        assert [row["answer"]["label"] for row in found] == [label for label, _ in answers]
    elif name == "embedding":
        assert np.allclose([row["answer"] for row in found], answers)
        assert script(folder, "--prompt", "query", "stop").returncode == 0
    elif name == "tokens":
        assert all(set(s) == {"type", "text", "start", "end"} for r in found for s in r["answer"])
    elif name == "question-answering":
        assert [row["answer"]["text"] for row in found] == [text for text, _ in answers]
        run = script(folder, "who?")
        assert run.returncode == 1 and "pairs: are missing" in run.stderr


def script(folder, *arguments, stdin=""):
    """answer.py, in a Python that has no torch, transformers or this package."""
    code = f"""
import sys
class Block:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in ("torch", "transformers", "pruning_lessons"):
            raise ImportError(name)
sys.meta_path.insert(0, Block())
sys.argv = ["answer.py", *{list(arguments)!r}]
import runpy
runpy.run_path("answer.py", run_name="__main__")
"""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    )


def test_pairs_of_bert_have_token_types(bert):
    model, tokenizer, folder = bert
    served = OnnxModel(folder, threads=1)
    one, two = ["turn on the light", "it is cold", "off"], ["it is cold", "off", "the light " * 9]
    batch, wanted = torch_dense(model, tokenizer, one, two)
    assert batch["input_ids"].shape == (3, 12) and batch["token_type_ids"].any()
    assert np.abs(served.logits(one, two) - wanted).max() < 1e-4
    assert np.abs(served.dense(batch) - wanted).max() < 1e-4
    without = {name: batch[name] for name in ("input_ids", "attention_mask")}
    assert np.abs(served.dense(without) - wanted).max() > 1e-2
    theirs = served.as_transformers()(one, two, padding=True, truncation=True, return_tensors="pt")
    assert all(torch.equal(theirs[name], batch[name]) for name in batch)
    ids = np.full((1, 66), 7)  # no two positions fewer than BERT has
    assert served.run(ids, np.ones_like(ids)).shape == (1, 3)
    run = script(folder, stdin="it is cold\toff\noff\tit is on\n")
    assert run.returncode == 0 and run.stdout.count(" | ") == 2
    run = script(folder, stdin="it is cold\toff\noff\n")
    assert run.returncode == 1 and "lines [2]" in run.stderr


def test_an_embedder_by_its_first_token_without_length_one(bert, tmp_path):
    _, tokenizer, _ = bert
    config = transformers.BertConfig(
        **SIZES | dict(vocab_size=len(tokenizer), pad_token_id=0, type_vocab_size=2),
        pooling="cls",
        normalize=False,
    )
    model = pl.prune_weights(shaken(transformers.BertModel(config)), 0.5)  # with masks
    served = OnnxModel(pl.export_onnx(model, tokenizer, tmp_path / "model"), threads=1)
    _, wanted = torch_dense(model, tokenizer, ["turn on", "it is cold and off"])
    assert np.abs(served(["turn on", "it is cold and off"]) - wanted).max() < 1e-4
    assert np.abs(np.linalg.norm(wanted, axis=1) - 1).min() > 0.1
    assert has_masks(model) and "token_type_ids" in [x.name for x in served.session.get_inputs()]


def test_usage_and_errors_of_the_script(bert):
    *_, folder = bert
    for run in (script(folder), script(folder, stdin="\n \n")):
        assert run.returncode == 2 and "usage: answer.py" in run.stderr and not run.stdout
    assert "--threads" in script(folder, "--help").stdout
    for options, words in (
        (["--int8", "off"], "no model-int8.onnx: run quantize_onnx"),
        (["--threads", "0", "off"], "threads: is 0"),
        (["--prompt", "query", "off"], "prompt: is 'query'"),
        (["off", "--pair", "on", "--pair", "on", "--pair", "on"], "pairs: are 3"),
    ):
        run = script(folder, *options)
        assert run.returncode == 1 and words in run.stderr and "Traceback" not in run.stderr


DAMAGE = {
    "settings.json missing": ("settings.json", None, "settings.json.*no such file"),
    "tokenizer.json missing": ("tokenizer.json", None, "tokenizer.json.*no such file"),
    "settings no JSON": ("settings.json", "{", "settings.json.*cannot be read"),
    "settings a list": ("settings.json", "[]", "settings.json.*holds no settings"),
    "tokenizer no JSON": ("tokenizer.json", "{", "tokenizer.json.*cannot be read"),
    "model cut off": ("model.onnx", 1000, "model.onnx.*cannot be read"),
    "labels a text": ("settings.json", dict(labels="abc"), "labels"),
    "one label": ("settings.json", dict(labels=["a"]), "1 labels.*3 outputs"),
    "a side": ("settings.json", dict(padding_side="up"), "padding_side 'up'"),
    "another task": ("settings.json", dict(task="intents"), "task 'intents'"),
    "a list for a task": ("settings.json", dict(task=[]), r"task \[\]"),
    "a limit": ("settings.json", dict(max_length=0), "max_length 0"),
    "another export": ("settings.json", dict(export="0"), "not of the export"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_folders(bert, name, tmp_path):
    *_, folder = bert
    wrong, change, words = DAMAGE[name]
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = tmp_path / wrong
    if change is None:
        file.unlink()
    elif isinstance(change, dict):
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
    else:
        file.write_bytes(file.read_bytes()[:change] if change == 1000 else change.encode())
    with pytest.raises(ValueError, match=f"folder: .*{words}"):
        OnnxModel(tmp_path)
    if name in ("settings.json missing", "settings no JSON", "settings a list"):
        with pytest.raises(ValueError, match="folder: .*settings.json"):
            pl.quantize_onnx(tmp_path)
        with pytest.raises(ValueError, match="folder: .*settings.json"):
            export.put_figures(tmp_path, {})
    if name == "model cut off":
        with pytest.raises(ValueError, match="folder: model.onnx.*damaged"):
            pl.quantize_onnx(tmp_path)
    run = script(tmp_path, "off")
    assert run.returncode == 1 and "Traceback" not in run.stderr


def test_a_limit_beyond_the_model_s(bert, tmp_path):
    *_, folder = bert
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(max_length=10**6)))
    with pytest.raises(ValueError, match="model.onnx cannot run on token ids of shape"):
        OnnxModel(tmp_path)(["light " * 900])


def test_only_own_files_are_replaced(bert, tmp_path):
    model, tokenizer, folder = bert
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    pl.quantize_onnx(tmp_path)
    assert "| model-int8.onnx |" in (tmp_path / "README.md").read_text("utf-8")
    (tmp_path / "thesis.txt").write_text("three years")
    (tmp_path / "README.md").write_text("my own words")
    other = shaken(pl.prune(model, pl.random_masks(model, 0.5)))
    pl.export_onnx(other, tokenizer, tmp_path)
    one, two = (json.loads((f / "settings.json").read_text()) for f in (folder, tmp_path))
    assert one["export"] != two["export"]
    assert not (tmp_path / "model-int8.onnx").exists()  # it was of the model before
    assert (tmp_path / "thesis.txt").read_text() == "three years"
    assert (tmp_path / "README.md").read_text() == "my own words"


def test_a_failed_export_leaves_what_was_there(bert, monkeypatch):
    model, tokenizer, folder = bert
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    monkeypatch.setattr(
        export, "_write_model", lambda *a: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        pl.export_onnx(model, tokenizer, folder)
    assert before == {p.name: p.read_bytes() for p in folder.iterdir()}


def test_bad_input(bert, tmp_path):
    model, tokenizer, _ = bert
    big = transformers.AutoTokenizer.from_pretrained(EMBEDDED)
    with pytest.raises(ValueError, match="tokenizer: has tokens that the model has no embedding"):
        pl.export_onnx(model, big, tmp_path / "x")
    with pytest.raises(TypeError, match="model"):
        pl.export_onnx(torch.nn.Linear(2, 2), tokenizer, tmp_path / "x")
    with pytest.raises(TypeError, match="figures: is a list"):
        pl.export_onnx(model, tokenizer, tmp_path / "x", figures=[1])
    with pytest.raises(ValueError, match="figures: must hold numbers"):
        pl.export_onnx(model, tokenizer, tmp_path / "x", figures={"loss": float("nan")})
    with pytest.raises(TypeError, match="tokenizer: is a NoneType"):
        pl.export_onnx(model, None, tmp_path / "x")
    broken = shaken(pl.prune(model, pl.random_masks(model, 1.0)))
    broken.classifier.bias.data[0] = float("nan")
    with pytest.raises(ValueError, match="model: has NaN or infinite values in classifier.bias"):
        pl.export_onnx(broken, tokenizer, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    (tmp_path / "config.json").write_text('{"my": "web app"}')
    with pytest.raises(ValueError, match="folder.*config.json.*no export"):
        pl.export_onnx(model, tokenizer, tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="folder.*is a file"):
        pl.export_onnx(model, tokenizer, tmp_path / "file")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "file"]
    with pytest.raises(ValueError, match="no model.onnx"):
        pl.quantize_onnx(tmp_path)
    with pytest.raises(ValueError, match="no model.onnx.*export_onnx"):
        OnnxModel(tmp_path)
    with pytest.raises(ValueError, match="threads: is 0"):
        OnnxModel(tmp_path, threads=0)


def test_the_folder_names_no_machine(case):
    *_, folder = case
    here = [str(Path.home()), str(Path(pl.__file__).parents[1]), sys.prefix, "site-packages"]
    for file in folder.iterdir():
        content = file.read_bytes()
        assert not any(place.encode() in content for place in here if place != "/"), file.name


def test_the_card(case):
    model, _, folder = case
    text = (folder / "README.md").read_text("utf-8")
    assert "| accuracy | 0.1235 |" in text and "| 2 | 2 | 0 |" in text and "| 0 | 0 | 24 |" in text
    assert "32 tokens" in text and "As the original checkpoint's" in text
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["kept_layers"] == [0, 2] and config["architectures"] == [type(model).__name__]
    body = text.split("\n\n", 3)[3]
    assert "<" not in body.split("## Run it")[0]
    if task_of(model).name == "classification":
        assert "&lt;script&gt;" in text and "a\\|b" in text and "\nbreak" not in text
        settings = json.loads((folder / "settings.json").read_text("utf-8"))
        assert "<img" not in card(config, settings | {"figures": {"<img src=x>": "<b>|"}}, {})
    export.put_figures(folder, {"seconds": {"float32": 2.0, "int8": 1}})
    text = (folder / "README.md").read_text("utf-8")
    assert "| seconds, float32 | 2 |" in text and "accuracy |" not in text
    OnnxModel(folder)
    export.put_figures(folder, {"accuracy": 0.123456})
    assert in_markdown("a\n\n# b") == "a \\# b"


def test_spans_are_seqeval_s():
    draw = random.Random(0)
    tags = ["O", *(f"{p}-{kind}" for p in "BIES" for kind in ("PER", "LOC")), "B", "I"]
    for _ in range(500):
        row = draw.choices(tags, k=draw.randrange(9))
        words = [(tag, i, i + 1) for i, tag in enumerate(row)]
        assert onnx_model._spans(words) == metrics.spans(row)
    plain = [("PER", 0, 1), ("PER", 2, 3), ("O", 4, 5), ("LOC", 6, 7)]
    assert onnx_model._spans(plain) == [("PER", 0, 3), ("LOC", 6, 7)]


def test_whole_numbers_keep_to_their_range():
    w = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    w[:, 3] = 0
    for axis, top in ((0, 63), (1, 127)):
        whole, scale = rounded(w, axis, top)
        assert np.abs(whole).max() == top
        back = whole * (scale if axis == 0 else scale[:, None])
        assert np.abs(back - w).max() <= scale.max() / 2 * 1.001
    whole, _ = rounded(w, 0, 63)
    assert 2 * 255 * int(np.abs(whole).max()) < 2**15  # two products fit in 16 bits


def test_no_import_without_its_telemetry_off(bert, tmp_path):
    """onnxruntime connects to its maker when imported, natively, unless the environment says no."""
    *_, folder = bert
    name = "ORT_DISABLE_TELEMETRY"
    (tmp_path / "onnxruntime.py").write_text(f"import os; print(os.environ.get({name!r}))")
    env = {k: v for k, v in os.environ.items() if k != name} | {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", "import answer"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=env,
    )
    assert run.stdout.strip() == "1", run.stderr
    sources = Path(pl.__file__).parent.rglob("*.py")
    importing = [f.name for f in sources if "import onnxruntime" in f.read_text("utf-8")]
    assert importing == ["onnx_model.py"]


def test_the_embedded_model(embedded, tmp_path):
    """Uneven, with empty and removed layers, and fewer pieces."""
    model, tokenizer = embedded
    masks = pl.random_masks(model, 0.3, seed=2)
    masks.heads[0], masks.neurons[1], masks.layers[2] = False, False, False
    masks.layers[4:] = False
    model, tokenizer = pl.prune_vocabulary(pl.prune(model, masks), tokenizer, SENTENCES)
    served = OnnxModel(pl.export_onnx(model, tokenizer, tmp_path / "model"), threads=1)
    for texts in (SENTENCES, SENTENCES[:1], SENTENCES * 5):
        _, wanted = torch_dense(model, tokenizer, texts)
        assert np.abs(served.logits(texts) - wanted).max() < 1e-4
    label, share = served(SENTENCES)[1]
    assert label == model.config.id2label[int(wanted[1].argmax())] and 0 < share <= 1
    assert isinstance(served, pl.OnnxClassifier)
