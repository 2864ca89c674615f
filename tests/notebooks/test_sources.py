"""Each notebook is what its source makes, small, and free of errors and of one machine's traces."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import minutes
from build_notebooks import INSTALL, SOLUTION, read_source, run_exercises, versions

from pruning_lessons.teaching import challenges, progress, quiz

SOURCES = sorted((ROOT / "notebooks" / "sources").glob("*.py"))
MADE = [pair for source in SOURCES for pair in versions(source)]


@pytest.mark.parametrize(
    "path, made", MADE, ids=lambda x: f"{x.parent.name}/{x.stem}" if isinstance(x, Path) else ""
)
def test_notebook_is_its_source(path, made):
    notebook = nbformat.read(path, as_version=4)
    assert [(c.cell_type, c.source) for c in notebook.cells] == [
        (c.cell_type, c.source) for c in made.cells
    ], "run: make notebooks"
    assert notebook.metadata.kernelspec.name == "python3" and "widgets" not in notebook.metadata
    assert path.stat().st_size < 1.5e6
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert outputs and not [
        o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"
    ]
    text = path.read_text("utf-8")
    assert not re.search(r"/home/|/Users/|/tmp/|C:\\\\", text)
    assert "✗ Not so here" not in text  # all that the lessons claim is so
    for image in re.findall(
        r'"image/png": "([^"]*)"|data:image/png;base64,([A-Za-z0-9+/=]*)', text
    ):
        assert len(max(image)) * 3 / 4 < 150e3


def test_every_notebook_has_a_source():
    found = {
        p for p in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts
    }
    assert {path for path, _ in MADE} == found and SOURCES


@pytest.mark.parametrize("change", ["", "one digit"])
def test_a_changed_number_fails(tmp_path, change):
    """nbval compares what cells show that are tagged for it: a silent change of a result would be
    seen.
    """
    notebook = nbformat.read(
        ROOT / "notebooks" / "00_prune_your_first_transformer.ipynb", as_version=4
    )
    last = next(
        i for i, c in enumerate(notebook.cells) if c.source.startswith("before = pl.summary")
    )
    notebook.cells = [
        c
        for c in notebook.cells[: last + 1]
        if "show_" not in c.source and "fill-mask" not in c.source
    ]
    data = notebook.cells[-1].outputs[0]["data"]
    assert (
        "nbval-check-output" in notebook.cells[-1].metadata["tags"]
        and "7,105,536" in data["text/html"]
    )
    if change:
        data["text/html"] = data["text/html"].replace("7,105,536", "7,105,537")
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval-lax",
            "--nbval-current-env",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tmp_path,
            "changed.ipynb",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (run.returncode != 0) == bool(change), run.stdout


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_exercises_are_left_to_the_learner(source):
    text = source.read_text("utf-8")
    n = len(SOLUTION.findall(text))
    learner, solved = read_source(source), read_source(source, solved=True)
    dots = lambda notebook: sum("return ...   # your code" in c.source for c in notebook.cells)
    assert n >= 2 and (dots(learner), dots(solved)) == (n, 0)
    # What is solved is used: the check gives back the function that the lesson goes on with.
    checked = re.findall(r'^(\w+) = pl\.check\("(\d\d)\.\w+", (\w+)\)$', text, re.M)
    assert len(checked) == n == text.count("pl.check(")
    assert all(name == again and at == source.stem[:2] for name, at, again in checked)
    path = ROOT / "notebooks" / "solutions" / f"{source.stem}.ipynb"
    said = lambda path: "".join(
        o.get("text", "") for c in nbformat.read(path, 4).cells for o in c.get("outputs", [])
    )
    assert (
        said(path).count("right, on ") == n
        and said(path.parent.parent / path.name).count("not attempted yet. Replace") == n
    )


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_code_fits_the_cell(source):
    """JupyterLab shows about ninety characters beside its file browser."""
    long = [
        line
        for cell in read_source(source).cells
        if cell.cell_type == "code"
        for line in cell.source.splitlines()
        if len(line) > 92
    ]
    assert not long, long


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_solutions_solve(source, tmp_path):
    """The solved notebook is the learner's but for the exercises: those run here, to a ✓ each."""
    (_, learner), (_, solved) = versions(source)
    same = [
        a.source for a in learner.cells if a.cell_type == "code" and "return ..." not in a.source
    ]
    assert [c.source for c in solved.cells if c.source in same and c.cell_type == "code"] == same
    run_exercises(solved, learner, tmp_path)
    said = "".join(
        output.get("text", "") for cell in solved.cells for output in cell.get("outputs", [])
    )
    assert said.count("right, on ") == len(SOLUTION.findall(source.read_text("utf-8")))


def code_cells(source: Path) -> list[str]:
    """The code that a learner sees."""
    return [c.source for c in read_source(source).cells if c.cell_type == "code"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_lesson_has_its_parts(source):
    number, text = source.stem[:2], source.read_text("utf-8")
    assert progress.LESSONS[number][1] == f"{source.stem}.ipynb"
    assert text.count("# # ") == 1 and f"# # {number} · {progress.LESSONS[number][0]}\n" in text
    predicted = [q.name for q in quiz.of_lesson(number) if q.predict]
    assert predicted and all(text.count(f'pl.quiz("{name}")') == 1 for name in predicted)
    for part in (f'pl.quiz("{number}")', f'pl.progress("{number}")', "## What to remember"):
        assert text.count(part) == 1, part
    asked = challenges.of_lesson(number)
    assert asked and all(f'pl.challenge("{one.name}"' in text for one in asked)
    headings = re.findall(r"^# #+ (.+)$", text, re.M)
    for question in quiz.of_lesson(number):
        for place in re.findall(r"“([^”]+)”", question.look):
            assert place in headings, f"{question.name}: {place}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_lesson_takes_its_time(source):
    made = read_source(source)
    assert minutes.PLACE.search(source.read_text("utf-8"))
    stated = re.search(r"\*\*About (\d+) minutes:\*\*", made.cells[0].source)
    assert 25 <= int(stated[1]) <= 50
    readme = (ROOT / "README.md").read_text("utf-8")
    row = re.search(
        rf"^\| \d\d \| \[.*\]\(notebooks/{source.stem}.ipynb\) \| (\d+) \|", readme, re.M
    )
    assert row and row[1] == stated[1], f"{source.stem}: the README says other minutes"


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_code_is_to_be_read(source):
    """Short cells, no drawing, no buttons, nothing of the package's insides."""
    for code in code_cells(source):
        if code.startswith(INSTALL.split("\n")[0]):
            continue
        lines = [line for line in code.splitlines() if line.strip()]
        assert len(lines) <= 15, code
        for word in ("matplotlib", "plt.", "ipywidgets", "pruning_lessons.", "\ndel ", "seed=0"):
            assert word not in f"\n{code}", code


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_links_lead_somewhere(source):
    text, folder = source.read_text("utf-8"), ROOT / "notebooks"
    glossary = (folder / "glossary.md").read_text("utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, anchor = link.partition("#")
        if file == "glossary.md":
            assert f'<a id="{anchor}"></a>' in glossary, link
        else:
            assert (folder / file).exists(), link
    assert "glossary.md#" in text
    for other in re.findall(r"[Ll]essons? (\d\d)", text):
        assert other in progress.LESSONS
