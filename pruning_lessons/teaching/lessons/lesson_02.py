"""Exercises and challenge of lesson 02."""

import statistics

from ..challenges import Challenge
from ..exercises import Exercise


def crossover(d, heads, size, neurons):
    return 2 * d + d * neurons / (heads * size)


def compare(old, new, warm_up):
    pairs = list(zip(old[warm_up:], new[warm_up:]))
    won = sum(b < a for a, b in pairs) / len(pairs)
    return statistics.median([a / b for a, b in pairs]), won


def renumber(ids, keep, unknown):
    place = {old: i for i, old in enumerate(keep)}
    return [place.get(old, unknown) for old in ids]


Exercise(
    "02.crossover",
    crossover,
    cases=[
        ("the course's model", (384, 12, 32, 1536)),
        ("XLM-R base", (768, 12, 64, 3072)),
        ("half of the heads removed", (384, 6, 32, 1536)),
        ("no neurons left", (384, 12, 32, 0)),
        ("small numbers", (5, 1, 2, 3)),
    ],
    wrong=[
        (
            lambda d, heads, size, neurons: 3 * d + neurons,
            "This is right for a whole layer only, with heads · size = d and one d too many. "
            "Keep d, heads and size apart.",
        ),
        (
            lambda d, heads, size, neurons: 2 * d + neurons,
            "This takes heads · size to be d. In a layer with fewer heads it is less.",
        ),
        (
            lambda d, heads, size, neurons: 2 * d,
            "The feed-forward part is missing: both other terms together, not only the attention's "
            "matrices.",
        ),
        (
            lambda d, heads, size, neurons: d * neurons / (heads * size),
            "The attention's four matrices are missing: both other terms together.",
        ),
        (
            lambda d, heads, size, neurons: 4 * d + 2 * d * neurons / (heads * size),
            "This is twice the length: the middle term has a factor 2 as well, 2·T²·H·d_h.",
        ),
        (
            lambda d, heads, size, neurons: 2 * d + d * neurons / heads,
            "A head has `size` numbers, so the middle term has heads · size.",
        ),
        (
            lambda d, heads, size, neurons: 2 * d + d * neurons / size,
            "There are `heads` heads, so the middle term has heads · size.",
        ),
        (
            lambda d, heads, size, neurons: 4 * d * heads * size + 2 * d * neurons,
            "These are the MACs that grow with T, for one token. Divide them by 2·heads·size, "
            "which stands in front of T².",
        ),
        (
            lambda d, heads, size, neurons: (2 * d + d * neurons / (heads * size)) ** 0.5,
            "No root: divide T² by T first, and one T is left.",
        ),
        (
            lambda d, heads, size, neurons: round(2 * d + d * neurons / (heads * size)),
            "Do not round: return the length as it is.",
        ),
    ],
    look="Look at “Count the work yourself”.",
)

