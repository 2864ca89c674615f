"""Exercises of lesson 01."""

import torch

from ..challenges import Challenge
from ..exercises import Exercise


def attention(Q, K, V, allowed=None):
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return scores.softmax(-1) @ V


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def taken(weights, values, W_out):
    sizes = weights * (values @ W_out.T).norm(dim=-1)
    return sizes / sizes.sum(-1, keepdim=True)


def causal_mask(n):
    return torch.ones(n, n).tril().bool()


def _scores(Q, K, by=None):
    return Q @ K.transpose(-1, -2) / (Q.shape[-1] ** 0.5 if by is None else by)


def _filled(scores, allowed, value=-torch.inf):
    return scores if allowed is None else scores.masked_fill(~allowed, value)


def _divided(by):
    """Attention with scores divided by what `by(Q, K)` gives."""
    return lambda Q, K, V, allowed=None: _filled(_scores(Q, K, by(Q, K)), allowed).softmax(-1) @ V


def _softmax_over(dim):
    return lambda Q, K, V, allowed=None: _filled(_scores(Q, K), allowed).softmax(dim) @ V


def _zero_after(Q, K, V, allowed=None):
    weights = _scores(Q, K).softmax(-1)
    return (weights if allowed is None else weights * allowed) @ V


def _zero_before(Q, K, V, allowed=None):
    scores = _scores(Q, K)
    return (scores if allowed is None else scores * allowed).softmax(-1) @ V


def _added(Q, K, V, allowed=None):
    scores = _scores(Q, K)
    return (scores if allowed is None else scores + allowed).softmax(-1) @ V


def _inverted(Q, K, V, allowed=None):
    return attention(Q, K, V, None if allowed is None else ~allowed)


def _of_queries(Q, K, V, allowed=None):
    if allowed is not None and allowed.ndim == 1:
        allowed = allowed[: Q.shape[-2], None]
    return attention(Q, K, V, allowed)


def _none_forgotten(Q, K, V, allowed=None):
    return _scores(Q, K).masked_fill(~allowed, -torch.inf).softmax(-1) @ V


def _truth_of_a_tensor(Q, K, V, allowed=None):
    if allowed:
        return attention(Q, K, V, allowed)
    return attention(Q, K, V)


def _all_transposed(Q, K, V, allowed=None):
    reverse = K.permute(*reversed(range(K.ndim)))  # as K.T is, without its warning
    return _filled(Q @ reverse / Q.shape[-1] ** 0.5, allowed).softmax(-1) @ V


GENERATOR = torch.Generator().manual_seed(1)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR).mul(10).round() / 10 + 0.0
FIRST = torch.tensor([True, True, True, False, False])
X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
Exercise(
    "01.attention",
    attention,
    cases=[
        (
            "the three tokens of the example",
            (
                torch.tensor([[1.0, 1.0], [1.0, -1.0], [2.0, 0.0]]),
                torch.tensor([[2.0, 0.0], [-1.0, 1.0], [1.0, 1.0]]),
                torch.tensor([[4.0, 0.0], [-4.0, 2.0], [0.0, 2.0]]),
                None,
            ),
        ),
        (
            "two tokens, the first may not look at the second",
            (draw(2, 2), draw(2, 2), draw(2, 1), torch.tensor([[True, False], [True, True]])),
        ),
        (
            "three queries, five keys, two of them padding",
            (draw(3, 8), draw(5, 8), draw(5, 2), FIRST),
        ),
        (
            "equal keys: the mean of the values that are allowed",
            (draw(5, 4), torch.ones(5, 4), draw(5, 4), FIRST),
        ),
        (
            "two heads, no looking ahead",
            (draw(2, 3, 2), draw(2, 3, 2), draw(2, 3, 2), causal_mask(3)),
        ),
        ("one token", (draw(1, 4), draw(1, 4), draw(1, 4), None)),
    ],
    wrong=[
        (
            lambda Q, K, V, allowed=None: attention(Q, K, V),
            "The mask is not used: give the scores that are not allowed −∞ before the softmax.",
        ),
        (_divided(lambda Q, K: 1), "Divide the scores by √d, d the size of a query."),
        (_divided(lambda Q, K: Q.shape[-1]), "Divide by √d, not by d."),
        (
            _divided(lambda Q, K: K.shape[-2] ** 0.5),
            "Divide by √d, d the size of a query, not by the root of the number of keys.",
        ),
        (
            _softmax_over(0),
            "softmax(0) goes over the first dimension. Each row adds up to 1: softmax(-1), over "
            "the keys.",
        ),
        (
            _softmax_over(1),
            "With heads in front dimension 1 is no longer that of the keys: count from the end, "
            "softmax(-1).",
        ),
        (
            _softmax_over(-2),
            "The softmax goes over the keys, the last dimension: each query's weights add up to 1.",
        ),
        (
            _zero_after,
            "Zeroing after the softmax leaves weights that no longer add up to 1: give the scores "
            "−∞ before it.",
        ),
        (_zero_before, "A score of 0 is not “never”: e⁰ is 1. Give −∞."),
        (_added, "allowed is True and False: adding it adds 1 to some scores. Give the others −∞."),
        (
            lambda Q, K, V, allowed=None: _filled(_scores(Q, K), allowed, -1.0).softmax(-1) @ V,
            "A score of −1 is not “never”: e⁻¹ is 0.37. Give −∞.",
        ),
        (_inverted, "allowed is True where a query may look: mask the others, ~allowed."),
        (
            _of_queries,
            "This masks queries. A mask of one dimension has an entry for each key, the scores' "
            "last dimension, and broadcasts as it is.",
        ),
        (
            _none_forgotten,
            "allowed may be None, and then every query may look at every key.",
        ),
        (
            _truth_of_a_tensor,
            "A tensor is neither true nor false as a whole: ask `if allowed is not None`.",
        ),
        (
            lambda Q, K, V, allowed=None: _filled(_scores(Q, K), allowed, 0) @ V,
            "The softmax is missing: weights are positive and add up to 1.",
        ),
        (
            lambda Q, K, V, allowed=None: _filled(_scores(Q, K), allowed).softmax(-1),
            "These are the weights. The answer is the mean of the values under them: weights @ V.",
        ),
        (
            lambda Q, K, V, allowed=None: (
                attention(Q, K, V, allowed),
                _filled(_scores(Q, K), allowed).softmax(-1),
            ),
            "Return the mixed values alone, without the weights.",
        ),
        (
            lambda Q, K, V, allowed=None: attention(Q, K, K, allowed),
            "The weights are applied to the keys. What a token passes on is its value: @ V.",
        ),
        (
            _all_transposed,
            "K.T reverses all dimensions, heads included. Swap the last two: K.transpose(-1, -2).",
        ),
        (
            lambda Q, K, V, allowed=None: (
                _filled(Q @ K / Q.shape[-1] ** 0.5, allowed).softmax(-1) @ V
            ),
            "Each query meets each key: K must be transposed, Q @ K.transpose(-1, -2).",
        ),
    ],
    look="Look at “Query, key, value”, and at “The equation”.",
)

