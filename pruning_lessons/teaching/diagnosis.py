"""What a wrong answer looks like, computed from its numbers: twice too large, transposed, the mask
the wrong way round, right for the first row only.

Each diagnosis is a pure function of what was expected and what was got, and says one sentence, or
None where the numbers do not bear it out. `diagnose` asks them from the most specific on.
"""

import inspect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .answers import close, equal, kind, numbers, plain, write

CLOSE = 1e-4  # the relative error within which a rule is taken to hold

KNOWN_FACTORS = {
    2: "is each counted twice, as in FLOPs for MACs?",
    1 / 2: "is half of it left out?",
    100: "percent in place of a share?",
    1 / 100: "divided by 100 without need?",
    1000: "milliseconds in place of seconds?",
    1 / 1000: "seconds in place of milliseconds?",
    -1: "the sign is turned round",
}


@dataclass
class Failure:
    """A case that fails: what was expected, what was got, and the sizes that stand in its
    arguments, by name (`"x.shape[0]": 3`).
    """

    expected: object
    got: object
    sizes: dict[str, int] = field(default_factory=dict)


def diagnose(failures: list[Failure]) -> str | None:
    """What the first failure looks like; a sentence that holds for the others, too, goes first.
    None if the expected is no number (a text) and what was got is of the right type.
    """
    first = failures[0]
    sentence = of_type(first.expected, first.got)
    want = numbers(first.expected)
    if sentence or want is None:
        return sentence
    pairs = [(numbers(f.expected), numbers(f.got)) for f in failures]
    if any(have is None for _, have in pairs):
        pairs = pairs[:1]
    sizes = _common_sizes(failures, pairs)
    scalars = len(pairs) > 1 and all(e.ndim == 0 == g.ndim for e, g in pairs)
    if scalars:
        joined = torch.stack([e for e, _ in pairs]), torch.stack([g for _, g in pairs])
        for look in ELEMENTWISE:
            if found := look(*joined, sizes):
                return found.replace("every number", f"in all {len(pairs)} cases that fail, it")
    other = _differ(*pairs[0])
    looks = [_with_sizes(look, sizes) for look in (SHAPES if other else VALUES)]
    alike = [pair for pair in pairs if _differ(*pair) == other]
    everywhere = (look for look in looks if not scalars and all(look(*pair) for pair in alike))
    for look in itertools.chain(everywhere, looks, (other_shape,) if other else GENERAL):
        if found := look(*pairs[0]):
            return found
    return None


def _differ(expected: Tensor, got: Tensor) -> bool:
    return expected.shape != got.shape


def _with_sizes(look: Callable, sizes: dict) -> Callable:
    return (lambda e, g: look(e, g, sizes)) if look in SIZED else look


# ---- the type -----------------------------------------------------------------------------------


def of_type(expected, got) -> str | None:
    """Nothing, a function, a generator, several values in place of one, text for numbers."""
    if got is None and expected is not None:
        return "the function returns nothing (None): is a return missing?"
    name = type(got).__name__
    if inspect.isgenerator(got) or name in ("map", "filter", "zip"):
        return f"a {name}, which has not run yet: make a list of it, list(…)"
    if callable(got) and not isinstance(got, Tensor):
        name = getattr(got, "__name__", name)
        return f"the function {name} itself: are the brackets missing, f(…)?"
    if expected is None or isinstance(expected, str):
        return _one_of_several(expected, got) or _other_text(expected, got)
    want, have = numbers(expected), numbers(got)
    if have is None or have.shape != want.shape:
        if found := _one_of_several(expected, got):
            return found
    if have is not None:
        return None
    if isinstance(got, (list, tuple)) and None in [x if x is None else 0 for x in got]:
        return f"entry {[x is None for x in got].index(True)} is None and no number"
    return f"{kind(got)}, which is no number or table of numbers; {kind(expected)}, is expected"


