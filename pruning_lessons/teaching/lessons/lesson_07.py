"""Exercises of lesson 07."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ..challenges import Challenge
from ..exercises import Exercise

Challenge(
    "07.fewest",
    cost="share of layers kept",
    quality="validation accuracy",
    least=0.9,
    target=0.5,
)


@dataclass(frozen=True)
class Measured:
    """Scores of models by the layers that are gone, called as the lesson's `score`; shown as code
    that can be pasted.
    """

    found: dict

    def __call__(self, layers):
        return self.found[tuple(sorted(set(layers)))]

    def __repr__(self) -> str:
        return f"lambda layers: {self.found}[tuple(sorted(layers))]"


def greedy_step(gone, layers, score):
    left = [i for i in range(layers) if i not in gone]
    return max(left, key=lambda i: score([*gone, i]))


def _left(gone, layers):
    return [i for i in range(layers) if i not in gone]


def _with_the_gone(gone, layers, score):
    return max(range(layers), key=lambda i: score([*gone, i]))


def _alone(gone, layers, score):
    return max(_left(gone, layers), key=lambda i: score([i]))


def _position(gone, layers, score):
    left = _left(gone, layers)
    return left.index(greedy_step(gone, layers, score))


def _last_of_equals(gone, layers, score):
    return max(reversed(_left(gone, layers)), key=lambda i: score([*gone, i]))


def _from_zero(gone, layers, score):
    best, found = 0, None
    for i in _left(gone, layers):
        if score([*gone, i]) > best:
            best, found = score([*gone, i]), i
    return found


def _never_the_last(gone, layers, score):
    left = _left(gone, layers)
    return max(left[:-1] or left, key=lambda i: score([*gone, i]))


def _never_the_first(gone, layers, score):
    return max(_left([0, *gone], layers), key=lambda i: score([*gone, i]))


def _position_of_left(gone, layers, score):
    left = _left(gone, layers)
    return max(range(len(left)), key=lambda i: score([*gone, i]))


def evaluations(layers, drop):
    return sum(m * (m - 1) for m in range(layers, layers - drop, -1))


def block_influence(before, after, mask):
    return (1 - F.cosine_similarity(before, after, dim=-1))[mask.bool()].mean()


def distillation_loss(student, teacher, T):
    p, q = (teacher / T).softmax(-1), (student / T).log_softmax(-1)
    return T**2 * (p * (p.log() - q)).sum(-1).mean()


def _reversed(student, teacher, T):
    return distillation_loss(teacher, student, T)


def _mean_over_classes(student, teacher, T):
    return distillation_loss(student, teacher, T) / student.shape[-1]


def _summed(student, teacher, T):
    return distillation_loss(student, teacher, T) * len(student)


def _no_square(student, teacher, T):
    return distillation_loss(student, teacher, T) / T**2


def _cross_entropy(student, teacher, T):
    return -(T**2) * ((teacher / T).softmax(-1) * (student / T).log_softmax(-1)).sum(-1).mean()


def _cold(student, teacher, T):
    return T**2 * distillation_loss(student, teacher, 1.0)


def _probabilities(student, teacher, T):
    p, q = (teacher / T).softmax(-1), (student / T).softmax(-1)
    return T**2 * F.kl_div(q, p, reduction="batchmean")


def _no_log_target(student, teacher, T):
    p, q = (teacher / T).log_softmax(-1), (student / T).log_softmax(-1)
    return T**2 * F.kl_div(q, p, reduction="batchmean")


def _over_sentences(student, teacher, T):
    p, q = (teacher / T).softmax(0), (student / T).log_softmax(0)
    return T**2 * (p * (p.log() - q)).sum(-1).mean()


def _by_sentence(before, after, mask):
    influence = (1 - F.cosine_similarity(before, after, dim=-1)) * mask
    return (influence.sum(1) / mask.sum(1)).mean()


def _measured(*scores):
    """From (layers, score) in the order in which they are shown."""
    return Measured(dict(scores))


FIRST = _measured(((0,), 0.7), ((1,), 0.9), ((2,), 0.8))
SECOND = _measured(
    *(((0,), 0.7), ((1,), 0.9), ((2,), 0.8)),
    *(((0, 1), 0.6), ((0, 2), 0.4), ((1, 2), 0.5)),
)
HELPS = _measured(
    *(((0,), 0.7), ((1,), 0.6), ((2,), 0.5)),
    *(((0, 1), 0.65), ((0, 2), 0.4), ((1, 2), 0.7)),
)
LOSSES = _measured(((0,), -0.4), ((1,), -0.9), ((2,), -0.2), ((3,), -0.3))
EQUALS = _measured(((0,), 0.5), ((1,), 0.75), ((2,), 0.75))
THIRD = _measured(
    *(((0,), 0.8), ((1,), 0.9), ((2,), 0.9), ((3,), 0.7)),
    *(((0, 1), 0.5), ((0, 2), 0.6), ((1, 2), 0.7), ((1, 3), 0.6), ((2, 3), 0.5)),
    *(((0, 1, 2), 0.2), ((1, 2, 3), 0.3)),
)
Exercise(
    "07.greedy_step",
    greedy_step,
    cases=[
        ("the first step of three layers", ([], 3, FIRST)),
        ("the second step", ([1], 3, SECOND)),
        ("a removal that helps", ([1], 3, HELPS)),
        ("scores below zero", ([], 4, LOSSES)),
        ("of equal ones the first", ([], 3, EQUALS)),
        ("the third step, removed from the back", ([2, 1], 4, THIRD)),
    ],
    wrong=[
        (
            lambda gone, layers, score: min(_left(gone, layers), key=lambda i: score([*gone, i])),
            "This removes the layer that is missed most. A larger score is a better model: take "
            "the candidate whose score is largest.",
        ),
        (
            _alone,
            "Each candidate was scored with the layers that are gone already put back. A "
            "candidate lacks all of `gone`, and one layer more.",
        ),
        (
            _with_the_gone,
            "Layers that are gone already are among your candidates. Try only those that are left.",
        ),
        (
            _position,
            "This is the layer's place among those that are left. Return its number in the "
            "whole model.",
        ),
        (
            _position_of_left,
            "You count the layers that are left from 0. They keep their numbers in the whole "
            "model, and `score` wants those.",
        ),
        (
            lambda gone, layers, score: max(score([*gone, i]) for i in _left(gone, layers)),
            "This is the best score. Return the layer that leads to it.",
        ),
        (
            lambda gone, layers, score: [*gone, greedy_step(gone, layers, score)],
            "This is the whole list of removed layers. Return the new one alone.",
        ),
        (
            _from_zero,
            "Your best score starts at 0, but scores may be below zero (the lesson's are minus a "
            "loss). Start below every score, or with the first candidate.",
        ),
        (
            _last_of_equals,
            "Of two equal candidates take the first: `>` instead of `>=`.",
        ),
        (
            _never_the_last,
            "The last layer is never tried: `range(n)` ends at n − 1 already.",
        ),
        (
            _never_the_first,
            "Layer 0 is never tried.",
        ),
        (
            lambda gone, layers, score: max(_left(gone, layers), key=score),
            "`score` takes a list, `[*gone, i]`, not a single number. (`gone.append(i)` is no "
            "list: it changes `gone` and returns nothing.)",
        ),
        (
            lambda gone, layers, score: max(_left(gone, layers), key=lambda i: score(gone)),
            "You scored the model as it is. Each candidate lacks one layer more: `[*gone, i]`.",
        ),
    ],
    look="Look at “Search greedily”.",
)

GENERATOR = torch.Generator().manual_seed(6)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
Exercise(
    "07.evaluations",
    evaluations,
    cases=[
        ("six of twelve", (12, 6)),
        ("one of twelve", (12, 1)),
        ("two of three", (3, 2)),
        ("none", (12, 0)),
        ("23 of 24", (24, 23)),
    ],
    wrong=[
        (
            lambda layers, drop: sum(range(layers, layers - drop, -1)),
            "These are the models that are tried. Each of them has m − 1 layers to run.",
        ),
        (
            lambda layers, drop: sum(m * m for m in range(layers, layers - drop, -1)),
            "A candidate has one layer fewer than the model it is cut from: m − 1.",
        ),
        (
            lambda layers, drop: sum(m * (m - 1) // 2 for m in range(layers, layers - drop, -1)),
            "This is the search with shared hidden states; the plain one is asked.",
        ),
        (
            lambda layers, drop: drop * layers * (layers - 1),
            "After each step there are fewer candidates, and each has fewer layers.",
        ),
        (
            lambda layers, drop: layers * (layers - 1) if drop else 0,
            "This is the first step alone. Add up all steps.",
        ),
        (
            lambda layers, drop: sum(m * (m - 1) for m in range(layers, layers - drop - 1, -1)),
            "This is one step too many: after the last removal nothing is tried.",
        ),
        (
            lambda layers, drop: sum(m * (m + 1) for m in range(layers, layers - drop, -1)),
            "A candidate has one layer fewer than the model it is cut from, not one more: m − 1.",
        ),
        (
            lambda layers, drop: (
                layers + sum(m * (m - 1) // 2 for m in range(layers, layers - drop, -1))
            ),
            "This is the search with shared hidden states; the plain one is asked.",
        ),
        (
            lambda layers, drop: layers + evaluations(layers, drop),
            "The whole model is not run: only candidates with a layer gone.",
        ),
        (
            lambda layers, drop: sum(m * layers for m in range(layers, layers - drop, -1)),
            "Candidates get shorter: each runs m − 1 layers, not all of them.",
        ),
        (
            lambda layers, drop: sum(m * (m - 1) for m in range(drop, 0, -1)),
            "The first step has all `layers` to choose from: m runs from `layers` down.",
        ),
        (
            lambda layers, drop: math.comb(layers, drop) * (layers - drop),
            "This tries all choices of `drop` layers; the greedy search takes one at a time.",
        ),
        (
            lambda layers, drop: sum((m - 1) ** 2 for m in range(layers, layers - drop, -1)),
            "With m layers left there are m candidates.",
        ),
    ],
    look="Look at “The price”.",
)

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
BEFORE, AFTER = draw(2, 4, 3), draw(2, 4, 3)
Exercise(
    "07.block_influence",
    block_influence,
    cases=[
        ("two sentences with padding", (BEFORE, AFTER, MASK)),
        ("nothing changes", (BEFORE, BEFORE.clone(), MASK)),
        ("only the length changes", (BEFORE, 3 * BEFORE, MASK)),
        ("turned round", (BEFORE, -BEFORE, MASK)),
        ("no padding", (draw(1, 3, 2), draw(1, 3, 2), torch.ones(1, 3))),
    ],
    wrong=[
        (
            lambda b, a, m: (1 - F.cosine_similarity(b, a, dim=-1)).mean(),
            "Padding is counted, too: take real tokens only.",
        ),
        (
            lambda b, a, m: F.cosine_similarity(b, a, dim=-1)[m.bool()].mean(),
            "This is likeness. Influence is 1 minus it.",
        ),
        (
            lambda b, a, m: (b - a).norm(dim=-1)[m.bool()].mean(),
            "This is a distance. Block influence looks at the direction alone, by the cosine.",
        ),
        (
            lambda b, a, m: (1 - F.cosine_similarity(b, a, dim=1)).mean(),
            "The cosine is over the hidden values, the last dimension.",
        ),
        (
            lambda b, a, m: ((1 - F.cosine_similarity(b, a, dim=-1)) * m).mean(),
            "The padding's zeros are in the mean: divide by the number of real tokens.",
        ),
        (
            lambda b, a, m: (1 - F.cosine_similarity(b, a, dim=-1))[m.long()].mean(),
            "A mask of 0 and 1 as an index picks rows 0 and 1: .bool() first.",
        ),
        (
            _by_sentence,
            "This is the mean of the sentences' means, where a token of a short sentence counts "
            "more: one mean over all real tokens.",
        ),
        (
            lambda b, a, m: (
                1 - F.cosine_similarity(b[m.bool()].flatten(), a[m.bool()].flatten(), 0)
            ),
            "This is one cosine of everything in one row: one for each token, then the mean.",
        ),
        (
            lambda b, a, m: (1 - F.cosine_similarity(b[:, 0], a[:, 0], dim=-1)).mean(),
            "This is the first token of each sentence alone.",
        ),
        (
            lambda b, a, m: (1 - F.cosine_similarity(b, a, dim=-1).abs())[m.bool()].mean(),
            "A vector turned round has changed most: no absolute value.",
        ),
        (
            lambda b, a, m: (1 - F.cosine_similarity(b, a, dim=-1))[m.bool()].sum(),
            "This is the sum over the real tokens; their mean is asked.",
        ),
        (
            lambda b, a, m: (1 - F.cosine_similarity(b, a, dim=-1))[m.bool()],
            "This is one number for each token: the mean is missing.",
        ),
        (
            lambda b, a, m: (1 - F.cosine_similarity(b, a - b, dim=-1))[m.bool()].mean(),
            "The cosine is between what comes in and what comes out, not what the layer adds.",
        ),
    ],
    look="Look at “One forward pass”.",
)

Exercise(
    "07.distillation_loss",
    distillation_loss,
    cases=[
        ("three sentences, five labels", (draw(3, 5), 2 * draw(3, 5), 2.0)),
        ("temperature 1", (draw(4, 3), draw(4, 3), 1.0)),
        ("one sentence, hot", (draw(1, 6), draw(1, 6), 8.0)),
        ("they agree", (torch.ones(2, 3), torch.ones(2, 3), 3.0)),
        ("shifted logits are the same answer", (draw(2, 4), draw(2, 4) + 5, 2.0)),
    ],
    wrong=[
        (_reversed, "Teacher and student have changed places: p is the teacher's."),
        (
            _mean_over_classes,
            'The sum over labels, then the mean over sentences (reduction="batchmean"); this '
            "is also divided by the number of labels.",
        ),
        (_summed, "The mean over sentences is missing."),
        (_no_square, "T² is missing: without it a high temperature makes the gradients vanish."),
        (
            _cross_entropy,
            "This is the cross-entropy: subtract the teacher's own entropy, so that agreement "
            "is zero.",
        ),
        (_cold, "Divide both logits by T before the softmax."),
        (
            _probabilities,
            "F.kl_div takes logarithms first: log q, the student's log_softmax, not its softmax.",
        ),
        (
            _no_log_target,
            "Given log p as the target, F.kl_div needs log_target=True; else log p is taken for p.",
        ),
        (
            lambda s, t, T: distillation_loss(s, t, T) / T,
            "The factor is T², not T: dividing by T shrinks both logits and gradient.",
        ),
        (
            lambda s, t, T: T**2 * distillation_loss(s, t / T, 1.0),
            "Divide the student's logits by T, too.",
        ),
        (
            _over_sentences,
            "The softmax is over the labels, the last dimension.",
        ),
        (
            lambda s, t, T: -distillation_loss(s, t, T),
            "The sign: KL is the sum of p · (log p − log q), and never negative.",
        ),
        (
            lambda s, t, T: F.mse_loss(s, t),
            "This is the squared difference of the logits; KL compares probabilities.",
        ),
    ],
    look="Look at “Learn from the teacher”.",
)
