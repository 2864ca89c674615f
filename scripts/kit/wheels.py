"""The wheels that a system needs, found without being on that system.

pip evaluates environment markers for the Python that runs it, whatever `--platform` it is given: on
Linux it would leave out Windows' pywinpty and macOS' appnope. So pip only fetches single wheels
here (`--no-deps`); what each of them needs is read in it, with the markers of the system asked for.
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

# The oldest glibc and macOS that are served: Debian 11, Ubuntu 20.04; macOS 14.
MANYLINUX = [f"manylinux_2_{minor}_x86_64" for minor in range(31, 4, -1)]
LEGACY = [f"manylinux{year}_x86_64" for year in ("2014", "2010", "1")]
MACOS = (14, 0)
LATE = 99  # a release of a Python later than any: what supports some release of it is served
METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
COMING = ".coming-"  # folders of what is not whole yet
BATCH = 8  # wheels in one call of pip: as many can be lost by an interruption


@dataclass(frozen=True)
class System:
    """A kind of computer, as wheels and environment markers name it."""

    title: str
    platforms: tuple[str, ...]  # the best first
    markers: dict[str, str] = field(hash=False)


SYSTEMS = {
    "linux-x86_64": System(
        "Linux (x86-64)",
        (*MANYLINUX, *LEGACY, "linux_x86_64"),
        dict(
            os_name="posix",
            sys_platform="linux",
            platform_system="Linux",
            platform_machine="x86_64",
        ),
    ),
    "macos-arm64": System(
        "macOS (Apple silicon)",
        tuple(mac_platforms(MACOS, "arm64")),
        dict(
            os_name="posix",
            sys_platform="darwin",
            platform_system="Darwin",
            platform_machine="arm64",
        ),
    ),
    "windows-x86_64": System(
        "Windows (x86-64)",
        ("win_amd64",),
        dict(
            os_name="nt", sys_platform="win32", platform_system="Windows", platform_machine="AMD64"
        ),
    ),
}


@dataclass(frozen=True)
class Target:
    """A system (a key of `SYSTEMS`) and a Python, as in "3.11"."""

    system: str
    python: str

    def __str__(self) -> str:
        return f"{SYSTEMS[self.system].title}, Python {self.python}"

    @property
    def key(self) -> str:
        """What the installer looks for: `linux-x86_64 3.11`."""
        return f"{self.system} {self.python}"

    def environments(self) -> list[dict[str, str]]:
        """Markers' values here, for the first and for a late release of the Python: what either
        needs goes with the kit.
        """
        common = {
            **SYSTEMS[self.system].markers,
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_version": "",
            "python_version": self.python,
        }
        return [
            common | {"python_full_version": full, "implementation_version": full}
            for full in (f"{self.python}.0", f"{self.python}.{LATE}")
        ]

    def wants(self, requirement: Requirement, extras: Iterable[str] = ("",)) -> bool:
        """Whether a requirement's marker holds here, with any of the extras."""
        return requirement.marker is None or any(
            requirement.marker.evaluate(environment | {"extra": extra})
            for environment in self.environments()
            for extra in extras
        )

    def tags(self) -> list[Tag]:
        """Every tag of a wheel that runs here, the best first."""
        version = tuple(map(int, self.python.split(".")))
        platforms = SYSTEMS[self.system].platforms
        interpreter = f"cp{version[0]}{version[1]}"
        return [
            *cpython_tags(version, platforms=platforms),
            *compatible_tags(version, interpreter, platforms),
        ]

    def pins(self, lines: Iterable[str]) -> dict[str, SpecifierSet]:
        """The versions that constraints.txt has for this target, by canonical name: for the first
        release of its Python, since a pin with a marker that leaves that out has a reason.

        On Linux torch's build for the CPU alone will do: the other brings gigabytes of CUDA.
        """
        found = {}
        for line in lines:
            if line.strip() and not line.startswith("#"):
                requirement = Requirement(line)
                marker = requirement.marker
                if marker is None or marker.evaluate(self.environments()[0]):
                    found[canonicalize_name(requirement.name)] = requirement.specifier
        if self.system == "linux-x86_64" and "torch" in found:
            found["torch"] = SpecifierSet(f"{found['torch']}+cpu")
        return found


@dataclass
class Gathered:
    """What was found for a target: wheels by canonical name; what is missing, and why."""

    wheels: dict[str, Path]
    missing: dict[str, str]


def name_and_version(wheel: Path) -> tuple[str, Version]:
    """Canonical name and version in a wheel's file name."""
    return parse_wheel_filename(wheel.name)[:2]


def metadata(wheel: Path) -> Message:
    """What a wheel says about itself."""
    with zipfile.ZipFile(wheel) as archive:
        inside = next(n for n in archive.namelist() if METADATA.fullmatch(n))
        return HeaderParser().parsestr(archive.read(inside).decode("utf-8"))


def needs(wheel: Path) -> list[Requirement]:
    """All that a wheel says it requires, whatever the marker."""
    return [Requirement(line) for line in metadata(wheel).get_all("Requires-Dist", [])]


def pythons(wheel: Path) -> SpecifierSet:
    """The Pythons on which a wheel may be installed."""
    return SpecifierSet(metadata(wheel).get("Requires-Python", ""))


def first_release(wheels: Iterable[Path], python: str) -> str:
    """The first release of a Python on which all wheels may be installed: "3.11.5" of "3.11"."""
    asked = [pythons(wheel) for wheel in wheels]
    releases = (f"{python}.{patch}" for patch in range(LATE + 1))
    return next(release for release in releases if all(a.contains(release) for a in asked))


