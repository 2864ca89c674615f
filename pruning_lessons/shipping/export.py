"""Deploy without this package: ONNX, int8, and a folder that answers by itself."""

import contextlib
import io
import json
import logging
import shutil
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from ..models.anatomy import copied, heads_per_layer, layers_of, neurons_per_layer, without_masks
from ..models.files import written_beside


class _Logits(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids, attention_mask=attention_mask).logits


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


def export_onnx(model, tokenizer, folder: str | Path) -> Path:
    """Write `folder` with model.onnx, tokenizer.json, settings.json and classify.py; batch and
    length stay free.

    Any pruned classifier, also with empty or removed layers and a pruned vocabulary; logits equal
    PyTorch's within 1e-4. classify.py answers where there is onnxruntime and tokenizers and no
    torch (see `OnnxClassifier`). Written beside and moved into place: if something fails, what was
    there stays. Needs onnx and onnxscript (`pip install pruning-lessons[export]`). Raises
    `TypeError` for a model that is no classifier, `ValueError` if `folder` holds other things.
    """
    layers_of(model)
    if not hasattr(model, "classifier"):
        raise TypeError(
            f"model: is a {type(model).__name__}, must be a classifier (task='intents')"
        )
    folder = Path(folder)
    if folder.exists() and (
        not folder.is_dir() or any(folder.iterdir()) and not (folder / "model.onnx").is_file()
    ):
        raise ValueError(
            f"folder: {str(folder)!r} holds other things and no export: name a new folder"
        )
    with written_beside(folder) as fresh:
        _write_model(_exportable(model), fresh / "model.onnx")
        tokenizer.backend_tokenizer.save(str(fresh / "tokenizer.json"))
        names = model.config.id2label
        (fresh / "settings.json").write_text(
            json.dumps(
                {
                    "labels": [names[i] for i in range(len(names))],
                    "pad_id": tokenizer.pad_token_id,
                    "pad_token": tokenizer.pad_token,
                    "max_length": model.config.max_position_embeddings - 2,
                },
                ensure_ascii=False,
                indent=1,
            ),
            encoding="utf-8",
        )
        shutil.copy(Path(__file__).with_name("onnx_classifier.py"), fresh / "classify.py")
    return folder


def _exportable(model) -> nn.Module:
    """A copy in eval mode on the CPU, in which empty layers are what they compute: ONNX runtimes
    stumble over width 0.
    """
    small = copied(without_masks(model)).cpu().float().eval()
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
    return _Logits(small).eval()


def _write_model(module: nn.Module, file: Path) -> None:
    ids = torch.randint(5, module.model.config.vocab_size, (2, 7))
    batch, length = (
        torch.export.Dim("batch", min=1, max=4096),
        torch.export.Dim("length", min=2, max=512),
    )
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (),
                str(file),
                kwargs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
                dynamo=True,
                external_data=False,
                output_names=["logits"],
                dynamic_shapes={
                    "input_ids": {0: batch, 1: length},
                    "attention_mask": {0: batch, 1: length},
                },
            )
    finally:
        logging.getLogger("torch.onnx").setLevel(level)


def quantize_onnx(folder: str | Path) -> Path:
    """Write model-int8.onnx beside an exported model: weights in 8 bits, a scale for each output,
    activations at run time.

    Dynamic quantisation as in onnxruntime. Raises `ValueError` if the folder has no model.onnx.
    """
    folder = Path(folder)
    if not (folder / "model.onnx").is_file():
        raise ValueError(f"folder: {str(folder)!r} has no model.onnx: run export_onnx first")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    fresh, level = folder / ".int8.part", logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        quantize_dynamic(
            folder / "model.onnx", fresh, weight_type=QuantType.QInt8, per_channel=True
        )
        return fresh.replace(folder / "model-int8.onnx")
    finally:
        logging.getLogger().setLevel(level)
        fresh.unlink(missing_ok=True)
