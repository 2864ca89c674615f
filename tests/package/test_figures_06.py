"""Lesson 06's pictures say in words what they draw."""

import torch

import pruning_lessons as pl


def test_head_changes_names_the_largest_with_their_sign():
    values = torch.zeros(3, 4)
    values[2, 1], values[0, 3], values[1, 0] = 0.2, -0.15, 0.001
    alt = pl.figures.head_changes(values, title="Costs", label="nats", named=2).alt
    assert alt.startswith("Grid of 3 layers and 4 heads, Costs. nats.")
    assert "layer 2 head 1: +0.200; layer 0 head 3: -0.150." in alt
    assert "10 of 12 are below a tenth" in alt
    assert "12 of 12" in pl.figures.head_changes(0 * values, title="None", label="nats").alt


def test_head_maps_count_by_layer():
    masks = {"intents": torch.eye(3, 4).bool(), "fill-mask": torch.ones(3, 4).bool()}
    alt = pl.figures.head_maps(masks, title="Kept").alt
    assert "intents: layers 0 to 2 keep 1, 1, 1 heads" in alt
    assert "fill-mask: layers 0 to 2 keep 4, 4, 4 heads" in alt


def test_differences_have_their_errors():
    alt = pl.figures.differences(
        {"Fisher": (2.5, 1.1), "Taylor": (-0.25, 0.5)}, title="A", xlabel="points", zero="the rule"
    ).alt
    assert "points, against the rule: Fisher +2.50 ± 1.1; Taylor -0.25 ± 0.5." in alt
