"""A student learns from what its teacher said: asked once, in the teacher's own units."""

import copy
import sys
from pathlib import Path

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.models.journal import Journal
from pruning_lessons.models.tasks import TASKS, hidden_states, outputs
from pruning_lessons.recovery import distillation, training
from pruning_lessons.recovery.teacher import Teacher

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make
from test_training import Numbers, data, one_thread, same  # noqa: F401
from zoo import batch, tiny

OPTIONS = dict(epochs=2, batch_size=8, learning_rate=1e-3, progress=False)
BATCH = 8 * 5 * 4 + 3 * (8 * 5 * 24 * 2)  # bytes: five logits of a text, 24 halves of a token


def pair():
    teacher = make()
    return pl.prune(teacher, pl.random_masks(teacher, 0.5, seed=1)), teacher


def taught(student, teacher, texts=None, **options):
    """What `distill` found, and how often the teacher was asked."""
    asked = []
    handle = teacher.roberta.register_forward_hook(lambda *args: asked.append(1))
    texts = data() if texts is None else texts
    found = pl.distill(student, teacher, Numbers(), texts, **OPTIONS | options)
    handle.remove()
    return found, len(asked)


def test_what_the_teacher_said_is_asked_once():
    """Of three batches in two epochs all, one or none fit; one more holds the sample."""
    students, found = [], []
    for cache, times in ((3 * BATCH, 3), (2 * BATCH - 1, 5), (0, 6)):
        student, teacher = pair()
        result, asked = taught(student, teacher, cache=cache)
        assert asked == times + 1, cache
        students.append(student), found.append(result.losses)
    assert found[0] == found[1] == found[2] and same(students[0], students[1])
    assert same(students[0], students[2]) and not same(students[0], pair()[0])
    assert taught(*pair(), hidden=0)[1] == 3  # no sample
    assert taught(*pair(), hidden=0, alpha=1.0)[1] == 0


def test_one_epoch_keeps_nothing(monkeypatch):
    made, real = [], distillation.Teacher
    monkeypatch.setattr(distillation, "Teacher", lambda *a: made.append(real(*a)) or made[-1])
    for epochs, kept in ((1, 0), (2, 3)):
        assert taught(*pair(), epochs=epochs)[1] == 3 + 1
        assert len(made[-1].kept) == kept


def test_an_interruption_in_the_second_epoch_changes_nothing(tmp_path, monkeypatch):
    """Though what was kept is lost with it, and the next run keeps less."""
    whole, teacher = pair()
    taught(whole, teacher)
    student, clip, steps = pair()[0], training.clip_grad_norm_, []

    def stopped(*args):
        steps.append(1)
        if len(steps) == 5:  # the state on disk is that before the fourth
            raise KeyboardInterrupt
        return clip(*args)

    options = dict(folder=tmp_path / "a", save_every=1)
    monkeypatch.setattr(training, "clip_grad_norm_", stopped)
    with pytest.raises(KeyboardInterrupt):
        taught(student, teacher, **options)
    found, asked = taught(student, teacher, **options, cache=BATCH)
    assert same(student, whole) and found.steps == 6 and len(steps) == 5 + 3
    assert asked == 3 + 1  # the second epoch's batches, and the sample


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", ["xlm-roberta", "bert"])
def test_every_task_is_remembered(family, task):
    """The outputs to the bit, the states to float16; both the same when asked again."""
    model = tiny(family, task)
    batches = [batch(task, T=T, seed=T, family=family) for T in (9, 6)]
    limit, before = 10**5, []
    teacher = Teacher(model, (2, 0, 2), True, lambda: batches, limit)
    with torch.no_grad():
        for place, one in enumerate(batches * 2):
            out, states = teacher.ask(place % 2, one)
            assert torch.equal(out, outputs(model, one)) and list(states) == [0, 2]
            last = hidden_states(model, one)[one["attention_mask"].bool()]
            assert (states[2] - last).abs().max() < 5e-3 * teacher.variance[2] ** 0.5
            before.append(states)
            assert all(torch.equal(states[i], before[place % 2][i]) for i in states)
    assert list(teacher.kept) == [0, 1]
    held = [t.nbytes for out, states in teacher.kept.values() for t in (out, *states)]
    assert teacher.used == sum(held) <= limit
    assert not any(module._forward_hooks for module in model.modules())


def quiet(**changes):
    """A model without dropout: its loss can be computed by hand."""
    off = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return tiny("xlm-roberta", "classification", **off | changes)


