"""Every exercise takes its solution in any form, and turns plausible wrong answers away: those that
are known with the hint that is meant for them, others with what they look like.
"""

import linecache
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.teaching.answers import equal, numbers
from pruning_lessons.teaching.exercises import EXERCISES, Exercise, WrongAnswer, check, claim

ANSWERS = Path(__file__).parent / "wrong_answers"
sys.path.insert(0, str(ANSWERS))
from right import RIGHT

ALL = sorted(EXERCISES.values(), key=lambda e: e.name)
BOTH = pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.name)
# More wrong answers, of which no hint knows, with what they are told.
MORE = [
    entry for file in sorted(ANSWERS.glob("lesson_*.py")) for entry in import_module(file.stem).MORE
]

# How checks work is tested on exercises of their own, whatever the lessons ask.
Exercise(
    "test.share",
    lambda mask: mask.float().mean().item(),
    [(f"{n} places", (torch.arange(n) % 2 == 0,)) for n in (2, 4, 7)],
    look="Look here.",
)
Exercise(
    "test.macs",
    lambda heads, neurons, T, d, size: heads * size * d + neurons * d,
    [("small", (1, 2, 3, 4, 5)), ("large", (2, 3, 4, 5, 6))],
    look="Look here.",
)
Exercise(
    "test.renumber",
    lambda ids, keep, unknown: [keep.index(i if i in keep else unknown) for i in ids],
    [
        ("nothing to do", ([0, 1, 2], [0, 1, 2, 3], 3)),
        ("a piece is gone", ([0, 8, 2], [0, 1, 2, 3, 7, 9], 3)),
        ("none", ([], [0, 3], 3)),
    ],
    look="Look at “Prune the vocabulary”.",
)
Exercise(
    "test.split",
    lambda x, heads: x.unflatten(-1, (heads, -1)).transpose(0, 1),
    [("two heads", (torch.arange(12.0).view(2, 6), 2)), ("one", (torch.ones(1, 3), 1))],
    look="Look here.",
)


def told(name, answer) -> str:
    """The message of a wrong answer; it must show all that a message shows."""
    with pytest.raises(WrongAnswer) as found:
        check(name, answer)
    text = str(found.value)
    assert text.startswith(f"{name}: not yet.")
    for part in (r"^  \w+\($|^  \w+\(.*\)$", r"^  expected .", r"^  got      ."):
        assert re.search(part, text, re.MULTILINE), text
    assert re.search("^  (Looks like|Hint|Where): .", text, re.MULTILINE), text
    assert re.search(r"\d", text.split("\n", 1)[1]) and "case by hand" not in text, text
    assert text.endswith(EXERCISES[name].look)
    return text


@BOTH
def test_exercise(exercise, capsys):
    assert check(exercise.name, exercise.reference) is exercise.reference
    n = len(exercise.cases)
    assert capsys.readouterr().out == f"✓ {exercise.name}: right, on {n} cases.\n"
    stand_in = check(exercise.name, lambda *arguments: ...)
    said = capsys.readouterr().out
    assert said.startswith(f"… {exercise.name}: not attempted yet. Replace the dots, run the cell")
    assert check(exercise.name, stand_in) is not exercise.reference  # the cell is run again
    assert capsys.readouterr().out == said
    assert check(exercise.name, pl.catch_up(exercise.name)) is not exercise.reference
    assert capsys.readouterr().out == said
    for _, arguments in exercise.cases:
        assert equal(stand_in(*arguments), exercise.reference(*arguments), exercise.tolerance)
    assert len(exercise.wrong) >= 8 and len(exercise.cases) >= 3 and exercise.look
    hints = [hint for _, hint in exercise.wrong]
    for wrong, hint in exercise.wrong:
        text = told(exercise.name, wrong)
        assert f" Hint: {' '.join(hint.split())} " in " ".join(text.split())
        prose = text[text.rindex("\n  Hint: ") :].splitlines()
        assert all(len(line) <= 102 for line in prose)  # none breaks in mid-word on a small screen
    assert len(set(hints)) >= len(hints) - 1


@BOTH
def test_hints_are_not_all_there_is(exercise, monkeypatch):
    """Without its hint, too, a wrong answer sees numbers, and what it looks like or where."""
    wrong = exercise.wrong
    monkeypatch.setattr(exercise, "wrong", [])
    for answer, _ in wrong:
        text = told(exercise.name, answer)
        assert re.search(r"^  (Looks like|Where): ", text, re.MULTILINE)


