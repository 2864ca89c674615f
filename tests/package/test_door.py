"""`load` finds out what a checkpoint is for, and says what it would have to leave out."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import pruning_lessons as pl
from pruning_lessons.models import checkpoints
from pruning_lessons.models.anatomy import layers_of
from pruning_lessons.models.checkpoints import EMBEDDER, UnnamedPooling, UntrainedHead, label_names
from pruning_lessons.models.tasks import TASKS, labels_of, task_of

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make, make_pretrained, small_tokenizer

WORDS = small_tokenizer()
KINDS = {
    "classification": ("ForSequenceClassification", dict(num_labels=3)),
    "multi-label": (
        "ForSequenceClassification",
        dict(num_labels=3, problem_type="multi_label_classification"),
    ),
    "regression": ("ForSequenceClassification", dict(num_labels=1)),
    "tokens": ("ForTokenClassification", dict(num_labels=3)),
    "question-answering": ("ForQuestionAnswering", {}),
    "fill-mask": ("ForMaskedLM", {}),
    "embedding": ("Model", {}),
}


def stored(folder, family="XLMRoberta", kind="ForSequenceClassification", **changes):
    """A checkpoint of plain transformers."""
    sizes = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=10)
    places = dict(vocab_size=99, max_position_embeddings=40, pad_token_id=1)
    torch.manual_seed(0)
    config = getattr(transformers, family + "Config")(**(sizes | places | changes))
    model = getattr(transformers, family + kind)(config)
    model.save_pretrained(folder)
    WORDS.save_pretrained(folder)
    return folder


def change(folder, name="config.json", **changes):
    file = folder / name
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | changes))
    return folder


def sentence_files(folder, *steps, pooling=None, prompts=None, length=None):
    modules = [{"type": f"sentence_transformers.models.{step}", "path": ""} for step in steps]
    for i, module in enumerate(modules):
        module["path"] = f"{i}_{steps[i]}" if i else ""
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling or {}))
    if prompts:
        change(folder, "config_sentence_transformers.json", **prompts)
    if length:
        change(folder, "sentence_bert_config.json", **length)
    return folder


def warned(call):
    """(what a call returns, the categories of its warnings)."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = call()
    return found, {warning.category for warning in said}


@pytest.mark.parametrize("family", ["XLMRoberta", "Bert"])
@pytest.mark.parametrize("task", KINDS)
def test_the_checkpoint_says_what_it_is_for(family, task, tmp_path):
    kind, options = KINDS[task]
    (model, words), said = warned(lambda: pl.load(stored(tmp_path, family, kind, **options)))
    assert task_of(model) is TASKS[task] and not model.training
    assert said == ({UnnamedPooling} if task == "embedding" else set())
    assert words.model_max_length == (40 if family == "Bert" else 38)


@pytest.mark.parametrize("task", TASKS)
def test_a_head_that_is_not_there_is_drawn_only_if_asked(task, tmp_path):
    """Case bug 24: BERT's fill-mask checkpoint has neither head nor pooler."""
    stored(tmp_path, "Bert", "ForMaskedLM")
    labels = ["on", "off"] if task in ("classification", "multi-label", "tokens") else None
    if labels:
        with pytest.raises(ValueError, match=f"no head.*{task}.*labels=.*BertForMaskedLM"):
            pl.load(tmp_path, task)
    (model, _), said = warned(lambda: pl.load(tmp_path, task, labels=labels))
    assert task_of(model) is TASKS[task] and labels_of(model) in (labels, ["LABEL_0"], None)
    expected = {"embedding": {UnnamedPooling}, "fill-mask": set()}.get(task, {UntrainedHead})
    assert said == expected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again, _ = pl.load(tmp_path, task, labels=labels)
        drawn = pl.save(model, WORDS, tmp_path / "drawn")
    for one, two in zip(model.state_dict().values(), again.state_dict().values()):
        assert torch.equal(one, two)  # drawn the same each time
    assert task_of(pl.load(drawn)[0]) is TASKS[task]


def test_two_heads_of_one_name_are_not_confused(tmp_path):
    """BERT's tagger and classifier both call it `classifier`, in the same shape."""
    stored(tmp_path, "Bert", "ForTokenClassification", num_labels=3)
    with pytest.raises(ValueError, match="no head.*classification.*BertForTokenClassification"):
        pl.load(tmp_path, "classification")
    (model, _), said = warned(lambda: pl.load(tmp_path, "classification", labels=3))
    tagger = load_file(tmp_path / "model.safetensors")
    assert said == {UntrainedHead}
    assert not torch.equal(model.classifier.weight, tagger["classifier.weight"])


