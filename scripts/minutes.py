"""How long a lesson takes a learner: `python scripts/minutes.py` prints a table of all.

200 words or 20 lines of code a minute, the questions of the quiz among the words, the exercises'
own minutes, `(easy, 5 minutes)`, and what the lesson says it computes, `{minutes, 2 computing}`.
Not counted: what is folded away, and setup.
"""

import re
from dataclasses import dataclass
from pathlib import Path

WORDS, LINES = 200, 20  # a minute
PLACE = re.compile(r"\{minutes, (\d+) computing\}")
EXERCISE = re.compile(r"\((?:easy|medium|hard), (\d+) minutes\)")
FOLD = re.compile(r"<details>.*?</details>", re.S)
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Minutes:
    reading: float
    code: float
    exercises: int
    computing: int

    @property
    def all(self) -> int:
        return round(self.reading + self.code + self.exercises + self.computing)

    def __str__(self) -> str:
        return (
            f"**About {self.all} minutes:** {self.reading:.0f} reading, {self.code:.0f} for the "
            f"code, {self.exercises} for the exercises, {self.computing} computing."
        )


def counted(notebook, number: str) -> Minutes:
    """Of a notebook as it is read from its source, with what stands in its place for minutes."""
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    lines = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and not {"setup", "install"} & set(
            cell.metadata.get("tags", ())
        ):
            lines += sum(bool(line.strip()) for line in visible(cell.source).splitlines())
    return Minutes(
        (words(FOLD.sub("", text)) + words(asked(number))) / WORDS,
        lines / LINES,
        sum(map(int, EXERCISE.findall(text))),
        int(PLACE.search(notebook.cells[0].source)[1]),
    )


def visible(code: str) -> str:
    """Without solutions, and without the marks around them."""
    return re.sub(r"^ *# solution\n.*?^ *# end\n?", "", code, flags=re.M | re.S)


def words(text: str) -> int:
    return len(re.findall(r"[^\W_][\w'’-]*", re.sub(r"<[^>]+>|\(http[^)]*\)", " ", text)))


def asked(number: str) -> str:
    """Questions and options of the lesson's quiz."""
    file = ROOT / "pruning_lessons" / "teaching" / "quizzes" / f"quiz_{number}.py"
    if not file.exists():
        return ""
    from importlib import import_module

    quiz = import_module("pruning_lessons.teaching.quiz")
    questions = quiz.of_lesson(number)
    return " ".join(" ".join([q.text, *(o.text for o in q.options)]) for q in questions)


def said(notebook, number: str) -> str:
    return str(counted(notebook, number))


if __name__ == "__main__":
    import jupytext

    for source in sorted((ROOT / "notebooks" / "sources").glob("*.py")):
        try:
            found = counted(jupytext.read(source), source.stem[:2])
        except TypeError:
            print(source.stem, "says nothing of its minutes")
        else:
            print(f"{source.stem:32} {found}")