def _other_text(expected: str | None, got) -> str:
    if isinstance(got, str) and expected is not None:
        return f"another name, {got!r} and not {expected!r}"
    return f"{write(got)} where {write(expected)} is expected"


def _one_of_several(expected, got) -> str | None:
    """A tuple or list in which the answer is found."""
    if not isinstance(got, (tuple, list)):
        return None
    place = next((i for i, x in enumerate(got) if equal(x, expected, 1e-5)), None)
    if place is None:
        return None
    return f"{len(got)} values where 1 is expected: number {place} is right, return it alone"


# ---- the shape ----------------------------------------------------------------------------------


def reordered_dimensions(e: Tensor, g: Tensor) -> str | None:
    """The right numbers, with dimensions in another order."""
    for order in itertools.permutations(range(g.ndim)) if 2 <= g.ndim <= 4 else ():
        if order != tuple(range(g.ndim)) and close(g.permute(order), e):
            if g.ndim == 2:
                shapes = "" if e.shape == g.shape else f", {_shapes(e, g)}"
                return f"transposed: the {_some(len(g), 'row')} should be columns{shapes}"
            return f"the right numbers; .permute{order} would bring the dimensions in order"
    return None


def dimension_of_one(e: Tensor, g: Tensor) -> str | None:
    """A dimension of size 1 too many or too few."""
    if e.ndim != g.ndim and close(e.squeeze(), g.squeeze()):
        many = "too many" if g.ndim > e.ndim else "missing"
        return f"the right numbers, but a dimension of size 1 is {many}: {_shapes(e, g)}"
    return None


def reshaped(e: Tensor, g: Tensor) -> str | None:
    """The right numbers in another shape, in order or not."""
    if e.numel() != g.numel():
        return None
    if close(e.flatten(), g.flatten()):
        flat = "flattened" if g.ndim == 1 else "in another shape"
        return f"the right numbers, {flat}: {_shapes(e, g)}"
    if close(_sorted(e), _sorted(g)):
        return f"the right {e.numel()} numbers in another shape and order: {_shapes(e, g)}"
    return None


def not_reduced(e: Tensor, g: Tensor) -> str | None:
    """A sum or a mean over a dimension is missing, or is one too many."""
    for larger, smaller, says in ((g, e, "is missing"), (e, g, "is one too many")):
        if larger.ndim == smaller.ndim + 1 and larger.numel() > 0:
            for d in range(larger.ndim):
                for name, reduce in _REDUCTIONS:
                    if close(reduce(larger.double(), d), smaller):
                        return f"{name} over dimension {d} {says}: {_shapes(e, g)}"
    return None


def part_only(e: Tensor, g: Tensor) -> str | None:
    """The first or last row or column alone."""
    for d in range(e.ndim):
        for place, name in ((0, "first"), (-1, "last")):
            if e.ndim == g.ndim + 1 and e.shape[d] > 1 and close(e.select(d, place), g):
                return f"only the {name} of the {e.shape[d]} along dimension {d}: {_shapes(e, g)}"
    return None


def members(e: Tensor, g: Tensor) -> str | None:
    """Entries, rows or columns that are missing, and some that should not be there."""
    if g.ndim == 1 and g.numel() == 0 < e.ndim:
        return f"empty, 0 entries in place of {len(e)}"
    if e.ndim != g.ndim or bool(((e == 0) | (e == 1)).all()):
        return None
    for d, name in enumerate(("row" if e.ndim > 1 else "entry", "column")[: e.ndim]):
        if e.shape[:d] + e.shape[d + 1 :] != g.shape[:d] + g.shape[d + 1 :]:
            continue
        extra, missing = [_row(x) for x in g.unbind(d)], []
        for row in map(_row, e.unbind(d)):
            extra.remove(row) if row in extra else missing.append(row)
        if len(extra) == g.shape[d] > 0:  # nothing in common
            continue
        short = e.ndim == 1 or e.shape[1 - d] <= 3
        parts = [
            f"{len(rows)} {says}" + (": " + ", ".join(rows[:3]) + ", …" * (len(rows) > 3)) * short
            for rows, says in ((missing, "missing"), (extra, "too many"))
            if rows
        ]
        count = f"{_some(g.shape[d], name)} in place of {e.shape[d]}"
        return "; ".join([count, *parts])
    return None


