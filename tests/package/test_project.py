"""The files that install the project agree with each other."""

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import set_address

tomllib = pytest.importorskip("tomllib")  # Python 3.11 and later
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PINS = dict(
    line.split(";")[0].strip().split("==")
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
PINS = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PINS.items()}


def test_every_range_holds_the_tested_version():
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in map(Requirement, sum(lists, [])):
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(PINS[requirement.name]), requirement


def test_pre_commit_has_the_same_ruff():
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert f"rev: v{PINS['ruff']}" in text


def test_every_folder_of_the_package_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    listed = set(settings["packages"])
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for file in (ROOT / "pruning_lessons").rglob("__init__.py")
    }
    assert listed == found


def test_environment_yml_installs_what_everyone_installs():
    text = (ROOT / "environment.yml").read_text("utf-8")
    assert "- -c constraints.txt" in text and "- -e .[lab]" in text
    python = re.search(r"- python=([\d.]+)", text)[1]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)
    assert "==" not in text  # a version stands in constraints.txt, nowhere else
    assert re.search(r"download\.pytorch\.org/whl/cpu", text) and re.search(
        r"download\.pytorch\.org/whl/cpu", (ROOT / "Makefile").read_text()
    )


def test_ci_and_readme_run_the_same_commands():
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"make ([\w-]+)", readme)
    assert commands[:2] == ["lab", "test"]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(commands) <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", readme):
        assert (ROOT / link).exists(), link


def test_the_address_stands_in_one_place():
    places = 0
    for file in set_address.files():
        text = file.read_text("utf-8")
        assert set_address.rewritten(text, set_address.address()) == text, (
            f"{file}: run scripts/set_address.py"
        )
        places += len(set_address.PLACES.findall(text))
    assert places >= 6
    assert "someone/else" in set_address.rewritten(text, "someone/else")


def test_the_bundled_keep_their_notices():
    assets, notice = ROOT / "pruning_lessons" / "assets", (ROOT / "NOTICE").read_text("utf-8")
    for folder in ("checkpoint", "data", "embedder", "js", "parallel"):
        assert f"pruning_lessons/assets/{folder}" in notice
    assert "MIT License" in (assets / "checkpoint" / "LICENSE").read_text("utf-8")
    for script in (assets / "js").glob("*.min.js"):
        assert (assets / "js" / f"LICENSE.{script.name.removesuffix('.min.js')}").is_file()
    size = sum(
        f.stat().st_size for f in assets.rglob("*") if f.is_file() and "__pycache__" not in f.parts
    )
    assert size < 90e6  # the wheel stays under 100 MB
