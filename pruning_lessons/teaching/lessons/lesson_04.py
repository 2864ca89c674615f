"""Exercises of lesson 04."""

import torch
from torch.nn import functional as F

from ..challenges import Challenge
from ..exercises import Exercise


def magnitude(w_in, w_out):
    return w_in.norm(dim=1) * w_out.norm(dim=0)


def keep_best(scores, k):
    mask = torch.zeros(scores.numel(), dtype=torch.bool)
    mask[scores.flatten().argsort(descending=True)[:k]] = True
    return mask.view_as(scores)


def glu_scores(x, gate, up, down):
    a = F.silu(x @ gate.T) * (x @ up.T)
    return a.abs().mean(dim=0) * down.norm(dim=0)


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


X, GATE, UP, DOWN = draw(3, 2), draw(3, 2), draw(3, 2), draw(2, 3)
Exercise(
    "04.glu_scores",
    glu_scores,
    cases=[
        ("three tokens, three neurons, hidden size 2", (X, GATE, UP, DOWN)),
        ("all sizes 2", (draw(2, 2), draw(2, 2), draw(2, 2), draw(2, 2))),
        ("one token", (draw(1, 3), draw(2, 3), draw(2, 3), draw(3, 2))),
        ("a neuron that writes nothing", (X, GATE, UP, DOWN * torch.tensor([1.0, 0, 1]))),
        ("a gate that is shut", (X, GATE * torch.tensor([[1.0], [0], [1]]), UP, DOWN)),
        ("more neurons than hidden values", (draw(4, 2), draw(5, 2), draw(5, 2), draw(2, 5))),
    ],
    wrong=[
        (
            lambda x, gate, up, down: (
                ((x @ gate.T) * (x @ up.T)).abs().mean(dim=0) * down.norm(dim=0)
            ),
            "The SiLU is missing: the gate goes through it before the two are multiplied.",
        ),
        (
            lambda x, gate, up, down: (
                ((x @ gate.T) * F.silu(x @ up.T)).abs().mean(dim=0) * down.norm(dim=0)
            ),
            "The SiLU belongs to the gate, not to up.",
        ),
        (
            lambda x, gate, up, down: (
                F.silu((x @ gate.T) * (x @ up.T)).abs().mean(dim=0) * down.norm(dim=0)
            ),
            "Here the product goes through the SiLU; the gate alone should, before it is "
            "multiplied by up.",
        ),
        (
            lambda x, gate, up, down: F.silu(x @ gate.T).abs().mean(dim=0) * down.norm(dim=0),
            "This is the gate alone. What the neuron gives is the gate times up.",
        ),
        (
            lambda x, gate, up, down: (x @ up.T).abs().mean(dim=0) * down.norm(dim=0),
            "This is up alone. What the neuron gives is up times the gate.",
        ),
        (
            lambda x, gate, up, down: (
                (F.silu(x @ gate.T) + x @ up.T).abs().mean(dim=0) * down.norm(dim=0)
            ),
            "Gate and up are multiplied, not added: a shut gate lets nothing through.",
        ),
        (
            lambda x, gate, up, down: (
                (F.silu(x @ gate.T) * (x @ up.T)).mean(dim=0).abs() * down.norm(dim=0)
            ),
            "This averages first, so that + and − cancel. Take the size for each token, then "
            "the mean.",
        ),
        (
            lambda x, gate, up, down: (
                F.silu(x @ gate.T).abs().mean(dim=0)
                * (x @ up.T).abs().mean(dim=0)
                * down.norm(dim=0)
            ),
            "This multiplies two means. Multiply gate and up token by token, then average.",
        ),
        (
            lambda x, gate, up, down: (F.silu(x @ gate.T) * (x @ up.T)).abs().mean(dim=0),
            "This is how active a neuron is. How much it writes: times the norm of its column of "
            "down.",
        ),
        (
            lambda x, gate, up, down: (
                (F.silu(x @ gate.T) * (x @ up.T)).abs().sum(dim=0) * down.norm(dim=0)
            ),
            "This is the sum over tokens; the mean is asked.",
        ),
        (
            lambda x, gate, up, down: (
                (F.gelu(x @ gate.T) * (x @ up.T)).abs().mean(dim=0) * down.norm(dim=0)
            ),
            "This is the GELU of our own model; the formula of this GLU takes the SiLU.",
        ),
        (
            lambda x, gate, up, down: gate.norm(dim=1) * up.norm(dim=1) * down.norm(dim=0),
            "This is magnitude: it never looks at x.",
        ),
        (
            lambda x, gate, up, down: (
                (F.silu(x @ gate.T) * (x @ up.T)).square().mean(dim=0).sqrt() * down.norm(dim=0)
            ),
            "This is the root of the mean square; the mean of the sizes is asked.",
        ),
        (
            lambda x, gate, up, down: (
                (F.silu(x @ gate.T) * (x @ up.T)).abs().mean(dim=0) * down.norm(dim=1)
            ),
            "A neuron writes with a column of down: its norm is over dim=0.",
        ),
        (
            lambda x, gate, up, down: (
                (F.silu(x @ gate.T) * (x @ up.T)).abs().mean() * down.norm(dim=0)
            ),
            "This is one mean for all neurons together: .mean(dim=0), over the tokens alone.",
        ),
        (
            lambda x, gate, up, down: (
                (F.silu(gate @ x) * (up @ x)).abs().mean(dim=1) * down.norm(dim=0)
            ),
            "A token is a row of x, and a neuron a row of gate: x @ gate.T, (tokens, neurons).",
        ),
    ],
    look="Look at “At LLM scale: neurons with two rows”.",
)

Challenge(
    "04.fewest", cost="share of the neurons", quality="validation accuracy", least=0.9, target=0.3
)
