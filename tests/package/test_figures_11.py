"""Lesson 11's pictures: what counts as padding is crossed out, and the words hold the numbers."""

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.teaching.figures.picture import PIXELS, WIDTH

HIDDEN, MASK = torch.randn(4, 60, generator=torch.Generator().manual_seed(0)), [1, 1, 1, 0]
LANGUAGES = {f"l{i}": (90.0 - i, 85.5 - i) for i in range(21)}
DRAWN = {
    "pooling": lambda: pl.figures.pooling(
        HIDDEN, MASK, ["<s>", "$x$", "</s>", "<pad>"], HIDDEN[:3].mean(0)
    ),
    "narrow": lambda: pl.figures.pooling(HIDDEN[:, :5], MASK, list("abcd"), torch.zeros(5)),
    "cosines": lambda: pl.figures.cosines({"a": [0.9, 0.92], "b": [0.1, 0.8]}, title="Two"),
    "dumbbells": lambda: pl.figures.dumbbells(
        LANGUAGES,
        ("before", "after"),
        title="Languages",
        xlabel="found, %",
        errors=dict.fromkeys(LANGUAGES, 2.5),
        marked=["l3"],
        note="seen",
    ),
    "sizes": lambda: pl.figures.sizes(
        {"float32": {64: 90.0, 32: 80.5}, "int8": {16: 90.0}}, title="Bytes", ylabel="found, %"
    ),
    "stages": lambda: pl.figures.stages(
        [("9", "index", "looks"), ("3", "page", "shows")], title="T"
    ),
}
SAID = {
    "pooling": "48 numbers for each of 4 tokens, <s>, $x$, </s>, <pad>; 1 of them, padding",
    "narrow": "5 numbers for each of 4 tokens",
    "cosines": "a: mean 0.91, nine in ten from 0.90 to 0.92; b: mean 0.45",
    "dumbbells": "l3 87 and 82.5 ± 2.5",
    "sizes": "float32: 90 at 64, 80.5 at 32; int8: 90 at 16",
    "stages": "index (9): looks; page (3): shows",
}


@pytest.mark.parametrize("name", DRAWN)
def test_it_fits_and_says_its_numbers(name):
    picture = DRAWN[name]()
    assert picture.width <= round(WIDTH * PIXELS) and len(picture.png) < 150e3
    assert SAID[name] in picture.alt


def test_who_is_marked_is_said():
    assert "seen: l3." in DRAWN["dumbbells"]().alt
