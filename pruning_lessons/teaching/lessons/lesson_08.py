"""Exercises of lesson 08."""

import math

from ..exercises import Exercise


def fastest(rows, base, points):
    allowed = [row for row in rows if row[2] >= base - points / 100 - 1e-12]
    return min(allowed, key=lambda row: row[1])[0] if allowed else None


def worst_language(before, after):
    return max(sorted(before), key=lambda k: before[k] - after[k])


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
    "08.fastest",
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
    look="Look at “Choose a point”.",
)

BEFORE, AFTER = {"de": 0.95, "en": 0.98, "ro": 0.70}, {"de": 0.94, "en": 0.90, "ro": 0.65}
Exercise(
    "08.worst_language",
    worst_language,
    cases=[
        ("three languages", (BEFORE, AFTER)),
        ("one gains", ({"a": 0.5, "b": 0.6}, {"a": 0.7, "b": 0.59})),
        (
            "neither the best before nor the worst after",
            ({"x": 0.9, "y": 0.5, "z": 0.7}, {"x": 0.89, "y": 0.5, "z": 0.6}),
        ),
        ("only one", ({"a": 0.5}, {"a": 0.5})),
        ("points, not shares", ({"a": 0.9, "b": 0.3}, {"a": 0.8, "b": 0.25})),
        ("all gain", ({"a": 0.5, "b": 0.5}, {"a": 0.6, "b": 0.9})),
    ],
    wrong=[
        (
            lambda b, a: min(a, key=a.get),
            "This is the language with the lowest accuracy after. Which lost most?",
        ),
        (
            lambda b, a: min(sorted(b), key=lambda k: b[k] - a[k]),
            "This one lost least (or gained most).",
        ),
        (
            lambda b, a: max(sorted(b), key=lambda k: abs(b[k] - a[k])),
            "A gain is not a loss: leave the sign.",
        ),
        (lambda b, a: max(b, key=b.get), "This is the language with the highest accuracy before."),
        (
            lambda b, a: max(sorted(b), key=lambda k: (b[k] - a[k]) / b[k]),
            "This is the loss as a part of what was there; the plain difference is asked.",
        ),
        (
            lambda b, a: max(b[k] - a[k] for k in b),
            "This is the loss itself; the name of the language is asked: max(…, key=…).",
        ),
        (lambda b, a: max(a, key=a.get), "This is the language with the highest accuracy after."),
        (lambda b, a: min(b, key=b.get), "This is the language with the lowest accuracy before."),
        (lambda b, a: max(b), "Of names max takes the last of the alphabet: give it a key."),
        (
            lambda b, a: {k: b[k] - a[k] for k in b},
            "These are all losses; the name of the largest is asked: max(…, key=…).",
        ),
        (
            lambda b, a: sorted(b, key=lambda k: b[k] - a[k]),
            "These are all languages in order; the one that lost most is asked.",
        ),
    ],
    look="Look at “Which language pays”.",
)

TEXTS = ["Turn on", "play jazz", "turn on ", "stop", "lights off", "PLAY JAZZ", "next", "stop"]
Exercise(
    "08.split",
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
