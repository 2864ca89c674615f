"""Write what a teacher needs to know of the lessons: `python scripts/make_workshop.py`.

`workshop/schedule.md` from the counted minutes, `workshop/stumbles.md` from the mistakes that the
checks know. A test says when they are no longer so.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import jupytext
import minutes

from pruning_lessons.teaching.exercises import of_lesson

ROOT = Path(__file__).resolve().parent.parent
WORKSHOP = ROOT / "workshop"
SOURCES = ROOT / "notebooks" / "sources"
IN_A_ROOM = 1.5  # exercises take a room longer than one learner
WELCOME, GOODBYE, BREAK, LUNCH = 15, 15, 10, 60  # minutes
AT_ONCE = 75  # minutes of work before a break
HEAD = "Written by `scripts/make_workshop.py` from the lessons; change those, not this page."


@dataclass
class Plan:
    """What a workshop takes, and when it begins; `lunch`: from when on lunch is due."""

    name: str
    why: str
    days: list[tuple[str, ...]]
    begin: int = 9 * 60
    lunch: int | None = 12 * 60


PLANS = [
    Plan(
        "Half a day",
        "The shortest way from nothing to a model that is served faster: what pruning does, which "
        "neurons can go, how the rest makes up for them, what a runtime adds.",
        [("00", "04", "05", "09")],
        lunch=None,
    ),
    Plan(
        "One day",
        "The same, with honest timing and heads.",
        [("00", "02", "04", "05", "06", "09")],
    ),
    Plan(
        "Two days",
        "All methods; the second day ends on the learners' own models. Lesson 11 in place of 10 "
        "where they have an embedder, not a classifier.",
        [("00", "01", "02", "03", "04", "05"), ("06", "07", "08", "09", "10")],
    ),
]


def lessons() -> dict[str, tuple[str, minutes.Minutes]]:
    """(title, minutes) by number."""
    found = {}
    for source in sorted(SOURCES.glob("*.py")):
        notebook = jupytext.read(source)
        title = notebook.cells[0].source.splitlines()[0].split(" · ", 1)[1]
        found[source.stem[:2]] = title, minutes.counted(notebook, source.stem[:2])
    return found


def parts(counted: minutes.Minutes) -> tuple[int, int]:
    """Minutes of teaching and of exercises, in a room, in steps of five."""
    five = lambda x: 5 * max(1, round(x / 5))
    teaching = counted.reading + counted.code + counted.computing
    return five(teaching), five(IN_A_ROOM * counted.exercises)


def clock(minute: int) -> str:
    return f"{minute // 60}:{minute % 60:02d}"


def day(numbers: tuple[str, ...], plan: Plan, known: dict) -> list[str]:
    """Rows of a day's table."""
    rows, now, since, eaten = [], plan.begin, 0, plan.lunch is None

    def row(length: int, what: str, teaching="", exercises=""):
        nonlocal now
        rows.append(f"| {clock(now)} | {what} | {teaching} | {exercises} |")
        now += length

    row(WELCOME, "Welcome; everyone's check code; what each wants to make smaller")
    since += WELCOME
    for number in numbers:
        teaching, exercises = parts(known[number][1])
        if not eaten and now + (teaching + exercises) / 2 > plan.lunch + 30:
            row(LUNCH, "Lunch")
            since, eaten = 0, True
        elif since + teaching + exercises > AT_ONCE + 20:
            row(BREAK, "Break")
            since = 0
        row(teaching + exercises, f"**{number}** {known[number][0]}", teaching, exercises)
        since += teaching + exercises
    row(GOODBYE, "What we learnt; minute cards; what comes next")
    rows.append(f"| {clock(now)} | End | | |")
    return rows


def schedule(known: dict) -> str:
    lines = ["# Schedules", "", HEAD, ""]
    lines += [
        "Minutes of teaching are those of reading, code and computing; exercises take a room half "
        "as long again as they take one learner. Times are a plan: a room decides.",
        "",
        "| | lesson | teaching | exercises |",
        "| --- | --- | ---: | ---: |",
    ]
    for number, (title, counted) in known.items():
        teaching, exercises = parts(counted)
        lines.append(f"| {number} | {title} | {teaching} | {exercises} |")
    for plan in PLANS:
        lines += ["", f"## {plan.name}", "", plan.why]
        for i, numbers in enumerate(plan.days):
            if len(plan.days) > 1:
                lines += ["", f"### Day {i + 1}"]
            lines += ["", "| from | what | teaching | exercises |", "| ---: | --- | ---: | ---: |"]
            lines += day(numbers, plan, known)
    return "\n".join(lines) + "\n"


def stumbles(known: dict) -> str:
    lines = ["# Where people stumble", "", HEAD, ""]
    lines += [
        "Each check knows these mistakes and answers them with the hint. Read a lesson's list "
        "before you teach it: what many get wrong is worth a minute on the screen.",
    ]
    for number, (title, _) in known.items():
        lines += ["", f"## {number} {title}"]
        for exercise in of_lesson(number):
            lines += ["", f"**{exercise.name}**", ""]
            lines += [f"- {hint}" for hint in dict.fromkeys(hint for _, hint in exercise.wrong)]
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    known = lessons()
    return {
        WORKSHOP / "schedule.md": schedule(known),
        WORKSHOP / "stumbles.md": stumbles(known),
    }


def main() -> int:
    for file, text in pages().items():
        file.write_text(text, "utf-8")
        print("wrote", file.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
