"""Every head of every family: the same promises, with no exception for any."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions as torch_distributions

import pruning_lessons as pl
from pruning_lessons.models.tasks import Bernoulli, Categorical, Gaussian, dense, labels_of
from pruning_lessons.pruning.repair import divergences

sys.path.insert(0, str(Path(__file__).parent))
from zoo import FAMILIES_AND_TASKS, batch, padded, part, tiny

EVERY = pytest.mark.parametrize("family, task", FAMILIES_AND_TASKS)
HEADS = pytest.mark.parametrize("task", pl.TASKS)


def bools(data, *shape):
    n = int(np.prod(shape))
    return torch.tensor(data.draw(st.lists(st.booleans(), min_size=n, max_size=n))).view(shape)


@EVERY
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_removed_equals_masked(family, task, data):
    model, one = tiny(family, task), batch(task, family=family)
    masks = pl.Masks(bools(data, 3, 4), bools(data, 3, 20), bools(data, 3))
    small = pl.prune(model, masks)
    with torch.no_grad(), pl.masked(model, masks):
        assert torch.allclose(pl.outputs(small, one), pl.outputs(model, one), atol=1e-5)
    assert pl.task_of(small) == pl.task_of(model) == pl.TASKS[task]


@EVERY
def test_loss_is_that_of_transformers(family, task):
    """So one training step is the same. Without padding: there transformers' spans take part."""
    model, one = tiny(family, task), batch(task, n=5, family=family)
    one["attention_mask"] = torch.ones_like(one["attention_mask"])
    if pl.TASKS[task].needs_labels:
        one.pop("counts", None)
        labels = one["labels"]
        theirs = {"labels": labels}
        if task == "question-answering":
            theirs = {"start_positions": labels[:, 0], "end_positions": labels[:, 1]}
        inputs = {name: t for name, t in one.items() if name not in ("labels", "counts")}
        wanted = model(**inputs, **theirs).loss
        out = pl.outputs(model, one)
        mine = pl.TASKS[task].loss(out, pl.TASKS[task].targets(one, out))
        assert torch.allclose(mine, wanted, atol=1e-6)
        parameters = [p for p in model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(mine, parameters, allow_unused=True)
        for a, b in zip(gradients, torch.autograd.grad(wanted, parameters, allow_unused=True)):
            assert (a is None) == (b is None) and (a is None or torch.allclose(a, b, atol=1e-5))
    else:  # no labels: transformers has no loss; the vectors are its hidden states, pooled
        hidden = model(**{n: t for n, t in one.items() if n != "labels"}).last_hidden_state
        vectors = torch.nn.functional.normalize(hidden.mean(1), dim=1)
        assert torch.allclose(pl.outputs(model, one), vectors, atol=1e-6)


@HEADS
def test_output_is_that_of_transformers(task):
    """`dense` is what transformers' own forward pass gives, where it has one."""
    for family in ("xlm-roberta", "bert"):
        model, one = tiny(family, task), batch(task, labels=False, family=family)
        found = model(**{n: t for n, t in one.items() if n != "counts"})
        mine = dense(model, one)
        if task == "question-answering":
            wanted = torch.stack([found.start_logits, found.end_logits], 1)
        elif task == "embedding":
            real = one["attention_mask"][..., None]
            wanted = (found.last_hidden_state * real).sum(1) / real.sum(1)
            wanted = torch.nn.functional.normalize(wanted, dim=1)
        else:
            wanted = found.logits
        assert torch.allclose(mine, wanted, atol=1e-5)
        rows = pl.TASKS[task].rows(mine, one)
        assert torch.allclose(rows, pl.outputs(model, one), atol=1e-5)


@EVERY
@pytest.mark.parametrize("targets", ["labels", "drawn"])
def test_fisher_is_the_plain_gradient(family, task, targets):
    """One example at a time, one target, autograd: the same scores as in one pass over a batch."""
    if targets == "labels" and not pl.TASKS[task].needs_labels:
        return
    model, one = tiny(family, task), batch(task, n=4, family=family)
    scores = pl.importance(model, [one], targets=targets, seed=3)
    heads, neurons = torch.zeros(3, 4), torch.zeros(3, 20)
    for i in range(4):
        alone = part(one, slice(i, i + 1))
        with pl.gates(model) as gate:
            out = pl.outputs(model, alone)
            kind = pl.TASKS[task]
            wanted = (
                kind.targets(alone, out) if targets == "labels" else kind.drawn(out, alone, 3, i)
            )
            kind.distribution.nll(out, wanted).sum().backward()
        heads += gate.heads.grad.square() / 4
        neurons += gate.neurons.grad.square() / 4
    assert torch.allclose(scores.heads, heads, rtol=1e-3, atol=1e-7)
    assert torch.allclose(scores.neurons, neurons, rtol=1e-3, atol=1e-7)
    assert heads.min() > 0


@HEADS
@pytest.mark.parametrize("method", ["fisher", "obs", "taylor", "activation", "leave_one_out"])
def test_scores_ignore_batches_and_padding(task, method):
    model, one = tiny("xlm-roberta", task), batch(task, labels=False)
    whole = pl.importance(model, [one], method)
    split = [part(one, slice(0, 2)), padded(part(one, slice(2, 3)), 4), part(one, slice(3, 6))]
    other = pl.importance(model, split, method)
    assert torch.allclose(whole.heads, other.heads, rtol=1e-3, atol=1e-6)
    assert torch.allclose(whole.layers, other.layers, rtol=1e-3, atol=1e-6)


@EVERY
def test_repair_lowers_the_divergence(family, task):
    model = tiny(family, task)
    data = [batch(task, n=8, seed=seed, labels=False, family=family) for seed in range(24)]
    masks = pl.select(pl.importance(model, data), model, keep_macs=0.6, length=9)
    pruned = pl.prune(model, masks)
    fixed = pl.repair(pruned, model, data[:-4])
    before, after = divergences([pruned, fixed], model, data[-4:])
    assert after < before


@HEADS
def test_distillation_follows_the_teacher_without_labels(task):
    """A few steps on unlabelled batches bring the student's answers closer, whatever they are."""
    teacher = tiny("xlm-roberta", task)
    student = pl.prune(teacher, pl.random_masks(teacher, 0.6))
    kind, data = pl.TASKS[task], [batch(task, n=8, seed=s, labels=False) for s in range(6)]
    before = divergences([student], teacher, data)[0]
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    for _ in range(10):
        for one in data:
            with torch.no_grad():
                wanted = pl.outputs(teacher, one)
            optimizer.zero_grad()
            kind.soft_loss(wanted, pl.outputs(student, one), 2.0).backward()
            optimizer.step()
    assert divergences([student], teacher, data)[0] < 0.7 * before


# --- the distributions, held against torch's ---


def test_divergences_are_those_of_torch():
    a, b = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0)).unbind(0)
    for mine, theirs in (
        (Categorical(), lambda x: torch_distributions.Categorical(logits=x)),
        (Bernoulli(), lambda x: torch_distributions.Bernoulli(logits=x)),
        (Gaussian(0.5), lambda x: torch_distributions.Normal(x, 0.5**0.5)),
    ):
        wanted = torch_distributions.kl_divergence(theirs(a), theirs(b))
        assert torch.allclose(mine.divergence(a, b), wanted, atol=1e-5)
    u, v = (torch.nn.functional.normalize(x, dim=1) for x in (a, b))
    cosines = (u * v).sum(1)
    assert torch.allclose(pl.TASKS["embedding"].divergence(u, v), 1 - cosines, atol=1e-6)


