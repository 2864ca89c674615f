"""The whole course on a checkpoint of other proportions, as it comes from the hub: no cell takes 12
× 12 heads or width 384 for granted. And each cell once more after all others, as learners do it.
"""

import copy
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import pruning_lessons as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "package")]
from build_notebooks import read_source
from conftest import make_pretrained

SOURCES = sorted((ROOT / "notebooks" / "sources").glob("*.py"))


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The environment of a learner who has named another checkpoint, fine-tuned as in the first
    lesson, but shorter.
    """
    folder = tmp_path_factory.mktemp("other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNING_LESSONS_CHECKPOINT", str(make_pretrained(folder / "pretrained")))
        patch.setenv("PRUNING_LESSONS_CACHE", str(folder / "cache"))
        pl.prepare(limit=640, epochs=2, learning_rate=2e-3, progress=False)
        yield


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_lesson_runs_on_another_checkpoint(source, course, tmp_path):
    notebook = read_source(source, solved=True)
    # Without ipywidgets, so that what stands in for each widget runs as well.
    notebook.cells.insert(
        0, nbformat.v4.new_code_cell("import sys; sys.modules['ipywidgets'] = None")
    )
    again = [copy.deepcopy(c) for c in notebook.cells if c.cell_type == "code"]
    notebook.cells += again
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    shown = "".join(
        str(output.get("text", "")) for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "no intents head" not in shown and "✓" in shown
