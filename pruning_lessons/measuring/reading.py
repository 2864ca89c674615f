"""Files of your own: CSV with one text or a pair a line, and tagged words in the CoNLL form.

Whatever is wrong with a file is said at once, line by line, before anything is made of it.
"""

import codecs
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from numbers import Integral
from pathlib import Path

from ..models.tasks import TASKS, task_named, task_of
from .texts import (
    LARGEST,
    Tagged,
    Texts,
    _names,
    _short,
    _some,
    are_generic,
    names_of,
)

SEPARATORS = (",", ";", "\t", "|")
BREAK = re.compile("\r\n|\r|\n")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
KINDS = ("classes", "numbers", "several")
LISTED = 20  # bad lines
HEAD = 200  # lines that tell the separator
BOMS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_csv(
    file: str | Path,
    text: str = "text",
    label: str | None = "label",
    language: str | None = None,
    label_names: list[str] | None = None,
    pair: str | None = None,
    kind: str | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    label_separator: str = "|",
    skip_bad: bool = False,
    model=None,
    quotes: bool = True,
) -> Texts:
    """Texts or pairs of texts of your own, with labels, from a CSV file with a header line.

    text, pair, label, language: names of columns. Without a pair there is one text a line, without
    a language all count as "all", and with `label=None` nothing is labelled.
    kind: what the labels are: "classes" (one name a line), "numbers" (scores), or "several" (names
    joined by `label_separator`; an empty field is none of them). Left out: what the model takes,
    and classes without a model.
    label_names: the names in the file, in the order of the model's outputs. Left out: the model's
    own names; without a model, the file's in alphabetical order, or by value if all are numbers.
    model: a model (or its configuration) whose labels these are. If its labels have no names but
    LABEL_0, LABEL_1, … a file may say 0, 1, …
    separator: one character; left out, the one of `, ; tab |` with which the header has the columns
    named here and most lines have as many as the header. encoding: left out, UTF-8, or UTF-16 if
    the file begins with its mark. quotes: whether `"` encloses fields; `False` takes it as it is.

    Spaces around labels, languages and column names are left out, texts stay as they are, and empty
    lines do not count. Raises `ValueError` that lists every bad line with its number and reason:
    too many or too few columns, quotes that do not close where they should, an empty text, pair,
    language or label, a label that is not among the names, a number that is none. `skip_bad=True`
    warns instead and goes on without these lines.
    """
    columns = {"text": text, "pair": pair, "label": label, "language": language}
    columns = {argument: name for argument, name in columns.items() if name is not None}
    _check_columns(columns)
    if label is None:
        kind = model = None
    else:
        kind = _kind(kind, model)
    labels = _Labels(kind, label_names, model, label_separator)
    where, content = repr(str(file)), decoded(file, encoding)
    start, separator = _excel_line(content, separator)
    if separator is None:
        separator = _separator(content, start, quotes, list(columns.values()))
    elif not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
        raise ValueError(f"separator: is {separator!r}, must be one character, e.g. ';' or '\\t'")
    header, lines = _table(where, content, start, separator, quotes, columns, labels)

    place = {argument: header.index(name) for argument, name in columns.items()}
    bad = [(line.number, line.reason) for line in lines if line.fields is None]
    good = []
    for line in lines:
        if line.fields is None:
            continue
        row = {argument: line.fields[i] for argument, i in place.items()}
        for argument in row.keys() & {"label", "language"}:
            row[argument] = row[argument].strip()
        empty = [a for a in row if not row[a].strip() and (a != "label" or kind == "classes")]
        if empty:
            named = ", ".join(_column(argument, columns) for argument in empty)
            bad.append((line.number, f"has no {named}"))
        else:
            good.append((line.number, row))
    if label is not None:
        labels.learn(where, [row["label"] for _, row in good])
        good, bad_labels = _with_labels(good, labels)
        bad += bad_labels
    _report("file", where, sorted(bad), len(lines), skip_bad, "line")
    if not good:
        raise ValueError(f"file: {where} has no lines that could be read, but {len(bad)} bad ones")
    values = lambda argument: [row[argument] for _, row in good]
    return Texts(
        values("text"),
        values("label") if label is not None else None,
        values("language") if language is not None else None,
        labels.names if label is not None else None,
        values("pair") if pair is not None else None,
    )


