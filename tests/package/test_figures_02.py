"""What the pictures of lesson 02 say of the numbers they draw."""

import statistics

import pytest

import pruning_lessons as pl
from pruning_lessons.teaching.figures.lesson_02 import _quantile


@pytest.mark.parametrize("values", [[3.0], [1.0, 9.0], [4.0, 1.0, 7.0, 2.0], list(range(11))])
def test_quartiles(values):
    ordered = sorted(values)
    assert _quantile(ordered, 0.5) == statistics.median(values)
    assert (_quantile(ordered, 0), _quantile(ordered, 1)) == (ordered[0], ordered[-1])
    if len(values) > 1:
        found = [_quantile(ordered, q) for q in (0.25, 0.5, 0.75)]
        assert found == pytest.approx(statistics.quantiles(values, n=4, method="inclusive"))


def test_ranges_say_median_and_middle_half():
    picture = pl.figures.ranges({"old": [1.0, 2.0, 3.0, 4.0, 500.0], "new": [1.0]}, title="times")
    assert "old: median 3, middle half 2 to 4" in picture.alt and "new: median 1" in picture.alt
    assert picture.png.startswith(b"\x89PNG")


def test_padding_counts_places_and_text():
    batches = [[8, 8, 3], [8, 2]]  # width, then lengths
    said = pl.figures.padding({"sorted": batches}, title="batches").alt
    assert "sorted: 2 batches, 24 places, 13 of them text" in said


def test_parts_say_the_sum_and_each_part():
    bars = {"base": {"word embeddings": 768.0, "attention": 113.0}, "none": {"attention": 0.0}}
    said = pl.figures.parts(bars, title="sizes", xlabel="MB").alt
    assert "base: 881 in all, word embeddings 768, attention 113" in said
