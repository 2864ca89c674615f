"""From scores to masks: the best parts that a budget can buy."""

import math

import torch
from torch import Tensor

from ..measuring.size import encoder_macs, unit_macs
from ..models.anatomy import heads_per_layer, layers_of, neurons_per_layer
from ..models.checks import arguments, encoder, number, share, whole, whole_number
from ..models.masks import Masks
from .importance import Scores
from .latency_table import LatencyTable, between, latency_table


@arguments(
    model=encoder,
    keep_macs=lambda name, value: share(name, value, zero=False),
    keep_heads=whole(least=0),
    keep_neurons=whole(least=0),
    max_latency_ms=lambda name, value: number(name, value, above=True),
    multiple=whole(),
    length=whole(),
)
def select(
    scores: Scores,
    model,
    keep_macs: float | None = None,
    keep_heads: int | None = None,
    keep_neurons: int | None = None,
    max_latency_ms: float | None = None,
    even: bool = False,
    multiple: int = 1,
    rearrange: bool = True,
    length: int = 24,
    table: "LatencyTable | None" = None,
) -> Masks:
    """The masks with the largest sum of scores within a budget; all layers stay, though a layer may
    be left empty.

    keep_macs: a share (0 to 1] of the encoder's MACs, for `length` tokens. For every number of
    heads the rest of the budget goes to neurons, and the best of all is taken: exact, since the sum
    is over independent parts (Kwon et al. 2022, section 4.1). keep_heads, keep_neurons: how many
    stay in the whole model, in place of a budget (what is left out stays whole). max_latency_ms: a
    time, by `table` (measured now if left out), for its batch and length: an exact knapsack over
    layers. even: the same number in each layer. multiple: each layer's neurons in blocks of so many
    (its last block may be smaller), since odd widths are slow. rearrange: inside each layer
    exchange parts so that errors cancel (`rearranged`), where the scores hold gradients.

    Raises `ValueError` if not exactly one kind of budget is given, if it is out of range, or if the
    scores do not fit the model or hold NaN.
    """
    heads, neurons = heads_per_layer(model), neurons_per_layer(model)
    _check(scores, model, keep_macs, keep_heads, keep_neurons, max_latency_ms, even, multiple)
    choice = _Choice(scores, heads, neurons, even, multiple)
    if max_latency_ms is not None:
        masks = _within_latency(
            choice, table or latency_table(model, length=length), max_latency_ms
        )
    elif keep_macs is not None:
        masks = _within_macs(
            choice, keep_macs * encoder_macs(model, length), unit_macs(model, length)
        )
    else:
        masks = choice.masks(
            sum(heads) if keep_heads is None else keep_heads,
            sum(neurons) if keep_neurons is None else keep_neurons,
        )
    return rearranged(masks, scores) if rearrange and scores.gradients is not None else masks


def _check(
    scores, model, keep_macs, keep_heads, keep_neurons, max_latency_ms, even, multiple
) -> None:
    wanted = Masks.keep_all(model)
    if not isinstance(scores, Scores):
        raise TypeError(f"scores: is a {type(scores).__name__}, must be Scores, from importance()")
    for name in ("heads", "neurons"):
        found = getattr(scores, name)
        if found.shape != getattr(wanted, name).shape:
            raise ValueError(
                f"scores.{name}: has shape {tuple(found.shape)}, must be "
                f"{tuple(getattr(wanted, name).shape)}"
            )
    counts = keep_heads is not None or keep_neurons is not None
    if (keep_macs is not None) + (max_latency_ms is not None) + counts != 1:
        raise ValueError(
            "budget: give keep_macs, or max_latency_ms, or keep_heads and keep_neurons"
        )
    n = max(len(layers_of(model)), 1)
    for name, value, most in (
        ("keep_heads", keep_heads, sum(heads_per_layer(model))),
        ("keep_neurons", keep_neurons, sum(neurons_per_layer(model))),
    ):
        if value is not None:
            whole_number(name, value, 0, most)
        if value is not None and even and value % n:
            raise ValueError(f"{name}: is {value}, must be a multiple of {n} layers with even=True")
    if max_latency_ms is not None and even:
        raise ValueError("even: a latency budget chooses per layer, so even must be False")
    for name, count in (("heads", keep_heads), ("neurons", keep_neurons)):
        if getattr(scores, name).isnan().any() and (not counts or count is not None):
            raise ValueError(
                f"scores.{name}: are NaN, for {scores.method!r} does not score them: give the "
                f"other count alone"
            )


