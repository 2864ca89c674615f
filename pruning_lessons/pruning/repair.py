"""Refit what is left, in closed form, so that a pruned model answers like the original again."""

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..models.anatomy import copied, embed, has_masks, kept_heads, kept_layers, layers_of
from ..models.batches import as_batches
from ..models.checks import share
from ..models.state import at_rest
from ..models.tasks import check_partners, outputs, task_of

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@torch.no_grad()
def repair(
    pruned,
    original,
    batches: Iterable[dict],
    held_out: float = 0.1,
    ridges: tuple = RIDGES,
    progress: bool = False,
):
    """A copy of `pruned` whose remaining output matrices and biases are refitted to `original` by
    least squares.

    batches: dicts with input_ids and attention_mask (batch, T); labels are not used. Layer by layer
    in order, first the attention's output matrix, then the feed-forward part's: with X what the
    remaining heads or neurons give on the calibration tokens, and Y what the original has after the
    sublayer minus what the pruned model carries past it, W' = argmin ‖X W'ᵀ + b - Y‖² + λ‖W' - W‖².
    So every refit also makes up for the errors of those before it. X and Y enter through their Gram
    matrices alone, in float64; λ is the best of `ridges` (times the mean diagonal of the Gram
    matrix) on a share `held_out` of the batches. A layer in front of removed layers is fitted to
    what the last of those gave, and takes over its LayerNorm. The hidden states of both models are
    carried along, so that all of it costs about three forward passes.

    It extends the mask tuning of Kwon et al. 2022 (section 4.3: one factor for each part) to whole
    matrices, as in Frantar and Alistarh 2023 (SparseGPT, section 3) for single weights. If on the
    held-out batches the result is not closer to the original's answers than `pruned` was (by the
    task's divergence: KL of classes, squared error of numbers, 1 - cos of vectors), a plain copy of
    `pruned` comes back, with a warning.

    Raises `ValueError` if there are fewer than two batches, if `pruned` has weight masks, which a
    refit would fill, or if the models do not belong together.
    """
    if has_masks(pruned):
        raise ValueError("pruned: has weight masks, must have none: a refit would fill the zeros")
    check_partners(pruned, original, "pruned", "original")
    places = _places(pruned, original)
    if not 0 < share("held_out", held_out) < 1:
        raise ValueError(f"held_out: is {held_out!r}, must be a share above 0 and below 1")
    ridges = _checked_ridges(ridges)
    batches = as_batches(original, batches)
    if len(batches) < 2:
        raise ValueError(
            f"batches: are {len(batches)}, must be at least 2: some are held out to choose the "
            f"ridge"
        )
    if not places:
        return copied(pruned)
    every = max(2, round(1 / held_out))
    check = [
        i % every == every - 1 or (i == len(batches) - 1 and i < every) for i in range(len(batches))
    ]
    fixed = copied(pruned)
    with at_rest(pruned, original, fixed):
        states = _States(fixed, original, batches, check)
        for new, layer in enumerate(tqdm(layers_of(fixed), desc="repair", disable=not progress)):
            last = places[new + 1] - 1 if new + 1 < len(places) else len(layers_of(original)) - 1
            states.attention(layer, places[new], ridges)
            states.feed_forward(layer, places[new], last, ridges)
        held = [batch for batch, held in zip(batches, check) if held]
        before, after = divergences([pruned, fixed], original, held)
    if not after <= before - 1e-7:  # that much is rounding; NaN declines, too
        warnings.warn(
            f"repair declines: on held-out batches the divergence from the original would go "
            f"from {before:.4f} to {after:.4f}"
        )
        return copied(pruned)
    return fixed


def _places(pruned, original) -> list[int]:
    """The original's index of every layer of the pruned model."""
    known, mine = kept_layers(original), kept_layers(pruned)
    if set(mine) <= set(known):
        places, heads = [known.index(place) for place in mine], kept_heads(original)
        fits = (set(own) <= set(heads[place]) for own, place in zip(kept_heads(pruned), places))
        sizes = {model.config.num_attention_heads for model in (pruned, original)}
        if len(sizes) == 1 and all(fits):
            return places
    raise ValueError(
        "pruned: has layers or heads that original has not, must be what prune(original, masks) "
        "gave"
    )


def _checked_ridges(ridges) -> tuple[float, ...]:
    try:
        found = tuple(float(ridge) for ridge in ridges)
    except (TypeError, ValueError):
        found = ()
    if not found or not all(0 <= ridge < float("inf") for ridge in found):
        raise ValueError(f"ridges: is {ridges!r}, must be numbers of at least 0, one or more")
    return found


