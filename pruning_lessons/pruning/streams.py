"""Hidden states of an original and of its pruned copy, carried from sublayer to sublayer while the
copy is refitted.

A layer has two sublayers: number 2·layer is its attention, 2·layer + 1 its feed-forward part. Each
adds to the hidden states x (B, T, d) and normalises the sum: x ← LayerNorm(x + f(x)).
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ..models.anatomy import embed, layers_of
from ..models.tasks import task_of
from .least_squares import Gram, refit

UNREAD = 1e-3  # weight of a token in the last layer whose hidden state the head does not read


class Wanted:
    """What the original has after each sublayer, before the LayerNorm, batch by batch.

    Computed in order, when first asked for. keep: all of it stays in memory, so that it can be
    asked for again: 2·layers·tokens·d numbers; else only what the last two sublayers gave.
    """

    def __init__(self, original, batches: list[dict], keep: bool = False):
        self.layers, self.keep, self.sums = layers_of(original), keep, []
        self.embedded, self.biases, self.real, self.read = [], [], [], []
        task = task_of(original)
        for batch in batches:
            x, bias = embed(original, batch)
            self.embedded.append(x)
            self.biases.append(bias)
            self.real.append(batch["attention_mask"].bool().to(x.device))
            self.read.append(task.reads(original, batch).to(x.device))

    def before(self, sublayer: int) -> list[Tensor]:
        """Hidden states that go into a sublayer, (B, T, d) of each batch."""
        if not sublayer:
            return list(self.embedded)
        norm = writes(self.layers, sublayer - 1).LayerNorm
        return [norm(x) for x in self.after(sublayer - 1)]

    def after(self, sublayer: int) -> list[Tensor]:
        """The sums x + f(x) of a sublayer, (B, T, d) of each batch."""
        while len(self.sums) <= sublayer:
            at = len(self.sums)
            if not self.keep and at > 1:
                self.sums[at - 2] = None
            dense, sums, inputs = writes(self.layers, at).dense, [], self.before(at)
            for i, bias in enumerate(self.biases):  # a batch at a time: what is inside is wide
                x, inputs[i] = inputs[i], None
                sums.append(x + dense(inside(self.layers, at, [x], [bias])[0]))
            self.sums.append(sums)
        return self.sums[sublayer]

    def weights(self, sublayer: int) -> list[Tensor]:
        """How much each real token counts in the refit of a sublayer's output, (tokens, 1).

        1/variance of the sum, since the LayerNorm divides by the deviation; next to nothing in the
        last layer for tokens whose hidden states the head does not read.
        """
        last = sublayer >= 2 * len(self.layers) - 2
        found = []
        for x, real, read in zip(self.after(sublayer), self.real, self.read):
            weight = 1 / x[real].var(dim=1, keepdim=True)
            if last:
                weight = weight * torch.where(read[real], 1.0, UNREAD)[:, None]
            found.append(weight)
        return found


def writes(layers, sublayer: int) -> nn.Module:
    """The module with a sublayer's output matrix (`dense`) and its `LayerNorm`."""
    layer = layers[sublayer // 2]
    return layer.output if sublayer % 2 else layer.attention.output


def inside(layers, sublayer: int, inputs: list[Tensor], biases: list) -> list[Tensor]:
    """What a sublayer's output matrix reads: heads' contexts, or neurons' activations."""
    layer = layers[sublayer // 2]
    if sublayer % 2:
        return [layer.intermediate(x) for x in inputs]
    return [layer.attention.self(x, bias)[0] for x, bias in zip(inputs, biases)]


def reads(layers, sublayer: int) -> list[nn.Linear]:
    """The matrices that a sublayer reads its input with: queries, keys, values, or the first
    feed-forward matrix.
    """
    layer = layers[sublayer // 2]
    attention = layer.attention.self
    found = [layer.intermediate.dense]
    if not sublayer % 2:
        found = [attention.query, attention.key, attention.value]
    return [linear for linear in found if linear.out_features]


class Refit:
    """Refits the layers of a pruned model, in place, so that they make up for what is missing.

    wanted: the original's stream. places: of each pruned layer, its number in the original. parts:
    for each batch "fit", "check" (chooses the ridge) or None (only carried along). inputs: whether
    the matrices that read are refitted, too.
    """

    def __init__(self, layers, places: list[int], wanted: Wanted, parts: Sequence[str | None]):
        self.layers, self.places, self.wanted, self.parts = layers, places, wanted, parts

    def run(self, ridges: Sequence[float], inputs: bool, bar=None) -> list[Tensor]:
        """The hidden states (B, T, d) of each batch after the last layer.

        A sublayer's output matrix is fitted to the original's sum after it, less what the pruned
        model carries past it. Before that, its reading matrices: on the pruned model's hidden
        states they should give what they give on the original's (the asymmetry of GPTAQ, Li et al.
        2025). A layer in front of removed ones is fitted to what the last of those gave, and takes
        over its LayerNorm.
        """
        self.ridges, wanted = ridges, self.wanted
        ends = [*(place - 1 for place in self.places[1:]), len(wanted.layers) - 1]
        mine = wanted.before(0)
        for new, (place, last) in enumerate(zip(self.places, ends)):
            for half, end in ((0, place), (1, last)):
                at, goal = 2 * new + half, 2 * end + half
                if inputs:
                    self._reading(at, 2 * place + half, mine)
                if end > place:
                    norm = writes(wanted.layers, goal).LayerNorm
                    writes(self.layers, at).LayerNorm.load_state_dict(norm.state_dict())
                mine = self._writing(at, goal, mine)
            if bar is not None:
                bar.update(1)
        return mine

    def _reading(self, at: int, place: int, mine: list[Tensor]) -> None:
        linears = reads(self.layers, at)
        if linears:
            goals = (
                torch.cat([linear(x) for linear in linears], dim=-1)
                for x in self.wanted.before(place)
            )
            even = [x.new_ones(int(real.sum()), 1) for x, real in zip(mine, self.wanted.real)]
            self._fit(linears, mine, goals, even)

    def _writing(self, at: int, goal: int, mine: list[Tensor]) -> list[Tensor]:
        out, inner = writes(self.layers, at), inside(self.layers, at, mine, self.wanted.biases)
        goals = (theirs - own for theirs, own in zip(self.wanted.after(goal), mine))
        self._fit([out.dense], inner, goals, self.wanted.weights(goal))
        for i, own in enumerate(mine):
            inner[i] = out.LayerNorm(own + out.dense(inner[i]))
        return inner

    def _fit(self, linears, inputs: list[Tensor], goals: Iterable[Tensor], weights) -> None:
        n_out = sum(linear.out_features for linear in linears)
        size = linears[0].in_features, n_out, linears[0].weight.device
        sums = {part: Gram(*size) for part in set(self.parts) if part}
        for x, y, weight, real, part in zip(inputs, goals, weights, self.wanted.real, self.parts):
            if part:
                sums[part].add(x[real], y[real], weight)
        refit(linears, sums["fit"], sums.get("check"), self.ridges)
