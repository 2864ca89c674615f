"""Checks at the entry of functions: an error names the argument, what it is, what it must be."""

from math import isfinite
from numbers import Integral, Real


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
