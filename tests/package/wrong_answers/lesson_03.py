"""More wrong answers of lesson 03, of which no hint knows, with what they are told."""

import torch
from right import RIGHT, divided

MORE = [
    (
        "03.keep_mask",
        lambda s, x, scope: torch.ones_like(s, dtype=torch.bool),
        "the same everywhere|it keeps",
    ),
    ("03.keep_mask", lambda s, x, scope: s.flatten().argsort()[: round(x * s.numel())], "shape"),
    (
        "03.keep_mask",
        lambda s, x, scope: RIGHT["03.keep_mask"](s, x, scope).roll(1, 1),
        "shifted|it keeps|differ",
    ),
    (
        "03.n_of_m",
        lambda w, n, m: RIGHT["03.n_of_m"](w, n, m).roll(1, 0),
        "shifted|it keeps|differ|row",
    ),
    ("03.n_of_m", lambda w, n, m: RIGHT["03.n_of_m"](w, 1, m), "it keeps|same everywhere"),
    ("03.n_of_m", lambda w, n, m: w.abs().reshape(-1, m).topk(n, dim=1).indices, "the shape is"),
    ("03.wanda", lambda w, x, mask: RIGHT["03.wanda"](w, x, mask) ** 2, "the square of"),
    (
        "03.wanda",
        lambda w, x, mask: RIGHT["03.wanda"](w, x, mask).flatten().argsort(),
        "flattened|shape",
    ),
    ("03.wanda", divided("03.wanda", 3), "0.3333 times what is expected"),
]
