"""Whether this is ready to be published: `python scripts/check_release.py --tag v1.2.3`.

Compares the version in pyproject.toml, CHANGELOG.md, CITATION.cff and the tag; asks for a date and
for the repository's address. With `--files dist/*` it looks into the wheel and the sdist as well.
Says what is missing and ends with 1, or says nothing.
"""

import argparse
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import set_address

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 100e6  # bytes: what a package index takes without asking
ASSETS = "pruning_lessons/assets/"
LICENCES = ("LICENSE", "LICENSE-CONTENT", "NOTICE")
NOTICES = ("checkpoint/LICENSE", "embedder/LICENSE", "js/LICENSE.", "parallel/LICENSE.")


def version() -> str:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return re.search(r'^version = "(.+)"$', text, re.M)[1]


def releases() -> list[tuple[str, str]]:
    """(version, date or "not released yet") in CHANGELOG.md, the newest first."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    return re.findall(r"^## \[(\d[^\]]*)\] - (.+)$", text, re.M)


def cited() -> dict[str, str]:
    """The fields of CITATION.cff that are one line."""
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    return {key: value.strip("\"'") for key, value in re.findall(r"^([\w-]+): (\S.*)$", text, re.M)}


def differences() -> list[str]:
    """What the files say differently, at any time."""
    newest, date = releases()[0]
    found = []
    if newest != version():
        found.append(f"CHANGELOG.md begins with {newest}, pyproject.toml has {version()}")
    if cited()["version"] != version():
        found.append(f"CITATION.cff has {cited()['version']}, pyproject.toml has {version()}")
    said = cited().get("date-released", "not released yet")
    if said != date:
        found.append(f"CITATION.cff: date-released is {said!r}, CHANGELOG.md has {date!r}")
    return found


def missing(tag: str) -> list[str]:
    """What a release still needs."""
    found = differences()
    if tag != f"v{version()}":
        found.append(f"the tag is {tag}, pyproject.toml has {version()}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", releases()[0][1]):
        found.append("CHANGELOG.md: the newest version has no date")
    if set_address.address().startswith("OWNER/"):
        found.append("the repository's address is not set: see scripts/set_address.py")
    return found


def names(file: Path) -> list[str]:
    """The files in a wheel or sdist; an sdist's without their first folder."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            return wheel.namelist()
    with tarfile.open(file) as sdist:
        return [name.partition("/")[2] for name in sdist.getnames()]


def faults(file: Path) -> list[str]:
    """What is wrong with a wheel or sdist: size, and what must and must not be in it."""
    inside, found = names(file), []
    if file.stat().st_size > LARGEST:
        found.append(f"is {file.stat().st_size / 1e6:.0f} MB, must be at most {LARGEST / 1e6:.0f}")
    needed = [
        f.relative_to(ROOT).as_posix()
        for f in (ROOT / "pruning_lessons").rglob("*")
        if f.is_file() and f.suffix != ".pyc"
    ]
    found += [f"lacks {name}" for name in sorted(set(needed) - set(inside))]
    found += [
        f"lacks {name}" for name in LICENCES if not any(n.split("/")[-1] == name for n in inside)
    ]
    found += [
        f"lacks {name}*" for name in NOTICES if not any(n.startswith(ASSETS + name) for n in inside)
    ]
    found += [
        f"holds {name}"
        for name in inside
        if name.startswith(("tests/", "notebooks/", "benchmarks/")) or name.endswith(".pyc")
    ]
    return [f"{file.name}: {fault}" for fault in found]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tag", required=True)
    parser.add_argument("--files", nargs="+", type=Path, default=[])
    options = parser.parse_args()
    found = missing(options.tag) + [fault for file in options.files for fault in faults(file)]
    for line in found:
        print(line, file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
