"""What a checkpoint's folder holds: read in one piece, and refused with a reason if it is no model
that this package takes as it is.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer

from . import sentence_files
from .anatomy import FAMILIES, check_family, longest
from .files import read_whole, versions
from .four_bits import read_four_bits
from .seals import changed

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
FOUR_BITS = "model-4bit.safetensors"
ADAPTERS = ("adapter_config.json", "adapter_model.safetensors")
# one of these holds the pieces
PIECES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
# all that is read besides shards
READ = (
    *(CONFIG, WEIGHTS, INDEX, FOUR_BITS, *ADAPTERS, *PIECES),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt"),
    *(sentence_files.MODULES, sentence_files.PROMPTS, sentence_files.LENGTH),
    "*Pooling/config.json",
)
SHARDS = "model-*-of-*.safetensors"
DAMAGED = ": it is truncated or corrupted, save it or fetch it again (hf download --force-download)"
# transformers' names of what a head on a text is for
PROBLEMS = {
    "classification": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}


@dataclass
class Stored:
    """A checkpoint as it is on disk.

    name: what the caller called it. raw: config.json. weights: float32 tensors by name, or of the
    same shapes on the meta device.
    """

    name: str
    raw: dict
    config: object
    tokenizer: object
    weights: dict[str, Tensor]
    sentence: dict

    @property
    def architecture(self) -> str | None:
        """The class that saved it; without "Pruned"."""
        names = self.raw.get("architectures")
        if not isinstance(names, list) or not names or not isinstance(names[0], str):
            return None
        return names[0].removeprefix("Pruned")

    def label_names(self) -> list[str]:
        """Its labels in the order of the outputs. `ValueError` if ids have gaps, or names come
        twice.
        """
        count, names = self.config.num_labels, self.raw.get("id2label")
        if names is None:
            return [f"LABEL_{i}" for i in range(count)]
        if not isinstance(names, dict):
            raise ValueError(f"checkpoint: {self.name!r} has an id2label that is no dict")
        ids = sorted(int(i) if str(i).isdecimal() else -1 for i in names)
        if ids != list(range(len(ids))) or self.raw.get("num_labels", len(ids)) != len(ids):
            raise ValueError(
                f"checkpoint: {self.name!r} has the label ids {_some(names)}, must have "
                f"0 to {self.raw.get('num_labels', len(ids)) - 1}: set id2label in its config.json"
            )
        named = [str(names[str(i)]) for i in ids]
        twice = [name for name in named if named.count(name) > 1]
        if twice:
            raise ValueError(
                f"checkpoint: {self.name!r} has the label {twice[0]!r} more than once, must have "
                "different names: set id2label in its config.json"
            )
        return named


def read_stored(folder: Path, name: str, shapes_only: bool = False) -> Stored:
    """The checkpoint in a folder, all of it as it was at one moment.

    name: what errors call it. shapes_only: read no weights, of a folder that nobody else writes to.
    Raises `ValueError` that names it, the file and the reason.
    """
    if shapes_only:
        return _read(folder, name, shapes_only)
    state = lambda: versions([file for pattern in (*READ, SHARDS) for file in folder.glob(pattern)])
    with refused(name, "its files"):
        found = read_whole(folder, state, lambda: _read(folder, name, False))
    if found is None:
        raise ValueError(
            f"checkpoint: {name!r} is being written to all the time: load it again later"
        )
    return found


def _read(folder: Path, name: str, shapes_only: bool) -> Stored:
    if not (folder / CONFIG).is_file():
        raise ValueError(f"checkpoint: {name!r} is no checkpoint: it has no {CONFIG}")
    for file in ADAPTERS:
        if (folder / file).exists():
            raise ValueError(
                f"checkpoint: {name!r} has an adapter beside its weights ({file}), which would be "
                "left out: merge it (peft: merge_and_unload()) and save the result"
            )
    with refused(name, CONFIG):
        raw = json.loads((folder / CONFIG).read_text("utf-8"), parse_constant=_no_number)
        _check_raw(raw, name)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        check_family(config.model_type, config)
        config.return_dict, config.chunk_size_feed_forward = True, 0  # what changes no answer
    files = _weight_files(folder, name)
    weights = {}
    for file in files:
        with refused(name, file.name, DAMAGED):
            weights |= _tensors(file, shapes_only)
            for other in changed(file, weights=not shapes_only):
                warnings.warn(
                    f"checkpoint: {name!r} has another {other} than was saved with its weights: "
                    "edited since, or damaged"
                )
    _check_numbers(weights, name)
    with refused(name, "its tokenizer"):
        tokenizer = _tokenizer(folder, config, name)
    with refused(name, "its files of sentence-transformers"):
        sentence = sentence_files.read(folder)
    return Stored(name, raw, config, tokenizer, weights, sentence)


@contextmanager
def refused(name: str, what: str, advice: str = "") -> Iterator[None]:
    """Whatever goes wrong inside becomes a `ValueError` that names the checkpoint and the file."""
    try:
        yield
    except BaseException as error:
        # a panic of the tokenizers is no Exception; Ctrl-C is none of ours
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if isinstance(error, ValueError) and str(error).startswith("checkpoint:"):
            raise
        text = str(error) if not isinstance(error, KeyError) else f"no {error}"
        said = next((line.strip() for line in text.splitlines() if line.strip()), "")
        said = f"{type(error).__name__} {said}" if type(error) is not ValueError else said
        raise ValueError(
            f"checkpoint: {name!r} cannot be loaded: {what}{advice} ({said[:300]})"
        ) from error


def _no_number(said: str) -> None:
    raise ValueError(f"holds {said}, must hold finite numbers")


def _check_raw(raw, name: str) -> None:
    """`ValueError` for what plain transformers would read past, or fetch code for."""
    if not isinstance(raw, dict):
        raise ValueError(f"holds a {type(raw).__name__}, must hold names and values")
    if not isinstance(raw.get("model_type"), str):
        raise ValueError("names no model_type")
    if raw["model_type"].removeprefix("pruned-") not in FAMILIES:
        check_family(raw["model_type"])
    if raw.get("auto_map"):
        raise ValueError(
            f"checkpoint: {name!r} brings code of its own (auto_map), which is not run: only "
            f"models whose code is transformers' own are loaded"
        )
    if raw.get("quantization_config"):
        raise ValueError(
            f"checkpoint: {name!r} is quantised (quantization_config), must have float weights: "
            "load the checkpoint that it was made from, prune, and quantise at the end"
        )
    positions = raw.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        raise ValueError(
            f"checkpoint: {name!r} has position_embedding_type {positions!r}, must be 'absolute': "
            "transformers 5 would leave relative positions out"
        )
    if raw.get("problem_type") not in (None, *PROBLEMS.values()):
        raise ValueError(
            f"checkpoint: {name!r} has problem_type {raw['problem_type']!r}, must be one of "
            f"{list(PROBLEMS.values())}"
        )
    for key in ("attn_implementation", "_attn_implementation"):
        if raw.get(key) not in (None, "eager", "sdpa"):
            raise ValueError(f"{key} is {raw[key]!r}, must be 'eager' or 'sdpa'")


def _weight_files(folder: Path, name: str) -> list[Path]:
    """The files of safetensors, in transformers' order of preference."""
    shards = []
    if (folder / INDEX).is_file():
        with refused(name, INDEX):
            index = json.loads((folder / INDEX).read_text("utf-8"))
            if not isinstance(index, dict) or not isinstance(index.get("weight_map"), dict):
                raise ValueError("has no weight_map with a file for each weight")
            shards = sorted(set(index["weight_map"].values()))
            if not shards or not all(Path(shard).name == shard for shard in shards):
                raise ValueError("must name files in its own folder")
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not shards and (folder / FOUR_BITS).is_file():
        return [folder / FOUR_BITS]
    for shard in shards or [WEIGHTS]:
        if not (folder / shard).is_file():
            raise ValueError(
                f"checkpoint: {name!r} has no {shard} (only safetensors are read): open it with "
                "transformers, which reads .bin, and save it to a folder (save_pretrained)"
            )
    return [folder / shard for shard in shards]


