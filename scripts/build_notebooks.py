"""Make the notebooks from their sources and run them: `python scripts/build_notebooks.py [NAME …]`."""
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def read_source(source: Path) -> nbformat.NotebookNode:
    """The notebook of a source, not run, with cell ids that stay the same."""
    notebook = jupytext.read(source)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i:02d}"
    return notebook


def main(names: list[str]) -> None:
    for source in sorted((NOTEBOOKS / "sources").glob("*.py")):
        if names and source.stem not in names:
            continue
        notebook = read_source(source)
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": NOTEBOOKS}}).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        notebook.metadata = read_source(source).metadata
        target = NOTEBOOKS / f"{source.stem}.ipynb"
        nbformat.write(notebook, target)
        print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
