"""More wrong answers of lesson 06, of which no hint knows, with what they are told."""

import torch
from right import RIGHT, divided

MORE = [
    ("06.head_scores", divided("06.head_scores", 0.5), "2 times what is expected"),
    (
        "06.head_scores",
        lambda c, g: (c * g).sum((1, 3)).abs().sum(0) / c.shape[0] / c.shape[1],
        r"divided by .*is c.shape\[1\]",
    ),
    (
        "06.head_scores",
        lambda c, g: (c * g).sum((1, 3)).abs(),
        "the mean over dimension 0 is missing",
    ),
    (
        "06.paired_change",
        lambda b, a: RIGHT["06.paired_change"](b, a)[0],
        "only the first of the 2",
    ),
    (
        "06.paired_change",
        lambda b, a: [v / 2 for v in RIGHT["06.paired_change"](b, a)],
        "0.5 times",
    ),
    (
        "06.paired_change",
        lambda b, a: RIGHT["06.paired_change"](b, a)[::-1],
        "order",
    ),
    ("06.keep_with_floor", lambda s, k: RIGHT["06.keep_with_floor"](s, k).flatten(), "flattened"),
    ("06.keep_with_floor", lambda s, k: torch.ones_like(s).bool(), "the same everywhere"),
    (
        "06.keep_with_floor",
        lambda s, k: RIGHT["06.keep_with_floor"](s, k - 1),
        "it keeps 2 of the 3",
    ),
]
