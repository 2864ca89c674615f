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
        ("a negative weight, and a tiny one", (torch.tensor([-1.0, 1e-12, 0.0, 0.0, 0.0]),)),
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
    ],
    look="Look at “Five lines of pruning”.",
)
Exercise(
    "03.n_of_m",
    n_of_m,
    cases=[
        ("2 of 4", (WEIGHT, 2, 4)),
        ("1 of 4", (WEIGHT, 1, 4)),
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
    ],
    look="Look at “Zeros in a pattern”.",
)
Exercise(
    "03.wanda",
    wanda,
    cases=[
        ("two sentences, one padded", (WEIGHT, INPUTS, MASK)),
        ("no padding", (WEIGHT, INPUTS, torch.ones(2, 3))),
        ("inputs of zero", (WEIGHT, 0 * INPUTS, MASK)),
        ("one token", (WEIGHT, INPUTS[:1, :1], torch.ones(1, 1))),
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
    ],
    look="Look at “Where to rank”.",
)
