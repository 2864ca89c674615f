"""Parallel sentences: English and the same in 21 other languages, to compare meanings.

They are messages of web software; where they come from, assets/parallel/README.md says.
"""

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..models.checks import arguments, one_of, seed, whole
from ..models.files import ASSETS
from .texts import Texts

FILE = ASSETS / "parallel" / "parallel.tsv"
SPLITS = ("test", "calibration", "validation")


@dataclass
class Parallel:
    """Sentences in pairs: english[i] says what foreign[i] says, in the language languages[i].

    With `similarities`, any two texts and how alike they are (the larger the more).
    """

    english: list[str]
    foreign: list[str]
    languages: list[str]
    similarities: list[float] | None = None

    def __len__(self) -> int:
        return len(self.english)

    def subset(self, places: list[int]) -> "Parallel":
        """The pairs at these places, in the order given."""
        pick = lambda values: [values[i] for i in places]
        alike = self.similarities and pick(self.similarities)
        return Parallel(pick(self.english), pick(self.foreign), pick(self.languages), alike)

    @property
    def sentences(self) -> list[str]:
        """All sentences, the English one before each foreign one."""
        return [text for pair in zip(self.english, self.foreign) for text in pair]

    @property
    def kind(self) -> str:
        return "pairs"

    @property
    def labels(self) -> list[float] | None:
        """The similarities; None where two sentences mean the same and no more is known."""
        return self.similarities

    @property
    def label_names(self) -> None:
        """None, as there are no labels."""

    def by_length(self) -> "Parallel":
        """Short pairs first, so that little of a batch is padding."""
        length = lambda i: len(self.english[i]) + len(self.foreign[i])
        return self.subset(sorted(range(len(self)), key=length))

    def batches(
        self, tokenizer, batch_size: int = 32, max_length: int | None = None
    ) -> Iterator[dict]:
        """Batches of `sentences` in order: `Texts.batches` without labels."""
        return Texts(self.sentences).batches(tokenizer, batch_size, max_length)

    def by_language(self) -> dict[str, "Parallel"]:
        """The pairs of each language, in the order in which the languages come."""
        places: dict[str, list[int]] = {}
        for i, language in enumerate(self.languages):
            places.setdefault(language, []).append(i)
        return {language: self.subset(found) for language, found in places.items()}


@lru_cache
def _rows() -> list[dict[str, str]]:
    with open(FILE, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def parallel_languages() -> list[str]:
    """The codes of the languages besides English, in alphabetical order."""
    return [column for column in _rows()[0] if column not in ("split", "source", "en")]


@arguments(split=one_of(SPLITS), limit=whole(), seed=seed)
def load_parallel(
    languages: list[str] | None = None,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
) -> Parallel:
    """The pairs of one split: test, calibration or validation; no sentence is in two of them.

    languages: only these, e.g. `["de", "th"]`, in this order; all if left out. limit: at most so
    many pairs of each language, drawn at random with `seed`; a language's draw does not depend on
    which others are asked for. Raises `ValueError` for an unknown split or language, or a limit
    that is no positive whole number.
    """
    known = parallel_languages()
    if languages is None:
        languages = known
    listed = isinstance(languages, Iterable) and not isinstance(languages, str)
    languages = list(languages) if listed else languages
    if not listed or not languages or any(name not in known for name in languages):
        raise ValueError(f"languages: is {languages!r}, must be a list of some of {known}")
    rows = [row for row in _rows() if row["split"] == split]
    pairs = Parallel([], [], [])
    for language in dict.fromkeys(languages):
        own = [row for row in rows if row[language]]
        if limit is not None and limit < len(own):
            places = random.Random(f"{seed} {language}").sample(range(len(own)), limit)
            own = [own[i] for i in sorted(places)]
        pairs.english += [row["en"] for row in own]
        pairs.foreign += [row[language] for row in own]
        pairs.languages += [language] * len(own)
    return pairs
