"""Exercises of lesson 05."""

import torch

from ..exercises import Exercise


def head_scores(context, gradient):
    return (context * gradient).sum(dim=(1, 3)).abs().mean(dim=0)


def without_heads(weight, gone, size):
    stay = [h for h in range(weight.shape[1] // size) if h not in gone]
    return weight.unflatten(1, (-1, size))[:, stay].flatten(1)


def keep_with_floor(scores, k):
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter(
        1, scores.argmax(dim=1, keepdim=True), True
    )
    rest = scores.masked_fill(mask, -torch.inf).flatten()
    chosen = mask.flatten()
    chosen[rest.argsort(descending=True)[: k - len(scores)]] = True
    return chosen.view_as(scores)


def _no_floor(scores, k):
    mask = torch.zeros(scores.numel(), dtype=torch.bool)
    mask[scores.flatten().argsort(descending=True)[:k]] = True
    return mask.view_as(scores)


def _floor_on_top(scores, k):
    return keep_with_floor(scores, min(k + len(scores), scores.numel()))


def _swapped(weight, gone, size):
    """Heads taken as the fast axis."""
    heads = weight.shape[1] // size
    return weight.unflatten(1, (size, heads))[
        :, :, [h for h in range(heads) if h not in gone]
    ].flatten(1)


def _zeroed(weight, gone, size):
    weight = weight.unflatten(1, (-1, size))
    weight[:, gone] = 0
    return weight.flatten(1)


def _rows(weight, gone, size):
    stay = [i for i in range(weight.shape[0]) if i // size not in gone]
    return weight[stay]


def _one_by_one(weight, gone, size):
    for h in gone:
        weight = torch.cat([weight[:, : h * size], weight[:, (h + 1) * size :]], dim=1)
    return weight


def _worst_floor(scores, k):
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter(
        1, scores.argmin(dim=1, keepdim=True), True
    )
    rest = scores.masked_fill(mask, -torch.inf).flatten()
    chosen = mask.flatten()
    chosen[rest.argsort(descending=True)[: k - len(scores)]] = True
    return chosen.view_as(scores)


GENERATOR = torch.Generator().manual_seed(5)
draw = lambda *shape: torch.randn(*shape, generator=GENERATOR)
CONTEXT = draw(4, 6, 3, 2)
Exercise(
    "05.head_scores",
    head_scores,
    cases=[
        (
            "two examples of three tokens, two heads of size two",
            (draw(2, 3, 2, 2), draw(2, 3, 2, 2)),
        ),
        ("one example", (draw(1, 3, 2, 2), draw(1, 3, 2, 2))),
        ("the gradient is zero", (CONTEXT, torch.zeros(4, 6, 3, 2))),
        (
            "two examples that pull in opposite directions",
            (torch.ones(2, 1, 1, 1), torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)),
        ),
    ],
    wrong=[
        (
            lambda c, g: (c * g).abs().sum(dim=(1, 3)).mean(dim=0),
            "The absolute value comes after the sum over tokens and places of the head: the "
            "gate multiplies all of them at once.",
        ),
        (
            lambda c, g: (c * g).sum(dim=(1, 3)).mean(dim=0).abs(),
            "The absolute value comes before the mean over examples; else examples that pull "
            "in opposite directions cancel.",
        ),
        (
            lambda c, g: (c * g).sum(dim=(1, 3)).mean(dim=0),
            "The absolute value is missing: examples that pull in opposite directions cancel.",
        ),
        (
            lambda c, g: (c * g).sum(dim=(1, 3)).abs().sum(dim=0),
            "This is the sum over examples; the score is their mean.",
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
            "This sums over heads and leaves the places of a head: the dimensions are (examples, "
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
            "A product of norms knows no direction: multiply place by place, then sum.",
        ),
    ],
    look="Look at “The chain rule finds it”.",
)

MATRIX = draw(4, 6)
Exercise(
    "05.without_heads",
    without_heads,
    cases=[
        ("three heads of size two, the middle one goes", (MATRIX, [1], 2)),
        ("two of four heads", (draw(3, 8), [0, 2], 2)),
        ("nothing goes", (MATRIX, [], 3)),
        ("all but the last go", (draw(6, 6), [0], 3)),
    ],
    wrong=[
        (_zeroed, "These columns are zero, but still there and still multiplied. Leave them out."),
        (_swapped, "A head's columns are neighbours: head h owns columns h·size to (h + 1)·size."),
        (
            lambda w, gone, size: w.unflatten(1, (-1, size))[:, gone].flatten(1),
            "These are the heads that go; return those that stay.",
        ),
        (
            lambda w, gone, size: w[:, [i for i in range(w.shape[1]) if i not in gone]],
            "This removes single columns. A head owns `size` of them.",
        ),
        (_rows, "The output matrix reads heads with its columns; its rows are the hidden values."),
        (
            lambda w, gone, size: w.unflatten(1, (-1, size))[
                :, [h for h in range(w.shape[1] // size) if h not in gone]
            ],
            "The heads must be columns again, (d, heads · size): .flatten(1).",
        ),
        (
            lambda w, gone, size: without_heads(w, [h - 1 for h in gone], size),
            "Heads are counted from 0.",
        ),
        (
            _one_by_one,
            "After the first head is cut out the places of the others have moved: cut all at once.",
        ),
        (lambda w, gone, size: w, "Nothing is removed."),
        (
            lambda w, gone, size: (
                without_heads(w, gone, size).unflatten(1, (-1, size)).flip(1).flatten(1)
            ),
            "The heads that stay keep their order.",
        ),
        (
            lambda w, gone, size: without_heads(w, gone, w.shape[1] // size),
            "size is how many columns a head has, not how many heads there are.",
        ),
    ],
    look="Look at “Remove them for real”.",
)

Exercise(
    "05.keep_with_floor",
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
            "This makes the layers alike first. Rank the scores as they are.",
        ),
        (
            _worst_floor,
            "The floor is each layer's best head (argmax), not its worst.",
        ),
        (lambda s, k: ~keep_with_floor(s, k), "True keeps. This mask is the wrong way round."),
        (
            lambda s, k: keep_with_floor(s, k).float(),
            "The right places, as numbers. Make them True and False: .bool().",
        ),
    ],
    look="Look at “Remove them for real”.",
)
