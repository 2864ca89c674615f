"""Repair finds the least squares, makes up for what can be made up for, and never harms."""

import copy
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pruning_lessons as pl
from pruning_lessons.pruning.least_squares import Gram, refit
from pruning_lessons.pruning.repair import divergences, repair

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make


def batches(n=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        ids = torch.randint(5, 99, (4, 9), generator=generator)
        mask = torch.ones_like(ids)
        mask[1, 5:], mask[3, 2:] = 0, 0
        yield {"input_ids": ids.where(mask.bool(), 1), "attention_mask": mask}


def quiet(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return repair(*args, **options)


@settings(max_examples=12, deadline=None)
@given(
    keep=st.floats(0, 1),
    seed=st.integers(0, 99),
    task=st.sampled_from(["intents", "fill-mask"]),
    layers=st.booleans(),
)
def test_never_worse_on_what_was_held_out(keep, seed, task, layers):
    model = make(task=task)
    masks = pl.random_masks(model, keep, seed=seed)
    masks.layers[seed % 3] = not layers
    pruned = pl.prune(model, masks)
    before = copy.deepcopy(pruned.state_dict())
    data = list(batches())
    held = [batch for i, batch in enumerate(data) if i % 10 == 9]
    fixed = quiet(pruned, model, data)
    assert divergences([fixed], model, held)[0] <= divergences([pruned], model, held)[0] + 1e-9
    assert all(torch.equal(a, b) for a, b in zip(before.values(), pruned.state_dict().values()))
    assert {k: v.shape for k, v in fixed.state_dict().items()} == {
        k: v.shape for k, v in pruned.state_dict().items()
    }


def test_nothing_pruned_is_nothing_changed():
    model = make()
    fixed = quiet(pl.prune(model, pl.Masks.keep_all(model)), model, batches())
    ids = torch.randint(5, 99, (3, 9))
    assert (fixed(ids).logits - model(ids).logits).abs().max() < 1e-3


def test_what_is_redundant_is_restored_in_full():
    """A neuron that is the sum of two others can be removed without loss, after repair."""
    model = make(layers=1)
    layer = model.roberta.encoder.layer[0]
    layer.intermediate.intermediate_act_fn = torch.nn.Identity()  # makes neurons linear
    with torch.no_grad():
        layer.intermediate.dense.weight[9] = layer.intermediate.dense.weight[:2].sum(0)
        layer.intermediate.dense.bias[9] = layer.intermediate.dense.bias[:2].sum() + 0.7
    masks = pl.Masks.keep_all(model)
    masks.neurons[0, 9] = False
    pruned = pl.prune(model, masks)
    pruned.roberta.encoder.layer[0].intermediate.intermediate_act_fn = torch.nn.Identity()
    fixed = repair(pruned, model, batches(20), ridges=(1e-10,))
    ids = torch.randint(5, 99, (3, 9), generator=torch.Generator().manual_seed(5))
    gap = lambda m: (m(ids).logits - model(ids).logits).abs().max().item()
    assert gap(pruned) > 0.05 and gap(fixed) < 1e-3


def test_an_empty_layer_learns_what_its_bias_can():
    model = make()
    masks = pl.Masks.keep_all(model)
    masks.heads[1], masks.neurons[1] = False, False
    pruned, data = pl.prune(model, masks), list(batches(30))
    fixed = repair(pruned, model, data)
    assert divergences([fixed], model, data)[0] < divergences([pruned], model, data)[0]


def test_a_removed_layer_is_made_up_for_by_the_one_before():
    model = make()
    masks = pl.Masks.keep_all(model)
    masks.layers[2] = False
    pruned, data = pl.prune(model, masks), list(batches(30))
    fixed = repair(pruned, model, data)
    assert divergences([fixed], model, data)[0] < 0.7 * divergences([pruned], model, data)[0]


def test_the_solution_is_the_ridge_regression():
    torch.manual_seed(0)
    dense = torch.nn.Linear(5, 3).double()
    x, y, w = torch.randn(40, 5).double(), torch.randn(40, 3).double(), torch.rand(40, 1).double()
    fit, check = Gram(5, 3), Gram(5, 3)
    fit.add(x[:30], y[:30], w[:30]), check.add(x[30:], y[30:], w[30:])
    start, ridge = copy.deepcopy(dense.state_dict()), 0.1
    with torch.no_grad():
        refit([dense], fit, check, (ridge,))
    lam = ridge * fit.xx.diagonal()[:-1].mean()  # now of both
    weight, bias = (p.detach().requires_grad_() for p in (dense.weight, dense.bias))
    loss = (w * (x @ weight.T + bias - y) ** 2).sum() + lam * (
        weight - start["weight"]
    ).square().sum()
    loss.backward()  # zero at the minimum
    if not torch.equal(weight, start["weight"]):
        assert weight.grad.abs().max() < 1e-8 and bias.grad.abs().max() < 1e-6


def test_it_declines_and_says_so():
    model = make()
    pruned = pl.prune(model, pl.random_masks(model, 0.5))
    with pytest.warns(UserWarning, match="declines"):
        same = repair(model, model, list(batches(2)))
    assert all(
        torch.equal(a, b) for a, b in zip(same.state_dict().values(), model.state_dict().values())
    )
    with pytest.raises(ValueError, match="batches.*1.*at least 2"):
        repair(pruned, model, list(batches(1)))
    with pytest.raises(ValueError, match="pruned"):
        repair(model, pl.prune(model, _without_layer(model)), list(batches(4)))


def _without_layer(model):
    masks = pl.Masks.keep_all(model)
    masks.layers[0] = False
    return masks
