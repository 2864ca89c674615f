"""The package's folders are one line: imports go along it, never back, and modules hide nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pruning_lessons as pl

PACKAGE = Path(pl.__file__).parent
ORDER = ["models", "measuring", "pruning", "recovery", "shipping", "teaching"]
ROOT = PACKAGE.parent
MODULES = sorted(f for f in PACKAGE.rglob("*.py") if f.parent != PACKAGE)


def imported_folders(file: Path) -> set[str]:
    """The package's folders that a module imports from, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].relative_to(PACKAGE).parts
            path = [*base, *(node.module or "").split(".")]
            found.add(path[0] or "pruning_lessons")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pruning_lessons"):
            found.add("absolute")
    return found


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_follow_the_line(file):
    folder = file.relative_to(PACKAGE).parts[0]
    allowed = set(ORDER[: ORDER.index(folder) + 1])
    assert imported_folders(file) <= allowed


def test_every_folder_is_on_the_line():
    found = {f.parent.name for f in PACKAGE.glob("*/__init__.py")}
    assert found == set(ORDER)


def test_no_module_hides_a_public_name():
    """`pl.repair` is the function, whatever has been imported."""
    for name in set(pl.__all__) - {"figures"}:  # a folder of pictures, on purpose
        assert not hasattr(getattr(pl, name), "__path__"), name
        assert not isinstance(getattr(pl, name), type(sys)), name


@pytest.mark.parametrize("folder", ["notebooks/sources", "benchmarks", "scripts"])
def test_users_of_the_package_use_public_names(folder):
    """Nothing outside reaches into a module's path; a builder of bundled files may, for readers."""
    for file in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert file.stem.startswith("make_") or not (node.module or "").startswith(
                    "pruning_lessons."
                ), file
                if node.module == "pruning_lessons":
                    assert all(alias.name in pl.__all__ for alias in node.names), file


def test_ruff_has_nothing_to_say():
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stdout + run.stderr
