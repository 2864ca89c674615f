"""The files that install, test and publish the project agree with each other."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import check_release
import pin_versions
import set_address

tomllib = pytest.importorskip("tomllib")  # Python 3.11 and later
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PINS = dict(
    line.split(";")[0].strip().split("==")
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
PINS = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PINS.items()}

PYTHONS = [f"3.{i}" for i in range(30) if f"3.{i}" in SpecifierSet(PROJECT["requires-python"])]
GITHUB = ROOT / ".github"
WORKFLOWS = {
    file.stem: yaml.safe_load(file.read_text("utf-8"))
    for file in sorted((GITHUB / "workflows").glob("*.yml"))
}
JOBS = [
    (f"{name}/{key}", job) for name, flow in WORKFLOWS.items() for key, job in flow["jobs"].items()
]


def test_every_range_holds_the_tested_version():
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in map(Requirement, sum(lists, [])):
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(PINS[requirement.name]), requirement


@pytest.mark.parametrize(
    "runs_on, marker",
    [
        (None, ""),
        (">=3.8, !=3.9.*", ""),
        (">=3.10.2", '; python_full_version >= "3.10.2"'),
        (">=3.11", '; python_version >= "3.11"'),
        (">=3.11.5", '; python_full_version >= "3.11.5"'),
        (">=3.12,<4", '; python_version >= "3.12"'),
    ],
)
def test_a_pin_holds_where_the_version_runs(runs_on, marker):
    facts = {"Name": "Some_Thing", "Requires-Python": runs_on}
    made = pin_versions.pin(SimpleNamespace(metadata=facts, version="1.2+cpu"))
    assert made == f"some-thing==1.2{marker}"


def test_pre_commit_has_the_same_ruff():
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert f"rev: v{PINS['ruff']}" in text


def test_ci_lints_the_workflows():
    """Those of .pre-commit-config.yaml, by a linter that knows GitHub's expressions."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = {hook["id"] for repo in config["repos"] for hook in repo["hooks"]}
    assert {"actionlint", "check-dependabot", "ruff-check", "ruff-format"} <= hooks
    form = WORKFLOWS["test"]["jobs"]["form"]
    commands = [step.get("run", "") for step in form["steps"]]
    assert any(command.startswith("pre-commit run --all-files") for command in commands)
    assert set(form["env"]["SKIP"].split(",")) <= hooks


def test_versions_that_ran_are_versions_that_are_promised():
    """workshop/versions.md: rows within the ranges, which are narrowed where one failed, and one of
    what is pinned.
    """
    lines = (ROOT / "workshop" / "versions.md").read_text("utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| run"))
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:]]
    head, cells = table[0], table[2 : table.index([""])]
    assert all(len(row) == len(head) for row in cells)
    rows = [dict(zip(head, row)) for row in cells]
    ranges = {
        found.name: found.specifier
        for found in map(
            Requirement,
            PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), []),
        )
    }
    names = {"torch", "transformers", "JupyterLab", "ipywidgets", "NumPy"}
    for row in rows:
        inside = all(row[name] in ranges[name.lower()] for name in names)
        inside &= row["Python"] in SpecifierSet(PROJECT["requires-python"])
        passed, tried = re.fullmatch(r"([\d,]+) of ([\d,]+)", row["passed"]).groups()
        assert inside or passed != tried, row
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row["date"])
        assert any(line.startswith(f"{row['run']}. Commit ") for line in lines), row
    pinned = {name: PINS[name.lower()] for name in names}
    assert any(pinned.items() <= row.items() for row in rows), pinned


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
    after = (ROOT / "postBuild").read_text("utf-8")  # what Binder runs next
    assert not re.search(r"pip install(?!.*-c constraints\.txt)|==", after)
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert container["image"].endswith(f":{python}")
    assert container["postCreateCommand"] == "make env"
    assert re.search(r"download\.pytorch\.org/whl/cpu", text) and re.search(
        r"download\.pytorch\.org/whl/cpu", (ROOT / "Makefile").read_text()
    )


