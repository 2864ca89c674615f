"""Install the course from this kit alone: no network, or a teacher's laptop's.

    python install.py                          from a USB stick or a folder
    python install.py http://192.168.1.5:8000  from a laptop on which --serve runs
    python install.py --serve                  on that laptop: prints the learners' one command
    python install.py --read CODE              what a learner's check code says

It makes an environment in a folder of its own (--folder, at first in your home), installs into it,
tries it, and prints how to start the lessons and a short code for your teacher. What you have
changed in a notebook is never overwritten. Needs nothing but Python.
"""

from __future__ import annotations  # old Pythons must get as far as the message for them

import argparse
import functools
import hashlib
import http.server
import json
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from pathlib import Path

SUMS, INDEX = "SHA256SUMS", "kit.json"
NOTEBOOKS = ("notebooks/", "solutions/")
PORT = 8000
GIGABYTES = 3  # what the environment and a copy of the kit take
WINDOWS = os.name == "nt"
LETTERS = {"linux": "L", "macos": "M", "windows": "W"}

# Run by the new environment. The last line is for this program.
CHECK = """
import json, os, time
start = time.perf_counter()
import psutil
import pruning_lessons as pl
well = pl.check_environment()
model, tokenizer = pl.load("embedded")
data = pl.load_intents("test", languages=["en"], limit=100)
accuracy = pl.evaluate(model, tokenizer, data).accuracy
print(json.dumps({
    "well": bool(well and accuracy > 0.5),
    "cores": os.cpu_count(),
    "gigabytes": round(psutil.virtual_memory().total / 2**30),
    "seconds": round(time.perf_counter() - start),
}))
"""

# JupyterLab stays off the network.
JUPYTERLAB = {
    "LabApp": {
        "news_url": None,
        "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "extension_manager": "readonly",
    }
}


class Trouble(Exception):
    """What is wrong and what to do, in words for the person at the keyboard."""


# --------------------------------------------------------------------------------- this computer


def this_system() -> str:
    """This computer as kits name it: `linux-x86_64`, `macos-arm64`, `windows-x86_64`, …"""
    name = {"Darwin": "macos"}.get(platform.system(), platform.system().lower())
    # Windows' own word is the processor's, even for a Python that is built for another one.
    machine = sysconfig.get_platform().split("-", 1)[-1] if WINDOWS else platform.machine()
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(machine.lower(), machine.lower())
    if struct.calcsize("P") == 4:
        machine = "32bit"
    return f"{name}-{machine}"


def this_python() -> str:
    """As in "3.11", with a `t` where it has no global lock: such a Python needs other wheels."""
    unlocked = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return f"{sys.version_info[0]}.{sys.version_info[1]}{unlocked}"


def system_version(system: str) -> tuple[str, tuple[int, ...]]:
    """What a wheel's name can ask for, and which is here: glibc on Linux, else the release."""
    if system.startswith("linux"):
        library, text = platform.libc_ver()
        return "glibc", numbers(text) if library == "glibc" else ()
    return "macOS", numbers(platform.mac_ver()[0])


def numbers(version: str) -> tuple[int, ...]:
    """(2, 36) of "2.36"; () of nothing."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def other_pythons(wanted: list[str]) -> list[str]:
    """Commands for the Pythons that the kit has wheels for, where this computer has them."""
    found = []
    for version in wanted:
        if shutil.which(f"python{version}"):
            found.append(f"python{version}")
        elif WINDOWS and shutil.which("py"):
            done = subprocess.run(["py", f"-{version}", "--version"], capture_output=True)
            if done.returncode == 0:
                found.append(f"py -{version}")
    return found


# --------------------------------------------------------------------------------------- the kit


def chosen(index: dict, system: str, python: str) -> dict:
    """The kit's entry for this computer. `Trouble` if it has none, or not everything."""
    pythons = sorted({key.split()[1] for key in index["systems"] if key.split()[0] == system})
    titles = "; ".join(entry["title"] for entry in index["systems"].values())
    if not pythons:
        raise Trouble(f"This kit has nothing for {system}. It has: {titles}.")
    entry = index["systems"].get(f"{system} {python}")
    if entry is None:
        others = other_pythons(pythons)
        advice = (
            f"This computer has it: use {others[0]} instead of python."
            if others
            else "Get it from the folder python of this kit if your teacher has put it there, or "
            "from python.org, and begin again with it."
        )
        raise Trouble(
            f"This is Python {python}; for {system} the kit has Python {' or '.join(pythons)}. "
            + advice
        )
    if entry["missing"]:
        names = "; ".join(f"{name} ({why})" for name, why in entry["missing"].items())
        raise Trouble(f"This kit is not complete for {entry['title']}. It lacks: {names}.")
    if sys.version_info[:3] < tuple(map(int, entry["python"].split("."))):
        raise Trouble(
            f"This is Python {platform.python_version()}; this kit needs {entry['python']} or a "
            f"later {python}."
        )
    what, have = system_version(system)
    least = tuple(entry["least"])
    if least and not system.startswith("windows") and have < least:
        raise Trouble(
            f"This kit needs {what} {'.'.join(map(str, least))} or later; this computer has "
            f"{'.'.join(map(str, have)) or 'another C library'}."
        )
    return entry


