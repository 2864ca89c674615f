"""The search finds what the plain search finds, for less; the exact search finds the best; nothing
is lost.
"""

import copy
import itertools
import os
import signal
import subprocess
import sys
from math import comb
from pathlib import Path

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.models import journal
from pruning_lessons.models.journal import Journal
from pruning_lessons.pruning import search, walk  # noqa: F401
from pruning_lessons.pruning.layers import layer_masks
from pruning_lessons.pruning.search import best_layers, greedy_layer_pruning
from pruning_lessons.pruning.walk import Walk

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make, posix
from test_training import Numbers, data, one_thread  # noqa: F401


def padded(n, seed=0):
    """Sentences of 1 to 9 words: several batches, padding, and near ties."""
    generator = torch.Generator().manual_seed(seed)
    rows = [
        torch.randint(
            5, 99, (int(torch.randint(1, 10, (1,), generator=generator)),), generator=generator
        ).tolist()
        for _ in range(n)
    ]
    sentences = [" ".join(map(str, row)) for row in rows]
    return pl.Intents(sentences, [row[0] % 5 for row in rows], ["en"] * n, list("abcde"))


def loss_without(model, drop, rows):
    """Cross-entropy of the model cut for real, by a plain forward pass."""
    pruned = pl.prune(model, layer_masks(model, drop))
    batch = Numbers()(rows.sentences)
    with torch.no_grad():
        logits = pruned(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = torch.tensor(rows.labels)
    loss = torch.nn.functional.cross_entropy(logits.double(), labels)
    return (logits.argmax(-1) == labels).double().mean().item(), loss.item()


def plain_greedy(model, rows, drop, objective):
    key = (lambda s: (s[0], -s[1])) if objective == "accuracy" else (lambda s: -s[1])
    order, scores, paid = [], [], 0
    for _ in range(drop):
        left = [i for i in range(len(model.roberta.encoder.layer)) if i not in order]
        found = {i: loss_without(model, [*order, i], rows) for i in left}
        paid += len(left) * (len(left) - 1)
        order.append(max(found, key=lambda i: key(found[i])))
        scores.append(found[order[-1]])
    return order, scores, paid


@pytest.mark.parametrize(
    "memory", [512, 1.5, 0]
)  # states of all batches are kept, of some, of none
@pytest.mark.parametrize("seed, objective", [(0, "accuracy"), (1, "loss"), (2, "accuracy")])
def test_greedy_is_the_plain_search_for_less(seed, objective, memory):
    model, rows = (
        make(layers=6, seed=seed, attention=["sdpa", "eager"][seed % 2]).train(seed == 2),
        padded(150, seed),
    )
    model.eval()
    order, scores, paid = plain_greedy(model, rows, 3, objective)
    model.train(seed == 2)
    found = greedy_layer_pruning(
        model, Numbers(), rows, 3, progress=False, objective=objective, memory=memory
    )
    assert found.order == order and found.plain_evaluations == paid == 6 * 5 + 5 * 4 + 4 * 3
    for a, b in zip(found.scores, scores):
        assert a.accuracy == b[0] and a.loss == pytest.approx(b[1], abs=1e-5)
    shared, again = 6 + 15 + 10 + 6, 5 + 4 + 3
    assert (
        found.evaluations == shared + again
        if memory == 0
        else found.evaluations == shared
        if memory == 512
        else (shared < found.evaluations < shared + again)
    )
    assert model.training == (seed == 2) and not found.model.training
    with torch.no_grad():
        ids = Numbers()(rows.sentences)["input_ids"]
        goal = pl.prune(model, layer_masks(model, order)).eval()
        assert torch.equal(
            found.model(ids).logits, goal(ids).logits
        ) and found.masks == layer_masks(model, order)
    assert pl.summary(found.model).heads == [4] * 3 and "layer evaluations" in repr(found)


def test_equal_accuracies_are_settled_by_the_loss():
    settled = 0
    for seed in (0, 3, 5):
        model, rows = make(layers=6, seed=seed), padded(8, seed)  # accuracies are eighths
        order, scores, _ = plain_greedy(model, rows, 2, "accuracy")
        found = greedy_layer_pruning(model, Numbers(), rows, 2, progress=False)
        assert found.order == order
        first = [loss_without(model, [i], rows)[0] for i in range(6)]
        settled += first.index(max(first)) != order[0]
    assert settled  # it has made a difference


def test_the_promised_share_for_twelve_layers():
    found = greedy_layer_pruning(make(layers=12), Numbers(), data(8), 6, progress=False)
    assert found.plain_evaluations == 502 and found.evaluations <= 0.55 * 502


def runs_of_exact(layers, drop):
    """Once for every layer and every choice below it after which the layer can be kept."""
    return sum(
        comb(i, j) for i in range(layers) for j in range(drop + 1) if drop - j <= layers - i - 1
    )


def test_the_count_of_the_exact_search():
    assert runs_of_exact(12, 4) == 1286 and comb(12, 4) * 8 == 3960
    for n, drop in ((5, 1), (5, 3), (6, 2), (6, 5)):
        found = best_layers(make(layers=n), Numbers(), padded(70), drop, progress=False)
        assert found.evaluations == runs_of_exact(n, drop) + n and len(found.choices) == comb(
            n, drop
        )


@pytest.mark.parametrize("seed", [3, 4])
def test_the_exact_search_is_brute_force_for_less(seed):
    model, rows = make(layers=6, seed=seed), padded(150, seed)
    found = best_layers(model, Numbers(), rows, 2, progress=False, objective="loss")
    losses = {c: loss_without(model, c, rows)[1] for c in itertools.combinations(range(6), 2)}
    assert tuple(found.order) == min(losses, key=losses.get) and set(found.choices) == set(losses)
    assert all(found.choices[c].loss == pytest.approx(losses[c], abs=1e-5) for c in losses)
    assert found.plain_evaluations == comb(6, 2) * 4 and found.evaluations < found.plain_evaluations
    greedy = greedy_layer_pruning(model, Numbers(), rows, 2, progress=False, objective="loss")
    assert found.scores[-1].loss <= greedy.scores[-1].loss + 1e-9
    assert found.start == greedy.start
    assert found.choices[tuple(sorted(greedy.order))] == pytest.approx(greedy.scores[-1])
    ids = Numbers()(rows.sentences[:4])["input_ids"]
    found.model(ids).logits.sum().backward()  # what was found can be trained
    best = max(found.choices.values(), key=lambda s: (s.accuracy, -s.loss))
    assert best_layers(model, Numbers(), rows, 2, progress=False).scores == [best]


def test_each_candidate_is_recovered_from_the_given_model():
    """The search of Peer et al., written out; the second candidate to tie does not win."""
    model, rows, called = make(layers=4), padded(70), []

    def recover(pruned):
        called.append(len(pruned.roberta.encoder.layer))
        nudge(pruned)

    def score(drop):
        pruned = pl.prune(model, layer_masks(model, drop))
        torch.manual_seed(0)
        nudge(pruned)
        return loss_without(pruned, [], rows)

    found = greedy_layer_pruning(
        model, Numbers(), rows, 2, recover=recover, recover_each=True, progress=False
    )
    assert called == [3] * 4 + [2] * 3 and found.recoveries == 7
    order = []
    for step in range(2):
        scores = {i: score([*order, i]) for i in range(4) if i not in order}
        order.append(max(scores, key=lambda i: (scores[i][0], -scores[i][1])))
        assert found.order[step] == order[step] and found.scores[step] == pytest.approx(
            scores[order[step]], abs=1e-5
        )
    assert loss_without(found.model, [], rows) == pytest.approx(found.scores[-1], abs=1e-5)

    same_for_all = make(layers=3)  # layers that do nothing: every candidate ties
    with torch.no_grad():
        for layer in same_for_all.roberta.encoder.layer:
            layer.load_state_dict(same_for_all.roberta.encoder.layer[0].state_dict())
    tied = greedy_layer_pruning(
        same_for_all, Numbers(), rows, 1, recover=lambda m: None, recover_each=True, progress=False
    )
    assert tied.order == [0] and tied.model.config.kept_layers == [1, 2]


def test_recovery_follows_each_removal():
    model, rows = make(layers=4), padded(70)
    found = greedy_layer_pruning(model, Numbers(), rows, 2, recover=nudge, progress=False)
    current, order, left = model, [], [0, 1, 2, 3]
    for step in range(2):
        scores = [loss_without(current, [i], rows) for i in range(len(left))]
        place = max(range(len(left)), key=lambda i: (scores[i][0], -scores[i][1]))
        current = pl.prune(current, layer_masks(current, [place]))
        torch.manual_seed(0)
        nudge(current)
        order.append(left.pop(place))
        assert found.scores[step] == pytest.approx(loss_without(current, [], rows), abs=1e-5)
    assert found.order == order and found.recoveries == 2
    assert all(
        torch.equal(a, b)
        for a, b in zip(found.model.state_dict().values(), current.state_dict().values())
    )


def nudge(model):
    """A stand-in for recovery that changes the weights and draws random numbers."""
    with torch.no_grad():
        for p in model.classifier.parameters():
            p.add_(0.05 * torch.randn_like(p))


def stop_at(monkeypatch, where, stop):
    """Ctrl-C at the `stop`-th time that the search comes to this place; whether it came there."""
    owner, name = {
        "removal": (Walk, "remove_best"),
        "forward": (search, "answers"),
        "state": (Journal, "write"),
        "half a file": (journal, "save_file"),
        "whole file": (journal.os, "replace"),
    }[where]
    real, times = getattr(owner, name), []

    def stopping(*args):
        times.append(1)
        if where == "half a file" and len(times) == stop:
            Path(args[1]).write_bytes(b"half")
        if where == "whole file" and len(times) == stop:
            real(*args)
        if len(times) == stop:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(owner, name, stopping)
    return lambda: len(times) >= stop


def same_result(a, b):
    return (
        all(
            getattr(a, name) == getattr(b, name)
            for name in ("order", "scores", "start", "recoveries", "choices")
        )
        and all(
            torch.equal(x, y)
            for x, y in zip(a.model.state_dict().values(), b.model.state_dict().values())
        )
        and a.model.config.to_dict() == b.model.config.to_dict()
    )


@pytest.mark.parametrize(
    "options", [{}, {"recover": nudge}, {"recover": nudge, "recover_each": True}]
)
@pytest.mark.parametrize("where", ["removal", "state", "half a file", "whole file"])
def test_an_interrupted_search_goes_on(tmp_path, monkeypatch, options, where):
    model, rows = make(layers=4), data(16)
    options = options | dict(progress=False)
    whole, before = (
        greedy_layer_pruning(model, Numbers(), rows, 2, **options),
        copy.deepcopy(model.state_dict()),
    )
    for stop in range(1, 99):  # at every step, until there is none
        folder = tmp_path / str(stop)
        came = stop_at(monkeypatch, where, stop)
        try:
            greedy_layer_pruning(model, Numbers(), rows, 2, resume=folder, **options)
        except KeyboardInterrupt as interrupt:
            assert "removals" in str(interrupt) and str(folder) in str(interrupt)
        monkeypatch.undo()
        found = greedy_layer_pruning(model, Numbers(), rows, 2, resume=folder, **options)
        assert same_result(found, whole)
        if not came():
            break
    removals, writes = (0, 1 + 4 + 3 + 2) if "recover_each" in options else (2, 1 + 2)
    assert stop == 1 + (removals if where == "removal" else writes)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    again = greedy_layer_pruning(model, Numbers(), rows, 2, resume=folder, **options)
    assert same_result(again, whole) and again.evaluations == whole.evaluations
    assert os.listdir(folder) == ["search.safetensors"]
    with pytest.raises(ValueError, match="resume.*another data"):
        greedy_layer_pruning(model, Numbers(), data(17), 2, resume=folder, **options)


@pytest.mark.parametrize("where", ["forward", "state", "half a file", "whole file"])
def test_an_interrupted_exact_search_goes_on(tmp_path, monkeypatch, where):
    model, rows = make(layers=4).train(), padded(150)  # three batches, each with 6 choices + 1
    whole = best_layers(model, Numbers(), rows, 2, progress=False)
    for stop in range(1, 99):
        folder = tmp_path / str(stop)
        came = stop_at(monkeypatch, where, stop)
        try:
            best_layers(model, Numbers(), rows, 2, folder, progress=False)
        except KeyboardInterrupt as interrupt:
            assert "of 3 batches" in str(interrupt) and str(folder) in str(interrupt)
        monkeypatch.undo()
        found = best_layers(model, Numbers(), rows, 2, folder, progress=False)
        assert (
            same_result(found, whole)
            and list(found.choices) == list(whole.choices)
            and model.training
        )
        assert found.evaluations == whole.evaluations  # what was lost is not counted
        if not came():
            break
    assert stop == 1 + {"forward": 3 * 7}.get(where, 3)
    by_loss = best_layers(model, Numbers(), rows, 2, folder, progress=False, objective="loss")
    assert by_loss.choices == whole.choices  # read, not computed
    assert by_loss.scores == [max(whole.choices.values(), key=lambda score: -score.loss)]
    for options in (dict(drop=1), dict(data=padded(149)), dict(model=make(layers=4, seed=1))):
        with pytest.raises(ValueError, match="resume.*another (drop|data|model)"):
            best_layers(
                **dict(model=model, tokenizer=Numbers(), data=rows, drop=2, resume=folder) | options
            )
    with pytest.raises(ValueError, match="resume.*another search / objective.* / drop"):
        greedy_layer_pruning(model, Numbers(), rows, 2, resume=folder)


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from test_search import *
torch.set_num_threads(1)
answers, times = {module}.answers, []
def dying(*args):
    times.append(1)
    if len(times) == {dies}:
        os.kill(os.getpid(), signal.SIGKILL)
    return answers(*args)
{module}.answers = dying
{call}(make(layers=5), Numbers(), padded(150), 3, progress=False, resume={folder!r})
"""


# Twice in the second half: of three batches with 11 scores each, and of three removals with 5 + 4 +
# 3 scores a batch.
@posix
@pytest.mark.parametrize(
    "call, module, dies", [(best_layers, "search", 20), (greedy_layer_pruning, "walk", 30)]
)
def test_killed_for_good(tmp_path, monkeypatch, call, module, dies):
    code = KILLED.format(
        here=str(Path(__file__).parent),
        folder=str(tmp_path / "k"),
        call=call.__name__,
        module=module,
        dies=dies,
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    whole, written = call(make(layers=5), Numbers(), padded(150), 3, progress=False), []
    write = Journal.write
    monkeypatch.setattr(
        Journal, "write", lambda self, *args: (written.append(1), write(self, *args))
    )
    found = call(make(layers=5), Numbers(), padded(150), 3, progress=False, resume=tmp_path / "k")
    assert same_result(found, whole) and 0 < len(written) < 3  # not from the start


KILLED_WHILE_RECOVERING = """
import os, signal, sys
sys.path.insert(0, {here!r})
from test_search import *
torch.set_num_threads(1)
calls = []
def recover(pruned):
    calls.append(1)
    if len(calls) == {dies}:
        os.kill(os.getpid(), signal.SIGKILL)
    tuned(pruned)
greedy_layer_pruning(make(layers=4), Numbers(), padded(20), 2, recover=recover,
                     resume={folder!r}, progress=False,
                     recover_each={each})
"""


def tuned(pruned):
    pl.fine_tune(
        pruned, Numbers(), data(12), epochs=1, batch_size=4, learning_rate=1e-3, progress=False
    )


@posix
@pytest.mark.parametrize("each, dies", [(False, 2), (True, 6)])
def test_killed_while_fine_tuning_between_steps(tmp_path, each, dies):
    code = KILLED_WHILE_RECOVERING.format(
        here=str(Path(__file__).parent), dies=dies, folder=str(tmp_path / "k"), each=each
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    options = dict(recover=tuned, progress=False, recover_each=each)
    whole = greedy_layer_pruning(make(layers=4), Numbers(), padded(20), 2, **options)
    rest = greedy_layer_pruning(
        make(layers=4), Numbers(), padded(20), 2, resume=tmp_path / "k", **options
    )
    assert (
        rest.order == whole.order
        and rest.scores == whole.scores
        and rest.recoveries == whole.recoveries
    )
    assert all(
        torch.equal(a, b)
        for a, b in zip(rest.model.state_dict().values(), whole.model.state_dict().values())
    )


def test_bad_input(tmp_path):
    model, rows = make(), data(8)
    for drop in (0, 3, 1.5):
        with pytest.raises(ValueError, match="drop.*from 1 to 2"):
            greedy_layer_pruning(model, Numbers(), rows, drop)
    with pytest.raises(ValueError, match="data.*no sentences"):
        best_layers(model, Numbers(), data(0), 1)
    with pytest.raises(ValueError, match="objective.*'f1'"):
        best_layers(model, Numbers(), rows, 1, objective="f1")
    for options in ({"objective": "f1"}, {"recover_each": True}, {"recover": 3}):
        with pytest.raises(ValueError, match="objective|recover"):
            greedy_layer_pruning(model, Numbers(), rows, 1, **options)
    with pytest.raises(TypeError, match="families"):
        best_layers(torch.nn.Linear(2, 2), Numbers(), rows, 1)
    with pytest.raises(ValueError, match="tokenizer.*mask token"):
        best_layers(make(task="fill-mask"), Numbers(), rows, 1)
    searched = tmp_path / "searched"
    greedy_layer_pruning(model, Numbers(), rows, 1, resume=searched, progress=False)
    more = greedy_layer_pruning(
        model, Numbers(), rows, 2, resume=searched, progress=False
    )  # goes on to more
    assert more.order == greedy_layer_pruning(model, Numbers(), rows, 2, progress=False).order
    with pytest.raises(ValueError, match="drop.*at least 2"):
        greedy_layer_pruning(model, Numbers(), rows, 1, resume=searched)
    with pytest.raises(ValueError, match="another objective: name"):
        greedy_layer_pruning(model, Numbers(), rows, 2, resume=searched, objective="loss")
    with pytest.raises(ValueError, match="another model"):
        greedy_layer_pruning(make(seed=1), Numbers(), rows, 2, resume=searched)
    (searched / "search.safetensors").write_text("{")
    with pytest.warns(UserWarning, match="resume.*search.safetensors.*damaged.*anew"):
        again = greedy_layer_pruning(model, Numbers(), rows, 2, resume=searched, progress=False)
    assert same_result(again, more) and len(os.listdir(searched)) == 2
    with torch.no_grad():
        broken = make()
        broken.classifier.dense.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="model: has NaN"):
        greedy_layer_pruning(broken, Numbers(), rows, 1, progress=False)
    with pytest.raises(ValueError, match="recover: has NaN"):
        spoil = lambda pruned: pruned.load_state_dict(
            {name: t * torch.nan for name, t in pruned.state_dict().items()}
        )
        greedy_layer_pruning(model, Numbers(), rows, 1, recover=spoil, progress=False)
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(ValueError, match="resume.*other things"):
        greedy_layer_pruning(model, Numbers(), rows, 1, resume=tmp_path)
