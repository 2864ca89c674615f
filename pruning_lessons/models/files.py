"""Folders whose files are replaced all together or not at all, and read all together.

New files are first written to a hidden folder: inside the one they are for, or beside it where
there is none yet. When they are complete and on disk, the hidden folder is renamed from "saving" to
"saved": at that moment old becomes new. Then each file takes its namesake's place, atomically; a
save that is killed before the rename has changed nothing, and what one killed later had still to
move is moved by `settle`, which every load and every save calls first. Only a program that does not
call it (plain transformers) can see files of both, and only between the first move and the last.
Where there was no folder, the hidden one is renamed to it, at once. Files with other names are
never touched, and a link stays: the file it leads to is replaced.

Readers and movers lock the folder itself (flock: no file is left behind). Where there are no such
locks (Windows, some network drives) readers still see that files changed, and read again. Long work
(`at_work`) locks a hidden folder of its own, in which it writes: others may read and save around
it.
"""

import os
import secrets
import shutil
import time
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from .disk import disk_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ASSETS = Path(__file__).resolve().parents[1] / "assets"
SAVING, SAVED = ".pruning-lessons-saving-", ".pruning-lessons-saved-"
WORKING = ".pruning-lessons-working-"  # and the process's number
PATIENCE = 60.0  # seconds to wait for another process's lock, then go on without it
ATTEMPTS = 20  # to read a folder that changes meanwhile

Found = TypeVar("Found")


