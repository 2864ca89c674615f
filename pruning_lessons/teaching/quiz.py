"""Quizzes: multiple choice with a reason for every option, the right one and the others.

`quiz("02")` asks all questions of a lesson, `quiz("02.padding")` one. With a running kernel there
are buttons, made with ipywidgets; beside them every call leaves the questions as a page that needs
neither kernel nor script, with the reasons folded away, for readers on the web and of notebooks
that were not run. While the buttons are there they hide that page.

(jupyterquiz works offline, but it is JavaScript throughout: without it nothing can be read, texts
become HTML unescaped, and the kernel never learns the answer.)
"""

import re
from dataclasses import dataclass, field
from importlib import import_module

from ..measuring.escapes import NO_FORMULAS, UNSEEN, in_html
from . import record
from .exercises import Plain

QUESTIONS: dict[str, "Question"] = {}
LONGEST = 2000  # characters of one text
LETTERS = "ABCDEF"
CODE = re.compile(r"`([^`]+)`")
# ipywidgets give an option one line of fixed height; ours are sentences.
STYLE = """<style>
.pruning-lessons-quiz .widget-html, .pruning-lessons-quiz .widget-html-content,
.pruning-lessons-quiz .widget-radio-box label { height: auto; line-height: 1.4; min-height: 0 }
.pruning-lessons-quiz .widget-radio-box { margin-bottom: 2px !important }
.pruning-lessons-quiz .widget-radio-box label { white-space: normal; font-size: inherit;
    margin: 1px 0; padding-left: 22px; width: auto }
.pruning-lessons-quiz .widget-radio-box input { height: 1.2em; margin: 1px 0 0 -20px }
.pruning-lessons-quiz :focus-visible { outline: 2px solid #1f5a99; outline-offset: 2px }
</style>"""


@dataclass
class Option:
    """What one can answer, and why it is right or wrong."""

    text: str
    reason: str
    right: bool = False


def right(text: str, reason: str) -> Option:
    return Option(text, reason, True)


def wrong(text: str, reason: str) -> Option:
    return Option(text, reason)