def test_labels(tmp_path):
    names = {0: "music", 1: "light", 2: "cold"}
    stored(tmp_path / "a", id2label=names, label2id={name: i for i, name in names.items()})
    stored(tmp_path / "b", num_labels=3)
    load = lambda place, **options: warned(lambda: pl.load(tmp_path / place, **options)[0])
    model, said = load("a", task="classification", labels=["music", "light", "cold"])
    assert labels_of(model) == list(names.values()) and not said
    with pytest.raises(ValueError, match=r"labels: are cold, .*order of.*music, light, cold"):
        load("a", task="classification", labels=["cold", "light", "music"])
    model, said = load("a", task="classification", labels=["spam", "ham"])
    assert labels_of(model) == ["spam", "ham"] and said == {UntrainedHead}
    model, said = load("b", task="multi-label", labels=["x", "y", "z"])  # names for a trained head
    assert labels_of(model) == ["x", "y", "z"] and not said
    assert model.config.problem_type == "multi_label_classification"
    model, said = load("b", task="regression")
    assert model.config.num_labels == 3 and task_of(model).name == "regression" and not said
    model, said = load("a", task="regression")  # named outputs are no numbers
    assert model.config.num_labels == 1 and said == {UntrainedHead}
    for wrong in ("ab", [], ["a", "a"], ["a"], [1, 2], 1.5, True, ["a", ""]):
        with pytest.raises(ValueError, match="labels: is"):
            load("b", task="classification", labels=wrong)
    for task in (None, "fill-mask", "intents"):
        with pytest.raises(ValueError, match="labels: are given for task"):
            load("b", task=task, labels=["a", "b"])
    stored(tmp_path / "one", num_labels=1)
    with pytest.raises(ValueError, match="one output.*regression"):
        load("one", task="classification")


def test_the_intents_only_if_asked(tmp_path):
    folder = make_pretrained(tmp_path / "pretrained")
    assert task_of(pl.load(folder)[0]).name == "fill-mask"
    (model, _), said = warned(lambda: pl.load(folder, "intents"))
    assert labels_of(model) == label_names() and said == {UntrainedHead}
    stored(tmp_path / "own", num_labels=2)
    with pytest.raises(ValueError, match="labels of its own.*LABEL_0, LABEL_1.*lesson 08"):
        pl.load(tmp_path / "own", "intents")


@pytest.mark.parametrize(
    "changes",
    [
        {"id2label": {"0": "a", "2": "b"}},
        {"id2label": {"0": "a", "1": "a"}},
        {"id2label": {"1": "a", "2": "b"}},
        {"id2label": {"0": "a", "1": "b"}, "num_labels": 3},
        {"id2label": ["a", "b"]},
        {"problem_type": "several"},
    ],
)
def test_labels_with_gaps(changes, tmp_path):
    with pytest.raises(ValueError, match="checkpoint.*(label|problem_type)"):
        pl.load(change(stored(tmp_path, num_labels=2), **changes))


def test_embedders(tmp_path):
    """As sentence-transformers writes them, BERT with XLM-R's special tokens among them (E5)."""
    stored(tmp_path, "Bert", "Model")
    mean, cls = {"pooling_mode_mean_tokens": True}, {"pooling_mode_cls_token": True}
    for steps, pooling, expected in (
        (["Transformer", "Pooling", "Normalize"], mean, ("mean", True)),
        (["Transformer", "Pooling"], {"pooling_mode": "cls"}, ("cls", False)),
        (["Transformer", "Pooling"], cls | {"pooling_mode_mean_tokens": False}, ("cls", False)),
    ):
        prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
        sentence_files(tmp_path, *steps, pooling=pooling, prompts=prompts, length={})
        (model, words), said = warned(lambda: pl.load(tmp_path))
        assert (model.config.pooling, model.config.normalize) == expected and not said
        assert model.pooler is None and model.config.prompts == {"query": "query: "}
        copy, _ = pl.load(pl.save(model, words, tmp_path / "copy"))
        assert copy.config.default_prompt_name == "query" and copy.config.pooling == expected[0]
    sentence_files(tmp_path, "Transformer", "Pooling", pooling=mean, length={"max_seq_length": 12})
    assert pl.load(tmp_path)[1].model_max_length == 12
    filled, _ = warned(lambda: pl.load(tmp_path, "question-answering")[0])  # a head on an embedder
    assert not hasattr(filled.config, "pooling")