@pytest.mark.skipif(os.name == "nt", reason="Binder runs Linux")
def test_on_binder_a_kernel_ends_with_its_notebook(tmp_path):
    lab = Path(pytest.importorskip("jupyterlab.commands").get_app_dir())
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"JUPYTERLAB_DIR": str(tmp_path), "PATH": path}
    subprocess.run([str(ROOT / "postBuild")], env=environment, check=True)
    values = json.loads((tmp_path / "settings" / "overrides.json").read_text("utf-8"))
    for plugin, own in values.items():
        schema = (lab / "schemas" / plugin.replace(":", "/")).with_suffix(".json")
        assert own.keys() <= json.loads(schema.read_text("utf-8"))["properties"].keys()
    assert values["@jupyterlab/notebook-extension:tracker"] == {"kernelShutdown": True}


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
    readme, here = (ROOT / "README.md").read_text("utf-8"), set_address.address()
    for file in set_address.files():
        text = file.read_text("utf-8")
        assert set_address.rewritten(text, here) == text, f"{file}: run scripts/set_address.py"
    # Without an address no link pretends to work; with one there are two.
    shown = set_address.LAUNCH.findall(readme)
    assert shown == [set_address.launch_links(here) or set_address.NOT_YET]
    moved = set_address.rewritten(readme, "someone/pruning_lessons")
    assert moved.count("/someone/pruning_lessons") >= 2 and "stand here once" not in moved
    back = set_address.rewritten(moved, "OWNER/pruning_lessons")
    assert "mybinder" not in back and "stand here once" in back
    for folder in (ROOT / "notebooks", ROOT / "notebooks" / "solutions"):
        for notebook in folder.glob("*.ipynb"):
            links = "mybinder.org" in notebook.read_text("utf-8")
            assert links == set_address.is_set(here), f"{notebook}: make notebooks LESSONS=--text"


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


def pythons(job: dict) -> list[str]:
    """The Pythons of a job: a matrix's, or those that its steps name."""
    matrix = job.get("strategy", {}).get("matrix", {})
    listed = matrix.get("python", []) + [row["python"] for row in matrix.get("include", [])]
    named = [step.get("with", {}).get("python-version") for step in job["steps"]]
    return listed or [name for name in named if name]


def test_workflows_have_the_pythons_that_the_package_has():
    listed = [
        line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d", line)
    ]
    assert PYTHONS == listed == ["3.10", "3.11", "3.12", "3.13"]
    for name, job in JOBS:
        assert set(pythons(job)) <= set(PYTHONS), name
    tests = WORKFLOWS["test"]["jobs"]
    assert pythons(tests["package"]) == pythons(WORKFLOWS["weekly"]["jobs"]["newest"]) == PYTHONS
    assert {os.split("-")[0] for os in tests["package"]["strategy"]["matrix"]["os"]} == {
        "ubuntu",
        "macos",
        "windows",
    }
    ends = tests["ends"]["strategy"]["matrix"]["include"]
    assert [row["versions"] for row in ends] == ["oldest", "newest"]
    assert pythons(tests["ends"]) == [PYTHONS[0], PYTHONS[-1]]


def test_workflows_run_what_is_there_and_may_do_little():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for name, flow in WORKFLOWS.items():
        assert flow["permissions"] in ({}, {"contents": "read"}) and flow["concurrency"], name
    for name, job in JOBS:
        assert job["timeout-minutes"] and job["runs-on"], name
        allowed = job.get("permissions", {})
        writes = {what for what, how in allowed.items() if how != "read"}
        may = {"release/publish": {"id-token"}, "site/publish": {"contents"}}
        assert writes == may.get(name, set()), name
        for step in job["steps"]:
            command = step.get("run", "")
            assert set(re.findall(r"\bmake ([\w-]+)", command)) <= targets, command
            for path in re.findall(r"(?<!\S)(?:tests|notebooks|scripts|\.ci)/[\w/.*]*", command):
                assert list(ROOT.glob(path)), command
            action = step.get("uses", "x@" + "0" * 40)
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), f"{name}: pin {action} by commit"
            if "checkout@" in action:
                assert step["with"]["persist-credentials"] is False, name


def test_changelog_citation_and_package_have_one_version():
    assert not check_release.differences()
    assert check_release.version() == PROJECT["version"]
    needed = check_release.missing("v0.0.0")
    assert any("the tag is v0.0.0" in line for line in needed)
    assert any("address" in line for line in needed) == set_address.address().startswith("OWNER/")


