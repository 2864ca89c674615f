"""More wrong answers of lesson 11, of which no hint knows, with what they are told."""

import torch
from right import RIGHT, divided

MORE = [
    ("11.pool", divided("11.pool", 2), "0.5 times what is expected"),
    ("11.pool", lambda hidden, mask: RIGHT["11.pool"](hidden, mask)[0], "dimension of size 1"),
    ("11.pool", lambda hidden, mask: -RIGHT["11.pool"](hidden, mask), "the sign is turned round"),
    ("11.pool", lambda hidden, mask: hidden.sum(2), r"shape is \(1, 3\), it must be \(1, 2\)"),
    ("11.found", lambda q, d: torch.zeros(len(q), dtype=torch.bool), "0 of the|2 are missing|same"),
    ("11.found", lambda q, d: RIGHT["11.found"](q, d).int(), "numbers where True and False"),
    ("11.found", lambda q, d: (q @ d.T) == (q @ d.T).amax(1, True), "shape"),
    ("11.without_hubs", lambda s, k: -RIGHT["11.without_hubs"](s, k), "the sign is turned round"),
    ("11.without_hubs", lambda s, k: RIGHT["11.without_hubs"](s, k).T, "transposed"),
    ("11.without_hubs", lambda s, k: s, "6 too large"),
]