@pytest.mark.parametrize(
    "steps, pooling, said",
    [
        (["Transformer", "Pooling", "Dense", "Normalize"], {}, "Dense"),
        (["Transformer", "Pooling"], {"pooling_mode_max_tokens": True}, "max.*mean or cls"),
        (["Transformer", "Pooling"], {"pooling_mode": ["cls", "mean"]}, "cls and mean"),
        (["Transformer", "Pooling"], {"pooling_mode": "weightedmean"}, "weightedmean"),
        (["Transformer", "Pooling"], {"include_prompt": False}, "prompt"),
        (["MLMTransformer", "SpladePooling"], {}, "MLMTransformer"),
    ],
)
def test_other_poolings_are_refused(steps, pooling, said, tmp_path):
    sentence_files(stored(tmp_path, kind="Model"), *steps, pooling=pooling)
    for task in (None, "embedding"):
        with pytest.raises(ValueError, match=f"checkpoint.*{said}"):
            pl.load(tmp_path, task)


def test_the_embedded_embedder():
    assert task_of(pl.load(task="embedding")[0]).name == "embedding"
    model, words = pl.load(EMBEDDER)
    assert model.config.pooling == "mean" and model.config.normalize and model.pooler is None
    assert len(words) == model.config.vocab_size


def test_the_embedder_is_missed_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoints, "EMBEDDER", tmp_path / "embedder")
    with pytest.raises(ValueError, match="embedded.*no folder embedder.*embedding"):
        pl.load(task="embedding")


def more_weights(folder, **more):
    file = folder / "model.safetensors"
    tensors = load_file(file) | {name.replace("__", "."): tensor for name, tensor in more.items()}
    save_file({k: v for k, v in tensors.items() if v is not None}, file, {"format": "pt"})


def surplus_layers(folder):
    change(folder, num_hidden_layers=1)


def missing_layers(folder):
    change(folder, num_hidden_layers=3)


def lora_weights(folder):
    more_weights(folder, roberta__encoder__layer__0__lora_A=torch.ones(2))


def relative_positions(folder):
    change(folder, position_embedding_type="relative_key")


def relative_weights(folder):
    more_weights(folder, roberta__encoder__layer__0__distance_embedding__weight=torch.ones(2))


def adapter_beside(folder):
    change(folder, "adapter_config.json", peft_type="LORA")


def crf(folder):
    more_weights(folder, crf__transitions=torch.ones(2, 2))


def longer_head(folder):
    more_weights(folder, classifier__extra__weight=torch.ones(2, 2))


def other_head(folder):
    change(folder, architectures=["MyOwnForSequenceClassification"])


def own_code(folder):
    change(folder, auto_map={"AutoModel": "mine.Model"})


def own_tokenizer_code(folder):
    change(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.Words", None]})


def quantised(folder):
    change(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})


def whole_numbers(folder):
    more_weights(folder, classifier__dense__weight=torch.ones(24, 24, dtype=torch.int8))


def not_a_number(folder):
    more_weights(folder, classifier__dense__weight=torch.full((24, 24), torch.nan))


def no_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def added_tokens(folder):
    words = small_tokenizer()
    words.add_tokens(["kitchenette"])
    words.save_pretrained(folder)


def other_padding(folder):
    change(folder, "tokenizer_config.json", pad_token="turn")


def size_mismatch(folder):
    more_weights(folder, roberta__encoder__layer__1__output__dense__bias=torch.ones(5))


def lost_weight(folder):
    more_weights(folder, roberta__encoder__layer__1__output__dense__bias=None)


def lost_head_weight(folder):
    more_weights(folder, classifier__dense__bias=None)


def index_no_json(folder):
    (folder / "model.safetensors.index.json").write_text("{")


