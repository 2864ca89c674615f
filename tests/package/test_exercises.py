"""Every exercise takes its solution, and turns each plausible wrong answer away with the hint that
is meant for it.
"""

from importlib import import_module
from pathlib import Path

import pytest

import pruning_lessons
from pruning_lessons.teaching.exercises import EXERCISES, Exercise, WrongAnswer, check, claim

for file in sorted(
    (Path(pruning_lessons.__file__).parent / "teaching" / "lessons").glob("lesson_*.py")
):
    import_module(f"pruning_lessons.teaching.lessons.{file.stem}")
ALL = sorted(EXERCISES.values(), key=lambda e: e.name)


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.name)
def test_exercise(exercise, capsys):
    check(exercise.name, exercise.reference)
    assert "✓" in capsys.readouterr().out
    check(exercise.name, lambda *arguments: ...)
    assert "not attempted yet" in capsys.readouterr().out
    assert len(exercise.wrong) >= 3 and len(exercise.cases) >= 3 and exercise.look
    for wrong, hint in exercise.wrong:
        with pytest.raises(WrongAnswer) as found:
            check(exercise.name, wrong)
        assert (
            hint in str(found.value)
            and "expected" in str(found.value)
            and exercise.look in str(found.value)
        )
    with pytest.raises(WrongAnswer, match="returns nothing"):
        check(exercise.name, lambda *arguments: None)


def test_bad_input():
    with pytest.raises(ValueError, match="name.*'99.none'"):
        check("99.none", abs)
    with pytest.raises(TypeError, match="answer.*int.*function"):
        check("00.kept_share", 3)


def test_an_error_in_the_answer_is_a_wrong_answer():
    def crashes(mask):
        return mask.nothing

    with pytest.raises(
        WrongAnswer, match="AttributeError(.|\\n)*Hint: it was raised at “return mask.nothing”"
    ):
        check("00.kept_share", crashes)


def test_a_float_mask_is_no_bool_mask():
    import torch

    with pytest.raises(WrongAnswer, match="True and False"):
        check("01.causal_mask", lambda n: torch.ones(n, n).tril())


@pytest.mark.parametrize(
    "holds, said", [(True, "✓ it rains"), (False, "✗ Not so with this model: it rains")]
)
def test_claims(holds, said, capsys):
    claim("it rains", holds)
    assert capsys.readouterr().out == said + "\n"


def test_an_answer_cannot_spoil_its_input():
    import torch

    Exercise(
        "test.spoil",
        lambda x: x.sum(),
        [("a", (torch.ones(2),)), ("b", (torch.ones(2),))],
        look="here",
    )
    check("test.spoil", lambda x: x.mul_(1).sum())
    assert EXERCISES.pop("test.spoil").cases[0][1][0].sum() == 2
