"""Collect the parallel sentences: `python scripts/make_parallel.py`.

They are messages of web software, from the translation catalogues (.po) of the packages in
`CATALOGUES`: an English sentence with its translations by the people of that project. Which of
them are left out, `reason_to_leave_out` says. Writes `pruning_lessons/assets/parallel/`:
parallel.tsv (split, source, English and 21 languages; empty where there is no translation),
the packages' licences, and a README.md with the counts. The same packages give the same bytes.
"""

import argparse
import ast
import collections
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from sources import PACKAGES, fetch

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "pruning_lessons" / "assets" / "parallel"
CATALOGUES = ["django", "django-allauth", "django-cms", "wagtail", "django-oscar"]
LANGUAGES = "ar bg ca cs da de el es fi fr hu it nl pl pt ro ru sv th uk zh-CN".split()
LOCALES = {  # folders of a language, the first counts most; others have their code or code_COUNTRY
    "cs": ["cs", "cs_CZ"],
    "da": ["da", "da_DK"],
    "el": ["el", "el_GR"],
    "pt": ["pt", "pt_PT", "pt_BR"],
    "sv": ["sv", "sv_SE"],
    "uk": ["uk", "uk_UA"],
    "zh-CN": ["zh_Hans", "zh-Hans", "zh_CN"],
}
SCRIPTS = {
    "ar": "ARABIC",
    "bg": "CYRILLIC",
    "el": "GREEK",
    "ru": "CYRILLIC",
    "th": "THAI",
    "uk": "CYRILLIC",
    "zh-CN": "CJK",
}
SHARES = {"test": 0.50, "calibration": 0.35, "validation": 0.15}
PER_LANGUAGE = 600  # sentences a language that the choice aims at
LONGEST = 160  # characters of an English sentence
# Placeholders, markup, code, addresses: %s, {x}, <b>, a_name, a.name, &amp;, /path/, file(s).
CODE = re.compile(r"[%{}<>\[\]_`|\\#$&=@*~^]|\w\(|\(\w?\)|\w\.\w|\w/\w+/|/\w+/|://|www\.", re.I)
PERMISSIVE = {
    "BSD": "Redistribution and use in source and binary forms",
    "MIT": "Permission is hereby granted, free of charge",
}


@dataclass
class Row:
    """One English sentence and its translations, `{language: text}`, from one package."""

    source: str
    english: str
    texts: dict[str, str]


def read_po(file: Path) -> dict[str, str]:
    """English -> translation, from one catalogue.

    Left out: fuzzy and obsolete entries, plurals, entries with a context, and untranslated ones.
    """
    found = {}
    for block in re.split(r"\n\s*\n", file.read_text("utf-8-sig").replace("\r\n", "\n")):
        fields, current, fuzzy = {}, None, False
        for line in block.split("\n"):
            start = re.match(r'(msg\w+(?:\[\d\])?)\s+(".*")\s*$', line)
            if line.startswith("#"):
                fuzzy |= line.startswith("#,") and "fuzzy" in line  # "#~" is obsolete: skipped
            elif start:
                current = start[1]
                fields[current] = ast.literal_eval(start[2])
            elif line.startswith('"') and current:
                fields[current] += ast.literal_eval(line.strip())
        if not fuzzy and set(fields) == {"msgid", "msgstr"} and all(fields.values()):
            found.setdefault(tidy(fields["msgid"]), tidy(fields["msgstr"]))
    return found


def tidy(text: str) -> str:
    """The text in Unicode's composed form with single spaces, no line breaks or tabs."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def key_of(text: str) -> str:
    """Texts with the same key count as the same: case, punctuation and spacing aside."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(
        "".join(" " if unicodedata.category(c)[0] in "PSZ" else c for c in text).split()
    )


def reason_to_leave_out(english: str, text: str, language: str) -> str | None:
    """Why a pair is no use for comparing meanings; None if it is."""
    letters = [c for c in text if c.isalpha()]
    script = SCRIPTS.get(language, "LATIN")
    written = sum(unicodedata.name(c, "").startswith(script) for c in letters)
    words, others = set(key_of(english).split()), set(key_of(text).split())
    if any(unicodedata.category(c)[0] == "C" for c in english + text):
        return "control characters"
    if CODE.search(english) or CODE.search(text):
        return "placeholders, markup or code"
    if len(re.findall(r"[A-Za-z]+", english)) < 3 or len(english) > LONGEST:
        return "under three words, or over 160 characters"
    if not all(c.isascii() or c in "’‘“”…–—" for c in english):
        return "English with foreign letters"
    if key_of(english) == key_of(text) or len(words & others) > len(others) / 2:
        return "not translated"
    if written < 0.4 * len(letters) or not letters:
        return "in another script"
    if len(text) > 3 * len(english) + 10 or len(english) > 8 * len(text):
        return "lengths too unlike"
    return None


def read_package(name: str, cache: Path, dropped: collections.Counter) -> list[Row]:
    """The usable sentences of one package, in alphabetical order."""
    folder = fetch(name, cache)
    rows = {}
    for language in LANGUAGES:
        for locale in LOCALES.get(language, [language, f"{language}_{language.upper()}"]):
            for file in sorted(folder.glob(f"**/locale/{locale}/LC_MESSAGES/django.po")):
                for english, text in read_po(file).items():
                    reason = reason_to_leave_out(english, text, language)
                    if reason:
                        dropped[reason] += 1
                    else:
                        texts = rows.setdefault(english, Row(name, english, {})).texts
                        texts.setdefault(language, text)
    return [rows[english] for english in sorted(rows)]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def without_duplicates(rows: list[Row]) -> list[Row]:
    """One row for an English sentence, the one with most languages; one place for a translation.

    A translation that stands for two English sentences would make the right answer a matter of
    luck: only the first keeps it. Order: most languages first, then by hash.
    """
    rows = sorted(rows, key=lambda row: (-len(row.texts), digest(row.english), row.source))
    seen, kept = set(), []
    for row in rows:
        if ("en", key_of(row.english)) in seen:
            continue
        seen.add(("en", key_of(row.english)))
        new = {name: t for name, t in row.texts.items() if (name, key_of(t)) not in seen}
        seen |= {(name, key_of(t)) for name, t in new.items()}
        if new:
            kept.append(Row(row.source, row.english, new))
    return kept


