"""Write a kit: all that the course needs, for a USB stick or a teacher's laptop, without network.

    python scripts/make_kit.py                     this Python; Linux, macOS and Windows
    python scripts/make_kit.py --python 3.11 3.12 --system windows-x86_64 --out /media/stick/kit

Wheels are those that constraints.txt pins for the extra `lab`. What is there and whole is not
fetched again, so after an interruption the same command goes on. A system for which something
cannot be had is named with what it lacks, in the kit too, and the exit status is 1.
"""

import argparse
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from kit.install import INDEX, NOTEBOOKS, SUMS, digest, read_sums
from kit.wheels import (
    COMING,
    SYSTEMS,
    Gathered,
    Store,
    Target,
    first_release,
    gather,
    name_and_version,
)
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
PARTS = Path(__file__).resolve().parent / "kit"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
EXTRA = "lab"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "LICENSE-CONTENT", "NOTICE")
EPOCH = "315532800"  # the first day of 1980, the earliest that a zip file can name
TORCH_CPU = "https://download.pytorch.org/whl/cpu"


@functools.cache
def torch_cpu_answers() -> bool:
    """Whether PyTorch's own index can be reached."""
    try:
        with urllib.request.urlopen(f"{TORCH_CPU}/torch/", timeout=10):
            return True
    except OSError:
        print(f"  {TORCH_CPU} cannot be reached: Linux's torch must come from pip's usual sources.")
        return False


def sources(name: str, target: Target) -> list[str]:
    """Where else pip looks for a package: on Linux, torch without CUDA has an index of its own."""
    if name == "torch" and target.system == "linux-x86_64" and torch_cpu_answers():
        return ["--extra-index-url", TORCH_CPU]
    return []


