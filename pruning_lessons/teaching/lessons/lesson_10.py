"""Exercises and the challenge of lesson 10."""

import math
import statistics

from ..challenges import Challenge
from ..exercises import Exercise


def fastest(rows, base, points):
    allowed = [row for row in rows if row[2] >= base - points / 100 - 1e-12]
    return min(allowed, key=lambda row: row[1])[0] if allowed else None


def difference(before, after):
    moved = [b - a for a, b in zip(before, after)]
    return 100 * statistics.mean(moved), 100 * statistics.stdev(moved) / math.sqrt(len(moved))


def split(texts, share):
    last = {}
    for text in texts:
        last.setdefault(text.strip().lower(), len(last))
    n = round(share * len(last))
    return [last[text.strip().lower()] >= len(last) - n for text in texts]


def _best(rows, base, points):
    name = fastest(rows, base, points)
    return next((row for row in rows if row[0] == name), None)


def _last_allowed(rows, base, points):
    return [None, *(r[0] for r in rows if r[2] >= base - points / 100 - 1e-12)][-1]


def _first_allowed(rows, base, points):
    return next((r[0] for r in rows if r[2] >= base - points / 100 - 1e-12), None)


def _split_at(n_of, key=lambda text: text.strip().lower()):
    """The split with another number held out, or another key."""

    def wrong(texts, share):
        place = {}
        for text in texts:
            place.setdefault(key(text), len(place))
        n = n_of(share, len(place))
        return [place[key(text)] >= len(place) - n for text in texts]

    return wrong


def _last_seen(texts, share):
    """Each text has the place where it stands last."""
    order = list(dict.fromkeys(text.strip().lower() for text in reversed(texts)))[::-1]
    n = round(share * len(order))
    return [order.index(text.strip().lower()) >= len(order) - n for text in texts]


def _minus_zero(texts, share):
    order = list(dict.fromkeys(text.strip().lower() for text in texts))
    out = set(order[-round(share * len(order)) :])
    return [text.strip().lower() in out for text in texts]


def _rows_end(texts, share):
    n = round(share * len(texts))
    return [i >= len(texts) - n for i in range(len(texts))]


def _no_case(texts, share):
    last = {}
    for text in texts:
        last.setdefault(text, len(last))
    n = round(share * len(last))
    return [last[text] >= len(last) - n for text in texts]


ROWS = [("whole", 20.0, 0.95), ("half", 11.0, 0.945), ("third", 8.0, 0.93), ("tenth", 3.0, 0.70)]
Exercise(
    "10.fastest",
    fastest,
    cases=[
        ("one point may go", (ROWS, 0.95, 1.0)),
        ("two points, rows in no order", ([ROWS[2], ROWS[1], ROWS[3], ROWS[0]], 0.95, 2.0)),
        ("none may go", (ROWS, 0.95, 0.0)),
        ("everything may go", (ROWS, 0.95, 50.0)),
        ("no model is good enough", (ROWS[1:], 0.99, 1.0)),
    ],
    wrong=[
        (
            lambda rows, base, points: min(rows, key=lambda r: r[1])[0],
            "The fastest of all may lose too much: first keep the rows whose accuracy is allowed.",
        ),
        (
            lambda rows, base, points: max(rows, key=lambda r: r[2])[0],
            "This is the most accurate. Among the allowed ones the fastest is wanted.",
        ),
        (
            lambda rows, base, points: fastest(rows, base, 100 * points),
            "A point is 0.01 of a share: base − points / 100.",
        ),
        (
            lambda rows, base, points: max(
                (r for r in rows if r[2] >= base - points / 100 - 1e-12),
                key=lambda r: r[1],
                default=(None,),
            )[0],
            "This is the slowest of those allowed: fewer milliseconds are better.",
        ),
        (
            _last_allowed,
            "This takes the last of those allowed; rows may stand in any order. min(…, key=…).",
        ),
        (
            _first_allowed,
            "This takes the first of those allowed; rows may stand in any order. min(…, key=…).",
        ),
        (
            lambda rows, base, points: min(r[2] >= base - points / 100 - 1e-12 for r in rows),
            "This compares without picking: filter the rows, then take the name of the fastest.",
        ),
        (
            lambda rows, base, points: _best(rows, base, points),
            "The whole row is returned; its name is asked: row[0].",
        ),
        (
            lambda rows, base, points: (_best(rows, base, points) or (0, 0))[1],
            "These are the milliseconds; the name is asked.",
        ),
        (
            lambda rows, base, points: fastest(rows, base * (1 - points / 100), 0),
            "A point is 0.01 itself, not a hundredth of the accuracy: base − points / 100.",
        ),
        (
            lambda rows, base, points: fastest(rows, base, -points),
            "Accuracy may fall by so much: base − points / 100, not plus.",
        ),
        (
            lambda rows, base, points: min(
                (r for r in rows if r[2] >= base - points / 100 - 1e-12), key=lambda r: r[1]
            )[0],
            "Where no row is allowed min has nothing to choose from: return None.",
        ),
        (
            lambda rows, base, points: min(
                (r for r in rows if r[2] > base - points / 100 + 1e-12),
                key=lambda r: r[1],
                default=(None,),
            )[0],
            "A row that loses exactly so much is allowed: >=.",
        ),
    ],
    look="Look at “Choose what to serve”.",
)