def read_conll(
    file: str | Path,
    word: int = 0,
    tag: int | None = -1,
    separator: str | None = None,
    label_names: list[str] | None = None,
    model=None,
    encoding: str | None = None,
    skip_bad: bool = False,
) -> Tagged:
    """Tagged words from a file with one word a line and an empty line between sentences.

    word, tag: columns, counted from 0, or from the end if below 0; `tag=None` reads words alone.
    separator: what separates columns; left out, a tab if every line has one, otherwise spaces and
    tabs. label_names, model, encoding: as in `read_csv`; without names, the tags in alphabetical
    order, "O" first. Left out are `-DOCSTART-` lines, comments (lines that begin with `#` before a
    sentence's first word and do not end in a tag), and in the CoNLL-U form words that stand for
    others (`1-2`, `8.1`).

    Raises `ValueError` that lists every bad line with its number and reason: another number of
    columns than most lines have, an empty word or tag, a tag that is not among the names.
    `skip_bad=True` warns instead and goes on without the sentences that hold these lines.
    """
    for argument, value in (("word", word), ("tag", tag)):
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if (value is not None or argument == "word") and not whole:
            raise ValueError(f"{argument}: is {value!r}, must be the number of a column")
    if separator is not None and (not isinstance(separator, str) or not separator):
        raise ValueError(f"separator: is {separator!r}, must be a text, e.g. '\\t'")
    labels = _Labels("classes" if tag is not None else None, label_names, model, outside_first=True)
    where, content = repr(str(file)), decoded(file, encoding)
    sentences = _sentences(content, separator)
    counts = Counter(
        len(fields) for rows in sentences for _, fields in rows if not fields[0].startswith("#")
    )
    counts = counts or Counter(len(fields) for rows in sentences for _, fields in rows)
    if not counts:
        raise ValueError(f"file: {where} has no words")
    usual = max(counts, key=lambda count: (counts[count], count))
    for argument, value in (("word", word), ("tag", tag)):
        if value is not None and not -usual <= value < usual:
            raise ValueError(
                f"{argument}: is {value}, {where} has {usual} column{'s' * (usual > 1)}"
            )
    if tag is not None and word % usual == tag % usual:
        raise ValueError(
            f"tag: is {tag}, the same column as word={word}; {where} has {usual}. Words alone are "
            f"read with tag=None"
        )
    sentences = _without_comments(sentences, word, tag, usual)

    bad, whole = [], []
    for rows in sentences:
        found = [(n, _conll_reason(fields, word, tag, usual)) for n, fields in rows]
        found = [(number, reason) for number, reason in found if reason]
        bad += found
        if not found:
            whole.append(rows)
    if tag is not None:
        tags = [fields[tag].strip() for rows in whole for _, fields in rows]
        labels.learn(where, tags)
        tagged = []
        for rows in whole:
            wanted = [(n, {"word": f[word], "label": f[tag].strip()}) for n, f in rows]
            good, found = _with_labels(wanted, labels)
            bad += found
            if not found:
                tagged.append([row for _, row in good])
    else:
        tagged = [[{"word": fields[word]} for _, fields in rows] for rows in whole]
    total = len(sentences)
    _report("file", where, sorted(bad), total, skip_bad, "line", total - len(tagged), "sentences")
    if not tagged:
        raise ValueError(f"file: {where} has no sentences that could be read")
    return Tagged(
        [[row["word"] for row in rows] for rows in tagged],
        [[row["label"] for row in rows] for rows in tagged] if tag is not None else None,
        None,
        labels.names if tag is not None else None,
    )


# --- labels ---


