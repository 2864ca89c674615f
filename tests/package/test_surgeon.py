"""Prices of removal are what least squares says; the curvature is that of the loss."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pruning_lessons as pl
from pruning_lessons.models.anatomy import head_size, heads_per_layer, layers_of, neurons_per_layer
from pruning_lessons.models.tasks import outputs, task_of
from pruning_lessons.pruning import surgeon
from pruning_lessons.pruning.streams import writes
from pruning_lessons.pruning.surgeon import Curvature, removal_costs

sys.path.insert(0, str(Path(__file__).parent))
from zoo import FAMILIES_AND_TASKS, batch, tiny


def unexplained(x, weight, gone, stay):
    """Σ over tokens of what `stay` cannot make up for, least squares: the oracle."""
    lost = x[:, gone] @ weight[:, gone].T
    return (lost - x[:, stay] @ torch.linalg.lstsq(x[:, stay], lost).solution).square().sum()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3]), st.integers(2, 5), st.integers(1, 6))
def test_costs_are_those_of_least_squares(seed, size, parts, rank):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(40, parts * size, generator=random, dtype=torch.float64)
    x[:, -1] += 2 * x[:, 0]  # some redundancy
    weight = torch.randn(rank, parts * size, generator=random, dtype=torch.float64)
    gram = x.T @ x / len(x)
    costs = removal_costs(gram, weight, size, 0.01)
    # the damping is a few more rows of data
    damped = gram.diagonal().mean() * 0.01 * len(x)
    x = torch.cat([x, damped.sqrt() * torch.eye(x.shape[1], dtype=x.dtype)])
    columns = lambda those: [p * size + i for p in those for i in range(size)]
    gone, highest, before = [], 0.0, 0.0
    for _ in range(parts):
        total = {
            p: unexplained(
                x,
                weight,
                columns([*gone, p]),
                columns([q for q in range(parts) if q not in (*gone, p)]),
            )
            / 40
            for p in range(parts)
            if p not in gone
        }
        cheapest = min(total, key=total.get)
        highest = max(highest, (total[cheapest] - before).item())
        assert costs[cheapest].item() == pytest.approx(highest, rel=1e-4, abs=1e-9)
        gone, before = [*gone, cheapest], total[cheapest]


def test_of_two_that_say_the_same_one_is_cheap():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, generator=random)
    x[:, 4] = x[:, 1]
    costs = removal_costs(x.T @ x / 500, torch.eye(6), 1, 0.01)
    cheap, dear = costs[[1, 4]].sort().values
    assert cheap < 0.05 * costs[[0, 2, 3, 5]].min() and dear > 0.5 * costs[[0, 2, 3, 5]].min()


def test_many_at_once_are_nearly_one_by_one(monkeypatch):
    random = torch.Generator().manual_seed(1)
    x = torch.randn(2000, 300, generator=random) @ torch.randn(300, 300, generator=random)
    gram, weight = x.T @ x / 2000, torch.randn(20, 300, generator=random)
    some = removal_costs(gram, weight, 1, 0.01)
    monkeypatch.setattr(surgeon, "TURNS", 10**6)
    single = removal_costs(gram, weight, 1, 0.01)

    def lost(costs):
        order = costs.argsort()
        return unexplained(x.double(), weight.double(), order[:150], order[150:])

    every = lost(torch.rand(300, generator=random))
    assert lost(some) < 1.1 * lost(single) < 0.7 * every


@pytest.mark.parametrize("family, task", FAMILIES_AND_TASKS)
def test_the_curvature_is_that_of_the_loss(family, task, monkeypatch):
    monkeypatch.setattr(surgeon, "ENOUGH", 10**6)  # every token
    model, rows = tiny(family, task).eval(), batch(task, labels=False)
    given = task_of(model).drawn
    random = lambda out: given(out, rows, 0, 0)
    found = Curvature(model, [rows])
    real, read = rows["attention_mask"].bool(), task_of(model).reads(model, rows)
    with found.watched() as seen:
        out = outputs(model, rows)
    loss = task_of(model).distribution.nll(out, random(out.detach())).sum()
    found.add(seen, loss, rows)
    assert not any(writes(found.layers, i).dense._forward_hooks for i in range(len(found)))

    kept = []  # the same by autograd's own means
    keep = lambda module, args, output: (output.retain_grad(), kept.append((args[0], output)))[1]
    handles = [
        writes(found.layers, i).dense.register_forward_hook(
            lambda module, args, output: keep(module, args, output) and None
        )
        for i in range(len(found))
    ]
    out = outputs(model, rows)
    task_of(model).distribution.nll(out, random(out.detach())).sum().backward()
    for handle in handles:
        handle.remove()
    for i, (inner, output) in enumerate(kept):
        where = real if i < len(found) - 2 else real & read
        a, g = inner[where].detach(), output.grad[real]  # unread tokens have no gradient
        assert torch.allclose(found.read[i], a.T @ a, rtol=1e-4, atol=1e-5)
        assert torch.allclose(found.written[i], g.T @ g, rtol=1e-3, atol=1e-6)
        assert found.tokens[i] == len(a)


def test_scores_of_an_uneven_model():
    model = tiny("xlm-roberta", "classification")
    model = pl.prune(model, pl.random_masks(model, 0.5, seed=3))
    masks = pl.Masks.keep_all(model)
    masks.neurons[0] = False
    masks.heads[1] = False
    model = pl.prune(model, masks)
    scores = pl.importance(model, [batch("classification")], "obs")
    for found, counts in (
        (scores.heads, heads_per_layer(model)),
        (scores.neurons, neurons_per_layer(model)),
    ):
        for row, count in zip(found, counts):
            assert (row[:count] > 0).all() and not row[count:].any()
    assert torch.allclose(scores.layers, scores.heads.sum(1) + scores.neurons.sum(1))
    assert len(layers_of(model)) == len(scores.layers)


def test_some_tokens_are_enough_for_the_gram(monkeypatch):
    """Of much data every so manieth example is used, whatever batches they come in."""
    model = tiny("xlm-roberta", "classification")
    rows = batch("classification", n=30)
    monkeypatch.setattr(surgeon, "ENOUGH", 1)
    found = []
    for size in (30, 7):
        parts = [{k: v[i : i + size] for k, v in rows.items()} for i in range(0, 30, size)]
        curvature = Curvature(model, parts)
        with torch.enable_grad():
            for part in parts:
                with curvature.watched() as seen:
                    loss = outputs(model, part).logsumexp(1).sum()
                curvature.add(seen, loss, part)
        found.append(curvature)
    once, often = found
    lengths = rows["attention_mask"].sum(1)
    width = max(writes(once.layers, i).dense.in_features for i in range(len(once)))
    for i, step in enumerate(once.steps):
        total = 30 if i >= len(once) - 2 else int(lengths.sum())
        assert step == max(1, total // width)
        assert once.tokens[i] == (
            len(range(0, 30, step)) if i >= len(once) - 2 else lengths[::step].sum()
        )
        assert torch.allclose(once.read[i], often.read[i], rtol=1e-4, atol=1e-5)
    assert max(once.steps) > 1


@pytest.mark.parametrize("n", [3, 300])  # few tokens for each row of A, and many
def test_the_cheapest_part_costs_what_the_formula_says(n):
    model, rows = tiny("xlm-roberta", "embedding"), batch("embedding", n=n)
    curvature = Curvature(model, [rows])
    with curvature.watched() as seen:
        out = outputs(model, rows)
    noise = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    curvature.add(seen, (noise * out).sum(), rows)
    costs = curvature.costs()
    for i in range(len(curvature)):
        a = curvature.read[i].double() / curvature.tokens[i]
        g = curvature.written[i].double() / n
        damping = max(0.01, 0.08 * len(a) / curvature.tokens[i])
        inverse = torch.linalg.inv(a + damping * a.diagonal().mean() * torch.eye(len(a)).double())
        weight = writes(curvature.layers, i).dense.weight.detach().double()
        size = 1 if i % 2 else head_size(model)
        found = []
        for part in range(len(a) // size):
            p = slice(part * size, (part + 1) * size)
            left = weight[:, p] @ torch.linalg.inv(inverse[p, p]) @ weight[:, p].T
            found.append((g @ left).trace())
        assert costs[i % 2][i // 2].min().item() == pytest.approx(min(found).item(), rel=1e-4)