def index_of_lists(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": [1]}')


def index_outside(folder):
    (folder / "model.safetensors").unlink()
    change(folder, "model.safetensors.index.json", weight_map={"a": "../model.safetensors"})


def tokenizer_no_json(folder):
    (folder / "tokenizer.json").write_text("{}")


def unknown_activation(folder):
    change(folder, hidden_act="frob")


def no_heads(folder):
    change(folder, num_attention_heads=0)


def kernels_of_others(folder):
    change(folder, attn_implementation="someone/kernel")


def config_of_lists(folder):
    (folder / "config.json").write_text("[]")


def no_model_type(folder):
    config = json.loads((folder / "config.json").read_text())
    config.pop("model_type")
    (folder / "config.json").write_text(json.dumps(config))


def modules_no_json(folder):
    (folder / "modules.json").write_text("{")


@pytest.mark.parametrize(
    "spoil, said",
    [
        (surplus_layers, r"left out, roberta.encoder.layer.1.*2 layers, its config.json says 1"),
        (missing_layers, r"no weights for roberta.encoder.layer.2"),
        (lora_weights, r"lora_A.*merge"),
        (relative_positions, "relative_key.*absolute"),
        (relative_weights, "distance_embedding.*relative positions"),
        (adapter_beside, "adapter_config.json.*merge"),
        (crf, "crf.transitions.*head of its own"),
        (longer_head, "classifier.extra.weight.*head of its own"),
        (other_head, "MyOwnForSequenceClassification.*name the task"),
        (own_code, "auto_map.*not run"),
        (own_tokenizer_code, "auto_map.*not run"),
        (quantised, "quantization_config"),
        (whole_numbers, "classifier.dense.weight as int8"),
        (not_a_number, "NaN.*classifier.dense.weight"),
        (no_tokenizer, "no tokenizer files"),
        (added_tokens, r"kitchenette.*99 rows.*resize_token_embeddings\(100\)"),
        (other_padding, "pads with token 5, must pad with 1"),
        (size_mismatch, r"layer.1.output.dense.bias with shape \(5,\).*\(24,\)"),
        (lost_weight, "no weights for roberta.encoder.layer.1.output.dense.bias"),
        (lost_head_weight, "no weights for classifier.dense.bias.*another"),
        (index_no_json, "model.safetensors.index.json"),
        (index_of_lists, "model.safetensors.index.json.*weight_map"),
        (index_outside, "model.safetensors.index.json.*own folder"),
        (tokenizer_no_json, "its tokenizer"),
        (unknown_activation, "config.json.*frob"),
        (no_heads, "config.json"),
        (kernels_of_others, "config.json.*someone/kernel"),
        (config_of_lists, "config.json.*list"),
        (no_model_type, "config.json.*model_type"),
        (modules_no_json, "sentence-transformers"),
    ],
)
def test_what_would_be_left_out_is_said(spoil, said, tmp_path):
    """Cases bug 03, 07, 14, fault 07, 15, and more of their kinds: one type of error, by name."""
    spoil(stored(tmp_path, num_labels=3))
    with pytest.raises(ValueError, match=f"^checkpoint: '{tmp_path}'.*{said}"):
        pl.load(tmp_path)


def test_what_changes_nothing_is_taken(tmp_path):
    stored(tmp_path, num_labels=3)
    right, _ = pl.load(tmp_path)
    change(tmp_path, return_dict=False, chunk_size_feed_forward=3, dtype="float16")
    more_weights(
        tmp_path,
        lm_head__bias=torch.ones(99),
        roberta__pooler__dense__bias=torch.ones(24),
        roberta__embeddings__position_ids=torch.arange(40)[None],
    )
    model, words = pl.load(tmp_path)
    batch = words(["turn on the light", "it is cold"], return_tensors="pt", padding=True)
    assert torch.equal(model(**batch).logits, right(**batch).logits)


def test_old_names_of_weights_are_read(tmp_path):
    """`LayerNorm.gamma` and `beta`, as BERT's first checkpoints have them."""
    stored(tmp_path, "Bert", num_labels=3)
    right, _ = pl.load(tmp_path)
    old = load_file(tmp_path / "model.safetensors")
    rename = lambda k: k.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")
    save_file({rename(k): v for k, v in old.items()}, tmp_path / "model.safetensors")
    model, _ = pl.load(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), right.parameters()))


def test_nothing_is_asked_and_no_code_is_run(tmp_path):
    """A checkpoint with code of its own: no question on stdin, a plain error."""
    own_code(stored(tmp_path))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    code = f"import pruning_lessons as pl; pl.load({str(tmp_path)!r})"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, input="y\n", capture_output=True, text=True, timeout=120)
    assert "auto_map" in done.stderr and done.returncode == 1 and not (tmp_path / "ran").exists()


