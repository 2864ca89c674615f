"""Faults, tried one at a time in forked processes, and judged by rule, never by hand.

A trial is made from a kind and a number: the same number gives the same trial. It runs in a folder
and a process of its own. What comes of it:

survived  the right result; or a clear error, before anything was touched: ValueError, TypeError,
          OSError or MemoryError, raised by the package, that names the argument or the file
unclear   an error of another type, of another library, or without such a name
lost      a file of others gone or changed; old and new content gone or mixed; a model that an error
          leaves in another state; a process that dies by itself
silent    a wrong result, and no warning that names what is wrong
late      an error that could be seen at entry, after a forward pass or once a file was written; or
          no end within the time
"""

import hashlib
import json
import os
import pickle
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch

VERDICTS = ("survived", "unclear", "lost", "silent", "late")
PATIENCE = 90.0  # seconds a trial
CLEAR = (ValueError, TypeError, MemoryError, KeyboardInterrupt)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.link", "os.symlink"}


class Judged(Exception):
    """A verdict that a look at what is left has come to: (verdict, why)."""


class Refused(ValueError):
    """What the command says when it ends with an error."""


def accepted(result) -> str:
    """The oracle of what must be refused."""
    return f"accepted: {str(result)[:80]!r}"


def expect(holds, why: str, verdict: str = "lost") -> None:
    if not holds:
        raise Judged(verdict, why)


@dataclass
class Trial:
    """One fault.

    what: in words. act: the call under test. names: words of which a clear error has one. wrong:
    says of a result why it is wrong, None if it is right. setup: makes what act needs. after:
    looks, in a fresh process, at what is left, and tries again. models: must be the same
    afterwards; trained: but for their weights. entry: the fault can be seen at entry. kill:
    (signal, share of the call at which it comes, whether at a change of files, else at a time).
    room: (how, bytes) of what can be written: "file" the largest file, "disk" all. key: calls that
    take alike.
    """

    what: str
    act: Callable[[], object]
    names: tuple[str, ...] = ()
    wrong: Callable[[object], str | None] = accepted
    setup: Callable[[], None] = lambda: None
    after: Callable[[], None] | None = None
    models: tuple = ()
    trained: tuple = ()
    entry: bool = True
    kill: tuple[int, float, bool] | None = None
    room: tuple[str, int] | None = None
    key: str = ""


@dataclass
class Kind:
    """make(random, place) gives a trial; place counts from 0 within the kind."""

    name: str
    make: Callable[[Random, int], Trial]
    trials: int
    what: str = ""
    counts: dict = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))


# --- what must stay as it is ---


def digest(*things) -> str:
    """A number for tensors, also of NaN, and for what JSON can say."""
    found = hashlib.sha256()
    for thing in things:
        if isinstance(thing, torch.Tensor):
            plain = torch.zeros(0) if thing.is_meta else thing.detach().cpu().contiguous()
            found.update(f"{tuple(plain.shape)} {plain.dtype}".encode())
            found.update(plain.flatten().view(torch.uint8).numpy().tobytes())
        else:
            found.update(json.dumps(thing, sort_keys=True, default=str).encode())
    return found.hexdigest()


def state_of(model, weights: bool) -> str:
    """Modes, frozen parts, hooks, configuration and, where wanted, weights of a model."""
    if not isinstance(model, torch.nn.Module):
        return ""
    flags = [m.training for m in model.modules()] + [p.requires_grad for p in model.parameters()]
    hooks = [_hooks(m._forward_hooks) + _hooks(m._forward_pre_hooks) for m in model.modules()]
    config = getattr(model, "config", None)
    facts = [flags, hooks, config.to_dict() if hasattr(config, "to_dict") else None]
    return digest(*facts, *(model.state_dict().values() if weights else ()))


def _hooks(hooks: dict) -> int:
    """How many; those that transformers puts on once, to hand out attentions, do not count."""
    theirs = lambda hook: getattr(hook, "__module__", "").startswith("transformers.")
    return sum(not theirs(hook) for hook in hooks.values())


def everywhere() -> tuple:
    """What a process has once."""
    return torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()


