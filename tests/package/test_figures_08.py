"""What the pictures of lesson 08 compute."""

import pruning_lessons as pl


def test_splits_finds_the_best_number_and_leaves_out_what_cannot_be_paid():
    nan = float("nan")
    alt = pl.figures.splits({"half": [0.2, 0.05, 0.1], "a fifth": [0.3, 0.1, nan]}, title="t").alt
    assert "half: 20 at 0, best 5 at 1, 10 at 2." in alt
    assert "a fifth: 30 at 0, best 10 at 1, 10 at 1." in alt


def test_whiskers_are_two_standard_errors():
    lines = {"MACs": [(9.0, 0.95, 0.01), (4.0, 0.9, 0.02)], "time": [(5.0, 0.92, 0.0)]}
    alt = pl.figures.against_time(lines, title="t", level=("whole", 0.96)).alt
    assert "MACs: 4 ms 90.0 ± 4.0, 9 ms 95.0 ± 2.0. time: 5 ms 92.0 ± 0.0." in alt
    assert "whole: 96.0 throughout." in alt
