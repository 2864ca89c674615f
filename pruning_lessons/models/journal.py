"""Where long work stands, in one file: written whole or not at all, and gone on with by the same
work alone.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class Journal:
    """The state of some work and the tensors that go with it: in memory, and in a file if there is
    a folder.

    work: names the file. argument: what the caller calls `folder`, for errors. same: gives what
    makes this the same work as before, by name; called only if there is a folder. state: how the
    work begins, in JSON's types, "seconds" among them. After an interruption `state` and `tensors`
    are as the last `write` left them. Raises `ValueError` if the folder holds another work, other
    things, or a file that cannot be read.
    """

    def __init__(
        self,
        work: str,
        argument: str,
        folder: str | Path | None,
        same: Callable[[], dict],
        state: dict,
        writes: bool = True,
    ):
        self.state, self.tensors, self.writes = state, {}, writes and bool(folder)
        if folder:
            self.file = Path(folder) / f"{work}.safetensors"
            self.same = {name: json.dumps(value, sort_keys=True) for name, value in same().items()}
            place = self.file.parent
            if self.file.is_file():
                self._read(work, argument, folder)
            elif place.is_file() or place.is_dir() and set(os.listdir(place)) - {self._part.name}:
                raise ValueError(
                    f"{argument}: {str(folder)!r} holds other things and no {work}: name a new "
                    f"folder"
                )
            place.mkdir(parents=True, exist_ok=True)
        self.began = time.perf_counter() - self.state["seconds"]

    @property
    def _part(self) -> Path:
        return self.file.with_suffix(".part")

    def _read(self, work: str, argument: str, folder) -> None:
        try:
            with safe_open(self.file, "pt") as stored:
                known = stored.metadata()
                other = [name for name, value in self.same.items() if known[name] != value]
                state, tensors = (
                    json.loads(known["state"]),
                    {name: stored.get_tensor(name) for name in stored.keys()},
                )
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{argument}: {str(self.file)!r} is no {work} that can be read: name a new folder"
            ) from error
        if other:
            raise ValueError(
                f"{argument}: {str(folder)!r} holds a {work} with another {' / '.join(other)}: "
                "name a new folder"
            )
        self.state, self.tensors = state, tensors

    def write(self, tensors: dict[str, Tensor] | None = None) -> None:
        """Note the time; put the state and these tensors on disk, all or nothing."""
        self.state["seconds"] = time.perf_counter() - self.began
        if not self.writes:
            return
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in (tensors or {}).items()
        }
        save_file(tensors, self._part, self.same | {"state": json.dumps(self.state)})
        with open(self._part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self.file)


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
