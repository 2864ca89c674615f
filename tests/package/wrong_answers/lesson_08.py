"""More wrong answers of lesson 08, of which no hint knows, with what they are told."""

import torch
from right import RIGHT

MORE = [
    ("08.split_budget", lambda h, n, hc, nc, b: 0, "the shape is"),
    ("08.split_budget", lambda h, n, hc, nc, b: (0, 0), "same everywhere"),
    (
        "08.split_budget",
        lambda *a: tuple(x + 1 for x in RIGHT["08.split_budget"](*a)),
        "off by one",
    ),
    ("08.paired", lambda a, b: 0.0, "values|length|number"),
    ("08.paired", lambda a, b: (0.0, 0.0), "same everywhere|differ"),
    ("08.paired", lambda a, b: (RIGHT["08.paired"](a, b)[0], 0.0), "differ"),
    (
        "08.paired",
        lambda a, b: (float(a.sum() - b.sum()), RIGHT["08.paired"](a, b)[1]),
        "len|differ",
    ),
    (
        "08.paired",
        lambda a, b: torch.stack([a.float() - b.float(), a.float() + b.float()]),
        "shape",
    ),
]
