"""A folder that opens again."""

import copy
import json
import shutil
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..models import sentence_files
from ..models.anatomy import (
    has_masks,
    heads_per_layer,
    kept_heads,
    layers_of,
    longest,
    neurons_per_layer,
)
from ..models.checkpoints import quiet, told_task
from ..models.families import PRUNED_CLASS, empty
from ..models.files import as_folder, settle, written_beside
from ..models.seals import seal
from ..models.stored import (
    ADAPTERS,
    CONFIG,
    INDEX,
    READ,
    WEIGHTS,
    check_tokenizer,
    read_stored,
)
from ..models.tasks import check_labels, task_of

PROBE = "The cat sat on the mat. Zażółć gęślą jaźń, 你好, مرحبا! <mask> [MASK] 1234"


def save(model, tokenizer, folder: str | Path) -> Path:
    """Write `folder`, which `load` and transformers' Auto classes open with the same weights, bit
    for bit.

    A shape that plain transformers can express (layers removed, all heads there, the same number of
    neurons in each layer) opens without this package, an embedder in sentence-transformers, too;
    the Auto classes know the others after `import pruning_lessons`. Only the files of a checkpoint
    are written, all or none, over those of an earlier one; whatever else is in the folder stays.
    Before they are put in place it is checked that `load` would open them. Checksums go with them:
    `load` refuses weights that are damaged, and names other files that have changed since.

    Raises `TypeError` or `ValueError` if the model is not what its configuration says or has
    weights that are no numbers, if the tokenizer is not of this model, or if something in the
    folder is in the way; `OSError` if it cannot be written to. What was there then stays.
    """
    folder = as_folder(folder)
    task = task_of(model)
    if has_masks(model):
        raise ValueError(
            "model: has weight masks, must have none: use prune_weights(..., permanent=True)"
        )
    if len(layers_of(model)) != model.config.num_hidden_layers:
        raise ValueError(
            f"model: has {len(layers_of(model))} layers, its config says "
            f"{model.config.num_hidden_layers}: "
            "it would load with random layers. Remove layers with prune()"
        )
    check_labels(model)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise TypeError(
            f"tokenizer: is a {type(tokenizer).__name__}, must be a tokenizer of transformers"
        )
    check_tokenizer(tokenizer, model.config, "tokenizer:")
    twin = _twin(model)
    settle(folder)
    _check_folder(folder)
    with written_beside(folder) as fresh, quiet():
        twin.save_pretrained(fresh, max_shard_size="10TB")
        tokenizer.save_pretrained(fresh)
        if getattr(twin.config, "pooling", None) and task.name == "embedding":
            length = min(tokenizer.model_max_length, longest(twin.config))
            sentence_files.write(fresh, twin.config, length)
        if (folder / INDEX).is_file():  # of a checkpoint in several files
            _write_index(fresh, twin)
        _check_opens(fresh, folder, twin, tokenizer, task.name)
        read = [file for pattern in READ for file in fresh.glob(pattern) if file.name != WEIGHTS]
        seal(fresh / WEIGHTS, read)
    return folder


def _twin(model):
    """A model with the same weights (shared), of the class that is written, and a configuration of
    its own. `ValueError` if weights are not what the configuration says, or no numbers.
    """
    model_class, config = _plain(model) or (type(model), copy.deepcopy(model.config))
    try:
        json.dumps(config.to_dict())
    except (TypeError, ValueError) as error:
        raise ValueError(f"model: its config cannot be written as JSON ({error})") from error
    twin = empty(model_class, config, pooler=getattr(model, "pooler", True) is not None)
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    _check_shapes(
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        {name: tuple(tensor.shape) for name, tensor in twin.state_dict().items()},
    )
    for name, tensor in state.items():
        if tensor.is_meta:
            raise ValueError(f"model: has no values in {name} (device 'meta')")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"model: has NaN or infinite values in {name}, must have numbers")
    tied = getattr(twin, "all_tied_weights_keys", None) or {}
    twin.load_state_dict(_apart(state, {*tied, *tied.values()}), assign=True)
    for one, other in tied.items():
        if not _equal(state.get(one), state.get(other)):
            raise ValueError(
                f"model: has other values in {one} than in {other}, its config ties them "
                "(tie_word_embeddings): call model.tie_weights(), or set it to False"
            )
    twin.tie_weights()
    return twin


def _apart(state: dict[str, Tensor], tied: set[str]) -> dict[str, Tensor]:
    """The weights, each with memory of its own unless the configuration ties them: what shares
    memory is written once, and would be missing.
    """
    found, known = {}, set()
    for name, tensor in state.items():
        shared = tensor.numel() > 0 and tensor.data_ptr() in known and name not in tied
        found[name] = tensor.clone() if shared else tensor
        known.add(tensor.data_ptr())
    return found


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or one.data_ptr() == other.data_ptr():
        return True
    return torch.equal(one, other)


