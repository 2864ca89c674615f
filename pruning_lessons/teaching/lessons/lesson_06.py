"""Exercises of lesson 06."""

import torch

from ..challenges import Challenge
from ..exercises import Exercise

Challenge(
    "06.fewest",
    cost="share of heads",
    quality="validation accuracy",
    least=0.9,
    target=0.125,
)


def head_scores(context, gradient):
    return (context * gradient).sum(dim=(1, 3)).abs().mean(dim=0)


def paired_change(before, after):
    change = after.float() - before.float()
    return [change.mean().item(), change.std().item() / len(change) ** 0.5]


def keep_with_floor(scores, k):
    return _floor(scores, k, scores.argmax(dim=1, keepdim=True), -torch.inf)


def _floor(scores, k, first, marked):
    """first: (layers, 1), the head of each layer that stays; marked: its score after that."""
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter(1, first, True)
    rest = scores.masked_fill(mask, marked).flatten()
    chosen = mask.flatten()
    chosen[rest.argsort(descending=True)[: k - len(scores)]] = True
    return chosen.view_as(scores)


def _no_floor(scores, k):
    mask = torch.zeros(scores.numel(), dtype=torch.bool)
    mask[scores.flatten().argsort(descending=True)[:k]] = True
    return mask.view_as(scores)


def _floor_on_top(scores, k):
    return keep_with_floor(scores, min(k + len(scores), scores.numel()))


def _zero_for_minus_infinity(scores, k):
    return _floor(scores, k, scores.argmax(dim=1, keepdim=True), 0)


def _worst_floor(scores, k):
    return _floor(scores, k, scores.argmin(dim=1, keepdim=True), -torch.inf)


GENERATOR = torch.Generator().manual_seed(5)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
CONTEXT = draw(4, 6, 3, 2)
Exercise(
    "06.head_scores",
    head_scores,
    cases=[
        (
            "two sentences of three tokens, two heads of size two",
            (draw(2, 3, 2, 2), draw(2, 3, 2, 2)),
        ),
        ("one sentence", (draw(1, 3, 2, 2), draw(1, 3, 2, 2))),
        ("the gradient is zero", (CONTEXT, torch.zeros(4, 6, 3, 2))),
        (
            "two sentences that pull in opposite directions",
            (torch.ones(2, 1, 1, 1), torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)),
        ),
    ],
    wrong=[
        (
            lambda c, g: (c * g).abs().sum(dim=(1, 3)).mean(dim=0),
            "The absolute value comes after the sum over tokens and the head's dimensions: the "
            "gate multiplies all of them at once.",
        ),
        (
            lambda c, g: (c * g).sum(dim=(1, 3)).mean(dim=0).abs(),
            "The absolute value comes before the mean over sentences; else sentences that pull "
            "in opposite directions cancel.",
        ),
        (
            lambda c, g: (c * g).sum(dim=(1, 3)).mean(dim=0),
            "The absolute value is missing: sentences that pull in opposite directions cancel.",
        ),
        (
            lambda c, g: (c * g).sum(dim=(1, 3)).abs().sum(dim=0),
            "This is the sum over sentences; the score is their mean.",
        ),
        (
            lambda c, g: (c * g).sum(dim=(1, 3)).square().mean(dim=0),
            "This is the square, which is fisher; taylor takes the absolute value.",
        ),
        (
            lambda c, g: g.sum(dim=(1, 3)).abs().mean(dim=0),
            "This is the gradient alone. By the chain rule the gate's derivative is context "
            "times gradient.",
        ),
        (
            lambda c, g: (c * g).sum(dim=3).mean(dim=1).abs().mean(dim=0),
            "This is the mean over tokens; the gate's derivative is their sum.",
        ),
        (
            lambda c, g: (c * g).sum(dim=3).abs().sum(dim=1).mean(dim=0),
            "The absolute value is taken for each token; first sum over tokens, too.",
        ),
        (
            lambda c, g: c.sum(dim=(1, 3)).abs().mean(dim=0),
            "This is the context alone. By the chain rule the gate's derivative is context "
            "times gradient.",
        ),
        (
            lambda c, g: (c * g).sum(dim=(1, 2)).abs().mean(dim=0),
            "This sums over heads and leaves a head's size: the dimensions are (sentences, "
            "tokens, heads, size).",
        ),
        (
            lambda c, g: (c * g).sum().abs(),
            "This is one number for all heads: sum over tokens and size alone, dim=(1, 3).",
        ),
        (
            lambda c, g: head_scores(c, g) / head_scores(c, g).norm(),
            "This is divided by the norm of the layer (as Michel et al. do after it); leave that.",
        ),
        (
            lambda c, g: c.norm(dim=(1, 3)).mul(g.norm(dim=(1, 3))).mean(dim=0),
            "A product of norms knows no direction: multiply number by number, then sum.",
        ),
    ],
    look="Look at “The chain rule scores all heads at once”.",
)

