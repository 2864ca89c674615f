"""Load and make models: the two embedded ones, one from a folder, one from the hub."""

import copy
import json
import os
import re
import warnings
from contextlib import contextmanager
from functools import lru_cache
from numbers import Integral
from pathlib import Path

import torch
import transformers
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
from transformers import AutoTokenizer, XLMRobertaConfig
from transformers.utils import logging

from . import sentence_files
from .anatomy import FAMILIES, longest
from .checks import arguments, one_of, whole
from .families import AUTO_CLASSES
from .files import ASSETS
from .hub import fetched
from .sentence_files import Pooling, pooling_of
from .stored import PROBLEMS, READ, SHARDS, Stored, read_stored, refused
from .tasks import TASKS, Task, task_named

EMBEDDED, EMBEDDER = ASSETS / "checkpoint", ASSETS / "embedder"
INTENTS = "intents"  # classification with the course's labels
SIZES = {
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
}  # width, layers, heads, neurons
VOCABULARY = 250_002
# How the names of a head's weights begin.
HEADS = {
    "ForSequenceClassification": ("classifier.",),
    "ForTokenClassification": ("classifier.",),
    "ForQuestionAnswering": ("qa_outputs.",),
    "ForMaskedLM": ("lm_head.", "cls.predictions."),
    "Model": (),
}
LABELLED = ("ForSequenceClassification", "ForTokenClassification")
# What may be left aside: other heads, poolers, tables of numbers that older versions saved.
LEFT_ASIDE = r"(\w+\.)?pooler\.|cls\.seq_relationship\.|.*(position_ids|token_type_ids)$"


class UntrainedHead(UserWarning):
    """The checkpoint has no head for the task; a random one is in its place."""


class UnnamedPooling(UserWarning):
    """The checkpoint does not say how the vectors of its tokens become one; their mean is taken."""


def load(
    checkpoint: str | Path = "embedded",
    task: str | None = None,
    device: str | torch.device | None = None,
    labels: list[str] | int | None = None,
):
    """(model, tokenizer) in float32, ready to be measured.

    checkpoint: `"embedded"`, a folder, or a hub id such as `"FacebookAI/xlm-roberta-base"`. The
    environment variable PRUNING_LESSONS_CHECKPOINT says what `"embedded"` means, if it is set. Any
    XLM-RoBERTa, RoBERTa, CamemBERT or BERT will do, with any number of layers, heads, neurons and
    labels; only safetensors are read, and no code of the checkpoint's is run.
    task: "classification", "multi-label", "regression", "tokens", "question-answering",
    "fill-mask", "embedding" or "intents", which is classification with the course's 38 labels; by
    default what the checkpoint was made for. `"embedded"` is trained for the intents and for
    fill-mask; for "embedding" it is another checkpoint, a sentence embedder.
    labels: names of the labels (or how many there are) for a head that the checkpoint does not
    have, or has with other labels: it is drawn at random, the same each time, with the warning
    `UntrainedHead`. The intents, regression with one number and question answering need none.

    An embedder's way to pool is in its config: `pooling` ("mean" or "cls"), `normalize`, `prompts`.
    Raises `ValueError`, naming the argument and what to do, if it cannot be loaded, or if something
    that it holds would be left out.
    """
    _check_task(task)
    device = _device(device)
    labels = _checked_labels(labels, task)
    checkpoint = chosen(checkpoint)
    place = _place(checkpoint, task)
    with quiet():
        stored = read_stored(place, str(checkpoint))
        model = _model(stored, task, labels)
        model.config.name_or_path = str(checkpoint)
    return model.to(device).eval(), stored.tokenizer


def chosen(checkpoint: str | Path) -> str | Path:
    """The checkpoint itself; for `"embedded"` the one that PRUNING_LESSONS_CHECKPOINT names, if it
    is set.
    """
    if not isinstance(checkpoint, str | os.PathLike):
        raise ValueError(f"checkpoint: is {checkpoint!r}, must be a folder or a name")
    return (
        os.environ.get("PRUNING_LESSONS_CHECKPOINT") or "embedded"
        if str(checkpoint) == "embedded"
        else checkpoint
    )


