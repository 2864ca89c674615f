"""More wrong answers of lesson 07, of which no hint knows, with what they are told."""

import math

from right import RIGHT
from torch.nn import functional as F

MORE = [
    (
        "07.greedy_step",
        lambda gone, n, score: RIGHT["07.greedy_step"](gone, n, score) + 1,
        "off by",
    ),
    ("07.greedy_step", lambda gone, n, score: n - 1 - len(gone), "too large|too small|is "),
    ("07.greedy_step", lambda gone, n, score: gone.append(0) or 0, "too small|is "),
    ("07.greedy_step", lambda gone, n, score: max(range(n), key=lambda i: score[i]), "not subscr"),
    ("07.evaluations", lambda m, drop: RIGHT["07.evaluations"](m, drop) + 1, "off by one"),
    ("07.evaluations", lambda m, drop: math.factorial(m), "too small"),
    ("07.evaluations", lambda m, drop: RIGHT["07.evaluations"](m, drop) * m, "times .*is m"),
    ("07.block_influence", lambda b, a, m: F.cosine_similarity(b, a, -1).mean(), "1 minus|too"),
    (
        "07.block_influence",
        lambda b, a, m: RIGHT["07.block_influence"](b, a, m) / 2,
        "it is 0.5 times",
    ),
    ("07.block_influence", lambda b, a, m: RIGHT["07.block_influence"](b, a, m)[None], "size 1"),
    (
        "07.distillation_loss",
        lambda s, t, T: RIGHT["07.distillation_loss"](s, t, T) * T,
        "times .*is T",
    ),
    ("07.distillation_loss", lambda s, t, T: F.kl_div(s, t, reduction="sum"), "too|nan"),
    (
        "07.distillation_loss",
        lambda s, t, T: (
            T**2 * ((t / T).softmax(-1) * ((t / T).softmax(-1) / (s / T).softmax(-1)).log())
        ),
        "is missing|the shape is",
    ),
]
