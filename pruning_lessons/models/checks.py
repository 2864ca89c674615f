"""Checks at the entry of functions: an error names the argument, what it is, what it must be."""

import functools
import inspect
from collections.abc import Callable, Iterable
from math import isfinite
from numbers import Integral, Real

from .anatomy import layers_of


def arguments(**rules: Callable) -> Callable:
    """A decorator: before the function begins, each named argument is put through its rule, which
    takes the argument's name and value, and gives the value or raises. None passes where it is the
    default.
    """

    def decorate(function: Callable) -> Callable:
        signature = inspect.signature(function)
        optional = {name for name, p in signature.parameters.items() if p.default is None}

        @functools.wraps(function)
        def checked(*args, **options):
            try:
                bound = signature.bind(*args, **options)
            except TypeError:  # says better itself what is missing
                return function(*args, **options)
            for name, rule in rules.items():
                value = bound.arguments.get(name, inspect.Parameter.empty)
                if value is inspect.Parameter.empty or value is None and name in optional:
                    continue
                bound.arguments[name] = rule(name, value)
            return function(*bound.args, **bound.kwargs)

        return checked

    return decorate


def whole(least: int = 1, most: int | None = None) -> Callable:
    """The rule of `whole_number`."""
    return lambda name, value: whole_number(name, value, least, most)


def seed(name: str, value) -> int:
    """The rule of what random numbers begin with: any whole number of 63 bits."""
    return whole_number(name, value, -(2**63), 2**63 - 1)


def one_of(known: Iterable[str]) -> Callable:
    """The rule of a word among others."""
    known = tuple(known)

    def rule(name: str, value) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"{name}: is {value!r}, must be one of {known}")
        return value

    return rule


def encoder(name: str, value):
    """The rule of models: `TypeError`, by the argument's own name, for what has no layers that
    this package knows.
    """
    try:
        layers_of(value)
    except TypeError as error:
        raise TypeError(str(error).replace("model:", f"{name}:", 1)) from None
    return value


def tokenizer(name: str, value):
    """The rule of tokenizers: `TypeError` for what does not behave as transformers' do."""
    if not callable(value) or not hasattr(value, "model_max_length"):
        raise TypeError(f"{name}: is a {type(value).__name__}, must be a tokenizer of transformers")
    return value


def finite_weights(name: str, model):
    """The rule of models with numbers for weights: `ValueError` for NaN or infinity in one."""
    for weight, tensor in encoder(name, model).state_dict().items():
        if tensor.is_meta:
            raise ValueError(f"{name}: has no values in {weight} (device 'meta')")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{name}: has NaN or infinite values in {weight}, must have numbers")
    return model


def whole_number(name: str, value, least: int = 1, most: int | None = None) -> int:
    """`value`, if it is a whole number from `least` to `most`; else `ValueError` naming `name`."""
    wanted = f"at least {least}" if most is None else f"from {least} to {most}"
    fits = isinstance(value, Integral) and not isinstance(value, bool) and value >= least
    if not fits or most is not None and value > most:
        raise ValueError(f"{name}: is {value!r}, must be a whole number, {wanted}")
    return int(value)


def number(name: str, value, least: float = 0, above: bool = False) -> float:
    """`value`, if it is a finite number of at least, or with `above` above, `least`; else
    `ValueError` naming `name`.
    """
    real = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    if not real or value < least or above and value == least:
        wanted = f"{'above' if above else 'at least'} {least}"
        raise ValueError(f"{name}: is {value!r}, must be a number {wanted}")
    return float(value)


def share(name: str, value, zero: bool = True) -> float:
    """`value`, if it is a number from 0 (or, without `zero`, above 0) to 1; else `ValueError`."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1 or value == 0 and not zero:
        wanted = "from 0 to 1" if zero else "above 0, at most 1"
        raise ValueError(f"{name}: is {value!r}, must be a share {wanted}")
    return float(value)