right = lambda text: torch.tensor([letter == "+" for letter in text])
mean = lambda x: x.float().mean().item()
spread = lambda x: x.float().std().item()
change = lambda before, after: after.float() - before.float()
Exercise(
    "06.paired_change",
    paired_change,
    cases=[
        ("five sentences, two are lost", (right("+++++"), right("+-++-"))),
        ("one lost, one won", (right("++-+--"), right("+-++--"))),
        ("nothing changes", (right("+-+-+"), right("+-+-+"))),
        ("three of eight are won", (right("+--+---+"), right("++++-+-+"))),
        ("all are lost but one", (right("+++++"), right("----+"))),
    ],
    wrong=[
        (
            lambda b, a: [-mean(change(b, a)), spread(change(b, a)) / len(a) ** 0.5],
            "This is before minus after. A change is after minus before: a loss is negative.",
        ),
        (
            lambda b, a: [
                mean(change(b, a)),
                ((spread(b) ** 2 + spread(a) ** 2) / len(a)) ** 0.5,
            ],
            "This would be the error if the two models had answered different sentences. They "
            "answered the same ones: subtract sentence by sentence, then take the spread.",
        ),
        (
            lambda b, a: [mean(change(b, a)), spread(change(b, a))],
            "This is the spread of single sentences. The mean of n of them is surer, by √n.",
        ),
        (
            lambda b, a: [mean(change(b, a)), spread(change(b, a)) / len(a)],
            "The error of a mean falls with √n, not with n.",
        ),
        (
            lambda b, a: [mean(change(b, a)), spread(change(b, a)) ** 2 / len(a)],
            "The root is missing: this is the square of the standard error.",
        ),
        (
            lambda b, a: [100 * v for v in paired_change(b, a)],
            "These are points. Shares lie between -1 and 1.",
        ),
        (
            lambda b, a: [
                mean(change(b, a)),
                change(b, a).std(correction=0).item() / len(a) ** 0.5,
            ],
            "This spread divides by n, as NumPy's std does; .std() of PyTorch divides by n - 1, "
            "since the mean is estimated from the same sentences.",
        ),
        (
            lambda b, a: [mean(change(b, a)), (mean(a) * (1 - mean(a)) / len(a)) ** 0.5],
            "This is the error of one accuracy. What is asked is the error of the change.",
        ),
        (
            lambda b, a: [mean(change(b, a)), (mean(change(b, a).abs()) / len(a)) ** 0.5],
            "Nearly: this takes the spread around zero. .std() takes it around the mean change.",
        ),
        (
            lambda b, a: [mean(b), mean(a)],
            "These are the two accuracies. Subtract them, and say how sure the difference is.",
        ),
        (
            lambda b, a: [mean(change(b, a).abs()), spread(change(b, a).abs()) / len(a) ** 0.5],
            "This counts answers that changed, in whichever direction. Keep the sign.",
        ),
        (
            lambda b, a: [mean(change(b, a)), spread(a) / len(a) ** 0.5],
            "This is the spread of the model after the cut alone. Take the spread of the change.",
        ),
        (
            lambda b, a: [(a - b).mean(), 0],
            "PyTorch neither subtracts True and False nor takes their mean: .float() makes 1 and 0 "
            "of them first.",
        ),
    ],
    look="Look at “The rule to beat”.",
)

Exercise(
    "06.keep_with_floor",
    keep_with_floor,
    cases=[
        ("a weak layer, keep 3", (torch.tensor([[0.9, 0.5, 0.3], [0.1, 0.11, 0.05]]), 3)),
        ("random", (draw(4, 5), 9)),
        ("only the floor", (draw(3, 4), 3)),
        ("two weak layers", (torch.tensor([[5.0, 4, 3], [1, 0.5, 0.4], [0.2, 0.1, 0.05]]), 3)),
        ("all stay", (draw(2, 3), 6)),
        ("every layer is weak somewhere", (torch.tensor([[3.0, 1], [2.5, 2.4], [0.1, 0.2]]), 4)),
    ],
    wrong=[
        (_no_floor, "A layer may come out empty here. First give each layer its best head."),
        (_floor_on_top, "The first head of each layer counts, too: k heads in all."),
        (lambda s, k: keep_with_floor(-s, k), "These are the lowest; the highest stay."),
        (
            lambda s, k: torch.zeros_like(s, dtype=torch.bool).scatter(
                1, s.argsort(dim=1, descending=True)[:, : max(1, k // len(s))], True
            ),
            "This keeps the same number in each layer. After the floor rank all other heads in "
            "one list.",
        ),
        (
            lambda s, k: torch.zeros_like(s, dtype=torch.bool).scatter(
                1, s.argmax(dim=1, keepdim=True), True
            ),
            "This is the floor alone: k minus the number of layers are still to choose.",
        ),
        (
            lambda s, k: (
                _no_floor(s, k)
                | torch.zeros_like(s, dtype=torch.bool).scatter(
                    1, s.argmax(dim=1, keepdim=True), True
                )
            ),
            "An empty layer gets its head on top of the k: more than k stay. Floor first, then "
            "the rest.",
        ),
        (
            lambda s, k: keep_with_floor(s / s.norm(dim=1, keepdim=True), k),
            "This brings the layers to one scale first. Rank the scores as they are.",
        ),
        (
            _worst_floor,
            "The floor is each layer's best head (argmax), not its worst.",
        ),
        (
            _zero_for_minus_infinity,
            "The marked heads are out of the race at minus infinity only: 0 beats a score below 0.",
        ),
        (lambda s, k: ~keep_with_floor(s, k), "True keeps. This mask is the wrong way round."),
        (
            lambda s, k: keep_with_floor(s, k).float(),
            "The right places, as numbers. Make them True and False: .bool().",
        ),
    ],
    look="Look at “Other tasks, other heads”.",
)