def _row(row: Tensor) -> str:
    return plain(row.item()) if row.ndim == 0 else f"({', '.join(map(_row, row))})"


def other_shape(e: Tensor, g: Tensor) -> str | None:
    """What can be said of any two shapes."""
    return f"the wrong shape: {_shapes(e, g)}"


def _shapes(e: Tensor, g: Tensor) -> str:
    return f"the shape is {tuple(g.shape)}, it must be {tuple(e.shape)}"


# ---- the values ---------------------------------------------------------------------------------


def not_bool(e: Tensor, g: Tensor) -> str | None:
    """Numbers where True and False are expected, or the reverse."""
    if g.dtype == torch.bool != e.dtype and not _mask(e, g):
        return f"True and False ({_some(g.numel(), 'bool')}) where numbers are expected"
    if e.dtype != torch.bool or g.dtype == torch.bool:
        return None
    n = int(((g != 0) == e).sum())
    return (
        f"numbers where True and False are expected; with 0 for False {n} of {e.numel()} are "
        f"right: .bool(), or a comparison"
    )


def not_finite(e: Tensor, g: Tensor) -> str | None:
    """nan or ±inf where a finite number is expected."""
    bad = ~g.double().isfinite() & e.double().isfinite()
    if not bad.any():
        return None
    nan = bool(g.double().isnan().any())
    cause = "0/0, 0 · ∞, ∞ − ∞ or a softmax over −∞ alone" if nan else "a division by 0, or log 0"
    which = "nan" if nan else "inf"
    return f"{which} in {int(bad.sum())} of {g.numel()} places: it comes from {cause}"


def inverted(e: Tensor, g: Tensor) -> str | None:
    """A mask the wrong way round."""
    if not _mask(e, g) or not 0 < e.sum() < e.numel() or not close(1 - g.double(), e):
        return None
    true, false = ("True", "False") if e.dtype == torch.bool else ("1", "0")
    return f"the wrong way round: all {e.numel()} have {true} for {false} and {false} for {true}"


def mask_subset(e: Tensor, g: Tensor) -> str | None:
    """A mask that has all the right places and more, or some of them and no others."""
    if not _mask(e, g) or e.numel() < 2:
        return None
    want, have, both = int(e.sum()), int(g.sum()), int((e.bool() & g.bool()).sum())
    if want == both:
        return f"it keeps all that is right ({_some(want, 'place')}), and {have - want} more"
    if have == both:
        return f"it keeps {have} of the {_some(want, 'right place')}, and no others"
    return None


def mask_counts(e: Tensor, g: Tensor) -> str | None:
    """A mask that keeps other places."""
    if not _mask(e, g) or e.numel() < 2:
        return None
    want, have, both = int(e.sum()), int(g.sum()), int((e.bool() & g.bool()).sum())
    if want == have:
        return f"it keeps {_some(have, 'place')}, as many as expected, but {have - both} wrong"
    return f"it keeps {have} of {_some(e.numel(), 'place')}, {want} expected; {both} of them right"


def factor(e: Tensor, g: Tensor, sizes: dict[str, int] | None = None) -> str | None:
    """Every number is wrong by the same factor. A single number may be so by chance: then it must
    be one of `KNOWN_FACTORS`, or made of one of the `sizes`.
    """
    f = _factor(e, g)
    if f is None:
        return None
    found = {size: name for name, size in reversed((sizes or {}).items())}
    ways = [
        f"{way.format(size)}, and {size} is {name}"
        for size, name in found.items()
        if (way := _power(f, size))
    ]
    known = [text for x, text in KNOWN_FACTORS.items() if math.isclose(f, x, rel_tol=CLOSE)]
    why = ways[:2] or known
    if not why and int((e != 0).sum()) < 2:
        return None
    return f"{_all(e)} is {plain(f)} times what is expected" + "".join(f" ({w})" for w in why)


