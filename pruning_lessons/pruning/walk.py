"""Score a model without some of its layers; candidates share the hidden states below the first that
is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isnan
from typing import NamedTuple

import torch
from torch import Tensor

from ..models.anatomy import embed
from ..models.tasks import IGNORED, finish, outputs, task_of
from .layers import run_layers


class Score(NamedTuple):
    """Share of right answers (0 to 1), and the mean loss of an answer, for classes in nats."""

    accuracy: float
    loss: float

    @classmethod
    def of(cls, total: Tensor) -> "Score":
        """From the sums that `answers` gives, (3,). `ValueError` if the loss is NaN."""
        if total[1].isnan():
            raise ValueError("model: its loss on the data is NaN: has it such weights?")
        return cls(*(total[:2] / total[2]).tolist())

    def shown(self) -> tuple[str, str]:
        """Both as text; no share where answers are no classes."""
        share = "–" if isnan(self.accuracy) else f"{self.accuracy:.1%}"
        return share, f"{self.loss:.3f}"


class Walk:
    """A model's layers, some left out already, and on every batch the hidden states before each of
    the others.
    """

    @torch.inference_mode()
    def __init__(
        self, model, layers: Sequence[int], batches: list[dict], memory: float, state: dict, bar
    ):
        self.model, self.layers, self.batches = model.eval(), list(layers), batches
        self.state, self.bar = state, bar
        self.sentences = sum(len(batch["input_ids"]) for batch in batches)
        self.kept, total, room = {}, 0, memory * 1e6  # kept: a batch's place -> its states
        for place, batch in enumerate(batches):
            hidden, mask = embed(model, batch)
            # Three times: the states, those of the candidate, and those of the best candidate yet.
            room -= 3 * (len(self.layers) + 1) * hidden.numel() * hidden.element_size()
            states = self._states(hidden, mask, self.layers)
            total += answers(model, states[-1], batch)
            if room >= 0:
                self.kept[place] = (states, mask, batch)
        self.score = Score.of(total)

    @torch.inference_mode()
    def remove_best(self, key: Callable) -> tuple[int, Score]:
        """Score the model without each layer, and leave out the best: its place in `layers`, the
        score without it.
        """
        n = len(self.layers)
        totals = torch.zeros(n, 3, dtype=torch.float64)
        for place, batch in enumerate(self.batches):
            if place not in self.kept:  # all candidates of this batch, then the next batch
                hidden, mask = embed(self.model, batch)
                states = self._states(hidden, mask, self.layers[:-1])
                for i in range(n):
                    self._try(totals[i], i, states[i], mask, batch)
                del states
        best, best_states = None, []
        for i in range(n):
            found = [
                self._try(totals[i], i, states[i], mask, batch)
                for states, mask, batch in self.kept.values()
            ]
            score = Score.of(totals[i])
            if best is None or key(score) > key(best[1]):
                best, best_states = (i, score), found
        i = best[0]
        for place, new in zip(self.kept, best_states):
            states, mask, batch = self.kept[place]
            self.kept[place] = (states[:i] + new, mask, batch)
        del self.layers[i]
        return best

    def _try(
        self, total: Tensor, i: int, hidden: Tensor, mask: Tensor | None, batch: dict
    ) -> list[Tensor]:
        """Add to `total` what one batch says of the model without its layer i; the states from
        there on.
        """
        states = self._states(hidden, mask, self.layers[i + 1 :])
        total += answers(self.model, states[-1], batch)
        self.bar.update(len(hidden) / self.sentences / len(self.layers))
        return states

    def _states(self, hidden: Tensor, mask: Tensor | None, layers: Iterable[int]) -> list[Tensor]:
        """The hidden states (batch, T, d) before each of these layers, and after the last."""
        states = [hidden]
        for i in layers:
            states.append(_run(self.model, states[-1], mask, [i], self.state))
        return states


def every_choice(
    model, hidden: Tensor, mask: Tensor | None, layers: Sequence[int], drop: int, state: dict
) -> Iterator[Tensor]:
    """The last hidden states (batch, T, d) for every way to leave out `drop` of these layers, the
    next after `hidden`.

    The order is that of `itertools.combinations` of the layers that are left out, backwards.
    """
    if not drop:
        yield _run(model, hidden, mask, layers, state)
        return
    first, others = layers[:1], layers[1:]
    if len(others) >= drop:
        yield from every_choice(
            model, _run(model, hidden, mask, first, state), mask, others, drop, state
        )
    yield from every_choice(model, hidden, mask, others, drop - 1, state)


def _run(model, hidden: Tensor, mask: Tensor | None, layers: Sequence[int], state: dict) -> Tensor:
    """`run_layers`, counted: `runs` in the state is layers times sentences."""
    state["runs"] += len(layers) * len(hidden)
    return run_layers(model, hidden, mask, layers)


def with_reference(model, batches: list[dict]) -> list[dict]:
    """The batches; where there are no labels, with the whole model's outputs to be held against."""
    if all(batch.get("labels") is not None for batch in batches):
        return batches
    with torch.inference_mode():
        return [batch | {"reference": outputs(model, batch)} for batch in batches]


def answers(model, hidden: Tensor, batch: dict) -> Tensor:
    """From the last hidden states (B, T, d): how many answers are right, the sum of losses, and how
    many answers there are; float64 (3,).

    Without labels an answer is right that is the whole model's, and the loss is the divergence from
    it. Where answers are no classes none is right.
    """
    task, out = task_of(model), finish(model, hidden, batch).double()
    answered = len(out)
    distribution, reference = task.distribution, batch.get("reference")
    if reference is not None:
        wanted, losses = distribution.answer(reference), task.divergence(reference.double(), out)
    else:
        wanted = task.targets(batch, out)
        losses = distribution.nll(out, wanted)
    right = torch.nan
    if distribution.discrete:
        known = wanted != IGNORED
        places = max(known.numel() // max(len(out), 1), 1)  # start and end; labels
        right = ((distribution.answer(out) == wanted) & known).sum().item() / places
        answered = known.sum().item() / places
    return torch.tensor([right, losses.sum().item(), answered], dtype=torch.float64)
