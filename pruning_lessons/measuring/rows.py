"""Rows in memory: lists of dicts, and data sets that give dicts by number."""

from collections.abc import Mapping
from numbers import Integral, Real

from ..models.tasks import IGNORED
from .reading import _report, kind_of, sorted_names
from .texts import (
    Data,
    Questions,
    Tagged,
    Texts,
    _plain,
    _short,
    _some,
    are_generic,
    in_order_of,
    misplaced_answer,
    names_of,
)

# What rows may be called, the first that is there counts.
PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("query", "document"),
    ("query", "passage"),
    ("text", "text_pair"),
    ("text", "pair"),
)
SINGLE = ("text", "sentence")
WORDS = ("tokens", "words")
LABELS = ("label", "labels", "score")
TAGS = ("ner_tags", "tags", "labels", "pos_tags")
LANGUAGES = ("language", "lang")
COMBINATIONS = "; ".join(
    [
        " or ".join(SINGLE),
        ", ".join(" + ".join(pair) for pair in PAIRS) + f" (with {', '.join(LABELS)} or none)",
        f"{' or '.join(WORDS)} (with {', '.join(TAGS)} or none)",
        "question + context (with answers or none)",
        f"and {' or '.join(LANGUAGES)} with any of them",
    ]
)


def as_data(rows, model=None, skip_bad: bool = False):
    """Data from rows in memory: a list of dicts, or what gives dicts by number, as a Hugging Face
    `Dataset` does. What `read_csv` and the like gave is returned as it is.

    The keys tell what the rows are: `text` or `sentence`; two texts under `sentence1` and
    `sentence2`, `premise` and `hypothesis`, `question1` and `question2`, `question` and `sentence`,
    `query` and `document` or `passage`, `text` and `text_pair` or `pair`; with a `label`, `labels`
    or `score`. `tokens` or `words` with `ner_tags`, `tags`, `labels` or `pos_tags`. `question` and
    `context` with `answers` (`{"text": [...], "answer_start": [...]}`). `language` or `lang` with
    any of them. Other keys are left alone.

    Labels may be names, which become places in the model's names (without a model, in the order of
    `read_csv`); whole numbers, which stay; decimal numbers (scores); or lists, of names, of
    numbers of classes, or of 0 and 1 for every class. A data set that names its classes has them
    put in the model's order. Labels that are all None, or all -1, as in test sets, are none.

    Raises `ValueError` that lists the bad rows with their numbers, from 0, and reasons;
    `skip_bad=True` warns instead and goes on without them.
    """
    if isinstance(rows, Data) or hasattr(rows, "batches"):
        return rows
    rows, features = _dicts(rows)
    make, columns = _form(rows[0])
    return _Rows(rows, features, columns, model, skip_bad).read(make)


def _dicts(rows) -> tuple[list, Mapping]:
    """The rows as a list, and what a Hugging Face `Dataset` says of its columns."""
    if isinstance(rows, Mapping):
        some = _some(list(rows))
        raise ValueError(
            f"rows: is one dict with {some}, must be a list of rows: take one of these"
        )
    if hasattr(rows, "iterrows"):
        raise ValueError("rows: is a table, must be a list of dicts: .to_dict('records') gives one")
    if isinstance(rows, (str, bytes)) or not (
        hasattr(rows, "__len__") and hasattr(rows, "__getitem__")
    ):
        raise ValueError(
            f"rows: is a {type(rows).__name__}, must be data of this package, a list of dicts, or "
            f"a data set that gives dicts by number (list(…) makes one of what can be read once)"
        )
    if not len(rows):
        raise ValueError("rows: is empty")
    features = getattr(rows, "features", None)
    rows = [rows[i] for i in range(len(rows))]
    if not isinstance(rows[0], Mapping):
        raise ValueError(
            f"rows: has {_short(rows[0])} at 0, must be a dict with a key for each part"
        )
    return rows, features if isinstance(features, Mapping) else {}


def _form(row: Mapping) -> tuple[type, dict[str, str]]:
    """The class that rows with these keys become, and the key of each of its parts."""
    first = lambda names: next((name for name in names if name in row), None)
    columns = {"language": first(LANGUAGES)}
    if first(WORDS):
        make = Tagged
        columns |= {"words": first(WORDS), "label": first(TAGS)}
    elif "question" in row and "context" in row:
        make = Questions
        columns |= {"text": "question", "pair": "context", "answers": first(["answers"])}
    else:
        make = Texts
        pair = next((pair for pair in PAIRS if all(key in row for key in pair)), (None, None))
        columns |= {"text": pair[0] or first(SINGLE), "pair": pair[1], "label": first(LABELS)}
    if columns.get("text", columns.get("words")) is None:
        raise ValueError(f"rows: have the keys {_some(list(row))}, must have {COMBINATIONS}")
    return make, {part: key for part, key in columns.items() if key is not None}


