"""Refit what is left, in closed form, so that a pruned model answers like the original again."""

import warnings
from collections.abc import Iterable, Mapping

import torch
from tqdm.auto import tqdm

from ..models.anatomy import copied, has_masks, kept_heads, kept_layers, layers_of
from ..models.batches import as_batches
from ..models.checks import arguments, encoder, share
from ..models.memory import room_for
from ..models.state import at_rest
from ..models.tasks import check_partners, outputs, task_of
from .streams import Refit, Wanted

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@torch.no_grad()
@arguments(pruned=encoder, original=encoder)
def repair(
    pruned,
    original,
    batches: Iterable[dict],
    held_out: float = 0.1,
    ridges: tuple = RIDGES,
    progress: bool = False,
    inputs: bool = False,
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
    what the last of those gave, and takes over its LayerNorm. In the last layer only those tokens
    count that the head reads. The hidden states of both models are carried along, so that all of it
    costs about three forward passes, and memory for some ten numbers of the hidden size a token.

    inputs: before that, the matrices that a sublayer reads with are refitted, too (queries, keys
    and values, or the first feed-forward matrix): on the pruned model's hidden states they should
    give what they give on the original's, the asymmetry of GPTAQ (Li et al. 2025). It takes longer,
    and gains the more, the less is kept (benchmarks/trials.md).

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
    tokens = sum(batch["input_ids"].numel() for batch in batches)
    states = 4 * 4 * original.config.hidden_size * tokens  # four numbers of 4 bytes at the least
    room_for(states, f"hidden states of {tokens:,} tokens")
    fixed = copied(pruned)
    with at_rest(pruned, original, fixed), tqdm(desc="repair", disable=not progress) as bar:
        bar.reset(len(places))
        parts = ["check" if held else "fit" for held in check]
        Refit(layers_of(fixed), places, Wanted(original, batches), parts).run(ridges, inputs, bar)
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
        found = () if isinstance(ridges, Mapping) else tuple(float(ridge) for ridge in ridges)
    except (TypeError, ValueError):
        found = ()
    if not found or not all(0 <= ridge < float("inf") for ridge in found):
        raise ValueError(f"ridges: is {ridges!r}, must be numbers of at least 0, one or more")
    return found


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
