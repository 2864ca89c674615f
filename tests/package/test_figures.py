"""Pictures say in words what they draw, whatever is drawn, and fit the page."""

import base64
import re
import struct
import subprocess
import sys

import pytest
import torch
from matplotlib.text import Text

import pruning_lessons as pl
from pruning_lessons.teaching.figures import common
from pruning_lessons.teaching.figures.picture import PIXELS, SHARP, WIDTH, Picture, subplots

EVIL = '"><script>alert(1)</script> $x^2$ \N{RIGHT-TO-LEFT OVERRIDE} & é 中'
NAN = float("nan")
AXES = dict(title="Accuracy falls", xlabel="share kept", ylabel="accuracy, %")


def size(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels, as the file says."""
    assert picture.png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", picture.png[16:24])


def curves(**more):
    return common.curves([1.0, 0.5], {"dice": [95, 60.25], "Fisher": [95, NAN]}, **AXES | more)


def grouped():
    found = {"whole": {"en": 90, "de": 80}, "pruned": {"en": 85.5}}
    return common.bars(found, title="Two models", label="accuracy")


DRAWN = {
    "curves": curves,
    "bars": lambda: common.bars({"a": 1, "b": 2.5}, title="Two bars", label="ms"),
    "upright": lambda: common.bars({"a": -1, "b": 2.5}, title="Two", label="ms", upright=True),
    "groups": grouped,
    "grid": lambda: common.grid(torch.rand(12, 12), title="Heads", colourbar="score"),
    "mask": lambda: common.grid(torch.rand(12, 12) > 0.5, title="Heads that stay"),
    "strips": lambda: common.strips({"top": [True] * 8 + [False] * 4}, title="Layers that stay"),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_picture_fits_the_page(draw):
    picture = draw()
    width, height = size(picture)
    assert picture.width <= round(WIDTH * PIXELS) == 840 and height / SHARP <= 550
    assert width == pytest.approx(picture.width * SHARP, abs=2) and len(picture.png) < 150e3
    assert f'width="{picture.width}"' in picture._repr_html_()


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_what_a_notebook_gets_is_image_and_words(draw, tmp_path):
    picture = draw()
    said = picture._repr_html_()
    found = re.fullmatch(r'<img src="data:image/png;base64,([^"]*)" alt="([^"]+)" [^<>]*>', said)
    assert base64.b64decode(found[1]) == picture.png
    assert repr(picture) == picture.alt and "\n" not in picture.alt and len(picture.alt) > 20
    assert picture.save(tmp_path / "p.png").read_bytes() == picture.png


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_the_same_numbers_give_the_same_words(draw):
    torch.manual_seed(0)
    one = draw().alt
    torch.manual_seed(0)
    assert draw().alt == one


def test_the_words_of_curves_hold_every_number():
    bands = {"dice": ([94.5, 55], [95.5, 65])}
    said = curves(bands=bands, levels={"whole": 95.75}, falling=True).alt
    assert said == (
        "Line chart, Accuracy falls. accuracy, % against share kept (1, 0.5). dice: 95, 60.2. "
        "Fisher: 95, nan. Band around dice: from 94.5, 55 to 95.5, 65. whole: 95.8 throughout."
    )


def test_the_words_of_bars_hold_every_number():
    said = common.bars(
        {"top": 2.5, "greedy": 93},
        title="Four layers go",
        label="accuracy, %",
        errors={"greedy": 1.25},
        levels={"whole": 95},
    ).alt
    assert said == ("Bar chart, Four layers go. accuracy, %. top 2.5, greedy 93 ± 1.25. whole: 95.")


def test_groups_may_lack_a_bar():
    assert grouped().alt == (
        "Bar chart, Two models. accuracy. whole: en 90, de 80. pruned: en 85.5."
    )


def test_the_words_of_a_mask_count_what_stays():
    mask = torch.tensor([[True, False, True], [False, False, False]])
    said = common.grid(mask, title="Heads").alt
    assert said == (
        "Grid of 2 rows (layer) and 3 columns (head), Heads. layer 0 keeps 2; layer 1 keeps 0."
    )
    said = common.grid([[1.0, 3.5], [2.0, -1.0]], title="Scores", rows=["query", "key"]).alt
    assert said.endswith("layer query: largest 3.5 at head 1; layer key: largest 2 at head 0.")


def test_the_words_of_strips_name_the_layers():
    kept = {"top": [True, True, False], "none": [False] * 3}
    said = common.strips(kept, title="Three layers", beside={"top": "93 %"}).alt
    assert said == "Strips of layers, Three layers. top: stay 0, 1 (93 %); none: stay none."


def test_nothing_is_drawn_where_a_number_is_missing():
    """A NaN is a gap: it moves neither the other points nor the axes."""
    gap = common.curves([1, 2, 3], {"a": [1.0, NAN, 3.0]}, **AXES)
    through = common.curves([1, 2, 3], {"a": [1.0, 2.0, 3.0]}, **AXES)
    assert size(gap) == size(through) and gap.png != through.png
    assert "a: 1, nan, 3." in gap.alt


def test_values_may_be_tensors_and_arrays():
    y = torch.tensor([1.0, 2.0])
    for values in (y, y.numpy(), y.double().numpy()):
        assert common.curves([1, 2], {"a": values}, **AXES).png


@pytest.mark.parametrize(
    "draw",
    [
        lambda t: common.curves([1], {t: [1]}, title=t, xlabel=t, ylabel=t, levels={t + "l": 1}),
        lambda t: common.bars({t: 1}, title=t, label=t),
        lambda t: common.strips({t: [True]}, title=t, beside={t: t}),
        lambda t: common.grid([[1.0]], title=t, xlabel=t, ylabel=t, colourbar=t, rows=[t]),
    ],
    ids=["curves", "bars", "strips", "grid"],
)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_texts_of_data_become_nothing_else(draw):
    """No tag, no formula, no turned text: what is written is what was given."""
    said = draw(EVIL)._repr_html_()
    assert said.count("<") == said.count(">") == 1 and said.count('"') == 8
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $x^2$" in said
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in said and "&amp; é 中" in said


def test_an_alternative_of_any_length_is_whole():
    figure, _ = subplots()
    assert Picture(figure, " word\n" * 5000).alt == " ".join(["word"] * 5000)
    assert Picture(figure, "word " * 5000)._repr_html_().count("word") == 5000


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_no_picture_without_words(alt):
    with pytest.raises(ValueError, match="alt: is empty"):
        Picture(subplots()[0], alt)


def test_colour_is_never_the_only_carrier():
    looks = [common.style(i) for i in range(len(common.COLOURS))]
    for what in ("color", "marker", "linestyle"):
        assert len({str(look[what]) for look in looks}) >= len(looks) - 1, what
    assert common.style(7) == common.style(0)  # and so on
    for place in (0, 1):
        assert len({part[place] for part in common.PARTS.values()}) == len(common.PARTS)


def test_a_small_picture_stays_small():
    figure, axes = subplots(1, 2, height=1.5, width=3)
    assert len(axes) == 2
    picture = Picture(figure, "two empty panels")
    assert picture.width == 300 and size(picture) == (480, 240)


def test_pictures_do_not_heap_up():
    """pyplot keeps each figure until it is closed; these are gone with their picture."""
    curves()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_a_name_that_no_lesson_draws():
    with pytest.raises(AttributeError, match="there is no picture 'nothing'"):
        pl.figures.nothing  # noqa: B018
    assert not hasattr(pl.figures, "_hidden")


LIGHT = """
import sys
import pruning_lessons as pl
heavy = {"matplotlib", "ipywidgets", "bertviz", "IPython"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
pl.figures.curves, pl.figures.PARTS
assert "matplotlib" not in sys.modules
pl.figures.bars({"a": 1}, title="one", label="bar")
assert "matplotlib.pyplot" not in sys.modules
"""


def test_matplotlib_comes_with_the_first_picture():
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def drawn(monkeypatch) -> list:
    """The figures that pictures are made of."""
    figures = []
    real = common.Picture

    def noted(figure, *arguments, **named):
        figures.append(figure)
        return real(figure, *arguments, **named)

    monkeypatch.setattr(common, "Picture", noted)
    return figures


def test_a_dollar_is_a_dollar_and_powers_can_be_read(monkeypatch):
    figures = drawn(monkeypatch)
    lines = {"$a$": [0.001, 0.1, 50.0]}
    common.curves([0.01, 1, 100], lines, title="$5", xlabel="x", ylabel="y", logx=True, logy=True)
    ax = figures[0].axes[0]
    assert not any(text.get_parse_math() for text in figures[0].findobj(Text))
    shown = [tick.get_text() for tick in ax.get_yticklabels()]
    assert "0.1" in shown and not any("$" in text for text in shown)
    low, high = ax.get_ylim()
    assert 0 < low <= 0.001 and 50 <= high < 1000  # the data fill the picture
