"""The picture of lesson 10 says what it draws."""

import pytest

import pruning_lessons as pl

POINTS = {"whole, PyTorch": (8.0, 0.9), "50%, 3 layers, int8": (1.5, 0.88)}


@pytest.mark.parametrize("chosen", ["50%, 3 layers, int8", None])
def test_what_to_serve(chosen):
    said = pl.figures.what_to_serve(POINTS, floor=0.87, chosen=chosen, score="accuracy", n=200).alt
    assert "50%, 3 layers, int8: 1.5 ms, 88.0%" in said and "least allowed: 87.0%" in said
    assert said.endswith(f"Served: {chosen or 'none'}.")
