"""What has been done: a table of all lessons, or of one with what comes next.

For teachers, `python -m pruning_lessons.teaching.progress FILES…` puts learners' files side by
side.
"""

import math
import os
import sys
from pathlib import Path

from ..measuring.escapes import NO_FORMULAS, in_html
from ..measuring.tables import Table, table
from . import challenges, quiz, record
from .exercises import EXERCISES, Plain

# number: (title, file), in the order in which they are taken
LESSONS = {
    "00": ("Prune your first Transformer", "00_prune_your_first_transformer.ipynb"),
    "01": ("Attention", "01_attention.ipynb"),
    "02": ("Where the time goes", "02_where_the_time_goes.ipynb"),
    "03": ("Weight pruning", "03_weights.ipynb"),
    "04": ("Neuron pruning", "04_neurons.ipynb"),
    "05": ("Repair", "05_repair.ipynb"),
    "06": ("Head pruning", "06_heads.ipynb"),
    "07": ("Layer pruning", "07_layers.ipynb"),
    "08": ("One budget", "08_one_budget.ipynb"),
    "09": ("Ship it", "09_ship.ipynb"),
    "10": ("Your own model", "10_your_own_model.ipynb"),
    "11": ("An embedding model", "11_an_embedding_model.ipynb"),
}


class UnknownLesson(Plain, ValueError):
    """There is no lesson of this number."""


class Progress(Table):
    """A table with a line beneath it."""

    def __init__(self, rows: list, below: str = "", link: str = ""):
        self._rows, self.below, self.link = rows, below, link

    def rows(self) -> list:
        return self._rows

    def __repr__(self) -> str:
        said = " ".join(filter(None, (self.below, self.link)))
        return "\n".join(filter(None, (super().__repr__(), said)))

    def _repr_html_(self) -> str:
        link = in_html(self.link)
        said = in_html(self.below) + (f' <a href="{link}">{link}</a>' if link else "")
        return super()._repr_html_() + (f"<p {NO_FORMULAS}>{said}</p>" if said else "")


def progress(lesson: str | None = None, file: str | Path | None = None) -> Progress:
    """What has been done in all lessons, or in one (`"03"`), with the next one's file.

    file: where progress is kept, if not at PRUNING_LESSONS_PROGRESS or the system's place for data.
    Raises `ValueError` for a lesson that does not exist.
    """
    if lesson is not None and lesson not in list(LESSONS):
        raise UnknownLesson(f"lesson: is {lesson!r}, must be None or one of {sorted(LESSONS)}")
    done = record.read(file)
    return _all(done, file) if lesson is None else _one(done, lesson)


def _names(lesson: str) -> tuple[list[str], list[str], list[challenges.Challenge]]:
    """The exercises, the questions and the challenges of a lesson."""
    open_ended = challenges.of_lesson(lesson)
    exercises = [name for name in EXERCISES if name[:2] == lesson]
    return exercises, [question.name for question in quiz.of_lesson(lesson)], open_ended


def _counts(done: dict, lesson: str) -> tuple[int, ...]:
    """Exercises passed, of how many; questions answered right, of how many; targets of challenges
    reached, of how many.
    """
    exercises, questions, open_ended = _names(lesson)
    solved = sum(name in done["exercises"] for name in exercises)
    right = sum(done["quiz"].get(name, {}).get("right", False) for name in questions)
    best = [done["challenges"].get(c.name, math.inf) for c in open_ended]
    reached = sum(c.reached(cost) for c, cost in zip(open_ended, best))
    return solved, len(exercises), right, len(questions), reached, len(open_ended)


def _of(done: int, all: int) -> str:
    return f"{done} of {all}" if all else "–"


def _pairs(counts: tuple[int, ...]) -> list[tuple[int, int]]:
    """Counts, two by two: done, of how many."""
    return list(zip(counts[::2], counts[1::2]))


def _all(done: dict, file: str | Path | None) -> Progress:
    counts = {number: _counts(done, number) for number in LESSONS}
    rows = [("lesson", "exercises passed", "quiz right", "challenges met")]
    for number, found in counts.items():
        rows.append((f"{number} · {LESSONS[number][0]}", *(_of(*pair) for pair in _pairs(found))))
    total = tuple(map(sum, zip(*counts.values())))
    return Progress([*rows, ("all", *(_of(*pair) for pair in _pairs(total)))], _where(file))


def _where(file: str | Path | None) -> str:
    try:
        at, home = record.place(file), os.path.expanduser("~") + os.sep
    except OSError:
        return "Not kept: there is no home folder here."
    if at is None:
        return f"Not kept: {record.VARIABLE} is {record.OFF!r}."
    return "Kept in " + str(at).replace(home, "~" + os.sep, 1) + "."


def _one(done: dict, lesson: str) -> Progress:
    exercises, questions, open_ended = _names(lesson)
    rows = [(f"{lesson} · {LESSONS[lesson][0]}", "")]
    for name in exercises:
        rows.append((f"exercise {name}", "✓ passed" if name in done["exercises"] else "… not yet"))
    for name in questions:
        entry = done["quiz"].get(name)
        said = "… not yet" if entry is None else f"✗ not yet right, {_tries(entry)}"
        if entry and entry["right"]:
            said = f"✓ right, {_tries(entry)}"
        rows.append((f"quiz {name}", said))
    for asked in open_ended:
        rows.append((f"challenge {asked.name}", _best(asked, done["challenges"].get(asked.name))))
    later = [number for number in LESSONS if number > lesson]
    if not later:
        return Progress(rows, "This was the last lesson.")
    title, file = LESSONS[later[0]]
    return Progress(rows, f"Next: {later[0]} · {title},", file)


def _tries(entry: dict) -> str:
    return f"{entry['tries']} {'try' if entry['tries'] == 1 else 'tries'}"


def _best(asked: challenges.Challenge, cost: float | None) -> str:
    write = asked.form.format
    if cost is None:
        return f"… not yet: {asked.cost}, target {write(asked.target)}"
    said = f"{asked.cost}, your best {write(cost)}, target {write(asked.target)}"
    return f"✓ reached: {said}" if asked.reached(cost) else f"… not yet reached: {said}"


def gathered(files: list[str]) -> tuple[Table, list[str]]:
    """A row for each learner's file: for each lesson exercises passed and questions right, of all
    lessons challenges met, too. Files that cannot be read are left out, and said: (table,
    problems). Files stay as they are.
    """
    paths = [Path(file).absolute() for file in files]
    common = os.path.commonpath([path.parent for path in paths]) if paths else ""
    rows, problems = [("file", *LESSONS, "all", "challenges")], []
    for path in paths:
        try:
            done = record.parse(path.read_bytes())
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
            continue
        except record.Damaged as error:
            problems.append(f"{path}: {error}")
            continue
        counts = [_counts(done, number) for number in LESSONS]
        pairs = [_pairs(found) for found in (*counts, tuple(map(sum, zip(*counts))))]
        write = lambda some: " ".join(f"{done}/{of}" for done, of in some)
        cells = [*(write(found[:2]) for found in pairs), write(pairs[-1][2:])]
        rows.append((os.path.relpath(path, common), *cells))
    return table(rows), problems


def main(files: list[str]) -> int:
    if not files or files[0].startswith("-"):
        print("usage: python -m pruning_lessons.teaching.progress FILES…")
        print("Puts learners' progress.json side by side: what they have passed, and met.")
        return 2 if not files else 0
    found, problems = gathered(files)
    print(
        "For each lesson: exercises passed/of all, questions right/of all, challenges met/of all."
    )
    print(found)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
