"""More wrong answers of lesson 02, of which no hint knows, with what they are told."""

import statistics

from right import RIGHT

MORE = [
    ("02.crossover", lambda d, h, s, n: RIGHT["02.crossover"](d, h, s, n) / 2, "0.5 times"),
    ("02.crossover", lambda d, h, s, n: RIGHT["02.crossover"](d, h, s, n) / 1000, "0.001 times"),
    ("02.crossover", lambda d, h, s, n: d * (2 + n / s / h) + 1, "1 too large"),
    ("02.crossover", lambda d, h, s, n: (2 * d, n), "shape|values"),
    (
        "02.compare",
        lambda o, n, w: (o[-1] / n[-1], RIGHT["02.compare"](o, n, w)[1]),
        r"\[0\]",
    ),
    (
        "02.compare",
        lambda o, n, w: [a / b for a, b in zip(o[w:], n[w:])],
        "the shape is|entr",
    ),
    (
        "02.compare",
        lambda o, n, w: (statistics.median(o[w:]), statistics.median(n[w:])),
        r"\[0\]|\[1\]|times",
    ),
    (
        "02.compare",
        lambda o, n, w: (RIGHT["02.compare"](o, n, w)[0], 100 * RIGHT["02.compare"](o, n, w)[1]),
        r"\[1\]",
    ),
    ("02.renumber", lambda i, k, u: RIGHT["02.renumber"](i, k, u)[::-1], "in reverse order"),
    (
        "02.renumber",
        lambda i, k, u: sorted(RIGHT["02.renumber"](i, k, u)),
        "in another order|of the 2|too",
    ),
    ("02.renumber", lambda i, k, u: RIGHT["02.renumber"](i, k, u)[:1], "1 entry in place of 3"),
]