def _tensors(file: Path, shapes_only: bool) -> dict[str, Tensor]:
    """A file's tensors by name: copies in float32, whatever happens to the file afterwards."""
    if file.name == FOUR_BITS:
        return read_four_bits(file)
    with safe_open(file, "pt") as stored:
        if shapes_only:
            shape = lambda key: stored.get_slice(key).get_shape()
            return {key: torch.empty(shape(key), device="meta") for key in stored.keys()}
        return {key: _float(stored.get_tensor(key)) for key in stored.keys()}


def _float(tensor: Tensor) -> Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.to(dtype, copy=True)


def _check_numbers(weights: dict[str, Tensor], name: str) -> None:
    for key, tensor in weights.items():
        if not tensor.is_floating_point():
            if key.endswith(("position_ids", "token_type_ids")):
                continue
            raise ValueError(
                f"checkpoint: {name!r} has {key} as {str(tensor.dtype).removeprefix('torch.')}, "
                "must have floats: it is quantised"
            )
        if not tensor.is_meta and not tensor.isfinite().all():
            raise ValueError(f"checkpoint: {name!r} has NaN or infinite values in {key}")


def _tokenizer(folder: Path, config, name: str):
    if not any((folder / file).is_file() for file in PIECES):
        raise ValueError(
            f"checkpoint: {name!r} has no tokenizer files ({', '.join(PIECES[:3])}, …): save the "
            "tokenizer to it, too (tokenizer.save_pretrained)"
        )
    settings = folder / "tokenizer_config.json"
    if settings.is_file() and json.loads(settings.read_text("utf-8")).get("auto_map"):
        raise ValueError(
            f"checkpoint: {name!r} brings a tokenizer with code of its own (auto_map in "
            f"{settings.name}), which is not run"
        )
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    check_tokenizer(tokenizer, config, f"checkpoint: {name!r}")
    known, specials = tokenizer.model_max_length, tokenizer.num_special_tokens_to_add(pair=True)
    if known <= specials:
        raise ValueError(
            f"checkpoint: {name!r} has a tokenizer with model_max_length {known}, must be above "
            f"the {specials} special tokens of a pair"
        )
    if not specials:
        warnings.warn(
            f"checkpoint: {name!r} has a tokenizer that puts no special tokens around texts, such "
            "as <s>, where classifiers read: is its post-processor missing?"
        )
    tokenizer.model_max_length = min(known, longest(config))
    return tokenizer


