"""Exactly so many zeros, the least ones, where they were asked for."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pruning_lessons as pl
from pruning_lessons.pruning.weights import (
    _input_norms,
    _lowest,
    _matrices,
    compressed_bytes,
    prune_weights,
    weight_sparsity,
)

sys.path.insert(0, str(Path(__file__).parent))
from conftest import logits, make, small_tokenizer


def batch(padding=0):
    ids = torch.randint(5, 99, (3, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    pad = lambda x, value: torch.nn.functional.pad(x, (0, padding), value=value)
    return {"input_ids": pad(ids.where(mask.bool(), 1), 1), "attention_mask": pad(mask, 0)}


@settings(max_examples=20, deadline=None)
@given(sparsity=st.floats(0, 1), scope=st.sampled_from(["global", "layer", "matrix", "row"]))
def test_exactly_the_least(sparsity, scope):
    model = make()
    pruned = prune_weights(model, sparsity, scope)
    groups = {}
    for (name, old), (_, new) in zip(_matrices(model), _matrices(pruned)):
        key = {"global": "", "layer": name[0], "matrix": name, "row": name}[scope]
        for i, pair in enumerate(zip(old.weight.detach(), new.weight_mask)):
            groups.setdefault((key, i if scope == "row" else ""), []).append(pair)
        assert torch.equal(new.weight, old.weight * new.weight_mask) and torch.equal(
            new.bias, old.bias
        )
    for parts in groups.values():
        weights, mask = (torch.cat(p) for p in zip(*parts))
        assert (mask == 0).sum() == round(sparsity * len(mask))
        if 0 < mask.sum() < len(mask):
            assert weights[mask == 1].abs().min() >= weights[mask == 0].abs().max()


@pytest.mark.parametrize("method", ["magnitude", "wanda", "random"])
@pytest.mark.parametrize("pattern", [(2, 4), (1, 2), (0, 1), (4, 4)])
def test_n_of_m(pattern, method):
    pruned = prune_weights(make(neurons=12), pattern=pattern, method=method, batches=[batch()])
    keep, of = pattern
    for _, matrix in _matrices(pruned):
        assert (matrix.weight_mask.view(-1, of).sum(1) == keep).all()


def test_wanda_is_its_formula():
    model, data = make(), [batch()]
    norms = _input_norms(model, data)
    pruned = dict(_matrices(prune_weights(model, 0.5, method="wanda", batches=data)))
    for name, matrix in _matrices(model):
        for i in range(matrix.out_features):  # row by row, by a plain loop
            scores = [
                abs(matrix.weight[i, j].item()) * norms[name][j].item()
                for j in range(matrix.in_features)
            ]
            gone = sorted(range(len(scores)), key=lambda j: (scores[j], j))[
                : round(0.5 * len(scores))
            ]
            assert (pruned[name].weight_mask[i] == 0).nonzero().flatten().tolist() == sorted(gone)
    seen = []
    handle = dict(_matrices(model))["1.feed-forward in"].register_forward_pre_hook(
        lambda m, a: seen.append(a[0])
    )
    logits_of = model(**data[0])
    handle.remove()
    real = seen[0][data[0]["attention_mask"].bool()]
    assert (
        torch.allclose(norms["1.feed-forward in"], real.norm(dim=0), rtol=1e-4)
        and logits_of is not None
    )


def test_padding_does_not_count():
    model = make()
    a, b = (prune_weights(model, 0.5, method="wanda", batches=[batch(p)]) for p in (0, 5))
    assert all(
        torch.equal(x.weight, y.weight) for (_, x), (_, y) in zip(_matrices(a), _matrices(b))
    )
    assert any(
        not torch.equal(x.weight, y.weight)
        for (_, x), (_, y) in zip(_matrices(a), _matrices(prune_weights(model, 0.5, "matrix")))
    )


def test_ties_go_in_order():
    assert _lowest(torch.ones(1, 5), 2).tolist() == [[0, 0, 1, 1, 1]]


def test_permanent_leaves_plain_weights(tmp_path):
    model = make()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    masked, plain = prune_weights(model, 0.7), prune_weights(model, 0.7, permanent=True)
    assert plain.state_dict().keys() == before.keys() and not any(
        m._forward_pre_hooks for m in plain.modules()
    )
    assert torch.equal(logits(masked), logits(plain)) and not torch.equal(
        logits(plain), logits(model)
    )
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    again, _ = pl.load(pl.save(plain, small_tokenizer(), tmp_path / "sparse"))
    assert weight_sparsity(again).all == pytest.approx(0.7, abs=1e-3)
    masked(torch.tensor([[5, 6]])).logits.sum().backward()  # training keeps zeros
    torch.optim.SGD(masked.parameters(), 0.1).step()
    masked(torch.tensor([[5, 6]]))
    assert weight_sparsity(masked).all == weight_sparsity(plain).all


def test_reports(embedded):
    model = make()
    half = prune_weights(model, 0.9, "matrix", permanent=True)
    found = weight_sparsity(half)
    assert (
        found.of[0, "query"] == pytest.approx(0.9, abs=0.01)
        and "query" in repr(found)
        and weight_sparsity(model).all == 0
    )
    assert compressed_bytes(half) < 0.75 * compressed_bytes(model)
    assert compressed_bytes(prune_weights(model, 0.9, "matrix")) == compressed_bytes(half)


def test_empty_matrices():
    masks = pl.Masks.keep_all(make())
    masks.heads[0], masks.neurons[1] = False, False
    pruned = prune_weights(pl.prune(make(), masks), 0.5, "matrix", permanent=True)
    assert torch.isfinite(logits(pruned)).all()
    prune_weights(pl.prune(make(), masks), 0.5, method="wanda", batches=[batch()])


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(), "sparsity.*pattern"),
        (dict(sparsity=0.5, pattern=(2, 4)), "not both"),
        (dict(sparsity=1.2), "sparsity.*1.2"),
        (dict(sparsity=0.5, scope="column"), "scope.*'column'.*global"),
        (dict(sparsity=0.5, method="obd"), "method.*'obd'"),
        (dict(pattern=(2, 7)), "pattern.*divide"),
        (dict(pattern=(3, 2)), "pattern"),
        (dict(sparsity=0.5, method="wanda"), "batches.*empty"),
    ],
)
def test_bad_input(options, words):
    with pytest.raises(ValueError, match=words):
        prune_weights(make(), **options)
    with pytest.raises(TypeError, match="model.*Linear"):
        prune_weights(torch.nn.Linear(2, 2), 0.5)


@settings(max_examples=10, deadline=None)
@given(first=st.floats(0, 0.6), second=st.floats(0.3, 1))
def test_masks_can_be_cut_again_copied_and_exported(first, second):
    model = make(neurons=12)
    masked = prune_weights(model, first)
    again = prune_weights(masked, second)
    for (_, a), (_, b) in zip(_matrices(masked), _matrices(again)):
        assert ((a.weight == 0) <= (b.weight == 0)).all()  # zeros stay zeros
    assert weight_sparsity(again).all >= max(weight_sparsity(masked).all, second - 0.01)
    masks = pl.random_masks(model, 0.5)
    solid = prune_weights(model, first, permanent=True)
    assert torch.equal(logits(pl.prune(masked, masks)), logits(pl.prune(solid, masks)))
    assert torch.allclose(logits(masked), logits(solid))


def test_masked_models_are_refused_where_zeros_would_be_lost(tmp_path):
    _, tokenizer = pl.untrained("base", pieces=300)
    masked = prune_weights(make(), 0.5)
    with pytest.raises(ValueError, match="weight masks"):
        pl.save(masked, tokenizer, tmp_path / "m")
    with pytest.raises(ValueError, match="weight masks"):
        pl.repair(masked, make(), [batch(), batch()])
    assert not (tmp_path / "m").exists()