def read_sums(text: str) -> dict[str, str]:
    """File → SHA-256, of lines as sha256sum writes them."""
    pairs = (line.split(None, 1) for line in text.splitlines())
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}


def read_index(text: bytes) -> dict:
    """What a kit has for which systems. `Trouble` if it is damaged."""
    try:
        return json.loads(text.decode("utf-8"))
    except ValueError:
        raise Trouble(f"{INDEX} of this kit is damaged. Copy it again.") from None


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def damaged(folder: Path, names: list[str], sums: dict[str, str]) -> dict[str, str]:
    """Files that are not as the kit's maker wrote them, and what is wrong with each."""
    wrong = {}
    for name in names:
        path = folder / name
        if name not in sums:
            wrong[name] = f"not listed in {SUMS}"
        elif not path.is_file():
            wrong[name] = "missing"
        elif digest(path) != sums[name]:
            wrong[name] = "damaged"
    return wrong


def open_url(address: str, name: str):
    """A file of a kit that is served. `Trouble` if it does not come."""
    url = f"{address.rstrip('/')}/{urllib.parse.quote(name)}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a laptop in the room
    try:
        return direct.open(url, timeout=30)
    except (OSError, ValueError) as error:
        raise Trouble(
            f"{url} does not come ({getattr(error, 'reason', error)}). Are you in the same network "
            "as your teacher's laptop? Is the address right?"
        ) from None


