"""Score a model without some of its layers; candidates share the hidden states below the first that
is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..models.anatomy import embed, finish
from .layers import run_layers


class Score(NamedTuple):
    """Share of right answers (0 to 1), and mean cross-entropy in nats."""

    accuracy: float
    loss: float


class Walk:
    """A model's layers, some left out already, and on every batch the hidden states before each of
    the others.
    """

    @torch.inference_mode()
    def __init__(
        self, model, layers: Sequence[int], batches: list[dict], memory: float, state: dict, bar
    ):
        self.model, self.layers, self.batches, self.state, self.bar = (
            model.eval(),
            list(layers),
            batches,
            state,
            bar,
        )
        self.sentences = sum(len(batch["labels"]) for batch in batches)
        self.kept, total, room = {}, 0, memory * 1e6  # kept: a batch's place -> its states
        for place, batch in enumerate(batches):
            hidden, mask, labels = first_states(model, batch)
            # Three times: the states, those of the candidate, and those of the best candidate yet.
            room -= 3 * (len(self.layers) + 1) * hidden.numel() * hidden.element_size()
            states = self._states(hidden, mask, self.layers)
            total += answers(model, states[-1], labels)
            if room >= 0:
                self.kept[place] = (states, mask, labels)
        self.score = Score(*(total / self.sentences).tolist())

    @torch.inference_mode()
    def remove_best(self, key: Callable) -> tuple[int, Score]:
        """Score the model without each layer, and leave out the best: its place in `layers`, the
        score without it.
        """
        n = len(self.layers)
        totals = torch.zeros(n, 2, dtype=torch.float64)
        for place, batch in enumerate(self.batches):
            if place not in self.kept:  # all candidates of this batch, then the next batch
                hidden, mask, labels = first_states(self.model, batch)
                states = self._states(hidden, mask, self.layers[:-1])
                for i in range(n):
                    self._try(totals[i], i, states[i], mask, labels)
                del states
        best, best_states = None, []
        for i in range(n):
            found = [
                self._try(totals[i], i, states[i], mask, labels)
                for states, mask, labels in self.kept.values()
            ]
            score = Score(*(totals[i] / self.sentences).tolist())
            if best is None or key(score) > key(best[1]):
                best, best_states = (i, score), found
        i = best[0]
        for place, new in zip(self.kept, best_states):
            states, mask, labels = self.kept[place]
            self.kept[place] = (states[:i] + new, mask, labels)
        del self.layers[i]
        return best

    def _try(
        self, total: Tensor, i: int, hidden: Tensor, mask: Tensor | None, labels: Tensor
    ) -> list[Tensor]:
        """Add to `total` what one batch says of the model without its layer i; the states from
        there on.
        """
        states = self._states(hidden, mask, self.layers[i + 1 :])
        total += answers(self.model, states[-1], labels)
        self.bar.update(len(labels) / self.sentences / len(self.layers))
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


def first_states(model, batch: dict) -> tuple[Tensor, Tensor | None, Tensor]:
    """Hidden states before the first layer (batch, T, d), the layers' mask, labels (batch,)."""
    device = next(model.parameters()).device
    return *embed(model, batch["input_ids"].to(device), batch["attention_mask"].to(device)), batch[
        "labels"
    ].to(device)


def answers(model, hidden: Tensor, labels: Tensor) -> Tensor:
    """From the last hidden states (batch, T, d): how many answers are right, and the sum of losses;
    float64 (2,).
    """
    logits = finish(model, hidden)  # (batch, labels)
    loss = F.cross_entropy(logits.double(), labels, reduction="sum")
    return torch.tensor(
        [(logits.argmax(-1) == labels).sum().item(), loss.item()], dtype=torch.float64
    )