def check_tokenizer(tokenizer, config, whose: str) -> None:
    """`ValueError` unless every token has a row in the embedding, and padding is what the model
    takes for it.
    """
    ids = tokenizer.get_vocab()
    beyond = sorted((i, token) for token, i in ids.items() if i >= config.vocab_size)
    if beyond:
        raise ValueError(
            f"{whose} has tokens that the model has no embedding for: "
            f"{_some([token for _, token in beyond])} with ids up to {beyond[-1][0]}, the "
            f"embedding has {config.vocab_size} rows: call "
            f"model.resize_token_embeddings({beyond[-1][0] + 1}), train the new rows, save again"
        )
    if len(ids) <= len(tokenizer.all_special_ids):
        raise ValueError(f"{whose} has {len(ids)} word pieces, must have more than special tokens")
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{whose} has no padding token: set tokenizer.pad_token")
    bert = config.model_type.removeprefix("pruned-") == "bert"
    if not bert and tokenizer.pad_token_id != config.pad_token_id:
        raise ValueError(
            f"{whose} pads with token {tokenizer.pad_token_id}, must pad with "
            f"{config.pad_token_id} (pad_token_id in the model's config): its positions would be "
            "counted wrong"
        )


def _some(things, most: int = 3) -> str:
    """The first of them, and how many more."""
    things = list(things)
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(map(repr, things[:most])) + more
