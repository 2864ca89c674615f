"""The search finds what the plain search finds, for less; the exact search finds the best; nothing is lost on the way."""
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
from pruning_lessons import layers
from pruning_lessons.layers import best_layers, greedy_layer_pruning, layer_masks, layers_to_drop, run_layers
from pruning_lessons.models import embed, finish

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make  # noqa: E402
from test_training import Numbers, data  # noqa: E402


def loss_without(model, drop, rows):
    """Cross-entropy of the model cut for real, by a plain forward pass."""
    pruned = pl.prune(model, layer_masks(model, drop))
    batch = Numbers()(rows.sentences)
    with torch.no_grad():
        logits = pruned(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = torch.tensor(rows.labels)
    return (logits.argmax(-1) == labels).double().mean().item(), torch.nn.functional.cross_entropy(logits.double(), labels).item()


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


@pytest.mark.parametrize("memory", [512, 0])
@pytest.mark.parametrize("objective", ["accuracy", "loss"])
@pytest.mark.parametrize("seed", [0, 1])
def test_greedy_is_the_plain_search_for_less(seed, objective, memory):
    model, rows = make(layers=6, seed=seed), data(40, seed)
    order, scores, paid = plain_greedy(model, rows, 3, objective)
    found = greedy_layer_pruning(model, Numbers(), rows, 3, progress=False, objective=objective, memory=memory)
    assert found.order == order and found.plain_evaluations == paid == 6 * 5 + 5 * 4 + 4 * 3
    for a, b in zip(found.scores, scores):
        assert a.accuracy == b[0] and a.loss == pytest.approx(b[1], abs=1e-5)
    if memory:
        assert found.evaluations == 6 + 15 + 10 + 6
    assert pl.summary(found.model).heads == [4] * 3 and "layer evaluations" in repr(found)


def test_the_promised_share_for_twelve_layers():
    found = greedy_layer_pruning(make(layers=12), Numbers(), data(8), 6, progress=False)
    assert found.plain_evaluations == 502 and found.evaluations <= 0.55 * 502


def test_the_exact_search_is_brute_force_for_less():
    model, rows = make(layers=6, seed=3), data(40, 3)
    found = best_layers(model, Numbers(), rows, 2, progress=False, objective="loss")
    losses = {c: loss_without(model, c, rows)[1] for c in itertools.combinations(range(6), 2)}
    assert tuple(found.order) == min(losses, key=losses.get) and set(found.choices) == set(losses)
    assert all(found.choices[c].loss == pytest.approx(losses[c], abs=1e-5) for c in losses)
    assert found.plain_evaluations == comb(6, 2) * 4 and found.evaluations < found.plain_evaluations
    greedy = greedy_layer_pruning(model, Numbers(), rows, 2, progress=False, objective="loss")
    assert found.scores[-1].loss <= greedy.scores[-1].loss + 1e-9


def nudge(model):
    """A stand-in for recovery that changes the weights and draws random numbers."""
    with torch.no_grad():
        for p in model.classifier.parameters():
            p.add_(0.05 * torch.randn_like(p))


class Saved(Numbers):
    """Numbers that can be saved: with the files of a real tokenizer."""


@pytest.mark.parametrize("options", [{}, {"recover": nudge}, {"recover": nudge, "recover_each": True}])
@pytest.mark.parametrize("stop", [2, 3, 5])
def test_an_interrupted_search_goes_on(tmp_path, monkeypatch, options, stop, embedded):
    model, rows, tokenizer = make(layers=4), data(16), Saved()
    tokenizer.save_pretrained = embedded[1].save_pretrained
    whole = greedy_layer_pruning(model, tokenizer, rows, 2, progress=False, **options)
    count, write = [0], layers._Journal.write

    def dying(self):
        count[0] += 1
        if count[0] == stop:
            raise KeyboardInterrupt
        write(self)
    monkeypatch.setattr(layers._Journal, "write", dying)
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
    assert again.order == whole.order and again.evaluations == found.evaluations          # nothing is done twice
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
    batch = Numbers()(data(6).sentences)
    assert layers_to_drop(model, 1, "block_influence", [batch]) == [2]


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
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(ValueError, match="resume.*other things"):
        greedy_layer_pruning(model, Numbers(), rows, 1, resume=tmp_path)
