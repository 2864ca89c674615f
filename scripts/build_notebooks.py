"""Make the notebooks from their sources and run them: `python scripts/build_notebooks.py [--text]
[NAME …]`.

With --text a notebook whose code is as before keeps its outputs and is not run again. A lesson
whose kernel takes more than `MEMORY` is not written.

A source holds exercise and solution. What stands between `# solution` and `# end` in a function
becomes `return ...` in the learner's notebook (notebooks/), and stays in the solved one
(notebooks/solutions/). What all lessons have in common is added here: the launch links beneath the
title (once the repository has an address), the minutes where `{minutes, 2 computing}` stands, and
before the cell tagged `setup` the folded one that installs the package.
"""

import os
import re
import sys
from pathlib import Path

import jupytext
import minutes
import nbformat
import set_address
from nbclient import NotebookClient

os.environ["PRUNING_LESSONS_PROGRESS"] = "off"  # what a learner has done is not the course's

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SOLUTION = re.compile(r"^( *)# solution\n.*?^ *# end\n?", re.M | re.S)
INSTALL = """#@title Installs the course where it is missing, as on Colab
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("pruning_lessons") is None:
    folders = Path.cwd().resolve().parents
    clone = next((p for p in folders if (p / "pyproject.toml").exists()), None)
    source = clone.as_uri() if clone else "git+https://github.com/ADDRESS"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet",
                    f"pruning-lessons[views,train,export] @ {source}"], check=True)
    importlib.invalidate_caches()"""
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
MEMORY = 1.8  # GiB for a lesson's kernel: Binder gives 2, and its server needs some
FOLDED = {"tags": ["install"], "jupyter": {"source_hidden": True}, "cellView": "form"}


def read_source(source: Path, solved: bool = False) -> nbformat.NotebookNode:
    """The notebook of a source, not run, with cell ids that stay the same."""
    notebook = jupytext.read(source)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    head = notebook.cells[0]
    title, _, rest = head.source.partition("\n\n")
    rest = minutes.PLACE.sub(minutes.said(notebook, source.stem[:2]), rest)
    links = set_address.launch_links(set_address.address(), source.stem)
    head.source = "\n\n".join(part.strip() for part in (title, links, rest) if part)
    first = next(i for i, c in enumerate(notebook.cells) if "setup" in c.metadata.get("tags", ()))
    install = INSTALL.replace("ADDRESS", set_address.address())
    notebook.cells.insert(first, nbformat.v4.new_code_cell(install, metadata=FOLDED))
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i:02d}"
        if solved:  # one folder further down
            cell.source = cell.source.replace("](glossary.md", "](../glossary.md")
        if cell.cell_type == "code":
            kept = re.sub(r"^ *# (solution|end)\n?", "", cell.source, flags=re.M)
            cell.source = (
                kept
                if solved
                else SOLUTION.sub(r"\1return ...   # your code instead of this line\n", cell.source)
            ).rstrip()
    return notebook


def versions(source: Path) -> list:
    """(path, notebook not run) of what a source makes: the learner's and the solved one."""
    return [
        (NOTEBOOKS / f"{source.stem}.ipynb", read_source(source)),
        (NOTEBOOKS / "solutions" / f"{source.stem}.ipynb", read_source(source, solved=True)),
    ]


def keep_outputs(notebook, old) -> bool:
    """Take the outputs of a notebook that was run, if its code is the same."""
    code = lambda n: [cell for cell in n.cells if cell.cell_type == "code"]
    said = lambda n: [
        cell.source for cell in code(n) if "install" not in cell.metadata.get("tags", ())
    ]
    if old is None or said(old) != said(notebook):
        return False
    for mine, theirs in zip(code(notebook), code(old)):
        mine.outputs, mine.execution_count = theirs.outputs, theirs.execution_count
    return True


def run(notebook, folder: Path) -> float:
    """The most memory that its kernel took, GiB; 0 where the system does not say."""
    ask = nbformat.v4.new_code_cell(PEAK)
    cells = [*notebook.cells, ask] if sys.platform == "linux" else notebook.cells
    asked = nbformat.v4.new_notebook(metadata=notebook.metadata, cells=cells)
    NotebookClient(asked, timeout=300, resources={"metadata": {"path": folder}}).execute()
    return int(ask.outputs[0].text) / 2**20 if ask.outputs else 0.0


def run_exercises(notebook, solved, folder: Path) -> None:
    """The learner's notebook differs from the solved one in the exercises alone: only they are run,
    the rest is taken over.
    """
    exercise = lambda cell, twin: cell.source != twin.source or "check(" in cell.source
    pairs = [pair for pair in zip(notebook.cells, solved.cells) if pair[0].cell_type == "code"]
    short = nbformat.v4.new_notebook(
        metadata=notebook.metadata,
        cells=[
            cell
            for cell, twin in pairs
            if "setup" in cell.metadata.get("tags", ()) or exercise(cell, twin)
        ],
    )
    run(short, folder)
    for cell, twin in pairs:
        if not exercise(cell, twin):
            cell.outputs = twin.outputs
        cell.execution_count = twin.execution_count


def write(notebook, target: Path, metadata: dict) -> None:
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = metadata
    nbformat.write(notebook, target)
    print(f"{target.relative_to(NOTEBOOKS)}: {target.stat().st_size / 1e6:.2f} MB", flush=True)


def main(names: list[str]) -> None:
    text_only = "--text" in names
    names = [name for name in names if name != "--text"]
    for source in sorted((NOTEBOOKS / "sources").glob("*.py")):
        if names and not any(source.stem.startswith(name) for name in names):
            continue
        (learners, learner), (solutions, solved) = versions(source)
        metadata = dict(learner.metadata)
        before = [
            nbformat.read(path, as_version=4) if path.exists() else None
            for path in (learners, solutions)
        ]
        if not (text_only and keep_outputs(learner, before[0]) and keep_outputs(solved, before[1])):
            solutions.parent.mkdir(exist_ok=True)
            most = run(solved, solutions.parent)
            if most > MEMORY:
                raise MemoryError(f"{source.stem}: took {most:.2f} GiB, may take {MEMORY}")
            print(f"{source.stem}: {most:.2f} GiB", flush=True)
            run_exercises(learner, solved, learners.parent)
        write(learner, learners, metadata)
        write(solved, solutions, metadata)


if __name__ == "__main__":
    main(sys.argv[1:])
