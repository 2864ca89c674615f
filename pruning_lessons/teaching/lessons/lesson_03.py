"""Exercises and challenge of lesson 03."""

import math

import torch

from ..challenges import Challenge
from ..exercises import Exercise


def keep_mask(scores, sparsity, scope):
    groups = scores if scope == "row" else scores.reshape(1, -1)
    n = round(sparsity * groups.shape[1])
    lowest = groups.topk(n, dim=1, largest=False).indices
    stays = torch.ones_like(groups, dtype=torch.bool).scatter(1, lowest, False)
    return stays.view_as(scores)


def wanda(weight, inputs, mask):
    return weight.abs() * inputs[mask.bool()].norm(dim=0)


def n_of_m(weight, n, m):
    groups = weight.abs().reshape(-1, m)
    best = groups.topk(n, dim=1).indices
    return torch.zeros_like(groups, dtype=torch.bool).scatter(1, best, True).view_as(weight)


def _threshold(scores, sparsity, scope, dim=None):
    """By a quantile, which at 0 loses the smallest score."""
    groups = scores if scope == "row" else scores.reshape(1, -1)
    return (groups > groups.quantile(sparsity, dim=1, keepdim=True)).view_as(scores)


def _size(scores, scope):
    return scores.shape[1] if scope == "row" else scores.numel()


def _kth(scores, sparsity, scope):
    groups = scores if scope == "row" else scores.reshape(1, -1)
    n = round(sparsity * groups.shape[1])
    return (groups > groups.kthvalue(n, dim=1, keepdim=True).values).view_as(scores)


def _columns_of_all_rows(scores, sparsity, scope):
    groups = scores if scope == "row" else scores.reshape(1, -1)
    stays = torch.ones_like(groups, dtype=torch.bool)
    stays[:, groups.argsort(dim=1)[:, : round(sparsity * groups.shape[1])]] = False
    return stays.view_as(scores)


SCORES = torch.tensor([[1.0, 8.0, 3.0, 4.0], [5.0, 6.0, 7.0, 2.0]])
GENERATOR = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(4, 8, generator=GENERATOR)
INPUTS = torch.randn(2, 3, 8, generator=GENERATOR) * torch.tensor([1, 1, 5, 1, 0.1, 1, 1, 2])
MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])

Exercise(
    "03.keep_mask",
    keep_mask,
    cases=[
        ("half of the matrix", (SCORES, 0.5, "matrix")),
        ("half of each row", (SCORES, 0.5, "row")),
        ("a quarter of the matrix", (SCORES, 0.25, "matrix")),
        ("three quarters of each row", (SCORES, 0.75, "row")),
        ("0.3 · 4 = 1.2 weights of each row, rounded", (SCORES, 0.3, "row")),
        ("0.4 · 4 = 1.6 weights of each row, rounded", (SCORES, 0.4, "row")),
        ("nothing goes", (SCORES, 0.0, "row")),
        ("everything goes", (SCORES, 1.0, "matrix")),
        ("more rows than columns", (SCORES.T.contiguous(), 0.5, "row")),
    ],
    wrong=[
        (
            lambda s, x, scope: ~keep_mask(s, x, scope),
            "True is for weights that stay. This mask is the wrong way round.",
        ),
        (
            lambda s, x, scope: keep_mask(-s, x, scope),
            "The highest scores go here; the lowest should.",
        ),
        (
            lambda s, x, scope: keep_mask(s, 1 - x, scope),
            "sparsity is the share that goes, not the share that stays.",
        ),
        (
            lambda s, x, scope: keep_mask(s, x, "matrix"),
            "The rows are not ranked apart here: with scope 'row' each row loses the same share.",
        ),
        (
            lambda s, x, scope: keep_mask(s, x, "row"),
            "With scope 'matrix' all weights are ranked together, whatever their row.",
        ),
        (
            lambda s, x, scope: keep_mask(s.T.contiguous(), x, scope).T,
            "These are the columns. A row holds the weights of one output: dimension 0 counts "
            "rows, and one sorts along dimension 1.",
        ),
        (
            lambda s, x, scope: keep_mask(s, x, scope).float() * s,
            "These are the scores that stay. Return the mask alone, True and False.",
        ),
        (
            lambda s, x, scope: keep_mask(s, x, scope).float(),
            "1.0 and 0.0 in place of True and False: .bool(), or make the mask with "
            "dtype=torch.bool.",
        ),
        (
            _threshold,
            "A quantile as threshold is off by one at the ends: with sparsity 0 nothing may go. "
            "Count round(sparsity · size) of the lowest instead.",
        ),
        (
            lambda s, x, scope: keep_mask(s, int(x * _size(s, scope)) / _size(s, scope), scope),
            "int(…) cuts 1.6 down to 1: round(sparsity · size) of a group go.",
        ),
        (
            lambda s, x, scope: keep_mask(
                s, math.ceil(x * _size(s, scope)) / _size(s, scope), scope
            ),
            "Rounded up: round(sparsity · size) of a group go, so 1 where it is 1.2.",
        ),
        (
            _kth,
            "kthvalue counts from 1, so sparsity 0 needs a case of its own; and all that equals "
            "the k-th score goes as well.",
        ),
        (
            _columns_of_all_rows,
            "mask[:, places] sets these columns in every row. To set other places in each row: "
            "scatter along dimension 1.",
        ),
        (
            lambda s, x, scope: s > x,
            "sparsity is a share of the weights, not a threshold for the scores.",
        ),
        (
            lambda s, x, scope: keep_mask(s, x, scope).flatten(),
            "Bring the mask back to the shape of the scores: .view_as(scores).",
        ),
        (
            lambda s, x, scope: (
                (s if scope == "row" else s.reshape(1, -1)).argsort(dim=1)
                >= round(x * (s.shape[1] if scope == "row" else s.numel()))
            ).view_as(s),
            "argsort gives the places in order, not the rank of each place: scatter at those "
            "places, or argsort twice.",
        ),
    ],
    look="Look at “Score and scope”.",
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
    look="Look at “Look at the inputs”.",
)