class _BadLabel(ValueError):
    """One label that cannot be read, and why."""


class _Labels:
    """What a file's labels are called, and which numbers they become.

    `names` are the data's label names at the end: the model's own if they say anything.
    """

    def __init__(self, kind, label_names, model, label_separator="|", outside_first=False):
        self.kind, self.outside_first = kind, outside_first
        if kind == "several" and (not isinstance(label_separator, str) or not label_separator):
            raise ValueError(f"label_separator: is {label_separator!r}, must be a text, e.g. '|'")
        self.label_separator = label_separator
        self.names, self.places = None, None
        if kind == "numbers" and label_names is not None:
            raise ValueError("label_names: are given, but kind='numbers' has no names")
        if kind in (None, "numbers"):
            return
        own = None if model is None else names_of(model)
        given = None if label_names is None else _names(label_names)
        if own is not None and given is not None:
            if len(own) != len(given):
                raise ValueError(
                    f"label_names: has {len(given)} names, the model has {len(own)} labels"
                )
            if set(own) == set(given) and own != given:
                raise ValueError(
                    f"label_names: is {_some(given)}, the model has them in another order: "
                    f"{_some(own)}"
                )
        self.source = "label_names" if given is not None else "model"
        in_file = given if given is not None else own
        if in_file is not None:
            self.places = {name.strip(): i for i, name in enumerate(in_file)}
            if given is None and are_generic(own):
                self.places |= {str(i): i for i in range(len(own))}
            self.names = own if own is not None and not are_generic(own) else in_file

    def parts(self, value: str) -> list[str]:
        """The names in a field: one, or several."""
        if self.kind != "several":
            return [value]
        return [part.strip() for part in value.split(self.label_separator)] if value else []

    def learn(self, where: str, values: Iterable[str]) -> None:
        """Take the names from a file's labels, or see whether any of them is known.

        Raises `ValueError` with the names on both sides if none is.
        """
        if self.kind == "numbers":
            return
        found = sorted_names({part for value in values for part in self.parts(value)} - {""})
        if self.places is None:
            if self.outside_first and "O" in found:
                found = ["O"] + [name for name in found if name != "O"]
            self.names, self.places = found, {name: i for i, name in enumerate(found)}
        elif found and not any(name in self.places for name in found):
            generic = are_generic(self.names)
            advice = "name the file's labels in the order of the model's outputs with label_names="
            raise ValueError(
                f"{self.source}: {'knows' if self.source == 'model' else 'are'} "
                f"{_some(self.names)}, and {where} has the labels {_some(found)}: none is the same"
                + (f". {advice}" if generic or self.source == "model" else "")
            )

    def known(self, value: str, values: set[str]) -> bool:
        """Whether a field reads as a label: to tell whole lines inside an open quote."""
        if self.kind == "numbers":
            return bool(NUMBER.fullmatch(value))
        known = values if self.places is None else self.places
        return bool(value) and all(part in known for part in self.parts(value))

    def read(self, value: str) -> int | float | list[int]:
        """The label that a field says; `_BadLabel` if none."""
        if self.kind == "numbers":
            return _number(value)
        wrong = [part for part in self.parts(value) if part not in self.places]
        if "" in wrong:
            raise _BadLabel(
                "has no label"
                if self.kind == "classes"
                else f"label {_short(value)} has an empty name beside a {self.label_separator!r}"
            )
        if wrong:
            raise _BadLabel(f"has the label {_some(wrong)}, must be one of {_some(self.names)}")
        places = [self.places[part] for part in self.parts(value)]
        if self.kind == "classes":
            return places[0]
        return [int(i in places) for i in range(len(self.names))]


def sorted_names(names: Iterable[str]) -> list[str]:
    """In alphabetical order, or by value if all are numbers: '10' after '2'."""
    names = sorted(names)
    if all(NUMBER.fullmatch(name) for name in names):
        names.sort(key=float)
    return names


