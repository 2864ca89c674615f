"""Exercises: what is asked, the right answer, and the wrong answers that people give, each with its
hint.

`check(name, answer)` runs the learner's function once on each case, beside the reference. A wrong
answer sees the smallest case that fails: the call, what was expected and what was got, what that
looks like (`diagnosis`), and the hint for a known mistake. A function that still returns `...` has
not been attempted: the check says so and gives back the reference in its place, so that the lesson
goes on with it and an untouched notebook runs to its end.
"""

import copy
import functools
import os
import re
import sysconfig
import textwrap
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from .answers import (
    call,
    count,
    describe,
    digits_apart,
    equal,
    magnitude,
    numbers,
    parameter_names,
    plain,
)
from .diagnosis import Failure, diagnose
from .record import passed

EXERCISES: dict[str, "Exercise"] = {}
# Frames of the traceback in these folders are not the learner's own code.
NOT_THE_LEARNERS = (
    str(Path(__file__).parents[1]) + os.sep,
    sysconfig.get_paths()["stdlib"] + os.sep,
)


@dataclass
class Exercise:
    """`cases` are (what it is, arguments); `wrong` are (function, hint); `look`: where the lesson
    explains it.
    """

    name: str
    reference: Callable
    cases: list[tuple[str, tuple]]
    wrong: list[tuple[Callable, str]] = field(default_factory=list)
    look: str = ""
    tolerance: float = 1e-5

    def __post_init__(self):
        EXERCISES[self.name] = self


@dataclass
class Run:
    """One case, with what was expected and what the answer returned or raised."""

    what: str
    arguments: tuple
    expected: object
    found: object = None
    error: Exception | None = None
    right: bool = False