def fetch(address: str, names: list[str], folder: Path, sums: dict[str, str]) -> None:
    """Copy files of a served kit into a folder; what is there and whole is not fetched again."""
    todo = list(damaged(folder, names, sums))
    came = 0
    for count, name in enumerate(todo, 1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        try:
            with open_url(address, name) as source, part.open("wb") as file:
                for block in iter(lambda: source.read(1 << 20), b""):
                    came += file.write(block)
                    print(
                        f"\r  file {count} of {len(todo)}, {came / 1e6:.0f} MB ", end="", flush=True
                    )
        except OSError as error:
            raise Trouble(f"{name} stopped on its way ({error}). Run it again.") from None
        part.replace(path)
    print()


def local_kit(source: str, folder: Path, system: str, python: str) -> tuple[Path, dict, dict]:
    """The folder of the kit, its entry for this computer, and the checksums, files checked.

    Of a kit that is served, what this computer needs is copied to `folder / "kit"` first.
    """
    served = source.startswith(("http://", "https://"))
    if served:
        with open_url(source, INDEX) as file:
            index = read_index(file.read())
        with open_url(source, SUMS) as file:
            sums = read_sums(file.read().decode("utf-8"))
        kit = folder / "kit"
    else:
        kit = Path(source)
        for name in (INDEX, SUMS):
            if not (kit / name).is_file():
                raise Trouble(f"{kit} is no kit: it has no {name}. Copy the whole folder.")
        index = read_index((kit / INDEX).read_bytes())
        sums = read_sums((kit / SUMS).read_text("utf-8"))
    entry = chosen(index, system, python)
    room(folder, entry)
    names = [f"wheels/{wheel}" for wheel in entry["wheels"]]
    names += [name for name in sums if name.startswith(NOTEBOOKS)]
    if served:
        print(f"Fetching {entry['megabytes']} MB from {source}")
        fetch(source, names, kit, sums)
    wrong = damaged(kit, names, sums)
    if wrong:
        lines = "\n".join(f"  {name}: {what}" for name, what in wrong.items())
        raise Trouble(f"The kit is not whole. Copy these again:\n{lines}")
    return kit, entry, sums


# --------------------------------------------------------------------------------- the environment


def program(environment: Path, name: str) -> Path:
    """A program of an environment."""
    return environment / ("Scripts" if WINDOWS else "bin") / (name + (".exe" if WINDOWS else ""))


def room(folder: Path, entry: dict) -> None:
    """Whether a folder will do. `Trouble` if its disk is too full, or its name too long for
    Windows, which ends a path after 259 letters unless it has been told not to.
    """
    disk = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(str(disk)).free / 1e9
    if free < GIGABYTES and not (folder / "environment").exists():
        raise Trouble(
            f"{folder} has {free:.1f} GB free; {GIGABYTES} GB are needed. Make room, or name a "
            "folder on another disk: --folder PATH"
        )
    longest = len(str(folder / "environment" / "Lib" / "site-packages")) + 1 + entry["longest"]
    if WINDOWS and longest > 259 and not long_paths():
        raise Trouble(
            f"{folder} is too long a name: Windows allows {259 - longest + len(str(folder))} "
            "letters here. Name a shorter one, as in: --folder C:\\lessons"
        )


def long_paths() -> bool:
    """Whether this Windows has been told to allow long paths."""
    import winreg

    try:
        place = r"SYSTEM\CurrentControlSet\Control\FileSystem"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
            return winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1
    except OSError:
        return False


def make_environment(environment: Path) -> None:
    """An environment with pip, from this Python's own copy; one that is there is kept."""
    if program(environment, "python").exists():
        return
    if environment.exists():
        raise Trouble(f"{environment} is there and is no environment. Move it away.")
    done = subprocess.run([sys.executable, "-m", "venv", str(environment)], capture_output=True)
    if done.returncode:
        shutil.rmtree(environment, ignore_errors=True)
        raise Trouble(
            "No environment could be made:\n"
            + (done.stdout + done.stderr).decode(errors="replace").strip()
        )


def requirements(wheels: list[str]) -> list[str]:
    """`name==version` of each wheel."""
    return ["==".join(wheel.split("-")[:2]) for wheel in wheels]


def install(environment: Path, kit: Path, wheels: list[str]) -> None:
    """Install exactly these wheels, whatever pip is set up for on this computer; the course's own
    anew each time, since a newer kit may have mended it under the same version.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    env.update(PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1")
    pip = [str(program(environment, "python")), "-m", "pip"]
    alone = [*pip, "install", "--quiet", "--no-index", "--no-deps", "--only-binary=:all:"]
    alone += ["--find-links", str(kit / "wheels")]
    own = [wheel for wheel in wheels if wheel.startswith("pruning_lessons-")]
    others = [wheel for wheel in wheels if wheel not in own]
    for step in (
        [*alone, *requirements(others)],
        [*alone, "--force-reinstall", *requirements(own)],
        [*pip, "check"],
    ):
        done = subprocess.run(step, env=env, capture_output=True, text=True)
        if done.returncode:
            raise Trouble(f"pip failed:\n{(done.stdout + done.stderr).strip()}")


def settle(environment: Path) -> None:
    """Settings: JupyterLab off the network; torch's waiting threads asleep (spinning ones slow it
    down on few cores).
    """
    settings = environment / "etc" / "jupyter"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "jupyter_lab_config.json").write_text(json.dumps(JUPYTERLAB, indent=1))
    kernel = environment / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec = json.loads(kernel.read_text("utf-8"))
    spec["env"] = {**spec.get("env", {}), "OMP_WAIT_POLICY": "PASSIVE"}
    kernel.write_text(json.dumps(spec, indent=1))


def copy_notebooks(kit: Path, names: list[str], folder: Path) -> list[str]:
    """Copy what is not there yet; what is there and differs stays, and its names are returned."""
    kept = []
    for name in names:
        goal = folder / name
        if not goal.exists():
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kit / name, goal)
        elif digest(goal) != digest(kit / name):
            kept.append(name)
    return kept


def check(environment: Path, folder: Path) -> dict:
    """What the new environment says about itself; `well` is False if it did not get that far."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [str(program(environment, "python")), "-I", "-c", CHECK],
        cwd=str(folder),  # nothing that lies beside the kit is imported
        env=env,
        capture_output=True,
        text=True,
    )
    *lines, last = done.stdout.splitlines() or [""]
    try:
        found = json.loads(last)
    except ValueError:
        print(done.stdout + done.stderr)
        return {"well": False, "cores": os.cpu_count(), "gigabytes": 0, "seconds": 0}
    print("\n".join("  " + line for line in lines))
    return found


# ---------------------------------------------------------------------------------- the check code