@pytest.mark.parametrize("distribution", [Categorical(), Bernoulli(), Gaussian(0.7)])
def test_draws_have_the_right_frequencies(distribution):
    out = torch.randn(4, generator=torch.Generator().manual_seed(1)) * 1.5
    rng = np.random.default_rng(0)
    many = out.expand(40_000, 4)
    if isinstance(distribution, Gaussian):
        drawn = distribution.draw(many, torch.from_numpy(rng.standard_normal(many.shape)))
        assert torch.allclose(drawn.mean(0), out, atol=0.02)
        assert torch.allclose(drawn.var(0), torch.full((4,), 0.7), atol=0.03)
        return
    shape = many.shape[:-1] if isinstance(distribution, Categorical) else many.shape
    drawn = distribution.draw(many, torch.from_numpy(rng.random(shape)))
    if isinstance(distribution, Categorical):
        assert torch.allclose(drawn.bincount(minlength=4) / 40_000, out.softmax(0), atol=0.01)
    else:
        assert torch.allclose(drawn.mean(0), out.sigmoid(), atol=0.01)


def test_drawn_fisher_has_the_right_expectation():
    """For classes E_y g_y² = Σ_y p_y g_y² is known exactly; many draws come close to it."""
    model, one = tiny("roberta", "classification"), batch("classification", n=2, labels=False)
    exact = torch.zeros(3, 4)
    with torch.no_grad():
        shares = pl.outputs(model, one).softmax(-1)
    for y in range(5):
        each = pl.importance(model, [one | {"labels": torch.full((2,), y)}]).gradients[0]
        exact += (shares[:, y, None, None] * each.square()).mean(0)
    draws = [pl.importance(model, [one], seed=seed).heads for seed in range(400)]
    assert torch.allclose(torch.stack(draws).mean(0), exact, rtol=0.25)


