"""Every question has one right option and a reason for each; a quiz is asked with buttons, and can
be read without.
"""

import builtins
import re
import string
from html.parser import HTMLParser
from pathlib import Path

import pytest

import pruning_lessons as pl
from pruning_lessons.teaching import quiz as module
from pruning_lessons.teaching import record
from pruning_lessons.teaching.quiz import QUESTIONS, Page, Question, of_lesson, right, wrong

FOLDER = Path(module.__file__).parent / "quizzes"
NUMBERS = sorted(file.stem[-2:] for file in FOLDER.glob("quiz_*.py"))
ALL = [question for number in NUMBERS for question in of_lesson(number)]
EACH = pytest.mark.parametrize("question", ALL, ids=lambda q: q.name)


@pytest.fixture
def asked(monkeypatch):
    """What `quiz` displays, in place of a notebook."""
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    return shown


@pytest.fixture
def noted(monkeypatch):
    """(question, right) of each answer."""
    found = []
    monkeypatch.setattr(record, "answered", lambda *answer: found.append(answer))
    return found


@pytest.fixture
def made():
    """Questions made in a test are forgotten at its end."""
    before = dict(QUESTIONS)
    yield
    QUESTIONS.clear()
    QUESTIONS.update(before)


def parts(live, kind):
    """The widgets of a kind, in their order."""
    found = [live] if type(live).__name__ == kind else []
    return found + [w for child in getattr(live, "children", ()) for w in parts(child, kind)]


def test_there_are_questions():
    assert {"00", "01", "02"} <= set(NUMBERS)
    assert all(len(of_lesson(number)) >= 2 for number in NUMBERS)


@EACH
def test_a_question_says_why(question):
    assert 3 <= len(question.options) and question.text.endswith("?")
    for option in question.options:
        assert len(option.reason.split()) >= 8 and option.reason[-1] in ".)", option
        assert len(option.text) <= 100  # a line beside its button
    reasons = [option.reason for option in question.options]
    assert len(set(reasons)) == len(reasons)
    for part in re.findall("“([^”]*)”", question.look):
        sources = Path(pl.__file__).parents[1] / "notebooks" / "sources"
        text = next(sources.glob(f"{question.name[:2]}_*.py")).read_text("utf-8")
        assert re.search(rf"^# ## {re.escape(part)}$", text, re.M), part


@pytest.mark.parametrize("number", NUMBERS)
def test_the_right_answer_is_not_always_in_one_place(number):
    places = [[o.right for o in q.options].index(True) for q in of_lesson(number)]
    assert len(set(places)) >= min(3, len(places))
    longest = [max(q.options, key=lambda o: len(o.text)).right for q in of_lesson(number)]
    assert not all(longest)  # nor the longest