def offset(e: Tensor, g: Tensor, sizes: dict[str, int] | None = None) -> str | None:
    """Every number is too large or too small by the same; a single one by 1."""
    d = g.double() - e.double()
    if _mask(e, g) or d.numel() == 0 or not d.isfinite().all():
        return None
    by = d.mean().item()
    if abs(by) < CLOSE or (d - by).abs().max() > CLOSE * max(abs(by), 1e-3):
        return None
    if e.numel() < 2 and abs(abs(by) - 1) > 1e-6:
        return None
    one = ": off by one" if abs(abs(by) - 1) < 1e-6 else ""
    return f"{_all(e)} is {plain(abs(by))} too {'large' if by > 0 else 'small'}{one}"


def function(e: Tensor, g: Tensor, sizes: dict[str, int] | None = None) -> str | None:
    """Every number is the square, the root, 1 minus, … of what is expected."""
    if _mask(e, g) and e.numel() > 1:
        return None
    e, g = e.double(), g.double()
    some = (e != 0) & (e != 1)
    for name, apply in _FUNCTIONS:
        made = apply(e)
        if some.any() and made.isfinite().all() and close(made, g) and not close(made, e):
            i = int(some.flatten().nonzero()[0])
            x, y = plain(e.flatten()[i].item()), plain(g.flatten()[i].item())
            return f"{_all(e)} is {name} what is expected ({y} for {x})"
    return None


def signs(e: Tensor, g: Tensor) -> str | None:
    """Right but for the sign of some."""
    n = int((e.double() * g.double() < 0).sum())
    if n == 0 or not close(e.double().abs(), g.double().abs()):
        return None
    return f"right but for the sign of {n} of {e.numel()}"


def factor_by_row(e: Tensor, g: Tensor) -> str | None:
    """Each row (or column) is wrong by a factor of its own."""
    if e.ndim != 2 or min(e.shape) < 2 or _mask(e, g):
        return None
    for name, rows in (("row", list(zip(e, g))), ("column", list(zip(e.T, g.T)))):
        found = [_factor(x, y) if (x != 0).sum() > 1 else None for x, y in rows]
        if None not in found:
            text = ", ".join(plain(f) for f in found[:4]) + ", …" * (len(found) > 4)
            return f"each {name} is right up to a factor of its own ({text})"
    return None


def rounded(e: Tensor, g: Tensor) -> str | None:
    """Rounded too early, or to a whole number."""
    e, g = e.double(), g.double()
    if _mask(e, g) and e.numel() > 1:
        return None
    for digits in range(7):
        if close((e * 10**digits).round() / 10**digits, g, 1e-9):
            return f"rounded to {digits} digits after the point: return the number as it is"
    if close(e.floor(), g, 1e-9):
        return "rounded down to whole numbers, 0 digits after the point: // or int(…) for /?"
    return None


def constant(e: Tensor, g: Tensor) -> str | None:
    """The same number everywhere."""
    if g.numel() < 2 or not (g == g.flatten()[0]).all() or (e == e.flatten()[0]).all():
        return None
    return f"the same everywhere: all {g.numel()} are {plain(g.flatten()[0].item())}"


def shifted(e: Tensor, g: Tensor) -> str | None:
    """Moved by one place along a dimension."""
    for d in range(e.ndim):
        for by in (1, -1):
            if e.shape[d] > 2 and close(e.roll(by, d), g):
                return f"the right numbers, shifted by {by} along dimension {d}"
    return None


