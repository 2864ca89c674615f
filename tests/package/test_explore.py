"""A page that can be read without a kernel, and controls that answer at once: `explore`."""

import builtins
from html.parser import HTMLParser

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.teaching.explore import LONGEST

GRID = torch.tensor([[True, False, True], [True, True, True]])


@pytest.fixture
def shown(monkeypatch):
    """What `explore` displays, in place of a notebook."""
    import IPython.display

    found = []
    monkeypatch.setattr(IPython.display, "display", found.append)
    return found


def parts(live, kind):
    """The widgets of a kind, in their order."""
    found = [live] if type(live).__name__ == kind else []
    return found + [w for child in getattr(live, "children", ()) for w in parts(child, kind)]


def answer(live) -> str:
    return live.children[-1].value


def said(**values) -> str:
    """A `show` whose answer is what it was given."""
    return ", ".join(
        f"{name} {v.tolist() if torch.is_tensor(v) else v}" for name, v in values.items()
    )


def test_a_page_and_controls_that_hide_it(shown):
    for _ in range(2):
        pl.explore(said, keep=[0.9, 0.5])
    (page, live), (_, other) = shown[:2], shown[2:]
    assert str(page) == "keep 0.9" and "keep 0.9" in answer(live)
    assert f'class="{page.hidden_by}"' in page._repr_html_() and page.hidden_by
    css = parts(live, "HTML")[0].value
    assert css == f"<style>.{page.hidden_by}{{display:none}}</style>"
    assert page.hidden_by not in parts(other, "HTML")[0].value
    assert repr(live) == "To try other values, run this cell."
    assert 'aria-live="polite"' in answer(live)


def test_a_list_of_numbers_is_a_slider(shown):
    pl.explore(said, keep_share=[0.9, 0.5, 0.1])
    (slider,) = parts(shown[1], "SelectionSlider")
    assert slider.description == "keep share" and slider.value == 0.9
    slider.value = 0.1
    assert "keep_share 0.1" in answer(shown[1]) and str(shown[0]) == "keep_share 0.9"


def test_a_list_of_texts_is_a_row_of_buttons(shown):
    pl.explore(said, way=["fisher", "dice"])
    (buttons,) = parts(shown[1], "ToggleButtons")
    buttons.value = "dice"
    assert "way dice" in answer(shown[1])


def test_a_text_is_a_field(shown):
    pl.explore(said, sentence="turn it on")
    (field,) = parts(shown[1], "Text")
    assert field.value == "turn it on" and not field.continuous_update
    field.value = ""
    assert "sentence" in answer(shown[1])


def test_a_whole_number_is_a_button_that_counts(shown):
    pl.explore(said, again=4)
    (button,) = parts(shown[1], "Button")
    assert "again 4" in answer(shown[1])
    for _ in range(2):
        button.click()
    assert "again 6" in answer(shown[1])


def test_a_bool_tensor_is_a_grid(shown):
    pl.explore(said, layer=GRID)
    boxes, (every, *rows) = parts(shown[1], "Checkbox"), parts(shown[1], "Button")
    assert [box.value for box in boxes] == GRID.flatten().tolist()
    assert [box.tooltip for box in boxes[:4]] == [
        "layer 0, 0",
        "layer 0, 1",
        "layer 0, 2",
        "layer 1, 0",
    ]
    assert [b.description for b in (every, *rows)] == ["all", "layer 0", "layer 1"]
    assert f"layer {GRID.tolist()}" in answer(shown[1])
    boxes[1].value = True
    assert f"layer {torch.ones(2, 3).bool().tolist()}" in answer(shown[1])
    assert GRID.tolist() == [[True, False, True], [True, True, True]]  # not the caller's


def test_buttons_of_a_grid_answer_once(shown):
    calls = []
    pl.explore(lambda layer: calls.append(layer) or "", layer=GRID)
    every, *rows = parts(shown[1], "Button")
    before = len(calls)
    for button, expected in (
        (rows[0], [[True] * 3, [True] * 3]),  # not all were ticked: now they are
        (rows[0], [[False] * 3, [True] * 3]),
        (rows[1], [[False] * 3, [False] * 3]),
        (every, [[True] * 3, [True] * 3]),
        (every, [[False] * 3, [False] * 3]),
    ):
        button.click()
        before += 1
        assert len(calls) == before and calls[-1].tolist() == expected
        assert calls[-1].dtype == torch.bool


