"""Deploy without this package: ONNX, int8, and a folder that answers by itself."""

import contextlib
import hashlib
import io
import json
import logging
import shutil
import warnings
from copy import deepcopy
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ..models.anatomy import (
    copied,
    heads_per_layer,
    layers_of,
    longest,
    neurons_per_layer,
    without_masks,
)
from ..models.batches import reads_first
from ..models.files import as_folder, settle, written_beside
from ..models.memory import SMALLER, advised
from ..models.stored import check_tokenizer
from ..models.tasks import Task, check_labels, hidden_states, labels_of, pooled, task_of
from .card import MARK, card
from .int8 import quantize

WRITTEN = (
    "model.onnx",
    "model.onnx.data",  # the weights of a large model
    "model-int8.onnx",
    "tokenizer.json",
    "settings.json",
    "config.json",
    "README.md",
    "answer.py",
    "classify.py",  # its former name
)
WEIGHTS = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"]
SPECIAL = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
NO_LIMIT = 10**9  # transformers' word for it is larger
BATCHES = 4096
# Bytes from which on the weights are in a file of their own. A model in one file, which cannot have
# 2 GB, is in memory two or three times while it is written, read or quantised; those weights once.
LARGE = 2**28


class _Dense(nn.Module):
    """`tasks.dense` as a graph: no shape in it depends on what the mask holds."""

    def __init__(self, model, task: Task):
        super().__init__()
        self.model, self.task = model, task

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        batch = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            batch["token_type_ids"] = token_type_ids
        hidden, real = hidden_states(self.model, batch), attention_mask.bool()
        if self.task.per_token:
            return self.task.head(self.model, hidden, ...)  # every token
        if self.task.name == "question-answering":
            return self.task.head(self.model, hidden, torch.ones_like(real))
        if self.task.name == "embedding" and not getattr(self.model.config, "normalize", True):
            return pooled(self.model, hidden, real)
        return self.task.head(self.model, hidden, real)


class _Bias(nn.Module):
    """Stands in for a matrix without columns: its bias, at every token."""

    def __init__(self, bias: Tensor):
        super().__init__()
        self.bias = nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:  # x: (batch, T, d), only its shape is used
        return self.bias + torch.zeros_like(x)


class _Through(nn.Module):
    def forward(self, x: Tensor, *args, **options):
        return x, None


@advised(SMALLER)
def export_onnx(model, tokenizer, folder: str | Path, *, figures: dict | None = None) -> Path:
    """Write `folder` with model.onnx and all that answers from it; batch and length stay free.

    Any task, any of the families, also with empty or removed layers, a pruned vocabulary, weight
    masks, on any device and in any precision: the model is copied to float32. What it gives equals
    `tasks.dense` within 1e-4 (it is run and compared before anything is moved into place), and
    texts are cut and padded as the tokenizer does it. Beside it: tokenizer.json, settings.json,
    config.json, README.md (a card with what was pruned, and `figures`, what you have measured: a
    dict of numbers or texts, or of dicts of them), and answer.py, which answers where there are
    onnxruntime, tokenizers and NumPy and neither torch nor this package (see `OnnxModel`).

    Needs onnx, onnxscript and onnxruntime (`pip install pruning-lessons[export]`). Raises
    `TypeError` for a model of another kind, `ValueError` if the tokenizer does not belong to the
    model, if `folder` holds files of these names that are of no export, or if the model gives
    numbers that are not finite.
    """
    folder, task = as_folder(folder), task_of(model)
    settings = _settings(model, tokenizer, task, figures)
    settle(folder)
    _check_folder(folder)
    config, module = _config(model), _exportable(model, task)
    settings["export"] = _digest(module, settings)
    with written_beside(folder) as fresh:
        _write_model(module, fresh / "model.onnx", longest(model.config), settings)
        plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        plain.no_truncation()
        plain.no_padding()
        plain.save(str(fresh / "tokenizer.json"))
        _write_settings(settings, fresh)
        _write_json(config, fresh / "config.json")
        shutil.copyfile(Path(__file__).with_name("onnx_model.py"), fresh / "answer.py")
        _check(module, fresh, settings)
        _write_card(fresh, folder)
        stale = [name for name in WRITTEN if not (fresh / name).exists() and name != "README.md"]
    for name in stale:  # of the model that was there before
        (folder / name).unlink(missing_ok=True)
    return folder


