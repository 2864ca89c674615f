"""All of it in one call: score, share out the budget, cut, refit."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..measuring.scores import fitting
from ..models.anatomy import has_masks, layers_of
from ..models.batches import as_batches
from ..models.checks import arguments, encoder, one_of, seed, share, whole
from ..models.journal import Journal, digest
from ..models.state import at_rest
from .allocation import Found, Rehearsal, search, weighted
from .importance import Scores, importance
from .repair import repair
from .selection import select
from .surgery import prune

ROUNDS = {"fast": 0, "thorough": 60}
BATCH = 32  # sentences, where data are given
SCORED = 1024  # sentences that are enough for the scores
REHEARSED = 512  # sentences of a rehearsal, if memory allows
MEMORY = 2**30  # bytes for what the original gives on them


@arguments(
    model=encoder,
    keep_macs=lambda name, value: share(name, value, zero=False),
    effort=one_of(ROUNDS),
    seed=seed,
    length=whole(),
    multiple=whole(),
)
def compress(
    model,
    tokenizer,
    batches,
    keep_macs: float,
    effort: str = "fast",
    folder: str | Path | None = None,
    seed: int = 0,
    length: int = 24,
    multiple: int = 1,
    scores: Scores | None = None,
    progress: bool = False,
):
    """A smaller copy of `model` with a share `keep_macs` of the encoder's MACs; nothing is trained,
    and labels are not needed.

    batches: the **calibration set**, data (texts, with labels or without) or batches of it, then
    `tokenizer` is not used; some hundred sentences at least, like those that the model will see.
    effort: `"fast"` is `importance` by "obs" (on some 1,024 sentences from all over), `select`,
    `prune`, and `repair` with inputs=True; `"thorough"` also searches how much each sublayer may
    keep, by the divergence from `model` after a refit, on up to 512 sentences (`allocation`), and
    takes longer. folder: a new folder, in which scores and search are kept, so that the same call
    goes on after an interruption. length, multiple: as in `select`. scores: from `importance`, if
    they are there; they serve every budget.

    Raises `ValueError` for a share that is none, for fewer than four batches, for a model with
    weight masks, or for a folder with other things.
    """
    if has_masks(model):
        raise ValueError("model: has weight masks, must have none: make them permanent first")
    batches = _batches(model, tokenizer, batches)
    if len(batches) < 4:
        raise ValueError(f"batches: are {len(batches)}, must be at least 4, some to measure on")

    def budget(scores: Scores):
        return select(
            scores,
            model,
            keep_macs=keep_macs,
            multiple=multiple,
            rearrange=False,  # the refit makes errors cancel by itself
            length=length,
        )

    same = lambda: {
        "share of MACs": [keep_macs, length, multiple],
        "effort": effort,
        "seed": seed,
        "scores": scores and digest([scores.heads, scores.neurons]),
        "batches": digest(tensor for batch in batches for tensor in batch.values()),
    }
    start = {"loss": None, "step": Found.step, "rounds": 0, "seconds": 0.0}
    with Journal("compression", "folder", folder, same, start, model) as journal:
        scores = scores or _scores(journal, model, batches, seed, progress)
        factors = torch.zeros(2, len(layers_of(model)))
        if ROUNDS[effort]:
            factors = _searched(
                journal, model, batches, scores, budget, ROUNDS[effort], seed, progress
            )
    pruned = prune(model, budget(weighted(scores, factors)))
    return repair(pruned, model, batches, progress=progress, inputs=True)


def _batches(model, tokenizer, batches) -> list[dict]:
    """Batches as they are, or made from data, of sentences of like length, eight or more of them if
    there are as many sentences.
    """
    if not hasattr(batches, "by_length"):
        batches = list(batches) if isinstance(batches, Iterable) else batches
        if not isinstance(batches, list) or not batches or _is_batch(batches[0]):
            return as_batches(model, batches)
    data = fitting(batches, model, "batches").by_length()
    return list(data.batches(tokenizer, max(1, min(BATCH, len(data) // 8))))


def _is_batch(row) -> bool:
    return isinstance(row, dict) and "input_ids" in row


def _scores(journal: Journal, model, batches: list[dict], seed: int, progress: bool) -> Scores:
    if "heads" not in journal.tensors:
        some = _spread(batches, SCORED / _sentences(batches))
        found = importance(model, some, "obs", seed=seed, progress=progress)
        journal.tensors = {"heads": found.heads, "neurons": found.neurons, "layers": found.layers}
        journal.write(journal.tensors)
    known = journal.tensors
    return Scores(known["heads"], known["neurons"], known["layers"], "obs")


def _searched(
    journal: Journal, model, batches, scores: Scores, budget, rounds: int, seed: int, progress: bool
) -> Tensor:
    """The best factors (2, layers) after so many rounds, gone on with from where they stand."""
    with at_rest(model), tqdm(total=rounds, desc="allocate", disable=not progress) as bar:
        rehearsal = Rehearsal(model, _some(batches, model))
        loss = lambda factors: rehearsal(budget(weighted(scores, factors)))
        state, known = journal.state, journal.tensors
        if "factors" in known:
            found = Found(known["factors"], state["loss"], state["step"], state["rounds"])
        else:
            nothing = torch.zeros(2, len(layers_of(model)))
            found = Found(nothing, loss(nothing))
        bar.update(found.rounds)
        for newer in search(loss, found, rounds, seed):
            found = newer
            state |= {"loss": found.loss, "step": found.step, "rounds": found.rounds}
            journal.write(known | {"factors": found.factors})
            bar.update(1)
            bar.set_postfix(divergence=f"{found.loss:.4f}")
    return found.factors


def _some(batches: list[dict], model) -> list[dict]:
    """Batches from all over, as many as `REHEARSED` and `MEMORY` allow."""
    numbers = 2 * len(layers_of(model)) * model.config.hidden_size
    tokens = sum(batch["input_ids"].numel() for batch in batches)
    fits = MEMORY / (4 * numbers * max(tokens, 1)) if numbers else 1.0
    return _spread(batches, min(REHEARSED / _sentences(batches), fits))


def _sentences(batches: list[dict]) -> int:
    return sum(len(batch["input_ids"]) for batch in batches)


def _spread(batches: list[dict], share: float) -> list[dict]:
    """A share of the batches, from all over; four at least."""
    n = min(len(batches), max(4, int(share * len(batches))))
    return [batches[i * len(batches) // n] for i in range(n)]
