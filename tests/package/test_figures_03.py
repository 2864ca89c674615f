"""What the pictures of lesson 03 say of the numbers they draw."""

import torch

import pruning_lessons as pl


def test_histogram_says_how_many_stay():
    weights = torch.linspace(-1, 1, 100)
    picture = pl.figures.weight_histogram(weights, weights.abs() > 0.5, title="bell")
    assert "0.5 of them" in picture.alt and picture.png.startswith(b"\x89PNG")


def test_scopes_count_each_row():
    weight = torch.tensor([[1.0, -5.0, 2.0, 0.0], [3.0, 4.0, 6.0, -7.0]])
    kept = weight.abs() > 2
    said = pl.figures.scopes(weight, {"matrix": kept}, title="corner").alt
    assert "matrix: in each row stay 1, 4 of 4" in said
