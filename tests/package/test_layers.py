"""The search finds what the plain search finds, for less; the exact search finds the best; nothing is lost."""
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
from transformers import AutoTokenizer

import pruning_lessons as pl
from pruning_lessons import layers
from pruning_lessons.checkpoints import EMBEDDED
from pruning_lessons.layers import best_layers, greedy_layer_pruning, layer_masks, layers_to_drop, run_layers
from pruning_lessons.models import embed, finish

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make  # noqa: E402
from test_training import Numbers, data  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    """Models as tiny as these lose time to a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def padded(n, seed=0):
    """Sentences of 1 to 9 words: several batches, padding, and near ties."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(5, 99, (int(torch.randint(1, 10, (1,), generator=generator)),), generator=generator).tolist()
            for _ in range(n)]
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


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_layers_by_hand_are_the_model(attention):
    model = make(attention=attention)
    ids = torch.randint(5, 99, (3, 9))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    with torch.no_grad():
        x, bias = embed(model, ids, mask)
        by_hand = finish(model, run_layers(model, x, bias, range(3)))
        assert (by_hand - model(ids, attention_mask=mask).logits).abs().max() < 1e-6


@pytest.mark.parametrize("memory", [512, 1.5, 0])         # states of all batches are kept, of some, of none
@pytest.mark.parametrize("seed, objective", [(0, "accuracy"), (1, "loss"), (2, "accuracy")])
def test_greedy_is_the_plain_search_for_less(seed, objective, memory):
    model, rows = make(layers=6, seed=seed, attention=["sdpa", "eager"][seed % 2]).train(seed == 2), padded(150, seed)
    model.eval()
    order, scores, paid = plain_greedy(model, rows, 3, objective)
    model.train(seed == 2)
    found = greedy_layer_pruning(model, Numbers(), rows, 3, progress=False, objective=objective, memory=memory)
    assert found.order == order and found.plain_evaluations == paid == 6 * 5 + 5 * 4 + 4 * 3
    for a, b in zip(found.scores, scores):
        assert a.accuracy == b[0] and a.loss == pytest.approx(b[1], abs=1e-5)
    shared, again = 6 + 15 + 10 + 6, 5 + 4 + 3
    assert found.evaluations == shared + again if memory == 0 else found.evaluations == shared if memory == 512 else (
        shared < found.evaluations < shared + again)
    assert model.training == (seed == 2) and not found.model.training
    with torch.no_grad():
        ids = Numbers()(rows.sentences)["input_ids"]
        goal = pl.prune(model, layer_masks(model, order)).eval()
        assert torch.equal(found.model(ids).logits, goal(ids).logits) and found.masks == layer_masks(model, order)
    assert pl.summary(found.model).heads == [4] * 3 and "layer evaluations" in repr(found)


def test_equal_accuracies_are_settled_by_the_loss():
    settled = 0
    for seed in (0, 3, 5):
        model, rows = make(layers=6, seed=seed), padded(8, seed)         # accuracies are eighths
        order, scores, _ = plain_greedy(model, rows, 2, "accuracy")
        found = greedy_layer_pruning(model, Numbers(), rows, 2, progress=False)
        assert found.order == order
        first = [loss_without(model, [i], rows)[0] for i in range(6)]
        settled += first.index(max(first)) != order[0]
    assert settled                                                       # it has made a difference


def test_the_promised_share_for_twelve_layers():
    found = greedy_layer_pruning(make(layers=12), Numbers(), data(8), 6, progress=False)
    assert found.plain_evaluations == 502 and found.evaluations <= 0.55 * 502


def runs_of_exact(layers, drop):
    """Once for every layer and every choice below it after which the layer can be kept."""
    return sum(comb(i, j) for i in range(layers) for j in range(drop + 1) if drop - j <= layers - i - 1)


def test_the_count_of_the_exact_search():
    assert runs_of_exact(12, 4) == 1286 and comb(12, 4) * 8 == 3960
    for n, drop in ((5, 1), (5, 3), (6, 2), (6, 5)):
        found = best_layers(make(layers=n), Numbers(), padded(70), drop, progress=False)
        assert found.evaluations == runs_of_exact(n, drop) + n and len(found.choices) == comb(n, drop)


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
    found.model(ids).logits.sum().backward()                             # what was found can be trained
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

    found = greedy_layer_pruning(model, Numbers(), rows, 2, recover=recover, recover_each=True, progress=False)
    assert called == [3] * 4 + [2] * 3 and found.recoveries == 7
    order = []
    for step in range(2):
        scores = {i: score([*order, i]) for i in range(4) if i not in order}
        order.append(max(scores, key=lambda i: (scores[i][0], -scores[i][1])))
        assert found.order[step] == order[step] and found.scores[step] == pytest.approx(scores[order[step]], abs=1e-5)
    assert loss_without(found.model, [], rows) == pytest.approx(found.scores[-1], abs=1e-5)

    same_for_all = make(layers=3)                                        # layers that do nothing: every candidate ties
    with torch.no_grad():
        for layer in same_for_all.roberta.encoder.layer:
            layer.load_state_dict(same_for_all.roberta.encoder.layer[0].state_dict())
    tied = greedy_layer_pruning(same_for_all, Numbers(), rows, 1, recover=lambda m: None, recover_each=True,
                                progress=False)
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
    assert all(torch.equal(a, b) for a, b in zip(found.model.state_dict().values(), current.state_dict().values()))