BEFORE = [0.90, 0.80, 0.95, 0.85]
AFTER = [0.88, 0.79, 0.95, 0.82]
Exercise(
    "10.difference",
    difference,
    cases=[
        ("four groups", (BEFORE, AFTER)),
        ("two groups", ([0.5, 1.0], [0.5, 0.9])),
        ("the same loss in each", ([0.9, 0.7, 0.8], [0.8, 0.6, 0.7])),
        ("a gain", ([0.6, 0.7, 0.65], [0.7, 0.72, 0.66])),
        ("as good on the whole", ([0.5, 0.75, 0.7], [0.52, 0.7, 0.73])),
    ],
    wrong=[
        (
            lambda before, after: tuple(x / 100 for x in difference(before, after)),
            "These are shares; points are asked: times 100.",
        ),
        (
            lambda before, after: difference(after, before),
            "A loss is negative: after less before.",
        ),
        (
            lambda before, after: (
                100 * (sum(after) - sum(before)),
                difference(before, after)[1],
            ),
            "This is the sum over the groups; the mean is asked.",
        ),
        (
            lambda before, after: (
                difference(after, before)[0],
                100 * statistics.stdev(b - a for a, b in zip(before, after)),
            ),
            "Two things: a loss is negative (after less before), and the mean of n differences is "
            "surer than one, by √n.",
        ),
        (
            lambda before, after: (
                difference(before, after)[0],
                100 * statistics.stdev(b - a for a, b in zip(before, after)),
            ),
            "This is the spread of the groups' differences; the mean of n of them is surer, by √n.",
        ),
        (
            lambda before, after: (
                difference(before, after)[0],
                100 * statistics.stdev(b - a for a, b in zip(before, after)) / len(before),
            ),
            "Divide by the square root of the number of groups, not by the number.",
        ),
        (
            lambda before, after: (
                difference(before, after)[0],
                100
                * statistics.pstdev(b - a for a, b in zip(before, after))
                / math.sqrt(len(before)),
            ),
            "The groups are a sample: statistics.stdev divides by n − 1, pstdev by n.",
        ),
        (
            lambda before, after: (
                difference(before, after)[0],
                100
                * math.sqrt(
                    (statistics.variance(before) + statistics.variance(after)) / len(before)
                ),
            ),
            "This treats the two lists as strangers. They are the same groups: take the "
            "differences first, then their spread.",
        ),
        (
            lambda before, after: difference(before, after)[0],
            "Two numbers are asked: the difference and its standard error.",
        ),
        (
            lambda before, after: difference(before, after)[::-1],
            "The difference first, then its standard error.",
        ),
        (
            lambda before, after: (
                abs(difference(before, after)[0]),
                difference(before, after)[1],
            ),
            "Leave the sign: a gain is not a loss.",
        ),
        (
            lambda before, after: (
                difference(before, after)[0],
                100 * statistics.variance(b - a for a, b in zip(before, after)) / len(before),
            ),
            "This is a variance: its square root is the standard error.",
        ),
        (
            lambda before, after: (
                100 * (sum(after) - sum(before)) / sum(before),
                difference(before, after)[1],
            ),
            "This is the loss as a part of what was there; the plain difference is asked.",
        ),
    ],
    look="Look at “The last word”.",
)

TEXTS = ["Turn on", "play jazz", "turn on ", "stop", "lights off", "PLAY JAZZ", "next", "stop"]
Exercise(
    "10.split",
    split,
    cases=[
        ("doubles in other letters", (TEXTS, 0.4)),
        ("nothing is held out", (TEXTS, 0.0)),
        ("all are", (TEXTS, 1.0)),
        ("no doubles", (["a", "b", "c", "d"], 0.5)),
        ("a double at the end", (["a", "b", "c", "A"], 1 / 3)),
        ("rounded up", (list("abcde"), 0.35)),
        ("rounded down", (list("abcde"), 0.25)),
        ("spaces at both ends", ([" stop", "go", "stop", "go "], 0.5)),
        ("spaces inside count", (["c", "ab", "a b"], 1 / 3)),
    ],
    wrong=[
        (
            _rows_end,
            "A text that stands twice may be on both sides here: count different texts, not lines.",
        ),
        (_no_case, "“Turn on” and “turn on ” are the same text: strip and lower first."),
        (
            lambda texts, share: [not x for x in split(texts, share)],
            "True is held out. This is the wrong way round.",
        ),
        (
            lambda texts, share: [
                list(dict.fromkeys(t.strip().lower() for t in texts)).index(t.strip().lower())
                < round(share * len({t.strip().lower() for t in texts}))
                for t in texts
            ],
            "These are the first of the different texts; the last are held out.",
        ),
        (
            _split_at(lambda share, n: int(share * n)),
            "int(…) rounds down; round to the nearest.",
        ),
        (
            _split_at(lambda share, n: math.ceil(share * n)),
            "ceil rounds up; round to the nearest.",
        ),
        (
            _minus_zero,
            "With n = 0 the slice [-0:] is everything: count from the front, [len(…) − n:].",
        ),
        (
            _split_at(lambda share, n: round(share * n), str.lower),
            "Spaces at the ends do not count: strip, too.",
        ),
        (
            _split_at(lambda share, n: round(share * n), str.strip),
            "Capitals do not count: lower, too.",
        ),
        (
            _split_at(lambda share, n: round(share * n), lambda t: t.lower().replace(" ", "")),
            "Spaces inside a text count: strip takes those at the ends alone.",
        ),
        (
            _last_seen,
            "A text has its number from where it first appears, not from where it last does.",
        ),
        (
            lambda texts, share: [int(x) for x in split(texts, share)],
            "True and False are asked, not 1 and 0.",
        ),
        (
            lambda texts, share: [t for t, x in zip(texts, split(texts, share)) if x],
            "These are the texts held out; one True or False for each text is asked.",
        ),
    ],
    look="Look at “Three sets, no text in two”.",
)

Challenge(
    "10.fewest",
    cost="share of the MACs",
    quality="share of the validation score kept",
    least=0.98,
    target=0.3,
)
