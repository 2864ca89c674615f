"""Exercises of lesson 05."""

import torch

from ..challenges import Challenge
from ..exercises import Exercise


def refit(inputs, targets, W, lam):
    G = sum(x.T @ x for x in inputs)
    C = sum(x.T @ t for x, t in zip(inputs, targets))
    return torch.linalg.solve(G + lam * torch.eye(len(G)), C + lam * W.T).T


def prices(A, W):
    return W.square().sum(dim=0) / torch.linalg.inv(A).diagonal()


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
BATCHES = [draw(9, 4), draw(5, 4), draw(7, 4)]
WEIGHT = draw(3, 4)
TARGETS = [x @ WEIGHT.T + 0.5 * draw(len(x), 3) for x in BATCHES]
Exercise(
    "05.refit",
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


def gram(*shape: int, ridge: float = 0.1):
    x = draw(*shape)
    return x.T @ x + ridge * torch.eye(shape[1])


TWINS = torch.tensor([[1.0, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
Exercise(
    "05.prices",
    prices,
    cases=[
        (
            "neurons 0 and 1 are nearly twins, neuron 2 is alone",
            (TWINS, torch.tensor([[1.0, 1, 1], [1, 2, 0]])),
        ),
        ("four neurons, hidden size 3", (gram(6, 4), draw(3, 4))),
        ("unrelated neurons", (torch.diag(torch.tensor([4.0, 1, 0.5])), draw(2, 3))),
        ("one neuron", (torch.tensor([[2.0]]), torch.tensor([[3.0], [4.0]]))),
        ("a neuron that writes nothing", (gram(5, 3), draw(2, 3) * torch.tensor([1.0, 0, 1]))),
    ],
    wrong=[
        (
            lambda A, W: W.square().sum(dim=0) * A.diagonal(),
            "This is the price if the others stay as they are. They make up for it: divide by "
            "the diagonal of the inverse of the matrix, torch.linalg.inv(A), not of its numbers.",
        ),
        (
            lambda A, W: W.square().sum(dim=0) * torch.linalg.inv(A).diagonal(),
            "Divide by the diagonal of A⁻¹, do not multiply: a neuron that no other can stand "
            "in for must be dear.",
        ),
        (
            lambda A, W: W.square().sum(dim=0) / A.diagonal(),
            "The diagonal of A itself is not enough: invert the whole matrix, then take the "
            "diagonal.",
        ),
        (
            lambda A, W: W.square().sum(dim=0) / torch.linalg.inv(A).sum(dim=0),
            "Take the diagonal of A⁻¹ alone, not the sums of its columns.",
        ),
        (
            lambda A, W: W.norm(dim=0) / torch.linalg.inv(A).diagonal(),
            "The norm of the column is squared: it is a squared error.",
        ),
        (
            lambda A, W: W.square().sum(dim=0) / torch.linalg.inv(A).diagonal().square(),
            "The diagonal of A⁻¹ is not squared.",
        ),
        (
            lambda A, W: W.sum(dim=0).square() / torch.linalg.inv(A).diagonal(),
            "Square each weight of the column first, then add up.",
        ),
        (
            lambda A, W: W.square().mean(dim=0) / torch.linalg.inv(A).diagonal(),
            "Add up the squares of the column: each output has its own share of the error.",
        ),
        (
            lambda A, W: W.square() / torch.linalg.inv(A).diagonal(),
            "This is a price for each single weight, (d, neurons). A neuron pays for its whole "
            "column: add them up.",
        ),
        (
            lambda A, W: W.square().sum(dim=0) / torch.linalg.inv(A).diagonal() / 2,
            "No half here: it is the squared error itself, not a loss whose second derivative "
            "it is.",
        ),
        (
            lambda A, W: (W.square().sum(dim=0) / torch.linalg.inv(A).diagonal()).sqrt(),
            "This is the root of the price: leave it squared.",
        ),
        (
            lambda A, W: W.square().sum(dim=0) / torch.linalg.inv(A),
            "This divides by the whole inverse, (neurons, neurons); take its .diagonal().",
        ),
        (
            lambda A, W: (W @ torch.linalg.inv(A)).square().sum(dim=0),
            "A⁻¹ is not multiplied with W. Only its diagonal counts, and it divides.",
        ),
        (
            lambda A, W: W.square().sum() / torch.linalg.inv(A).diagonal(),
            "This takes the squares of all columns together: each neuron pays for its own, "
            ".sum(dim=0).",
        ),
        (
            lambda A, W: W.square().sum(dim=1) / torch.linalg.inv(A).diagonal(),
            "A neuron is a column of W: its squares are summed over the rows, dim=0.",
        ),
    ],
    look="Look at “From Taylor to SparseGPT”.",
    tolerance=1e-4,
)

Challenge(
    "05.fewest",
    cost="share of the neurons",
    quality="validation accuracy",
    least=0.9,
    target=0.1,
)