class _Choice:
    """The parts in the order in which they are bought: heads singly, neurons in blocks of
    `multiple`.
    """

    def __init__(
        self, scores: Scores, heads: list[int], neurons: list[int], even: bool, multiple: int
    ):
        self.shapes, self.even = (scores.heads.shape, scores.neurons.shape), even
        self.heads = self._bundles(scores.heads, heads, 1)
        self.neurons = self._bundles(scores.neurons, neurons, multiple)

    def _bundles(
        self, scores: Tensor, counts: list[int], size: int
    ) -> list[tuple[float, int, list[tuple[int, Tensor]]]]:
        """(score, number of units, [(layer, places)]), best first. Within a layer bundles come in
        falling order of mean score; with `even` the k-th bundles of all layers are bought together.
        """
        per_layer = []
        for layer, count in enumerate(counts):
            order = scores[layer, :count].nan_to_num(0).argsort(descending=True, stable=True)
            per_layer.append(
                [
                    (scores[layer, part].nan_to_num(0).sum().item(), len(part), [(layer, part)])
                    for part in order.split(size)
                    if len(part)
                ]
            )
        if not self.even:
            return sorted((b for bundles in per_layer for b in bundles), key=lambda b: -b[0] / b[1])
        return [
            (sum(b[0] for b in row), sum(b[1] for b in row), sum((b[2] for b in row), []))
            for row in zip(*per_layer)
        ]

    def masks(self, n_heads: int, n_neurons: int) -> Masks:
        """As many of the best bundles as fit into so many heads and neurons."""
        found = []
        for shape, bundles, most in zip(
            self.shapes, (self.heads, self.neurons), (n_heads, n_neurons)
        ):
            mask, closed = torch.zeros(shape, dtype=torch.bool), set()
            for _, units, places in bundles:
                if units > most:
                    closed |= {
                        layer for layer, _ in places
                    }  # no smaller block of theirs in its stead
                elif not closed & {layer for layer, _ in places}:
                    most -= units
                    for layer, part in places:
                        mask[layer, part] = True
            found.append(mask)
        return Masks(*found, torch.ones(self.shapes[0][0], dtype=torch.bool))


def _within_macs(choice: _Choice, budget: float, costs: tuple[int, int]) -> Masks:
    """Try every number of heads; the rest of the budget buys neurons."""
    head_cost, neuron_cost = costs
    neuron_worth, bought, best = [0.0], [0], None
    for worth, units, _ in choice.neurons:
        neuron_worth.append(neuron_worth[-1] + worth)
        bought.append(bought[-1] + units)
    ends = torch.tensor(bought)
    worth_of_heads, n_heads = 0.0, 0
    for worth, units, _ in [(0.0, 0, None), *choice.heads]:
        worth_of_heads, n_heads = worth_of_heads + worth, n_heads + units
        rest = int((budget - n_heads * head_cost) // neuron_cost)
        if rest < 0:
            break
        total = worth_of_heads + neuron_worth[int(torch.searchsorted(ends, rest, right=True)) - 1]
        if best is None or total > best[0]:
            best = total, n_heads, rest
    return choice.masks(best[1], best[2])


@torch.no_grad()
def rearranged(masks: Masks, scores: Scores) -> Masks:
    """Exchange parts inside each layer so that what is lost cancels; counts stay the same.

    Minimises ‖Σ_pruned g‖² over the calibration set, g a part's gradients on the examples: the
    off-diagonal Fisher information, too. Greedy, from the lowest scores on: each kept part is tried
    in the pruned set, and whatever part leaves the smallest sum when taken out comes back (Kwon et
    al. 2022, section 4.2).
    """
    found = []
    for name, gradients in zip(("heads", "neurons"), scores.gradients):
        mask = getattr(masks, name).clone()
        for layer in range(len(mask)):
            kept = mask[layer].nonzero().flatten()
            g = gradients[:, layer].double()  # (examples, units)
            fisher = g.T @ g  # (units, units)
            kept = kept[getattr(scores, name)[layer, kept].argsort(stable=True)]
            real = fisher.diagonal() > 0  # no places past the layer's own
            out = (~mask[layer] & real).double()
            if not out.any():
                continue
            pull = fisher @ out  # (units,) = fisher · pruned
            for unit in kept.tolist():
                pull += fisher[:, unit]
                out[unit] = 1
                # ‖Σ - g_j‖² = ‖Σ‖² - 2 pull_j + fisher_jj
                gain = (2 * pull - fisher.diagonal()).masked_fill(out == 0, -torch.inf)
                back = int(gain.argmax())
                out[back] = 0
                pull -= fisher[:, back]
            mask[layer] = (mask[layer] | real) & (out == 0)
        found.append(mask)
    return Masks(*found, masks.layers)


def _within_latency(choice: _Choice, table: LatencyTable, budget: float, bins: int = 4000) -> Masks:
    """Exact knapsack in steps of budget/bins, times rounded up: for each layer a number of heads
    and a width.
    """
    room = budget - table.rest
    if room < 0:
        raise ValueError(
            f"max_latency_ms: is {budget}, must be at least {table.rest:.2f}: what embeddings "
            f"and head take alone"
        )
    worth = torch.zeros(bins + 1)  # best sum of scores within so many steps
    masks = [torch.zeros(shape, dtype=torch.bool) for shape in choice.shapes]
    taken = []
    for mask, bundles, points in zip(
        masks, (choice.heads, choice.neurons), (table.attention, table.feed_forward)
    ):
        for layer in range(len(mask)):
            own = [b for b in bundles if b[2][0][0] == layer]
            options, total, units = [(0, 0.0)], 0.0, 0
            for score, size, _ in own:
                total, units = total + score, units + size
                if units in points or size > 1 or units == sum(b[1] for b in own):
                    options.append((units, total))
            steps = [math.ceil(between(points, u) * bins / max(room, 1e-9)) for u, _ in options]
            candidates = torch.full((len(options), bins + 1), -torch.inf)
            for row, ((_, value), cost) in enumerate(zip(options, steps)):
                if cost <= bins:
                    candidates[row, cost:] = worth[: bins + 1 - cost] + value
            worth, pick = candidates.max(0)
            taken.append((pick, steps, options, mask[layer], own))
    left = bins
    for pick, steps, options, row, own in reversed(taken):
        left, units = left - steps[int(pick[left])], options[int(pick[left])][0]
        for _, size, places in own:
            if units >= size:
                row[places[0][1]] = True
                units -= size
    return Masks(*masks, torch.ones(choice.shapes[0][0], dtype=torch.bool))
