"""Exercises of lesson 11."""

import torch
from torch.nn import functional as F

from ..challenges import Challenge
from ..exercises import Exercise


def pool(hidden, mask):
    mask = mask[..., None].to(hidden.dtype)
    return F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def found(queries, documents):
    return (queries @ documents.T).argmax(1) == torch.arange(len(queries))


def without_hubs(similarity, k):
    return similarity - similarity.topk(k, dim=0).values.mean(0)


def _mean(hidden, mask):
    mask = mask[..., None].to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)


def _each_token(hidden, mask):
    return pool(F.normalize(hidden, dim=-1), mask)


def _between(hidden, mask):
    """Without the first and the last real token."""
    mask = mask.clone()
    mask[torch.arange(len(mask)), mask.long().sum(1) - 1] = 0
    mask[:, 0] = 0
    return F.normalize((hidden * mask[..., None]).sum(1), dim=-1)


def _largest(hidden, mask):
    hidden = hidden.masked_fill(mask[..., None] == 0, -torch.inf)
    return F.normalize(hidden.amax(1), dim=-1)


HIDDEN = torch.tensor([[[3.0, 0], [0, 4]], [[1, 1], [7, -9]]])
MASK = torch.tensor([[1, 1], [1, 0]])
GENERATOR = torch.Generator().manual_seed(11)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
Exercise(
    "11.pool",
    pool,
    cases=[
        ("two sentences, the second with padding", (HIDDEN, MASK)),
        (
            "one sentence of three tokens",
            (torch.tensor([[[0.0, 2], [6, 0], [6, 2]]]), torch.ones(1, 3, dtype=torch.int64)),
        ),
        (
            "much padding, with large numbers in it",
            (
                torch.tensor([[[1.0, 0, 0], [1, 3, 4], [0, 1, 0], [50, -50, 90]]]),
                torch.tensor([[1, 1, 1, 0]]),
            ),
        ),
        (
            "five tokens, three sentences",
            (
                draw(3, 5, 4),
                torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]),
            ),
        ),
    ],
    wrong=[
        (
            lambda hidden, mask: F.normalize(hidden.mean(1), dim=-1),
            "This averages padding too: a sentence would get another vector beside a longer one. "
            "Multiply by the mask first.",
        ),
        (
            _mean,
            "This is the mean itself, not yet scaled to length 1: divide each row by its norm.",
        ),
        (
            lambda hidden, mask: F.normalize(hidden[:, 0], dim=-1),
            "This is the first token's vector, as some models pool (“cls”). E5 takes the mean of "
            "all real tokens.",
        ),
        (
            lambda hidden, mask: F.normalize(_mean(hidden, mask), dim=0),
            "This scales each column over the sentences. Each sentence's own vector should have "
            "length 1: dim=-1.",
        ),
        (
            lambda hidden, mask: _mean(hidden, mask) / _mean(hidden, mask).norm(),
            "This divides all sentences by one number: take the norm of each row, "
            "norm(dim=-1, keepdim=True).",
        ),
        (
            _each_token,
            "This scales every token to length 1 before averaging, so long and short token "
            "vectors count alike. Average first, then scale once.",
        ),
        (
            lambda hidden, mask: F.normalize(_mean(hidden, 1 - mask), dim=-1),
            "This is the mean of the padding: 1 in the mask is a real token.",
        ),
        (
            _largest,
            "This takes the largest value of each coordinate (max pooling); the mean is asked.",
        ),
        (
            lambda hidden, mask: _mean(hidden, mask) / _mean(hidden, mask).square().sum(-1, True),
            "This divides by the squared length: the square root is missing.",
        ),
        (
            lambda hidden, mask: F.normalize(_mean(hidden, mask), p=1, dim=-1),
            "This makes the sizes of the numbers sum to 1 (ℓ1); length 1 means that their squares "
            "do.",
        ),
        (
            lambda hidden, mask: _mean(F.normalize(hidden, dim=-1), mask),
            "This scales the tokens and not their mean: the mean of unit vectors is shorter than "
            "1. Average first, then scale.",
        ),
        (
            lambda hidden, mask: (
                F.normalize((hidden * mask[..., None]).sum(1), dim=-1) / mask.sum(1, keepdim=True)
            ),
            "Scale last: this divides by the number of tokens after the length was already 1.",
        ),
        (
            lambda hidden, mask: hidden * mask[..., None],
            "This still has a vector for each token: sum over the tokens, dim=1.",
        ),
        (
            _between,
            "This leaves out the first and the last real token. In this model <s> and </s> count "
            "as all others do.",
        ),
    ],
    look="Look at “A vector for a sentence”.",
)


def _both_ways(queries, documents):
    return found(queries, documents) & found(documents, queries)


def _above_mean(queries, documents):
    similarity = queries @ documents.T
    return similarity.diagonal() > similarity.mean(1)