def files_below(folder: Path) -> dict[str, tuple]:
    found = {}
    for root, folders, names in os.walk(folder):
        for name in names + folders:
            path = os.path.join(root, name)
            facts = os.lstat(path)
            found[path] = (facts.st_ino, facts.st_size, facts.st_mtime_ns if name in names else 0)
    return found


# --- a watch on a call ---


class Watch:
    """Counts what a call does, in this process; sends the signal at a change of files."""

    def __init__(self):
        self.here, self.at, self.signal = None, None, None
        self.changes = self.passes = 0
        sys.addaudithook(self._saw)
        torch.nn.modules.module.register_module_forward_pre_hook(self._passed)

    def _saw(self, event: str, args) -> None:
        if self.here is None or not self._is_change(event, args):
            return
        if self.changes == self.at:
            signal.raise_signal(self.signal)
        self.changes += 1

    def _is_change(self, event: str, args) -> bool:
        if event == "open":
            path, mode, flags = args
            writes = flags & WRITES if not isinstance(mode, str) else set(mode) & set("wax+")
        else:
            path, writes = (args[0] if args else None), event in CHANGES
        return bool(writes) and isinstance(path, (str, bytes, os.PathLike)) and self._below(path)

    def _below(self, path) -> bool:
        return os.path.abspath(os.fsdecode(path)).startswith(self.here)

    def _passed(self, module, args) -> None:
        self.passes += self.here is not None and type(module).__module__.startswith("transformers.")


def clear(error: BaseException, names: tuple[str, ...]) -> bool:
    """Whether an error is one of the package's, and says where to look."""
    if type(error) is KeyboardInterrupt:
        return True
    frame = traceback.extract_tb(error.__traceback__)[-1].filename
    ours = "pruning_lessons" in Path(frame).parts or isinstance(error, Refused)
    own = type(error) in CLEAR or type(error).__module__.startswith("pruning_lessons")
    fits = isinstance(error, Refused) or own and ours or isinstance(error, OSError)
    words = f"{error} {getattr(error, 'filename', None) or ''}"
    return fits and any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words) for name in names)


def judge(trial: Trial, before: list, watch: Watch, touched: bool, error, result, said) -> tuple:
    """(verdict, why) of a call that has come to an end."""
    text = f"{type(error).__name__}: {error}"[:600] if error is not None else ""
    if before != _states(trial):
        return "lost", f"a model's or the process's state has changed; {text}"
    if error is None:
        reason = trial.wrong(result)
        words = [str(w.message) for w in said]
        named = any(
            re.search(rf"(?<!\w){re.escape(n)}(?!\w)", w) for w in words for n in trial.names
        )
        return ("silent", reason) if reason and not named else ("survived", reason or "right")
    if not clear(error, trial.names):
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "unclear", f"{text} (at {Path(where.filename).name}:{where.lineno})"
    if trial.entry and (watch.passes or watch.changes or touched):
        done = f"{watch.passes} passes, {watch.changes} changes of files"
        return "late", f"{text} (after {done})"
    return "survived", text


def _states(trial: Trial) -> list:
    models = [(m, True) for m in trial.models] + [(m, False) for m in trial.trained]
    return [state_of(model, weights) for model, weights in models] + [everywhere()]


# --- processes ---