@advised(SMALLER)
def quantize_onnx(folder: str | Path) -> Path:
    """Write model-int8.onnx beside an exported model: weights in 8 bits, a scale for each output
    and for each word piece, activations at run time; right on any CPU (see `int8`).

    Raises `ValueError` if the folder is no export, or one that is damaged.
    """
    folder = as_folder(folder)
    for name in ("model.onnx", "settings.json", "config.json"):
        if not (folder / name).is_file():
            raise ValueError(f"folder: {str(folder)!r} has no {name}: run export_onnx first")
    with written_beside(folder) as fresh:
        _write_card(fresh, folder)
        try:
            quantize(folder / "model.onnx", fresh / "model-int8.onnx")
        except (OSError, ImportError, MemoryError):
            raise
        except Exception as error:  # onnx and protobuf raise their own
            raise ValueError(
                f"folder: model.onnx in {str(folder)!r} cannot be quantised, it may be damaged: "
                f"{error}"
            ) from error
        _write_settings(_read_json(folder / "settings.json"), fresh)
        _write_card(fresh, folder)  # with its size
    return folder / "model-int8.onnx"


def put_figures(folder: str | Path, figures: dict) -> None:
    """Put measured figures on an export's card, in place of those that it has: as `export_onnx`
    takes them. `ValueError` if the folder is no export.
    """
    folder, figures = as_folder(folder), _figures(figures)
    if not (folder / "settings.json").is_file():
        raise ValueError(f"folder: {str(folder)!r} has no settings.json: run export_onnx first")
    settings = _read_json(folder / "settings.json")
    with written_beside(folder) as fresh:
        _write_settings(settings | {"figures": figures}, fresh)
        _write_card(fresh, folder)


# --- what is written beside the model ---