def kind_of(model) -> str | None:
    """What a model's labels are, "classes", "numbers" or "several"; None if it does not say, or has
    none. An embedder is measured on numbers: how alike two texts are.

    model: a model, an `OnnxModel`, or a configuration, which is taken to be a classifier's.
    """
    if hasattr(model, "session"):
        task = TASKS[model.task]
    elif hasattr(model, "base_model"):
        task = task_of(model)
    elif hasattr(config := getattr(model, "config", model), "num_labels"):
        task = task_named("ForSequenceClassification", config)
    else:
        return None
    kind = next((kind for kind in (task.labels, *task.also) if kind in KINDS), None)
    return "classes" if kind is None and task.name == "tokens" else kind


def _kind(kind: str | None, model) -> str:
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind: is {kind!r}, must be one of {KINDS}")
    wanted = None if model is None else kind_of(model)
    if kind is not None and wanted is not None and kind != wanted:
        raise ValueError(f"kind: is {kind!r}, the model takes {wanted!r}")
    if hasattr(model, "base_model") and wanted is None:
        raise ValueError(
            f"model: is for {task_of(model).name!r}, which takes no labels: label=None"
        )
    several = getattr(getattr(model, "config", model), "num_labels", 1) != 1
    embeds = hasattr(model, "base_model") and task_of(model).name == "embedding"
    if wanted == "numbers" and several and not embeds:
        raise ValueError("model: gives several numbers for a text, a file has one in a line")
    return kind or wanted or "classes"


def _number(value: str) -> float:
    if not value:
        raise _BadLabel("has no number")
    if re.fullmatch(r"[+-]?[0-9]*,[0-9]+", value):
        raise _BadLabel(f"{value!r} has a decimal comma, must have a point")
    if not NUMBER.fullmatch(value):
        raise _BadLabel(f"{_short(value)} is no finite number")
    number = float(value)
    if not math.isfinite(number) or abs(number) > LARGEST:
        raise _BadLabel(f"{_short(value)} is too large a number, must be at most {LARGEST:.2g}")
    return number


def _with_labels(rows: list, labels: _Labels) -> tuple[list, list]:
    """The rows with their labels read, and (line, reason) of those that could not be."""
    good, bad = [], []
    for number, row in rows:
        try:
            good.append((number, row | {"label": labels.read(row["label"])}))
        except _BadLabel as error:
            bad.append((number, str(error)))
    return good, bad


# --- the file as text ---


def decoded(file: str | Path, encoding: str | None) -> str:
    """The text of a file; `ValueError` names the first line that cannot be read."""
    try:
        path = Path(file)
    except TypeError:
        raise ValueError(f"file: is {_short(file)}, must be a path") from None
    where = repr(str(file))
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"file: there is no file {where}") from None
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise ValueError(f"file: {where} cannot be read: {what}") from error
    named = encoding is not None
    try:
        encoding = codecs.lookup(encoding).name if named else _marked(data)
    except (LookupError, TypeError):
        raise ValueError(f"encoding: is {encoding!r}, must be one that Python knows") from None
    try:
        content = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, errors="replace")
        byte, line = data[error.start], len(BREAK.findall(before)) + 1
        if named:
            remedy = f"is no {encoding}: name another encoding"
        elif b"\0" in data:
            remedy = (
                "is no UTF-8; if the file is UTF-16, encoding='utf-16-le' or 'utf-16-be' reads it"
            )
        else:
            remedy = (
                "is no UTF-8: save the file as UTF-8, or name its encoding, e.g. encoding='cp1252'"
            )
        raise ValueError(
            f"encoding: line {line} of {where} has a byte 0x{byte:02x} that {remedy}"
        ) from error
    except (LookupError, UnicodeError) as error:  # codecs that give no text
        raise ValueError(f"encoding: {encoding!r} cannot read {where}: {error}") from error
    if "\0" in content:
        line = len(BREAK.findall(content, 0, content.index("\0"))) + 1
        raise ValueError(
            f"encoding: line {line} of {where} has a NUL byte, which is no text: if the file is in "
            f"UTF-16, name it with encoding='utf-16-le' or 'utf-16-be'"
        )
    return content.removeprefix("\ufeff")