OLD = [90.0, 40.0, 10.0, 12.0, 11.0, 30.0]
NEW = [20.0, 10.0, 5.0, 16.0, 5.5, 10.0]
Exercise(
    "02.compare",
    compare,
    cases=[
        ("three turns, one slow moment", ([8.0, 40.0, 9.0], [4.0, 20.0, 12.0], 0)),
        ("one turn of warm-up", ([90.0, 10.0, 12.0], [5.0, 5.0, 3.0], 1)),
        ("two turns of warm-up", (OLD, NEW, 2)),
        ("an even number of turns", ([9.0, 2.0, 6.0, 4.0, 5.0], [1.0, 4.0, 2.0, 4.0, 4.0], 1)),
        ("one turn left", ([9.0, 5.0], [9.0, 10.0], 1)),
        ("a tie is no win", ([3.0, 8.0, 3.0], [3.0, 4.0, 3.0], 0)),
    ],
    wrong=[
        (
            lambda old, new, warm_up: (
                statistics.median(old[warm_up:]) / statistics.median(new[warm_up:]),
                compare(old, new, warm_up)[1],
            ),
            "This is the ratio of two medians. Take the ratio in each turn first, then the median "
            "of the ratios.",
        ),
        (
            lambda old, new, warm_up: compare(old, new, 0),
            "The warm-up is still among the turns: old[warm_up:].",
        ),
        (
            lambda old, new, warm_up: (
                statistics.median([b / a for a, b in zip(old[warm_up:], new[warm_up:])]),
                compare(old, new, warm_up)[1],
            ),
            "A speed-up is the old time over the new one: 2 is twice as fast.",
        ),
        (
            lambda old, new, warm_up: (
                statistics.mean([a / b for a, b in zip(old[warm_up:], new[warm_up:])]),
                compare(old, new, warm_up)[1],
            ),
            "This is the mean: one slow turn moves it. The median is in the middle.",
        ),
        (
            lambda old, new, warm_up: (
                compare(old, new, warm_up)[0],
                sum(b < a for a, b in zip(old[warm_up:], new[warm_up:])),
            ),
            "This counts the turns won. A share is between 0 and 1: divide by the number of turns.",
        ),
        (
            lambda old, new, warm_up: (
                compare(old, new, warm_up)[0],
                sum(b < a for a, b in zip(old[warm_up:], new[warm_up:])) / len(old),
            ),
            "The turns of the warm-up do not count in the share either: divide by the number of "
            "turns that are left.",
        ),
        (
            lambda old, new, warm_up: (
                compare(old, new, warm_up)[0],
                sum(b <= a for a, b in zip(old[warm_up:], new[warm_up:])) / len(old[warm_up:]),
            ),
            "A tie is no win: faster means new < old.",
        ),
        (
            lambda old, new, warm_up: (
                compare(old, new, warm_up)[0],
                sum(b > a for a, b in zip(old[warm_up:], new[warm_up:])) / len(old[warm_up:]),
            ),
            "These are the turns that the old model won. Faster means fewer milliseconds.",
        ),
        (
            lambda old, new, warm_up: compare(sorted(old), sorted(new), warm_up),
            "Sorted, the times lose their partners: the pairs are those of the same turn.",
        ),
        (
            lambda old, new, warm_up: compare(old, new, warm_up)[::-1],
            "The order is (median speed-up, share of turns won).",
        ),
        (
            lambda old, new, warm_up: compare(old, new, warm_up)[0],
            "The share of turns won is asked for as well: return two numbers.",
        ),
        (
            lambda old, new, warm_up: (
                statistics.median_low([a / b for a, b in zip(old[warm_up:], new[warm_up:])]),
                compare(old, new, warm_up)[1],
            ),
            "Of an even number of values the median is the mean of the middle two; median_low and "
            "torch.median take the lower one.",
        ),
    ],
    look="Look at “Time it right”.",
)

Exercise(
    "02.renumber",
    renumber,
    cases=[
        ("all kept", ([0, 7, 9, 2], [0, 1, 2, 3, 7, 9], 3)),
        ("a piece is gone", ([0, 8, 2], [0, 1, 2, 3, 7, 9], 3)),
        ("nothing to do", ([0, 1, 2], [0, 1, 2, 3], 3)),
        ("an empty sentence", ([], [0, 1, 2], 2)),
        ("unknown is a new id", ([0, 8, 9], [0, 2, 5, 7, 9], 2)),
    ],
    wrong=[
        (
            lambda ids, keep, unknown: [i if i in keep else unknown for i in ids],
            "These are still the old numbers: the new id is the place in keep.",
        ),
        (
            lambda ids, keep, unknown: [keep.index(i) for i in ids if i in keep],
            "A piece that is gone becomes unknown; the sentence keeps its length.",
        ),
        (
            lambda ids, keep, unknown: [keep.index(i) if i in keep else keep[unknown] for i in ids],
            "unknown is a new id already: use it as it is.",
        ),
        (
            lambda ids, keep, unknown: [keep.index(i) if i in keep else -1 for i in ids],
            "A piece that is gone becomes `unknown`, not −1.",
        ),
        (
            lambda ids, keep, unknown: [keep.index(i) if i in keep else None for i in ids],
            "A piece that is gone becomes `unknown`, not None: dict.get(i, unknown).",
        ),
        (
            lambda ids, keep, unknown: [keep[i] if i < len(keep) else unknown for i in ids],
            "keep[i] turns new ids into old ones. The other way round is asked for: the place of i "
            "in keep.",
        ),
        (
            lambda ids, keep, unknown: [
                keep.index(i) if i in keep else keep.index(unknown) for i in ids
            ],
            "unknown is a new id already, not to be looked up in keep.",
        ),
        (
            lambda ids, keep, unknown: [
                {old: new for new, old in enumerate(keep)}.get(i) or unknown for i in ids
            ],
            "The new id 0 counts as False, so `or` replaces it: use .get(i, unknown).",
        ),
        (
            lambda ids, keep, unknown: [keep.index(i) for i in ids],
            "A piece that is not in keep has no place there: it becomes unknown.",
        ),
        (
            lambda ids, keep, unknown: [keep.index(i) + 1 if i in keep else unknown for i in ids],
            "Places are counted from 0.",
        ),
    ],
    look="Look at “Prune the vocabulary”.",
)

Challenge(
    "02.vocabulary",
    cost="share of the pieces",
    quality="validation accuracy",
    least=0.9,
    target=0.095,
)