def reversed_order(e: Tensor, g: Tensor) -> str | None:
    """In reverse order along a dimension: sorted the wrong way."""
    for d in range(e.ndim):
        if e.shape[d] > 1 and close(e.flip(d), g):
            where = f"reverse order along dimension {d}" if d else "reverse order"
            return f"the right {e.shape[d]} in {where}: sorted the wrong way, or swapped"
    return None


def permuted(e: Tensor, g: Tensor) -> str | None:
    """The right numbers in other places."""
    if e.numel() < 2 or _mask(e, g) or not close(_sorted(e), _sorted(g)):
        return None
    moved = int(_wrong(e, g).sum())
    return f"the right numbers in another order: {moved} of {e.numel()} are out of place"


def some_rows(e: Tensor, g: Tensor) -> str | None:
    """Right in the first or last row or column alone, or wrong there alone."""
    if e.numel() < 3:
        return None
    for d in range(min(e.ndim, 2)):
        n, name = e.shape[d], ("row" if e.ndim > 1 else "entry") if d == 0 else "column"
        right = [close(e.select(d, i), g.select(d, i)) for i in range(n)]
        if n < 2 or not 0 < sum(right) < n:
            continue
        for place, where in ((0, "first"), (-1, "last")):
            if sum(right) == 1 and right[place]:
                return f"right for the {where} of {_some(n, name)} only"
            if sum(right) == n - 1 and not right[place]:
                return f"right but for the {where} of {_some(n, name)}"
    return None


def those_that_differ(e: Tensor, g: Tensor, sizes: dict[str, int] | None = None) -> str | None:
    """A rule that holds for the numbers that are wrong, where others are right."""
    wrong = _wrong(e, g)
    n = int(wrong.sum())
    if not 0 < n < e.numel():
        return None
    for look in (factor, offset, function) if n > 1 else (offset, function):
        if found := look(e[wrong], g[wrong], sizes):
            where = wrong.nonzero()[0].tolist()
            if n == 1:
                return f"number {where} alone is wrong: {found}"
            return found.replace("every number", f"of the {n} that differ, each")
    return None


def cumulative(e: Tensor, g: Tensor) -> str | None:
    """Running sums, or a running sum that is missing."""
    if _mask(e, g) or e.numel() < 4:
        return None
    for d in range(e.ndim):
        if e.shape[d] > 1 and close(e.double().cumsum(d), g):
            return f"running sums (cumsum) over dimension {d} of the {e.shape[d]} that are expected"
        if e.shape[d] > 1 and close(g.double().cumsum(d), e):
            return f"a running sum (cumsum) over dimension {d} is missing"
    return None


def totals(e: Tensor, g: Tensor) -> str | None:
    """The total is right, and split differently."""
    total = e.double().sum()
    if e.numel() < 2 or abs(total) < 1e-3 or not close(total, g.double().sum()):
        return None
    return f"the total, {plain(total.item())}, is right, but split in another way"


def other_values(e: Tensor, g: Tensor) -> str | None:
    """What can be said of any two tensors of one shape: where they differ, and which way."""
    d = g.double() - e.double()
    wrong = _wrong(e, g)
    many, few = int((wrong & (d > 0)).sum()), int((wrong & (d < 0)).sum())
    if e.numel() == 1:
        way = f"{plain(abs(d.item()))} too {'large' if d > 0 else 'small'}"
        ratio = g.double().item() / e.item() if e.item() else None
        return way if ratio is None else f"{way}, {plain(ratio)} times what is expected"
    parts = []
    for name, n, by in (("large", many, d.max().item()), ("small", few, -d.min().item())):
        if n:
            parts.append(f"{n} too {name} (by up to {plain(by)})")
    return " and ".join(parts) + _rows(e, g) if parts else None


def _rows(e: Tensor, g: Tensor) -> str:
    """In which rows or columns they differ, if not in all."""
    for d, name in enumerate(("row", "column")[: e.ndim] if e.ndim > 1 else ()):
        wrong = [i for i in range(e.shape[d]) if not close(e.select(d, i), g.select(d, i))]
        if len(wrong) < e.shape[d]:
            return f"; only in {name} " + ", ".join(map(str, wrong))
    return ""