Exercise(
    "01.split_heads",
    split_heads,
    cases=[
        ("two sentences of three tokens, two heads", (draw(2, 3, 8), 2)),
        ("two tokens, two heads", (torch.arange(8.0).reshape(1, 2, 4), 2)),
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
            lambda x, heads: x[:, None].expand(-1, heads, -1, -1),
            "Each head gets its own part of the vector, not the whole.",
        ),
        (
            lambda x, heads: x.unflatten(1, (heads, -1)),
            "This divides the tokens among the heads. Every head sees all tokens, and owns a part "
            "of each vector: the last dimension.",
        ),
    ],
    look="Look at “A whole layer, and a whole model”.",
)

EYE = torch.eye(2)
Exercise(
    "01.taken",
    taken,
    cases=[
        (
            "alike in weight, one value three times as large",
            (torch.tensor([[0.5, 0.5]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]]), EYE),
        ),
        (
            "a large weight on a small value",
            (
                torch.tensor([[0.9, 0.1], [0.5, 0.5]]),
                torch.tensor([[0.1, 0.0], [3.0, -4.0]]),
                2 * EYE,
            ),
        ),
        (
            "the output matrix drops the second number",
            (
                torch.tensor([[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]]),
                torch.tensor([[3.0, 8.0], [-3.0, 1.0], [6.0, 2.0]]),
                torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]),
            ),
        ),
        ("four tokens", (draw(4, 4).softmax(-1), draw(4, 3), draw(5, 3))),
    ],
    wrong=[
        (
            lambda weights, values, W_out: weights,
            "These are the weights, what is looked at. Multiply each by the size of what it "
            "brings.",
        ),
        (
            lambda weights, values, W_out: weights * (values @ W_out.T).norm(dim=-1),
            "Each row is to be a share: divide it by its sum.",
        ),
        (
            lambda weights, values, W_out: _shares(weights * values.norm(dim=-1)),
            "The values go through the output matrix first: values @ W_out.T.",
        ),
        (
            lambda weights, values, W_out: _shares(weights * (values @ W_out.T).square().sum(-1)),
            "This is the square of the size: take the root, or .norm(dim=-1).",
        ),
        (
            lambda weights, values, W_out: _shares(weights * (values @ W_out.T).abs().sum(-1)),
            "The size of a vector is the root of the sum of squares, .norm(dim=-1), not the sum of "
            "absolute values.",
        ),
        (
            lambda weights, values, W_out: _shares(weights * (values @ W_out.T).sum(-1)),
            "Adding the numbers lets plus and minus cancel. The size is .norm(dim=-1).",
        ),
        (
            lambda weights, values, W_out: weights * (values @ W_out.T).norm(),
            "This is one size for all tokens. Each column has its own: .norm(dim=-1).",
        ),
        (
            lambda weights, values, W_out: _shares(
                weights * (values @ W_out.T).norm(dim=-1), dim=0
            ),
            "Each row adds up to 1, not each column: sum over the last dimension, with keepdim.",
        ),
        (
            lambda weights, values, W_out: _shares(
                weights * (values @ W_out.T).norm(dim=-1, keepdim=True)
            ),
            "With keepdim the sizes go down the rows. Column j has the size of value j: leave "
            "keepdim out of the norm.",
        ),
        (
            lambda weights, values, W_out: (weights @ values @ W_out.T).norm(dim=-1),
            "This is the size of the whole sum. What is asked is the size of each term in it.",
        ),
        (
            lambda weights, values, W_out: (weights * (values @ W_out.T).norm(dim=-1)).softmax(-1),
            "A softmax is not a share: divide by the sum.",
        ),
        (
            lambda weights, values, W_out: _shares(weights * (values @ W_out).norm(dim=-1)),
            "W_out has the shape (d, size), as PyTorch stores it: values @ W_out.T.",
        ),
    ],
    look="Look at “Looked at, and taken”.",
)


def _shares(sizes, dim=-1):
    return sizes / sizes.sum(dim, keepdim=True)


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
            "This is what one adds to the scores. The mask itself holds True and False.",
        ),
    ],
    look="Look at “Who may look where”.",
)

Challenge(
    "01.fewest_pairs",
    cost="share of pairs looked at",
    quality="validation accuracy",
    least=0.9,
    target=0.25,
)
