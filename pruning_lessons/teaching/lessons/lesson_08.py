"""Exercises of lesson 08."""

import torch

from ..challenges import Challenge
from ..exercises import Exercise


def split_budget(heads, neurons, head_cost, neuron_cost, budget):
    heads, neurons = (sorted(s.tolist(), reverse=True) for s in (heads, neurons))
    best = None
    for n in range(len(heads) + 1):
        rest = budget - n * head_cost
        if rest >= 0:
            m = min(int(rest // neuron_cost), len(neurons))
            total = sum(heads[:n]) + sum(neurons[:m])
            if best is None or total > best[0] + 1e-9:
                best = total, n, m
    return best[1:]


def paired(first, second):
    d = first.float() - second.float()
    return d.mean().item(), d.std().item() / len(d) ** 0.5


def _heads_first(heads, neurons, head_cost, neuron_cost, budget):
    n = min(len(heads), int(budget // head_cost))
    return n, min(len(neurons), int((budget - n * head_cost) // neuron_cost))


def _neurons_first(heads, neurons, head_cost, neuron_cost, budget):
    m = min(len(neurons), int(budget // neuron_cost))
    return min(len(heads), int((budget - m * neuron_cost) // head_cost)), m


def _unsorted(heads, neurons, head_cost, neuron_cost, budget):
    totals = {}
    for n in range(len(heads) + 1):
        if budget - n * head_cost >= 0:
            m = min(int((budget - n * head_cost) // neuron_cost), len(neurons))
            totals.setdefault((n, m), sum(heads.tolist()[:n]) + sum(neurons.tolist()[:m]))
    return max(totals, key=totals.get)


def _by_score_alone(heads, neurons, head_cost, neuron_cost, budget):
    """Greedy by score, blind to costs, until the first part that does not fit."""
    parts = sorted(
        [(s, 0) for s in heads.tolist()] + [(s, 1) for s in neurons.tolist()], reverse=True
    )
    counts = [0, 0]
    for _, kind in parts:
        cost = (head_cost, neuron_cost)[kind]
        if cost > budget:
            break
        budget, counts[kind] = budget - cost, counts[kind] + 1
    return tuple(counts)


def _no_cap(heads, neurons, head_cost, neuron_cost, budget):
    n, m = split_budget(heads, neurons, head_cost, neuron_cost, budget)
    return n, int((budget - n * head_cost) // neuron_cost)


def _more_heads(heads, neurons, head_cost, neuron_cost, budget):
    heads, neurons = (sorted(s.tolist(), reverse=True) for s in (heads, neurons))
    best = -1.0, 0, 0
    for n in range(len(heads) + 1):
        if n * head_cost <= budget:
            m = min(int((budget - n * head_cost) // neuron_cost), len(neurons))
            best = max(best, (sum(heads[:n]) + sum(neurons[:m]), n, m))
    return best[1:]


def _not_without(heads, neurons, head_cost, neuron_cost, budget):
    heads, neurons = (sorted(s.tolist(), reverse=True) for s in (heads, neurons))
    best = -1.0, 0, 0
    for n in range(1, len(heads) + 1):
        if n * head_cost <= budget:
            m = min(int((budget - n * head_cost) // neuron_cost), len(neurons))
            best = max(best, (sum(heads[:n]) + sum(neurons[:m]), n, m))
    return best[1:]


def _by_ratio(heads, neurons, head_cost, neuron_cost, budget):
    """Greedy by score for its price, leaving out what does not fit."""
    costs = head_cost, neuron_cost
    parts = [(s / costs[kind], kind) for kind, all in enumerate((heads, neurons)) for s in all]
    counts = [0, 0]
    for _, kind in sorted(parts, reverse=True):
        if costs[kind] <= budget:
            budget, counts[kind] = budget - costs[kind], counts[kind] + 1
    return tuple(counts)


GENERATOR = torch.Generator().manual_seed(7)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
spread = lambda n: torch.rand(n, generator=GENERATOR)
Exercise(
    "08.split_budget",
    split_budget,
    cases=[
        (
            "two heads and four neurons, room for half",
            (torch.tensor([5.0, 1.0]), torch.tensor([2.0, 2.0, 0.5, 0.1]), 4, 2, 8),
        ),
        (
            "scores in no order",
            (torch.tensor([0.2, 3.0, 0.1]), torch.tensor([0.1, 0.9, 0.3, 0.8, 0.2]), 5, 1, 7),
        ),
        ("random", (3 * spread(6), spread(12), 7, 2, 30)),
        ("room for all", (spread(3), spread(4), 2, 1, 100)),
        ("neurons are worth little", (1 + spread(4), 0.01 * spread(8), 3, 1, 9)),
        ("heads are worth little", (0.01 * spread(4), 1 + spread(8), 3, 1, 9)),
        ("no room", (spread(3), spread(4), 2, 1, 0)),
        ("two pairs are equally good", (torch.tensor([2.0]), torch.tensor([1.0, 1.0]), 2, 1, 2)),
        (
            "the best score for its cost leaves a gap",
            (torch.tensor([10.0]), torch.tensor([8.0, 8.0]), 6, 5, 10),
        ),
    ],
    wrong=[
        (
            _heads_first,
            "This buys heads first. Try every number of heads, and give the rest of the budget "
            "to neurons each time.",
        ),
        (
            _neurons_first,
            "This buys neurons first. Try every number of heads, and give the rest of the "
            "budget to neurons each time.",
        ),
        (
            _unsorted,
            "The best n heads have the n largest scores: sort both in descending order first.",
        ),
        (
            _by_score_alone,
            "A part with a high score may cost too much: compare whole purchases, one for each "
            "number of heads.",
        ),
        (
            lambda *a: split_budget(*a)[::-1],
            "The order is (heads, neurons).",
        ),
        (
            _no_cap,
            "There are only len(neurons) neurons: min(…, len(neurons)).",
        ),
        (
            _more_heads,
            "Where two purchases are equally good, take the one with fewer heads: > in place of "
            ">=.",
        ),
        (
            _not_without,
            "No head at all is a choice, too: range(len(heads) + 1) starts at 0.",
        ),
        (
            lambda heads, neurons, head_cost, neuron_cost, budget: split_budget(
                -heads, -neurons, head_cost, neuron_cost, budget
            ),
            "These are the lowest scores; the highest are worth their price.",
        ),
        (
            lambda heads, neurons, head_cost, neuron_cost, budget: split_budget(
                heads, neurons, neuron_cost, head_cost, budget
            ),
            "The prices of heads and neurons have changed places.",
        ),
        (
            _by_ratio,
            "Score for its price alone may leave a gap that one larger part fills better: compare "
            "whole purchases.",
        ),
        (
            lambda heads, neurons, *rest: (len(heads), len(neurons)),
            "This keeps everything and ignores the budget.",
        ),
    ],
    look="Look at “One budget”.",
)


def _with_error(error):
    """The right mean, and an error of its own."""

    def wrong(first, second):
        d = first.float() - second.float()
        return d.mean().item(), float(error(first.float(), second.float(), d))

    return wrong


T, F = True, False
verdicts = lambda share, n: torch.rand(n, generator=GENERATOR) < share
Exercise(
    "08.paired",
    paired,
    cases=[
        ("four sentences", (torch.tensor([T, T, F, T]), torch.tensor([T, F, F, F]))),
        (
            "each is right where the other is not",
            (torch.tensor([T, F, T, F, F, F]), torch.tensor([F, T, F, T, F, F])),
        ),
        ("two models that are often right", (verdicts(0.9, 12), verdicts(0.8, 12))),
        ("a model and itself", (torch.tensor([T, F, T]), torch.tensor([T, F, T]))),
        ("the second is better", (torch.tensor([F, F, T, F, T]), torch.tensor([T, F, T, T, T]))),
    ],
    wrong=[
        (
            _with_error(
                lambda a, b, d: ((a.var() + b.var()) / len(a)) ** 0.5,
            ),
            "This adds the variances of both models, as if they had answered different sentences. "
            "Take the standard deviation of the differences.",
        ),
        (
            _with_error(
                lambda a, b, d: (
                    ((a.mean() * (1 - a.mean()) + b.mean() * (1 - b.mean())) / len(a)) ** 0.5
                ),
            ),
            "p(1 − p) of each model is for different sentences. Here they are the same ones: take "
            "the standard deviation of the differences.",
        ),
        (
            _with_error(lambda a, b, d: d.std()),
            "This is the spread of a single sentence. The mean of n is more certain: divide by the "
            "root of n.",
        ),
        (
            _with_error(lambda a, b, d: d.std() / len(d)),
            "Divide by the root of n, not by n.",
        ),
        (
            _with_error(lambda a, b, d: d.var() / len(d) ** 0.5),
            "This is the variance; the standard deviation is its root.",
        ),
        (
            _with_error(lambda a, b, d: d.var() / len(d)),
            "This is the square of the standard error: a root is missing.",
        ),
        (
            _with_error(lambda a, b, d: d.std(correction=0) / len(d) ** 0.5),
            "Divide by n − 1 in the standard deviation, as .std() does by itself.",
        ),
        (
            _with_error(lambda a, b, d: 2 * d.std() / len(d) ** 0.5),
            "These are two standard errors; return one.",
        ),
        (
            _with_error(lambda a, b, d: d.abs().mean() ** 0.5 / len(d) ** 0.5),
            "Nearly: take the mean away before you square, as .std() does.",
        ),
        (
            lambda first, second: paired(second, first),
            "The first minus the second.",
        ),
        (
            lambda first, second: (
                (first != second).float().mean().item(),
                paired(first, second)[1],
            ),
            "How often they disagree is not who is ahead: keep the sign, first minus second.",
        ),
        (
            lambda first, second: paired(first, second)[::-1],
            "The order is (mean, standard error).",
        ),
        (
            lambda first, second: paired(first, second)[0],
            "Return two numbers: the mean and its standard error.",
        ),
        (
            lambda first, second: first - second,
            "PyTorch does not subtract bools: .float() first.",
        ),
        (
            lambda first, second: tuple(100 * x for x in paired(first, second)),
            "Shares, not percent.",
        ),
    ],
    look="Look at “With or without layers?”.",
)

Challenge(
    "08.fewest",
    cost="share of the MACs",
    quality="validation accuracy",
    least=0.9,
    target=0.125,
)
