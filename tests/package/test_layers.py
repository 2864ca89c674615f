"""The rules of thumb, and layers run by hand."""

import sys
from pathlib import Path

import pytest
import torch

from pruning_lessons.models.anatomy import embed
from pruning_lessons.models.tasks import finish
from pruning_lessons.pruning.layers import block_influence, layer_masks, layers_to_drop, run_layers

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make
from test_search import padded
from test_training import Numbers, one_thread  # noqa: F401


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_layers_by_hand_are_the_model(attention):
    model = make(attention=attention)
    ids = torch.randint(5, 99, (3, 9))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    with torch.no_grad():
        x, bias = embed(model, {"input_ids": ids, "attention_mask": mask})
        by_hand = finish(model, run_layers(model, x, bias, range(3)), {"attention_mask": mask})
        assert (by_hand - model(ids, attention_mask=mask).logits).abs().max() < 1e-6


def test_rules_of_thumb():
    model = make(layers=6)
    assert layers_to_drop(model, 2, "top") == [5, 4] and layers_to_drop(model, 2, "bottom") == [
        0,
        1,
    ]
    assert layers_to_drop(model, 4, "alternate") == [5, 3, 1, 4]
    assert sorted(layers_to_drop(model, 6, "random", seed=1)) == list(range(6))
    with torch.no_grad():  # a layer that hardly changes anything
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
    sentences = sentences[:10] + sentences[-1:]  # as a batch: mostly padding
    influence = torch.zeros(6)
    for sentence in sentences:  # one by one: none
        with torch.no_grad():
            states = model(**Numbers()([sentence]), output_hidden_states=True).hidden_states
        pairs = zip(states, states[1:])  # each (1, T, d)
        influence += torch.stack(
            [(1 - torch.cosine_similarity(a, b, dim=-1)).sum() for a, b in pairs]
        )
    batches = [Numbers()(sentences)]
    order = layers_to_drop(model, 6, "block_influence", batches)
    assert order == influence.argsort().tolist()
    assert layers_to_drop(model, 3, "block_influence", batches) == order[:3]
    values = block_influence(
        model.train(), [Numbers()(sentences[:7]), Numbers()(sentences[7:])]
    )  # not by batch
    tokens = Numbers()(sentences)["attention_mask"].sum()
    assert torch.allclose(values, influence / tokens, atol=1e-6) and model.training


def test_bad_input():
    model = make()
    with pytest.raises(ValueError, match="method.*'middle'"):
        layers_to_drop(model, 1, "middle")
    with pytest.raises(ValueError, match="batches.*empty"):
        layers_to_drop(model, 1, "block_influence")
    with pytest.raises(ValueError, match="drop.*different"):
        layer_masks(model, [1, 1])
    with pytest.raises(ValueError, match="n.*model's 3 layers"):
        layers_to_drop(model, 4, "top")