def _place(checkpoint: str | Path, task: str | None) -> Path:
    """The folder that a checkpoint is in; one from the hub is fetched, if it is not there yet."""
    name = str(checkpoint)
    if name == "embedded":
        place = EMBEDDER if task == "embedding" else EMBEDDED
        if not place.is_dir():
            raise ValueError(f"checkpoint: {name!r} has no folder {place.name} for task={task!r}")
        return place
    if Path(checkpoint).is_dir():
        return Path(checkpoint)
    if Path(checkpoint).exists():
        raise ValueError(f"checkpoint: {name!r} is a file, must be a folder with a config.json")
    if Path(checkpoint).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ValueError(f"checkpoint: there is no folder {name!r}")
    return fetched(name, [*READ, SHARDS])


def told_task(stored: Stored) -> Task:
    """The task that a checkpoint was made for, by what it says itself. `ValueError` if it does not
    say, or none of ours.
    """
    with refused(stored.name, "its files of sentence-transformers"):
        if pooling_of(stored.sentence) or getattr(stored.config, "pooling", None):
            return TASKS["embedding"]
    names = [f"{family}{kind}" for family in FAMILIES.values() for kind in HEADS]
    architecture = stored.architecture
    if architecture in {f"{family}ForPreTraining" for family in FAMILIES.values()}:
        return TASKS["fill-mask"]
    if architecture not in names:
        raise ValueError(
            f"checkpoint: {stored.name!r} was saved as {architecture!r}, must be a class of "
            f"transformers' own that ends in {', '.join(HEADS)}: name the task, one of "
            f"{_task_names()}"
        )
    return task_named(architecture, stored.config)


def _model(stored: Stored, asked: str | None, labels: list[str] | None):
    """A model for the task with the stored weights, all of them and no others."""
    with refused(stored.name, "its config.json"):
        task = (
            TASKS["classification" if asked == INTENTS else asked] if asked else told_task(stored)
        )
        config, drawn = _config(stored, task, asked, labels)
    heads = HEADS[task.kind]
    weights = stored.weights
    if drawn:
        weights = {key: value for key, value in weights.items() if not key.startswith(heads)}
    options = {"add_pooling_layer": False} if task.kind == "Model" else {}
    with (
        refused(stored.name, "its config.json and weights do not go together"),
        torch.random.fork_rng(devices=[]),
    ):
        torch.manual_seed(0)  # a head that is not there is drawn, always the same
        model, report = _class_of(config, task).from_pretrained(
            None,
            config=config,
            state_dict=weights,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        )
    _check_report(report, stored, model, task, drawn)
    if drawn:
        warnings.warn(
            f"{stored.name} has no trained head for task={asked!r}: it starts at random, so "
            f"fine-tune before you measure",
            UntrainedHead,
            stacklevel=3,
        )
    return model


def _class_of(config, task: Task):
    """transformers' class, or ours for uneven layers."""
    return AUTO_CLASSES[task.kind]._model_mapping[type(config)]


def _config(stored: Stored, task: Task, asked: str | None, labels: list[str] | None):
    """(the configuration for this task, whether its head has to be drawn)."""
    config = copy.deepcopy(stored.config)
    if task.name == "embedding":
        _set_pooling(stored, config)
        return config, False
    sentence_files.take_from(config)
    here = _has_head(stored, task)
    if task.kind not in LABELLED:
        if not here and task.name == "fill-mask":
            raise ValueError(_no_head(stored, asked))
        if not here:  # question answering: the first and the last place
            config.num_labels = 2
        return config, not here
    names, here = _label_names(stored, task, asked, labels, here)
    config.id2label = dict(enumerate(names))
    config.label2id = {name: i for i, name in enumerate(names)}
    if task.name == "classification" and len(names) < 2:
        raise ValueError(
            f"checkpoint: {stored.name!r} has one output, task='classification' must have two or "
            "more: use task='regression'"
        )
    if task_named(task.kind, config) is not task:
        config.problem_type = PROBLEMS[task.name]
    return config, not here


def _label_names(
    stored: Stored, task: Task, asked: str | None, labels: list[str] | None, here: bool
) -> tuple[list[str], bool]:
    """(names of the outputs, whether the checkpoint's head is for them)."""
    own = stored.label_names() if here else []
    generic = own == [f"LABEL_{i}" for i in range(len(own))]
    if asked == INTENTS:
        if here and own != label_names():
            raise ValueError(
                f"checkpoint: {stored.name!r} has been fine-tuned for labels of its own "
                f"({', '.join(own[:4])}{', …' if len(own) > 4 else ''}), must have none or the "
                "intents for task='intents': load it without a task; lesson 08 is for it"
            )
        return label_names(), here
    if here and asked == "regression" and labels is None and len(own) > 1 and not generic:
        here = False  # named outputs are classes, no numbers
    if labels is None:
        if here:
            return own, True
        if task.name == "regression":
            return ["LABEL_0"], False
        raise ValueError(_no_head(stored, asked))
    if here and set(labels) == set(own) and labels != own:
        raise ValueError(
            f"labels: are {_first(labels)}, must be in the order of {stored.name!r}: {_first(own)}"
        )
    return labels, here and (labels == own or generic and len(labels) == len(own))