def build_package(folder: Path) -> Path:
    """The course's own wheel, built from a clean copy: leftovers of other builds stay out of it.
    From the same files come the same bytes, so that an unchanged course is not copied again.
    """
    with tempfile.TemporaryDirectory() as name:
        clean = Path(name) / "source"
        clean.mkdir()
        for source in SOURCES:
            shutil.copy(ROOT / source, clean)
        shutil.copytree(
            ROOT / "pruning_lessons",
            clean / "pruning_lessons",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += ["--wheel-dir", str(folder), str(clean)]
        subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    (wheel,) = folder.glob("*.whl")
    return wheel


def drop_damaged(folder: Path) -> list[str]:
    """Remove wheels that are not as they came: against the kit's checksums, or where it has none
    yet, against each wheel's own. Returns their names.
    """
    sums = read_sums((folder / SUMS).read_text("utf-8")) if (folder / SUMS).exists() else {}
    gone = []
    for wheel in sorted((folder / "wheels").glob("*.whl")):
        listed = sums.get(f"wheels/{wheel.name}")
        if (digest(wheel) != listed) if listed else not is_whole(wheel):
            wheel.unlink()
            gone.append(wheel.name)
    return gone


def is_whole(wheel: Path) -> bool:
    """Whether every file in a wheel has its checksum."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, OSError):
        return False


def least(wheels: list[Path], target: Target) -> list[int]:
    """The oldest glibc or macOS that all of these wheels run on; [] where any will do."""
    runs = set(target.tags())
    found = []
    for wheel in wheels:
        tags = [tag.platform for tag in parse_wheel_filename(wheel.name)[3] if tag in runs]
        asked = [re.match(r"(?:manylinux|macosx)_(\d+)_(\d+)_", platform) for platform in tags]
        if tags and all(asked):
            found.append(min([int(match[1]), int(match[2])] for match in asked))
    return max(found, default=[])


def longest(wheels: list[Path]) -> int:
    """The letters of the longest path in these wheels: Windows has a limit."""
    return max(len(name) for wheel in wheels for name in zipfile.ZipFile(wheel).namelist())


def entry(target: Target, found: Gathered, extra_bytes: int) -> dict:
    """What the kit's index says of a target; sizes in MB (10⁶ bytes), notebooks included."""
    wheels = sorted(found.wheels.values())
    return {
        "title": str(target),
        "version": str(name_and_version(found.wheels["pruning-lessons"])[1]),
        "wheels": [wheel.name for wheel in wheels],
        "megabytes": round((sum(w.stat().st_size for w in wheels) + extra_bytes) / 1e6),
        "python": first_release(wheels, target.python),
        "longest": longest(wheels),
        "least": least(wheels, target),
        "missing": found.missing,
    }


def notebooks(solved: bool = True) -> dict[str, list[Path]]:
    """The learners' notebooks and the solved ones (or none), by their folder in the kit."""
    origins = (ROOT / "notebooks", ROOT / "notebooks" / "solutions")
    found = {part: sorted(origin.glob("*.ipynb")) for part, origin in zip(NOTEBOOKS, origins)}
    return found if solved else found | {"solutions/": []}


def copy_notebooks(folder: Path, solved: bool = True) -> None:
    """Put the notebooks into the kit, each kind in a folder of its own."""
    for part, some in notebooks(solved).items():
        shutil.rmtree(folder / part, ignore_errors=True)
        for notebook in some:
            (folder / part).mkdir(parents=True, exist_ok=True)
            shutil.copy(notebook, folder / part)


def described(entries: dict[str, dict]) -> str:
    """A line for each system: how large, or what it lacks."""
    lines = []
    for one in entries.values():
        line = f"  {one['title']}: {len(one['wheels'])} wheels, {one['megabytes']} MB"
        line += f"; Python {one['python']} or a later {one['python'].rpartition('.')[0]}"
        if one["least"]:
            what = "macOS" if "macOS" in one["title"] else "glibc"
            line += f", {what} {'.'.join(map(str, one['least']))} or later"
        lines.append(line)
        if one["missing"]:
            lines.append("    NOT COMPLETE, it cannot be installed. It lacks:")
            lines += [f"      {name}: {why}" for name, why in one["missing"].items()]
    return "\n".join(lines)


def readme(entries: dict[str, dict]) -> str:
    """The kit's README."""
    pythons = sorted({key.split()[1] for key in entries}, key=lambda p: int(p.split(".")[1]))
    first = next(iter(entries.values()))
    return (
        (PARTS / "README.txt")
        .read_text("utf-8")
        .format(
            version=first["version"],
            pythons=" or ".join(pythons),
            python=pythons[0],
            systems=described(entries),
            largest=max(one["megabytes"] for one in entries.values()),
        )
    )


def write_sums(folder: Path, names: list[str]) -> None:
    """Checksums as sha256sum reads them."""
    text = "".join(f"{digest(folder / name)}  {name}\n" for name in names)
    (folder / SUMS).write_text(text, encoding="utf-8", newline="\n")


def write(folder: Path, entries: dict[str, dict]) -> list[str]:
    """Index, README, installer and checksums; the names of all of the kit's files."""
    text = json.dumps({"systems": entries}, indent=1, ensure_ascii=False)
    (folder / INDEX).write_text(text + "\n", encoding="utf-8")
    (folder / "README.txt").write_text(readme(entries), encoding="utf-8")
    shutil.copy(PARTS / "install.py", folder)
    names = {f"wheels/{wheel}" for one in entries.values() for wheel in one["wheels"]}
    names |= {f"{part}{file.name}" for part in NOTEBOOKS for file in (folder / part).glob("*")}
    listed = [INDEX, "README.txt", "install.py", *sorted(names)]
    write_sums(folder, listed)
    return [*listed, SUMS]


def main(arguments: list[str] | None = None) -> int:
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "kit")
    parser.add_argument("--python", nargs="+", choices=PYTHONS, default=[this])
    parser.add_argument("--system", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--no-solutions", action="store_true", help="no solved notebooks")
    given = parser.parse_args(arguments)
    folder = given.out.expanduser().resolve()
    for left in [*folder.glob(COMING + "*"), *folder.glob(f"wheels/{COMING}*")]:
        shutil.rmtree(left)  # by a run that was ended
    for name in drop_damaged(folder):
        print(f"{name} was damaged and is fetched again.")
    store = Store(folder / "wheels", sources)
    pins = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    targets = [Target(system, python) for python in given.python for system in given.system]
    lessons = notebooks(not given.no_solutions).values()
    extra = sum(notebook.stat().st_size for some in lessons for notebook in some)
    entries = {}
    with tempfile.TemporaryDirectory(prefix=COMING, dir=folder) as coming:
        print("Building the course's own wheel", flush=True)
        own = build_package(Path(coming))
        for target in targets:
            print(f"{target}", flush=True)
            found = gather(own, EXTRA, target, pins, store.fetch)
            entries[target.key] = entry(target, found, extra)
        # Only now: until here an interruption leaves an earlier kit as it was, and whole.
        own.replace(store.folder / own.name)
    copy_notebooks(folder, not given.no_solutions)
    names = write(folder, entries)

    total = sum((folder / name).stat().st_size for name in names)
    print(f"\n{folder}: {len(names)} files, {total / 1e6:.0f} MB; {store.fetched} wheels fetched")
    print(described(entries))
    unused = [w for w in store.folder.glob("*.whl") if f"wheels/{w.name}" not in names]
    if unused:
        size = sum(w.stat().st_size for w in unused) / 1e6
        print(
            f"{len(unused)} wheels in it, {size:.0f} MB, are of an earlier kit and not in this one."
        )
    return 1 if any(one["missing"] for one in entries.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