Fetch = Callable[[dict[str, SpecifierSet], Target], Gathered]


def gather(own: Path, extra: str, target: Target, pins: Iterable[str], fetch: Fetch) -> Gathered:
    """The wheel `own` and everything that it needs with `extra` on the target.

    No versions are searched: what `pins` (the lines of constraints.txt) has is taken as it is; the
    few things that it has not, being for other systems, come in the newest version that whoever
    asks first allows. A version that a later one does not allow is reported as missing.
    """
    pinned = target.pins(pins)
    root = name_and_version(own)[0]
    found = Gathered({root: own}, {})
    read: dict[str, set[str]] = {}  # the extras of a wheel whose needs have been read
    todo = [(Requirement(f"{root}[{extra}]"), "the course")]
    while todo:
        asked: dict[str, SpecifierSet] = {}
        for requirement, _ in todo:
            name = canonicalize_name(requirement.name)
            if name not in found.wheels and name not in found.missing:
                wide = asked.get(name, SpecifierSet()) & requirement.specifier
                asked[name] = pinned.get(name, wide)
        new = fetch(asked, target) if asked else Gathered({}, {})
        found.wheels |= new.wheels
        found.missing |= new.missing
        following = []
        for requirement, by in todo:
            name = canonicalize_name(requirement.name)
            if name not in found.wheels:
                continue
            wheel = found.wheels[name]
            version = name_and_version(wheel)[1]
            if not requirement.specifier.contains(version, prereleases=True):
                found.missing[f"{name}{requirement.specifier}"] = f"{by} needs it; {version} came"
            fresh = {"", *requirement.extras} - read.setdefault(name, set())
            read[name] |= fresh
            if fresh:
                following += [(n, wheel.name) for n in needs(wheel) if target.wants(n, fresh)]
        todo = following
    return found


class Store:
    """A folder of wheels for any number of targets; what is there is not fetched again.

    `sources(name, target)` are further options of pip for a package, such as another index.
    """

    def __init__(self, folder: Path, sources: Callable[[str, Target], list[str]]):
        self.folder, self.sources = folder, sources
        self.fetched = 0
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, asked: dict[str, SpecifierSet], target: Target) -> Gathered:
        """A wheel for each name, from the folder or the registry."""
        found = Gathered({}, {})
        groups: dict[tuple[str, ...], dict[str, SpecifierSet]] = {}
        for name, allowed in sorted(asked.items()):
            wheel = self.find(name, allowed, target)
            pinned = any(one.operator == "==" for one in allowed)
            # Of a free choice, one that the first release can have may still be in the registry.
            if wheel and (pinned or pythons(wheel).contains(f"{target.python}.0")):
                found.wheels[name] = wheel
            else:
                groups.setdefault(tuple(self.sources(name, target)), {})[name] = allowed
        for options, group in groups.items():
            names = list(group)
            for some in (names[i : i + BATCH] for i in range(0, len(names), BATCH)):
                if not self.download({n: group[n] for n in some}, target, options):
                    for name in some:  # one is not there, or not for the first release: which?
                        one = {name: group[name]}
                        self.download(one, target, options) or self.download(
                            one, target, options, patch=LATE
                        )
                for name in some:
                    if wheel := self.find(name, group[name], target):
                        found.wheels[name] = wheel
                    else:
                        found.missing[name] = f"no wheel of {name}{group[name]} in the registry"
        return found

    def find(self, name: str, allowed: SpecifierSet, target: Target) -> Path | None:
        """The newest wheel in the folder that is allowed and runs on the target, on the first
        release of its Python if there is one that does.
        """
        order = {tag: -place for place, tag in enumerate(target.tags())}
        found = []
        for wheel in self.folder.glob("*.whl"):
            named, version, _, tags = parse_wheel_filename(wheel.name)
            places = [order[tag] for tag in tags if tag in order]
            if named == name and places and allowed.contains(version, prereleases=True):
                first, late = (
                    pythons(wheel).contains(f"{target.python}.{patch}") for patch in (0, LATE)
                )
                if late:
                    found.append((first, version, max(places), wheel))
        return max(found)[-1] if found else None

    def download(
        self,
        asked: dict[str, SpecifierSet],
        target: Target,
        options: Iterable[str],
        patch: int = 0,
    ) -> bool:
        """Fetch wheels with pip, for a release of the target's Python; False if one is not there.

        A wheel reaches the folder whole or not at all. `SystemExit` without a network.
        """
        with tempfile.TemporaryDirectory(prefix=COMING, dir=self.folder) as coming:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
            command += ["--only-binary=:all:", "--dest", coming, "--implementation", "cp"]
            command += ["--python-version", f"{target.python}.{patch}", *options]
            for platform in SYSTEMS[target.system].platforms:
                command += ["--platform", platform]
            command += [f"{name}{allowed}" for name, allowed in asked.items()]
            print(f"  {target}: fetching {', '.join(asked)}", flush=True)
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            if done.returncode and not no_such_wheel(done.stderr):
                sys.exit(f"pip failed; run it again to go on from here.\n{done.stderr.strip()}")
            for wheel in Path(coming).iterdir():
                wheel.replace(self.folder / wheel.name)
                self.fetched += 1
        return done.returncode == 0


def no_such_wheel(errors: str) -> bool:
    """Whether pip reached the registry and has no wheel from it that may be taken; without a
    network it says so, too, but after it has tried again.
    """
    said = (
        "No matching distribution found",
        "ResolutionImpossible",  # where pip's settings constrain the package
        "requires a different Python",  # where the wheel alone says so, not the registry
    )
    return any(words in errors for words in said) and "Retrying (" not in errors