def _settings(model, tokenizer, task: Task, figures: dict | None) -> dict:
    """All that `OnnxModel` must know. `ValueError` if tokenizer and model do not fit."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise TypeError(
            f"tokenizer: is a {type(tokenizer).__name__}, must be a fast one of transformers"
        )
    check_tokenizer(tokenizer, model.config, "tokenizer:")
    check_labels(model)
    limit = min(longest(model.config), getattr(tokenizer, "model_max_length", None) or NO_LIMIT)
    specials = tokenizer.num_special_tokens_to_add(pair=True)
    if limit <= specials:  # the tokenizers library would not cut at all
        raise ValueError(
            f"tokenizer: model_max_length is {limit}, must be above the {specials} special tokens "
            f"of a pair"
        )
    if tokenizer.padding_side == "left" and reads_first(model, task):
        warnings.warn(
            "tokenizer: pads on the left, where this model reads, so an answer depends on the "
            "texts that are asked together: set tokenizer.padding_side = 'right'",
            stacklevel=4,
        )
    special = {f"{name}_token": getattr(tokenizer, f"{name}_token", None) for name in SPECIAL}
    special = {name: str(token) for name, token in special.items() if token is not None}
    if task.name == "fill-mask" and "mask_token" not in special:
        raise ValueError("tokenizer: has no mask token, must have one for task 'fill-mask'")
    types = getattr(model.config, "type_vocab_size", 1) > 1
    return {
        "task": task.name,
        "labels": labels_of(model),
        "max_length": int(limit),
        "truncation": "only_second" if task.name == "question-answering" else "longest_first",
        "truncation_side": tokenizer.truncation_side,
        "padding_side": tokenizer.padding_side,
        "pad_id": tokenizer.pad_token_id,
        "pad_token": str(tokenizer.pad_token),
        "pad_type_id": tokenizer.pad_token_type_id,
        "token_types": types and "token_type_ids" in tokenizer.model_input_names,
        "special_tokens": special,
        "prompts": dict(getattr(model.config, "prompts", None) or {}),
        "activation": _activation(model.config) if task.name == "regression" else None,
        "heads": heads_per_layer(model),
        "neurons": neurons_per_layer(model),
        "figures": _figures(figures),
    }


def _activation(config) -> str | None:
    """What sentence-transformers' cross-encoders put behind the number, if the config names it.

    `ValueError` for what is not put there.
    """
    block = getattr(config, "sentence_transformers", None)
    name = block.get("activation_fn") if isinstance(block, dict) else None
    name = name or getattr(config, "sbert_ce_default_activation_function", None)
    kind = str(name).rpartition(".")[2] if name else "Identity"
    if kind not in ("Sigmoid", "Identity"):
        raise ValueError(
            f"model: its config puts {name} behind the number, must be a Sigmoid, an Identity or "
            "nothing: other numbers would be given"
        )
    return "sigmoid" if kind == "Sigmoid" else None


def _figures(figures: dict | None) -> dict:
    """As JSON has them. `TypeError` or `ValueError` for what it cannot hold."""
    if not isinstance(figures, (dict, type(None))):
        raise TypeError(f"figures: is a {type(figures).__name__}, must be a dict of numbers")
    try:
        return json.loads(json.dumps(figures or {}, default=float, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"figures: must hold numbers and texts only: {error}") from error


def _config(model) -> dict:
    config = deepcopy(model.config)
    config.architectures, config.dtype = [type(model).__name__], "float32"
    return json.loads(config.to_json_string(use_diff=False))


def _write_settings(settings: dict, fresh: Path) -> None:
    """settings.json, with checksums of itself and of what `OnnxModel` reads of `fresh`."""
    from .onnx_model import checksum, sealed

    read = [
        f for f in fresh.iterdir() if f.suffix in (".onnx", ".data") or f.name == "tokenizer.json"
    ]
    sums = {file.name: checksum(file) for file in read}
    settings = settings | {"files": settings.get("files", {}) | sums}
    _write_json(settings | {"checksum": sealed(settings)}, fresh / "settings.json")


def _write_json(content: dict, file: Path) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _read_json(file: Path) -> dict:
    try:
        content = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"folder: {str(file)!r} is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"folder: {str(file)!r} holds no JSON object")
    return content


def _write_card(fresh: Path, folder: Path) -> None:
    """README.md, from what stands in `fresh` and else in `folder`; one that is not ours stays."""
    there = folder / "README.md"
    if there.is_file() and MARK not in there.read_text("utf-8", errors="replace"):
        return
    whole = (fresh / "model.onnx").exists()  # else of what is there already
    files = {} if whole else {f.name: f for f in folder.iterdir()}
    files |= {f.name: f for f in fresh.iterdir()}
    sizes = {name: file.stat().st_size for name, file in files.items() if name in WRITTEN}
    config, settings = (_read_json(files[name]) for name in ("config.json", "settings.json"))
    try:
        text = card(config, settings, sizes)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"folder: settings.json or config.json in {str(folder)!r} is of another version "
            f"({type(error).__name__}: {error}): run export_onnx again"
        ) from error
    (fresh / "README.md").write_text(text, encoding="utf-8")


def _check_folder(folder: Path) -> None:
    """`ValueError` if the folder has files that would be replaced, and are of no export."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder: {str(folder)!r} is a file, must be a folder")
    ours = (folder / "model.onnx").is_file() and (folder / "settings.json").is_file()
    names = WEIGHTS if ours else [name for name in WRITTEN if name != "README.md"] + WEIGHTS
    found = [name for name in names if (folder / name).exists()]
    if found:
        raise ValueError(
            f"folder: {str(folder)!r} holds other things ({', '.join(found)}) and no export: name "
            f"a new folder"
        )


