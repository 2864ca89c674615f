"""Batches as they come, from data of this package, from tokenizers, from transformers' collators:
made alike, and checked before any work.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from .anatomy import inputs_of
from .tasks import Task, task_of

NAMES = ("input_ids", "attention_mask", "token_type_ids", "counts", "labels")
LABELS = ("label", "label_ids")  # what else labels are called
SPANS = ("start_positions", "end_positions")  # and those of answers
FOREIGN = ("position_ids", "inputs_embeds")  # would change what the model reads


def as_batches(model, batches: Iterable[Mapping] | None, labels: bool = False) -> list[dict]:
    """The batches as this package has them, dicts of tensors; those without examples left out.

    Taken are dicts, or what behaves as one (`BatchEncoding`), of tensors, arrays or lists:
    input_ids and attention_mask (B, T), token_type_ids, counts, and labels, also as `label`,
    `label_ids`, or `start_positions` and `end_positions`. labels: whether these must be the task's
    where there are any. Raises `ValueError`, naming the place and what is wrong, for anything that
    the model would not read as it is meant: another tokenizer's ids, rows without tokens or padded
    on the left where that changes the answer, labels that none of its outputs has, or no labels
    that count.
    """
    wrong = isinstance(batches, Mapping | str | bytes | Tensor) or not isinstance(
        [] if batches is None else batches, Iterable
    )
    if wrong:
        raise ValueError(
            f"batches: is a {type(batches).__name__}, must be a list of batches, dicts with "
            "input_ids and attention_mask"
        )
    task, found, known = task_of(model), [], []
    for place, batch in enumerate([] if batches is None else batches):
        batch = _read(model, batch, place)
        if not len(batch["input_ids"]):
            continue
        found.append(batch)
        if labels and task.needs_labels and "labels" in batch:
            targets = task.targets(batch, _like_outputs(model, task, batch))
            known.append(task.answers_in(targets))
        _check_places(task, batch, place)
    if known and not any(known):
        raise ValueError("batches: have labels of which none counts (all are -100)")
    if task.per_token and found and not any(task.where(batch).any() for batch in found):
        raise ValueError("batches: have no token whose answer counts")
    return found


def as_batch(model, batch: Mapping, place: int = 0) -> dict[str, Tensor]:
    """One batch, made alike and checked, but for its labels."""
    batch = _read(model, batch, place)
    _check_places(task_of(model), batch, place)
    return batch


def _read(model, batch, place: int) -> dict[str, Tensor]:
    batch = _tensors(batch, place)
    if len(batch["input_ids"]):
        _check(model, task_of(model), batch, place)
    return batch


def _tensors(batch, place: int) -> dict[str, Tensor]:
    if not isinstance(batch, Mapping):
        raise ValueError(
            f"batches: has a {type(batch).__name__} at place {place}, must be a dict with "
            "input_ids and attention_mask"
        )
    given = {name: value for name, value in batch.items() if value is not None}
    for name in ("input_ids", "attention_mask"):
        if name not in given:
            raise ValueError(f"batches: the one at place {place} has no {name}")
    for name in FOREIGN:
        if name in given:
            raise ValueError(f"batches: the one at place {place} has {name}, which are not read")
    other = next((name for name in LABELS if name in given), None)
    if "labels" not in given and other:
        given["labels"] = given[other]
    spans = [name for name in SPANS if name in given]
    if len(spans) == 1:
        raise ValueError(f"batches: the one at place {place} has {spans[0]} alone, must have both")
    if "labels" not in given and spans:
        first, last = (_tensor(given[name], name, place).flatten() for name in SPANS)
        given["labels"] = torch.stack([first, last], 1)
    found = {name: _tensor(given[name], name, place) for name in NAMES if name in given}
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        if name in found:
            found[name] = _whole(found[name], name, place)
    if "counts" in found:
        found["counts"] = found["counts"].bool()
    return found


def _tensor(value, name: str, place: int) -> Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"batches: {name} at place {place} cannot be made a tensor ({error}): rows must be "
            "equally long"
        ) from error


def _whole(tensor: Tensor, name: str, place: int) -> Tensor:
    """As int64, if nothing is lost by that: tokens are not numbers between others."""
    found = tensor.long()
    if tensor.is_complex() or tensor.is_floating_point() and not (found == tensor).all():
        raise ValueError(f"batches: {name} at place {place} have {tensor.dtype}, not whole numbers")
    return found


def _check(model, task: Task, batch: dict, place: int) -> None:
    ids, real = batch["input_ids"], batch["attention_mask"]
    if ids.dim() != 2 or not ids.shape[1]:
        raise ValueError(
            f"batches: input_ids at place {place} have shape {tuple(ids.shape)}, must be "
            "(examples, tokens)"
        )
    for name in ("attention_mask", "token_type_ids", "counts"):
        if name in batch and batch[name].shape != ids.shape:
            raise ValueError(
                f"batches: {name} at place {place} has shape {tuple(batch[name].shape)}, must be "
                f"{tuple(ids.shape)} as input_ids"
            )
    inputs = inputs_of(model, batch)
    config = model.config
    for name, most in (
        ("input_ids", config.vocab_size),
        ("token_type_ids", getattr(config, "type_vocab_size", 1)),
        ("attention_mask", 2),
    ):
        if name in inputs and not 0 <= int(batch[name].min()) <= int(batch[name].max()) < most:
            raise ValueError(
                f"batches: {name} at place {place} are from {int(batch[name].min())} to "
                f"{int(batch[name].max())}, must be from 0 to {most - 1} for this model: was it "
                "another one's tokenizer?"
            )
    if not real.any(1).all():
        raise ValueError(f"batches: the one at place {place} has rows without any token")
    if not real[:, 0].all() and reads_first(model, task):
        raise ValueError(
            f"batches: the one at place {place} is padded on the left, where this model reads: "
            "set tokenizer.padding_side = 'right'"
        )


def _check_places(task: Task, batch: dict, place: int) -> None:
    if task.per_token and (task.where(batch) & ~batch["attention_mask"].bool()).any():
        raise ValueError(
            f"batches: the one at place {place} has labels or counts where there is padding, must "
            "have -100 there"
        )


def reads_first(model, task: Task) -> bool:
    """Whether it matters what stands first: BERT counts positions from there."""
    plain = model.config.model_type.removeprefix("pruned-") == "bert"
    pools = task.name == "embedding" and getattr(model.config, "pooling", "mean") == "cls"
    return plain or pools or task.kind == "ForSequenceClassification"


def _like_outputs(model, task: Task, batch: dict) -> Tensor:
    """Of the shape that the task's outputs have, without memory."""
    examples, tokens = batch["input_ids"].shape
    pieces = task.kind == "ForMaskedLM"
    width = model.config.vocab_size if pieces else model.config.num_labels
    if task.name == "question-answering":
        return torch.zeros(()).expand(examples, 2, tokens)
    return torch.zeros(()).expand(
        int(task.where(batch).sum()) if task.per_token else examples, width
    )
