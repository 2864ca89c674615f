"""Exercises of lesson 04."""

import torch

from ..exercises import Exercise


def magnitude(w_in, w_out):
    return w_in.norm(dim=1) * w_out.norm(dim=0)


def keep_best(scores, k):
    mask = torch.zeros(scores.numel(), dtype=torch.bool)
    mask[scores.flatten().argsort(descending=True)[:k]] = True
    return mask.view_as(scores)


def refit(inputs, targets, W, lam):
    G = sum(x.T @ x for x in inputs)
    C = sum(x.T @ t for x, t in zip(inputs, targets))
    return torch.linalg.solve(G + lam * torch.eye(len(G)), C + lam * W.T).T


def _lowest(scores, k):
    return keep_best(-scores, k)


def _each_layer(scores, k):
    mask = torch.zeros_like(scores, dtype=torch.bool)
    return mask.scatter(1, scores.argsort(dim=1, descending=True)[:, : k // len(scores)], True)


def _k_each_layer(scores, k):
    mask = torch.zeros_like(scores, dtype=torch.bool)
    return mask.scatter(1, scores.argsort(dim=1, descending=True)[:, :k], True)


def _absolute(scores, k):
    return keep_best(scores.abs(), k)


def _average(inputs, targets, W, lam):
    return sum(refit([x], [t], W, lam) for x, t in zip(inputs, targets)) / len(inputs)


def _to_zero(inputs, targets, W, lam):
    return refit(inputs, targets, 0 * W, lam)


def _often(inputs, targets, W, lam):
    return refit(inputs, targets, W, lam * len(inputs))


def _half(inputs, targets, W, lam):
    """λ on one side only."""
    G, C = sum(x.T @ x for x in inputs), sum(x.T @ t for x, t in zip(inputs, targets))
    return torch.linalg.lstsq(G, C + lam * W.T).solution.T


def _mean_gram(inputs, targets, W, lam):
    return refit(inputs, targets, W, lam * sum(len(x) for x in inputs))


def _mean_diagonal(inputs, targets, W, lam):
    G = sum(x.T @ x for x in inputs)
    return refit(inputs, targets, W, lam * G.diagonal().mean())


def _everywhere(inputs, targets, W, lam):
    """λ without the identity."""
    G, C = sum(x.T @ x for x in inputs), sum(x.T @ t for x, t in zip(inputs, targets))
    return torch.linalg.solve(G + lam, C + lam * W.T).T


def _sequential(inputs, targets, W, lam):
    for x, t in zip(inputs, targets):
        W = refit([x], [t], W, lam)
    return W


GENERATOR = torch.Generator().manual_seed(4)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
W_IN, W_OUT = draw(3, 2), draw(2, 3)
Exercise(
    "04.magnitude",
    magnitude,
    cases=[
        ("three neurons at hidden size 2", (W_IN, W_OUT)),
        ("as many neurons as hidden values", (draw(5, 5), draw(5, 5))),
        ("a neuron that writes nothing", (W_IN, W_OUT * torch.tensor([1.0, 0, 1]))),
        ("identity", (torch.eye(3), torch.eye(3))),
        ("no neurons left", (torch.zeros(0, 4), torch.zeros(4, 0))),
    ],
    wrong=[
        (
            lambda w_in, w_out: w_in.norm(dim=1),
            "This is the way in alone. A neuron that writes nothing does nothing: multiply by "
            "the norm of its way out.",
        ),
        (
            lambda w_in, w_out: w_out.norm(dim=0),
            "This is the way out alone: multiply by the norm of its way in.",
        ),
        (
            lambda w_in, w_out: w_in.norm(dim=1) + w_out.norm(dim=0),
            "Multiply the two norms: a neuron whose way out is zero must score zero, however "
            "large its way in.",
        ),
        (
            lambda w_in, w_out: w_in.norm(dim=0) * w_out.norm(dim=1),
            "These are norms over neurons, one for each hidden value. A neuron is a row of "
            "w_in and a column of w_out.",
        ),
        (
            lambda w_in, w_out: w_in.norm() * w_out.norm(),
            "This is one number for all neurons: give norm a dim.",
        ),
        (
            lambda w_in, w_out: w_in.abs().sum(dim=1) * w_out.abs().sum(dim=0),
            "These are sums of sizes (ℓ1); the score takes the square root of the sum of "
            "squares (ℓ2), .norm(dim=…).",
        ),
        (
            lambda w_in, w_out: w_in.square().sum(dim=1) * w_out.square().sum(dim=0),
            "The square roots are missing: the norm is √ of the sum of squares.",
        ),
        (
            lambda w_in, w_out: (w_in * w_out.T).norm(dim=1),
            "This is the norm of the products; the product of the two norms is asked.",
        ),
        (
            lambda w_in, w_out: (w_in * w_out.T).sum(dim=1),
            "This is a dot product of way in and way out; the product of their norms is asked.",
        ),
        (
            lambda w_in, w_out: torch.cat([w_in, w_out.T], dim=1).norm(dim=1),
            "This is one norm of both together, which is large if one of them is: multiply the "
            "two.",
        ),
        (
            lambda w_in, w_out: w_in.norm(dim=1)[:, None] * w_out.norm(dim=0),
            "This multiplies each neuron's way in by every neuron's way out: no [:, None].",
        ),
        (
            lambda w_in, w_out: w_in.norm(dim=1) * w_out.norm(dim=1),
            "A neuron is a column of w_out: its norm is over dim=0.",
        ),
        (
            lambda w_in, w_out: w_in.abs().mean(dim=1) * w_out.abs().mean(dim=0),
            "These are means of sizes; the score takes norms, .norm(dim=…).",
        ),
    ],
    look="Look at “Four ways to score”.",
)

Exercise(
    "04.keep_best",
    keep_best,
    cases=[
        (
            "2 layers of 4, keep 3",
            (torch.tensor([[0.9, 0.1, 0.8, 0.2], [0.3, 0.7, 0.05, 0.06]]), 3),
        ),
        ("one layer has nothing good, keep 4", (torch.tensor([[5.0, 6, 7, 8], [1.0, 2, 3, 4]]), 4)),
        ("random", (draw(3, 7), 10)),
        ("keep nothing", (draw(2, 3), 0)),
        ("keep all", (draw(2, 3), 6)),
        ("one layer", (draw(1, 5), 2)),
    ],
    wrong=[
        (_lowest, "These are the k lowest; the highest stay."),
        (
            _each_layer,
            "This keeps the same number in each layer. Rank all places of all layers in one list.",
        ),
        (
            _k_each_layer,
            "This keeps k in each layer; k is for the whole model. Flatten the scores first.",
        ),
        (
            _absolute,
            "Rank by the score itself: the most negative is the worst, not one of the best.",
        ),
        (lambda scores, k: ~keep_best(scores, k), "True keeps. This mask is the wrong way round."),
        (
            lambda scores, k: scores >= scores.flatten().sort(descending=True).values[k - 1],
            "With k = 0 this takes place −1, the last one, and keeps all.",
        ),
        (
            lambda scores, k: scores > scores.flatten().sort(descending=True).values[k - 1],
            "> leaves the k-th best out: k − 1 stay.",
        ),
        (
            lambda scores, k: scores > scores.flatten().sort(descending=True).values[k],
            "With k as large as the number of scores there is no place k.",
        ),
        (lambda scores, k: keep_best(scores, scores.numel() - k), "k stay; here k go."),
        (
            lambda scores, k: keep_best(scores, k).flatten(),
            "Bring the flat mask back to the shape of the scores: .view_as(scores).",
        ),
        (
            lambda scores, k: scores.flatten().argsort(descending=True)[:k],
            "These are the places that stay; make a mask that is True there.",
        ),
        (
            lambda scores, k: keep_best(scores / scores.norm(dim=1, keepdim=True), k),
            "This makes the layers alike first. Rank the scores as they are.",
        ),
        (
            lambda scores, k: (scores.flatten().argsort(descending=True) < k).view_as(scores),
            "argsort gives the places in order, not the rank of each place: argsort twice, or use "
            "it as an index.",
        ),
    ],
    look="Look at “Choose under a budget”.",
)

BATCHES = [draw(9, 4), draw(5, 4), draw(7, 4)]
WEIGHT = draw(3, 4)
TARGETS = [x @ WEIGHT.T + 0.5 * draw(len(x), 3) for x in BATCHES]
Exercise(
    "04.refit",
    refit,
    cases=[
        ("three batches of different size", (BATCHES, TARGETS, WEIGHT, 0.7)),
        (
            "a small ridge",
            ([draw(3, 2), draw(4, 2)], [draw(3, 1), draw(4, 1)], draw(1, 2), 0.01),
        ),
        ("one batch", ([draw(3, 2)], [draw(3, 2)], draw(2, 2), 0.3)),
        ("targets that W already meets", (BATCHES, [x @ WEIGHT.T for x in BATCHES], WEIGHT, 2.0)),
        ("inputs of zero: W stays", ([0 * BATCHES[0]], TARGETS[:1], WEIGHT, 1.0)),
        ("a very large ridge: W hardly moves", (BATCHES, TARGETS, WEIGHT, 1e4)),
    ],
    wrong=[
        (
            _to_zero,
            "This holds the weights towards zero. The term is λ‖W' − W‖²: add λWᵀ on the right "
            "side, too.",
        ),
        (
            _average,
            "The mean of each batch's own solution is not the solution for all tokens. Add up "
            "the Gram matrices first, then solve once.",
        ),
        (_often, "λ counts once, after the sums, not once for each batch."),
        (
            lambda inputs, targets, W, lam: refit(inputs[-1:], targets[-1:], W, lam),
            "Only the last batch counts here: add to the sums, do not overwrite them.",
        ),
        (
            _mean_gram,
            "G is a sum over tokens, not a mean: as it stands λ is too strong by the number of "
            "tokens.",
        ),
        (
            lambda inputs, targets, W, lam: refit(inputs, targets, W, lam).T,
            "This is W'ᵀ, (neurons, d). Give back W', shaped like W.",
        ),
        (_half, "λ is missing on the left side: G + λI."),
        (
            lambda inputs, targets, W, lam: refit(inputs, targets, W, 0 * lam),
            "λ is missing on both sides: without it G may have no inverse.",
        ),
        (
            _mean_diagonal,
            "Here λ is used as it is. (The lesson gives it in units of G's mean diagonal.)",
        ),
        (lambda inputs, targets, W, lam: refit(inputs, targets, W, lam**2), "This is λ², not λ."),
        (
            _everywhere,
            "λ belongs on the diagonal alone: lam * torch.eye(…). Added to a matrix it goes to "
            "all places.",
        ),
        (
            _sequential,
            "Each batch starts here from what the last one gave. Add up all batches, solve once.",
        ),
        (
            lambda inputs, targets, W, lam: torch.linalg.solve(
                sum(x @ x.T for x in inputs), sum(targets)
            ),
            "G is (neurons, neurons): x.T @ x. Here it is (tokens, tokens).",
        ),
    ],
    look="Look at “Repair one matrix by hand”.",
    tolerance=1e-4,
)
