"""Exercises of lesson 01."""

import torch

from ..exercises import Exercise


def attention(Q, K, V, real):
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5
    return scores.masked_fill(~real, -torch.inf).softmax(-1) @ V


def causal_mask(n):
    return torch.ones(n, n).tril().bool()


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _no_mask(Q, K, V, real):
    return attention(Q, K, V, torch.ones_like(real))


def _unscaled(Q, K, V, real):
    return (Q @ K.transpose(-1, -2)).masked_fill(~real, -torch.inf).softmax(-1) @ V


def _over_queries(Q, K, V, real):
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5
    return scores.masked_fill(~real, -torch.inf).softmax(-2).nan_to_num(0) @ V


def _zero_after(Q, K, V, real):
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5
    return (scores.softmax(-1) * real) @ V


def _zero_before(Q, K, V, real):
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5
    return (scores * real).softmax(-1) @ V


def _by_width(Q, K, V, real):
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1]
    return scores.masked_fill(~real, -torch.inf).softmax(-1) @ V


GENERATOR = torch.Generator().manual_seed(1)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
ALL = torch.tensor([True] * 5)
PART = torch.tensor([True, True, True, False, False])
Exercise(
    "01.attention",
    attention,
    cases=[
        ("five tokens, all real", (draw(5, 4), draw(5, 4), draw(5, 4), ALL)),
        ("two of them padding", (draw(5, 4), draw(5, 4), draw(5, 4), PART)),
        ("three queries, five keys", (3 * draw(3, 8), draw(5, 8), draw(5, 2), PART)),
        (
            "equal keys: the mean of the real values",
            (draw(5, 4), torch.ones(5, 4), draw(5, 4), PART),
        ),
        ("one token", (draw(1, 4), draw(1, 4), draw(1, 4), torch.tensor([True]))),
    ],
    wrong=[
        (_no_mask, "Padding is looked at, too: give its scores −∞ before the softmax."),
        (_unscaled, "Divide the scores by √d, d the size of a query."),
        (_by_width, "Divide by √d, not by d."),
        (
            _over_queries,
            "The softmax goes over the keys (the last dimension): each query hands out shares "
            "that add up to 1.",
        ),
        (
            _zero_after,
            "Zeroing after the softmax leaves shares that no longer add up to 1: give −∞ "
            "before it.",
        ),
        (_zero_before, "A score of 0 is not “never”: e⁰ is 1. Give −∞."),
    ],
    look="Look at “The equation”.",
)

Exercise(
    "01.causal_mask",
    causal_mask,
    cases=[("four tokens", (4,)), ("one token", (1,)), ("seven tokens", (7,)), ("none", (0,))],
    wrong=[
        (
            lambda n: torch.ones(n, n).triu().bool(),
            "This lets each token look at itself and at what comes after. It may look at "
            "itself and at what came before.",
        ),
        (
            lambda n: torch.ones(n, n).tril(-1).bool(),
            "A token may look at itself, too; else the first one has nothing to look at.",
        ),
        (
            lambda n: ~torch.ones(n, n).tril().bool(),
            "True means: may look. This mask is the wrong way round.",
        ),
        (lambda n: torch.ones(n, n).bool(), "This forbids nothing."),
    ],
    look="Look at “Three kinds of attention”.",
)

Exercise(
    "01.split_heads",
    split_heads,
    cases=[
        ("two sentences of three tokens, two heads", (draw(2, 3, 8), 2)),
        ("one head", (draw(2, 3, 4), 1)),
        ("heads of size one", (draw(1, 2, 5), 5)),
        ("one token", (draw(3, 1, 6), 3)),
    ],
    wrong=[
        (
            lambda x, heads: x.unflatten(-1, (heads, -1)),
            "The shape is (batch, T, heads, size) here. Swap the two in the middle.",
        ),
        (
            lambda x, heads: x.reshape(x.shape[0], heads, x.shape[1], -1),
            "A plain reshape mixes tokens and heads. First split the last dimension, then swap.",
        ),
        (
            lambda x, heads: x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2),
            "A head owns neighbouring places of the vector: split into (heads, size), in this "
            "order.",
        ),
        (
            lambda x, heads: x.unflatten(-1, (heads, -1)).permute(0, 2, 3, 1),
            "The last two must be (T, size); here they are (size, T).",
        ),
    ],
    look="Look at “Many heads”.",
)
