"""Load, make and save models: the embedded one, one from a folder, one from the hub."""

import json
import os
import warnings
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForSequenceClassification,
)
from transformers.utils import logging

from .anatomy import check_family
from .files import ASSETS

EMBEDDED = ASSETS / "checkpoint"
TASKS = {"intents": AutoModelForSequenceClassification, "fill-mask": AutoModelForMaskedLM}
SIZES = {
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
}  # width, layers, heads, neurons
VOCABULARY = 250_002


class UntrainedHead(UserWarning):
    """The checkpoint has no intents head; a random one is in its place."""


def load(
    checkpoint: str | Path = "embedded",
    task: str = "intents",
    device: str | torch.device | None = None,
):
    """(model, tokenizer) in float32, ready to be measured.

    checkpoint: `"embedded"`, a folder, or a hub id such as `"FacebookAI/xlm-roberta-base"`. The
    environment variable PRUNING_LESSONS_CHECKPOINT says what `"embedded"` means, if it is set.
    task: `"intents"` or `"fill-mask"`. Only safetensors are read. Any XLM-RoBERTa, RoBERTa,
    CamemBERT or BERT will do, with any number of layers, heads, neurons and labels; a classifier
    keeps its own labels. A checkpoint that has no intents head gets a random one, with a warning.
    Raises `ValueError`, naming the argument and what to do, if it cannot be loaded.
    """
    _check_task(task)
    checkpoint = chosen(checkpoint)
    place = EMBEDDED if str(checkpoint) == "embedded" else Path(checkpoint)
    if place.is_dir():
        _check_folder(place, checkpoint)
        source = str(place)
    elif (
        place.is_absolute()
        or str(checkpoint).startswith((".", "~"))
        or str(checkpoint).count("/") > 1
    ):
        raise ValueError(f"checkpoint: there is no folder {str(checkpoint)!r}")
    else:
        source = str(checkpoint)
    with quiet():
        model, tokenizer = _open(source, checkpoint, task)
    return model.to(device or "cpu").eval(), tokenizer


def chosen(checkpoint: str | Path) -> str | Path:
    """The checkpoint itself; for `"embedded"` the one that PRUNING_LESSONS_CHECKPOINT names, if it
    is set.
    """
    return (
        os.environ.get("PRUNING_LESSONS_CHECKPOINT") or "embedded"
        if str(checkpoint) == "embedded"
        else checkpoint
    )


def _open(source: str, checkpoint, task: str):
    try:
        config = AutoConfig.from_pretrained(source)
        check_family(config.model_type, config)
        trained = any("ForSequenceClassification" in name for name in config.architectures or ())
        if (
            task == "intents"
            and not trained
            and config.num_labels == 2
            and set(config.id2label.values()) == {"LABEL_0", "LABEL_1"}
        ):
            config.id2label, config.label2id = (
                dict(enumerate(label_names())),
                {n: i for i, n in enumerate(label_names())},
            )
        tokenizer = AutoTokenizer.from_pretrained(source)
        with torch.random.fork_rng(
            devices=[]
        ):  # a head that is not there is drawn, always the same
            torch.manual_seed(0)
            model, report = TASKS[task].from_pretrained(
                source,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (OSError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        advice = (
            ""
            if Path(source).is_dir()
            else (
                ". A hub id needs a network, or a download made earlier; without one use "
                "checkpoint='embedded' or a folder"
            )
        )
        raise ValueError(
            f"checkpoint: {str(checkpoint)!r} cannot be loaded: "
            f"{str(error).splitlines()[0]}{advice}"
        ) from error
    missing = {key for key in report["missing_keys"] if not key.startswith("classifier.")}
    if missing:
        raise ValueError(
            f"checkpoint: {str(checkpoint)!r} has no weights for task={task!r}: "
            f"{sorted(missing)[0]} "
            f"and {len(missing) - 1} more are missing. Load it with the task that it was saved for"
        )
    if report["missing_keys"]:
        warnings.warn(
            f"{checkpoint} has no intents head: it starts at random, so fine-tune before you "
            f"measure accuracy "
            "(prepare() does)",
            UntrainedHead,
        )
    return model, tokenizer


@lru_cache
def label_names() -> list[str]:
    """The intents' names, in the order of their labels: as the embedded checkpoint has them."""
    names = json.loads((EMBEDDED / "config.json").read_text("utf-8"))["id2label"]
    return [names[str(i)] for i in range(len(names))]


def _check_task(task: str) -> None:
    if task not in TASKS:
        raise ValueError(f"task: is {task!r}, must be one of {sorted(TASKS)}")


def _check_folder(folder: Path, checkpoint) -> None:
    """Every file that is needed is there and whole; `ValueError` otherwise."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"checkpoint: {str(checkpoint)!r} is no checkpoint: it has no config.json")
    index = folder / "model.safetensors.index.json"
    names = (
        set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        if index.is_file()
        else {"model.safetensors"}
    )
    for name in sorted(names):
        if not (folder / name).is_file():
            raise ValueError(
                f"checkpoint: {str(checkpoint)!r} has no {name} (only safetensors are read)"
            )
        try:
            with safe_open(folder / name, "pt"):
                pass
        except SafetensorError as error:
            raise ValueError(
                f"checkpoint: {name} in {str(checkpoint)!r} is truncated or corrupted ({error}): "
                "fetch or save it again"
            ) from error


def untrained(size: str = "base", task: str = "intents", pieces: int = VOCABULARY):
    """(model, tokenizer) in the proportions of XLM-R base or large, with random weights and no
    download.

    For measuring parameters, MACs and time at full size: its answers mean nothing. The vocabulary
    has 250,002 pieces as XLM-R's, unless fewer are asked for: they cost memory, and with an intents
    head no time. The tokenizer is the embedded one. Raises `ValueError` for an unknown size or
    task.
    """
    _check_task(task)
    if size not in SIZES:
        raise ValueError(f"size: is {size!r}, must be one of {sorted(SIZES)}")
    width, layers, heads, neurons = SIZES[size]
    names = dict(enumerate(label_names()))
    config = XLMRobertaConfig(
        vocab_size=pieces,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=neurons,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        id2label=names,
        label2id={n: i for i, n in names.items()},
    )
    model_class = (
        XLMRobertaForSequenceClassification if task == "intents" else XLMRobertaForMaskedLM
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config)
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    return model.eval(), tokenizer


@contextmanager
def quiet():
    """No progress bars or load reports of transformers: the other task's head is meant to be left
    aside.
    """
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
