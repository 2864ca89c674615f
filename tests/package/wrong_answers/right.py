"""The right answers of all exercises, for wrong ones to be made from."""

from importlib import import_module
from pathlib import Path

import pruning_lessons
from pruning_lessons.teaching.exercises import EXERCISES

LESSONS = Path(pruning_lessons.__file__).parent / "teaching" / "lessons"
for file in sorted(LESSONS.glob("lesson_*.py")):
    import_module(f"pruning_lessons.teaching.lessons.{file.stem}")
RIGHT = {name: exercise.reference for name, exercise in EXERCISES.items()}


def divided(name: str, by: float):
    return lambda *a: RIGHT[name](*a) / by
