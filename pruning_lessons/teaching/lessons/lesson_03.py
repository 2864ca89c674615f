"""Exercises of lesson 03."""

import torch

from ..exercises import Exercise


def zeros(weight):
    return (weight == 0).float().mean().item()


def n_of_m(weight, n, m):
    groups = weight.abs().reshape(-1, m)
    best = groups.topk(n, dim=1).indices
    return torch.zeros_like(groups).scatter(1, best, 1.0).view_as(weight)


def wanda(weight, inputs, mask):
    return weight.abs() * inputs[mask.bool()].norm(dim=0)


def _lowest(weight, n, m):
    groups = weight.abs().reshape(-1, m)
    return (
        torch.zeros_like(groups)
        .scatter(1, groups.topk(n, dim=1, largest=False).indices, 1.0)
        .view_as(weight)
    )


def _signed(weight, n, m):
    groups = weight.reshape(-1, m)
    return torch.zeros_like(groups).scatter(1, groups.topk(n, dim=1).indices, 1.0).view_as(weight)


def _columns(weight, n, m):
    return (
        n_of_m(weight.T.contiguous(), n, m).T
        if weight.shape[0] % m == 0
        else torch.zeros_like(weight)
    )


GENERATOR = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(4, 8, generator=GENERATOR)
INPUTS = torch.randn(2, 3, 8, generator=GENERATOR) * torch.tensor([1, 1, 5, 1, 0.1, 1, 1, 2])
MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])
Exercise(
    "03.zeros",
    zeros,
    cases=[
        ("half zeros", (torch.tensor([[0.0, 1, 0, -2]]),)),
        ("none", (torch.ones(2, 3),)),
        ("all", (torch.zeros(5),)),
        (
            "a negative weight, and a tiny one",
            (torch.tensor([-1.0, 1e-12, 0.0, 0.0, 0.0, 0.0, 2.0]),),
        ),
    ],
    wrong=[
        (lambda w: (w != 0).float().mean().item(), "This is the share that is not zero."),
        (
            lambda w: (w == 0).sum().item(),
            "This counts zeros; divide by how many weights there are.",
        ),
        (lambda w: (w <= 0).float().mean().item(), "A negative weight is not zero."),
        (
            lambda w: (w.abs() < 1e-6).float().mean().item(),
            "A tiny weight is not zero: compare with == 0.",
        ),
        (lambda w: 100 * zeros(w), "This is percent. A share lies between 0 and 1."),
        (
            lambda w: (w == 0).sum().item() / len(w),
            "len(weight) counts rows only; weight.numel() counts all weights.",
        ),
        (
            lambda w: (w == 0).float().mean(-1),
            "This is a share for each row: mean() without a dimension takes all weights.",
        ),
        (lambda w: round(zeros(w), 2), "Rounded too early: return the share as it is."),
        (
            lambda w: (w == 0).sum().item() // w.numel(),
            "// rounds down to a whole number; a share needs /.",
        ),
        (
            lambda w: (w == 0).mean(),
            "PyTorch takes no mean of True and False: .float() makes 1 and 0 of them first.",
        ),
    ],
    look="Look at “Five lines of pruning”.",
)
Exercise(
    "03.n_of_m",
    n_of_m,
    cases=[
        ("2 of 4", (WEIGHT[:2], 2, 4)),
        ("1 of 4", (WEIGHT[2:], 1, 4)),
        ("all stay", (WEIGHT, 2, 2)),
        ("none stays", (WEIGHT, 0, 4)),
        ("one group", (WEIGHT[:1], 3, 8)),
    ],
    wrong=[
        (_lowest, "These are the smallest; the largest stay."),
        (_signed, "Rank by size, not by sign: use the absolute value."),
        (_columns, "Neighbours stand in a row, not in a column."),
        (
            lambda w, n, m: w * n_of_m(w, n, m),
            "This is the pruned weight; the mask holds ones and zeros.",
        ),
        (
            lambda w, n, m: n_of_m(w, m - n, m),
            "n of m stay; here n of m are set to zero.",
        ),
        (
            lambda w, n, m: 1 - n_of_m(w, n, m),
            "1 keeps, 0 removes. The mask is the wrong way round.",
        ),
        (
            lambda w, n, m: (
                (w.abs().reshape(-1, m).argsort(1, descending=True) < n).float().view_as(w)
            ),
            "argsort gives the places in order, not the rank of each place: argsort twice, or "
            "topk and scatter.",
        ),
        (
            lambda w, n, m: n_of_m(w, n * w.shape[1] // m, w.shape[1]),
            "This takes the largest of the whole row; each m neighbours are a group.",
        ),
        (
            lambda w, n, m: n_of_m(w, n, m).reshape(-1, m),
            "Bring the groups back to the shape of the weight: .view_as(weight).",
        ),
        (
            lambda w, n, m: (
                n_of_m(w.unflatten(1, (m, -1)).transpose(1, 2).flatten(1), n, m)
                .unflatten(1, (-1, m))
                .transpose(1, 2)
                .flatten(1)
            ),
            "A group is m neighbours; here it is every so manieth weight of the row.",
        ),
    ],
    look="Look at “Zeros in a pattern”.",
)
Exercise(
    "03.wanda",
    wanda,
    cases=[
        ("two sentences, one padded", (WEIGHT[:2, :4], INPUTS[..., :4], MASK)),
        ("no padding", (WEIGHT[:2, :3], INPUTS[:1, :2, :3], torch.ones(1, 2))),
        ("inputs of zero", (WEIGHT, 0 * INPUTS, MASK)),
        ("one token", (WEIGHT[:3, :4], INPUTS[:1, :1, :4], torch.ones(1, 1))),
    ],
    wrong=[
        (
            lambda w, x, mask: w.abs() * x.flatten(0, 1).norm(dim=0),
            "Padding counts here: pick the tokens whose mask is 1 first.",
        ),
        (
            lambda w, x, mask: w * x[mask.bool()].norm(dim=0),
            "The score takes the size of the weight: |w|.",
        ),
        (
            lambda w, x, mask: w.abs() * x[mask.bool()].mean(dim=0).abs(),
            "This is the mean of the inputs, where plus and minus cancel; take the norm.",
        ),
        (
            lambda w, x, mask: w.abs() * x[mask.bool()].norm(),
            "One norm for each input column, not one for all: dim=0.",
        ),
        (
            lambda w, x, mask: w.abs() * x[mask.bool()].square().sum(0),
            "The square root is missing: the norm is √ of the sum of squares.",
        ),
        (
            lambda w, x, mask: w.abs() * x[mask.bool()].square().mean(0).sqrt(),
            "This is the root of the mean of squares; the norm has their sum.",
        ),
        (
            lambda w, x, mask: w.abs() * x[mask.bool()].abs().sum(0),
            "This is the sum of sizes (ℓ1); the norm is √ of the sum of squares.",
        ),
        (
            lambda w, x, mask: w.abs() * x[mask.bool()].abs().mean(0),
            "This is the mean of the sizes; the norm is √ of the sum of squares.",
        ),
        (
            lambda w, x, mask: w.abs() * (x * mask[..., None]).norm(dim=1).sum(0),
            "This adds up a norm for each sentence: take one over all real tokens.",
        ),
        (
            lambda w, x, mask: w.abs() * x[mask].norm(dim=0),
            "A mask of 0 and 1 as an index picks rows 0 and 1: .bool() first.",
        ),
        (
            lambda w, x, mask: w.abs() * x[mask.bool()].norm(dim=1),
            "dim=1 gives a norm for each token; one for each input column is wanted, dim=0.",
        ),
    ],
    look="Look at “Where to rank”.",
)