def test_controls_together_and_where_they_start(shown):
    start = {"keep": 0.5, "layer": ~GRID}
    pl.explore(said, start=start, keep=[0.9, 0.5], layer=GRID, text="a", again=0)
    page, live = shown
    assert str(page) == f"keep 0.5, layer {(~GRID).tolist()}, text a, again 0"
    assert parts(live, "SelectionSlider")[0].value == 0.5
    parts(live, "Button")[-1].click()
    parts(live, "Checkbox")[0].value = True
    assert (
        "keep 0.5, layer [[True, True, False], [False, False, False]], text a, again 1"
        in answer(live)
    )


def test_a_value_error_is_a_sentence(shown):
    def show(keep):
        if keep < 0.2:
            raise ValueError("keep: is <b>too</b> small")
        return "fine"

    pl.explore(show, keep=[0.1, 0.9])
    page, live = shown
    assert str(page) == "keep: is <b>too</b> small"
    assert "keep: is &lt;b&gt;too&lt;/b&gt; small" in answer(live)
    parts(live, "SelectionSlider")[0].value = 0.9
    assert "fine" in answer(live)


def test_other_errors_are_not_hidden(shown):
    with pytest.raises(ZeroDivisionError):
        pl.explore(lambda keep: 1 / keep, keep=[0.0, 1.0])


def test_pictures_tables_and_lists(shown):
    picture = pl.figures.bars({"a": 1.0}, title="A", label="share")
    pl.explore(lambda again: [picture, pl.table([("b",), ("c",)]), "d"], again=0)
    page, live = shown
    for html in (page._repr_html_(), answer(live)):
        assert html.index("<img") < html.index("<table") < html.index("d</p>")
    assert str(page).startswith("Bar chart, A.") and str(page).endswith("d")


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found |= {tag, *(name for name, _ in attributes)}


EVIL = (
    "<img src=x onerror='f()'></div><script>f()</script> $x$ \\(y\\) &amp; \"q\" \u202e\x00\nsecond"
)


def test_no_text_becomes_a_script(shown):
    pl.explore(lambda sentence: sentence, sentence=EVIL)
    page, live = shown
    parts(live, "Text")[0].value = EVIL + "2"
    for html in (page._repr_html_(), answer(live)):
        assert Tags(html).found <= {"div", "p", "br", "class", "aria-live"}
        assert "mathjax_ignore" in html and "\u202e" not in html and "\x00" not in html
        assert "<br>second" in html


def test_a_long_text_is_cut(shown):
    pl.explore(lambda again: "x" * 10 * LONGEST, again=0)
    assert len(answer(shown[1])) < 2 * LONGEST


@pytest.mark.parametrize("missing", ["ipywidgets", "IPython.display"])
def test_without_widgets_the_page_is_there(missing, shown, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *rest):
        if name == missing:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    pl.explore(said, layer=GRID)
    assert len(shown) == (missing == "ipywidgets")
    printed = capsys.readouterr().out
    assert printed.startswith("layer [[True") == (missing == "IPython.display")
    if shown:
        assert 'class=""' in shown[0]._repr_html_()  # nothing hides it


@pytest.mark.parametrize(
    "given",
    [None, True, 0.5, [], (), {}, GRID.float(), GRID[0], GRID[:0], torch.tensor(True)],
    ids=repr,
)
def test_what_is_no_control(given, shown):
    with pytest.raises(
        ValueError, match=r"keep: is (.|\n)* must be a list, a text, a whole number, or a"
    ):
        pl.explore(said, keep=given)
    assert not shown


@pytest.mark.parametrize(
    "start, words",
    [
        ({"other": 1}, r"start: has \['other'\]"),
        ({"layer": GRID[:1]}, "start: has another shape or type for 'layer'"),
        ({"layer": True}, "start: has another shape or type for 'layer'"),
    ],
)
def test_a_start_that_fits_no_control(start, words, shown):
    with pytest.raises(ValueError, match=words):
        pl.explore(said, start=start, layer=GRID)
    assert not shown