def apart(work: Callable[[Callable], object], kill=None, patience: float | None = None) -> tuple:
    """("done", work(tell)) of a forked process, ("died", signal) or ("hung", None).

    kill: (signal, seconds after `tell` is called).
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            found = work(lambda: os.write(writer, b"!"))
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.write(writer, pickle.dumps(found))
        except BaseException as error:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.write(writer, pickle.dumps(error if isinstance(error, Judged) else repr(error)))
        finally:
            os._exit(0)
    os.close(writer)
    content, until, send = b"", time.monotonic() + (patience or PATIENCE), None
    while True:
        wait = (send if send is not None else until) - time.monotonic()
        ready, _, _ = select.select([reader], [], [], max(0, wait))
        if ready:
            more = os.read(reader, 1 << 20)
            if content == b"" and more[:1] == b"!" and kill:
                send = time.monotonic() + kill[1]
            content += more
            if not more:
                break
        elif send is not None:
            os.kill(child, kill[0])
            send = None
        else:
            os.killpg(child, signal.SIGKILL)
            break
    os.close(reader)
    _, status = os.waitpid(child, 0)
    found = content.lstrip(b"!")
    if found:
        return "done", pickle.loads(found)
    timely = time.monotonic() < until
    return ("died", os.WTERMSIG(status)) if os.WIFSIGNALED(status) and timely else ("hung", None)


@dataclass
class Effort:
    """What an undisturbed call takes: changes of files, seconds."""

    changes: int
    seconds: float


_EFFORTS: dict[str, Effort] = {}


def effort(trial: Trial) -> Effort:
    """Measured once for each key, in a folder of its own."""
    if trial.key not in _EFFORTS:

        def work(tell) -> Effort:
            os.chdir(tempfile.mkdtemp(dir=".."))
            trial.setup()
            watch = Watch()
            start, watch.here = time.perf_counter(), os.getcwd()
            trial.act()
            watch.here = None
            return Effort(watch.changes, time.perf_counter() - start)

        end, found = apart(work)
        if not isinstance(found, Effort):
            raise RuntimeError(f"{trial.key}: does not run undisturbed ({end} {found})")
        _EFFORTS[trial.key] = found
    return _EFFORTS[trial.key]


def attempt(trial: Trial, tell: Callable) -> tuple[str, str]:
    """The trial itself, in a process of its own."""
    place = Path.cwd()
    trial.setup()
    before, there = _states(trial), files_below(place)
    watch = Watch()
    if trial.kill and trial.kill[2]:
        watch.at, watch.signal = int(trial.kill[1] * effort(trial).changes), trial.kill[0]
    if trial.room and trial.room[0] == "file":
        resource.setrlimit(resource.RLIMIT_FSIZE, (trial.room[1], resource.RLIM_INFINITY))
    error = result = None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        watch.here = str(place)
        try:
            tell()
            result = trial.act()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except BaseException as raised:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            error = raised
        watch.here = None
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        touched = files_below(place) != there
        if type(error) is KeyboardInterrupt:
            expect(before == _states(trial), "Ctrl-C leaves a model in another state")
            try:
                result, error = trial.act(), None  # the same cell, run again
            except BaseException as raised:
                error = raised
        return judge(trial, before, watch, touched, error, result, said)


def run(kind: Kind, place: int, seed: int) -> tuple[str, str, str]:
    """(verdict, what was done, why) of one trial."""
    folder = tempfile.mkdtemp(prefix="fault-")
    home, what = os.path.join(folder, "here"), kind.name
    os.mkdir(home)
    mounted = False
    try:
        os.chdir(home)
        trial = kind.make(Random(seed), place)
        what = trial.what
        if trial.room and trial.room[0] == "disk":
            mounted = _mount(home, trial.room[1])
            trial.room = trial.room if mounted else ("file", trial.room[1])
            os.chdir(home)
        kill = None
        if trial.kill:
            took = effort(trial)
            kill = None if trial.kill[2] else (trial.kill[0], trial.kill[1] * took.seconds)
        end, found = apart(lambda tell: attempt(trial, tell), kill)
        verdict = _verdict(trial, end, found)
        if verdict[0] == "survived" and trial.after:
            if mounted:
                subprocess.run(["mount", "-o", "remount,size=1g", home], check=True)
            end, found = apart(lambda tell: trial.after() or ("survived", verdict[1]))
            verdict = _verdict(trial, end, found, "afterwards ")
        return verdict[0], what, verdict[1]
    finally:
        os.chdir("/")
        if mounted:
            subprocess.run(["umount", "-l", home], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _verdict(trial: Trial, end: str, found, when: str = "") -> tuple[str, str]:
    if end == "hung":
        return "late", f"{when}no end within {PATIENCE:.0f} s"
    if end == "died":
        wanted = bool(trial.kill) and found == trial.kill[0] and not when
        return ("survived", "killed") if wanted else ("lost", f"{when}died by signal {found}")
    if isinstance(found, Judged):
        return found.args[0], when + found.args[1]
    if isinstance(found, str):
        beside = trial.kill and "KeyboardInterrupt()" in found and not when  # not in the call
        return ("survived", "Ctrl-C") if beside else ("lost", when + found)
    return found


def _mount(home: str, room: int) -> bool:
    """A small disk of its own, where that is permitted."""
    size = f"size={-(-room // 4096) * 4096}"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", home], capture_output=True)
    return made.returncode == 0
