"""Scores are derivatives and differences, whatever the batches; selection is exact; exchanges only
help.
"""

import itertools
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import pruning_lessons as pl
from pruning_lessons.measuring.size import encoder_macs, unit_macs
from pruning_lessons.models.anatomy import neurons_per_layer
from pruning_lessons.pruning.importance import METHODS, Scores, importance
from pruning_lessons.pruning.latency_table import LatencyTable, _rising, latency_table
from pruning_lessons.pruning.selection import rearranged, select

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make


def examples(n=6, seed=0, labels=True):
    """n examples of different lengths: (ids, label)."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 9, (n,), generator=generator).tolist()
    return [
        (
            torch.randint(5, 99, (length,), generator=generator),
            int(torch.randint(5, (), generator=generator)),
        )
        for length in lengths
    ]


def batches(rows, size, extra_padding=0, labels=True):
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        T = max(len(ids) for ids, _ in part) + extra_padding
        ids = torch.stack([F.pad(ids, (0, T - len(ids)), value=1) for ids, _ in part])
        mask = torch.stack([F.pad(torch.ones_like(ids), (0, T - len(ids))) for ids, _ in part])
        yield {"input_ids": ids, "attention_mask": mask} | (
            {"labels": torch.tensor([y for _, y in part])} if labels else {}
        )


def same(a: Scores, b: Scores, tolerance=1e-4):
    return all(
        torch.allclose(getattr(a, k), getattr(b, k), rtol=tolerance, atol=1e-6, equal_nan=True)
        for k in ("heads", "neurons", "layers")
    )


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("method", ["fisher", "obs", "taylor", "activation", "leave_one_out"])
def test_batches_and_padding_change_nothing(method, labels):
    model, rows = make(), examples(7)
    one = importance(model, batches(rows, 7, labels=labels), method)
    assert same(one, importance(model, batches(rows, 1, labels=labels), method))
    assert same(one, importance(model, batches(rows, 3, extra_padding=4, labels=labels), method))
    assert not same(one, importance(model, batches(examples(7, seed=1), 7, labels=labels), method))


def test_fisher_is_the_square_of_each_examples_derivative():
    model, rows = make(), examples(4)
    found, taylor = (
        importance(model, batches(rows, 4)),
        importance(model, batches(rows, 2), "taylor"),
    )
    squares, sizes = torch.zeros(3, 10), torch.zeros(3, 4)
    for batch in batches(rows, 1):  # one at a time, with plain gates
        with pl.gates(model) as gate:
            F.cross_entropy(model(batch["input_ids"]).logits, batch["labels"]).backward()
        squares += gate.neurons.grad**2 / len(rows)
        sizes += gate.heads.grad.abs() / len(rows)
    assert torch.allclose(found.neurons, squares, rtol=1e-3, atol=1e-7)
    assert torch.allclose(taylor.heads, sizes, rtol=1e-3, atol=1e-6)
    assert found.gradients[0].shape == (4, 3, 4) and found.gradients[1].shape == (4, 3, 10)


def test_leave_one_out_is_the_loss_without_the_part():
    model, rows = make(), examples(5)
    found = importance(model, batches(rows, 2), "leave_one_out")
    batch = next(batches(rows, 5))

    def loss(masks):
        with torch.no_grad():
            return F.cross_entropy(
                pl.prune(model, masks)(
                    batch["input_ids"], attention_mask=batch["attention_mask"]
                ).logits,
                batch["labels"],
            ).item()

    base = loss(pl.Masks.keep_all(model))
    for layer in range(3):
        masks = pl.Masks.keep_all(model)
        masks.layers[layer] = False
        assert found.layers[layer].item() == pytest.approx(loss(masks) - base, abs=1e-5)
        for head in range(4):
            masks = pl.Masks.keep_all(model)
            masks.heads[layer, head] = False
            assert found.heads[layer, head].item() == pytest.approx(loss(masks) - base, abs=1e-5)
    assert found.neurons.isnan().all()


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(method):
    model = pl.prune(make(), pl.random_masks(make(), 0.6, seed=2)).train()  # uneven, and training
    model.roberta.embeddings.requires_grad_(False)
    before = [(p.requires_grad, p.clone()) for p in model.parameters()]
    found = importance(model, batches(examples(), 3), method)
    assert model.training and all(
        p.requires_grad == wanted and torch.equal(p, old) and p.grad is None
        for p, (wanted, old) in zip(model.parameters(), before)
    )
    assert found.heads.shape == pl.Masks.keep_all(model).heads.shape and found.layers.shape == (3,)
    assert same(found, importance(model, batches(examples(), 3), method))


def test_a_dead_neuron_scores_nothing():
    model = make()
    with torch.no_grad():
        model.roberta.encoder.layer[1].output.dense.weight[:, 3] = 0
    for method in ("fisher", "taylor", "activation", "magnitude"):
        scores = importance(model, batches(examples(), 3), method).neurons
        assert scores[1, 3] == 0 and (scores > 0).sum() == scores.numel() - 1


def test_masked_words_count():
    model = make(task="fill-mask")
    batch = next(batches(examples(), 6, labels=False))
    labels = torch.full_like(batch["input_ids"], -100)
    labels[:, 1] = 7
    assert importance(model, [batch | {"labels": labels}]).heads.min() > 0
    assert importance(model, [batch]).heads.min() > 0  # drawn pieces at every token
    with pytest.raises(ValueError, match="batches.*shape"):
        importance(model, [batch | {"labels": labels[:, 0]}])


def test_bad_input():
    model = make()
    with pytest.raises(ValueError, match="method.*'fischer'.*fisher"):
        importance(model, batches(examples(), 3), "fischer")
    with pytest.raises(ValueError, match="batches.*empty"):
        importance(model, [])
    with pytest.raises(TypeError, match="model.*Linear"):
        importance(torch.nn.Linear(2, 2), None, "magnitude")
    scores = importance(model, batches(examples(), 3), "leave_one_out")
    for change, words in [
        (dict(), "budget"),
        (dict(keep_macs=0.5, keep_heads=2), "budget"),
        (dict(keep_macs=0), "keep_macs.*0"),
        (dict(keep_heads=99), "keep_heads.*99.*12"),
        (dict(keep_heads=4, even=True), "multiple of 3"),
        (dict(keep_macs=0.5), "NaN.*leave_one_out"),
        (dict(keep_heads=3, multiple=0), "multiple"),
    ]:
        with pytest.raises(ValueError, match=words):
            select(scores, model, **change)
    with pytest.raises(ValueError, match="scores.heads.*shape"):
        select(scores, make(layers=2), keep_heads=2)
    assert select(scores, model, keep_heads=5).heads.sum() == 5


numbers = st.floats(0, 1, width=32)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(numbers, min_size=42, max_size=42),
    keep=st.floats(0.02, 1),
    even=st.booleans(),
    multiple=st.sampled_from([1, 4]),
)
def test_the_budget_is_never_missed_and_never_wasted(values, keep, even, multiple):
    model = make()
    values = torch.tensor(values)
    scores = Scores(values[:12].view(3, 4), values[12:].view(3, 10), torch.ones(3), "given")
    masks = select(scores, model, keep_macs=keep, even=even, multiple=multiple)
    head, neuron = unit_macs(model)
    left = keep * encoder_macs(model) - encoder_macs(pl.prune(model, masks))
    assert left > -1e-6
    if masks.neurons.sum() < 30:
        assert (
            left
            < max(head, neuron * multiple * (3 if even else 1)) * (3 if even else 1)
            + neuron * multiple
        )
    counts = masks.neurons.sum(1).tolist()
    assert all(n % multiple == 0 or n == 10 for n in counts) and (not even or len(set(counts)) == 1)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(numbers, min_size=10, max_size=10), keep=st.floats(0.2, 1))
def test_no_choice_within_the_budget_is_better(values, keep):
    model = make(layers=1, heads=4, neurons=6)
    values = torch.tensor(values)
    scores = Scores(values[None, :4], values[None, 4:], torch.ones(1), "given")
    masks = select(scores, model, keep_macs=keep)
    head, neuron = unit_macs(model)
    found = (values * torch.cat([masks.heads[0], masks.neurons[0]])).sum().item()
    for choice in itertools.product([0, 1], repeat=10):
        choice = torch.tensor(choice)
        if choice[:4].sum().item() * head + choice[4:].sum().item() * neuron <= keep * encoder_macs(
            model
        ):
            assert (values * choice).sum().item() <= found + 1e-5


def test_counts_are_kept():
    model = make()
    scores = importance(model, batches(examples(), 3))
    masks = select(scores, model, keep_heads=6, keep_neurons=9, even=True)
    assert masks.heads.sum(1).tolist() == [2, 2, 2] and masks.neurons.sum(1).tolist() == [3, 3, 3]
    plain = select(scores, model, keep_heads=5, rearrange=False)
    assert masks.heads.sum() == 6 and plain.heads.sum() == 5 and plain.neurons.all()
    assert (
        plain.heads[plain.heads].numel()
        and scores.heads[plain.heads].min() >= scores.heads[~plain.heads].max()
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), keep=st.integers(1, 9))
def test_exchanges_only_help(seed, keep):
    generator = torch.Generator().manual_seed(seed)
    g = torch.randn(8, 1, 10, generator=generator) * torch.rand(10, generator=generator)
    g[:, :, 9] = -g[:, :, 8]  # two that cancel
    scores = Scores(
        torch.rand(1, 4), g.square().mean(0), torch.ones(1), "fisher", (torch.zeros(8, 1, 4), g)
    )
    mask = torch.zeros(1, 10, dtype=torch.bool)
    mask[0, scores.neurons[0].topk(keep).indices] = True
    before = pl.Masks(torch.ones(1, 4, dtype=torch.bool), mask, torch.ones(1, dtype=torch.bool))
    after = rearranged(before, scores)
    lost = lambda masks: g[:, 0, ~masks.neurons[0]].sum(1).square().sum().item()
    assert lost(after) <= lost(before) + 1e-5 and after.neurons.sum() == keep and after.heads.all()


def test_exchange_in_uneven_layers_stays_inside_them():
    model = pl.prune(make(), pl.random_masks(make(), 0.5, seed=4))
    scores = importance(model, batches(examples(12), 4))
    masks = select(scores, model, keep_macs=0.5)
    masks.check(model)
    for layer, count in enumerate(neurons_per_layer(model)):
        assert not masks.neurons[layer, count:].any()
    assert encoder_macs(pl.prune(model, masks)) <= 0.5 * encoder_macs(model)


def test_latency_budget_is_an_exact_knapsack():
    model = make(layers=2, heads=2, neurons=3)
    generator = torch.Generator().manual_seed(0)
    scores = Scores(
        torch.rand(2, 2, generator=generator),
        torch.rand(2, 3, generator=generator),
        torch.ones(2),
        "given",
    )
    table = LatencyTable({0: 0.0, 1: 0.5, 2: 0.6}, {0: 0.0, 1: 0.1, 2: 0.5, 3: 0.55}, 0.3, {})
    for budget in (0.3, 0.5, 0.95, 1.4, 2.0, 5.0):
        masks = select(scores, model, max_latency_ms=budget, table=table)
        assert table.promise(masks) <= budget + 1e-9
        worth = lambda m: (
            (scores.heads * m.heads).sum().item() + (scores.neurons * m.neurons).sum().item()
        )
        best = 0.0
        for bits in itertools.product([False, True], repeat=10):
            other = pl.Masks(
                torch.tensor(bits[:4]).view(2, 2),
                torch.tensor(bits[4:]).view(2, 3),
                torch.ones(2, dtype=torch.bool),
            )
            if table.promise(other) <= budget - 2e-3:  # the knapsack rounds times up
                best = max(best, worth(other))
        assert worth(masks) >= best - 1e-6
    with pytest.raises(ValueError, match="max_latency_ms.*0.1.*0.30"):
        select(scores, model, max_latency_ms=0.1, table=table)


@given(st.lists(st.floats(-1, 3), min_size=1, max_size=8))
def test_times_become_the_nearest_rising_curve(values):
    points = dict(enumerate([0.0, *values]))
    fit = list(_rising(points).values())
    assert fit[0] == 0 and all(after >= before - 1e-12 for before, after in zip(fit, fit[1:]))
    if values == sorted(values) and min(values) >= 0:
        assert fit == pytest.approx(list(points.values()))
    # No rising curve of a coarse grid lies nearer.
    error = lambda curve: sum((c - v) ** 2 for c, v in zip(curve, values))
    for curve in itertools.combinations_with_replacement([0, 0.5, 1, 2, 3], len(values)):
        assert error(fit[1:]) <= error(curve) + 1e-9


def test_a_measured_table_keeps_its_promise_in_kind():
    model = make()
    table = latency_table(model, threads=1, repeats=5)
    assert (
        0 in table.attention
        and 4 in table.attention
        and 0 in table.feed_forward
        and 10 in table.feed_forward
    )
    assert list(table.attention.values()) == sorted(table.attention.values()) and "ms" in repr(
        table
    )
    promised, measured = table.measured(model, pl.random_masks(model, 0.5))
    assert promised > 0 and measured > 0
