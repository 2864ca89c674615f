"""What teachers read agrees with the lessons, and learners' codes can be trusted."""

import re
import sys
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import claims
import make_workshop
import minutes

from pruning_lessons.teaching import environment

SOURCES = sorted((ROOT / "notebooks" / "sources").glob("*.py"))
WORKSHOP = ROOT / "workshop"


@pytest.mark.parametrize("page", make_workshop.pages(), ids=lambda p: p.stem)
def test_pages_are_those_of_the_lessons(page):
    made = make_workshop.pages()[page]
    assert page.read_text("utf-8") == made, "run: python scripts/make_workshop.py"


def test_a_schedule_adds_up():
    """Each row takes the minutes that it says; days end by half past six."""
    text = (WORKSHOP / "schedule.md").read_text("utf-8")
    days = re.findall(r"\| from \|.*?\n\|[^\n]*\n((?:\|[^\n]*\n)+)", text)
    assert len(days) == 4
    for day in days:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in day.splitlines()]
        starts = [int(h) * 60 + int(m) for h, m in (row[0].split(":") for row in rows)]
        for row, start, end in zip(rows, starts, starts[1:]):
            if row[2]:
                assert end - start == int(row[2]) + int(row[3]), row
        assert rows[-1][1] == "End" and starts[-1] <= 18 * 60 + 30


def test_every_lesson_has_its_notes():
    notes = (WORKSHOP / "instructors.md").read_text("utf-8")
    for number, (title, _) in make_workshop.lessons().items():
        part = notes.split(f"## {number} {title}\n")
        assert len(part) == 2, f"{number} {title}"
        for what in ("Question.", "Show live.", "Ask.", "They ask.", "Cut first."):
            assert f"**{what}**" in part[1].split("\n## ")[0], f"{number}: {what}"


def test_minutes_count_what_a_learner_sees():
    text = """# # 04 · Title
#
# {minutes, 2 computing} One two three four. <details><summary>Hint</summary>not counted</details>

# %% tags=["setup"]
import torch

# %% [markdown]
# (easy, 5 minutes) five (hard, 12 minutes)

# %%
def f(x):
    # solution
    return 1
    # end
"""
    notebook = jupytext.reads("# %% [markdown]\n" + text, fmt="py:percent")
    found = minutes.counted(notebook, "99")
    assert (found.exercises, found.computing, found.code) == (17, 2, 1 / 20)
    assert found.reading == 16 / 200


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_lesson_runs_with_any_seed(source):
    """There is one line that sets it, and no other number in its place."""
    changed = claims.with_seed(source, 3)
    code = "\n".join(c.source for c in changed.cells if c.cell_type == "code")
    assert code.count("SEED = 3") == 1 and "SEED = 0" not in code
    assert not re.search(r"seed=\d+(?! ?[*+] SEED)\b", code)


def test_a_code_to_send_back(capsys):
    code = environment.ready_code()
    assert re.fullmatch(r"py3\.\d+-\w+-torch\d+\.\d+-ok-[0-9a-f]{2}", code)
    assert environment.is_code(code) and environment.is_code(f" {code.upper()} ")
    wrong = {code[:-1] + ("0" if code[-1] != "0" else "1"), code.replace("torch", "trch"), ""}
    assert not any(map(environment.is_code, wrong))
    assert not environment.is_code(environment.with_checksum("py3.11-linux-torch2.13-wrong40%"))
