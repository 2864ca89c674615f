"""Open challenges: get a cost as low as you can, while something stays good enough.

A lesson states the challenge and measures in the open; `challenge(name, cost, quality)` says
whether the result counts, keeps the best one, and compares it with the target.
"""

import math
from dataclasses import dataclass

from . import exercises, record
from .exercises import Plain

CHALLENGES: dict[str, "Challenge"] = {}
MOST = 2  # a larger share is one in percent


@dataclass
class Challenge:
    """`cost`: what is to get small, as in "share of the MACs"; `quality`: what must stay at least
    `least`, as in "validation accuracy"; `target`: the cost to reach; `form`: how both are written
    (with a % they are shares, 1 for the whole).
    """

    name: str
    cost: str
    quality: str
    least: float
    target: float
    form: str = "{:.1%}"

    def __post_init__(self):
        CHALLENGES[self.name] = self

    def reached(self, cost: float) -> bool:
        """Whether a cost is at the target or below, to rounding."""
        return cost <= self.target + 1e-9


class UnknownChallenge(Plain, ValueError):
    """There is no challenge of this name."""


class NoNumber(Plain, ValueError):
    """A result is a finite number, a share none in percent, a cost not below 0."""


def challenge(name: str, cost: float, quality: float) -> None:
    """Say whether a result counts, and how it compares with the target and with the best before.

    Raises `ValueError` for an unknown challenge, for a cost or quality that is no finite number or,
    where a share is asked, one in percent, and for a cost below 0.
    """
    asked = _find(name)
    if cost is ... or quality is ...:
        print(f"… {name}: not attempted yet. {_what(asked)}")
        return
    cost, quality = _number(asked, "cost", cost), _number(asked, "quality", quality)
    write = asked.form.format
    said = f"{asked.cost} {write(cost)}, {asked.quality} {write(quality)}"
    if quality < asked.least:
        print(f"✗ {name}: {said}. It does not count: at least {write(asked.least)} is needed.")
        return
    before = record.read()["challenges"].get(name, math.inf)
    record.met(name, cost)
    reached = "reached" if asked.reached(cost) else "not yet reached"
    print(f"✓ {name}: {said}.\n  Target {write(asked.target)}: {reached}.")
    if math.isfinite(before):
        print(f"  Your best before: {write(before)}." + (" A new best!" if cost < before else ""))


def of_lesson(number: str) -> list[Challenge]:
    """All challenges of a lesson; none if there is no such lesson."""
    exercises.of_lesson(number)  # both stand in one module
    return [found for name, found in CHALLENGES.items() if name[:2] == number]


def _number(asked: Challenge, what: str, value) -> float:
    """The value as a float; `NoNumber` if it cannot be one of this challenge's."""
    try:
        found = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # of a tensor, too
        found = math.nan
    if isinstance(value, (bool, str)) or not math.isfinite(found):
        raise NoNumber(f"{what}: is {value!r}, must be a finite number ({_what(asked)})")
    if "%" in asked.form and found > MOST:
        raise NoNumber(f"{what}: is {value!r}, must be a share, 0.5 for 50% ({_what(asked)})")
    if what == "cost" and found < 0:
        raise NoNumber(f"cost: is {value!r}, must not be below 0 ({_what(asked)})")
    return found


def _what(asked: Challenge) -> str:
    write = asked.form.format
    return (
        f"Make the {asked.cost} small while the {asked.quality} stays at least "
        f"{write(asked.least)}; target {write(asked.target)}."
    )


def _find(name: str) -> Challenge:
    if isinstance(name, str):
        of_lesson(name[:2])  # registers them
    if not isinstance(name, str) or name not in CHALLENGES:
        raise UnknownChallenge(f"name: is {name!r}, must be one of {sorted(CHALLENGES)}")
    return CHALLENGES[name]
