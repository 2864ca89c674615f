"""The lessons' pictures, so that no lesson has to show how it is drawn: `pl.figures.curves(…)`.

Each function returns a `Picture`, with its text alternative. `common` has what several lessons
draw; what one alone draws is in a module of its number.
"""

from importlib import import_module

from .common import PARTS, bars, curves, grid, strips
from .picture import Picture, subplots

_LESSONS = tuple(f"lesson_{number:02d}" for number in range(12))


def __getattr__(name: str):
    """A function of one lesson's own module."""
    if not name.startswith("_"):
        for lesson in _LESSONS:
            try:
                module = import_module(f".{lesson}", __name__)
            except ModuleNotFoundError as error:
                if error.name != f"{__name__}.{lesson}":
                    raise
                continue
            if name in getattr(module, "__all__", ()):
                return getattr(module, name)
    raise AttributeError(f"there is no picture {name!r}")
