"""Write constraints.txt: what this environment has of all that the project needs.

Run it in an environment in which the tests have just passed:

    .venv/bin/python scripts/pin_versions.py

Only packages that the project leads to are pinned, the indirect ones too: a
new release of one of those can break a course as well. A version that does not
run on every Python the project supports is pinned where it runs, by a marker.
"""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ["lab", "test"]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
HEAD = """\
# What was tested, exactly; the ranges stand in pyproject.toml.
# Written by scripts/pin_versions.py. Use it with: pip install -c constraints.txt ...
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(project: str, extras: list[str]) -> dict[str, metadata.Distribution]:
    """Every installed distribution that `project[extras]` leads to, itself left out."""
    found, seen, todo = {}, set(), [(canonical(project), frozenset(extras))]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform, or an option that nobody asked for
        found[name] = distribution
        for line in distribution.requires or []:
            requirement = Requirement(line)
            environments = [{"extra": e} for e in extra] or [{"extra": ""}]
            if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
                todo.append((canonical(requirement.name), frozenset(requirement.extras)))
    found.pop(canonical(project), None)
    return found


def pin(distribution: metadata.Distribution) -> str:
    """One line: `name==version`, with a marker where old Pythons are left out."""
    # "+cpu" names one build of torch; other platforms have others.
    line = f"{canonical(distribution.metadata['Name'])}=={distribution.version.split('+')[0]}"
    runs_on = SpecifierSet(distribution.metadata.get("Requires-Python") or "")
    # every patch release in turn: some packages begin in the middle, as with 3.11.5
    oldest = next(
        v for p in PYTHONS for v in [f"{p}.{patch}" for patch in range(100)] if v in runs_on
    )
    python, _, patch = oldest.rpartition(".")
    if patch != "0":
        return f'{line}; python_full_version >= "{oldest}"'
    return line if python == PYTHONS[0] else f'{line}; python_version >= "{python}"'


if __name__ == "__main__":
    lines = sorted(pin(d) for d in needed("pruning-lessons", EXTRAS).values())
    (ROOT / "constraints.txt").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(lines)} packages")
