"""What people hand in: batches of other makers, odd labels, models that were pruned before."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    BatchEncoding,
    DataCollatorForLanguageModeling,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    default_data_collator,
)

import pruning_lessons as pl
from pruning_lessons.models.batches import as_batches
from pruning_lessons.models.checkpoints import quiet
from pruning_lessons.models.tasks import labels_of
from pruning_lessons.pruning.walk import Score, answers
from pruning_lessons.recovery.distillation import _layer_map

sys.path.insert(0, str(Path(__file__).parent))
from zoo import batch, part, tiny

SIZES = dict(max_position_embeddings=66, bos_token_id=0, eos_token_id=2, num_hidden_layers=3)
TEXTS = ["hello world", "Anna lives in Köln", "a"]
HEADS = pytest.mark.parametrize("task", pl.TASKS)
POSITIONS = ("start_positions", "end_positions")


@pytest.fixture(scope="module")
def tokenizer():
    with quiet():
        whole = AutoTokenizer.from_pretrained(pl.EMBEDDED)
    model = tiny("xlm-roberta", "classification", **SIZES | dict(vocab_size=len(whole)))
    small = pl.prune_vocabulary(model, whole, [*TEXTS, "text one two"])[1]
    small.model_max_length = 64
    return small


@pytest.fixture(scope="module")
def models(tokenizer):
    return {t: tiny("xlm-roberta", t, **SIZES | dict(vocab_size=len(tokenizer))) for t in pl.TASKS}


def close(one: pl.Scores, other: pl.Scores) -> bool:
    return torch.allclose(one.heads, other.heads, rtol=1e-4, atol=1e-7)


# --- batches, whoever made them ---


@pytest.mark.parametrize(
    "change",
    [
        BatchEncoding,
        lambda b: {name: t.int() for name, t in b.items()},
        lambda b: {name: t.numpy() for name, t in b.items()},
        lambda b: {name: t.tolist() for name, t in b.items()},
        lambda b: {"label" if name == "labels" else name: t for name, t in b.items()},
        lambda b: b | {"attention_mask": b["attention_mask"].bool(), "idx": ["x"] * 6},
        lambda b: b | {"token_type_ids": torch.ones_like(b["input_ids"])},
    ],
)
def test_the_same_batch_in_another_form_gives_the_same_scores(change):
    model = tiny("xlm-roberta", "classification", type_vocab_size=1)  # as the real one
    one = batch("classification")
    empty = part(one, slice(0, 0))
    assert close(pl.importance(model, [change(one), empty]), pl.importance(model, [one]))


def test_batches_of_collators(tokenizer, models):
    encoded = [dict(tokenizer(text)) for text in TEXTS]
    tags = [e | {"labels": [-100, *[1] * (len(e["input_ids"]) - 2), -100]} for e in encoded]
    spans = dict(start_positions=5, end_positions=6, example_id="x")
    made = {
        "classification": DataCollatorWithPadding(tokenizer)([e | {"label": 1} for e in encoded]),
        "regression": DataCollatorWithPadding(tokenizer)([e | {"label": 0.5} for e in encoded]),
        "tokens": DataCollatorForTokenClassification(tokenizer)(tags),
        "fill-mask": DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.6)(encoded),
        "question-answering": default_data_collator([dict(tokenizer(*TEXTS[:2])) | spans] * 2),
    }
    for task, one in made.items():
        assert pl.importance(models[task], [one], targets="labels").heads.max() > 0
    wrong = DataCollatorForTokenClassification(tokenizer, label_pad_token_id=0)(tags)
    with pytest.raises(ValueError, match="place 0.*where there is padding.*-100"):
        pl.importance(models["tokens"], [wrong])


def test_spans_are_labels():
    """They were left aside in silence, and answers drawn in their place."""
    model, one = tiny("bert", "question-answering"), batch("question-answering", family="bert")
    hers = {name: t for name, t in one.items() if name != "labels"}
    hers |= dict(zip(POSITIONS, one["labels"].unbind(1)))
    assert close(pl.importance(model, [hers]), pl.importance(model, [one]))
    with pytest.raises(ValueError, match="start_positions alone"):
        pl.importance(model, [{n: t for n, t in hers.items() if n != POSITIONS[1]}])


ONE = batch("classification")
LEFT = {name: t.flip(1) if t.dim() == 2 else t for name, t in ONE.items()}
WRONG_BATCHES = {
    "no attention_mask": [{"input_ids": ONE["input_ids"]}],
    "no input_ids": [{"inputs_embeds": torch.zeros(2, 4, 24)}],
    "position_ids": [ONE | {"position_ids": ONE["input_ids"]}],
    r"attention_mask.*shape \(6, 4\)": [ONE | {"attention_mask": ONE["attention_mask"][:, :4]}],
    "from 101 to.*another one's tokenizer": [ONE | {"input_ids": ONE["input_ids"] + 100}],
    "from -": [ONE | {"input_ids": ONE["input_ids"] - 50}],
    "padded on the left": [LEFT],
    "rows without any token": [ONE, ONE | {"attention_mask": 0 * ONE["attention_mask"]}],
    r"shape \(3,\)": [{"input_ids": torch.ones(3), "attention_mask": torch.ones(3)}],
    r"shape \(2, 0\)": [dict.fromkeys(("input_ids", "attention_mask"), torch.zeros(2, 0))],
    "equally long": [dict.fromkeys(("input_ids", "attention_mask"), [[1], [1, 2]])],
    "rows of 41 tokens": [dict.fromkeys(("input_ids", "attention_mask"), torch.ones(1, 41))],
    "is a dict, must be a list": ONE,
    "is a str": "abc",
    "has a Tensor at place 0": [ONE["input_ids"]],
}


@pytest.mark.parametrize("reason", WRONG_BATCHES)
def test_wrong_batches_are_named_by_whatever_takes_them(reason):
    model, wrong = tiny("xlm-roberta", "classification"), WRONG_BATCHES[reason]
    pruned = pl.prune(model, pl.random_masks(model, 0.5))
    for run in (
        lambda: pl.importance(model, wrong),
        lambda: pl.importance(model, wrong, "activation"),
        lambda: pl.repair(pruned, model, wrong),
        lambda: pl.layers_to_drop(model, 1, "block_influence", wrong),
        lambda: pl.prune_weights(model, 0.5, method="wanda", batches=wrong),
    ):
        with pytest.raises(ValueError, match=f"^batches:.*{reason}"):
            run()


WRONG_LABELS = [
    ("classification", lambda y: y * 0 - 1, "down to -1"),
    ("classification", lambda y: y * 0 - 100, "none counts"),
    ("multi-label", lambda y: y * 7, "from 0 to 1"),
    ("multi-label", lambda y: y * torch.nan, "from 0 to 1"),
    ("regression", lambda y: y * torch.nan, "finite"),
    ("tokens", lambda y: y * 0 - 100, "none counts"),
    ("fill-mask", lambda y: y * 0 - 100, "none counts"),
]


@pytest.mark.parametrize("task, change, reason", WRONG_LABELS)
def test_wrong_labels_are_refused_before_the_first_batch_is_run(task, change, reason):
    model, one = tiny("xlm-roberta", task), batch(task)
    wrong = [one | {"labels": change(one["labels"])}]
    good = [] if "counts" in reason else [one] * 3
    model.register_forward_hook(lambda *args: pytest.fail("the model ran"))
    with pytest.raises(ValueError, match=f"^batches: .*{reason}"):
        pl.importance(model, good + wrong)


def test_an_answer_outside_the_context_is_no_label():
    model, one = tiny("xlm-roberta", "question-answering"), batch("question-answering")
    wrong = one | {"labels": torch.zeros(6, 2), "counts": one["counts"] & (torch.arange(9) > 2)}
    wrong["labels"] = wrong["labels"].long()
    with pytest.raises(ValueError, match="labels stand where no answer can be"):
        pl.importance(model, [wrong])


def test_left_padding_is_taken_where_it_changes_nothing():
    one = batch("tokens")
    left = {name: t.flip(1) for name, t in one.items()}
    assert as_batches(tiny("xlm-roberta", "tokens"), [left])
    assert as_batches(tiny("xlm-roberta", "embedding"), [left | {"labels": None}])
    for model in (tiny("bert", "tokens"), tiny("xlm-roberta", "embedding")):
        model.config.pooling = "cls"
        with pytest.raises(ValueError, match="padded on the left"):
            as_batches(model, [left])


# --- models in every state ---


@HEADS
@pytest.mark.parametrize("state", ["half", "tuple", "attentions", "checkpointing", "no layers"])
def test_the_state_of_the_model_changes_no_score(task, state):
    model, data = tiny("bert", task), [batch(task, seed=s, family="bert") for s in range(4)]
    odd = copy.deepcopy(model)
    if state == "half":
        odd.half()
    elif state == "tuple":
        odd.config.return_dict, odd.config.output_hidden_states = False, True
    elif state == "attentions":
        odd.set_attn_implementation("eager")
        odd.config.output_attentions = True
    elif state == "checkpointing":
        odd.train()
        odd.base_model.encoder.gradient_checkpointing = True
        for layer in odd.base_model.encoder.layer:
            layer.gradient_checkpointing = True
    else:
        model = odd = pl.prune(model, pl.layer_masks(model, [0, 1, 2]))
    for method in ("fisher", "activation", "leave_one_out"):
        wanted, found = (pl.importance(m, data, method) for m in (model, odd))
        assert torch.allclose(wanted.heads, found.heads, rtol=0.05, atol=0.02)
    pruned = pl.prune(odd, pl.random_masks(odd, 0.6))
    pl.repair(pruned, odd, data)
    pl.latency({"whole": odd, "pruned": pruned}, repeats=1, warm_up=0, length=9)


def test_magnitude_does_not_count_masked_weights():
    model = tiny("xlm-roberta", "classification")
    masked, zeros = (pl.prune_weights(model, 0.5, permanent=p) for p in (False, True))
    one, other = (pl.importance(m, None, "magnitude").layers for m in (masked, zeros))
    assert torch.allclose(one, other)


def test_scores_that_are_no_numbers_are_not_given():
    model = tiny("xlm-roberta", "classification")
    model.classifier.out_proj.weight.data.fill_(torch.inf)
    with pytest.raises(ValueError, match="model: has NaN or infinite values in classifier"):
        pl.importance(model, [ONE], targets="labels")


def test_repair_needs_what_was_cut_from_the_original():
    model = tiny("xlm-roberta", "classification")
    pruned = pl.prune(model, pl.random_masks(model, 0.5))
    other = tiny("xlm-roberta", "classification", num_attention_heads=2)
    for one, whole in ((model, pruned), (pruned, other)):
        with pytest.raises(ValueError, match="pruned: has layers or heads"):
            pl.repair(one, whole, [ONE, ONE])
    wrong = [("held_out", v) for v in (0, 1, -1, "a")] + [("ridges", v) for v in ((), 0.1, (-1.0,))]
    for name, value in wrong:
        with pytest.raises(ValueError, match=f"{name}: is"):
            pl.repair(pruned, model, [ONE, ONE], **{name: value})


def test_a_student_of_a_pruned_teacher_follows_the_right_layers():
    whole = tiny("xlm-roberta", "classification", num_hidden_layers=6)
    teacher = pl.prune(whole, pl.layer_masks(whole, np.array([1, 4])))  # 0 2 3 5
    student = pl.prune(teacher, pl.layer_masks(teacher, [1]))  # 0 3 5
    assert _layer_map(student, teacher) == {0: 1, 1: 2, 2: 3}
    assert _layer_map(pl.prune(whole, pl.layer_masks(whole, [1, 2])), whole) == {
        0: 2,
        1: 3,
        2: 4,
        3: 5,
    }
    assert _layer_map(tiny("bert", "tokens", num_hidden_layers=9), whole)[8] == 5


# --- arguments ---


ARGUMENTS = [
    ("length", lambda m, s: pl.select(s, m, keep_macs=0.5, length=0)),
    ("keep_macs", lambda m, s: pl.select(s, m, keep_macs="a")),
    ("keep_heads", lambda m, s: pl.select(s, m, keep_heads=1.5)),
    ("multiple", lambda m, s: pl.select(s, m, keep_macs=0.5, multiple=1.5)),
    ("max_latency_ms", lambda m, s: pl.select(s, m, max_latency_ms=float("nan"))),
    ("scores", lambda m, s: pl.select(None, m, keep_macs=0.5)),
    ("masks", lambda m, s: pl.prune(m, s)),
    ("drop", lambda m, s: pl.layer_masks(m, [True])),
    ("drop", lambda m, s: pl.layer_masks(m, None)),
    ("n", lambda m, s: pl.layers_to_drop(m, True, "top")),
    ("sparsity", lambda m, s: pl.prune_weights(m, "a")),
    ("pattern", lambda m, s: pl.prune_weights(m, pattern=2)),
    ("pattern", lambda m, s: pl.prune_weights(m, pattern=(1.5, 4))),
    ("keep", lambda m, s: pl.random_masks(m, None)),
    ("length", lambda m, s: pl.summary(m, length=0)),
    ("models", lambda m, s: pl.latency([m])),
    ("model", lambda m, s: pl.importance(None, [ONE])),
    ("model", lambda m, s: pl.summary(None)),
    ("folder", lambda m, s: pl.save(m, None, None)),
    ("folder", lambda m, s: pl.quantize_onnx(None)),
    ("folder", lambda m, s: pl.save(m, None, "a\0b")),
]


@pytest.mark.parametrize("name, run", ARGUMENTS)
def test_an_argument_that_cannot_be_is_named(name, run):
    model = tiny("xlm-roberta", "classification")
    with pytest.raises((ValueError, TypeError), match=f"^{name}: "):
        run(model, pl.importance(model, None, "random"))


def test_numbers_of_numpy_are_numbers():
    model = tiny("xlm-roberta", "classification")
    for drop in ([np.int64(1)], np.array([1]), torch.tensor([1])):
        assert pl.layer_masks(model, drop).layers.tolist() == [True, False, True]
    assert pl.layers_to_drop(model, np.int64(1), "top") == [2]


def test_trainings_refuse_before_they_begin(tokenizer, models):
    model = copy.deepcopy(models["classification"])
    rows = [dict(text=text, label=i) for i, text in enumerate(TEXTS)]
    bare = [dict(text=text) for text in TEXTS]
    before = copy.deepcopy(model.state_dict())
    for name, value in dict(
        epochs=1.5, batch_size=2.5, learning_rate="a", seed="a", folder=3, validation=bare
    ).items():
        with pytest.raises((ValueError, TypeError), match=f"^{name}: "):
            pl.fine_tune(model, tokenizer, rows, progress=False, **{name: value})
    for name, value in dict(
        temperature=float("nan"), hidden="a", alpha="x", layer_map=[0], student=model
    ).items():
        student = model if name == "student" else copy.deepcopy(model)
        options = {} if name == "student" else {name: value}
        with pytest.raises(ValueError, match=f"^{name}: "):
            pl.distill(student, model, tokenizer, rows, progress=False, **options)
    with pytest.raises(TypeError, match="^tokenizer: "):
        pl.fine_tune(model, None, rows, progress=False)
    with pytest.raises(ValueError, match="labels go up to 9"):
        pl.greedy_layer_pruning(model, tokenizer, pl.Texts(["a"], [9]), 1, progress=False)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    done = pl.fine_tune(model, tokenizer, rows, np.int64(1), np.float32(1e-4), progress=False)
    assert done.steps == 1


# --- data ---


def scored(model, tokenizer, rows, **options) -> dict:
    return pl.evaluate(model, tokenizer, rows, **options).scores


def test_an_embedder_is_measured_on_similarities(tokenizer, models, tmp_path):
    """Refused before: its configuration has two labels, as any."""
    model = models["embedding"]
    rows = [dict(sentence1=text, sentence2="a", score=i / 2) for i, text in enumerate(TEXTS)]
    wanted = scored(model, tokenizer, rows)
    assert list(wanted) == ["spearman"]
    file = tmp_path / "similar.csv"
    file.write_text("one,two,score\n" + "".join(f"{t},a,{i / 2}\n" for i, t in enumerate(TEXTS)))
    data = pl.read_csv(file, "one", "score", pair="two", model=model)
    assert scored(model, tokenizer, data) == wanted
    rows = [dict(text=text, label=7) for text in TEXTS]  # a fill-mask model has no use for them
    assert scored(models["fill-mask"], tokenizer, rows)
    with pytest.raises(ValueError, match="model: is for 'fill-mask', which takes no labels"):
        pl.read_csv(file, "one", "score", model=models["fill-mask"])


def test_places_where_nothing_counts_are_left_out(tokenizer, models):
    words = dict(tokens=["a", "world"], ner_tags=[0, 1])
    tags = [words | dict(language="de"), words | dict(ner_tags=[-100, -100], language="en")]
    assert set(pl.evaluate(models["tokens"], tokenizer, tags).by_language) == {"de"}
    texts = [dict(text="</s>", language="de"), dict(text="hello world", language="en")]
    assert set(pl.evaluate(models["fill-mask"], tokenizer, texts).by_language) == {"en"}
    for task, rows in (("tokens", tags[1:]), ("fill-mask", texts[:1])):
        with pytest.raises(ValueError, match="data: have nothing to answer"):
            pl.evaluate(models[task], tokenizer, rows)
        with pytest.raises(ValueError, match="none counts"):
            pl.greedy_layer_pruning(models[task], tokenizer, rows, 1, progress=False)


def test_unanswerable_questions_do_not_dilute_a_search(tokenizer, models):
    model, one = models["question-answering"], batch("question-answering")
    hidden = model.base_model(one["input_ids"], one["attention_mask"]).last_hidden_state
    half = one | {"labels": one["labels"].where(torch.arange(6)[:, None] < 3, torch.tensor(-100))}
    three = part(one, slice(0, 3))
    found = Score.of(answers(model, hidden, half)), Score.of(answers(model, hidden[:3], three))
    assert found[0] == pytest.approx(found[1])


def test_grades_below_zero_are_no_ranking(tokenizer, models):
    rows = [dict(query=f"a {i // 4}", document=f"one {i}", label=i % 3 - 1) for i in range(12)]
    assert list(scored(models["regression"], tokenizer, rows)) == ["spearman"]


def test_a_reference_answers_the_same_question(tokenizer, models):
    rows, changes = [dict(text=text) for text in TEXTS], SIZES | dict(vocab_size=len(tokenizer))
    order = lambda names: dict(id2label=dict(enumerate(names)))
    one, other = (
        tiny("xlm-roberta", "classification", **changes | order(n) | dict(num_labels=2))
        for n in ("ab", "ba")
    )
    small = tiny("xlm-roberta", "classification", **changes | dict(vocab_size=200))
    wide = tiny("xlm-roberta", "embedding", **changes | dict(hidden_size=32))
    for model, reference, reason in (
        (one, other, "labels"),
        (models["classification"], models["multi-label"], "task"),
        (models["classification"], small, "number of word pieces"),
        (models["embedding"], wide, "width"),
    ):
        with pytest.raises(ValueError, match=f"^reference: has {reason}"):
            pl.evaluate(model, tokenizer, rows, reference=reference)
    with pytest.raises(ValueError, match="another one's tokenizer"):
        few = tiny("xlm-roberta", "embedding")
        pl.evaluate(few, tokenizer, rows, reference=few)


def test_names_of_labels(tokenizer, models):
    model = copy.deepcopy(models["classification"])
    model.config.id2label = {i: i for i in range(5)}  # numbers as names
    assert labels_of(model) == list("01234")
    assert scored(model, tokenizer, [dict(text="a", label="3"), dict(text="one", label="0")])
    model.config.id2label = dict.fromkeys(range(5), "a")
    for run in (
        lambda: pl.evaluate(model, tokenizer, [dict(text="a", label="a")]),
        lambda: pl.export_onnx(model, tokenizer, "nowhere"),
    ):
        with pytest.raises(ValueError, match="model: has the labels.*different names"):
            run()


def test_odd_labels_of_rows():
    with pytest.raises(ValueError, match="row 1 has the label {'x': 1}, others have lists"):
        pl.as_data([dict(text="a", label=["x"]), dict(text="b", label={"x": 1})])


# --- files ---


def test_what_a_checkpoint_says_of_its_vectors(tokenizer, models, tmp_path):
    for i, (changes, reason) in enumerate(
        [
            (dict(prompts=["query: "]), "prompts.*texts by their names"),
            (dict(normalize="yes"), "normalize 'yes'"),
        ]
    ):
        model = copy.deepcopy(models["embedding"])
        for name, value in changes.items():
            setattr(model.config, name, value)
        model.save_pretrained(tmp_path / str(i))
        tokenizer.save_pretrained(tmp_path / str(i))
        with pytest.raises(ValueError, match=f"^checkpoint: .*{reason}"):
            pl.load(tmp_path / str(i))


def test_exports(tokenizer, models, tmp_path):
    model = copy.deepcopy(models["regression"])
    model.config.sbert_ce_default_activation_function = "torch.nn.Tanh"
    with pytest.raises(ValueError, match="torch.nn.Tanh behind the number"):
        pl.export_onnx(model, tokenizer, tmp_path / "tanh")
    folder = pl.export_onnx(models["regression"], tokenizer, tmp_path / "model")
    served = pl.OnnxModel(folder, threads=np.int64(1))
    for reason, run in (
        ("ids: has -1", lambda: served.run([[-1]], [[1]])),
        ("ids: .*equal rows", lambda: served.run([[1], [1, 2]], [[1], [1, 1]])),
        ("batch: has no attention_mask", lambda: served.dense({"input_ids": [[1]]})),
    ):
        with pytest.raises(ValueError, match=reason):
            run()
    (folder / "model.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match="model.onnx.*holds no model"):
        pl.quantize_onnx(folder)


def test_vocabularies_of_odd_things(tokenizer, models):
    ids = [tokenizer.convert_tokens_to_ids(p) for p in tokenizer.tokenize("hello")]
    small = pl.prune_vocabulary(models["tokens"], tokenizer, torch.tensor(ids))[1]
    assert small.tokenize("hello") == tokenizer.tokenize("hello")
    with pytest.raises(ValueError, match="half a character"):
        pl.prune_vocabulary(models["tokens"], tokenizer, ["\ud83d"])
