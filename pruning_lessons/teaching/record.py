"""What a learner has done, in one file of theirs: exercises passed, quiz questions answered, the
best result of each challenge.

The file is `PRUNING_LESSONS_PROGRESS`, or `progress.json` where the system keeps a user's data; the
value `off` keeps nothing. It holds names of exercises, questions and challenges, of a question
whether it was answered right and in how many tries, of a challenge the best cost: no code, nothing
of the machine, no times. Entries only ever get better (passed stays passed, of two numbers of tries
the larger counts, of two costs the smaller), so that two kernels, or two copies of the file, come
together without a loss.
"""

import json
import math
import os
import secrets
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..models.disk import disk_errors
from ..models.files import locked, put_in_place

VARIABLE, OFF, FILE = "PRUNING_LESSONS_PROGRESS", "off", "progress.json"
PATIENCE = 5.0  # seconds to wait for another kernel, then go on without its lock
EMPTY = {"exercises": {}, "quiz": {}, "challenges": {}}

# What could not be written, by file: shown as long as this kernel lives.
_unwritten: dict[Path | None, dict] = {}


class Damaged(ValueError):
    """The file is not one that this module writes."""


def place(file: str | Path | None = None) -> Path | None:
    """The file of this learner: `file`, else what the environment says, else the system's place
    for data. None if nothing is kept. A folder stands for `progress.json` in it.

    Raises `OSError` where the system knows no home folder, `TypeError` if `file` is no path.
    """
    if file is not None and not isinstance(file, str | os.PathLike):
        raise TypeError(f"file: is a {type(file).__name__}, must be a path or None")
    said = str(file or os.environ.get(VARIABLE) or "")
    if said == OFF:
        return None
    try:
        found = Path(said).expanduser() if said else _data_folder() / "pruning_lessons" / FILE
    except RuntimeError as error:
        raise OSError(f"{VARIABLE}: is not set, and there is no home folder") from error
    return found / FILE if said and found.is_dir() else found


def _data_folder() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    named = os.environ.get("XDG_DATA_HOME", "")
    return Path(named) if os.path.isabs(named) else Path.home() / ".local" / "share"


def passed(exercise: str) -> None:
    """Note that an exercise is passed. Never fails: what cannot be written is said once."""
    _note(EMPTY | {"exercises": {exercise: True}})


def answered(question: str, right: bool) -> None:
    """Note one more try at a question, up to the first right answer. Never fails, as `passed`."""
    before = read()["quiz"].get(question, {"right": False, "tries": 0})
    if not before["right"]:
        entry = {"right": right, "tries": before["tries"] + 1}
        _note(EMPTY | {"quiz": {question: entry}})


def met(challenge: str, cost: float) -> None:
    """Note a result of a challenge; the smallest cost stays. Never fails, as `passed`."""
    _note(EMPTY | {"challenges": {challenge: float(cost)}})


def read(file: str | Path | None = None) -> dict:
    """`{"exercises": {name: True}, "quiz": {name: {"right": bool, "tries": int}}, "challenges":
    {name: cost}}` of this learner, also of what could not be written. A damaged file is renamed,
    and named in a warning.
    """
    at, kept = None, EMPTY
    with suppress(OSError):
        at = place(file)
        if at is not None:
            kept = _kept(at)
    return merged(kept, _unwritten.get(at, EMPTY))


def parse(text: bytes) -> dict:
    """What a file holds; raises `Damaged`."""
    try:
        found = json.loads(text.decode("utf-8"))
        whole = all(value is True for value in found["exercises"].values()) and all(
            type(entry["right"]) is bool and type(entry["tries"]) is int and entry["tries"] > 0
            for entry in found["quiz"].values()
        )
        costs = found.setdefault("challenges", {})  # older files have none
        whole &= all(type(cost) is float and math.isfinite(cost) for cost in costs.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged("is not a record of progress") from error
    if not whole:
        raise Damaged("is not a record of progress")
    return found


def merged(one: dict, other: dict) -> dict:
    """All that is in one or the other, what other versions keep there included."""
    quiz = {name: dict(entry) for name, entry in one["quiz"].items()}
    for name, entry in other["quiz"].items():
        mine = quiz.setdefault(name, {"right": False, "tries": 0})
        mine["right"] |= entry["right"]
        mine["tries"] = max(mine["tries"], entry["tries"])
    costs = one["challenges"] | other["challenges"]
    for name in one["challenges"].keys() & other["challenges"].keys():
        costs[name] = min(one["challenges"][name], other["challenges"][name])
    exercises = one["exercises"] | other["exercises"]
    return one | other | {"exercises": exercises, "quiz": quiz, "challenges": costs}


def _kept(file: Path, alone: bool = False) -> dict:
    """What the file holds, nothing if there is none. A damaged one is set aside, `alone`, so that
    it is not another kernel's new one.
    """
    try:
        return parse(file.read_bytes())
    except FileNotFoundError:
        return EMPTY
    except Damaged as error:
        if not alone:
            with _alone(file.parent):
                return _kept(file, alone=True)
        aside = file.with_name(f"{file.name}.damaged")
        if aside.exists():
            aside = aside.with_name(f"{aside.name}-{secrets.token_hex(3)}")
        os.replace(file, aside)
        warnings.warn(f"{str(file)!r} {error}: it is now {aside.name!r}, and a new one begins")
        return EMPTY


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other kernel changes the file meanwhile. Where folders have no locks, a file stands for
    one; what a killed kernel left of it holds others up for `PATIENCE` once.
    """
    with locked(folder, patience=PATIENCE) as mine:
        if mine is not None:
            yield
            return
        gate, until = folder / ".progress-is-written", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                os.close(os.open(gate, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                break
            except FileExistsError:
                time.sleep(0.005)
        try:
            yield
        finally:
            gate.unlink(missing_ok=True)


def _note(entry: dict) -> None:
    at = None
    try:
        at = place()
        if at is None:
            return
        with disk_errors(VARIABLE, at):
            at.parent.mkdir(parents=True, exist_ok=True)
            with _alone(at.parent):
                _write(at, merged(_kept(at, alone=True), merged(entry, _unwritten.get(at, EMPTY))))
        _unwritten.pop(at, None)
    except OSError as error:
        if at not in _unwritten:
            warnings.warn(
                f"your progress is not kept, only shown while this kernel runs ({error}); "
                f"{VARIABLE} can name a file that can be written to"
            )
        _unwritten[at] = merged(entry, _unwritten.get(at, EMPTY))


def _write(file: Path, done: dict) -> None:
    part = file.with_name(f".{file.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        part.write_text(json.dumps(done, indent=1, sort_keys=True) + "\n", "utf-8")
        put_in_place(part, file)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