def _marked(data: bytes) -> str:
    """The encoding that a byte order mark tells; UTF-8 without one."""
    return next((name for mark, name in BOMS if data.startswith(mark)), "utf-8")


def _report(
    argument: str,
    where: str,
    bad: list[tuple[int, str]],
    total: int,
    skip_bad: bool,
    unit: str,
    lost: int | None = None,
    units: str | None = None,
    level: int = 3,
) -> None:
    """`ValueError` with the list of what is bad; a warning if the rest is to be read all the same.

    bad: (number, reason). total: how many lines (or `units`) there were. lost: how many of them are
    left out, if not one for each that is bad. level: of the user's call above this one.
    """
    if not bad:
        return
    listed = "".join(f"\n  {unit} {number} {reason}" for number, reason in bad[:LISTED])
    if len(bad) > LISTED:
        listed += f"\n  and {len(bad) - LISTED} more"
    many = f"{len(bad)} bad {unit}{'s' * (len(bad) > 1)}"
    if not skip_bad:
        raise ValueError(f"{argument}: {where} has {many} (skip_bad=True goes on without):{listed}")
    lost, units = len(bad) if lost is None else lost, units or unit + "s"
    warnings.warn(
        f"{argument}: {where} has {many}; {lost} of {total} {units} left out:{listed}",
        stacklevel=level,
    )


# --- CSV ---


@dataclass
class _Line:
    """A row of a CSV file: it begins at character `start` in line `number`, and ends in `last`.

    fields: None if it is bad, and why. until: where the next one begins.
    """

    number: int
    last: int
    start: int
    until: int
    fields: list[str] | None
    reason: str = ""


class _OpenQuote(ValueError):
    """A quote that does not close where a field ends."""


def _rows(
    text: str, start: int, separator: str, quotes: bool, broken: frozenset[int] = frozenset()
) -> Iterator[_Line]:
    """The rows of a CSV text from character `start`, without empty lines.

    A field may stand in quotes (and then hold separators, line breaks and doubled quotes), also
    after spaces. A line whose quotes do not close where a field ends is bad, by itself: the next
    row is the next line. So are those that begin at the characters `broken`.
    """
    end = rf"(?=[{re.escape(separator)}\r\n]|\Z)"
    quoted = re.compile(rf' *"([^"\r\n]*(?:""[^"\r\n]*)*)" *{end}|"([^"]*(?:""[^"]*)*)" *{end}')
    plain = re.compile(rf"[^{re.escape(separator)}\r\n]*")
    number = len(BREAK.findall(text, 0, start)) + 1
    while start < len(text):
        found = BREAK.search(text, start)
        stop, following = found.span() if found else (len(text), len(text))
        line, last, reason = text[start:stop], number, ""
        if start in broken:
            fields, reason = None, "opens a quote that swallows whole lines below it"
        elif not quotes or '"' not in line:
            fields = line.split(separator)
        else:
            try:
                fields, after = _fields(text, start, separator, quoted, plain)
                last += len(BREAK.findall(text, start, after))
                following = after
                if text[after - 1] in "\r\n":
                    last -= 1
            except _OpenQuote as error:
                fields, reason = None, str(error)
        if line or last > number:
            yield _Line(number, last, start, following, fields, reason)
        start, number = following, last + 1


def _fields(text: str, place: int, separator: str, quoted, plain) -> tuple[list[str], int]:
    """The fields of the row that begins at a place, and where the next row begins."""
    fields = []
    while True:
        if found := quoted.match(text, place):
            inside = found[1] if found[1] is not None else found[2]
            fields.append(inside.replace('""', '"'))
        elif text.startswith('"', place):
            raise _OpenQuote(_quote_reason(text, place, len(fields) + 1))
        else:
            found = plain.match(text, place)
            fields.append(found[0])
        place = found.end()
        if not text.startswith(separator, place):
            break
        place += 1
    end = BREAK.match(text, place)
    return fields, end.end() if end else place


