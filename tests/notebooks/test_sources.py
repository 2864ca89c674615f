"""Each notebook is what its source makes, small, and free of errors and of one machine's traces."""
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from build_notebooks import read_source  # noqa: E402

SOURCES = sorted((ROOT / "notebooks" / "sources").glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_notebook_is_its_source(source):
    made, path = read_source(source), ROOT / "notebooks" / f"{source.stem}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert [(c.cell_type, c.source) for c in notebook.cells] == [(c.cell_type, c.source) for c in made.cells], \
        "run: python scripts/build_notebooks.py"
    assert notebook.metadata.kernelspec.name == "python3" and "widgets" not in notebook.metadata
    assert path.stat().st_size < 1.5e6
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert outputs and not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    for image in re.findall(r'"image/png": "([^"]*)"|data:image/png;base64,([A-Za-z0-9+/=]*)', path.read_text("utf-8")):
        assert len(max(image)) * 3 / 4 < 150e3


def test_every_notebook_has_a_source():
    assert {p.stem for p in SOURCES} == {p.stem for p in (ROOT / "notebooks").glob("*.ipynb")} and SOURCES