def _check_shapes(here: dict[str, tuple], wanted: dict[str, tuple]) -> None:
    for name in dict.fromkeys([*wanted, *here]):
        if here.get(name) != wanted.get(name):
            text = lambda shape: "nothing" if shape is None else f"shape {shape}"
            raise ValueError(
                f"model: has {text(here.get(name))} as {name}, its config makes it "
                f"{text(wanted.get(name))}: it would not load. Cut with prune(), and keep the "
                "config true"
            )


def _plain(model):
    """(transformers' own class, its configuration) if these express the model's shape, else None.

    `kept_layers` stays in the configuration: which layers of the unpruned model these are.
    """
    plain = {ours: theirs for theirs, ours in PRUNED_CLASS.items()}.get(type(model))
    neurons, every = set(neurons_per_layer(model)), list(range(model.config.num_attention_heads))
    if plain is None or len(neurons) > 1 or 0 in neurons:
        return None
    if any(heads != every for heads in kept_heads(model)) or any(
        heads != len(every) for heads in heads_per_layer(model)
    ):
        return None
    facts = copy.deepcopy(model.config).to_dict()
    for name in ("model_type", "kept_heads", "neurons_per_layer"):
        facts.pop(name, None)
    facts["intermediate_size"] = next(iter(neurons), model.config.intermediate_size)
    return plain, plain.config_class(**facts)


def _check_folder(folder: Path) -> None:
    """`ValueError` if the folder has files that would be replaced, and are of no checkpoint."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder: {str(folder)!r} is a file, must be a folder")
    if (folder / CONFIG).is_file():
        try:
            known = json.loads((folder / CONFIG).read_text("utf-8"))
        except ValueError:
            known = None
        if isinstance(known, dict) and {"model_type", "architectures"} & set(known):
            return
    for name in (CONFIG, WEIGHTS, "tokenizer.json", "tokenizer_config.json"):
        if (folder / name).exists():
            raise ValueError(
                f"folder: {str(folder)!r} holds a {name} that is of no checkpoint: name a new "
                "folder"
            )


def _write_index(fresh: Path, twin) -> None:
    """In place of an index of several files: one that says that all is in the new one."""
    names = dict.fromkeys(twin.state_dict(), WEIGHTS)
    text = json.dumps({"metadata": {}, "weight_map": names}, indent=2)
    (fresh / INDEX).write_text(text + "\n", encoding="utf-8")


def _check_opens(fresh: Path, folder: Path, twin, tokenizer, task: str) -> None:
    """`ValueError` unless `load` would find this model in the folder, with what else is there."""
    others = [
        file
        for pattern in READ
        for file in folder.glob(pattern)
        if not (fresh / file.relative_to(folder)).exists()
        and (file.suffix != ".safetensors" or file.name in ADAPTERS)
    ]
    new = {file.relative_to(folder).parts[0] for file in others}
    try:
        for file in others:
            there = fresh / file.relative_to(folder)
            there.parent.mkdir(exist_ok=True)
            there.touch() if file.suffix == ".safetensors" else shutil.copyfile(file, there)
        found = read_stored(fresh, str(folder), shapes_only=True)
        told = told_task(found)
        again = empty(type(twin), found.config, pooler=getattr(twin, "pooler", True) is not None)
    except ValueError as error:
        raise ValueError(f"folder: {str(folder)!r} would not open again: {error}") from error
    finally:
        for name in new:
            path = fresh / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    stored, wanted = found.weights, twin.state_dict()
    tied = set(getattr(twin, "all_tied_weights_keys", None) or {})
    _check_shapes(
        {name: tuple(stored[name].shape) for name in stored},
        {
            name: tuple(tensor.shape)
            for name, tensor in again.state_dict().items()
            if name in stored or name not in tied
        },
    )
    beside = f" ({', '.join(sorted(new))} there is read with it)" if new else ""
    facts = lambda words: (words.get_vocab(), words(PROBE).input_ids, words.special_tokens_map)
    for what, same in (
        ("task", told.name == task),
        ("class", type(twin).config_class is type(found.config)),
        ("weight", set(stored) <= set(wanted)),
        ("tokenizer", facts(found.tokenizer) == facts(tokenizer)),
    ):
        if not same:
            raise ValueError(
                f"folder: {str(folder)!r} would open with another {what} than it was saved with"
                f"{beside}: name a new folder"
            )