def _quote_reason(text: str, place: int, column: int) -> str:
    closed = re.compile(r'"[^"]*(?:""[^"]*)*"').match(text, place)
    if closed is None:
        return f"opens a quote in column {column} that never closes"
    breaks = len(BREAK.findall(text, place, closed.end()))
    if breaks:
        return (
            f"opens a quote in column {column} that closes in the middle of a field, "
            f"{breaks} line{'s' * (breaks > 1)} below"
        )
    return (
        f"has text after the closing quote in column {column} (inside quotes a quote is written "
        f"twice; quotes=False takes all quotes as they are)"
    )


def _excel_line(content: str, separator: str | None) -> tuple[int, str | None]:
    """Where the header begins, and the separator that a first line `sep=;` names, as Excel does."""
    found = re.match(r'"?sep=([^"\r\n])"?(\r\n|\r|\n)', content)
    if found is None:
        return 0, separator
    return found.end(), found[1] if separator is None else separator


def _separator(content: str, start: int, quotes: bool, wanted: list[str]) -> str:
    """The separator with which the header has most of the wanted columns, most lines have as many
    columns as the header, and the header most; the first such of `, ; tab |`.
    """

    def fits(separator: str) -> tuple[int, float, int]:
        rows = [row.fields for row in islice(_rows(content, start, separator, quotes), HEAD)]
        if not rows or rows[0] is None:
            return (0, 0.0, 0)
        header = [name.strip() for name in rows[0]]
        whole = sum(row is not None and len(row) == len(header) for row in rows)
        present = sum(name in header for name in wanted)
        return (present, whole / len(rows) if present else 0.0, len(header))

    return max(SEPARATORS, key=fits)


def _check_columns(columns: dict[str, str]) -> None:
    for argument, name in columns.items():
        if not isinstance(name, str):
            raise ValueError(f"{argument}: is {_short(name)}, must be the name of a column")
        same = [other for other in columns if columns[other] == name and other != argument]
        if same:
            raise ValueError(f"{same[0]}: is {name!r}, which is the column of {argument}, too")


def _table(
    where: str,
    content: str,
    start: int,
    separator: str,
    quotes: bool,
    columns: dict[str, str],
    labels: _Labels,
) -> tuple[list[str], list[_Line]]:
    """The header, and the lines below it, each with as many columns, or bad."""
    header = next(_rows(content, start, separator, quotes), None)
    if header is None:
        raise ValueError(f"file: {where} is empty, must have a header line and rows")
    if header.fields is None:
        raise ValueError(f"file: line {header.number} of {where}, its header, {header.reason}")
    names = [name.strip() for name in header.fields]
    for argument, name in columns.items():
        if name not in names:
            shown = f"{separator!r} separates columns" if len(names) > 1 else "one column"
            raise ValueError(
                f"{argument}: there is no column {name!r} in {where}, which has {names} ({shown})"
            )
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise ValueError(f"file: the header of {where} has columns twice: {_some(twice)}")
    broken = frozenset()
    while True:  # a line that is freed from a quote may show another one
        lines = list(_rows(content, header.until, separator, quotes, broken))
        swallowing = _swallowing(lines, content, separator, names, columns, labels)
        if not swallowing:
            break
        broken |= swallowing
    if not lines:
        raise ValueError(f"file: {where} has a header and no rows below it")
    for line in lines:
        if line.fields is not None and len(line.fields) != len(names):
            many = len(line.fields)
            line.reason = f"has {many} column{'s' * (many > 1)}, the header has {len(names)}"
            if many > len(names):
                line.reason += f" (a text with {separator!r} in it must stand in quotes)"
            line.fields = None
    return names, lines


