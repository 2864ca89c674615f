"""The teacher of a distillation: what it says of every batch, asked once and remembered."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..models.anatomy import layers_of
from ..models.tasks import finish, hidden_states


class Teacher:
    """What a model says of a training's batches: its answers, and its hidden states at real tokens.

    Every epoch has the same batches, so what the model says of one is kept, up to `limit` bytes in
    all. A batch that does not fit is put to the model each time. States (N, d) of the N real tokens
    are held in float16, as deviations from the mean in units of `variance` ** 0.5; those that are
    not kept are rounded in the same way, so that the limit changes no result.

    layers: whose outputs are wanted. answers: whether the head's are. sample: gives the batches
    that mean and variance are taken from, once; how the training's own are made does not matter.
    """

    def __init__(
        self,
        model,
        layers: Iterable[int],
        answers: bool,
        sample: Callable[[], Iterable[dict]],
        limit: int,
    ):
        self.model, self.layers, self.answers = model, sorted(set(layers)), answers
        self.sample, self.limit, self.used = sample, limit, 0
        self.mean: dict[int, Tensor] = {}  # (d,) of every layer
        self.variance: dict[int, float] = {}
        self.kept: dict[int, tuple[Tensor | None, list[Tensor]]] = {}

    @torch.no_grad()
    def ask(self, place: int, batch: dict) -> tuple[Tensor | None, dict[int, Tensor]]:
        """Of the batch at this place of the training's: the outputs of the task (None if not
        wanted), and of every layer the states at real tokens, (N, d).
        """
        if not (self.answers or self.layers):
            return None, {}
        device = batch["input_ids"].device
        if self.layers and not self.variance:
            self._measure(device)
        if place not in self.kept:
            said = self._said(batch)
            size = sum(tensor.nbytes for tensor in (*said[1], said[0]) if tensor is not None)
            if self.used + size <= self.limit:
                self.kept[place] = _moved(said, "cpu")
                self.used += size
        else:
            said = _moved(self.kept[place], device)
        out, states = said
        return out, {
            layer: state.float() * self.variance[layer] ** 0.5 + self.mean[layer]
            for layer, state in zip(self.layers, states)
        }

    def _said(self, batch: dict) -> tuple[Tensor | None, list[Tensor]]:
        """The outputs, and the layers' states in float16."""
        self.model.to(batch["input_ids"].device)  # nothing to do after the first time
        with states_of(self.model, self.layers) as states:
            hidden = hidden_states(self.model, batch)
        out = finish(self.model, hidden, batch) if self.answers else None
        tokens = real_tokens(batch)
        return out, [
            ((at(states[i], tokens).float() - self.mean[i]) / self.variance[i] ** 0.5).half()
            for i in self.layers
        ]

    def _measure(self, device) -> None:
        """Mean and variance of every layer's states: the variance is around the mean over tokens of
        each coordinate, and one for them all. Of states that do not vary, their mean square.
        """
        self.model.to(device)
        count, sums = 0, {i: torch.zeros(2, 1, dtype=torch.float64) for i in self.layers}
        for batch in self.sample():
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            with states_of(self.model, self.layers) as states:
                hidden_states(self.model, batch)
            tokens = real_tokens(batch)
            count += len(tokens)
            for i in self.layers:
                state = at(states[i], tokens).cpu().double()  # (N, d)
                sums[i] = sums[i] + torch.stack([state.sum(0), state.square().sum(0)])
        for i in self.layers:
            mean, square = sums[i] / count  # (d,) each
            size, variance = square.mean().item(), (square - mean.square()).mean().item()
            self.mean[i] = mean.float().to(device)
            self.variance[i] = variance if variance > 1e-6 * size else size or 1.0


@contextmanager
def states_of(model, layers: Iterable[int]) -> Iterator[dict[int, Tensor]]:
    """Collects these layers' outputs (B, T, d) of the last forward pass inside the `with`."""
    found, modules = {}, layers_of(model)
    note = lambda i: lambda module, args, output: found.update({i: output})
    handles = [modules[i].register_forward_hook(note(i)) for i in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def real_tokens(batch: dict) -> Tensor:
    """The places of a batch's real tokens among all its B·T: (N,)."""
    return batch["attention_mask"].flatten().nonzero()[:, 0]


def at(states: Tensor, tokens: Tensor) -> Tensor:
    """The states (B, T, d) at these of the B·T places: (N, d)."""
    return states.flatten(0, 1)[tokens]


def _moved(said: tuple, device) -> tuple:
    out, states = said
    return None if out is None else out.to(device), [state.to(device) for state in states]
