"""Exercises of lesson 09."""

import torch

from ..challenges import Challenge
from ..exercises import Exercise


def int8(weight):
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / scale.clamp(min=1e-12)).round() * scale


def front(points):
    return sorted(
        p for p in set(points) if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)
    )


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

W = draw(3, 6) * torch.tensor([[1.0], [10.0], [0.1]])
Exercise(
    "09.int8",
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
            "Return the weights alone, without the scale.",
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
    "09.front",
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
            "A point that appears twice is listed once.",
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

Challenge(
    "09.smallest",
    cost="file, as a share of the whole model's in float32",
    quality="validation accuracy",
    least=0.92,
    target=0.105,
)