def _no_head(stored: Stored, asked: str | None) -> str:
    made_for = f" It was saved as {stored.architecture}." if stored.architecture else ""
    advice = (
        "load it with the task that it was saved for"
        if asked == "fill-mask"
        else "name its labels (labels=[…]) to start one at random"
    )
    return (
        f"checkpoint: {stored.name!r} has no head with weights for task={asked!r}: "
        f"{advice}.{made_for}"
    )


def _first(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def _has_head(stored: Stored, task: Task) -> bool:
    """Whether the weights have this kind of head. Two kinds share a name: the class decides."""
    known = [kind for kind in LABELLED if (stored.architecture or "").endswith(kind)]
    if task.kind in LABELLED and known and known != [task.kind]:
        return False
    return any(key.startswith(HEADS[task.kind]) for key in stored.weights)


def _set_pooling(stored: Stored, config) -> None:
    """How the embedder pools, from sentence-transformers' files, or from an earlier `save`."""
    with refused(stored.name, "its files of sentence-transformers"):
        pooling = pooling_of(stored.sentence)
    if pooling is None and getattr(config, "pooling", None) is None:
        warnings.warn(
            f"{stored.name} does not say how it makes one vector of a text: the mean over its "
            "tokens is taken, divided by its length",
            UnnamedPooling,
            stacklevel=5,
        )
        pooling = Pooling()
    if pooling is not None:
        pooling.put_into(config)
        length = min(pooling.max_length or longest(config), stored.tokenizer.model_max_length)
        stored.tokenizer.model_max_length = length
        ids = [stored.tokenizer(text).input_ids for text in ("Abc", "abc")]
        if pooling.lower_case and ids[0] != ids[1]:
            raise ValueError(
                f"checkpoint: {stored.name!r} writes texts in lower case before the tokenizer "
                f"(do_lower_case in {sentence_files.LENGTH}), which is not done here: put it into "
                "the tokenizer"
            )
    if config.pooling not in ("mean", "cls"):
        raise ValueError(
            f"checkpoint: {stored.name!r} has pooling {config.pooling!r}, must be 'mean' or 'cls'"
        )
    for name, default in (("normalize", True), ("prompts", {})):
        if getattr(config, name, None) is None:
            setattr(config, name, default)
    sentence_files.check_prompts(config.prompts, f"checkpoint: {stored.name!r} has")
    if not isinstance(config.normalize, bool):
        raise ValueError(
            f"checkpoint: {stored.name!r} has normalize {config.normalize!r}, must be true or false"
        )


def _check_report(report: dict, stored: Stored, model, task: Task, drawn: bool) -> None:
    """`ValueError` if weights are missing, do not fit, or would be left out."""
    name, prefix = stored.name, model.base_model_prefix + "."
    for key, there, here in sorted(report["mismatched_keys"], key=str):
        raise ValueError(
            f"checkpoint: {name!r} has {key} with shape {tuple(there)}, its config.json makes it "
            f"{tuple(here)}: one of the two is of another model"
        )
    for message in report["error_msgs"]:
        raise ValueError(f"checkpoint: {name!r} cannot be loaded: {message.splitlines()[0]}")
    head = lambda key: not key.startswith(prefix) or key.startswith(prefix + "pooler.")
    if task.kind == "Model":
        head = lambda key: False
    missing = sorted(key for key in report["missing_keys"] if not (drawn and head(key)))
    if missing:
        raise ValueError(
            f"checkpoint: {name!r} has no weights for {_keys(missing)}. "
            + (
                f"Its head for {task.name!r} is another one than transformers' own"
                if all(map(head, missing))
                else "It is of another model than its config.json says"
            )
        )
    others = {start for kind, starts in HEADS.items() if kind != task.kind for start in starts}
    others -= set() if drawn else set(HEADS[task.kind])
    left = re.compile("|".join([LEFT_ASIDE, *map(re.escape, others)]))
    unread = sorted(key for key in report["unexpected_keys"] if not left.match(key))
    if unread:
        raise ValueError(
            f"checkpoint: {name!r} has weights that would be left out, {_keys(unread)}: "
            f"{_reason(unread, stored)}"
        )


def _keys(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _reason(unread: list[str], stored: Stored) -> str:
    layers = [int(found[1]) for key in unread if (found := re.search(r"\.layer\.(\d+)\.", key))]
    if any("lora_" in key or "adapter" in key for key in unread):
        return "merge the adapter into them (peft: merge_and_unload()) and save the result"
    if any("distance_embedding" in key for key in unread):
        return "it has relative positions, which transformers 5 does not read"
    if layers and max(layers) >= stored.config.num_hidden_layers:
        return (
            f"it has {max(layers) + 1} layers, its config.json says "
            f"{stored.config.num_hidden_layers}: set num_hidden_layers right"
        )
    return "it is of another model than its config.json says, or has a head of its own"


def _task_names() -> list[str]:
    return [INTENTS, *TASKS]


def _check_task(task: str | None, needed: bool = False) -> None:
    if (task is None and needed) or task is not None and task not in _task_names():
        raise ValueError(f"task: is {task!r}, must be one of {_task_names()}")


def _device(device: str | torch.device | None) -> torch.device:
    try:
        device = torch.device("cpu" if device is None else device)
        torch.empty(0, device=device)
        return device
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"device: is {device!r}, must be one that there is here, such as 'cpu' "
            f"({str(error).splitlines()[0]})"
        ) from error


def _checked_labels(labels: list[str] | int | None, task: str | None) -> list[str] | None:
    """Names of labels, in order; None if none are given."""
    if labels is None:
        return None
    if task is None or task == INTENTS or TASKS[task].kind not in LABELLED:
        raise ValueError(
            f"labels: are given for task={task!r}, must be given for one of "
            f"{[name for name, known in TASKS.items() if known.kind in LABELLED]} alone"
        )
    if isinstance(labels, Integral) and not isinstance(labels, bool) and labels >= 1:
        labels = [f"LABEL_{i}" for i in range(labels)]
    least = 2 if task == "classification" else 1
    if (
        isinstance(labels, str)
        or not isinstance(labels, list | tuple)
        or not all(isinstance(name, str) and name for name in labels)
        or len(set(labels)) != len(labels)
        or len(labels) < least
    ):
        raise ValueError(
            f"labels: is {labels!r}, must be a list of at least {least} different names, or how "
            "many there are"
        )
    return list(labels)


@lru_cache
def label_names() -> list[str]:
    """The intents' names, in the order of their labels: as the embedded checkpoint has them."""
    names = json.loads((EMBEDDED / "config.json").read_text("utf-8"))["id2label"]
    return [names[str(i)] for i in range(len(names))]


@arguments(size=one_of(SIZES), pieces=whole(least=6))
def untrained(
    size: str = "base",
    task: str = INTENTS,
    pieces: int = VOCABULARY,
    labels: list[str] | int | None = None,
):
    """(model, tokenizer) in the proportions of XLM-R base or large, with random weights and no
    download.

    For measuring parameters, MACs and time at full size: its answers mean nothing. task, labels: as
    for `load`. The vocabulary has 250,002 pieces as XLM-R's, unless fewer are asked for: they cost
    memory, and with most heads no time. The tokenizer is the embedded one. Raises `ValueError` for
    an unknown size or task, or a task that needs labels and gets none.
    """
    _check_task(task, needed=True)
    if task == INTENTS and labels is not None:
        raise ValueError("labels: are given, task 'intents' has its own: name another task")
    names = label_names() if task == INTENTS else _checked_labels(labels, task)
    known = TASKS["classification" if task == INTENTS else task]
    if names is None and known.kind in LABELLED:
        if task != "regression":
            raise ValueError(f"labels: is None, must be names or a number for task={task!r}")
        names = ["LABEL_0"]
    width, layers, heads, neurons = SIZES[size]
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
    )
    if names is not None:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: i for i, name in enumerate(names)}
    if task in PROBLEMS and task_named(known.kind, config) is not known:
        config.problem_type = PROBLEMS[task]
    options = {}
    if known.kind == "Model":
        options["add_pooling_layer"] = False
        Pooling().put_into(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, f"XLMRoberta{known.kind}")(config, **options)
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    return model.eval(), tokenizer


@contextmanager
def quiet():
    """No progress bars or load reports of transformers: the other task's head is meant to be left
    aside.
    """
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_without = are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # the hub's, too
        if bars and hub_without:
            disable_progress_bars()
