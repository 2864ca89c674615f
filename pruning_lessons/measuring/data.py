"""The intents: what people say to a voice assistant at home, in 22 languages, and mean by it."""

import csv
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from ..models.checkpoints import label_names
from ..models.files import ASSETS

FOLDER = ASSETS / "data"
SPLITS = ("train", "validation", "test", "zero_shot", "handwritten")


@dataclass
class Intents:
    """Sentences with their labels (places in `label_names`) and languages, in the same order."""

    sentences: list[str]
    labels: list[int]
    languages: list[str]
    label_names: list[str]

    def __len__(self) -> int:
        return len(self.sentences)

    def batches(self, tokenizer, batch_size: int = 32) -> Iterator[dict[str, torch.Tensor]]:
        """Batches in order: input_ids and attention_mask (batch, T), labels (batch,); T is the
        longest in the batch.
        """
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            encoded = tokenizer(
                self.sentences[part], padding=True, truncation=True, return_tensors="pt"
            )
            yield {
                "input_ids": encoded["input_ids"],
                "attention_mask": encoded["attention_mask"],
                "labels": torch.tensor(self.labels[part]),
            }

    def subset(self, places: list[int]) -> "Intents":
        """The sentences at these places, in the order given."""
        pick = lambda values: [values[i] for i in places]
        return Intents(
            pick(self.sentences), pick(self.labels), pick(self.languages), self.label_names
        )

    def by_length(self) -> "Intents":
        """Short sentences first, so that little of a batch is padding."""
        return self.subset(sorted(range(len(self)), key=lambda i: len(self.sentences[i])))


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
) -> Intents:
    """The sentences of one split: train, validation, test, zero_shot (languages never trained on)
    or handwritten.

    languages: only these, e.g. `["en", "de"]`. limit: at most so many, drawn at random with `seed`.
    Raises `ValueError` for an unknown split or language.
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
    if limit is not None and limit < len(rows):
        rows = random.Random(seed).sample(rows, limit)
    return Intents(
        [r["text"] for r in rows],
        [label_names().index(r["intent"]) for r in rows],
        [r["language"] for r in rows],
        label_names(),
    )


def read_csv(
    file: str | Path,
    text: str = "text",
    label: str = "label",
    language: str | None = None,
    label_names: list[str] | None = None,
) -> Intents:
    """Sentences and labels of your own, from a CSV file in UTF-8 with a header line.

    text, label, language: names of columns; without a language all count as one. label_names: the
    labels in the order of the model's outputs (`model.config.id2label`); left out, the labels of
    the file in alphabetical order. Raises `ValueError` if a column is missing, a line has no text,
    or a label is not among the names.
    """
    with open(file, encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = list(rows[0]) if rows else []
    for argument, column in (("text", text), ("label", label), ("language", language)):
        if column is not None and column not in columns:
            raise ValueError(
                f"{argument}: there is no column {column!r} in {str(file)!r}, which has {columns}"
            )
    names = label_names if label_names is not None else sorted({row[label] for row in rows})
    for number, row in enumerate(rows, start=2):
        if not (row[text] or "").strip():
            raise ValueError(f"file: line {number} of {str(file)!r} has no text")
        if row[label] not in names:
            raise ValueError(
                f"label_names: line {number} of {str(file)!r} has {row[label]!r}, must be one "
                f"of {names}"
            )
    return Intents(
        [row[text] for row in rows],
        [names.index(row[label]) for row in rows],
        [row[language] if language else "all" for row in rows],
        list(names),
    )