class _Rows:
    """Rows with known keys on their way to data: what is bad is noted, and reported once."""

    def __init__(self, rows: list, features: Mapping, columns: dict, model, skip_bad: bool):
        self.rows, self.features, self.columns = rows, features, columns
        self.kind = None if model is None else kind_of(model)
        self.model = (
            model if self.kind in ("classes", "several") else None
        )  # whose labels have names
        self.skip_bad = skip_bad
        self.bad: dict[int, str] = {}
        answers = [row["answers"] for row in rows if isinstance(row, Mapping) and "answers" in row]
        if all(answer is None for answer in answers):
            self.columns.pop("answers", None)
        self.with_starts = any("answer_start" in a for a in answers if isinstance(a, Mapping))

    def read(self, make: type):
        """The data; `ValueError` if rows are bad and not to be skipped."""
        for place, row in enumerate(self.rows):
            self.note(place, self.wrong_with(row))
        labels = names = None
        if "label" in self.columns:
            read = self.tags if make is Tagged else self.labels
            labels, names = read()
        if len(self.bad) == len(self.rows):
            self.skip_bad = False
        bad, total = sorted(self.bad.items()), len(self.rows)
        _report("rows", "the list", bad, total, self.skip_bad, "row", level=4)
        good = [i for i in range(len(self.rows)) if i not in self.bad]
        take = lambda part: (
            [self.rows[i][self.columns[part]] for i in good] if part in self.columns else None
        )
        labels = None if labels is None else [labels[i] for i in good]
        if make is Tagged:
            data = Tagged([_plain(w) for w in take("words")], labels, take("language"), names)
        elif make is Questions:
            answers = take("answers")
            parts = lambda name: None if answers is None else [_plain(a[name]) for a in answers]
            starts = parts("answer_start") if self.with_starts else None
            return Questions(take("text"), take("pair"), parts("text"), starts, take("language"))
        else:
            data = Texts(take("text"), labels, take("language"), names, take("pair"))
        known = self.model is not None and data.kind in ("classes", "several", "tags")
        return in_order_of(data, names_of(self.model), "rows") if known else data

    def note(self, place: int, reason: str | None) -> None:
        if reason:
            self.bad.setdefault(place, reason)

    def wrong_with(self, row) -> str | None:
        """What is wrong with a row, but for its label; None if nothing is."""
        if not isinstance(row, Mapping):
            return f"is {_short(row)}, must be a dict"
        missing = [key for key in self.columns.values() if key not in row]
        if missing:
            return f"has no {_some(missing)}"
        for part in ("text", "pair", "language"):
            value = row[self.columns[part]] if part in self.columns else "none needed"
            if not isinstance(value, str) or not value.strip():
                return f"has {_short(value)} as {self.columns[part]}, must be a text"
        if "words" in self.columns:
            words = row[self.columns["words"]]
            if isinstance(words, str) or not hasattr(words, "__len__") or not len(words):
                return f"has {_short(words)} as {self.columns['words']}, must be a list of words"
            if not all(isinstance(word, str) for word in words):
                return f"has {_short(words)} as {self.columns['words']}, must be a list of words"
        if "answers" in self.columns:
            return self.wrong_with_answers(row["context"], row["answers"])
        return None

    def wrong_with_answers(self, context: str, answers) -> str | None:
        if not isinstance(answers, Mapping) or "text" not in answers:
            return f"has {_short(answers)} as answers, must be {{'text': […], 'answer_start': […]}}"
        texts = answers["text"]
        is_list = hasattr(texts, "__len__") and not isinstance(texts, str)
        if not is_list or not all(isinstance(text, str) for text in texts):
            return f"has {_short(texts)} as texts of answers, must be a list of texts"
        if not self.with_starts:
            return None
        starts = answers.get("answer_start")
        if not hasattr(starts, "__len__") or isinstance(starts, str):
            return f"has {_short(starts)} as starts of answers, must be a list of numbers"
        reason = misplaced_answer(context, list(texts), _plain(starts))
        return reason and f"is wrong: {reason}"

    def values(self) -> list:
        """Every row's label; None where the row is bad. All None if the labels are none at all."""
        key = self.columns["label"]
        plain = lambda value: value.tolist() if hasattr(value, "tolist") else value
        values = [None if i in self.bad else plain(row[key]) for i, row in enumerate(self.rows)]
        good = [value for i, value in enumerate(values) if i not in self.bad]
        empty = all(v is None for v in good) or all(type(v) is int and v == -1 for v in good)
        return [None] * len(values) if empty else values

    def class_names(self) -> list[str] | None:
        """The names that a Hugging Face data set gives its classes."""
        feature = self.features.get(self.columns["label"])
        while getattr(feature, "feature", None) is not None:  # a sequence of classes
            feature = feature.feature
        names = getattr(feature, "names", None)
        return None if names is None else list(names)

    def labels(self) -> tuple[list | None, list[str] | None]:
        """Labels of texts, with the names that they are places in, if these are known."""
        values, kind = self.values(), self.kind
        shapes = {str: "names", bool: "truths", Integral: "places", Real: "numbers"}
        shape_of = lambda value: next(
            (shape for type_, shape in shapes.items() if isinstance(value, type_)),
            "lists" if hasattr(value, "__len__") and not isinstance(value, Mapping) else None,
        )
        found = {shape_of(value) for value in values if value is not None}
        if not found:
            return None, None
        shape = next(shape_of(value) for value in values if value is not None)
        if found == {"places", "numbers"} or kind == "numbers" and found == {"places"}:
            shape = "numbers"
        fits = dict.fromkeys(("names", "truths", "places"), ("classes",))
        fits |= {"numbers": ("numbers",)}
        if kind is not None and kind not in fits.get(shape, ("several",)):
            raise ValueError(
                f"rows: have {_short(next(v for v in values if v is not None))} as "
                f"{self.columns['label']}, the model takes {kind!r}"
            )
        wanted = ("places", "numbers") if shape == "numbers" else (shape,)
        for place, value in enumerate(values):
            if place not in self.bad and shape_of(value) not in wanted:
                what = "no label" if value is None else f"the label {_short(value)}"
                self.note(place, f"has {what}, others have {shape}")
        if shape == "numbers":
            for place, value in enumerate(values):
                if place not in self.bad and not abs(value) < 3e38:
                    self.note(place, f"has the label {value!r}, must be finite")
            return [None if i in self.bad else float(v) for i, v in enumerate(values)], None
        if shape == "lists":
            return self.several(values)
        rows, names = self.places([[value] for value in values])
        return [row[0] for row in rows], names

    def tags(self) -> tuple[list | None, list[str] | None]:
        """Labels of words, and their names."""
        values = self.values()
        if all(value is None for value in values):
            return None, None
        rows = []
        for place, value in enumerate(values):
            count = 0 if place in self.bad else len(self.rows[place][self.columns["words"]])
            is_list = hasattr(value, "__len__") and not isinstance(value, str)
            if place not in self.bad and (not is_list or len(value) != count):
                self.note(place, f"has {_short(value)} as tags, must have one for each word")
            rows.append([] if place in self.bad else _plain(value))
        return self.places(rows, allowed=(IGNORED,))

    def several(self, values: list) -> tuple[list, list[str] | None]:
        """Rows of 0 and 1 from lists of names, of places, or of such rows."""
        rows = [[] if i in self.bad else _plain(value) for i, value in enumerate(values)]
        names, good = self.known_names(), [r for i, r in enumerate(rows) if i not in self.bad]
        width = len(names) if names else len(good[0])
        whole = all(len(row) == width and all(y in (0, 1) for y in row) for row in good)
        if whole and not any(isinstance(y, str) for row in good for y in row):
            return [[int(y) for y in row] for row in rows], names
        if names is None and not any(isinstance(y, str) for row in good for y in row):
            raise ValueError(
                f"rows: have lists of numbers of different lengths as {self.columns['label']}: "
                f"give the model, or names, so that the number of classes is known"
            )
        rows, names = self.places(rows)
        return [[int(i in row) for i in range(len(names))] for row in rows], names

    def known_names(self) -> list[str] | None:
        """The data set's names, else the model's."""
        names = self.class_names()
        return names_of(self.model) if names is None and self.model is not None else names

    def places(self, rows: list[list], allowed: tuple = ()) -> tuple[list[list], list[str] | None]:
        """Names or numbers as places in the names, which are given back; None for a bad label."""
        flat = [y for i, row in enumerate(rows) if i not in self.bad for y in row]
        text, names = any(isinstance(y, str) for y in flat), self.known_names()
        if text and names is None:
            names = sorted_names({y for y in flat if isinstance(y, str) and y.strip()})
            if self.columns.get("words") and "O" in names:
                names = ["O"] + [name for name in names if name != "O"]
        known = {name: i for i, name in enumerate(names or [])}
        if text and names and are_generic(names):
            known |= {str(i): i for i in range(len(names))}
        if text and names and not any(y in known for y in flat if isinstance(y, str)):
            raise ValueError(
                f"rows: have the labels {_some(sorted_names({str(y) for y in flat}))}, the model "
                f"has {_some(names)}: none is the same"
            )
        found = []
        for place, row in enumerate(rows):
            found.append([])
            for y in row if place not in self.bad else [None]:
                found[-1].append(self.place(place, y, text, known, names, allowed))
        return found, names

    def place(self, place: int, y, text: bool, known: dict, names: list | None, allowed: tuple):
        if place in self.bad:
            return None
        if text and isinstance(y, str) and y in known:
            return known[y]
        if not text and isinstance(y, Integral):
            if y in allowed or 0 <= y < (len(names) if names else y + 1):
                return int(y)
        must = f"one of {_some(names)}" if text else "a whole number"
        if not text and names:
            must += f" below {len(names)}"
        self.note(place, f"has the label {_short(y)}, must be {must}")
        return None