class Plain:
    """An error that a notebook shows without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"✗ {self}"]


class WrongAnswer(Plain, AssertionError):
    """Shows the smallest failing case, and says what the answer looks like and where to look."""


class UnknownExercise(Plain, ValueError):
    """There is no exercise of this name."""


class NotAFunction(Plain, TypeError):
    """`check` takes the function itself, not what it returns."""


def check(name: str, answer: Callable) -> Callable:
    """Check the learner's `answer` to the exercise `name`: print that it is right and give it back,
    or raise `WrongAnswer` with the smallest case that fails. For an answer that was not attempted
    the reference comes back, for the lesson to go on with:

        attention = pl.check("01.attention", attention)

    Raises `ValueError` for an unknown exercise and `TypeError` if the answer is not a function.
    """
    exercise = _find(name)
    if isinstance(answer, Reference):  # the cell is run once more
        return _not_attempted(exercise)
    if not callable(answer):
        raise NotAFunction(
            f"answer: is {type(answer).__name__}, must be the function itself: check({name!r}, "
            f"my_function)"
        )
    runs = []
    for what, arguments in exercise.cases:
        runs.append(_run(exercise, answer, what, arguments))
        if runs[0].found is ...:
            return _not_attempted(exercise)
    if not all(run.right for run in runs):
        size = lambda run: (
            count(run.arguments) == 0,
            count(run.arguments),
            magnitude(run.arguments),
        )
        worst = min((run for run in runs if not run.right), key=size)
        raise WrongAnswer(_message(exercise, answer, runs, worst)) from worst.error
    print(f"✓ {name}: right, on {len(exercise.cases)} cases.")
    passed(name)
    return answer


def catch_up(name: str) -> Callable:
    """The course's own answer to an exercise, for who joins late: a lesson can go on with it, and
    nothing counts as done.

    Raises `ValueError` for an unknown exercise.
    """
    return Reference(_find(name))


class Reference:
    """The course's own answer, which stands in for the learner's."""

    def __init__(self, exercise: Exercise):
        self.exercise = exercise
        functools.update_wrapper(self, exercise.reference)

    def __call__(self, *arguments, **named):
        return self.exercise.reference(*arguments, **named)


def _not_attempted(exercise: Exercise) -> Reference:
    print(
        f"… {exercise.name}: not attempted yet. Replace the dots, run the cell, then this one.\n"
        "  Until then the lesson uses the course's own."
    )
    return Reference(exercise)


def claim(text: str, holds) -> None:
    """Print whether what a lesson says is so here: it is with the embedded model on a quiet
    machine. With another model it need not be; and a busy machine can belie what is said of time.
    """
    print(f"✓ {text}" if holds else f"✗ Not so here: {text}")


def of_lesson(number: str) -> list[Exercise]:
    """All exercises of a lesson, in their order; its challenges are registered as well. None if
    there is no such lesson.
    """
    module = f"{__package__}.lessons.lesson_{number}"
    if not isinstance(number, str) or not re.fullmatch(r"\d\d", number):
        return []
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # something that the lesson needs
            raise
    return [exercise for name, exercise in EXERCISES.items() if name[:2] == number]


def _find(name: str) -> Exercise:
    of_lesson(name[:2])
    if name not in EXERCISES:
        raise UnknownExercise(f"name: is {name!r}, must be one of {sorted(EXERCISES)}")
    return EXERCISES[name]


def _run(exercise: Exercise, answer: Callable, what: str, arguments: tuple) -> Run:
    """The answer gets copies: what it does to them must not change the next case."""
    run = Run(what, arguments, exercise.reference(*copy.deepcopy(arguments)))
    try:
        run.found = answer(*copy.deepcopy(arguments))
        run.right = equal(run.found, run.expected, exercise.tolerance)
    except Exception as error:
        run.error = error
    return run


def _message(exercise: Exercise, answer: Callable, runs: list[Run], run: Run) -> str:
    failed = [r for r in runs if not r.right]
    names = parameter_names(answer, exercise.reference)
    digits, difference = _first_difference(run, exercise.tolerance)
    if run.error:
        got = f"{type(run.error).__name__}: {str(run.error)[:300]}"
    else:
        got = describe(run.found, digits, 6)
    looks = _looks_like([run] + [r for r in failed if r is not run], names)
    lines = [
        f"{exercise.name}: not yet. It fails on {len(failed)} of {len(runs)} cases; the smallest "
        f"of them, “{run.what}”:",
        call(answer, names, run.arguments, 2),
        f"expected {describe(run.expected, digits, 6)}",
        f"got      {got}",
        difference,
        f"Where: {_where(run.error, names)}" if run.error else "",
        _prose(f"Looks like: {looks}{'' if looks.endswith('?') else '.'}") if looks else "",
        *(_prose(f"Hint: {hint}") for hint in [_hint(exercise, runs)] if hint),
        exercise.look,
    ]
    return "\n  ".join(line for line in lines if line)


def _prose(text: str) -> str:
    """In lines that JupyterLab does not break, in the middle of a word, beside its list of files on
    a screen of 1280 pixels.
    """
    return textwrap.fill(text, 98, subsequent_indent="    ", break_on_hyphens=False)


def _looks_like(failed: list[Run], names: list[str]) -> str | None:
    if failed[0].error:
        return None
    return diagnose(
        [Failure(r.expected, r.found, _sizes(names, r.arguments)) for r in failed if not r.error]
    )


def _sizes(names: list[str], arguments: tuple) -> dict[str, int]:
    """The sizes that stand in the arguments, by name."""
    sizes = {}
    for name, value in zip(names, arguments):
        if isinstance(value, Tensor):
            sizes |= {f"{name}.shape[{i}]": n for i, n in enumerate(value.shape)}
            sizes[f"{name}.numel()"] = value.numel()
        elif isinstance(value, (list, dict)):
            sizes[f"len({name})"] = len(value)
        elif isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
            sizes[name] = int(value)
    return sizes


def _first_difference(run: Run, tolerance: float) -> tuple[int, str]:
    """To how many digits numbers must be shown so that they differ, and the first place."""
    want, have = numbers(run.expected), numbers(run.found)
    if want is None or have is None or want.shape != have.shape or want.numel() == 0:
        return 4, ""
    wrong = ~torch.isclose(
        have.double(), want.double(), rtol=tolerance, atol=tolerance, equal_nan=True
    )
    if not wrong.any():
        return 4, ""
    place = wrong.nonzero()[0].tolist()
    e, g = want[tuple(place)].item(), have[tuple(place)].item()
    digits = digits_apart(e, g)
    if want.ndim == 0:
        return digits, ""
    return digits, (
        f"first difference at {place}: expected {plain(e, digits)}, got {plain(g, digits)}; "
        f"{int(wrong.sum())} of {want.numel()} differ"
    )


def _where(error: Exception, names: list[str]) -> str:
    """The last line of the learner's own code on the way to the error."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        f
        for f in frames
        if not f.filename.startswith(NOT_THE_LEARNERS)
        and not {"site-packages", "dist-packages"} & set(Path(f.filename).parts)
    ]
    last = own[-1] if own else frames[-1]
    if last.filename == __file__:
        return f"the call itself: the function gets {len(names)} arguments, {', '.join(names)}"
    return f"line {last.lineno} of your code: {last.line}"


def _hint(exercise: Exercise, runs: list[Run]) -> str | None:
    """The hint of a known wrong answer that does the same on every case."""
    for wrong, hint in exercise.wrong:
        if all(_same(exercise, wrong, run) for run in runs):
            return hint
    return None


def _same(exercise: Exercise, wrong: Callable, run: Run) -> bool:
    try:
        made = wrong(*copy.deepcopy(run.arguments))
    except Exception as error:
        return type(error) is type(run.error)
    return run.error is None and equal(run.found, made, exercise.tolerance)
