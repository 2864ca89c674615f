"""Exercises: what is asked, the right answer, and the wrong answers that people give, each with its
hint.

`check(name, answer)` runs the learner's function beside the reference on several cases. A function
that still returns `...` has not been attempted: the check says so and goes on, so that an untouched
notebook runs to its end.
"""

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module

import torch
from torch import Tensor

EXERCISES: dict[str, "Exercise"] = {}


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


class WrongAnswer(AssertionError):
    """Says what was expected, what came, and where to look; shown without a traceback in a
    notebook.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"✗ {self}"]


def check(name: str, answer: Callable) -> None:
    """Check the learner's `answer` to the exercise `name`: print that it is right, or raise
    `WrongAnswer` with a hint.

    Raises `ValueError` for an unknown exercise and `TypeError` if the answer is not a function.
    """
    exercise = _find(name)
    if not callable(answer):
        raise TypeError(
            f"answer: is {type(answer).__name__}, must be the function itself: check({name!r}, "
            f"my_function)"
        )
    for what, arguments in exercise.cases:
        expected = exercise.reference(*_copies(arguments))
        try:
            found = answer(*_copies(arguments))
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            raise WrongAnswer(
                f"{name}: not yet. Case: {what}.\n  expected {_show(expected)}\n  came     "
                f"{type(error).__name__}: {error}"
                f"\n  Hint: it was raised at “{where.line}”.\n  {exercise.look}"
            ) from error
        if found is ...:
            print(f"… {name}: not attempted yet. Replace the dots, run the cell, then this one.")
            return
        if not _equal(found, expected, exercise.tolerance):
            raise WrongAnswer(
                f"{name}: not yet. Case: {what}.\n  expected {_show(expected)}\n  came     "
                f"{_show(found)}"
                f"\n  {_hint(exercise, answer)}\n  {exercise.look}"
            )
    print(f"✓ {name}: right, on {len(exercise.cases)} cases.")


def claim(text: str, holds) -> None:
    """Print whether what a lesson says is so here: it is with the embedded model, with another one
    it need not be.
    """
    print(f"✓ {text}" if holds else f"✗ Not so with this model: {text}")


def _find(name: str) -> Exercise:
    try:
        import_module(f".lessons.lesson_{name[:2]}", __package__)
    except ModuleNotFoundError:
        pass
    if name not in EXERCISES:
        raise ValueError(f"name: is {name!r}, must be one of {sorted(EXERCISES)}")
    return EXERCISES[name]


def _copies(arguments: tuple) -> tuple:
    """An answer that changes its input must not change the next one's."""
    copy = lambda a: (
        a.clone() if isinstance(a, Tensor) else [copy(x) for x in a] if isinstance(a, list) else a
    )
    return tuple(map(copy, arguments))


def _equal(found, expected, tolerance: float) -> bool:
    if isinstance(expected, (tuple, list)) and isinstance(found, (tuple, list)):
        return len(found) == len(expected) and all(
            _equal(f, e, tolerance) for f, e in zip(found, expected)
        )
    if expected is None or isinstance(expected, (set, str)):
        return found == expected
    try:
        found, expected = torch.as_tensor(found), torch.as_tensor(expected)
    except (TypeError, ValueError, RuntimeError):
        return False
    if found.shape != expected.shape or expected.dtype == torch.bool != found.dtype:
        return False
    return torch.allclose(
        found.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True
    )


def _hint(exercise: Exercise, answer: Callable) -> str:
    """The hint of a known wrong answer that gives the same on every case; else one on the kind or
    shape of the result.
    """
    for wrong, hint in exercise.wrong:
        with suppress(Exception):  # of the answer, on a case that comes later
            if all(
                _equal(answer(*_copies(a)), wrong(*_copies(a)), exercise.tolerance)
                for _, a in exercise.cases
            ):
                return "Hint: " + hint
    _, arguments = exercise.cases[0]
    found, expected = answer(*_copies(arguments)), exercise.reference(*_copies(arguments))
    if found is None:
        return "Hint: the function returns nothing. Does it end in a return?"
    if isinstance(found, Tensor) and isinstance(expected, Tensor) and found.shape != expected.shape:
        return f"Hint: the shape is {tuple(found.shape)}, it must be {tuple(expected.shape)}."
    if (
        isinstance(expected, Tensor)
        and expected.dtype == torch.bool
        and getattr(found, "dtype", None) != torch.bool
    ):
        return "Hint: this must be a tensor of True and False: .bool(), or a comparison."
    return "Hint: go through the case by hand."


def _show(value) -> str:
    if isinstance(value, Tensor):
        text = (
            str(value.detach().double().mul(1e4).round().div(1e4).tolist())
            if value.numel() <= 12
            else "values"
        )
        return f"{text[:160]}, shape {tuple(value.shape)}"
    return repr(value)[:200]