@BOTH
def test_wrong_kinds_of_answer(exercise):
    right = exercise.reference
    assert "returns nothing" in told(exercise.name, lambda *a: None)
    assert "itself: are the brackets missing" in told(exercise.name, lambda *a: right)
    assert "has not run yet" in told(exercise.name, lambda *a: (x for x in [right(*a)]))
    assert "1" in told(exercise.name, lambda *a: (right(*a), 1))
    assert "Where: line" in told(exercise.name, lambda *a: a[0].nothing)
    assert "ZeroDivisionError" in told(exercise.name, lambda *a: 1 // 0)
    told(exercise.name, lambda *a: "text")


@BOTH
@pytest.mark.parametrize(
    "form",
    [np.array, torch.tensor, lambda x: x, lambda x: tuple(x) if isinstance(x, list) else x],
    ids=["numpy", "tensor", "list", "tuple"],
)
def test_right_in_any_form(exercise, form):
    def answer(*arguments):
        found = exercise.reference(*arguments)
        values = numbers(found)
        return found if values is None else form(values.tolist())

    check(exercise.name, answer)


@pytest.mark.parametrize("name, wrong, says", MORE, ids=lambda x: x if isinstance(x, str) else "")
def test_more_wrong_answers(name, wrong, says):
    text = told(name, wrong)
    assert re.search(says, text.split("\n", 1)[1]), text


def test_each_exercise_has_more():
    assert {name for name, *_ in MORE} == set(RIGHT)


def test_the_smallest_failing_case_is_shown():
    at_most = lambda n: lambda x: x.sum() if len(x) <= n else x.sum() + 1
    Exercise(
        "test.small",
        lambda x: x.sum(),
        [(f"{n}", (torch.ones(n),)) for n in (9, 3, 5)],
        look="here",
    )
    text = told("test.small", at_most(3))
    assert "fails on 2 of 3 cases; the smallest of them, “5”" in text
    assert "answer(x=torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0]))" in text
    EXERCISES.pop("test.small")


def test_a_message_in_full():
    assert told("test.renumber", lambda ids, keep, unknown: [keep.index(i) + 1 for i in ids]).split(
        "\n"
    ) == [
        "test.renumber: not yet. It fails on 2 of 3 cases; the smallest of them, “nothing to do”:",
        "  answer(ids=[0, 1, 2], keep=[0, 1, 2, 3], unknown=3)",
        "  expected list, length 3: [0, 1, 2]",
        "  got      list, length 3: [1, 2, 3]",
        "  first difference at [0]: expected 0, got 1; 3 of 3 differ",
        "  Looks like: every number is 1 too large: off by one.",
        "  Look at “Prune the vocabulary”.",
    ]


def test_numbers_that_look_alike_are_shown_to_more_digits():
    text = told("test.share", lambda mask: mask.float().mean().item() + 4e-5)
    assert "expected float: 0.5\n" in text and "got      float: 0.50004\n" in text


@pytest.mark.parametrize("name", ["no.such", "99.none"])
def test_bad_name(name):
    with pytest.raises(ValueError, match=f"name.*'{name}'") as found:
        check(name, abs)
    assert found.value._render_traceback_() == [f"✗ {found.value}"]


def test_an_answer_is_a_function():
    with pytest.raises(TypeError, match="answer.*int.*function") as found:
        check("test.share", 3)
    assert found.value._render_traceback_() == [f"✗ {found.value}"]


def test_a_wrong_answer_shows_no_traceback():
    with pytest.raises(WrongAnswer) as found:
        check("test.share", abs)
    assert found.value._render_traceback_() == [f"✗ {found.value}"]


CELL = """import statistics
def split_heads(x, heads):
    return wider(x, heads)
def wider(x, heads):
    return x.unflatten(-1, (heads, 7))
def fair(heads, neurons, T, d, size):
    return statistics.median([])
"""


@pytest.mark.parametrize(
    "name, function, where",
    [
        (
            "test.split",
            "split_heads",
            "line 5 of your code: return x.unflatten(-1, (heads, 7))",
        ),
        ("test.macs", "fair", "line 7 of your code: return statistics.median([])"),
    ],
)
def test_an_error_is_where_the_learners_code_is(name, function, where, monkeypatch):
    """The error is raised inside PyTorch or Python; the learner's last line stands in a cell."""
    file, names = "/tmp/ipykernel_7/123.py", {}
    monkeypatch.setitem(linecache.cache, file, (len(CELL), None, CELL.splitlines(True), file))
    exec(compile(CELL, file, "exec"), names)
    text = told(name, names[function])
    assert f"  Where: {where}\n" in text and f"  {function}(" in text and "got      " in text


def test_a_function_with_other_parameters():
    text = told("test.macs", lambda heads, neurons: 0)
    assert (
        "Where: the call itself: the function gets 5 arguments, heads, neurons, T, d, size" in text
    )


def test_a_check_runs_the_function_once(capsys):
    """Once for each case: prints inside appear once, whether the answer is right or wrong."""
    cases = len(EXERCISES["test.share"].cases)

    def answer(mask, right=True):
        print("here")
        return mask.float().mean() * (1 if right else 2)

    check("test.share", lambda mask: answer(mask))
    assert capsys.readouterr().out.count("here") == cases
    told("test.share", lambda mask: answer(mask, right=False))
    assert capsys.readouterr().out.count("here") == cases


def test_not_attempted_runs_one_case_only():
    seen = []
    check("test.share", lambda mask: seen.append(1) or ...)
    assert seen == [1]


@pytest.mark.parametrize("holds, said", [(True, "✓ it rains"), (False, "✗ Not so here: it rains")])
def test_claims(holds, said, capsys):
    claim("it rains", holds)
    assert capsys.readouterr().out == said + "\n"


def test_an_answer_cannot_spoil_its_input():
    def spoil(x, d):
        d["a"].append(x.mul_(2))
        return x.sum() / 2

    cases = [(name, (torch.ones(2), {"a": []})) for name in "ab"]
    Exercise("test.spoil", lambda x, d: x.sum(), cases, look="here")
    check("test.spoil", spoil)
    check("test.spoil", spoil)
    x, d = EXERCISES.pop("test.spoil").cases[0][1]
    assert x.sum() == 2 and d == {"a": []}
