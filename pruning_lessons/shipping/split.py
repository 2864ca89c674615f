"""Texts in three parts, none of them in two: calibration, validation, test."""

import hashlib
import random

from ..measuring.data import Questions
from ..measuring.parallel import Parallel

ENDS = {"calibration": 0.6, "validation": 0.8, "test": 1.0}  # shares of the rows
LEAST, LEAST_IN_PART = 50, 10  # different texts
MOST = (2048, 65_536)  # texts, and tokens of them, for scores and repair: memory
LOOKED_AT = 10_000  # texts that tell how long texts are


def keys_of(data) -> list[str]:
    """For each example what it shares with those that must be on the same side of a split: its
    (first) text, without regard to letter case and spaces; a question's context.
    """
    if isinstance(data, Parallel):
        texts = data.english
    else:
        texts = data.contexts if isinstance(data, Questions) else data.sentences
    return [" ".join(text.casefold().split()) for text in texts]


def in_order(keys: list[str], seed: int) -> list[str]:
    """The different keys in an order that depends on the seed and on nothing else of the file."""
    place = lambda key: hashlib.sha256(f"{seed} {key}".encode("utf-8", "surrogatepass")).digest()
    return sorted(set(keys), key=place)


def split(data, seed: int) -> dict:
    """The data as calibration (60 %), validation and test (20 % each); equal texts are in one.

    Raises `ValueError` if there are too few different texts.
    """
    keys = keys_of(data)
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    if len(places) < LEAST:
        raise ValueError(
            f"TEXTS: has {len(data)} rows with {len(places)} different texts, must have at least "
            f"{LEAST} different ones for calibration, validation and test"
        )
    found: dict[str, list[int]] = {name: [] for name in ENDS}
    done = 0
    for key in in_order(keys, seed):
        name = next(name for name, end in ENDS.items() if done < end * len(data))
        found[name] += places[key]
        done += len(places[key])
    for name, rows in found.items():
        different = len({keys[i] for i in rows})
        if different < LEAST_IN_PART:
            raise ValueError(
                f"TEXTS: its {name} part would have {different} different texts, must have at "
                f"least {LEAST_IN_PART}: some texts stand in too many rows, and equal ones stay "
                f"together"
            )
    return {name: data.subset(sorted(rows)) for name, rows in found.items()}


def tokens_of(data, tokenizer, most: int) -> list[int]:
    """Tokens of each example, special ones included, as a model that reads so many gets them."""
    batches = data.batches(tokenizer, 256, most)
    counts = [int(n) for batch in batches for n in batch["attention_mask"].sum(1)]
    each = len(counts) // len(data)  # two texts in a pair of translations
    return [sum(counts[i : i + each]) for i in range(0, len(counts), each)]


def percentile(values: list[int], share: float) -> int:
    """The smallest of the values that at least a share of them does not pass."""
    values = sorted(values)
    return values[max(0, -int(-share * len(values) // 1) - 1)]


def calibration_texts(data, tokenizer, longest: int, most: int | None, seed: int) -> tuple:
    """(the texts for scores and repair, the 95th percentile of the tokens of a text)."""
    places = random.Random(seed).sample(range(len(data)), min(len(data), LOOKED_AT))
    tokens = tokens_of(data.subset(places), tokenizer, longest)
    texts_each = 2 if isinstance(data, Parallel) else 1
    length = -(-percentile(tokens, 0.95) // texts_each)
    taken, total = 0, 0
    for count in tokens[: most or MOST[0]]:
        total += count
        if most is None and total > MOST[1] and taken >= LEAST_IN_PART:
            break
        taken += 1
    return data.subset(sorted(places[:taken])), length