def code(version: str, system: str, python: str, found: dict) -> str:
    """A short code: version, system and Python, cores, memory, seconds, whether all is well, and
    four digits that give a slip of the pen away.
    """
    parts = [
        version,
        LETTERS.get(system.split("-")[0], "X") + python.replace(".", ""),
        f"{found['cores']}C",
        f"{found['gigabytes']}G",
        f"{found['seconds']}S",
        "OK" if found["well"] else "NO",
    ]
    text = "-".join(parts).upper()
    return f"{text}-{zlib.crc32(text.encode()) & 0xFFFF:04X}"


def read_code(text: str) -> str:
    """What a code says, in words. `Trouble` if it was copied wrongly."""
    whole, _, last = text.strip().upper().rpartition("-")
    parts = whole.split("-")
    if len(parts) != 6 or f"{zlib.crc32(whole.encode()) & 0xFFFF:04X}" != last:
        raise Trouble(f"{text!r} is no check code, or it was copied wrongly. Ask for it again.")
    version, system, cores, memory, seconds, well = parts
    name = {letter: name for name, letter in LETTERS.items()}.get(system[0], "another system")
    return (
        f"{'All is well' if well == 'OK' else 'NOT WELL: help is needed'}: course {version}, "
        f"{name}, Python {system[1]}.{system[2:]}, {cores[:-1]} cores, {memory[:-1]} GB of memory, "
        f"{seconds[:-1]} seconds for the check."
    )


# ----------------------------------------------------------------------------------------- the ways


def here() -> str:
    """Where this program lies. `Trouble` if it came over the network and knows no address."""
    if "__file__" not in globals():
        raise Trouble("Name the address that this came from, at the end of the command.")
    return str(Path(__file__).resolve().parent)


def own_address() -> str:
    """This computer's address in its network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # a place that does not exist; nothing is sent
            return asked.getsockname()[0]
        except OSError:
            return socket.gethostname()


def one_command(address: str) -> str:
    """What a learner types, the same in PowerShell, in Windows' old prompt and in a Unix shell."""
    return (
        f"python -c \"import urllib.request as u; exec(u.urlopen('{address}/install.py').read())\" "
        f"{address}"
    )


def serve(kit: str, port: int) -> None:
    """Serve the kit until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=kit)
    with http.server.ThreadingHTTPServer(("", port), handler) as server:
        address = f"http://{own_address()}:{server.server_address[1]}"
        print(f"Learners type (python3 on macOS and Linux):\n\n  {one_command(address)}\n")
        print(f"or save {address}/install.py with a browser and type: python install.py {address}")
        print("Ctrl-C stops it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def run(source: str, folder: Path) -> bool:
    """Install from a kit into a folder; True if all is well."""
    system, python = this_system(), this_python()
    start = time.perf_counter()

    def said(what: str) -> None:
        print(f"{what} ({time.perf_counter() - start:.0f} s)", flush=True)

    kit, entry, sums = local_kit(source, folder, system, python)
    said(f"The kit is whole for {entry['title']}")
    environment = folder / "environment"
    make_environment(environment)
    said(f"The environment is {environment}")
    print(f"Installing {len(entry['wheels'])} packages; this takes a minute or more …", flush=True)
    install(environment, kit, entry["wheels"])
    settle(environment)
    said("Installed")
    kept = copy_notebooks(kit, [name for name in sums if name.startswith(NOTEBOOKS)], folder)
    if kept:
        print(f"Left as they are in {folder}: {', '.join(kept)}")
    found = check(environment, folder)
    said("Checked")
    if kit.parent == folder and found["well"]:
        shutil.rmtree(kit)  # a copy of what was served
    lab = program(environment, "jupyter-lab")
    call = "& " if WINDOWS else ""  # PowerShell's word for running a quoted path
    print(f'\nTo start the lessons:\n\n  {call}"{lab}" "{folder / "notebooks"}"\n')
    version = entry["version"]
    print(f"Check code for your teacher:  {code(version, system, python, found)}")
    if not found["well"]:
        print("All is NOT well: show your teacher what stands above.")
    return found["well"]


def main(arguments: list[str] | None = None) -> int:
    words = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        description="\n\n".join(words), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", nargs="?", help="a kit's folder or address; at first this one")
    parser.add_argument("--folder", type=Path, default=Path.home() / "pruning-lessons")
    parser.add_argument("--serve", action="store_true", help="serve this kit to a room")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--read", metavar="CODE", help="say what a check code means")
    given = parser.parse_args(arguments)
    try:
        if given.read:
            print(read_code(given.read))
            return 0
        source = given.source or here()
        if given.serve:
            serve(source, given.port)
            return 0
        return 0 if run(source, given.folder.expanduser().resolve()) else 1
    except (Trouble, OSError) as trouble:
        print(f"\n{trouble}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