unit = lambda *rows: F.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1)
EAST, NORTH, WEST = [1, 0], [0, 1], [-1, 0]
BETWEEN = unit([1, 0.1], [0.2, 1], [1, 1])
MANY, NEAR = (F.normalize(draw(7, 4), dim=-1) for _ in range(2))
NEAR = F.normalize(MANY + 0.75 * NEAR, dim=-1)
Exercise(
    "11.found",
    found,
    cases=[
        ("all are found", (unit(EAST, NORTH), unit(EAST, NORTH))),
        ("exchanged", (unit(EAST, NORTH), unit(NORTH, EAST))),
        ("the third is nearest to two", (unit([1, 0.8], [0, 1], [1, 1]), BETWEEN)),
        ("three of four", (unit(EAST, NORTH, WEST, [1, 2]), unit([2, 1], NORTH, WEST, [3, 1]))),
        ("seven in four dimensions", (MANY, NEAR)),
        ("the other way round", (NEAR, MANY)),
    ],
    wrong=[
        (
            lambda q, d: found(d, q),
            "This is the other direction: for each document its nearest query. In queries @ "
            "documents.T a row belongs to a query, so take argmax along dim 1.",
        ),
        (
            lambda q, d: found(q, d).float().mean(),
            "This is the share of all; one True or False for each query is asked.",
        ),
        (
            lambda q, d: (q @ d.T).argmax(1),
            "These are the places of the nearest documents: compare each with the query's own "
            "place, 0, 1, 2, …",
        ),
        (
            lambda q, d: ~found(q, d),
            "This is the wrong way round: True where the nearest document is the right one.",
        ),
        (
            lambda q, d: (q @ d.T).argmin(1) == torch.arange(len(q)),
            "This finds the least similar document: of dot products take argmax (of distances it "
            "would be argmin).",
        ),
        (
            _both_ways,
            "This asks for both directions at once: each other's nearest. Here only the query "
            "chooses.",
        ),
        (
            lambda q, d: (q * d).sum(1) > 0.5,
            "This holds each pair against a fixed number. The right document need only be nearer "
            "than all others.",
        ),
        (
            _above_mean,
            "Better than the average document is not enough: the right one must be the best.",
        ),
        (
            lambda q, d: (q @ d.T).argmax(1) == 0,
            "This compares every query's best with document 0. Query i's own document is i: "
            "torch.arange(len(queries)).",
        ),
        (
            lambda q, d: (q @ q.T).argmax(1) == torch.arange(len(q)),
            "Here every query is found. Are queries compared with themselves? It must be queries @ "
            "documents.T.",
        ),
        (
            lambda q, d: found(q, d).sum(),
            "This is how many were found; one True or False for each query is asked.",
        ),
    ],
    look="Look at “Retrieval in 22 languages”.",
)


def _one_less(similarity, k):
    """Without the nearest query itself."""
    return similarity - similarity.topk(k, dim=0).values[1:].mean(0).nan_to_num()


SIMILARITY = torch.tensor([[0.9, 0.8, 0.1], [0.7, 0.6, 0.2], [0.4, 0.8, 0.3]])
Exercise(
    "11.without_hubs",
    without_hubs,
    cases=[
        ("three queries, three documents", (SIMILARITY, 2)),
        ("two queries, three documents", (torch.tensor([[0.5, 0.9, 0.2], [0.3, 0.7, 0.6]]), 1)),
        ("k is all of them", (torch.tensor([[1.0, 0.5], [0.0, 0.5], [0.5, 0.8]]), 3)),
        ("six queries, four documents", (draw(6, 4), 3)),
    ],
    wrong=[
        (
            lambda s, k: s - s.topk(k, dim=1).values.mean(1, keepdim=True),
            "This subtracts each query's own mean, the same from all its documents: their order "
            "stays as it was. Take the largest of each column, dim=0.",
        ),
        (
            lambda s, k: s - s.topk(k, dim=1).values.mean(1),
            "These are means of rows, subtracted from columns. A document is a column: dim=0.",
        ),
        (
            lambda s, k: s - s.mean(0),
            "This subtracts the mean over all queries: take the k largest of each column only, "
            "topk(k, dim=0).",
        ),
        (
            lambda s, k: s / s.topk(k, dim=0).values.mean(0),
            "This divides (the ratio margin of Artetxe and Schwenk); the difference is asked.",
        ),
        (
            lambda s, k: s - s.topk(k, dim=0).values.sum(0),
            "This subtracts the sum of the k largest: take their mean.",
        ),
        (
            lambda s, k: s - s.topk(k, dim=0, largest=False).values.mean(0),
            "These are the k smallest of each column: a hub has large values.",
        ),
        (
            lambda s, k: s - s.topk(k, dim=0).values[-1],
            "This subtracts the k-th largest alone: the mean of the k largest is asked.",
        ),
        (
            lambda s, k: s - s.amax(0),
            "This subtracts the largest alone: the mean of the k largest is asked.",
        ),
        (
            lambda s, k: s.topk(k, dim=0).values.mean(0),
            "This is what has to be subtracted, one number for each document: similarity minus it.",
        ),
        (
            lambda s, k: s + s.topk(k, dim=0).values.mean(0),
            "Plus makes hubs stronger: subtract.",
        ),
        (
            lambda s, k: s - s.topk(k, dim=0).values.mean(),
            "This subtracts one number from all: mean(0) keeps one for each document.",
        ),
        (
            lambda s, k: 2 * s - s.topk(k, dim=0).values.mean(0),
            "This takes the similarity twice, as CSLS does, which subtracts two means. Here it "
            "stands once.",
        ),
        (
            _one_less,
            "This leaves the largest out of the mean: all k largest count.",
        ),
    ],
    look="Look at “Retrieval in 22 languages”.",
)

Challenge(
    "11.fewest_bytes",
    cost="bytes a vector",
    quality="share of the retrieval kept",
    least=0.97,
    target=32,
    form="{:.3g}",
)
