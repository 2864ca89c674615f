"""What lesson 00's pictures compute, and what they say in words."""

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.teaching.figures.lesson_00 import interval


@pytest.mark.parametrize("right, n", [(0.0, 40), (0.5, 100), (0.95, 600), (1.0, 41)])
def test_intervals_lie_between_0_and_1_and_have_a_width(right, n):
    low, high = interval(right, n)
    assert 0 <= low <= right + 1e-9 and right - 1e-9 <= high <= 1 and high - low > 0.01
    assert (interval(1 - right, n)[0], interval(1 - right, n)[1]) == pytest.approx(
        (1 - high, 1 - low)
    )


def test_an_interval_is_two_standard_errors_where_there_are_many():
    low, high = interval(0.9, 10_000)
    assert (high - low) / 4 == pytest.approx((0.9 * 0.1 / 10_000) ** 0.5, rel=0.01)


def test_pictures_say_what_they_draw():
    said = pl.figures.what_is_cut([True, True, False], [False, True, False, False]).alt
    assert "2 of 3 heads stay" in said and "1 of 4 neurons stay" in said
    heads = torch.tensor([[True, False], [True, True]])
    masks = pl.Masks(heads, heads, torch.ones(2, dtype=torch.bool))
    said = pl.figures.dice(masks, {0.9: [0.9, 0.8], 0.5: [0.3, 0.7]}, 0.95, 0.5, 1).alt
    assert "3 stay" in said and "50% kept: 30 to 70, mean 50" in said
    assert said.endswith("This throw, 50% kept: 70.0.")
    said = pl.figures.by_language({"de": 0.9}, {"de": 0.5}, {"de": 41}).alt
    assert "de, 41 sentences: 90% whole, 50% pruned" in said