def test_issue_forms_ask_for_calls_that_exist():
    import pruning_lessons as pl

    for form in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml"):
        for name in re.findall(r"\bpl\.(\w+)", form.read_text("utf-8")):
            assert hasattr(pl, name), f"{form.name}: pl.{name}"
    template = (GITHUB / "PULL_REQUEST_TEMPLATE.md").read_text("utf-8")
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert set(re.findall(r"`make ([\w-]+)", template)) <= set(targets)


def test_a_wheel_that_lacks_something_is_refused(tmp_path):
    wheel = tmp_path / "course-1-py3-none-any.whl"
    inside = [
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "pruning_lessons").rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    ]
    inside += [f"course.dist-info/licenses/{name}" for name in check_release.LICENCES]

    def faults(names):
        with zipfile.ZipFile(wheel, "w") as file:
            for name in names:
                file.writestr(name, "")
        return check_release.faults(wheel)

    assert not faults(inside)
    assert len(faults([name for name in inside if not name.endswith("/NOTICE")])) == 1
    lost = "pruning_lessons/assets/parallel/LICENSE.django"
    assert faults([n for n in inside if n != lost]) == [f"{wheel.name}: lacks {lost}"]
    assert faults([*inside, "tests/test_x.py"]) == [f"{wheel.name}: holds tests/test_x.py"]


WAYS = {  # model and runtime in speed.json, as the README calls them
    "whole, PyTorch": ("whole", "PyTorch eager"),
    "whole, ONNX": ("whole", "ONNX float32"),
    "whole, ONNX int8": ("whole", "ONNX int8"),
    "a third of the work, ONNX int8": ("a third of the MACs", "ONNX int8"),
}


def what_you_get() -> list[str]:
    """The README's lines of speed and accuracy, from the committed measurement."""
    found = json.loads((ROOT / "benchmarks" / "speed.json").read_text("utf-8"))["sizes"][0]
    key = lambda row: (row["model"], row["runtime"])
    ms = {(key(row), row["batch"]): row["ms"][1] for row in found["times"] if row["length"] == 24}
    right = {key(row): row for row in found["right"]}
    lines = []
    for name, way in WAYS.items():
        one, many = (ms[way, batch] for batch in (1, 32))
        faster = [ms[WAYS["whole, PyTorch"], n] / ms[way, n] for n in (1, 32)]
        shares = [f"{right[way][kind]:.1%}" if way in right else "" for kind in KINDS]
        cells = [name, f"{one:.1f} ms", f"{faster[0]:.1f}", f"{many:.0f} ms", f"{faster[1]:.1f}"]
        lines.append("| " + " | ".join(cells + shares) + " |")
    return lines


KINDS = ("trained", "zero-shot")
METHODS = {  # in results.json, as the README calls them
    "`compress`": "compress, fast",
    "`compress`, thorough": "compress, thorough",
    "K-prune (2024), from the paper": "K-prune, squares per example",
    "TextPruner 1.1": "TextPruner 1.1.post2",
    "Kwon et al. (2022), from the paper": "Kwon et al. 2022",
    "Torch-Pruning 1.6": "Torch-Pruning 1.6.1",
}


def what_is_kept() -> list[str]:
    """The README's lines of what methods keep, with the first draw: trained / zero-shot."""
    rows = json.loads((ROOT / "benchmarks" / "results.json").read_text("utf-8"))["rows"]

    def cell(method: str, keep: float) -> str:
        job = ("intents", method, keep, 0)
        for row in rows:
            if (row["task"], row["method"], row["keep"], row["draw"]) == job:
                return " / ".join(f"{100 * row['kept'][kind]:.1f}" for kind in KINDS)
        return "–"

    lines = []
    for name, method in METHODS.items():
        cells = [cell(method, keep) for keep in (0.5, 0.33, 0.25, 0.15)]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return lines


def test_the_readme_says_what_was_measured():
    readme = (ROOT / "README.md").read_text("utf-8")
    for line in what_you_get() + what_is_kept():
        assert line in readme, f"README.md: has not the line {line}"


def test_the_benchmark_at_base_size_knows_the_lesson(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import base_size

    whole = "\n".join(cell.source for cell in base_size.changed_lesson(Path("there")).cells)
    assert "folder = Path('there')" in whole and "TRY = ((0, 0.3),)  #" in whole
    assert "stand_in()" not in whole and "import csv" not in whole
