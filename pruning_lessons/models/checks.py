"""Checks at the entry of functions: an error names the argument, what it is, what it must be."""

from numbers import Integral


def whole_number(name: str, value, least: int = 1, most: int | None = None) -> int:
    """`value`, if it is a whole number from `least` to `most`; else `ValueError` naming `name`."""
    wanted = f"at least {least}" if most is None else f"from {least} to {most}"
    fits = isinstance(value, Integral) and not isinstance(value, bool) and value >= least
    if not fits or most is not None and value > most:
        raise ValueError(f"{name}: is {value!r}, must be a whole number, {wanted}")
    return int(value)
