"""Pruned equals masked, for any masks; and what gates and masks promise."""

import copy
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pruning_lessons as pl
from pruning_lessons.models.anatomy import heads_per_layer, neurons_per_layer

sys.path.insert(0, str(Path(__file__).parent))
from conftest import logits, make


def bools(rows, columns):
    return st.lists(
        st.lists(st.booleans(), min_size=columns, max_size=columns), min_size=rows, max_size=rows
    ).map(lambda x: torch.tensor(x, dtype=torch.bool).reshape(rows, columns))


def any_masks(layers=3, heads=4, neurons=10):
    return st.builds(
        lambda h, n, l: pl.Masks(h, n, l[:, 0]),
        bools(layers, heads),
        bools(layers, neurons),
        bools(layers, 1),
    )


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@settings(max_examples=40, deadline=None)
@given(
    masks=any_masks(),
    attention=st.sampled_from(["sdpa", "eager"]),
    task=st.sampled_from(["intents", "fill-mask"]),
)
def test_pruned_equals_masked(masks, attention, task):
    model = make(task=task, attention=attention)
    before, n_hooks = copy.deepcopy(model.state_dict()), hooks(model)
    with pl.masked(model, masks):
        expected = logits(model)
    pruned = pl.prune(model, masks)
    assert (logits(pruned) - expected).abs().max() < 1e-4
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    assert hooks(model) == n_hooks and hooks(pruned) == 0
    assert heads_per_layer(pruned) == [
        int(masks.heads[i].sum()) for i in range(3) if masks.layers[i]
    ]
    assert neurons_per_layer(pruned) == [
        int(masks.neurons[i].sum()) for i in range(3) if masks.layers[i]
    ]
    assert pruned.config.num_hidden_layers == int(masks.layers.sum())


@settings(max_examples=25, deadline=None)
@given(first=any_masks(), data=st.data())
def test_pruning_twice_is_pruning_once(first, data):
    model = make()
    once = pl.prune(model, first)
    shape = pl.Masks.keep_all(once)
    second = data.draw(any_masks(len(shape.layers), shape.heads.shape[1], shape.neurons.shape[1]))
    twice, combined = pl.prune(once, second), pl.prune(model, first.then(second))
    assert torch.equal(logits(twice), logits(combined))
    assert (
        twice.config.kept_heads == combined.config.kept_heads
        and twice.config.kept_layers == combined.config.kept_layers
    )


def test_masks_do_something():
    model = make()
    masks = pl.Masks.keep_all(model)
    assert torch.allclose(logits(pl.prune(model, masks)), logits(model), atol=1e-6)
    masks.heads[1, 2] = False
    assert (logits(pl.prune(model, masks)) - logits(model)).abs().max() > 1e-3


def test_gates_are_differentiable_and_leave_no_hook():
    model = make()
    plain = logits(model)
    ids = torch.randint(5, 99, (3, 9))
    with pytest.raises(RuntimeError, match="stop"):
        with pl.gates(model) as gate:
            assert torch.allclose(logits(model), plain, atol=1e-6)
            model(ids).logits.square().sum().backward()
            raise RuntimeError("stop")
    assert hooks(model) == 0
    assert (
        gate.heads.grad.shape == (3, 4)
        and gate.neurons.grad.shape == (3, 10)
        and gate.layers.grad.shape == (3, 1)
    )
    assert all(g.grad.abs().min() > 0 for g in (gate.heads, gate.neurons, gate.layers))
    with pl.gates(model, examples=3) as each:
        model(ids).logits.square().sum().backward()
    for one, many in zip(vars(gate).values(), vars(each).values()):  # examples add up to the batch
        assert torch.allclose(many.grad.sum(1), one.grad, rtol=1e-3, atol=1e-4)