# ---- helpers ------------------------------------------------------------------------------------

_REDUCTIONS = (
    ("the mean", lambda x, d: x.mean(d)),
    ("the sum", lambda x, d: x.sum(d)),
    ("the maximum", lambda x, d: x.amax(d)),
    ("the norm", lambda x, d: x.norm(dim=d)),
)
_FUNCTIONS = (
    ("1 minus", lambda e: (1 - e).where((e >= 0) & (e <= 1), torch.nan)),
    ("the square of", lambda e: e.square()),
    ("the square root of", lambda e: e.sqrt()),
    ("1 divided by", lambda e: 1 / e),
    ("the size, without the sign, of", lambda e: e.abs()),
    ("the logarithm of", lambda e: e.log()),
    ("the exponential of", lambda e: e.exp()),
)


def _all(e: Tensor) -> str:
    return "every number" if e.numel() > 1 else "it"


def _some(n: int, name: str) -> str:
    if n == 1:
        return f"1 {name}"
    return f"{n} {name.removesuffix('y') + 'ies' if name.endswith('y') else name + 's'}"


def _mask(e: Tensor, g: Tensor) -> bool:
    """Both hold 0 and 1 alone."""
    return all(bool(((x == 0) | (x == 1)).all()) for x in (e, g))


def _sorted(x: Tensor) -> Tensor:
    return x.double().flatten().sort().values


def _wrong(e: Tensor, g: Tensor) -> Tensor:
    """Where two tensors differ."""
    return ~torch.isclose(g.double(), e.double(), rtol=1e-5, atol=1e-5, equal_nan=True)


def _factor(e: Tensor, g: Tensor) -> float | None:
    e, g = e.double(), g.double()
    some = e != 0
    if not some.any() or not close(g[~some], e[~some]) or (e.numel() > 1 and _mask(e, g)):
        return None
    ratios = g[some] / e[some]
    f = ratios.mean().item()
    constant = bool(((ratios - f).abs() <= CLOSE * abs(f)).all())
    return f if constant and math.isfinite(f) and abs(f) > 1e-9 and abs(f - 1) > CLOSE else None


def _power(f: float, size: int) -> str | None:
    """How a factor is made of a size, with {} in the size's place."""
    if size < 2:
        return None
    for value, text in ((size, "{}"), (size**2, "{} squared"), (size**0.5, "the root of {}")):
        if math.isclose(f, value, rel_tol=CLOSE):
            return f"times {text}"
        if math.isclose(f, 1 / value, rel_tol=CLOSE):
            return f"divided by {text}"
    return None


def _common_sizes(failures: list[Failure], pairs: list[tuple[Tensor, Tensor]]) -> dict[str, int]:
    """The sizes of the first failure that explain the factor of every one in the same way."""
    factors = [_factor(e, g) if e.shape == g.shape else None for e, g in pairs]
    found = [(f, failure.sizes) for f, failure in zip(factors, failures) if f is not None]

    def explains(name: str) -> bool:
        return len({_power(f, sizes[name]) for f, sizes in found if sizes.get(name, 0) > 1}) == 1

    return {name: size for name, size in failures[0].sizes.items() if explains(name)}


ELEMENTWISE = (factor, offset, function)
SIZED = (*ELEMENTWISE, those_that_differ)
SHAPES = (
    reordered_dimensions,
    dimension_of_one,
    reshaped,
    part_only,
    not_reduced,
    members,
)
VALUES = (
    not_bool,
    not_finite,
    inverted,
    constant,
    reordered_dimensions,
    factor,
    offset,
    function,
    rounded,
    signs,
    factor_by_row,
    shifted,
    reversed_order,
    permuted,
    cumulative,
    mask_subset,
    some_rows,
    those_that_differ,
)
GENERAL = (mask_counts, totals, other_values)
