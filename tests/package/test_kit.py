"""The kit for rooms without Wi-Fi: what goes into it for which system, and what its installer
says. Wheels here are empty and the registry is a folder; a whole kit is made by `make kit`.
"""

import ast
import functools
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import make_kit
from kit import install as installer
from kit.wheels import SYSTEMS, Gathered, Store, Target, first_release, gather, no_such_wheel

LINUX, MACOS, WINDOWS = (Target(system, "3.11") for system in SYSTEMS)
OWN = "pruning_lessons-0.1.0-py3-none-any.whl"
PINS = ["# a comment", "terminado==0.18.1", "torch==2.13.0", 'old==1.0; python_version < "3.11"']


def wheel(folder: Path, name: str, *requires: str, python: str = ">=3.10") -> Path:
    """A wheel with nothing in it but what it needs."""
    folder.mkdir(exist_ok=True)
    project, version = name.split("-")[:2]
    lines = [f"Name: {project}", f"Version: {version}", f"Requires-Python: {python}"]
    lines += [f"Requires-Dist: {one}" for one in requires]
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(f"{project}-{version}.dist-info/METADATA", "\n".join(lines) + "\n\n")
        archive.writestr(f"{project}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return folder / name


class Registry(Store):
    """A store that fetches from a folder in place of a registry, and notes what was asked."""

    def __init__(self, folder: Path, registry: Path):
        super().__init__(folder, lambda name, target: [])
        self.registry, self.calls = registry, []

    def download(self, asked, target, options, patch=0):
        self.calls.append(sorted(asked))
        there = Store(self.registry, lambda name, target: [])
        found = {name: there.find(name, allowed, target) for name, allowed in asked.items()}
        if not all(found.values()):  # as pip does: all or nothing
            return False
        for one in found.values():
            (self.folder / one.name).write_bytes(one.read_bytes())
        return True


@pytest.fixture
def registry(tmp_path) -> Registry:
    there = tmp_path / "registry"
    wheel(
        there,
        "terminado-0.18.1-py3-none-any.whl",
        'ptyprocess; os_name != "nt"',
        'pywinpty>=1.1; os_name == "nt"',
        'appnope; platform_system == "Darwin"',
        'tomli; python_version < "3.11"',
        'backport; python_full_version < "3.11.3"',
        'docs-theme; extra == "docs"',
    )
    for name in ("ptyprocess-1", "appnope-1", "tomli-2", "backport-1", "bare-1", "terminado-0.19"):
        wheel(there, f"{name}-py3-none-any.whl")
    wheel(there, "pywinpty-3.1.2-cp311-cp311-win_amd64.whl")
    wheel(there, "pywinpty-3.1.2-cp312-cp312-win_amd64.whl")
    wheel(there, "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", "bare")
    wheel(there, "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl", "nvidia-cublas")
    wheel(there, "torch-2.13.0-cp311-cp311-macosx_14_0_arm64.whl", "bare")
    wheel(there, "torch-2.13.0-cp311-cp311-win_amd64.whl", "bare")
    return Registry(tmp_path / "wheels", there)


def own(folder: Path, *more: str) -> Path:
    """A wheel as the course's is: its extra names another of its extras."""
    needs = ['pruning-lessons[views]; extra == "lab"', 'terminado; extra == "views"', *more]
    return wheel(folder, OWN, "torch>=2.9", *needs)


@pytest.mark.parametrize(
    "target, its_own", [(LINUX, {"ptyprocess"}), (MACOS, {"ptyprocess", "appnope"})]
)
def test_markers_are_those_of_the_system_asked_for(tmp_path, registry, target, its_own):
    found = gather(own(tmp_path), "lab", target, PINS, registry.fetch)
    everywhere = {"pruning-lessons", "torch", "bare", "terminado", "backport"}
    assert set(found.wheels) == everywhere | its_own and not found.missing
    assert found.wheels["terminado"].name.startswith("terminado-0.18.1-")  # pinned, not the newest


def test_windows_on_linux(tmp_path, registry):
    found = gather(own(tmp_path), "lab", WINDOWS, PINS, registry.fetch)
    assert found.wheels["pywinpty"].name == "pywinpty-3.1.2-cp311-cp311-win_amd64.whl"
    assert "ptyprocess" not in found.wheels and not found.missing
    old = gather(own(tmp_path), "lab", Target("windows-x86_64", "3.10"), PINS, registry.fetch)
    assert "tomli" in old.wheels and set(old.missing) == {"pywinpty", "torch"}


def test_linux_gets_torch_without_cuda_or_none(tmp_path, registry):
    found = gather(own(tmp_path), "lab", LINUX, PINS, registry.fetch)
    assert "+cpu" in found.wheels["torch"].name and "nvidia-cublas" not in found.missing
    (registry.registry / found.wheels["torch"].name).unlink()
    found.wheels["torch"].unlink()
    found = gather(own(tmp_path), "lab", LINUX, PINS, registry.fetch)
    assert found.missing == {"torch": "no wheel of torch==2.13.0+cpu in the registry"}
    assert "x" not in LINUX.pins(['x==1; python_full_version >= "3.11.5"'])
    assert MACOS.pins(PINS)["torch"] == SpecifierSet("==2.13.0")


def test_without_a_network_it_stops(registry, monkeypatch):
    broken = subprocess.CompletedProcess([], 1, None, "WARNING: Retrying (Retry(total=4)) …")
    monkeypatch.setattr("kit.wheels.subprocess.run", lambda *command, **options: broken)
    with pytest.raises(SystemExit, match="run it again"):
        Store.download(registry, {"bare": SpecifierSet()}, LINUX, [])


def test_what_is_missing_is_named_and_the_rest_comes(tmp_path, registry):
    more = ('nowhere>2; extra == "views"', 'terminado>=1; extra == "lab"')
    found = gather(own(tmp_path, *more), "lab", LINUX, PINS, registry.fetch)
    assert set(found.missing) == {"nowhere", "terminado>=1"} and "ptyprocess" in found.wheels
    assert found.missing["nowhere"] == "no wheel of nowhere>2 in the registry"
    assert "0.18.1" in found.missing["terminado>=1"] and OWN in found.missing["terminado>=1"]
    entry = make_kit.entry(LINUX, found, 0)
    for text in (make_kit.described({"a": entry}), make_kit.readme({LINUX.key: entry})):
        assert "NOT COMPLETE" in text and "nowhere>2" in text


def test_what_is_there_is_not_fetched_again(tmp_path, registry):
    gather(own(tmp_path), "lab", LINUX, PINS, registry.fetch)
    assert len(registry.calls) == 3
    registry.calls.clear()
    gather(own(tmp_path), "lab", LINUX, PINS, registry.fetch)
    assert registry.calls == []
    gather(own(tmp_path), "lab", MACOS, PINS, registry.fetch)
    assert registry.calls == [["torch"], ["appnope"]]
    late = wheel(tmp_path / "wheels", "bare-2-py3-none-any.whl", python=">=3.11.5")
    (tmp_path / "wheels" / "bare-1-py3-none-any.whl").unlink()
    found = registry.fetch({"bare": SpecifierSet()}, LINUX)
    assert "bare-1-" in found.wheels["bare"].name  # a better one was there to be had
    assert registry.fetch({"bare": SpecifierSet("==2")}, LINUX).wheels == {"bare": late}


def test_pip_fetches_for_another_system(tmp_path, registry, capsys):
    """The one here that runs pip, with a folder for its registry."""
    wheel(registry.registry, "late-1-cp311-cp311-win_amd64.whl", python=">=3.11.5")
    wheel(registry.registry, "bare-2-py3-none-any.whl", python=">=3.11.5")
    options = ["--no-index", "--find-links", str(registry.registry)]
    store = Store(tmp_path / "wheels", lambda name, target: options)
    found = store.fetch(dict.fromkeys(("bare", "pywinpty"), SpecifierSet()), WINDOWS)
    assert set(found.wheels) == {"bare", "pywinpty"} and store.fetched == 2
    assert "bare-1-" in found.wheels["bare"].name  # the newest that 3.11.0 can have
    assert "cp311-win_amd64" in found.wheels["pywinpty"].name
    late = store.fetch({"late": SpecifierSet()}, WINDOWS)  # nothing for 3.11.0
    assert first_release(late.wheels.values(), "3.11") == "3.11.5"
    found.wheels |= late.wheels
    assert sorted(tmp_path.glob("wheels/*")) == sorted(found.wheels.values())  # nothing left over


def test_a_wheel_runs_on_the_target(tmp_path, registry):
    there = tmp_path / "some"
    for name in (
        "x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "x-2-cp39-abi3-manylinux_2_28_x86_64.whl",
        "x-3-cp312-abi3-manylinux_2_28_x86_64.whl",
        "x-4-cp311-cp311-manylinux_2_39_x86_64.whl",
        "x-5-cp311-cp311-musllinux_1_2_x86_64.whl",
        "x-6-cp311-cp311-manylinux_2_28_aarch64.whl",
        "x-7-cp311-cp311t-manylinux_2_28_x86_64.whl",
        "x-8-cp311-cp311-macosx_15_0_arm64.whl",
        "x-9-cp311-cp311-macosx_10_9_universal2.whl",
    ):
        wheel(there, name)
    store = Store(there, lambda name, target: [])
    found = lambda target, allowed="": str(store.find("x", SpecifierSet(allowed), target))
    assert "x-2-" in found(LINUX) and "x-1-" in found(LINUX, "<2") and "x-9-" in found(MACOS)
    wheel(there, "x-10-py3-none-any.whl", python=">=3.12")  # its tag would do, its Python not
    assert "x-2-" in found(LINUX) and "x-10-" in found(Target("linux-x86_64", "3.12"))
    (there / "x-10-py3-none-any.whl").unlink()
    assert "x-3-" in found(Target("linux-x86_64", "3.13")) and found(WINDOWS) == "None"


def test_the_oldest_system_and_python_that_all_wheels_run_on(tmp_path):
    wheels = [
        wheel(tmp_path, "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
        wheel(tmp_path, "b-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"),
        wheel(tmp_path, "c-1-py3-none-any.whl", python=">=3.11.5"),
    ]
    assert make_kit.least(wheels, LINUX) == [2, 27] and make_kit.least(wheels[2:], LINUX) == []
    assert first_release(wheels, "3.11") == "3.11.5" and first_release(wheels, "3.12") == "3.12.0"
    late = wheel(tmp_path, "d-1-py3-none-any.whl", python=">=3.11.99")
    assert first_release([late], "3.11") == "3.11.99"
    assert make_kit.longest(wheels) == len("a-1.dist-info/METADATA")


def test_no_wheel_is_not_no_network():
    nothing = "ERROR: No matching distribution found for nowhere"
    assert no_such_wheel(nothing) and no_such_wheel("ERROR: ResolutionImpossible: for help")
    assert not no_such_wheel(
        "WARNING: Retrying (Retry(total=4)) after connection broken\n" + nothing
    )
    assert not no_such_wheel("ERROR: No space left on device")


def test_damaged_wheels_are_dropped(tmp_path):
    (tmp_path / "wheels").mkdir()
    listed, unlisted, whole = (
        wheel(tmp_path / "wheels", f"{name}-1-py3-none-any.whl") for name in "abc"
    )
    make_kit.write_sums(tmp_path, [f"wheels/{listed.name}"])
    wheel(tmp_path / "wheels", listed.name, "another")  # a whole archive, but another one
    unlisted.write_bytes(unlisted.read_bytes()[:60])
    assert make_kit.drop_damaged(tmp_path) == [listed.name, unlisted.name] and whole.exists()
    assert make_kit.drop_damaged(tmp_path) == []


def test_all_that_the_lessons_name_is_pinned():
    pins = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    for target in (LINUX, MACOS, WINDOWS):
        assert {"jupyterlab", "transformers", "onnxruntime", "bertviz"} <= set(target.pins(pins))
    assert str(LINUX.pins(pins)["torch"]).endswith("+cpu")


# ---------------------------------------------------------------------------------- the installer


@pytest.fixture
def kit(tmp_path, monkeypatch) -> Path:
    """A small whole kit for this computer, said to be Linux with this Python."""
    folder = tmp_path / "kit"
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    monkeypatch.setattr(installer, "this_system", lambda: "linux-x86_64")
    monkeypatch.setattr(installer, "system_version", lambda system: ("glibc", (2, 36)))
    folder.mkdir()
    for part in installer.NOTEBOOKS:
        (folder / part).mkdir()
        (folder / part / "00.ipynb").write_text("{}")
    wheels = {"pruning-lessons": wheel(folder / "wheels", OWN)}
    target = Target("linux-x86_64", python)
    entry = make_kit.entry(target, Gathered(wheels, {}), 0)
    make_kit.write(folder, {target.key: entry})
    return folder


def index(**changes) -> dict:
    entry = {"title": "Linux, Python 3.11", "python": "3.11.0", "least": [2, 28], "missing": {}}
    return {"systems": {"linux-x86_64 3.11": entry | changes}}


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((index(), "macos-x86_64", "3.11"), ["nothing for macos-x86_64", "Linux, Python 3.11"]),
        ((index(), "linux-x86_64", "3.9"), ["This is Python 3.9", "has Python 3.11", "python.org"]),
        ((index(), "linux-x86_64", "3.13t"), ["This is Python 3.13t"]),
        (
            (index(missing={"torch": "no wheel of torch==1"}), "linux-x86_64", "3.11"),
            ["not complete", "torch (no wheel of torch==1)"],
        ),
        ((index(python="99.1.0"), "linux-x86_64", "3.11"), ["needs 99.1.0 or a later 3.11"]),
        ((index(), "linux-x86_64", "3.11"), ["needs glibc 2.28", "has 2.17"]),
    ],
)
def test_a_computer_that_the_kit_does_not_fit_is_told_why(monkeypatch, arguments, words):
    monkeypatch.setattr(installer, "other_pythons", lambda wanted: [])
    monkeypatch.setattr(installer, "system_version", lambda system: ("glibc", (2, 17)))
    with pytest.raises(installer.Trouble) as trouble:
        installer.chosen(*arguments)
    assert all(word in str(trouble.value) for word in words), trouble.value