def test_a_download_made_earlier_is_a_folder(tmp_path, monkeypatch):
    """What comes from the hub is read as a folder is, with the same checks."""
    commit = "0" * 40
    place = tmp_path / "models--someone--embedder"
    stored(place / "snapshots" / commit, kind="Model")
    sentence_files(place / "snapshots" / commit, "Transformer", "Pooling", pooling={})
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model, _ = pl.load("someone/embedder")
    assert (model.config.pooling, model.config.normalize) == ("mean", False)
    adapter_beside(place / "snapshots" / commit)
    with pytest.raises(ValueError, match="someone/embedder.*adapter"):
        pl.load("someone/embedder")


def test_arguments(tmp_path):
    """Case fault 21."""
    for options, said in (
        (dict(task=["intents"]), "task: is"),
        (dict(task="translate"), "task: is 'translate'.*fill-mask.*embedding"),
        (dict(device="cuda:99"), "device: is.*cuda"),
        (dict(device=1.5), "device: is 1.5"),
        (dict(checkpoint=None), "checkpoint: is None"),
        (dict(checkpoint=b"x"), "checkpoint: is b'x'"),
    ):
        with pytest.raises(ValueError, match=said):
            pl.load(**options)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        pl.load(tmp_path / "file")


@pytest.mark.parametrize("task", ["intents", *TASKS])
def test_untrained_models_for_every_task(task, monkeypatch):
    monkeypatch.setitem(checkpoints.SIZES, "base", (24, 2, 4, 10))
    labels = ["a", "b"] if task in ("classification", "multi-label", "tokens") else None
    if labels:
        with pytest.raises(ValueError, match="labels: is None"):
            pl.untrained("base", task)
    model, _ = pl.untrained("base", task, pieces=99, labels=labels)
    assert task_of(model).name == ("classification" if task == "intents" else task)
    assert labels_of(model) == {"intents": label_names(), "regression": ["LABEL_0"]}.get(
        task, labels
    )
    with pytest.raises(ValueError, match="task: is None"):
        pl.untrained("base", None)


def test_other_states_are_refused_by_name():
    """Compiled in place, by layer, or with weights that are no plain parameters."""
    model = make()
    model.compile()
    with pytest.raises(TypeError, match="model: its XLMRobertaForSeq.*compiled"):
        layers_of(model)
    model = make()
    model.roberta.encoder.layer[1] = torch.compile(model.roberta.encoder.layer[1])
    with pytest.raises(TypeError, match="compiled"):
        layers_of(model)

    class Packed(torch.nn.Parameter):
        pass

    model = make()
    query = model.roberta.encoder.layer[1].attention.self.query
    query.weight = Packed(query.weight.detach())
    with pytest.raises(TypeError, match="layer 1 has a Packed as weights of its .*query"):
        layers_of(model)


def test_labels_in_another_order_are_matched_by_name(tmp_path):
    """Case bug 04: data whose labels are sorted, a model whose are not."""
    names = {0: "music", 1: "light", 2: "cold"}
    stored(tmp_path, id2label=names, label2id={name: i for i, name in names.items()})
    model, words = pl.load(tmp_path)
    texts = ["play music", "turn on the light", "it is cold"] * 4
    mine = pl.Intents(texts, [0, 1, 2] * 4, ["en"] * 12, ["music", "light", "cold"])
    other = pl.Intents(texts, [2, 1, 0] * 4, ["en"] * 12, ["cold", "light", "music"])
    right = pl.evaluate(model, words, mine).accuracy
    assert pl.evaluate(model, words, other).accuracy == right
    stranger = pl.Intents(texts, [2, 1, 0] * 4, ["en"] * 12, ["a", "b", "c"])
    with pytest.raises(ValueError, match="label"):
        pl.evaluate(model, words, stranger)


def test_the_folder_may_move(tmp_path):
    """Nothing in a saved folder says where it was."""
    folder = pl.save(pl.load(stored(tmp_path / "a", num_labels=3))[0], WORDS, tmp_path / "b")
    for file in folder.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes(), file.name
    shutil.move(folder, tmp_path / "c")
    pl.load(tmp_path / "c")
