"""Exercises of lesson 00."""

import torch

from ..exercises import Exercise


def kept_share(mask):
    return mask.float().mean().item()


def layer_macs(heads, neurons, T, d, size):
    return heads * (4 * T * d * size + 2 * T * T * size) + neurons * 2 * T * d


MASK = torch.tensor([[True, False, False, True], [True, True, True, False]])
Exercise(
    "00.kept_share",
    kept_share,
    cases=[
        ("a 2 × 4 mask with 5 places kept", (MASK,)),
        ("everything kept", (torch.ones(3, 5, dtype=torch.bool),)),
        ("nothing kept", (torch.zeros(3, 5, dtype=torch.bool),)),
        ("one row", (torch.tensor([[True, False, False]]),)),
        ("one dimension", (torch.tensor([True, True, True, False]),)),
        ("three dimensions", (torch.arange(24).view(2, 3, 4) % 5 > 0,)),
    ],
    wrong=[
        (lambda mask: (~mask).float().mean().item(), "True keeps. This is the share that goes."),
        (
            lambda mask: mask.sum().item(),
            "This counts the kept places; divide by how many places there are: mask.numel().",
        ),
        (
            lambda mask: mask.sum().item() / len(mask),
            "len(mask) counts rows only; mask.numel() counts all places.",
        ),
        (
            lambda mask: mask.sum().item() / mask.shape[-1],
            "mask.shape[-1] counts columns only; mask.numel() counts all places.",
        ),
        (
            lambda mask: round(mask.float().mean().item(), 1),
            "Rounded too early: return the share as it is.",
        ),
        (
            lambda mask: 100 * mask.float().mean().item(),
            "This is percent. A share lies between 0 and 1.",
        ),
        (
            lambda mask: mask.float().mean(0),
            "This is a share for each column: mean() without a dimension takes all places.",
        ),
        (
            lambda mask: mask.mean(),
            "PyTorch takes no mean of True and False: .float() makes 1 and 0 of them first.",
        ),
    ],
    look="Look at “Cut at random”.",
)

Exercise(
    "00.layer_macs",
    layer_macs,
    cases=[
        ("an unpruned layer, 24 tokens", (12, 1536, 24, 384, 32)),
        ("half of the heads", (6, 1536, 24, 384, 32)),
        ("no heads", (0, 100, 24, 384, 32)),
        ("no neurons", (3, 0, 24, 384, 32)),
        ("base size, 128 tokens", (12, 3072, 128, 768, 64)),
        ("one token", (1, 1, 1, 8, 4)),
    ],
    wrong=[
        (
            lambda heads, neurons, T, d, size: heads * 4 * T * d * size + neurons * 2 * T * d,
            "The tokens also look at each other: T × T products of query and key, and as many "
            "of attention and value, each of "
            "`size` numbers.",
        ),
        (
            lambda heads, neurons, T, d, size: (
                heads * (3 * T * d * size + 2 * T * T * size) + neurons * 2 * T * d
            ),
            "Query, key and value are three matrices; the attention's output is the fourth.",
        ),
        (
            lambda heads, neurons, T, d, size: (
                heads * (4 * T * d * size + 2 * T * T * size) + neurons * T * d
            ),
            "A neuron has weights into it and out of it: two times d of them for each token.",
        ),
        (
            lambda heads, neurons, T, d, size: (
                heads * (4 * d * size + 2 * T * size) + neurons * 2 * d
            ),
            "This is the work for one token; there are T of them.",
        ),
        (
            lambda heads, neurons, T, d, size: 2 * layer_macs(heads, neurons, T, d, size),
            "These are FLOPs: a multiplication and an addition each. A MAC is both in one.",
        ),
        (
            lambda heads, neurons, T, d, size: (
                heads * (4 * T * d * size + T * T * size) + neurons * 2 * T * d
            ),
            "T × T × size is needed twice: for query times key, and for attention times value.",
        ),
        (
            lambda heads, neurons, T, d, size: (
                heads * (4 * T * d * size + 2 * T * size) + neurons * 2 * T * d
            ),
            "Each of T tokens looks at T tokens: T × T, not T.",
        ),
        (
            lambda heads, neurons, T, d, size: (
                4 * T * d * d + heads * 2 * T * T * size + neurons * 2 * T * d
            ),
            "d × d is the matrix of an unpruned layer; what is left is d × heads · size.",
        ),
        (
            lambda heads, neurons, T, d, size: 12 * layer_macs(heads, neurons, T, d, size),
            "These are 12 layers; one is asked.",
        ),
        (
            lambda heads, neurons, T, d, size: (
                layer_macs(heads, neurons, T, d, size) + T * (3 * heads * size + d + neurons + d)
            ),
            "Biases are added, not multiplied: they are no MACs.",
        ),
    ],
    look="Look at the shapes in the tables of layers.",
)