class Tags(HTMLParser):
    """The tags and attributes of a page, and the text inside each `<details>`."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], set(), [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}
        self.open += tag == "details"

    def handle_endtag(self, tag):
        self.open -= tag == "details"

    def handle_data(self, text):
        self.text.append((self.open, text))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_page_shows_all_and_folds_reasons(number):
    page = Page(of_lesson(number))
    found = Tags(page._repr_html_())
    assert set(found.tags) <= {"div", "p", "b", "code", "details", "summary"}
    assert not found.attributes - {"class", "style"}  # no fold is open
    folded = "".join(text for inside, text in found.text if inside)
    visible = "".join(text for inside, text in found.text if not inside)
    for question in of_lesson(number):
        assert module._unmarked(question.text) in visible
        assert module._unmarked(question.text) in repr(page)
        for option in question.options:
            for text in (option.text, option.reason):
                assert module._unmarked(text) in folded and module._unmarked(text) in repr(page)
                assert module._unmarked(text) not in visible


@pytest.fixture
def two(made):
    """A lesson with two questions."""
    Question(
        "98.first",
        "Does `prune` save time?",
        [wrong("Never", "It `does`."), right("Often", "Less work."), wrong("Always", "No.")],
        look="Look there.",
    )
    Question("98.second", "Why?", [right("So", "Yes."), wrong("Thus", "No.")])


def test_a_quiz_leaves_a_page_and_buttons(two, asked, noted):
    pl.quiz("98")
    page, live = asked
    assert [question.name for question in page.questions] == ["98.first", "98.second"]
    choices, texts = (parts(live, kind) for kind in ("RadioButtons", "HTML"))
    assert len(choices) == 2 and choices[0].value is None
    assert choices[0].options == ("A. Never", "B. Often", "C. Always")
    assert "1. Does <code>prune</code> save time?" in texts[1].value
    assert repr(live).startswith("To answer here, run this cell.") and len(repr(live)) < 110
    answer = texts[2]
    assert answer.value == ""
    choices[0].index = 0
    assert 'role="alert"' in answer.value
    assert "A. ✗ Not so. It <code>does</code>. Look there.<" in answer.value
    choices[0].index = 1
    assert "B. ✓ Right. Less work.<" in answer.value
    choices[1].index = 0
    assert noted == [("98.first", False), ("98.first", True), ("98.second", True)]


def test_the_buttons_hide_their_own_page_and_no_other(two, asked):
    for _ in range(2):
        pl.quiz("98.first")
    pages, lives = asked[::2], asked[1::2]
    for page, live in zip(pages, lives):
        css = parts(live, "HTML")[0].value
        assert f".{page.hidden_by}{{display:none}}" in css
        assert f'class="{page.hidden_by}"' in page._repr_html_()
    assert pages[0].hidden_by not in parts(lives[1], "HTML")[0].value


def test_one_question_has_no_number(two, asked):
    pl.quiz("98.second")
    assert repr(asked[0]).splitlines() == [
        "Why?",
        "   A. So",
        "   B. Thus",
        "Answers:",
        "   A. ✓ Right. Yes.",
        "   B. ✗ Not so. No.",
    ]


@pytest.mark.parametrize("missing", ["ipywidgets", "IPython.display"])
def test_without_widgets_the_page_is_there(missing, two, asked, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *rest):
        if name == missing:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    pl.quiz("98.second")
    said = capsys.readouterr().out
    assert len(asked) == (missing == "ipywidgets")
    assert said.startswith("Why?\n") == (missing == "IPython.display")


def test_an_answer_is_kept(two, asked, tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / "p.json"))
    pl.quiz("98.first")
    (choice,) = parts(asked[1], "RadioButtons")
    for place in (0, 1):
        choice.index = place
    assert record.read()["quiz"] == {"98.first": {"right": True, "tries": 2}}


EVIL = "<img src=x onerror='f()'> `</code><script>f()</script>` $x$ \\(y\\) &amp; \"q\" \u202e\x00"


def test_no_text_of_a_question_becomes_a_script(made, asked, noted):
    options = [right(EVIL + "1", EVIL + "2"), wrong(EVIL + "3", EVIL + "4")]
    pl.quiz(Question("97.evil", EVIL, options, look=EVIL).name)
    page, live = asked
    html = [page._repr_html_()]
    (choice,) = parts(live, "RadioButtons")
    for place in (0, 1):
        choice.index = place
        html += [part.value for part in parts(live, "HTML")[1:]]
    for text in html:
        found = Tags(text)
        assert not set(found.tags) - {"div", "p", "b", "code", "details", "summary"}
        assert not found.attributes - {"class", "style", "role"}
        assert "mathjax_ignore" in text and "\u202e" not in text and "\x00" not in text
    assert all(not set(label) & set("\x00\u202e`") for label in choice.options)  # set as text


def test_a_prediction_is_asked_by_name_alone(made, asked):
    Question("96.guess", "What?", [right("a", "b"), wrong("c", "d")], predict=True)
    Question("96.late", "What?", [right("a", "b"), wrong("c", "d")])
    pl.quiz("96")
    assert [q.name for q in asked[0].questions] == ["96.late"]
    pl.quiz("96.guess")
    assert [q.name for q in asked[2].questions] == ["96.guess"]
    assert len(of_lesson("96")) == 2  # both count


@pytest.mark.parametrize("name", ["", "0", "00.none", "99", "99.none", "../00", 3, None, "00."])
def test_bad_name(name):
    with pytest.raises(ValueError, match="name: is") as found:
        pl.quiz(name)
    assert found.value._render_traceback_() == [f"✗ {found.value}"]


A, B = right("a", "why"), wrong("b", "why")


@pytest.mark.parametrize(
    "name, options, said",
    [
        ("x", [A, B], "name: is 'x'"),
        ("00.Big", [A, B], "name: is '00.Big'"),
        ("95.a", [A], "options: are"),
        ("95.a", [A, wrong("a", "why")], "all different"),
        ("95.a", [right(c, "w") for c in "ab"], "exactly one"),
        ("95.a", [wrong(c, "w") for c in "ab"], "exactly one"),
        ("95.a", [A, *(wrong(c, "w") for c in string.ascii_letters[1:8])], "2 to 6"),
        ("95.a", [A, wrong("b", " ")], "empty"),
        ("95.a", [A, wrong("b", "w" * 3000)], "over 2000"),
    ],
)
def test_a_question_that_cannot_be_asked(name, options, said):
    with pytest.raises(ValueError, match=said):
        Question(name, "What?", options)
    assert name not in QUESTIONS