def choose(rows: list[Row], per_language: int) -> list[Row]:
    """Rows in order, each only while one of its languages has fewer than `per_language`."""
    count, chosen = collections.Counter(), []
    for row in rows:
        if any(count[language] < per_language for language in row.texts):
            chosen.append(row)
            count.update(list(row.texts))
    return chosen


def split_of(english: str) -> str:
    """The split of a sentence, by its hash; what differs in case, marks or digits shares one."""
    at = int(digest(re.sub(r"\d", "", key_of(english)))[:8], 16) / 16**8
    for split, share in SHARES.items():
        if at < share:
            return split
        at -= share
    return "validation"


def copy_licence(name: str, cache: Path) -> tuple[str, str]:
    """Copy a package's licence to the assets; (its kind, its copyright lines).

    Raises `ValueError` if the text is none of the permissive ones.
    """
    version = PACKAGES[name][0]
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    text = (fetch(name, cache) / info / "licenses" / "LICENSE").read_text("utf-8")
    kinds = [kind for kind, words in PERMISSIVE.items() if words in " ".join(text.split())]
    if not kinds:
        raise ValueError(f"{name}: its licence is not one of {sorted(PERMISSIVE)}")
    (FOLDER / f"LICENSE.{name}").write_text(text, encoding="utf-8")
    head = re.split("Redistribution and use|Permission is hereby", text)[0]
    owners = [line.strip(" .") for line in head.splitlines() if line.startswith("Copyright")]
    return kinds[0], "; ".join(owners)


def card(rows: list[Row], dropped: collections.Counter, licences: dict) -> str:
    """The README.md of the folder."""
    count = collections.Counter()
    for row in rows:
        for language in ["en", *row.texts]:
            count[language, split_of(row.english)] += 1
    table = "\n".join(
        f"| {name} | {' | '.join(f'{count[name, s]:,}' for s in SHARES)} | "
        f"{sum(count[name, s] for s in SHARES):,} |"
        for name in ["en", *LANGUAGES]
    )
    per_source = collections.Counter(row.source for row in rows)
    packages = "\n".join(
        f"- `{name}=={PACKAGES[name][0]}`, SHA-256 `{PACKAGES[name][1]}`: {kind}, "
        f"{owners}; {per_source[name]:,} sentences"
        for name, (kind, owners) in licences.items()
    )
    left = "\n".join(f"| {reason} | {n:,} |" for reason, n in sorted(dropped.items()))
    return f"""# Parallel sentences

{len(rows):,} English sentences and their translations into {len(LANGUAGES)} languages, to measure
whether a model puts a sentence and its translation at the same place: `load_parallel()`.
One line of `parallel.tsv` is one English sentence: its split, the package it comes from, the
sentence, and a column for each language, empty where there is no translation.

Written by `scripts/make_parallel.py`.

## Where they come from

The message catalogues of these packages, translated by each project's volunteers. Changed: a
choice was made, and spaces and line breaks were made one space.

{packages}

Each licence stands beside this file as `LICENSE.` and the package's name.

## What was left out

Fuzzy, obsolete and plural entries and those with a context, at once; then, counted over all
languages:

| reason | pairs |
| --- | --- |
{left}

Sentences that differ in case, punctuation or spacing only count as one. A translation that
stands for two English sentences is kept once. Of what remained, those with most languages came
first, until each language had {PER_LANGUAGE} or no more were left.

## Splits

By the hash of the English sentence, so that every language of a sentence is in one split:

| language | {" | ".join(SHARES)} | all |
| --- | {" | ".join("---" for _ in SHARES)} | --- |
{table}

## What to know

- They are the language of forms, errors and site administration, short and often alike
  (“Choose another image”, “Choose another page”): harder to tell apart than everyday sentences,
  and no measure of other language.
- Portuguese is European where a package has it, else Brazilian.
- Nobody has read all the translations. Volunteers made them, some may be wrong, and for some
  packages a machine may have helped.
- The sentences of two languages are not the same set: compare a language with itself, before
  and after.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cache", type=Path, default=ROOT / "build", help="where downloads are kept"
    )
    args = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    dropped = collections.Counter()
    rows = [row for name in CATALOGUES for row in read_package(name, args.cache, dropped)]
    rows = choose(without_duplicates(rows), PER_LANGUAGE)
    rows.sort(key=lambda row: (list(SHARES).index(split_of(row.english)), digest(row.english)))
    lines = ["\t".join(["split", "source", "en", *LANGUAGES])]
    for row in rows:
        texts = [row.texts.get(language, "") for language in LANGUAGES]
        lines.append("\t".join([split_of(row.english), row.source, row.english, *texts]))
    (FOLDER / "parallel.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    licences = {name: copy_licence(name, args.cache) for name in CATALOGUES}
    text = card(rows, dropped, licences)
    (FOLDER / "README.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)
    print(f"{(FOLDER / 'parallel.tsv').stat().st_size / 1e6:.3f} MB")


if __name__ == "__main__":
    main()
