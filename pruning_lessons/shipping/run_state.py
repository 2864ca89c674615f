"""What of a run is finished, on disk; whose folder it is, and what makes it the same run."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ..models.files import WORKING, at_work, put_in_place
from ..models.journal import digest
from .card import MARK as CARD
from .export import WRITTEN

MARK = "pruning_lessons"
TIMES = "milliseconds"  # the end of names of stages that take time


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    put_in_place(part, file)


def check_out(out: Path, resume: bool = False) -> None:
    """`ValueError` unless the folder is new, empty, or of an earlier run; to resume, of one."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: {str(out)!r} is a file, must be a folder")
    if (out / "state" / "run.json").is_file():
        return
    if resume:
        raise ValueError(f"--resume: {str(out)!r} holds no run to go on with")
    if not out.is_dir():
        return
    state = out / "state"
    others = set(os.listdir(out)) - {"state"}
    if state.is_dir():  # killed before it wrote down a thing
        others |= {
            name
            for name in os.listdir(state)
            if name != "run.json.part" and not name.startswith(WORKING)
        }
    if others:
        raise ValueError(
            f"--out: {str(out)!r} holds other things and no run of this command: name a new folder"
        )


def alone(folder: Path) -> AbstractContextManager:
    """Make a run's state folder; `ValueError` if another process is at work there."""
    return at_work(folder, "--out", wait=False)


class State:
    """Results of the stages that are finished, in `run.json`.

    same: what makes this the same run, by the name of the argument. Raises `ValueError` if the
    folder holds a run with others, unless `fresh`, which forgets that.
    """

    def __init__(self, folder: Path, same: dict, fresh: bool = False):
        self.folder, self.file = folder, folder / "run.json"
        same = json.loads(json.dumps(same))
        self.content = {"by": MARK, "same": same, "done": {}, "seconds": {}}
        if fresh:
            _forget(folder)
        elif self.file.is_file():
            self._read(same)
        self._write()

    @property
    def done(self) -> dict:
        return self.content["done"]

    def _read(self, same: dict) -> None:
        where = f"--out: {str(self.folder.parent)!r}"
        try:
            content = json.loads(self.file.read_text("utf-8"))
            known = content["same"]
            differ = [name for name in same if known.get(name) != same[name]]
            content["done"], content["seconds"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{where} holds a run that cannot be read: add --fresh, or name another --out"
            ) from error
        if differ:
            hidden = ("CHECKPOINT", "TEXTS")
            shown = [
                name
                if name in hidden
                else f"{name} (was {_shown(known.get(name))}, is {_shown(same[name])})"
                for name in differ
            ]
            raise ValueError(
                f"{where} holds a run with another {', another '.join(shown)}: add --fresh to "
                f"begin again, or name another --out"
            )
        self.content = content

    def _write(self) -> None:
        write_whole(self.file, json.dumps(self.content, ensure_ascii=False, indent=1) + "\n")

    def forget_times(self) -> None:
        """Take times again."""
        for name in [name for name in self.done if name.endswith(TIMES)]:
            del self.done[name]
        self._write()

    def stage(self, name: str, work: Callable[[], dict]) -> dict:
        """The result of a stage, which is worked out if that has not been done yet."""
        if name not in self.done:
            start = time.perf_counter()
            result = json.loads(json.dumps(work(), default=float))
            self.done[name] = result
            self.content["seconds"][name] = time.perf_counter() - start
            self._write()
        return self.done[name]


def _shown(value) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _forget(folder: Path) -> None:
    """Take an earlier run's half-done work, reports and export away, by the names that they have;
    models are written over in their time, and whatever else is there stays.
    """
    (folder / "run.json").unlink(missing_ok=True)
    found = [folder.parent / name for name in ("report.json", "report.md", "front.png")]
    for pattern in ("layers/search.safetensors", "training-*/training.safetensors"):
        found += folder.glob(pattern)
    serve = folder.parent / "serve"
    card = serve / "README.md"
    ours = card.is_file() and CARD in card.read_text("utf-8", errors="replace")
    if (serve / "settings.json").is_file():
        found += [serve / name for name in WRITTEN if ours or name != "README.md"]
    for file in found:
        if file.is_file():
            file.unlink()
    if serve.is_dir() and not any(serve.iterdir()):
        serve.rmdir()


def fingerprint(data) -> str:
    """What two texts files share only if all that is read from them is the same."""
    text = json.dumps(
        [[type(part).__name__, vars(part)] for part in data], ensure_ascii=False, default=str
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def model_fingerprint(model, tokenizer) -> str:
    """What two checkpoints share only if they have the same weights and words."""
    words = hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()
    return f"{digest(model.state_dict().values())[:16]} {words[:16]}"
