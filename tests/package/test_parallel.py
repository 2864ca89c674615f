"""The parallel sentences are complete and clean, and the splits keep apart."""

import re
import unicodedata

import pytest

from pruning_lessons.measuring.parallel import SPLITS, load_parallel, parallel_languages
from pruning_lessons.models.files import ASSETS

FOLDER = ASSETS / "parallel"
LINES = (FOLDER / "parallel.tsv").read_text("utf-8").removesuffix("\n").split("\n")
ROWS = [line.split("\t") for line in LINES]
LANGUAGES = "ar bg ca cs da de el es fi fr hu it nl pl pt ro ru sv th uk zh-CN".split()


def key(text):
    """A text without case, punctuation and spaces."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in text if unicodedata.category(c)[0] not in "PSZ")


def test_the_file_is_whole():
    assert ROWS[0] == ["split", "source", "en", *LANGUAGES]
    assert {len(row) for row in ROWS} == {3 + len(LANGUAGES)}
    assert {row[0] for row in ROWS[1:]} == set(SPLITS)
    assert (FOLDER / "parallel.tsv").stat().st_size <= 1e6
    for source in {row[1] for row in ROWS[1:]}:
        licence = " ".join((FOLDER / f"LICENSE.{source}").read_text("utf-8").split())
        assert "Redistribution and use" in licence or "Permission is hereby granted" in licence


def test_the_texts_are_clean():
    for row in ROWS[1:]:
        assert row[2] and any(row[3:])
        assert len(re.findall("[A-Za-z]+", row[2])) >= 3
        for text in filter(None, row[2:]):
            assert text == " ".join(unicodedata.normalize("NFC", text).split())
            assert not any(unicodedata.category(c)[0] == "C" for c in text), text
            assert not re.search(r"%[(sd]|[{}<>]|&\w+;|https?:", text), text
            assert text is row[2] or key(text) != key(row[2])


def test_no_sentence_is_in_two_splits():
    english = [key(row[2]) for row in ROWS[1:]]
    assert len(set(english)) == len(english)
    splits = {split: set(load_parallel(split=split).english) for split in SPLITS}
    assert sum(len(found) for found in splits.values()) == len(english)


def test_a_translation_stands_for_one_sentence():
    for column in range(3, len(ROWS[0])):
        texts = [key(row[column]) for row in ROWS[1:] if row[column]]
        assert len(set(texts)) == len(texts), ROWS[0][column]


@pytest.mark.parametrize("split, fewest", [("test", 200), ("calibration", 140), ("validation", 60)])
def test_every_language_has_enough(split, fewest):
    by_language = load_parallel(split=split).by_language()
    assert list(by_language) == LANGUAGES == parallel_languages()
    assert min(map(len, by_language.values())) >= fewest


def test_pairs_stay_together():
    pairs = {(row[2], row[3 + LANGUAGES.index("de")]) for row in ROWS[1:]}
    found = load_parallel(["th", "de"])
    assert list(dict.fromkeys(found.languages)) == ["th", "de"]
    german = found.by_language()["de"]
    assert set(zip(german.english, german.foreign)) <= pairs
    first = german.subset([2, 0])
    assert (first.english, len(first)) == ([german.english[2], german.english[0]], 2)


def test_a_limit_is_per_language_and_drawn_with_the_seed():
    some = load_parallel(["de", "th"], limit=20, seed=1)
    assert [len(own) for own in some.by_language().values()] == [20, 20]
    assert some == load_parallel(["de", "th"], limit=20, seed=1)
    assert some != load_parallel(["de", "th"], limit=20, seed=2)
    assert some.by_language()["th"] == load_parallel(["th"], limit=20, seed=1)
    assert load_parallel(["de"], limit=10**6) == load_parallel(["de"])


@pytest.mark.parametrize(
    "argument, value",
    [
        ("split", "train"),
        ("languages", "de"),
        ("languages", ["de", "xx"]),
        ("languages", ["en"]),
        ("languages", []),
        ("limit", 0),
        ("limit", 2.5),
        ("limit", True),
    ],
)
def test_a_wrong_argument_is_named(argument, value):
    with pytest.raises(ValueError) as error:
        load_parallel(**{argument: value})
    assert str(error.value).startswith(f"{argument}: is {value!r}, must be ")


def test_the_cached_rows_stay_as_they_are():
    load_parallel(["de"]).english.clear()
    assert load_parallel(["de"]).english
