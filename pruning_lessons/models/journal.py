"""Where long work stands, in one file: written whole or not at all, gone on with by the same work
alone, one process at a time, and never used if it is damaged.
"""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .disk import disk_errors
from .files import WORKING, as_folder, at_work, on_disk, put_in_place

MODEL = "model."  # the start of the names of a model's own weights among the tensors


class Journal:
    """The state of some work and the tensors that go with it: in memory, and in a file if there is
    a folder.

    work: names the file. argument: what the caller calls `folder`, for errors. same: gives what
    makes this the same work as before, by name; called only if there is a folder. state: how the
    work begins, in JSON's types, "seconds" among them. model: the model that the work is for. If it
    is changed in place, its weights are among the tensors, with `MODEL` before their names; then
    the work is the same for the model as it was given and as the last state holds it, and if the
    work fails, it is put back to that state.

    Inside the `with`, `state` and `tensors` are as the last `write` left them, and no other process
    is at work in the folder: the next one waits. With `writes=False` nothing is written, and nobody
    waited for: another process of the same work does that. A damaged file is named in a warning and
    renamed, and the work begins anew. Raises `ValueError` if the folder holds another work or other
    things.
    """

    def __init__(
        self,
        work: str,
        argument: str,
        folder: str | Path | None,
        same: Callable[[], dict],
        state: dict,
        model,
        writes: bool = True,
    ):
        self.folder = None if folder is None else as_folder(folder, argument)
        self.file = self.folder and self.folder / f"{work}.safetensors"
        self.work, self.argument, self.model = work, argument, model
        self.writes, self._same = writes, same
        self.state, self.tensors, self.held = state, {}, ExitStack()

    def __enter__(self) -> "Journal":
        if self.file:
            self._check_folder()
            with ExitStack() as held:
                if self.writes:
                    self.stage = held.enter_context(at_work(self.folder, self.argument))
                same = self._same() | {"model": digest(self.model.state_dict().values())}
                self.same = json.loads(json.dumps(same))
                self._read()
                self.held = held.pop_all()
        self.began = time.perf_counter() - self.state["seconds"]
        return self

    def __exit__(self, kind, *error) -> None:
        with self.held:
            if kind and self.file:
                self._put_back()

    def _check_folder(self) -> None:
        ours = (WORKING, f"{self.file.name}.damaged")
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.argument}: {str(self.folder)!r} is a file, must be a folder")
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        others = sorted(name for name in names if not name.startswith(ours))
        if others and self.file.name not in others:
            raise ValueError(
                f"{self.argument}: {str(self.folder)!r} holds other things and no {self.work} "
                f"({', '.join(map(repr, others[:3]))}): name a new folder"
            )

    def _read(self) -> None:
        try:
            known, state, tensors = _stored(self.file)
        except FileNotFoundError:
            return
        except OSError as error:
            if not self.file.is_dir():
                raise
            return self._set_aside(error)
        except Exception as error:  # of the many ways to be damaged, each has its own
            return self._set_aside(error)
        if known["model"] != self.same["model"] and _holds(self.model, tensors):
            self.same["model"] = known["model"]
        names = [*self.same, *(name for name in known if name not in self.same)]
        other = [name for name in names if self.same.get(name) != known.get(name)]
        if other:
            raise ValueError(
                f"{self.argument}: {str(self.folder)!r} holds a {self.work} with another "
                f"{' / '.join(other)}: name a new folder"
            )
        self.state, self.tensors = state, tensors

    def _set_aside(self, error: Exception) -> None:
        if not self.writes:
            return
        aside = self.file.with_name(f"{self.file.name}.damaged")
        while aside.exists():
            aside = aside.with_name(f"{aside.name}-again")
        os.rename(self.file, aside)
        on_disk(self.folder)
        warnings.warn(
            f"{self.argument}: {str(self.file)!r} is damaged ({error}). It is set aside as "
            f"{aside.name!r}, and the {self.work} begins anew",
            stacklevel=2,
        )

    def write(self, tensors: dict[str, Tensor] | None = None) -> None:
        """Note the time; put the state and these tensors on disk, all or nothing."""
        self.state["seconds"] = time.perf_counter() - self.began
        if not (self.file and self.writes):
            return
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in (tensors or {}).items()
        }
        said = {"same": json.dumps(self.same), "state": json.dumps(self.state)}
        part = self.stage / self.file.name
        with disk_errors(self.argument, self.folder):
            save_file(tensors, part, said | {"checksum": _checksum(said, tensors)})
            put_in_place(part, self.file)

    def _put_back(self) -> None:
        """The model as the last state on disk holds it, if there is one: the same call goes on."""
        while True:
            try:
                with suppress(Exception):  # there is none: the model has not been changed
                    tensors = _model_in(_stored(self.file)[2])
                    if tensors:
                        put_back(self.model, tensors)
                return
            except KeyboardInterrupt:  # again: halfway the model would be neither old nor new
                continue


def _stored(file: Path) -> tuple[dict, dict, dict[str, Tensor]]:
    """What makes it the same work, the state and the tensors of a file; any error if damaged."""
    with safe_open(file, "pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}
        said = dict(stored.metadata())
    if said.pop("checksum") != _checksum(said, tensors):
        raise ValueError("its checksum is another one")
    return json.loads(said["same"]), json.loads(said["state"]), tensors


def _checksum(said: dict[str, str], tensors: dict[str, Tensor]) -> str:
    names = sorted(tensors)
    text = json.dumps([sorted(said.items()), names, digest(tensors[name] for name in names)])
    return hashlib.sha256(text.encode()).hexdigest()


def _model_in(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(MODEL): tensor
        for name, tensor in tensors.items()
        if name.startswith(MODEL)
    }


def _holds(model, tensors: dict[str, Tensor]) -> bool:
    """Whether these are the model's weights, to the bit."""
    mine, stored = weights(model), _model_in(tensors)
    return mine.keys() == stored.keys() and digest(mine.values()) == digest(map(stored.get, mine))


def weights(model) -> dict[str, Tensor]:
    """A model's parameters by name, without buffers, each tied one once."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def put_back(model, tensors: dict[str, Tensor]) -> None:
    """Copy `weights` of a model of the same parts into `model`; `KeyError` if it has others."""
    for name, parameter in weights(model).items():
        parameter.copy_(tensors[name])


def digest(tensors: Iterable[Tensor]) -> str:
    """A number, in hex, that two series of tensors share only if they agree in shapes, types and
    values.
    """
    found = hashlib.sha256()
    for tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        found.update(f"{tuple(tensor.shape)} {tensor.dtype} ".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy())
    return found.hexdigest()