@HEADS
def test_wrong_labels_are_named(task):
    model, one = tiny("xlm-roberta", task), batch(task)
    if not pl.TASKS[task].needs_labels:
        assert pl.importance(model, [one | {"labels": torch.zeros(6)}]).heads.min() > 0
        return
    with pytest.raises(ValueError, match="batches.*shape.*must be"):
        pl.importance(model, [one | {"labels": torch.zeros(6, 77)}])
    with pytest.raises(ValueError, match="no labels"):
        pl.importance(model, [batch(task, labels=False)], targets="labels")
    if isinstance(pl.TASKS[task].distribution, Categorical):
        with pytest.raises(ValueError, match="labels are torch.float32|labels go up to"):
            pl.importance(model, [one | {"labels": one["labels"] * 1000}])


def test_what_configurations_say():
    config = tiny("xlm-roberta", "classification", num_labels=1, problem_type=None)
    assert pl.task_of(config).name == "regression"  # as transformers has it
    assert pl.task_of(tiny("bert", "classification", problem_type=None)).name == "classification"
    names = {0: "no", 1: "yes"}
    model = tiny("bert", "tokens", num_labels=2, id2label=names)
    assert labels_of(model) == ["no", "yes"] and labels_of(tiny("bert", "fill-mask")) is None


class Mine(type(tiny("xlm-roberta", "classification"))):
    """A head of one's own: nobody knows what it answers."""


def test_other_states_and_heads_are_refused_by_name():
    model = tiny("xlm-roberta", "classification")
    with pytest.raises(TypeError, match="is a Mine.*must be one of"):
        pl.importance(Mine(model.config), [batch("classification")])
    with pytest.raises(TypeError, match=r"compiled.*model\._orig_mod"):
        pl.summary(torch.compile(model))
    with pytest.raises(TypeError, match=r"wrapped.*model\.module"):
        pl.prune(torch.nn.DataParallel(model), pl.Masks.keep_all(model))
    quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})
    with pytest.raises(TypeError, match="layer 0.*Linear.*must be a plain"):
        pl.prune(quantised, pl.Masks.keep_all(model))


def test_frozen_parts_and_modes_come_back():
    """Each function sets what it needs for each module, and puts back exactly that."""
    model, one = tiny("bert", "classification").train(), batch("classification", family="bert")
    model.base_model.embeddings.eval()
    model.base_model.encoder.layer[0].requires_grad_(False)
    modes = [m.training for m in model.modules()]
    wanted = [p.requires_grad for p in model.parameters()]
    for method in ("fisher", "activation", "leave_one_out"):
        pl.importance(model, [one], method)
    small = pl.prune(model, pl.random_masks(model, 0.5))
    pl.repair(small, model, [one, one])
    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == wanted


def test_models_that_do_not_belong_together():
    model = tiny("xlm-roberta", "classification")
    small = pl.prune(model, pl.random_masks(model, 0.5))
    other = tiny("xlm-roberta", "classification", id2label={i: f"x{i}" for i in range(5)})
    one = batch("classification")
    with pytest.raises(ValueError, match="pruned: has labels.*must be that of original"):
        pl.repair(small, other, [one, one])
    with pytest.raises(ValueError, match="number of word pieces 120.*100"):
        pl.repair(small, tiny("xlm-roberta", "classification", vocab_size=100), [one, one])
    with pytest.raises(ValueError, match="task 'classification'.*'tokens'"):
        pl.repair(small, tiny("xlm-roberta", "tokens"), [one, one])
