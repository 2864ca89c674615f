"""Weights in four bits, without loss: how the embedded embedder is stored.

The format is Q4_0 of GGML: a matrix's rows are cut into blocks of 32 weights, and a block is one
float16 scale and 16 bytes. A byte holds two weights as numbers from 0 to 15: its low half one of
the weights 0-15 of the block, its high half one of the weights 16-31. A weight is
(number - 8) x scale. So a weight takes 4.5 bits, and 32 of them 18 bytes in place of 128.

In a safetensors file a matrix NAME is two tensors, NAME.blocks and NAME.scales; all else (biases,
LayerNorms) is there as it is.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

BLOCK = 32  # weights that share a scale


def pack(numbers: Tensor) -> Tensor:
    """The blocks (rows, columns / 32, 16), uint8, of a matrix of numbers from 0 to 15.

    numbers: (rows, columns), uint8. Raises `ValueError` if the columns do not fill blocks, or a
    number needs more than four bits.
    """
    if numbers.dim() != 2 or numbers.dtype != torch.uint8 or numbers.shape[1] % BLOCK:
        raise ValueError(
            f"numbers: is {numbers.dtype} {tuple(numbers.shape)}, must be torch.uint8 with two "
            f"dimensions, the second a multiple of {BLOCK}"
        )
    if numbers.numel() and numbers.max() > 15:
        raise ValueError(f"numbers: has {int(numbers.max())}, must be from 0 to 15")
    rows, columns = numbers.shape
    low, high = numbers.reshape(rows, columns // BLOCK, 2, BLOCK // 2).unbind(2)
    return low | high << 4


def unpack(blocks: Tensor, scales: Tensor) -> Tensor:
    """The matrix (rows, columns), float32, of blocks (rows, columns / 32, 16) and their scales.

    scales: (rows, columns / 32), float16. Each value is exact: a number of four bits times a
    float16 fits in a float32. Raises `ValueError` if types or shapes do not go together.
    """
    shape = tuple(blocks.shape)
    if blocks.dtype != torch.uint8 or len(shape) != 3 or shape[2] != BLOCK // 2:
        raise ValueError(f"blocks: is {blocks.dtype} {shape}, must be torch.uint8 (., ., 16)")
    if scales.dtype != torch.float16 or tuple(scales.shape) != shape[:2]:
        raise ValueError(
            f"scales: is {scales.dtype} {tuple(scales.shape)}, must be torch.float16 {shape[:2]}"
        )
    numbers = torch.cat([blocks & 15, blocks >> 4], dim=2)  # (rows, columns / 32, 32)
    return ((numbers.float() - 8) * scales.float().unsqueeze(2)).flatten(1)


def read_four_bits(file: str | Path) -> dict[str, Tensor]:
    """All weights of a file in float32, for `load_state_dict`.

    Raises `ValueError`, naming the file, if it is missing, damaged, or not in this format.
    """
    try:
        stored = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"file: {str(file)!r} is missing, truncated or damaged ({error}): fetch it again"
        ) from error
    weights = {}
    try:
        for name in stored:
            matrix, _, part = name.rpartition(".")
            if part == "blocks":
                weights[matrix] = unpack(stored[name], stored[f"{matrix}.scales"])
            elif part != "scales":
                weights[name] = stored[name].float()
            elif f"{matrix}.blocks" not in stored:
                raise KeyError(f"{matrix}.blocks")
    except (KeyError, ValueError) as error:
        raise ValueError(f"file: {str(file)!r} has no usable {name}: {error}") from error
    broken = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if broken:
        raise ValueError(
            f"file: {str(file)!r} is damaged: {broken[0]} has values that are no number"
        )
    return weights
