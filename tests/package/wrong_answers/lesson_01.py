"""More wrong answers of lesson 01, of which no hint knows, with what they are told."""

import torch
from right import RIGHT

attention, taken = RIGHT["01.attention"], RIGHT["01.taken"]
MORE = [
    ("01.attention", lambda Q, K, V, allowed=None: attention(Q, K, V, allowed).mT, "transposed"),
    ("01.attention", lambda Q, K, V, allowed=None: attention(K, Q, V, allowed), "too large|shape"),
    ("01.attention", lambda Q, K, V, allowed=None: V, "too (large|small)"),
    (
        "01.attention",
        lambda Q, K, V, allowed=None: 2 * attention(Q, K, V, allowed),
        "2 times what is expected",
    ),
    (
        "01.attention",
        lambda Q, K, V, allowed=None: (Q @ K.transpose(-1, -2)).exp() @ V,
        "times what is expected",
    ),
    ("01.split_heads", lambda x, heads: list(x.chunk(heads, -1)), r"permute\(1, 0, 2, 3\)"),
    ("01.split_heads", lambda x, heads: x, "the right numbers|the shape is"),
    ("01.split_heads", lambda x, heads: x.unflatten(-1, (heads, -1))[0], "the shape is"),
    ("01.taken", lambda weights, values, W_out: 100 * taken(weights, values, W_out), "percent"),
    ("01.taken", lambda weights, values, W_out: taken(weights, values, W_out).T, "transposed"),
    (
        "01.taken",
        lambda weights, values, W_out: (values @ W_out.T).norm(dim=-1),
        "the shape is",
    ),
    ("01.taken", lambda weights, values, W_out: 1 - taken(weights, values, W_out), "1 minus"),
    ("01.causal_mask", lambda n: [[j >= i for j in range(n)] for i in range(n)], "transposed"),
    ("01.causal_mask", lambda n: torch.ones(n, n).tril().bool()[0], "only the first of"),
    ("01.causal_mask", lambda n: torch.ones(n, n).tril().bool()[None], "size 1 is too many"),
    ("01.causal_mask", lambda n: torch.ones(n, n).tril().bool().flatten(), "flattened"),
]