def test_the_loss_is_what_it_says():
    student, teacher = quiet(seed=1), quiet()
    texts, layer_map = data(8), {0: 1, 2: 2}
    options = dict(layer_map=layer_map, temperature=3.0, alpha=0.25, hidden=0.5, epochs=1)
    one = next(texts.batches(Numbers(), 8))
    with torch.no_grad():
        inputs = {name: one[name] for name in ("input_ids", "attention_mask")}
        mine, theirs = (m(**inputs, output_hidden_states=True) for m in (student, teacher))
    soft = [(m.logits / 3).log_softmax(-1) for m in (mine, theirs)]
    kl = torch.nn.functional.kl_div(*soft, log_target=True, reduction="batchmean")
    labels = torch.nn.functional.cross_entropy(mine.logits, one["labels"])
    gaps = []
    for s, t in layer_map.items():
        a, b = mine.hidden_states[s + 1].flatten(0, 1), theirs.hidden_states[t + 1].flatten(0, 1)
        gaps.append((a - b).square().mean() / b.var(0, correction=0).mean())
    wanted = 0.75 * 9 * kl + 0.25 * labels + 0.5 * sum(gaps) / 2
    found, _ = taught(student, teacher, texts, **options)
    assert found.losses == pytest.approx([wanted.item()], rel=1e-3)


def test_the_weight_of_states_does_not_depend_on_their_scale():
    """Both models' last states eight times as large, and the heads made up for it."""
    losses = []
    for scale in (1, 8):
        student, teacher = quiet(seed=1), quiet()
        with torch.no_grad():
            for model in (student, teacher):
                norm = model.roberta.encoder.layer[-1].output.LayerNorm
                norm.weight.mul_(scale), norm.bias.mul_(scale)
                model.classifier.dense.weight.div_(scale)
        options = dict(layer_map={2: 2}, hidden=1.0, alpha=0.5, epochs=1)
        losses.append(taught(student, teacher, data(8), **options)[0].losses[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_states_that_do_not_vary_have_a_weight_too():
    student, teacher = pair()
    norm = teacher.roberta.encoder.layer[-1].output.LayerNorm
    torch.nn.init.zeros_(norm.weight)
    assert all(0 < loss < 1e4 for loss in taught(student, teacher)[0].losses)
    torch.nn.init.zeros_(norm.bias)
    assert all(0 < loss < 1e4 for loss in taught(student, teacher)[0].losses)


def own_answers(model):
    """Texts whose labels are the model's answers: it cannot become better."""
    texts = data()
    one = next(texts.batches(Numbers(), 24))
    with torch.no_grad():
        texts.labels = outputs(model, one).argmax(-1).tolist()
    return texts


@pytest.mark.parametrize("how", ["fine_tune", "distill"])
@pytest.mark.parametrize("rate, epochs", [(1e-9, 2), (1.0, 1)], ids=["no better", "worse"])
def test_no_worse_model_is_kept(how, rate, epochs, tmp_path):
    """With patience, training stops an epoch after the state that it began with."""
    model = make()
    texts = own_answers(model)
    teacher = [make(seed=5)] if how == "distill" else []
    options = OPTIONS | dict(learning_rate=rate, validation=texts, folder=tmp_path / "a")
    options |= dict(epochs=epochs, freeze_embeddings=False)
    for _ in range(2):  # the second time from the folder
        with pytest.warns(UserWarning, match="validation: the accuracy was 100.0% before"):
            found = getattr(pl, how)(model, *teacher, Numbers(), data(seed=2), **options)
        assert same(model, make()) and found.start == 1.0
        assert len(found.accuracies) == len(found.losses) == epochs
        assert (found.accuracies[0] < 1) == (rate == 1.0)
    assert [row[0] for row in found.rows()][:3] == ["epoch", 0, 1]


def test_patience_counts_from_the_start():
    model = make()
    options = OPTIONS | dict(learning_rate=1.0, epochs=5, patience=2, validation=own_answers(model))
    with pytest.warns(UserWarning, match="no better"):
        found = pl.fine_tune(model, Numbers(), data(), **options)
    assert len(found.accuracies) == 2


@pytest.mark.parametrize("cache", [-1, 1.5, None, "1", True])
def test_a_wrong_limit(cache):
    student, teacher = pair()
    before = copy.deepcopy(student)
    with pytest.raises(ValueError, match=f"cache: is {cache!r}, must be a whole number"):
        pl.distill(student, teacher, Numbers(), data(), cache=cache)
    assert same(student, before)


def test_a_state_of_an_older_layout_is_refused(tmp_path, monkeypatch):
    student, teacher = pair()

    def older(work, argument, folder, same, *rest, **options):
        facts = lambda: {name: fact for name, fact in same().items() if name != "layout"}
        return Journal(work, argument, folder, facts, *rest, **options)

    monkeypatch.setattr(training, "Journal", older)
    taught(student, teacher, folder=tmp_path / "a")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="folder: .*training with another layout: name a new"):
        taught(student, teacher, folder=tmp_path / "a")
