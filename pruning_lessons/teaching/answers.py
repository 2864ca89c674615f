"""Answers as numbers and as text: `numbers` and `equal` compare what came in any form with what is
expected, `write` and `call` show it as short Python.
"""

import inspect
import keyword
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

FULL = 25  # so many numbers are shown in full
WIDTH = 90  # so many characters fit in a line


def numbers(value) -> Tensor | None:
    """The numbers of a tensor, array, (nested) list or tuple, or single number, as a tensor of
    bool or float64 on the CPU; None if it is none of these, or its rows differ in length.
    """
    if isinstance(value, Tensor):
        if value.is_complex():
            return None
        value = value.detach().to_dense().cpu()
        return value if value.dtype == torch.bool else value.double()
    if isinstance(value, (list, tuple)):
        items = [numbers(item) for item in value]
        if not items:
            return torch.empty(0, dtype=torch.float64)
        if any(item is None or item.shape != items[0].shape for item in items):
            return None
        same = all(item.dtype == torch.bool for item in items)
        return torch.stack(items if same else [item.double() for item in items])
    if value is None or isinstance(value, (str, bytes, dict, set)) or callable(value):
        return None
    try:
        array = np.asarray(value)
        return numbers(torch.tensor(array if array.dtype != object else float(value)))
    except (TypeError, ValueError, RuntimeError):
        return None


def equal(found, expected, tolerance: float) -> bool:
    """Whether `found` is right: the same text, or the same numbers in any form. True and False are
    no 1 and 0; what is empty is equal whatever its type.
    """
    if isinstance(expected, (tuple, list)) and isinstance(found, (tuple, list)):
        return len(found) == len(expected) and all(
            equal(f, e, tolerance) for f, e in zip(found, expected)
        )
    want = numbers(expected)
    if want is None:
        return isinstance(found, type(expected)) and bool(found == expected)
    have = numbers(found)
    if have is None or (have.shape != want.shape and have.numel() + want.numel() > 0):
        return False
    if have.numel() == 0:
        return True
    return (want.dtype != torch.bool or have.dtype == torch.bool) and close(have, want, tolerance)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    """Whether two tensors have the same shape and numbers; nan equals nan."""
    return a.shape == b.shape and torch.allclose(
        a.double(), b.double(), rtol=tolerance, atol=tolerance, equal_nan=True
    )


def count(value) -> int:
    """How many numbers or words stand in it."""
    if isinstance(value, (Tensor, np.ndarray)):
        return int(np.prod(value.shape))
    if isinstance(value, dict):
        return 2 * sum(map(count, value.values()))
    return sum(map(count, value)) if isinstance(value, (list, tuple)) else 1


def number(x, digits: int = 4) -> str:
    """One number, to so many digits; whole numbers in full."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (float, np.floating)):
        return str(x)
    if not np.isfinite(x):
        return str(float(x))
    return f"{x:.1f}" if x == round(x) and abs(x) < 1e15 else f"{x:.{digits}g}"


def plain(x: float, digits: int = 4) -> str:
    """One number in a sentence: whole ones without a point."""
    whole = not isinstance(x, bool) and math.isfinite(x) and x == round(x)
    return str(round(x)) if whole else number(x, digits)


def magnitude(value) -> float:
    """The sum of the sizes of the numbers that stand in it alone or in lists."""
    if isinstance(value, (list, tuple)):
        return sum(map(magnitude, value))
    return abs(value) if isinstance(value, (int, float)) else 0


def digits_apart(a: float, b: float) -> int:
    """How many digits it takes to see that two numbers differ, at least 4."""
    return next((n for n in range(4, 17) if number(a, n) != number(b, n)), 17)


def write(value, digits: int = 4, indent: int = 0) -> str:
    """A value as short Python: more than `FULL` numbers are summed up."""
    if isinstance(value, (Tensor, np.ndarray)):
        return _array(value, digits, indent)
    if isinstance(value, (list, tuple)):
        if count(value) > 2 * FULL:
            value, rest = value[:3], f", … {len(value)} in all"
        else:
            rest = "," if isinstance(value, tuple) and len(value) == 1 else ""
        inside = ", ".join(literal(item, digits) for item in value) + rest
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {literal(v, digits)}" for k, v in value.items()) + "}"
    if isinstance(value, (int, float, np.number)):
        return number(value.item() if isinstance(value, np.number) else value, digits)
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " …"


def literal(value, digits: int = 4, indent: int = 0) -> str:
    """As `write`, with a tensor as torch.tensor(…)."""
    if not isinstance(value, Tensor):
        return write(value, digits)
    if value.numel() > FULL:
        return f"<{kind(value)}: {write(value, digits)}>"
    return f"torch.tensor({write(value, digits, indent + 13)})"


def _array(value: Tensor | np.ndarray, digits: int, indent: int) -> str:
    value = value.detach().cpu() if isinstance(value, Tensor) else value
    if count(value) > FULL:
        flat = numbers(value)
        if flat is None:
            return f"{count(value)} numbers"
        low, high = flat.double().min().item(), flat.double().max().item()
        return f"{count(value)} numbers from {number(low, digits)} to {number(high, digits)}"
    text = write(value.tolist(), digits)
    if value.ndim < 2 or len(text) + indent <= WIDTH:
        return text
    array = np.asarray(value)
    width = max(len(number(x, digits)) for x in array.flat)
    text = np.array2string(
        array,
        max_line_width=WIDTH + 30,
        separator=", ",
        prefix=" " * indent,
        formatter={"all": lambda x: number(x, digits).rjust(width)},
    )
    return text.replace("\n\n", "\n")


def kind(value) -> str:
    """What it is: type, and shape or length."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} tensor, shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array, shape {value.shape}"
    if isinstance(value, (list, tuple, dict, set)):
        return f"{type(value).__name__}, length {len(value)}"
    return type(value).__name__


def describe(value, digits: int = 4, indent: int = 0) -> str:
    """What it is and what stands in it, as in `float: 0.25`; in lines of its own where it is
    long.
    """
    if value is None or callable(value):
        return write(value)
    start = f"{kind(value)}: "
    text = write(value, digits, indent + len(start))
    if "\n" not in text:
        return start + text
    return f"{start.strip()}\n{' ' * indent}{write(value, digits, indent)}"


def call(function: Callable, names: list[str], arguments: tuple, indent: int = 0) -> str:
    """The call as Python, an argument a line where it is long."""
    name = getattr(function, "__name__", "answer")
    name = name if name.isidentifier() and not keyword.iskeyword(name) else "answer"

    parts = [
        f"{key}={literal(value, indent=indent + 5 + len(key))}"
        for key, value in zip(names, arguments)
    ]
    text = f"{name}({', '.join(parts)})"
    if len(text) + indent <= WIDTH and "\n" not in text:
        return text
    pad = "\n" + " " * (indent + 4)
    return f"{name}(" + "".join(f"{pad}{part}," for part in parts) + "\n" + " " * indent + ")"


def parameter_names(answer: Callable, reference: Callable) -> list[str]:
    """The learner's own names of the arguments, if there are as many as in the reference."""
    given = list(inspect.signature(reference).parameters)
    try:
        own = [
            p.name
            for p in inspect.signature(answer).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
    except (TypeError, ValueError):
        return given
    return own if len(own) == len(given) else given