def test_another_python_of_this_computer_is_named(monkeypatch):
    monkeypatch.setattr(installer.shutil, "which", lambda name: name == "python3.11")
    with pytest.raises(installer.Trouble, match=r"use python3\.11 instead"):
        installer.chosen(index(), "linux-x86_64", "3.9")


def test_a_kit_that_fits_is_checked_file_by_file(kit, tmp_path):
    check = lambda: installer.local_kit(str(kit), tmp_path / "goal", "linux-x86_64", PYTHON)
    PYTHON = installer.this_python()
    folder, entry, _ = check()
    assert folder == kit and entry["wheels"] == [OWN] and entry["version"] == "0.1.0"
    (kit / "wheels" / OWN).write_bytes(b"half")
    (kit / "solutions" / "00.ipynb").unlink()
    with pytest.raises(installer.Trouble) as trouble:
        check()
    assert f"wheels/{OWN}: damaged" in str(trouble.value)
    assert "solutions/00.ipynb: missing" in str(trouble.value)
    (kit / "kit.json").write_text("{")
    with pytest.raises(installer.Trouble, match="kit.json of this kit is damaged"):
        check()
    with pytest.raises(installer.Trouble, match="is no kit"):
        installer.local_kit(str(tmp_path), tmp_path, "linux-x86_64", PYTHON)


