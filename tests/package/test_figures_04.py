"""The pictures of lessons 04 and 05 say in words what they draw."""

import torch

import pruning_lessons as pl


def test_choices_say_the_mean_of_the_dice():
    picture = pl.figures.choices(
        {"fisher": 88.0}, [40.0, 50.0, 60.0], 96.0, title="T", label="accuracy"
    )
    assert "from 40 to 60 with mean 50" in picture.alt and "fisher 88" in picture.alt


def test_histograms_say_what_the_top_tenth_holds():
    scores = torch.ones(2, 10)
    scores[0, :2] = 41  # 82 of 100 in two of twenty
    assert "the top tenth holds 82% of the sum" in pl.figures.histograms({"s": scores}).alt


def test_cloud_has_the_median_of_each_group():
    x = torch.arange(8.0)
    alt = pl.figures.cloud(x, 10 * x, title="T", xlabel="x", ylabel="y", groups=4).alt
    assert "medians: 0.0 at 0.0" in alt or "medians: 0 at 0" in alt
    assert "60 at 6" in alt and "8 points" in alt


def test_stays_counts_each_layer():
    mask = torch.tensor([[True, False, True], [False, False, False]])
    alt = pl.figures.stays(torch.rand(2, 3), mask, title="T").alt
    assert "2 of 6 neurons stay: layer 0 2, layer 1 0" in alt


def test_before_after_says_both():
    found = {"obs": {"test": (60.0, 94.0)}}
    alt = pl.figures.before_after(found, {"test": 97.0}, title="T", label="accuracy, %").alt
    assert "test, obs: from 60 to 94" in alt and "test, unpruned: 97" in alt


def test_sketches_say_what_is_marked():
    assert "row 3 of W_in" in pl.figures.neuron().alt
    assert "4 are crossed out" in pl.figures.columns_left().alt
