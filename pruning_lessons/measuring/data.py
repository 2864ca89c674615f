"""All kinds of data by one name, and the course's own: the intents, what people say to a voice
assistant at home, in 22 languages, and mean by it.
"""

import csv
import json
import random
from functools import lru_cache
from numbers import Integral

from ..models.checkpoints import label_names
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
    if split not in SPLITS:
        raise ValueError(f"split: is {split!r}, must be one of {SPLITS}")
    rows = [row for row in _rows() if row["split"] == split]
    known = list(dict.fromkeys(row["language"] for row in rows))
    if languages is not None:
        unknown = [language for language in languages if language not in known]
        if unknown or isinstance(languages, str):
            raise ValueError(
                f"languages: {languages!r} is not a list of languages of {split!r}, which are "
                f"{known}"
            )
        rows = [row for row in rows if row["language"] in languages]
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, Integral) or limit < 1:
            raise ValueError(f"limit: is {limit!r}, must be a whole number, at least 1, or None")
        if limit < len(rows):
            rows = random.Random(seed).sample(rows, limit)
    return Texts(
        [r["text"] for r in rows],
        [label_names().index(r["intent"]) for r in rows],
        [r["language"] for r in rows],
        label_names(),
    )