def nudge(model):
    """A stand-in for recovery that changes the weights and draws random numbers."""
    with torch.no_grad():
        for p in model.classifier.parameters():
            p.add_(0.05 * torch.randn_like(p))


class Saved(Numbers):
    """Numbers that can be saved: with the files of a real tokenizer."""

    def save_pretrained(self, folder):
        return AutoTokenizer.from_pretrained(EMBEDDED).save_pretrained(folder)


@pytest.mark.parametrize("options", [{}, {"recover": nudge}, {"recover": nudge, "recover_each": True}])
@pytest.mark.parametrize("stop, method", [(2, "write"), (5, "write"), (2, "keep"), (1, "remove_best")])
def test_an_interrupted_search_goes_on(tmp_path, monkeypatch, options, stop, method):
    model, rows, tokenizer = make(layers=4), data(16), Saved()
    whole = greedy_layer_pruning(model, tokenizer, rows, 2, progress=False, **options)
    place = layers._Walk if method == "remove_best" else layers._Journal
    count, real = [0], getattr(place, method)

    def dying(*args):
        count[0] += 1
        if count[0] == stop and method != "keep":
            raise KeyboardInterrupt
        found = real(*args)
        if count[0] == stop:                                             # the model is saved, the state is not
            raise KeyboardInterrupt
        return found
    monkeypatch.setattr(place, method, dying)
    before = copy.deepcopy(model.state_dict())
    try:
        greedy_layer_pruning(model, tokenizer, rows, 2, progress=False, resume=tmp_path / "s", **options)
    except KeyboardInterrupt as interrupt:
        assert "removals" in str(interrupt) and str(tmp_path) in str(interrupt)
    monkeypatch.undo()
    found = greedy_layer_pruning(model, tokenizer, rows, 2, progress=False, resume=tmp_path / "s", **options)
    assert found.order == whole.order and found.scores == whole.scores
    assert all(torch.equal(a, b) for a, b in zip(found.model.state_dict().values(), whole.model.state_dict().values()))
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    again = greedy_layer_pruning(model, tokenizer, rows, 2, progress=False, resume=tmp_path / "s", **options)
    assert again.order == whole.order and (again.recoveries, again.scores) == (found.recoveries, found.scores)
    assert len(list((tmp_path / "s").glob("*"))) == (2 if options else 1)         # the state, and the model it names
    with pytest.raises(ValueError, match="resume.*another data"):
        greedy_layer_pruning(model, tokenizer, data(17), 2, progress=False, resume=tmp_path / "s", **options)


