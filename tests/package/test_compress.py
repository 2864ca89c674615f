"""compress keeps its budget, needs no labels, searches what it says, and goes on where it stood."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pruning_lessons as pl
from pruning_lessons.models.anatomy import layers_of
from pruning_lessons.models.batches import as_batches
from pruning_lessons.models.state import at_rest
from pruning_lessons.models.tasks import finish, outputs, task_of
from pruning_lessons.pruning import compress as module
from pruning_lessons.pruning.allocation import RIDGE, Found, Rehearsal, search
from pruning_lessons.pruning.repair import divergences
from pruning_lessons.pruning.streams import UNREAD, Refit, Wanted

sys.path.insert(0, str(Path(__file__).parent))
from conftest import small_tokenizer
from zoo import FAMILIES_AND_TASKS, batch, tiny


def model_of(layers):
    return tiny("xlm-roberta", "classification", num_hidden_layers=layers)


def calibration(task="classification", n=8):
    return [batch(task, seed=i) for i in range(n)]


@pytest.mark.parametrize(("family", "task"), FAMILIES_AND_TASKS)
def test_every_head_and_family_is_compressed_within_its_budget(family, task):
    model = tiny(family, task)
    before = copy.deepcopy(model.state_dict())
    data = calibration(task)
    unlabelled = [{k: v for k, v in b.items() if k != "labels"} for b in data]
    small = pl.compress(model, None, unlabelled, keep_macs=0.5)
    assert pl.encoder_macs(small) <= 0.5 * pl.encoder_macs(model)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    assert torch.isfinite(outputs(small, data[0])).all()


@settings(max_examples=10, deadline=None)
@given(keep=st.floats(0.1, 0.95), seed=st.integers(0, 99), layers=st.booleans())
def test_a_rehearsal_is_what_pruning_and_refitting_give(keep, seed, layers):
    """The quick way (no words, the original's part kept) against the plain one."""
    model = model_of(3)
    masks = pl.random_masks(model, keep, seed=seed)
    masks.layers[seed % 3] = layers
    data = as_batches(model, calibration(n=6))
    parts = ["fit", None] * 3
    with torch.no_grad(), at_rest(model):
        quick = Rehearsal(model, data)(masks)
        pruned = pl.prune(model, masks)
        places = masks.layers.nonzero().flatten().tolist()
        Refit(layers_of(pruned), places, Wanted(model, data), parts).run([RIDGE], False)
        held = [b for b, part in zip(data, parts) if part is None]
        plain = divergences([pruned], model, held)[0]
    assert quick == pytest.approx(plain, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize(("family", "task"), FAMILIES_AND_TASKS)
def test_what_the_head_does_not_read_cannot_matter(family, task, pooling):
    """Other hidden states where `reads` is False: the same answers; where it is True: others."""
    model, one = tiny(family, task), batch(task, family=family)
    model.config.pooling = pooling
    reads = task_of(model).reads(model, one)
    hidden = torch.randn(*reads.shape, 24, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answers = finish(model, hidden, one)
        unread = finish(model, hidden + noise * ~reads[..., None], one)
        read = finish(model, hidden + noise * reads[..., None], one)
    assert torch.equal(answers, unread) and not torch.allclose(answers, read)
    alone = task in ("classification", "multi-label", "regression")
    alone |= task == "embedding" and pooling == "cls"
    assert reads.sum() == (len(reads) if alone else one["attention_mask"].sum())


def test_the_last_layer_is_fitted_for_what_is_read():
    """There `<s>` alone counts for a classifier; below it all real tokens count alike."""
    model = model_of(2)
    data = as_batches(model, calibration(n=3))
    with torch.no_grad(), at_rest(model):
        wanted = Wanted(model, data, keep=True)
        for sublayer in range(4):
            for x, real, weight in zip(
                wanted.after(sublayer), wanted.real, wanted.weights(sublayer)
            ):
                told = weight[:, 0] * x[real].var(dim=1)
                first = torch.zeros_like(real)
                first[:, 0] = True
                share = torch.where(first[real], 1.0, UNREAD if sublayer >= 2 else 1.0)
                assert torch.allclose(told, share)


def test_matrices_that_read_are_refitted_for_the_drift():
    """After the refit a reading matrix gives on the drifted states what it gave on the true ones,
    closer than before, wherever the states have drifted.
    """
    model = model_of(2)
    masks = pl.random_masks(model, 0.4, seed=1)
    masks.layers[:] = True
    data = as_batches(model, calibration(n=20))
    pruned = pl.prune(model, masks)
    gaps, moved = {}, {}
    for inputs in (False, True):
        fixed = pl.repair(pruned, model, data, inputs=inputs)
        gaps[inputs] = divergences([fixed], model, data)[0]
        moved[inputs] = max(
            ((a.weight - b.weight).norm() / b.weight.norm()).item()
            for a, b in zip(
                (layer.intermediate.dense for layer in layers_of(fixed)),
                (layer.intermediate.dense for layer in layers_of(pruned)),
            )
        )
    assert moved[False] == 0 and moved[True] > 1e-2  # more than rounding
    assert gaps[True] < gaps[False]


def test_the_search_finds_a_minimum_and_goes_on_after_any_round():
    wanted = torch.linspace(-2, 2, 10).view(2, 5)
    loss = lambda factors: (factors - wanted).square().sum().item()
    start = Found(torch.zeros(2, 5), loss(torch.zeros(2, 5)))
    steps = list(search(loss, start, 150, seed=3))
    assert steps[-1].loss < 0.05 * start.loss
    assert all(a.loss >= b.loss for a, b in zip(steps, steps[1:]))
    again = list(search(loss, steps[70], 150, seed=3))
    assert torch.equal(again[-1].factors, steps[-1].factors) and len(again) == 150 - 71


def test_a_move_that_does_not_help_is_tried_backwards():
    tried = []
    loss = lambda factors: tried.append(factors) or 1.0
    list(search(loss, Found(torch.zeros(2, 5), 0.0), 9, seed=0))
    assert len(tried) == 18 and all(torch.equal(a, -b) for a, b in zip(tried[::2], tried[1::2]))


def test_in_one_call_it_is_the_four_steps():
    model, data = model_of(3), as_batches(model_of(3), calibration())
    scores = pl.importance(model, data, "obs")
    masks = pl.select(scores, model, keep_macs=0.4, rearrange=False)
    steps = pl.repair(pl.prune(model, masks), model, data, inputs=True)
    small = pl.compress(model, None, data, keep_macs=0.4)
    for a, b in zip(steps.state_dict().values(), small.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_what_was_searched_is_what_is_cut(monkeypatch):
    model = model_of(3)
    factors = torch.tensor([[-50.0, 0, 0], [0, 0, -50]])
    monkeypatch.setattr(module, "_searched", lambda *args: factors)
    small = pl.compress(model, None, calibration(), keep_macs=0.5, effort="thorough")
    assert len(small.config.kept_heads[0]) == 0 and small.config.neurons_per_layer[2] == 0


def test_an_interrupted_search_goes_on(tmp_path, monkeypatch):
    monkeypatch.setitem(module.ROUNDS, "thorough", 6)
    model, data = model_of(3), calibration()
    run = lambda folder: pl.compress(
        model, None, data, keep_macs=0.4, effort="thorough", folder=folder
    )
    whole = run(None)
    calls, plain = [], Rehearsal.__call__

    def counted(self, masks):
        calls.append(masks)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return plain(self, masks)

    monkeypatch.setattr(Rehearsal, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "work")
    resumed = run(tmp_path / "work")
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()):
        assert torch.equal(a, b)
    done = len(calls)
    run(tmp_path / "work")
    assert len(calls) == done  # a finished search is not made again
    with pytest.raises(ValueError, match="another share of MACs"):
        pl.compress(model, None, data, 0.6, effort="thorough", folder=tmp_path / "work")


def test_the_search_never_ends_worse_than_it_began():
    model, data = model_of(3), as_batches(model_of(3), calibration())
    scores = pl.importance(model, data)
    with torch.no_grad(), at_rest(model):
        rehearsal = Rehearsal(model, data)
        choose = lambda f: pl.select(
            module.weighted(scores, f), model, keep_macs=0.3, rearrange=False
        )
        loss = lambda f: rehearsal(choose(f))
        first = loss(torch.zeros(2, 3))
        last = list(search(loss, Found(torch.zeros(2, 3), first), 12, seed=0))[-1]
    assert last.loss <= first and last.loss == loss(last.factors)


def test_texts_are_calibration_too():
    model = model_of(3)
    texts = pl.Texts(
        [f"{a} {b}" for a in "abcdefgh" for b in ("one two", "three", "four five six")]
    )
    small = pl.compress(model, small_tokenizer(), pl.Texts(texts.sentences * 8), keep_macs=0.5)
    assert task_of(small) is task_of(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(keep_macs=0), "keep_macs.*0"),
        (dict(keep_macs=1.5), "keep_macs.*1.5"),
        (dict(keep_macs=0.5, effort="best"), "effort.*best"),
        (dict(keep_macs=0.5, batches=[]), "batches"),
        (dict(keep_macs=0.5, batches=calibration(n=3)), "batches.*3"),
        (dict(keep_macs=0.5, multiple=0), "multiple"),
    ],
)
def test_bad_arguments_are_named_before_any_work(options, message, monkeypatch):
    monkeypatch.setattr(module, "importance", lambda *a, **o: pytest.fail("worked first"))
    with pytest.raises(ValueError, match=message):
        pl.compress(model_of(3), None, **{"batches": calibration(), **options})


def test_of_many_sentences_some_from_all_over_are_scored(monkeypatch):
    model, data, seen = model_of(2), calibration(n=20), []
    monkeypatch.setattr(module, "SCORED", 7 * len(data[0]["input_ids"]))

    def spied(model, batches, *rest, **options):
        seen.extend(batches)
        return pl.importance(model, batches, *rest, **options)

    monkeypatch.setattr(module, "importance", spied)
    pl.compress(model, None, data, keep_macs=0.5)
    places = [
        i
        for i, one in enumerate(data)
        for s in seen
        if torch.equal(one["input_ids"], s["input_ids"])
    ]
    assert places == [i * 20 // 7 for i in range(7)]


def test_few_texts_make_small_batches():
    model, texts = model_of(2), ["turn on the light", "it is cold", "play music", "off"]
    small = pl.compress(model, small_tokenizer(), pl.Texts(texts), keep_macs=0.5)
    assert pl.encoder_macs(small) <= 0.5 * pl.encoder_macs(model)
    with pytest.raises(ValueError, match="batches: are 3, must be at least 4"):
        pl.compress(model, small_tokenizer(), pl.Texts(texts[:3]), keep_macs=0.5)