def test_a_folder_that_will_not_do(tmp_path, monkeypatch):
    entry = {"longest": 190}
    monkeypatch.setattr(installer, "GIGABYTES", 0)
    installer.room(tmp_path / "not" / "yet", entry)
    monkeypatch.setattr(installer, "WINDOWS", True)
    monkeypatch.setattr(installer, "long_paths", lambda: False)
    with pytest.raises(installer.Trouble, match="Name a shorter one"):
        installer.room(tmp_path / ("long" * 20), entry)
    monkeypatch.setattr(installer, "GIGABYTES", 1e9)
    with pytest.raises(installer.Trouble, match="GB free"):
        installer.room(tmp_path, entry)


@pytest.fixture
def served(kit, monkeypatch):
    """The kit's address, and the names that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, form, *values):
            asked.append(self.path)

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    handler = functools.partial(Handler, directory=str(kit))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_a_served_kit_is_fetched_once(served, tmp_path, capsys):
    address, asked = served
    fetch = lambda: installer.local_kit(address, tmp_path / "g", "linux-x86_64", PYTHON)
    PYTHON = installer.this_python()
    folder, _, sums = fetch()
    assert (
        folder == tmp_path / "g" / "kit"
        and installer.damaged(folder, [f"wheels/{OWN}"], sums) == {}
    )
    assert f"/wheels/{OWN}" in asked
    asked.clear()
    fetch()
    assert asked == ["/kit.json", "/SHA256SUMS"]
    with pytest.raises(installer.Trouble, match="the same network"):
        installer.local_kit(address + "/nowhere", tmp_path, "linux-x86_64", PYTHON)


def test_the_one_command_runs_as_it_is_printed(served, tmp_path, kit):
    address, _ = served
    sums = (kit / "SHA256SUMS").read_text().replace(OWN, "another.whl")
    (kit / "SHA256SUMS").write_text(sums)  # it must stop before it makes an environment
    command = installer.one_command(address).replace("python", f'"{sys.executable}"', 1)
    env = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "no_proxy": "*"}
    done = subprocess.run(command, shell=True, env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert address in done.stdout or "This kit" in done.stderr


def test_pip_installs_from_the_kit_alone(kit, monkeypatch):
    calls = []

    def run(command, env, **options):
        calls.append((command, env))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org")
    monkeypatch.setattr(installer.subprocess, "run", run)
    wheels = [OWN, "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"]
    installer.install(Path("environment"), kit, wheels)
    (others, env), (own_, _), (check, _) = calls
    assert {"--no-index", "--no-deps", "torch==2.13.0+cpu"} <= set(others)
    assert {"--no-index", "--force-reinstall", "pruning_lessons==0.1.0"} <= set(own_)
    assert check[-1] == "check" and "PIP_INDEX_URL" not in env
    assert env["PIP_CONFIG_FILE"] == os.devnull


def test_a_learners_notebook_is_never_overwritten(kit, tmp_path):
    names, goal = ["notebooks/00.ipynb", "solutions/00.ipynb"], tmp_path / "goal"
    assert installer.copy_notebooks(kit, names, goal) == []
    (goal / names[0]).write_text('{"mine": 1}')
    assert installer.copy_notebooks(kit, names, goal) == [names[0]]
    assert "mine" in (goal / names[0]).read_text()


def test_a_check_code_says_what_it_was_made_of_and_slips_are_seen():
    found = {"well": True, "cores": 8, "gigabytes": 16, "seconds": 9}
    code = installer.code("0.1.0rc1", "windows-x86_64", "3.12", found)
    assert len(code) < 40
    words = installer.read_code(f" {code.lower()} ")
    for part in ("All is well", "windows", "Python 3.12", "8 cores", "16 GB", "9 seconds"):
        assert part in words
    worse = installer.code("0.1.0", "macos-arm64", "3.11", found | {"well": False})
    assert "NOT WELL" in installer.read_code(worse)
    for wrong in (code.replace("8C", "4C"), code[:-1], code.replace("OK", "NO"), "", "hello"):
        with pytest.raises(installer.Trouble, match="no check code"):
            installer.read_code(wrong)


def test_trouble_is_said_without_a_traceback(capsys, tmp_path):
    assert installer.main([str(tmp_path), "--folder", str(tmp_path / "goal")]) == 1
    assert "is no kit" in capsys.readouterr().err and not (tmp_path / "goal").exists()
    assert installer.main(["--read", "nonsense"]) == 1


def test_old_pythons_get_as_far_as_the_message_for_them():
    text = (ROOT / "scripts" / "kit" / "install.py").read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 7))
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert modules <= set(sys.stdlib_module_names)


def test_solved_notebooks_may_stay_out(tmp_path):
    make_kit.copy_notebooks(tmp_path)
    learners, solved = (
        sorted(p.name for p in (tmp_path / n).iterdir()) for n in installer.NOTEBOOKS
    )
    assert learners == solved and len(learners) > 5
    make_kit.copy_notebooks(tmp_path, solved=False)
    assert len(list((tmp_path / "notebooks").iterdir())) == len(learners)
    assert not (tmp_path / "solutions").exists()


def test_readme_and_index_of_a_kit(kit):
    text = (kit / "README.txt").read_text("utf-8")
    assert "{" not in text and "install.py --serve" in text and "py -3" in text
    sums = installer.read_sums((kit / "SHA256SUMS").read_text())
    assert {"kit.json", "install.py", "README.txt", f"wheels/{OWN}"} <= set(sums)
    assert installer.damaged(kit, list(sums), sums) == {}
