"""What the pictures of lesson 09 compute."""

import pytest
import torch

import pruning_lessons as pl


def test_stairs_count_the_steps():
    weights = torch.linspace(-1, 1, 201)
    stored = {"fine": (10 * weights).round() / 10, "coarse": (2 * weights).round() / 2}
    alt = pl.figures.stairs(weights, stored, title="t", steps=2).alt
    assert "fine: 11 different values here, 0.1 apart." in alt
    assert "coarse: 3 different values here, 0.5 apart." in alt


def test_stairs_of_zeros():
    zeros = torch.zeros(4)
    assert "1 different values here, 0 apart" in pl.figures.stairs(
        zeros, {"all": zeros}, title="t"
    ).alt.replace("0.0", "0")


def test_a_ladder_says_each_factor():
    alt = pl.figures.ladder({"one": {"a": 12.0, "b": 6.0, "c": 4.0}}, title="t").alt
    assert "one: a 12 ms; b 6 ms, 2.0 times as fast; c 4 ms, 1.5 times as fast." in alt


POINTS = {(1.0, "PyTorch"): (8.0, 0.95), (1.0, "ONNX int8"): (2.0, 0.94), (0.5, "ONNX"): (3.0, 0.9)}


@pytest.mark.parametrize("ring", [None, (1.0, "ONNX int8"), (0.1, "ONNX")])
def test_the_front_says_what_it_draws(ring):
    alt = pl.figures.front(
        {"test": POINTS},
        {"test": [(2.0, 0.94), (8.0, 0.95)]},
        n={"test": 100},
        others={"test": {"layers": (6.0, 0.9), "far below": (6.0, 0.1)}},
        ring=ring,
        title="t",
    ).alt
    assert "test, ONNX int8: 100% of the MACs 2 ms 94.0." in alt
    assert "one kind of cut alone: layers 6 ms 90.0, far below 6 ms 10.0." in alt
    assert "On the front: 2 ms 94.0, 8 ms 95.0." in alt
    assert ("Chosen:" in alt) == (ring in POINTS)