# --- the model ---


def _exportable(model, task: Task) -> nn.Module:
    """A copy in eval mode on the CPU, in which empty layers are what they compute: ONNX runtimes
    stumble over width 0. Weights that are on the CPU in float32 are the model's own, not copied.
    `ValueError` for weights that are no numbers.
    """
    model = without_masks(model)
    # in place of the model's parameters, which stay as they are
    memo = {id(p): nn.Parameter(p.detach().cpu().float(), False) for p in model.parameters()}
    small = copied(model, memo).cpu().float().eval()
    for name, weights in small.state_dict().items():
        if not weights.isfinite().all():
            raise ValueError(f"model: has NaN or infinite values in {name}, must have numbers")
    small.config.return_dict = True
    small.config.output_attentions = small.config.output_hidden_states = False
    small.set_attn_implementation("sdpa")
    for layer, heads, neurons in zip(
        layers_of(small), heads_per_layer(small), neurons_per_layer(small)
    ):
        if not heads:
            layer.attention.self, layer.attention.output.dense = (
                _Through(),
                _Bias(layer.attention.output.dense.bias),
            )
        if not neurons:
            layer.intermediate, layer.output.dense = nn.Identity(), _Bias(layer.output.dense.bias)
    return _Dense(small, task).eval()


def _digest(module: nn.Module, settings: dict) -> str:
    """What tells this export from others: its files must not be mixed with another's."""
    found = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, weights in module.state_dict().items():
        found.update(name.encode())
        found.update(weights.contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def _batch(module: nn.Module, settings: dict, examples: int, length: int) -> dict[str, Tensor]:
    """Random tokens; the last example has but one."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(module.model.config.vocab_size, (examples, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[-1, 1:] = 0
    ids = ids.masked_fill(mask == 0, settings["pad_id"])
    batch = {"input_ids": ids, "attention_mask": mask}
    if settings["token_types"]:
        batch["token_type_ids"] = (torch.arange(length) >= length // 2).long().expand_as(ids) * mask
    return batch


def _write_model(module: nn.Module, file: Path, limit: int, settings: dict) -> None:
    """limit: the model's longest text, the length's upper end."""
    kwargs = _batch(module, settings, 2, min(7, limit))
    dims = {
        0: torch.export.Dim("batch", min=1, max=BATCHES),
        1: torch.export.Dim("length", min=1, max=limit),
    }
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (),
                kwargs=kwargs,
                dynamo=True,
                output_names=["outputs"],
                dynamic_shapes=dict.fromkeys(kwargs, dims),
            )
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
    _strip(program.model)
    program.model.metadata_props["export"] = settings["export"]
    size = sum(w.const_value.nbytes for w in program.model.graph.initializers.values())
    program.save(file, external_data=size >= LARGE)


def _strip(graph_model) -> None:
    """Without the exporter's notes, which name files of this machine."""
    for node in graph_model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*graph_model.graph.inputs, *graph_model.graph.initializers.values()):
        value.metadata_props.clear()
    graph_model.graph.metadata_props.clear()
    graph_model.metadata_props.clear()


def _check(module: nn.Module, folder: Path, settings: dict) -> None:
    """`ValueError` unless what was written gives what PyTorch gives."""
    from .onnx_model import OnnxModel

    batch = _batch(module, settings, 3, min(11, settings["max_length"]))
    with torch.inference_mode():
        wanted = module(**batch)
    found = torch.from_numpy(OnnxModel(folder, threads=1).dense(batch))
    if not wanted.isfinite().all():
        raise ValueError("model: gives numbers that are not finite: NaN or too large")
    error = (found - wanted).abs().max() / wanted.abs().max().clamp(min=1)
    if found.shape != wanted.shape or not error < 1e-3:
        raise ValueError(
            f"model: its export gives numbers that differ by {float(error):.1e} from PyTorch's"
        )