@dataclass
class Question:
    """One option is `right`; `look`: where the lesson explains it. `predict`: asked before a
    picture or a measurement, by its own name, and not again with the lesson's others.

    Texts are plain text; what stands between `backticks` is set as code.
    """

    name: str
    text: str
    options: list[Option] = field(default_factory=list)
    look: str = ""
    predict: bool = False

    def __post_init__(self):
        if not re.fullmatch(r"\d\d\.[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"name: is {self.name!r}, must be like '02.padding'")
        found = [option.text for option in self.options]
        if not 2 <= len(found) <= len(LETTERS) or len(set(found)) < len(found):
            raise ValueError(f"options: are {found}, must be 2 to {len(LETTERS)}, all different")
        if sum(option.right for option in self.options) != 1:
            raise ValueError(f"options: of {found} exactly one must be right")
        for what in (self.text, *found, *(option.reason for option in self.options)):
            if not what.strip() or len(what) > LONGEST:
                raise ValueError(f"{self.name}: a text is empty or over {LONGEST} characters")
        QUESTIONS[self.name] = self


class UnknownQuestion(Plain, ValueError):
    """There is no question, and no lesson with questions, of this name."""


def quiz(name: str) -> None:
    """Ask one question (`"02.padding"`) or all of a lesson (`"02"`); answers count in `progress`.

    Raises `ValueError` if there is none of that name.
    """
    questions = _find(name)
    page = Page(questions)
    try:
        from IPython.display import display
    except ImportError:
        print(page)
        return
    try:
        live = _live(questions, page)
    except ImportError:
        live = None
    display(page)
    if live is not None:
        display(live)


def of_lesson(number: str) -> list[Question]:
    """All questions of a lesson, in their order; none if it has no quiz."""
    if isinstance(number, str) and re.fullmatch(r"\d\d", number):
        try:
            import_module(f".quizzes.quiz_{number}", __package__)
        except ModuleNotFoundError:
            pass
    return [question for name, question in QUESTIONS.items() if name[:2] == number]


def _find(name: str) -> list[Question]:
    found = of_lesson(name[:2]) if isinstance(name, str) else []
    chosen = [q for q in found if q.name == name or (q.name[:2] == name and not q.predict)]
    if not chosen:
        known = ", ".join(repr(q.name) for q in found) or "a lesson's number, as '00'"
        raise UnknownQuestion(f"name: is {name!r}, must be {known}")
    return chosen


def _marked(text: str) -> str:
    """HTML of a text: escaped, with `code`."""
    return CODE.sub(r"<code>\1</code>", in_html(text, LONGEST))


def _unmarked(text: str) -> str:
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", CODE.sub(r"\1", " ".join(text.split())))


class Page:
    """Questions to read: HTML with folded reasons, text in a terminal."""

    def __init__(self, questions: list[Question]):
        self.questions, self.hidden_by = questions, ""  # a class that a style can hide

    def _repr_html_(self) -> str:
        asked = "".join(
            f'<p style="margin:1em 0 0.3em"><b>{_number(place, self.questions)}'
            f"{_marked(question.text)}</b></p>" + "".join(map(_folded, LETTERS, question.options))
            for place, question in enumerate(self.questions)
        )
        return f'<div class="{self.hidden_by}"><div {NO_FORMULAS}>{asked}</div></div>'

    def __repr__(self) -> str:
        lines = []
        for place, question in enumerate(self.questions):
            lines.append(_number(place, self.questions) + _unmarked(question.text))
            for letter, option in zip(LETTERS, question.options):
                lines.append(f"   {letter}. {_unmarked(option.text)}")
        lines.append("Answers:")
        for place, question in enumerate(self.questions):
            for letter, option in zip(LETTERS, question.options):
                said = f"{letter}. {_verdict(option)} {_unmarked(option.reason)}"
                lines.append(f"   {_number(place, self.questions)}{said}")
        return "\n".join(lines)


def _number(place: int, questions: list) -> str:
    return f"{place + 1}. " if len(questions) > 1 else ""


def _verdict(option: Option) -> str:
    return "✓ Right." if option.right else "✗ Not so."


def _folded(letter: str, option: Option) -> str:
    return (
        f'<details style="margin-left:1em"><summary>{letter}. {_marked(option.text)}</summary>'
        f'<p style="margin:0.2em 0 0.5em 1.5em">{_verdict(option)} {_marked(option.reason)}</p>'
        f"</details>"
    )


def _live(questions: list[Question], page: Page):
    """The buttons, which hide the page; `ImportError` without ipywidgets."""
    import ipywidgets

    class Quiz(ipywidgets.VBox):
        def __repr__(self) -> str:  # what stands in a notebook that is not running
            return "To answer here, run this cell. To read the reasons, open the options above."

    style = ipywidgets.HTML(layout=ipywidgets.Layout(display="none"))
    parts = [_asked(place, questions) for place in range(len(questions))]
    live = Quiz([style, *parts])
    live.add_class("pruning-lessons-quiz")
    page.hidden_by = f"pruning-lessons-quiz-{live.model_id}"
    style.value = f"{STYLE}<style>.{page.hidden_by}{{display:none}}</style>"
    return live


def _asked(place: int, questions: list[Question]):
    """Question, options, and the region where the answer comes."""
    import ipywidgets

    question, wide = questions[place], ipywidgets.Layout(width="auto")
    asked = ipywidgets.HTML(
        f"<div {NO_FORMULAS}><b>{_number(place, questions)}{_marked(question.text)}</b></div>",
        layout=wide,
    )
    texts = [f"{l}. {_unmarked(o.text)}" for l, o in zip(LETTERS, question.options)]
    choice = ipywidgets.RadioButtons(options=texts, value=None, layout=wide)
    answer = ipywidgets.HTML(layout=ipywidgets.Layout(width="auto", margin="2px 0 0 4px"))

    # Choosing answers. With a button beside it, its click could overtake the choice: front ends
    # hold changes of a state back while one is under way, but no clicks.
    def say(change):
        if change["new"] is None:
            return
        option = question.options[change["new"]]
        said = f"{_verdict(option)} {_marked(option.reason)}"
        if not option.right and question.look:
            said += f" {_marked(question.look)}"
        answer.value = _alert(f"{LETTERS[change['new']]}. {said}", option.right)
        record.answered(question.name, option.right)

    choice.observe(say, "index")
    return ipywidgets.VBox([asked, choice, answer], layout=ipywidgets.Layout(margin="0 0 8px"))


def _alert(said: str, right: bool) -> str:
    """A region that screen readers announce when it appears; sign and word say what the colour
    says.
    """
    colour = "#2e7d32" if right else "#b3261e"
    return (
        f'<div role="alert" {NO_FORMULAS} style="border-left:4px solid {colour};padding-left:8px;'
        f'line-height:1.4">{said}</div>'
    )
