"""More wrong answers of lesson 10, of which no hint knows, with what they are told."""

from right import RIGHT

MORE = [
    ("10.fastest", lambda rows, base, points: rows[-1][0], "not '|where None"),
    ("10.fastest", lambda rows, base, points: [r[0] for r in rows], "4 values|3 values|list"),
    ("10.fastest", lambda rows, base, points: sorted(rows)[0][0], "not '|where None"),
    (
        "10.difference",
        lambda before, after: [2 * x for x in RIGHT["10.difference"](before, after)],
        "2 times",
    ),
    ("10.difference", lambda before, after: (0.0, 0.0), "same everywhere|too"),
    (
        "10.difference",
        lambda before, after: (RIGHT["10.difference"](before, after)[0], 0.0),
        "too|row 1|differ",
    ),
    (
        "10.difference",
        lambda before, after: [100 * (b - a) for a, b in zip(before, after)],
        "the shape is|entries|too",
    ),
    (
        "10.split",
        lambda texts, share: RIGHT["10.split"](texts, share)[::-1],
        "reverse|it keeps|wrong",
    ),
    ("10.split", lambda texts, share: [False for t in texts], "the same everywhere|0 of the"),
    ("10.split", lambda texts, share: sum(RIGHT["10.split"](texts, share)), "shape"),
]
