"""Exercises of lesson 07."""

import torch

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


def int8(weight):
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / scale.clamp(min=1e-12)).round() * scale


def front(points):
    return sorted(
        p for p in set(points) if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)
    )


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


def _whole_scale(weight):
    scale = weight.abs().max() / 127
    return (weight / scale.clamp(min=1e-12)).round() * scale


def _scaled(scale_of):
    def wrong(weight):
        scale = scale_of(weight).clamp(min=1e-12)
        return (weight / scale).round() * scale

    return wrong


def _truncated(weight):
    scale = (weight.abs().amax(dim=1, keepdim=True) / 127).clamp(min=1e-12)
    return (weight / scale).trunc() * scale


def _columns(weight):
    return int8(weight.T).T


def _bits_of(weight):
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / scale.clamp(min=1e-12)).round()


def _floor(weight):
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / scale.clamp(min=1e-12)).floor() * scale


GENERATOR = torch.Generator().manual_seed(7)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
spread = lambda n: torch.rand(n, generator=GENERATOR)
Exercise(
    "07.split_budget",
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
            "The best n heads have the n largest scores: sort both in falling order first.",
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
            "This is everything; the budget is not looked at.",
        ),
    ],
    look="Look at “One budget”.",
)

W = draw(3, 6) * torch.tensor([[1.0], [10.0], [0.1]])
Exercise(
    "07.int8",
    int8,
    cases=[
        ("rows of very different size", (W,)),
        ("random", (draw(5, 8),)),
        ("a row of zeros", (torch.stack([torch.zeros(4), draw(4)]),)),
        ("one number", (torch.tensor([[-2.5]]),)),
    ],
    wrong=[
        (
            _whole_scale,
            "One scale for the whole matrix leaves few steps for rows of small numbers: one "
            "for each row (dim=1).",
        ),
        (
            _columns,
            "The scale belongs to an output, which is a row of the weight matrix, not a column.",
        ),
        (
            _bits_of,
            "These are the 8-bit numbers. Multiply by the scale again to get back to weights.",
        ),
        (_floor, "Round to the nearest step; floor is off by half a step on average."),
        (
            lambda w: (
                (w / (w.abs().amax(1, keepdim=True) / 127)).round()
                * (w.abs().amax(1, keepdim=True) / 127)
            ),
            "A row of zeros has scale 0, and 0/0 is not a number.",
        ),
        (lambda w: int8(w.abs()), "The sign is lost: the abs is for the scale alone."),
        (
            _scaled(lambda w: w.abs().amax(1, keepdim=True) / 128),
            "Divide by 127: 128 is one too many.",
        ),
        (
            _scaled(lambda w: w.amax(1, keepdim=True) / 127),
            "The largest size may be that of a negative number: abs before the maximum.",
        ),
        (
            _scaled(lambda w: (w.amax(1, keepdim=True) - w.amin(1, keepdim=True)) / 255),
            "This takes the range from the smallest to the largest. Here zero stays zero, and the "
            "largest size becomes 127.",
        ),
        (
            _scaled(lambda w: w.abs().amax(1, keepdim=True) / 127 + 1e-3),
            "What is added against 0/0 changes all scales: clamp(min=…) a tiny number.",
        ),
        (_truncated, "Round to the nearest step; cutting off goes towards zero."),
        (lambda w: w, "Nothing is rounded."),
        (
            lambda w: (int8(w), w.abs().amax(dim=1) / 127),
            "Give the weights back alone, without the scale.",
        ),
        (
            lambda w: w / (w.abs().amax(1) / 127),
            "The scales must be a column, (rows, 1): keepdim=True. Then round, and multiply.",
        ),
        (lambda w: (w * 127).round() / 127, "Each row's scale is its largest size over 127."),
    ],
    look="Look at “Eight bits”.",
)

POINTS = [(10.0, 0.97), (4.0, 0.96), (5.0, 0.95), (2.0, 0.90), (3.0, 0.80), (12.0, 0.97)]
Exercise(
    "07.front",
    front,
    cases=[
        ("six models", (POINTS,)),
        ("one model", ([(1.0, 0.5)],)),
        ("each better in one way", ([(3.0, 0.9), (1.0, 0.7), (2.0, 0.8)],)),
        ("the same twice", ([(1.0, 0.5), (1.0, 0.5), (2.0, 0.4)],)),
        ("none", ([],)),
        ("two are equally fast", ([(2.0, 0.8), (2.0, 0.9), (3.0, 0.85)],)),
    ],
    wrong=[
        (
            lambda points: sorted(set(points)),
            "These are all points. Leave out each one that another beats: not slower and not "
            "less accurate.",
        ),
        (
            lambda points: sorted(
                p
                for p in set(points)
                if any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)
            ),
            "These are the points that are beaten; return the others.",
        ),
        (
            lambda points: [max(points, key=lambda p: p[1])] if points else [],
            "The most accurate one is only one end of the front: faster ones that nothing "
            "beats belong to it.",
        ),
        (
            lambda points: sorted(
                p for p in set(points) if not any(q[0] < p[0] and q[1] > p[1] for q in points)
            ),
            "A slower one of the same accuracy is beaten, and a less accurate one of the same "
            "speed, too.",
        ),
        (lambda points: front(points)[::-1], "Fastest first."),
        (
            lambda points: sorted(
                p for p in set(points) if not any(q[0] <= p[0] and q[1] >= p[1] for q in points)
            ),
            "Each point is as good as itself, and so beats itself: leave it out, q != p.",
        ),
        (
            lambda points: sorted(
                p
                for p in points
                if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)
            ),
            "A point that stands twice is wanted once.",
        ),
        (
            lambda points: [p for p in dict.fromkeys(points) if p in front(points)],
            "These are in the order given; fastest first: sorted(…).",
        ),
        (
            lambda points: [min(points)] if points else [],
            "The fastest one is only one end of the front: more accurate ones that nothing beats "
            "belong to it.",
        ),
        (
            lambda points: sorted(
                p
                for p in set(points)
                if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points)
            ),
            "Fewer milliseconds are better: q[0] <= p[0].",
        ),
        (
            lambda points: [p[0] for p in front(points)],
            "These are the milliseconds alone; give the points, (milliseconds, accuracy).",
        ),
    ],
    look="Look at “The front”.",
)