class _States:
    """Hidden states of both models on all batches, carried from layer to layer."""

    def __init__(self, pruned, original, batches: list[dict], check: list[bool]):
        self.original, self.check = original, check
        self.mine, self.theirs, self.masks, self.real = [], [], [], []
        for batch in batches:
            x, bias = embed(original, batch)
            self.theirs.append(x)  # (B, T, d), before layer `at`
            self.mine.append(embed(pruned, batch)[0])
            self.masks.append(bias)
            self.real.append(batch["attention_mask"].bool().to(x.device))
        self.at = 0

    def attention(self, layer, place: int, ridges) -> None:
        """Refit one attention output matrix; move both streams past the attention."""
        while self.at < place:  # only before the first kept layer
            self.theirs = [
                layers_of(self.original)[self.at](x, bias)
                for x, bias in zip(self.theirs, self.masks)
            ]
            self.at += 1
        goal = layers_of(self.original)[place].attention
        self.middle, inputs, targets = [], [], []
        for mine, theirs, bias in zip(self.mine, self.theirs, self.masks):
            wanted = theirs + goal.output.dense(goal.self(theirs, bias)[0])  # before the LayerNorm
            self.middle.append(goal.output.LayerNorm(wanted))
            inputs.append(layer.attention.self(mine, bias)[0])
            targets.append(wanted)
        self.mine = self._refit(layer.attention.output, inputs, targets, ridges)

    def feed_forward(self, layer, place: int, last: int, ridges) -> None:
        """Refit one feed-forward output matrix, towards the end of layer `last`; move both streams
        there.
        """
        targets = []
        for i, (x, bias) in enumerate(zip(self.middle, self.masks)):
            for step in range(place, last + 1):
                goal = layers_of(self.original)[step]
                if step > place:
                    x = goal.attention(x, bias)[0]
                wanted = x + goal.output.dense(goal.intermediate(x))
                x = goal.output.LayerNorm(wanted)
            self.theirs[i] = x
            targets.append(wanted)
        self.at = last + 1
        if last > place:
            layer.output.LayerNorm.load_state_dict(
                layers_of(self.original)[last].output.LayerNorm.state_dict()
            )
        self.mine = self._refit(
            layer.output, [layer.intermediate(x) for x in self.mine], targets, ridges
        )

    def _refit(self, output, inputs: list[Tensor], targets: list[Tensor], ridges) -> list[Tensor]:
        """Fit `output.dense` so that inputs · Wᵀ + b + mine comes close to targets; return what
        follows it.
        """
        fit, check = _Gram(output.dense), _Gram(output.dense)
        for x, wanted, mine, real, held in zip(inputs, targets, self.mine, self.real, self.check):
            weight = 1 / wanted[real].var(dim=1, keepdim=True)  # LayerNorm divides by the deviation
            (check if held else fit).add(x[real], (wanted - mine)[real], weight)
        _solve(output.dense, fit, check, ridges)
        return [output.LayerNorm(mine + output.dense(x)) for x, mine in zip(inputs, self.mine)]


class _Gram:
    """Weighted sums over tokens of (x, 1)ᵀ(x, 1), (x, 1)ᵀ y and y², in float64."""

    def __init__(self, dense: nn.Linear):
        rows, columns = dense.in_features + 1, dense.out_features
        options = dict(dtype=torch.float64, device=dense.weight.device)
        self.xx, self.xy = torch.zeros(rows, rows, **options), torch.zeros(rows, columns, **options)

    def add(self, x: Tensor, y: Tensor, weight: Tensor) -> None:
        """x: (tokens, in), y: (tokens, out), weight: (tokens, 1)."""
        x = torch.cat([x, x.new_ones(len(x), 1)], dim=1) * weight.sqrt()
        self.xx += (x.T @ x).double()
        self.xy += (x.T @ (y * weight.sqrt())).double()

    def error(self, solution: Tensor) -> float:
        """Σ weight·‖y - (x, 1)·solution‖², less the part that no solution changes."""
        return ((solution * (self.xx @ solution)).sum() - 2 * (solution * self.xy).sum()).item()


def _solve(dense: nn.Linear, fit: _Gram, check: _Gram, ridges) -> None:
    """Ridge regression towards the present weights; the bias is not held back. No change, where
    none helps.
    """
    start = torch.cat([dense.weight.T, dense.bias[None]]).double()  # (in + 1, out)

    def solve(xx: Tensor, xy: Tensor, ridge: float) -> Tensor:
        penalty = xx.new_full(
            (len(xx), 1), ridge * xx.diagonal()[:-1].mean().item() if len(xx) > 1 else 0.0
        )
        penalty[-1] = 1e-9 * xx[-1, -1]
        system, wanted = xx + penalty[:, 0].diag(), xy + penalty * start
        factor, failed = torch.linalg.cholesky_ex(system)  # half the work of a general solver
        return (
            torch.linalg.solve(system, wanted) if failed else torch.cholesky_solve(wanted, factor)
        )

    best = min(ridges, key=lambda ridge: check.error(solve(fit.xx, fit.xy, ridge)))
    if check.error(solve(fit.xx, fit.xy, best)) >= check.error(start):
        return
    found = solve(fit.xx + check.xx, fit.xy + check.xy, best).to(dense.weight.dtype)
    dense.weight.copy_(found[:-1].T), dense.bias.copy_(found[-1])


@torch.no_grad()
def divergences(models: list, original, batches: list[dict]) -> list[float]:
    """The mean divergence of each model's answers from the original's, as their task has it."""
    task, totals, n = task_of(original), [0.0] * len(models), 0
    with at_rest(original, *models):
        for batch in batches:
            theirs = outputs(original, batch)
            n += len(theirs)
            for i, model in enumerate(models):
                totals[i] += task.divergence(theirs, outputs(model, batch)).sum().item()
    return [total / max(n, 1) for total in totals]