def _swallowing(
    lines: list[_Line],
    content: str,
    separator: str,
    names: list[str],
    columns: dict[str, str],
    labels: _Labels,
) -> frozenset[int]:
    """Where rows begin whose quote was left open by mistake, so that it swallowed whole lines.

    A quote that opens in one row and happens to close at the end of a field of another is no error
    of form. It shows when the row's lines, each read by itself without regard to quotes, are whole
    rows: the first, the last and four in five have the header's number of columns, and their labels
    are labels of the file (without labels, their languages; without either, there are at least
    three lines).
    """
    argument = next((a for a in ("label", "language") if a in columns), None)
    column = None if argument is None else names.index(columns[argument])
    several = [line for line in lines if line.last > line.number]
    if not several or len(names) < 2:
        return frozenset()
    values = {
        line.fields[column].strip()
        for line in lines
        if column is not None and line.fields is not None and len(line.fields) == len(names)
    }
    if argument == "label" and labels.kind == "several":
        values = {part for value in values for part in labels.parts(value)}

    def whole(part: str) -> bool:
        fields = part.split(separator)
        if len(fields) != len(names):
            return False
        if column is None:
            return True
        value = fields[column].strip(' "')
        return labels.known(value, values) if argument == "label" else value in values

    found = set()
    for line in several:
        parts = BREAK.split(content[line.start : line.until])
        parts = [part for part in parts if part]
        rows = [whole(part) for part in parts]
        enough = len(parts) >= (2 if column is not None else 3)
        if enough and rows[0] and rows[-1] and sum(rows) >= 0.8 * len(rows):
            found.add(line.start)
    return frozenset(found)


def _column(argument: str, columns: dict[str, str]) -> str:
    """How a reason calls an empty field: by its argument, and by its column if that differs."""
    name = columns[argument]
    return argument if name == argument else f"{argument} (column {name!r})"


# --- CoNLL ---


def _sentences(content: str, separator: str | None) -> list[list[tuple[int, list[str]]]]:
    """Sentences of (line number, columns); empty lines and `-DOCSTART-` stand between them."""
    lines = BREAK.split(content)
    if separator is None:
        words = [line for line in lines if line.strip(" \t") and not line.startswith(("#", "-DOC"))]
        separator = "\t" if words and all("\t" in line for line in words) else None
    sentences = [[]]
    for number, line in enumerate(lines, start=1):
        if not line.strip(" \t") or re.match(r"-DOCSTART-(\s|$)", line):
            sentences.append([])
        elif separator is None:
            sentences[-1].append((number, re.split("[ \t]+", line.strip(" \t"))))
        else:
            sentences[-1].append((number, line.split(separator)))
    return [rows for rows in sentences if rows]


def _without_comments(sentences: list, word: int, tag: int | None, usual: int) -> list:
    """Sentences without the comments before their first words, and without words for others."""
    whole = [f for rows in sentences for _, f in rows if len(f) == usual and f[0][:1] != "#"]
    tags = {fields[tag].strip() for fields in whole} if tag is not None else set()

    def is_comment(fields: list[str]) -> bool:
        if not fields[0].startswith("#"):
            return False
        return len(fields) != usual or tag is not None and fields[tag].strip() not in tags

    kept = []
    for rows in sentences:
        first = next((i for i, (_, f) in enumerate(rows) if not is_comment(f)), len(rows))
        rows = rows[first:]
        if word % usual != 0:
            rows = [(n, f) for n, f in rows if not re.fullmatch(r"[0-9]+[-.][0-9]+", f[0])]
        if rows:
            kept.append(rows)
    return kept


def _conll_reason(fields: list[str], word: int, tag: int | None, usual: int) -> str | None:
    """What is wrong with a line; None if nothing is."""
    if len(fields) != usual:
        many = f"{len(fields)} column{'s' * (len(fields) > 1)}"
        return f"has {many}, most lines have {usual}"
    if not fields[word].strip():
        return "has no word"
    if tag is not None and not fields[tag].strip():
        return "has no tag"
    return None