def _lowest(weight, n, m):
    return n_of_m(1 / weight, n, m)


def _signed(weight, n, m):
    return n_of_m((weight - weight.min() + 1), n, m)


def _smallest_kept(weight, n, m):
    """By the smallest weight that stays, of which there is none at n = 0."""
    groups = weight.abs().reshape(-1, m)
    return (groups >= groups.topk(n, dim=1).values[:, -1:]).view_as(weight)


def _columns(weight, n, m):
    if weight.shape[0] % m:
        return torch.zeros_like(weight, dtype=torch.bool)
    return n_of_m(weight.T.contiguous(), n, m).T


Exercise(
    "03.n_of_m",
    n_of_m,
    cases=[
        ("2 of 4", (WEIGHT[:2], 2, 4)),
        ("1 of 4", (WEIGHT[2:], 1, 4)),
        ("all stay", (WEIGHT[:2], 2, 2)),
        ("none stays", (WEIGHT[:2, :4].contiguous(), 0, 4)),
        ("one group", (WEIGHT[:1], 3, 8)),
    ],
    wrong=[
        (_lowest, "These are the smallest; the largest stay."),
        (_signed, "Rank by size, not by sign: use the absolute value."),
        (
            _smallest_kept,
            "With n = 0 no weight stays to compare with. Put True at the places that topk gives: "
            "scatter.",
        ),
        (_columns, "Neighbours stand in a row, not in a column."),
        (
            lambda w, n, m: w * n_of_m(w, n, m),
            "This is the pruned weight; the mask holds True and False.",
        ),
        (
            lambda w, n, m: n_of_m(w, m - n, m),
            "n of m stay; here n of m are set to zero.",
        ),
        (
            lambda w, n, m: ~n_of_m(w, n, m),
            "True is for weights that stay. The mask is the wrong way round.",
        ),
        (
            lambda w, n, m: n_of_m(w, n, m).float(),
            "1.0 and 0.0 in place of True and False: scatter True into a tensor of dtype "
            "torch.bool, or .bool().",
        ),
        (
            lambda w, n, m: (w.abs().reshape(-1, m).argsort(1, descending=True) < n).view_as(w),
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
            "A group is m neighbours; here its members stand far apart in the row.",
        ),
    ],
    look="Look at “Zeros in a pattern: N:M”.",
)

Challenge(
    "03.densest",
    cost="share of the weights that stay",
    quality="validation accuracy",
    least=0.9,
    target=0.34,
)
