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


def _fill(value):
    def wrong(Q, K, V, real):
        scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5
        return scores.masked_fill(~real, value).softmax(-1) @ V

    return wrong


def _queries_masked(Q, K, V, real):
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5
    return scores.masked_fill(~real[:, None], -torch.inf).softmax(-1) @ V


def _by_keys(Q, K, V, real):
    scores = Q @ K.transpose(-1, -2) / len(K) ** 0.5
    return scores.masked_fill(~real, -torch.inf).softmax(-1) @ V


def _no_softmax(Q, K, V, real):
    return (Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5).masked_fill(~real, 0) @ V


def _pair(Q, K, V, real):
    return attention(Q, K, V, real), Q @ K.transpose(-1, -2)


GENERATOR = torch.Generator().manual_seed(1)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
ALL = torch.tensor([True] * 3)
PART = torch.tensor([True, True, True, False, False])
Exercise(
    "01.attention",
    attention,
    cases=[
        ("three tokens, all real", (draw(3, 2), draw(3, 2), draw(3, 2), ALL)),
        ("one of them padding", (draw(3, 2), draw(3, 2), draw(3, 2), ALL.new_tensor([1, 1, 0]))),
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
        (_fill(-1.0), "A score of −1 is not “never”: e⁻¹ is 0.37. Give −∞."),
        (
            lambda Q, K, V, real: attention(Q, K, V, ~real),
            "real is True where a token is real: mask the others, ~real.",
        ),
        (
            _queries_masked,
            "This masks queries. real has one entry for each key, the scores' last dimension.",
        ),
        (_by_keys, "Divide by √d, d the size of a query, not by the number of keys."),
        (_no_softmax, "The softmax is missing: shares are positive and add up to 1."),
        (_pair, "Give the output alone, without the attention."),
        (
            lambda Q, K, V, real: (Q @ K / Q.shape[-1] ** 0.5).softmax(-1) @ V,
            "Each query meets each key: K must be transposed, Q @ K.transpose(-1, -2).",
        ),
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
        (
            lambda n: torch.ones(n, n).tril(1).bool(),
            "This lets each token look one place ahead, at what it should predict.",
        ),
        (
            lambda n: torch.eye(n).bool(),
            "This lets each token look at itself alone. It may look at all that came before, too.",
        ),
        (
            lambda n: torch.ones(n, n).tril(),
            "The right places, as numbers. Make them True and False: .bool().",
        ),
        (
            lambda n: torch.zeros(n, n).masked_fill(~torch.ones(n, n).tril().bool(), -torch.inf),
            "This is what one adds to the scores. The mask itself is asked: True and False.",
        ),
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
        (
            lambda x, heads: x.unflatten(-1, (heads, -1)).permute(2, 0, 1, 3),
            "The batch stays in front: (batch, heads, T, size). torch.stack has a dim, too.",
        ),
        (
            lambda x, heads: split_heads(x, heads).flatten(0, 1),
            "Batch and heads stay two dimensions: (batch, heads, T, size).",
        ),
        (
            lambda x, heads: x.unflatten(-1, (-1, heads)).transpose(1, 2),
            "The last dimension is split into (heads, size), in this order.",
        ),
        (
            lambda x, heads: x.repeat_interleave(heads, 0).unflatten(0, (-1, heads)),
            "Each head gets its own part of the vector, not the whole.",
        ),
    ],
    look="Look at “Many heads”.",
)