def test_gate_gradient_is_what_a_small_step_changes():
    model = make().double()
    ids = torch.randint(5, 99, (2, 6))
    loss = lambda: model(ids).logits.square().sum()
    with pl.gates(model) as gate:
        value = loss()
        value.backward()
        with torch.no_grad():
            step = 1e-6 * torch.randn(3, 4, dtype=torch.double)
    with pl.gates(model):
        pass
    from pruning_lessons.models.masks import hooked

    with torch.no_grad(), hooked(model, gate.heads + step, gate.neurons, gate.layers):
        moved = loss()
    assert (moved - value).item() == pytest.approx((gate.heads.grad * step).sum().item(), rel=1e-3)


@pytest.mark.parametrize("even", [True, False])
def test_random_masks(even):
    model = make()
    masks = pl.random_masks(model, 0.5, even=even, seed=1)
    assert masks == pl.random_masks(model, 0.5, even=even, seed=1) and masks != pl.random_masks(
        model, 0.5, even=even, seed=2
    )
    assert masks.heads.sum() == 6 and masks.neurons.sum() == 15 and masks.layers.all()
    if even:
        assert set(masks.heads.sum(1).tolist()) == {2}


@pytest.mark.parametrize(
    "change, error, words",
    [
        (dict(heads=torch.ones(3, 5, dtype=torch.bool)), ValueError, "masks.heads.*(3, 5).*(3, 4)"),
        (dict(neurons=torch.ones(3, 10)), TypeError, "masks.neurons.*float32.*bool"),
        (dict(layers=[True] * 3), TypeError, "masks.layers.*list"),
        (
            dict(heads=torch.ones(3, 4, dtype=torch.bool, device="meta")),
            ValueError,
            "masks.heads.*meta.*CPU",
        ),
    ],
)
def test_bad_masks_are_refused(change, error, words):
    model = make()
    masks = pl.Masks(**(vars(pl.Masks.keep_all(model)) | change))
    for use in (lambda: pl.prune(model, masks), lambda: pl.masked(model, masks).__enter__()):
        with pytest.raises(error, match=words.replace("(", r"\(").replace(")", r"\)")):
            use()
    assert hooks(model) == 0


def test_other_models_are_refused():
    with pytest.raises(TypeError, match="model.*Linear"):
        pl.random_masks(torch.nn.Linear(2, 2), 0.5)
    with pytest.raises(ValueError, match="keep.*1.5"):
        pl.random_masks(make(), 1.5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_embedded_model_pruned_equals_masked(embedded, attention):
    model, tokenizer = embedded
    model.set_attn_implementation(attention)
    masks = pl.random_masks(model, 0.5, seed=3)
    masks.heads[4], masks.neurons[7], masks.layers[9] = False, False, False
    batch = tokenizer(["turn on the light", "Wie spät ist es?"], padding=True, return_tensors="pt")
    with torch.no_grad(), pl.masked(model, masks):
        expected = model(**batch).logits
    with torch.no_grad():
        assert (pl.prune(model, masks)(**batch).logits - expected).abs().max() < 1e-4
    model.set_attn_implementation("sdpa")


def test_two_threads_take_turns():
    """`masked` on one model in two threads: each sees its own masks."""
    model = make()
    masks = [pl.random_masks(model, 0.5, seed=seed) for seed in (0, 1)]
    wanted, wrong = [logits(pl.prune(model, m)) for m in masks], []

    def work(i):
        for _ in range(20):
            with pl.masked(model, masks[i]):
                if not torch.allclose(logits(model), wanted[i], atol=1e-5):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_copy_made_under_masks_is_whole():
    model = make()
    whole = logits(model)
    with pl.masked(model, pl.random_masks(model, 0.5)):
        mine, plain = pl.prune_weights(model, 0.0), copy.deepcopy(model)
    assert torch.equal(logits(plain), whole) and torch.equal(logits(mine), whole)
    torch_own = sum(hasattr(m, "weight_mask") for m in mine.modules())
    assert hooks(mine) == torch_own
