"""More wrong answers of lesson 09, of which no hint knows, with what they are told."""

import torch
from right import RIGHT

MORE = [
    ("09.int8", lambda w: RIGHT["09.int8"](w).round(), "rounded|too"),
    ("09.int8", lambda w: -RIGHT["09.int8"](w), "the sign is turned round"),
    ("09.int8", lambda w: RIGHT["09.int8"](w).to(torch.int8), "too|rounded"),
    ("09.front", lambda points: {*RIGHT["09.front"](points)}, "set, length"),
    ("09.front", lambda points: RIGHT["09.front"](points)[:1], "1 row in place of"),
    ("09.front", lambda points: len(RIGHT["09.front"](points)), "shape"),
]
