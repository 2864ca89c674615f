"""All kinds of data by one name, and the course's own: the intents, what people say to a voice
assistant at home, in 22 languages, and mean by it.
"""

import csv
import json
import random
from collections.abc import Iterable
from functools import lru_cache

from ..models.checkpoints import label_names
from ..models.checks import arguments, one_of, seed, whole
from ..models.files import ASSETS
from .reading import read_conll, read_csv
from .rows import as_data
from .texts import Data, Masked, Questions, Tagged, Texts, in_order_of, mask_tokens

__all__ = [
    "Data",
    "Intents",
    "Masked",
    "Questions",
    "Tagged",
    "Texts",
    "as_data",
    "in_order_of",
    "label_names",
    "load_intents",
    "mask_tokens",
    "read_conll",
    "read_csv",
]

FOLDER = ASSETS / "data"
SPLITS = ("train", "validation", "test", "zero_shot", "handwritten")

Intents = Texts


@lru_cache
def _rows() -> list[dict]:
    with open(FOLDER / "intents.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    lines = (FOLDER / "handwritten.jsonl").read_text("utf-8").splitlines()
    return rows + [json.loads(line) | {"split": "handwritten"} for line in lines if line.strip()]


@arguments(split=one_of(SPLITS), limit=whole(), seed=seed)
def load_intents(
    split: str = "train",
    languages: list[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Texts:
    """The sentences of one split: train, validation, test, zero_shot (languages never trained on)
    or handwritten.

    languages: only these, e.g. `["en", "de"]`. limit: at most so many, drawn at random with `seed`.
    Raises `ValueError` for an unknown split or language, or a limit that is no positive number.
    """
    rows = [row for row in _rows() if row["split"] == split]
    known = list(dict.fromkeys(row["language"] for row in rows))
    if languages is not None:
        listed = isinstance(languages, Iterable) and not isinstance(languages, str)
        languages = list(languages) if listed else languages
        if not listed or not languages or any(language not in known for language in languages):
            raise ValueError(
                f"languages: {languages!r} is not a list of languages of {split!r}, which are "
                f"{known}"
            )
        rows = [row for row in rows if row["language"] in languages]
    if limit is not None:
        rows = random.Random(seed).sample(rows, limit) if limit < len(rows) else rows
    return Texts(
        [r["text"] for r in rows],
        [label_names().index(r["intent"]) for r in rows],
        [r["language"] for r in rows],
        label_names(),
    )