def test_killed_for_good(tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_layers import *
write = layers._Journal.write
def dying(self):
    write(self)
    if self.state["order"]:
        os.kill(os.getpid(), signal.SIGKILL)
layers._Journal.write = dying
greedy_layer_pruning(make(layers=5), Numbers(), data(16), 3, progress=False, resume={str(tmp_path / 'k')!r})
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert run.returncode == -signal.SIGKILL, run.stderr
    whole = greedy_layer_pruning(make(layers=5), Numbers(), data(16), 3, progress=False)
    found = greedy_layer_pruning(make(layers=5), Numbers(), data(16), 3, progress=False, resume=tmp_path / "k")
    assert found.order == whole.order and found.scores == whole.scores


KILLED_WHILE_RECOVERING = """
import os, signal, sys
sys.path.insert(0, {here!r})
from test_layers import *
torch.set_num_threads(1)
calls = []
def recover(pruned):
    calls.append(1)
    if len(calls) == {dies}:
        os.kill(os.getpid(), signal.SIGKILL)
    tuned(pruned)
greedy_layer_pruning(make(layers=4), Saved(), padded(20), 2, recover=recover, resume={folder!r}, progress=False,
                     recover_each={each})
"""


def tuned(pruned):
    pl.fine_tune(pruned, Numbers(), data(12), epochs=1, batch_size=4, learning_rate=1e-3, progress=False)


@pytest.mark.parametrize("each, dies", [(False, 2), (True, 6)])
def test_killed_while_fine_tuning_between_steps(tmp_path, each, dies):
    code = KILLED_WHILE_RECOVERING.format(here=str(Path(__file__).parent), dies=dies, folder=str(tmp_path / "k"), each=each)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert run.returncode == -signal.SIGKILL, run.stderr
    options = dict(recover=tuned, progress=False, recover_each=each)
    whole = greedy_layer_pruning(make(layers=4), Saved(), padded(20), 2, **options)
    rest = greedy_layer_pruning(make(layers=4), Saved(), padded(20), 2, resume=tmp_path / "k", **options)
    assert rest.order == whole.order and rest.scores == whole.scores and rest.recoveries == whole.recoveries
    assert all(torch.equal(a, b) for a, b in zip(rest.model.state_dict().values(), whole.model.state_dict().values()))


def test_rules_of_thumb():
    model = make(layers=6)
    assert layers_to_drop(model, 2, "top") == [5, 4] and layers_to_drop(model, 2, "bottom") == [0, 1]
    assert layers_to_drop(model, 4, "alternate") == [5, 3, 1, 4]
    assert sorted(layers_to_drop(model, 6, "random", seed=1)) == list(range(6))
    with torch.no_grad():                                                # a layer that hardly changes anything
        layer = model.roberta.encoder.layer[2]
        for dense in (layer.attention.output.dense, layer.output.dense):
            dense.weight.mul_(0), dense.bias.mul_(0)
        for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
            norm.load_state_dict(model.roberta.encoder.layer[1].output.LayerNorm.state_dict())
    assert layers_to_drop(model, 1, "block_influence", [Numbers()(padded(30).sentences)]) == [2]


@pytest.mark.parametrize("seed", range(4))
def test_block_influence_sees_no_padding(seed):
    model, rows = make(layers=6, seed=seed), padded(30, seed)
    sentences = sorted(rows.sentences, key=len)
    sentences = sentences[:10] + sentences[-1:]                          # as a batch: mostly padding
    influence = torch.zeros(6)
    for sentence in sentences:                                           # one by one: none
        with torch.no_grad():
            states = model(**Numbers()([sentence]), output_hidden_states=True).hidden_states
        pairs = zip(states, states[1:])                                  # each (1, T, d)
        influence += torch.stack([(1 - torch.cosine_similarity(a, b, dim=-1)).sum() for a, b in pairs])
    batches = [Numbers()(sentences)]
    order = layers_to_drop(model, 6, "block_influence", batches)
    assert order == influence.argsort().tolist()
    assert layers_to_drop(model, 3, "block_influence", batches) == order[:3]


def test_bad_input(tmp_path):
    model, rows = make(), data(8)
    for drop in (0, 3, 1.5):
        with pytest.raises(ValueError, match="drop.*from 1 to 2"):
            greedy_layer_pruning(model, Numbers(), rows, drop)
    with pytest.raises(ValueError, match="method.*'middle'"):
        layers_to_drop(model, 1, "middle")
    with pytest.raises(ValueError, match="batches.*empty"):
        layers_to_drop(model, 1, "block_influence")
    with pytest.raises(ValueError, match="drop.*different"):
        layer_masks(model, [1, 1])
    with pytest.raises(ValueError, match="data.*no sentences"):
        best_layers(model, Numbers(), data(0), 1)
    with pytest.raises(ValueError, match="objective.*'f1'"):
        best_layers(model, Numbers(), rows, 1, objective="f1")
    for options in ({"objective": "f1"}, {"recover_each": True}, {"recover": 3}):
        with pytest.raises(ValueError, match="objective|recover"):
            greedy_layer_pruning(model, Numbers(), rows, 1, **options)
    with pytest.raises(TypeError, match="families"):
        best_layers(torch.nn.Linear(2, 2), Numbers(), rows, 1)
    with pytest.raises(ValueError, match="model.*classifier"):
        best_layers(make(task="fill-mask"), Numbers(), rows, 1)
    with pytest.raises(ValueError, match="n.*model's 3 layers"):
        layers_to_drop(model, 4, "top")
    searched = tmp_path / "searched"
    searched.mkdir()
    (searched / "search.part").write_text("{")                           # killed in its first write
    greedy_layer_pruning(model, Numbers(), rows, 1, resume=searched, progress=False)
    more = greedy_layer_pruning(model, Numbers(), rows, 2, resume=searched, progress=False)      # goes on to more
    assert more.order == greedy_layer_pruning(model, Numbers(), rows, 2, progress=False).order
    with pytest.raises(ValueError, match="drop.*at least 2"):
        greedy_layer_pruning(model, Numbers(), rows, 1, resume=searched)
    with pytest.raises(ValueError, match="another settings"):
        greedy_layer_pruning(model, Numbers(), rows, 2, resume=searched, objective="loss")
    with pytest.raises(ValueError, match="another model"):
        greedy_layer_pruning(make(seed=1), Numbers(), rows, 2, resume=searched)
    (searched / "search.json").write_text("{")
    with pytest.raises(ValueError, match="no search that can be read"):
        greedy_layer_pruning(model, Numbers(), rows, 2, resume=searched)
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(ValueError, match="resume.*other things"):
        greedy_layer_pruning(model, Numbers(), rows, 1, resume=tmp_path)