@contextmanager
def written_beside(folder: str | Path) -> Iterator[Path]:
    """A new folder to write to, whose files replace those of the same names in `folder` at the end,
    all or none; if anything fails, what was there stays.

    A file that was there keeps its mode, a new one gets the umask's. Raises `ValueError` before
    anything is moved if a folder is where a file must be, `OSError` if the disk is full or the
    folder not writable.
    """
    place = Path(os.path.realpath(folder))
    if place.exists() and not place.is_dir():
        raise ValueError(f"folder: {str(folder)!r} is a file, must be a folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    settle(place)
    around = place if place.is_dir() else place.parent
    with ExitStack() as held:
        with locked(around):  # nobody takes the new folder for one that was left behind
            stage = around / f"{SAVING}{_mark(place)}-{time.time_ns():x}-{secrets.token_hex(4)}"
            stage.mkdir()
            held.enter_context(locked(stage))
        try:
            with disk_errors("folder", folder):
                yield stage
                _prepare(stage, place)
                _commit(stage, place)
        except BaseException:
            _undo(stage)
            raise


def _commit(stage: Path, place: Path) -> None:
    """The moment at which old becomes new."""
    if stage.parent != place:
        with locked(place.parent):
            if not place.exists():
                os.rename(stage, place)
                return on_disk(place.parent)
        # somebody else has made it in between
        stage = Path(shutil.move(stage, place / stage.name))
    with locked(place):
        _settle_inside(place, but=stage)
        ready = place / stage.name.replace(SAVING, SAVED)
        try:
            os.rename(stage, ready)
            on_disk(place)
            _move(ready, place)
        except BaseException:
            if ready.exists():  # Ctrl-C once it is decided: go through with it
                _move(ready, place)
            else:
                _undo(stage)
            raise


def settle(folder: str | Path) -> None:
    """Finish, or take away, what saves to `folder` that were killed have left behind."""
    place = Path(os.path.realpath(folder))
    if _left(place, place):
        with locked(place):
            _settle_inside(place)
    if _left(place.parent, place):
        with locked(place.parent):
            for stage in _left(place.parent, place):
                _undo_if_dead(stage)


def _settle_inside(place: Path, but: Path | None = None) -> None:
    for stage in _left(place, place):
        if stage == but:
            continue
        if stage.name.startswith(SAVED):
            _move(stage, place)
        else:
            _undo_if_dead(stage)


def _left(around: Path, place: Path) -> list[Path]:
    """Hidden folders for `place` in `around`, the oldest first."""
    starts = tuple(kind + _mark(place) for kind in (SAVING, SAVED))
    with suppress(OSError):
        names = [name for name in os.listdir(around) if name.startswith(starts)]
        return [around / name for name in sorted(names, key=lambda name: name.split("-")[-2])]
    return []


def _mark(place: Path) -> str:
    return sha256(os.fsencode(place.name)).hexdigest()[:8]


def _undo_if_dead(stage: Path) -> bool:
    """Whether a process is seen to be at work there: it holds the lock of its folder; one that was
    killed does not. Where there are no locks, what is older than an hour is taken for dead.
    """
    with locked(stage, patience=0) as mine:
        dead = mine
    if dead is None:
        with suppress(OSError):
            dead = time.time() - stage.stat().st_mtime > 3600
    if dead:
        _undo(stage)
    return mine is False


@contextmanager
def at_work(folder: Path, argument: str, wait: bool = True) -> Iterator[Path]:
    """Be the only one at work in a folder, which is made if need be.

    Yields a hidden folder inside it to write to, which is gone at the end; what killed processes
    have left is taken away. If another process is at work there, a warning names it, and this one
    waits; `ValueError` naming `argument` if it is not to `wait`, or would wait for itself. Where
    there are no locks nobody is seen.
    """
    stage, warned = folder / f"{WORKING}{os.getpid()}", False
    with ExitStack() as held:
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with locked(folder):
                    left = [name for name in os.listdir(folder) if name.startswith(WORKING)]
                    others = [name for name in left if _undo_if_dead(folder / name)]
                    if not others:
                        held.callback(_leave, stage, os.getpid())
                        stage.mkdir(exist_ok=True)
                        held.enter_context(locked(stage))
                        on_disk(folder.parent)
                        break
            except FileNotFoundError:  # who was at work has taken the folder away
                continue
            said = (
                f"{argument}: in {str(folder)!r} another run is at work, process "
                f"{others[0].removeprefix(WORKING)}"
            )
            if not wait or stage.name in others:
                raise ValueError(said)
            if not warned:
                warnings.warn(f"{said}: waiting for its end", stacklevel=2)
                warned = True
            time.sleep(0.1)
        yield stage


def _leave(stage: Path, process: int) -> None:
    if os.getpid() == process:  # not in a copy of the process, made meanwhile
        shutil.rmtree(stage, ignore_errors=True)


def _undo(stage: Path) -> None:
    for file in _files(stage):
        if file.is_symlink() and SAVING in os.readlink(file):
            Path(os.readlink(file)).unlink(missing_ok=True)
    shutil.rmtree(stage, ignore_errors=True)


def _files(stage: Path) -> list[Path]:
    """The files below a folder; config.json last."""
    found = [Path(root) / name for root, _, names in os.walk(stage) for name in names]
    return sorted(found, key=lambda file: (file.name == "config.json", file))


def _prepare(stage: Path, place: Path) -> None:
    """Give each file its mode, put it on disk, and on its own disk where a link leads elsewhere."""
    probe = stage / ".mode"
    probe.touch()  # a new file's mode, from the umask
    usual = probe.stat().st_mode & 0o777
    probe.unlink()
    for file in _files(stage):
        target = place / file.relative_to(stage)
        if target.is_dir():
            raise ValueError(f"folder: {str(target)!r} is a folder, must be a file: move it away")
        real = Path(os.path.realpath(target))
        mode = real.stat().st_mode & 0o7777 if real.is_file() else usual
        os.chmod(file, mode)
        on_disk(file)
        home = real.parent if place.is_dir() else stage
        while not home.exists():  # a folder that will be made
            home = home.parent
        if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(f"{str(home)!r} is no folder that can be written to")
        if real != target:
            # what a link leads to is replaced in its own folder, from a copy that is named in ours
            copy = real.parent / f"{SAVING}{secrets.token_hex(8)}"
            link = file.with_name(f"{file.name}.link")
            link.symlink_to(copy)
            shutil.copy2(file, copy)
            on_disk(copy)
            os.replace(link, file)
    for root, _, _ in os.walk(stage):
        on_disk(root)


def _move(stage: Path, place: Path) -> None:
    """Put every file that is still here where it belongs; done twice it does no harm."""
    folders = {place}
    for file in _files(stage):
        target = place / file.relative_to(stage)
        if file.is_symlink():
            copy, real = Path(os.readlink(file)), Path(os.path.realpath(target))
            if copy.exists():
                os.replace(copy, real)
            folders.add(real.parent)
            file.unlink()
            continue
        target.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another process without locks was here first
            os.replace(file, target)
        folders.add(target.parent)
    for folder in folders:
        on_disk(folder)
    shutil.rmtree(stage, ignore_errors=True)


def on_disk(path: str | Path) -> None:
    """fsync a file or folder, so that a power cut does not undo it."""
    windows = os.name == "nt"  # opens no folders, and puts only what it may write on disk
    try:
        descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        if os.path.isfile(path):  # of a file it must work; of a folder some drives cannot
            raise
    finally:
        os.close(descriptor)


def put_in_place(part: Path, file: Path) -> None:
    """A file that is complete takes its name: another there before is replaced, whole, and a power
    cut leaves one of both.
    """
    on_disk(part)
    os.replace(part, file)
    on_disk(file.parent)


@contextmanager
def locked(folder: Path, shared: bool = False, patience: float = PATIENCE) -> Iterator[bool | None]:
    """Hold the lock of a folder, alone or `shared` with other readers.

    Yields True; False if another process kept it for `patience` seconds; None where there are no
    locks.
    """
    descriptor, process = None, os.getpid()
    if fcntl is not None:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield None if descriptor is None else _locks(descriptor, shared, patience)
    finally:
        if descriptor is not None:
            if os.getpid() == process:  # copies of the process, made meanwhile, keep no lock
                with suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _locks(descriptor: int, shared: bool, patience: float) -> bool | None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
        except OSError:
            return None


def as_folder(folder, name: str = "folder") -> Path:
    """The path; `TypeError` or `ValueError` for what is none."""
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"{name}: is a {type(folder).__name__}, must be the path of a folder")
    if "\0" in str(folder) or not str(folder):
        raise ValueError(f"{name}: is {str(folder)!r}, must be the path of a folder")
    return Path(folder)


def read_whole(
    folder: Path, state: Callable[[], Hashable], read: Callable[[], Found]
) -> Found | None:
    """What `read()` gives of a folder that stays the same meanwhile, as far as `state()` can tell.

    None if it never does.
    """
    place = Path(os.path.realpath(folder))
    for _ in range(ATTEMPTS):
        settle(place)
        with locked(place, shared=True):
            before = state()
            try:
                found = read()
            except Exception:
                if state() == before:
                    raise
                continue
            if state() == before and not any(
                SAVED in stage.name for stage in _left(folder, folder)
            ):
                return found
        time.sleep(0.05)
    return None


def versions(files: list[Path]) -> Hashable:
    """What tells whether any of these files has been written since: of those that exist, the place
    on disk, size and time.
    """
    found = []
    for file in files:
        with suppress(OSError):
            facts = file.stat()
            found.append((str(file), facts.st_ino, facts.st_size, facts.st_mtime_ns))
    return tuple(found)
