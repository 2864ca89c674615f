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
            lambda pieces, d, others: pieces * d / others,
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
        (
            lambda pieces, d, others: 100 * pieces * d / (pieces * d + others),
            "This is percent. A share lies between 0 and 1.",
        ),
        (
            lambda pieces, d, others: (pieces + d) / (pieces + d + others),
            "A table of `pieces` rows and `d` columns has pieces × d numbers, not pieces + d.",
        ),
        (
            lambda pieces, d, others: pieces * d / (pieces * d * d + others),
            "The d is counted twice below the line: pieces × d + others.",
        ),
        (
            lambda pieces, d, others: pieces * d / pieces * d + others,
            "Brackets: a / b + c divides by b alone. Write a / (b + c).",
        ),
        (
            lambda pieces, d, others: pieces * d,
            "These are the embeddings' parameters; divide by all parameters.",
        ),
        (
            lambda pieces, d, others: pieces * d // (pieces * d + others),
            "// rounds down to a whole number; a share needs /.",
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
        (
            lambda times, warm_up, before_ms: fair(times, warm_up, before_ms)[::-1],
            "The order is (median, speed-up).",
        ),
        (
            lambda times, warm_up, before_ms: fair(times, warm_up, before_ms)[0],
            "The speed-up is asked, too: return both, median, speed_up.",
        ),
        (
            lambda times, warm_up, before_ms: fair(sorted(times), warm_up, before_ms),
            "Sorted first, the fastest runs are cut off as warm-up: cut first, then sort.",
        ),
        (
            lambda times, warm_up, before_ms: (
                statistics.median_low(times[warm_up:]),
                before_ms / statistics.median_low(times[warm_up:]),
            ),
            "Of an even number of times the median is the mean of the middle two; median_low and "
            "torch.median take the lower one.",
        ),
        (
            lambda times, warm_up, before_ms: fair(times, -warm_up, before_ms),
            "times[warm_up:] leaves the warm-up out; with a minus it keeps the last ones alone.",
        ),
        (
            lambda times, warm_up, before_ms: (
                fair(times, warm_up, before_ms)[0],
                before_ms - fair(times, warm_up, before_ms)[0],
            ),
            "This is the milliseconds saved; a speed-up is the old time over the new one.",
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
            "keep[i] turns new ids into old ones. The other way round is asked: the place of i in "
            "keep.",
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
