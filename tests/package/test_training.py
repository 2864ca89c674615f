"""Training learns, stops, and survives any interruption with the same weights."""
import copy
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons import training
from pruning_lessons.training import distill, fine_tune

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make  # noqa: E402


class Numbers:
    """A tokenizer for tests: words are numbers."""

    def __call__(self, texts, **options):
        rows = [[0] + [int(w) for w in text.split()] for text in texts]
        T = max(map(len, rows))
        ids = torch.tensor([r + [1] * (T - len(r)) for r in rows])
        return {"input_ids": ids, "attention_mask": (ids != 1).long()}


def data(n=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(5, 99, (n, 4), generator=generator)
    labels = (words[:, 0] % 5).tolist()
    return pl.Intents([" ".join(map(str, row)) for row in words.tolist()], labels, ["en"] * n, list("abcde"))


OPTIONS = dict(epochs=3, batch_size=8, learning_rate=1e-3, progress=False)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_it_learns_and_leaves_the_rest():
    model = pl.prune(make(), pl.random_masks(make(), 0.6)).train()
    words = model.roberta.embeddings.word_embeddings.weight.clone()
    before = pl.evaluate(model, Numbers(), data()).accuracy
    found = fine_tune(model, Numbers(), data(), **OPTIONS | dict(epochs=25, learning_rate=3e-3), validation=data())
    assert max(found.accuracies) > before + 0.2 and found.losses[-1] < found.losses[0] and found.steps == 75
    assert torch.equal(words, model.roberta.embeddings.word_embeddings.weight)
    assert model.roberta.embeddings.word_embeddings.weight.requires_grad and model.training and "validation" in repr(found)
    assert pl.evaluate(model, Numbers(), data()).accuracy == max(found.accuracies)


@pytest.mark.parametrize("stop", [1, 3, 4, 8])
def test_interrupted_is_as_if_not(tmp_path, monkeypatch, stop):
    whole, parts = make(), make()
    fine_tune(whole, Numbers(), data(), **OPTIONS, folder=tmp_path / "a", save_every=2, validation=data(8, 1))
    count, evaluate_loss = [0], torch.nn.functional.cross_entropy

    def failing(*args, **kwargs):
        count[0] += 1
        if count[0] == stop:
            raise RuntimeError("power cut")
        return evaluate_loss(*args, **kwargs)
    monkeypatch.setattr(training.F, "cross_entropy", failing)
    start = copy.deepcopy(parts)
    with pytest.raises(RuntimeError, match="power cut"):
        fine_tune(parts, Numbers(), data(), **OPTIONS, folder=tmp_path / "b", save_every=2, validation=data(8, 1))
    assert parts.roberta.embeddings.word_embeddings.weight.requires_grad
    monkeypatch.undo()
    found = fine_tune(start, Numbers(), data(), **OPTIONS, folder=tmp_path / "b", save_every=2, validation=data(8, 1))
    assert same(start, whole) and found.steps == 9 and len(found.losses) == 3


def test_killed_for_good(tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import make
from test_training import *
from pruning_lessons import training
write = training._Journal.write
def dying(self, *args):
    write(self, *args)
    os.kill(os.getpid(), signal.SIGKILL)
training._Journal.write = dying
fine_tune(make(), Numbers(), data(), **OPTIONS, folder={str(tmp_path / 'k')!r}, save_every=2)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    whole, rest = make(), make()
    fine_tune(whole, Numbers(), data(), **OPTIONS)
    fine_tune(rest, Numbers(), data(), **OPTIONS, folder=tmp_path / "k", save_every=2)
    assert same(whole, rest)
    with pytest.raises(ValueError, match="folder.*other data"):
        fine_tune(make(), Numbers(), data(16), **OPTIONS, folder=tmp_path / "k")
    assert same(whole, rest) and os.listdir(tmp_path / "k") == ["training.safetensors"]


def test_patience_stops_and_the_best_comes_back(monkeypatch):
    scores = iter([0.3, 0.9, 0.5, 0.4, 0.8])
    weights = []

    def fake(model, *args):
        weights.append(copy.deepcopy(model.state_dict()))
        return pl.Evaluation(next(scores), {}, 1)
    monkeypatch.setattr(training, "evaluate", fake)
    model = make()
    found = fine_tune(model, Numbers(), data(), **OPTIONS | dict(epochs=5), validation=data(), patience=2)
    assert found.accuracies == [0.3, 0.9, 0.5, 0.4]
    assert all(torch.equal(a, b) for a, b in zip(weights[1].values(), model.state_dict().values()))


def test_distillation_without_a_teachers_part_is_fine_tuning():
    one, two = make(), make()
    fine_tune(one, Numbers(), data(), **OPTIONS)
    distill(two, make(seed=5), Numbers(), data(), alpha=1.0, hidden=0, **OPTIONS)
    assert same(one, two)


def test_distillation_brings_student_and_teacher_together():
    teacher = make()
    student = pl.prune(teacher, pl.random_masks(teacher, 0.5, seed=1))
    gap = lambda: torch.nn.functional.kl_div(*(m(torch.arange(5, 45).view(4, 10)).logits.log_softmax(-1) for m in (student, teacher)),
                                             log_target=True, reduction="batchmean").item()
    before, weights = gap(), copy.deepcopy(teacher.state_dict())
    distill(student, teacher, Numbers(), data(64), alpha=0.0, **OPTIONS | dict(epochs=12, learning_rate=2e-3))
    assert gap() < 0.6 * before and not teacher.training
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), teacher.state_dict().values()))
    assert not any(m._forward_hooks for m in [*teacher.modules(), *student.modules()])


def test_students_with_fewer_or_no_layers():
    teacher, masks = make(), pl.Masks.keep_all(make())
    masks.layers[1] = False
    found = distill(pl.prune(teacher, masks), teacher, Numbers(), data(8), **OPTIONS)
    masks.layers[:] = False
    assert found.steps == 3 and distill(pl.prune(teacher, masks), teacher, Numbers(), data(8), **OPTIONS).steps == 3


@pytest.mark.parametrize("options, words", [(dict(epochs=0), "epochs.*0"), (dict(batch_size=0), "batch_size"),
                                            (dict(learning_rate=0), "learning_rate"), (dict(data=data(0)), "data.*no sentences")])
def test_bad_input(options, words):
    model = make()
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=words):
        fine_tune(model, Numbers(), **OPTIONS | dict(data=data()) | options)
    bad = data()
    bad.labels[0] = 99
    with pytest.raises(ValueError, match="labels up to 99.*5"):
        fine_tune(model, Numbers(), bad)
    with pytest.raises(ValueError, match="temperature"):
        distill(model, make(), Numbers(), data(), temperature=0)
    with pytest.raises(ValueError, match="layer_map"):
        distill(model, make(), Numbers(), data(), layer_map={0: 7})
    with pytest.raises(TypeError, match="classifier"):
        fine_tune(make(task="fill-mask"), Numbers(), data())
    assert same(model, before)
