"""Exercises and the challenge of lesson 00."""

import torch

from ..challenges import Challenge
from ..exercises import Exercise


def kept_share(mask):
    return mask.float().mean().item()


def layer_macs(heads, neurons, T, d, size):
    return heads * (4 * T * d * size + 2 * T * T * size) + neurons * 2 * T * d


def cut(name, W, heads, neurons):
    if name == "first":
        return W[neurons]
    if name == "second":
        return W[:, neurons]
    if name == "output":
        return W[:, heads.repeat_interleave(W.shape[1] // len(heads))]
    return W[heads.repeat_interleave(W.shape[0] // len(heads))]


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
    look="Look at “Throw the dice”.",
)


def _rows_only(name, W, heads, neurons):
    """Every matrix loses rows."""
    return W[neurons] if name in ("first", "second") else W[_units(heads, W.shape[0])]


def _columns_only(name, W, heads, neurons):
    return W[:, neurons] if name in ("first", "second") else W[:, _units(heads, W.shape[1])]


def _units(heads, count):
    return heads.repeat_interleave(count // len(heads))


def _tiled(name, W, heads, neurons):
    """The mask of heads, repeated as a whole."""
    if name in ("first", "second"):
        return cut(name, W, heads, neurons)
    count = W.shape[1] if name == "output" else W.shape[0]
    mask = heads.repeat(count // len(heads))
    return W[:, mask] if name == "output" else W[mask]


def _one_row_a_head(name, W, heads, neurons):
    if name in ("first", "second"):
        return cut(name, W, heads, neurons)
    places = heads.nonzero().flatten()
    return W[:, places] if name == "output" else W[places]


def _always_32(name, W, heads, neurons):
    if name in ("first", "second"):
        return cut(name, W, heads, neurons)
    mask = heads.repeat_interleave(32)
    return W[:, mask] if name == "output" else W[mask]


def _zeroed(name, W, heads, neurons):
    """Zeros where rows or columns should be gone."""
    if name in ("first", "second"):
        keep = neurons.to(W.dtype)
    else:
        keep = _units(heads, W.shape[1] if name == "output" else W.shape[0]).to(W.dtype)
    return W * keep if name in ("output", "second") else W * keep[:, None]


def _as_numbers(name, W, heads, neurons):
    """Masks as the numbers 1 and 0, which index rows 1 and 0."""
    return cut(name, W, heads.long(), neurons.long())


HEADS, NEURONS = torch.tensor([True, False]), torch.tensor([False, True, True])
SQUARE = torch.arange(1.0, 17).view(4, 4)  # 2 heads of size 2
TALL, WIDE = torch.arange(1.0, 13).view(3, 4), torch.arange(1.0, 13).view(4, 3)
THREE = torch.tensor([False, True, True])
Exercise(
    "00.cut",
    cut,
    cases=[
        ("query, the second of two heads goes", ("query", SQUARE, HEADS, NEURONS)),
        ("key, the same", ("key", SQUARE.flip(0), HEADS, NEURONS)),
        ("value, the first of two heads goes", ("value", SQUARE, ~HEADS, NEURONS)),
        ("output, the second head goes", ("output", SQUARE, HEADS, NEURONS)),
        ("first, one neuron goes", ("first", TALL, HEADS, NEURONS)),
        ("second, one neuron goes", ("second", WIDE, HEADS, NEURONS)),
        ("query, three heads of size 2", ("query", torch.eye(6), THREE, NEURONS)),
        ("output, all heads go", ("output", SQUARE, torch.zeros(2).bool(), NEURONS)),
        ("a bias of key, as one column", ("key", torch.arange(4.0)[:, None], HEADS, NEURONS)),
    ],
    wrong=[
        (
            _rows_only,
            "Output and second read what heads and neurons made: they lose columns, W[:, …].",
        ),
        (
            _columns_only,
            "Query, key, value and first make what is removed: they lose rows, W[…].",
        ),
        (
            lambda name, W, heads, neurons: cut(name, W, ~heads, ~neurons),
            "True keeps. This keeps what should go.",
        ),
        (
            _tiled,
            "A head is a block of neighbouring rows: heads.repeat_interleave(size), not "
            "heads.repeat(size).",
        ),
        (
            _one_row_a_head,
            "A head has several rows, as many as W has divided by len(heads); this takes one row "
            "for each head.",
        ),
        (
            _always_32,
            "32 is the size of a head in the course's model, not in every one: divide the rows (of "
            "output, the columns) by len(heads).",
        ),
        (
            _zeroed,
            "The removed rows and columns are zero here, but still there: index, W[mask], and the "
            "matrix gets smaller.",
        ),
        (
            _as_numbers,
            "The mask was turned into the numbers 1 and 0, which pick rows 1 and 0 again and "
            "again: index with True and False.",
        ),
        (
            lambda name, W, heads, neurons: cut(name, W, heads, neurons).T,
            "Leave the matrix as it lies, (out, in): a row for each number that comes out.",
        ),
        (
            lambda name, W, heads, neurons: (
                cut(name, W, heads, neurons) if name in ("first", "second") else W
            ),
            "The neurons go, but the heads are all still there.",
        ),
        (
            lambda name, W, heads, neurons: (
                W if name in ("first", "second") else cut(name, W, heads, neurons)
            ),
            "The heads go, but the neurons are all still there.",
        ),
        (
            lambda name, W, heads, neurons: (
                W[_units(heads, W.shape[0])] if name == "output" else cut(name, W, heads, neurons)
            ),
            "Output's rows are the numbers of a token's vector, which all stay; its columns "
            "belong to heads.",
        ),
    ],
    look="Look at the picture in “What is cut”.",
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
    look="Look at the shapes in the table of layers, in “Throw the dice”.",
)

Challenge(
    "00.dice",
    cost="share of the MACs",
    quality="validation accuracy",
    least=0.9,
    target=0.55,
)
