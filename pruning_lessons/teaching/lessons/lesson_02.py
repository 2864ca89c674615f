"""Exercises of lesson 02."""

import statistics

from ..exercises import Exercise


def embedding_share(pieces, d, others):
    return pieces * d / (pieces * d + others)


def fair(times, warm_up, before_ms):
    median = statistics.median(times[warm_up:])
    return median, before_ms / median


def renumber(ids, keep, unknown):
    new = {old: place for place, old in enumerate(keep)}
    return [new.get(old, unknown) for old in ids]


Exercise(
    "02.embedding_share",
    embedding_share,
    cases=[
        ("XLM-R base", (250_002, 768, 86_000_000)),
        ("nothing else", (10, 4, 0)),
        ("no vocabulary", (0, 768, 1000)),
        ("small", (100, 8, 200)),
    ],
    wrong=[
        (
            lambda pieces, d, others: pieces * d / others if others else 2.0,
            "This is the embeddings over the others; a share has all parameters below the line.",
        ),
        (
            lambda pieces, d, others: pieces / (pieces + others),
            "Each piece has a row of d numbers, not one.",
        ),
        (
            lambda pieces, d, others: others / (pieces * d + others),
            "This is the share of everything else.",
        ),
    ],
    look="Look at “Three models, one picture”.",
)

TIMES = [90.0, 40.0, 10.0, 12.0, 11.0, 30.0, 10.5]
Exercise(
    "02.fair",
    fair,
    cases=[
        ("two runs of warm-up, one slow run later", (TIMES, 2, 22.0)),
        ("no warm-up", ([4.0, 2.0, 9.0], 0, 8.0)),
        ("one time left", ([9.0, 5.0], 1, 5.0)),
        ("an even number of times", ([9.0, 1.0, 3.0, 5.0, 7.0], 1, 2.0)),
    ],
    wrong=[
        (
            lambda times, warm_up, before_ms: (
                statistics.mean(times[warm_up:]),
                before_ms / statistics.mean(times[warm_up:]),
            ),
            "This is the mean: one slow run moves it. The median is the time in the middle.",
        ),
        (
            lambda times, warm_up, before_ms: (
                statistics.median(times),
                before_ms / statistics.median(times),
            ),
            "The warm-up is still among the times.",
        ),
        (
            lambda times, warm_up, before_ms: (
                statistics.median(times[warm_up:]),
                statistics.median(times[warm_up:]) / before_ms,
            ),
            "Speed-up is the old time over the new one: 2 is twice as fast.",
        ),
        (
            lambda times, warm_up, before_ms: (
                min(times[warm_up:]),
                before_ms / min(times[warm_up:]),
            ),
            "This is the fastest run; a user meets the usual one.",
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
    ],
    look="Look at “Prune the vocabulary”.",
)
