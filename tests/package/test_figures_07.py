"""The picture of lesson 07 that no other lesson has."""

import pruning_lessons as pl


def test_panels_say_every_number_once_a_panel():
    parts = {"trained": {"top": [97, 3.8], "greedy": [97, 96]}, "zero-shot": {"greedy": [80.6, 80]}}
    picture = pl.figures.panels(
        [0, 2], parts, title="Layers go", xlabel="layers", ylabel="accuracy, %"
    )
    assert picture.alt == (
        "Line charts, Layers go. accuracy, % against layers (0, 2). trained: top 97, 3.8; greedy "
        "97, 96. zero-shot: greedy 80.6, 80."
    )
    assert picture.width == 840
