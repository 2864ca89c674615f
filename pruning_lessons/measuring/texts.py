"""Texts, tagged words and questions with their labels, and the batches that a model takes.

Shapes: B examples, T tokens of the longest of a batch, C classes.
"""

import math
import operator
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real

import torch
from torch import Tensor

from ..models import checks
from ..models.checks import arguments, seed, whole_number
from ..models.tasks import IGNORED

NO_LIMIT = 10**6  # tokenizers that know no limit say 1e30
LENGTH = 512  # tokens, where a tokenizer knows no limit: what the supported families read
LARGEST = torch.finfo(torch.float32).max
GENERIC = re.compile(r"LABEL_(\d+)")  # what transformers calls labels that have no names


class Data:
    """What all kinds of data can do. `columns` name the lists that hold one entry an example."""

    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(getattr(self, self.columns[0]))

    def subset(self, places: Sequence[int]):
        """The examples at these places, in the order given."""
        places = [operator.index(i) for i in places]
        wrong = [i for i in places if not -len(self) <= i < len(self)]
        if wrong:
            raise ValueError(f"places: has {wrong[0]}, must be below {len(self)}")
        picked = {
            name: [values[i] for i in places]
            for name in self.columns
            if (values := getattr(self, name)) is not None
        }
        return replace(self, **picked)

    def by_length(self):
        """Short examples first, so that little of a batch is padding; equals keep their order."""
        lengths = self.lengths()
        return self.subset(sorted(range(len(self)), key=lengths.__getitem__))

    def batches(
        self, tokenizer, batch_size: int = 32, max_length: int | None = None
    ) -> Iterator[dict[str, Tensor]]:
        """Batches in order: input_ids and attention_mask (B, T), token_type_ids where the tokenizer
        gives them, and labels and counts as the class says.

        max_length: at most so many tokens an example, specials included; never more than
        `tokenizer.model_max_length`. A tokenizer that knows no limit is cut at 512: a text must not
        pass the model's positions. Raises `ValueError` before the first batch.
        """
        batch_size = whole_number("batch_size", batch_size)
        limit = token_limit(tokenizer, max_length)
        self.check_tokenizer(tokenizer, limit)
        checks.tokenizer("tokenizer", tokenizer)
        parts = (slice(i, i + batch_size) for i in range(0, len(self), batch_size))
        return (self.batch(tokenizer, part, limit) for part in parts)

    def check_tokenizer(self, tokenizer, limit: int) -> None:
        """`ValueError` if the batches cannot be made with this tokenizer."""


@dataclass
class Texts(Data):
    """Texts, or pairs of texts, with their labels and languages, in the same order.

    labels: None; or places in `label_names`, whole numbers (one class each); or decimal numbers
    (scores); or rows of 0 and 1, one for each of `label_names` (several labels each). languages:
    "all" for each, if left out. pairs: the second texts. Raises `ValueError` if these do not agree.

    Batches: labels int64 (B,), float32 (B,) or float32 (B, C), where there are any. Pairs are
    joined as the tokenizer joins them.
    """

    sentences: list[str]
    labels: list[int] | list[float] | list[list[int]] | None = None
    languages: list[str] | None = None
    label_names: list[str] | None = None
    pairs: list[str] | None = None

    columns = ("sentences", "labels", "languages", "pairs")

    def __post_init__(self):
        self.sentences = _texts("sentences", self.sentences)
        self.languages = _languages(self.languages, len(self))
        self.label_names = _names(self.label_names)
        if self.pairs is not None:
            self.pairs = _as_many("pairs", _texts("pairs", self.pairs), len(self))
        if self.labels is not None:
            labels = _as_many("labels", _plain(self.labels, "labels"), len(self))
            self.labels = _checked_labels(labels, self.label_names)

    @property
    def kind(self) -> str | None:
        """What the labels are: "classes", "numbers" or "several"; None without labels."""
        kinds = {int: "classes", float: "numbers", list: "several"}
        return kinds[type(self.labels[0])] if self.labels else None

    def lengths(self) -> list[int]:
        """Characters of each example."""
        own = [len(text) for text in self.sentences]
        return own if self.pairs is None else [n + len(p) for n, p in zip(own, self.pairs)]

    def batch(self, tokenizer, part: slice, limit: int) -> dict[str, Tensor]:
        texts = [self.sentences[part]]
        if self.pairs is not None:
            texts.append(self.pairs[part])
        batch = _tensors(_encoded(tokenizer, *texts, max_length=limit))
        if self.labels is not None:
            wanted = torch.int64 if self.kind == "classes" else torch.float32
            batch["labels"] = torch.tensor(self.labels[part], dtype=wanted)
        return batch


@dataclass
class Tagged(Data):
    """Sentences as words, a label (a place in `label_names`) for every word, and languages.

    A label of -100 does not count. labels, languages and label_names may be left out.

    Batches: labels int64 (B, T), a word's at its first piece and -100 elsewhere; counts bool (B, T)
    says where these are, also without labels. Words that were cut off, or of which the tokenizer
    leaves nothing (a lone control character), do not count. Words reach a byte-level tokenizer with
    the space before them that they have in a sentence.
    """

    words: list[list[str]]
    labels: list[list[int]] | None = None
    languages: list[str] | None = None
    label_names: list[str] | None = None

    columns = ("words", "labels", "languages")

    def __post_init__(self):
        self.words = [_texts("words", words) for words in _plain(self.words)]
        self.languages = _languages(self.languages, len(self))
        self.label_names = _names(self.label_names)
        if self.labels is not None:
            rows = _as_many("labels", _plain(self.labels, "labels"), len(self))
            self.labels = [self._checked(i, _plain(row)) for i, row in enumerate(rows)]

    def _checked(self, place: int, row: list) -> list[int]:
        if len(row) != len(self.words[place]):
            raise ValueError(
                f"labels: has {len(row)} at place {place}, must have one for each of the "
                f"{len(self.words[place])} words there"
            )
        for label in row:
            if not isinstance(label, Integral) or label < 0 and label != IGNORED:
                raise ValueError(
                    f"labels: has {label!r} at place {place}, must be places in label_names or "
                    f"{IGNORED}"
                )
            _check_place(label, place, self.label_names)
        return [int(label) for label in row]

    @property
    def sentences(self) -> list[str]:
        """The words with a space between them."""
        return [" ".join(words) for words in self.words]

    @property
    def kind(self) -> str | None:
        """What the labels are: "tags"; None without labels."""
        return None if self.labels is None else "tags"

    def lengths(self) -> list[int]:
        """Characters of each example."""
        return [len(sentence) for sentence in self.sentences]

    def check_tokenizer(self, tokenizer, limit: int) -> None:
        _check_fast(tokenizer)

    def batch(self, tokenizer, part: slice, limit: int) -> dict[str, Tensor]:
        words = self.words[part]
        if _loses_spaces(tokenizer):
            words = [row[:1] + [word and " " + word for word in row[1:]] for row in words]
        encoded = _encoded(tokenizer, words, is_split_into_words=True, max_length=limit)
        batch = _tensors(encoded)
        counts = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
        labels = torch.full_like(batch["input_ids"], IGNORED)
        for row in range(len(words)):
            firsts = {}  # word: the token where it begins
            for token, word in enumerate(encoded.word_ids(row)):
                if word is not None:
                    firsts.setdefault(word, token)
            for word, token in firsts.items():
                label = None if self.labels is None else self.labels[part.start + row][word]
                counts[row, token] = label != IGNORED
                labels[row, token] = IGNORED if label is None else label
        if self.labels is not None:
            batch["labels"] = labels
        return batch | {"counts": counts}


@dataclass
class Questions(Data):
    """Questions, contexts, and the answers, which are parts of the contexts.

    answers: for every question the texts that are right, or none. starts: where each stands in the
    context, in characters; without them answers can be scored and not learned. Raises `ValueError`
    if an answer does not stand where its start says.

    Batches: counts bool (B, T), the context's tokens; labels int64 (B, 2), the first and last token
    of the first answer that lies within what was kept of the context, -100 if none does. Only
    contexts are cut, never questions.
    """

    questions: list[str]
    contexts: list[str]
    answers: list[list[str]] | None = None
    starts: list[list[int]] | None = None
    languages: list[str] | None = None

    columns = ("questions", "contexts", "answers", "starts", "languages")
    label_names = None

    def __post_init__(self):
        self.questions = _texts("questions", self.questions)
        self.contexts = _as_many("contexts", _texts("contexts", self.contexts), len(self))
        self.languages = _languages(self.languages, len(self))
        if self.answers is not None:
            rows = _as_many("answers", _plain(self.answers), len(self))
            self.answers = [_texts("answers", row) for row in rows]
        if self.starts is not None:
            if self.answers is None:
                raise ValueError("starts: are given without answers")
            self.starts = [_plain(row) for row in _as_many("starts", self.starts, len(self))]
            for place, found in enumerate(zip(self.contexts, self.answers, self.starts)):
                reason = misplaced_answer(*found)
                if reason:
                    raise ValueError(f"starts: at place {place}, {reason}")

    @property
    def sentences(self) -> list[str]:
        """Question and context of every example, with a space between them."""
        return [f"{q} {c}" for q, c in zip(self.questions, self.contexts)]

    @property
    def labels(self) -> list[list[list]] | None:
        """For every question its answers, each as [start or None, text]; None without answers."""
        if self.answers is None:
            return None
        starts = self.starts or [[None] * len(row) for row in self.answers]
        return [[list(pair) for pair in zip(s, a)] for s, a in zip(starts, self.answers)]

    @property
    def kind(self) -> str | None:
        """What the labels are: "answers"; None without any."""
        return None if self.answers is None else "answers"

    def lengths(self) -> list[int]:
        """Characters of each example."""
        return [len(q) + len(c) for q, c in zip(self.questions, self.contexts)]

    def check_tokenizer(self, tokenizer, limit: int) -> None:
        """`ValueError` if it is no fast one, or if a question leaves no place for its context."""
        _check_fast(tokenizer)
        room = limit - tokenizer.num_special_tokens_to_add(pair=True)
        found = (
            tokenizer(self.questions, add_special_tokens=False, verbose=False) if len(self) else {}
        )
        long = [i for i, ids in enumerate(found.get("input_ids", [])) if len(ids) >= room]
        if long:
            raise ValueError(
                f"questions: {len(long)} are too long, at places {_some(long)}: must have fewer "
                f"than {room} tokens, so that a part of the context is kept"
            )

    def _encoded(self, tokenizer, part: slice, limit: int):
        """Both texts as tokens, and `offset_mapping` (B, T, 2), in characters."""
        return _encoded(
            tokenizer,
            self.questions[part],
            self.contexts[part],
            truncation="only_second",
            max_length=limit,
            return_offsets_mapping=True,
        )

    def batch(self, tokenizer, part: slice, limit: int) -> dict[str, Tensor]:
        encoded = self._encoded(tokenizer, part, limit)
        batch = _tensors(encoded)
        rows = range(len(batch["input_ids"]))
        batch["counts"] = torch.tensor([[s == 1 for s in encoded.sequence_ids(r)] for r in rows])
        if self.starts is not None:
            labels = []
            for row in rows:
                place, found = part.start + row, None
                spans = _context_spans(encoded, row)
                for start, answer in zip(self.starts[place], self.answers[place]):
                    found = found or _tokens_of(answer, start, spans)
                labels.append(found or (IGNORED, IGNORED))
            batch["labels"] = torch.tensor(labels)
        return batch

    def answer_texts(
        self,
        tokenizer,
        places: Sequence[tuple[int, int]],
        batch_size: int = 32,
        max_length: int | None = None,
    ) -> list[str]:
        """The texts between tokens: for every example, in order, `places` has the first and the
        last token in the example's row of `batches(tokenizer, batch_size, max_length)`.

        Without spaces around it; empty where the two are no part of the context.
        """
        _as_many("places", places, len(self))
        limit, texts = token_limit(tokenizer, max_length), []
        self.check_tokenizer(tokenizer, limit)
        for start in range(0, len(self), batch_size):
            encoded = self._encoded(tokenizer, slice(start, start + batch_size), limit)
            for row in range(len(encoded["input_ids"])):
                spans = dict(_context_spans(encoded, row))
                first, last = (int(token) for token in places[start + row])
                inside = first <= last and first in spans and last in spans
                context = self.contexts[start + row]
                found = context[spans[first][0] : spans[last][1]] if inside else ""
                texts.append(found.strip())
        return texts


@dataclass
class Masked(Data):
    """Data whose batches hide some tokens, which are their labels: see `mask_tokens`."""

    data: Data
    share: float
    seed: int

    labels, label_names, kind = None, None, "pieces"

    def __len__(self) -> int:
        return len(self.data)

    @property
    def sentences(self) -> list[str]:
        return self.data.sentences

    @property
    def languages(self) -> list[str]:
        return self.data.languages

    def lengths(self) -> list[int]:
        """Characters of each example."""
        return self.data.lengths()

    def subset(self, places: Sequence[int]) -> "Masked":
        """The examples at these places, in the order given."""
        return replace(self, data=self.data.subset(places))

    def check_tokenizer(self, tokenizer, limit: int) -> None:
        if getattr(tokenizer, "mask_token_id", None) is None:
            raise ValueError(f"tokenizer: is a {type(tokenizer).__name__} without a mask token")
        self.data.check_tokenizer(tokenizer, limit)

    def batch(self, tokenizer, part: slice, limit: int) -> dict[str, Tensor]:
        batch = self.data.batch(tokenizer, part, limit)
        ids = batch["input_ids"]
        special = torch.isin(ids, torch.tensor(sorted(set(tokenizer.all_special_ids))))
        ordinary = batch["attention_mask"].bool() & ~special
        counts = torch.zeros_like(ordinary)
        examples = zip(*(getattr(self.data, name)[part] for name in _text_columns(self.data)))
        for row, example in enumerate(examples):
            tokens = ordinary[row].nonzero()[:, 0].tolist()
            hidden = min(len(tokens), max(1, round(self.share * len(tokens))))
            draw = random.Random(f"{self.seed} {example!r}")
            counts[row, draw.sample(tokens, hidden)] = True
        kept = {name: tensor for name, tensor in batch.items() if name not in ("labels", "counts")}
        return kept | {
            "input_ids": ids.masked_fill(counts, tokenizer.mask_token_id),
            "labels": ids.masked_fill(~counts, IGNORED),
            "counts": counts,
        }


@arguments(seed=seed)
def mask_tokens(data: Data, share: float = 0.15, seed: int = 0) -> Masked:
    """The same texts for a fill-mask model: batches hide a share of each one's tokens.

    Which tokens are hidden follows from the seed and the text alone, not from batches, order or
    neighbours. At least one token of a text is hidden if it has any; special tokens, unknown pieces
    and padding never are. What is hidden always becomes the mask token (BERT's training put another
    or the same piece in its place in two cases of ten). Labels of the data are left out.

    Batches: labels int64 (B, T), the piece that was hidden and -100 elsewhere; counts bool (B, T).
    Raises `ValueError` if the share is not above 0 and at most 1, or the data are masked already.
    """
    if not isinstance(data, Data) or isinstance(data, Masked):
        raise ValueError(f"data: is a {type(data).__name__}, must be texts that are not masked yet")
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 < share <= 1:
        raise ValueError(f"share: is {share!r}, must be above 0 and at most 1")
    return Masked(data, float(share), seed)


def token_limit(tokenizer, max_length: int | None = None) -> int:
    """The most tokens an example may have, specials included: see `Data.batches`."""
    own = getattr(tokenizer, "model_max_length", None)
    limits = [int(own)] if own is not None and own < NO_LIMIT else []
    if max_length is not None:
        limits.append(whole_number("max_length", max_length))
    limit = min(limits, default=LENGTH)
    if hasattr(tokenizer, "num_special_tokens_to_add"):
        specials = tokenizer.num_special_tokens_to_add(pair=True)
        if limit <= specials:  # the tokenizers library would not cut at all
            raise ValueError(
                f"max_length: is {limit}, must be above the {specials} special tokens of a pair"
            )
    return limit


def names_of(model) -> list[str]:
    """The labels' names in the order of the outputs, of a model, a configuration or `OnnxModel`."""
    config = getattr(model, "config", model)
    if isinstance(getattr(config, "id2label", None), dict):
        names = {int(i): str(name) for i, name in config.id2label.items()}
        return [names.get(i, f"LABEL_{i}") for i in range(len(names))]
    if getattr(model, "labels", None):
        return list(model.labels)
    raise ValueError(f"model: is a {type(model).__name__}, must be a model with names of labels")


def are_generic(names: Sequence[str]) -> bool:
    """Whether the names are LABEL_0, LABEL_1, …, which name nothing."""
    return all(name == f"LABEL_{i}" for i, name in enumerate(names))


def in_order_of(data, names: Sequence[str], name: str = "data"):
    """The data with labels in the order of `names`, a model's: compared by name, never by count.

    Data whose names are some or all of these, in whatever order, get the labels that the names say;
    others are refused. Where either side has no names (the model's are LABEL_0, …; the data's are
    left out) places and numbers are taken for what they are: only the count is compared. Raises
    `ValueError`, naming `name`, with the names that differ.
    """
    names, own = list(names), getattr(data, "label_names", None)
    if data.labels is None or data.kind not in ("classes", "several", "tags") or own == names:
        return data
    if own is None:
        _check_count(data, len(names), name)
        return replace(data, label_names=names)
    if are_generic(names) and not all(GENERIC.fullmatch(n) for n in own):
        if _whole_numbers(own) and max(map(int, own)) < len(names):
            return _moved(data, [int(n) for n in own], names)
        if len(own) != len(names):
            raise ValueError(
                f"{name}: has {len(own)} labels ({_some(own)}), the model has {len(names)} "
                f"labels without names"
            )
        return data
    unknown = [n for n in own if n not in names]
    if unknown:
        missing = [n for n in names if n not in own]
        raise ValueError(
            f"{name}: has labels that the model does not know: {_some(unknown)}; the model has "
            f"{_some(missing) if missing else 'no others'} that {name} lacks. Both must have the "
            f"same names"
        )
    return _moved(data, [names.index(n) for n in own], names)


def _moved(data, places: list[int], names: list[str]):
    """The data with label i at `places[i]` of `names`."""
    if data.kind == "classes":
        labels = [places[label] for label in data.labels]
    elif data.kind == "tags":
        move = lambda label: label if label == IGNORED else places[label]
        labels = [[move(label) for label in row] for row in data.labels]
    else:
        labels = [[0] * len(names) for _ in data.labels]
        for new, old in zip(labels, data.labels):
            for i, label in enumerate(old):
                new[places[i]] |= label
    return replace(data, labels=labels, label_names=names)


def _check_count(data, count: int, name: str) -> None:
    if data.kind == "several":
        found, fits = len(data.labels[0]), len(data.labels[0]) == count
    else:
        flat = data.labels if data.kind == "classes" else [y for row in data.labels for y in row]
        found = max(flat, default=-1) + 1
        fits = found <= count
    if not fits:
        raise ValueError(f"{name}: has {found} labels, the model has {count}")


def _whole_numbers(names: Sequence[str]) -> bool:
    return all(re.fullmatch("0|[1-9][0-9]{0,8}", name) for name in names)


def _text_columns(data: Data) -> list[str]:
    """Which columns hold an example's texts: what masking is drawn from."""
    texts = ("sentences", "pairs", "words", "questions", "contexts")
    own = [field.name for field in fields(data)]
    return [name for name in texts if name in own and getattr(data, name) is not None]


def _encoded(tokenizer, *texts, truncation=True, max_length: int, **options):
    return tokenizer(
        *texts,
        padding=True,
        truncation=truncation,
        max_length=max_length,
        return_tensors="pt",
        **options,
    )


def _tensors(encoded) -> dict[str, Tensor]:
    names = ("input_ids", "attention_mask", "token_type_ids")
    return {name: encoded[name] for name in names if name in encoded}


def _check_fast(tokenizer) -> None:
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"tokenizer: is a {type(tokenizer).__name__}, must be a fast one, which knows the "
            f"places of its pieces in the text"
        )


def _loses_spaces(tokenizer) -> bool:
    """Whether words given one by one become other pieces than the sentence: RoBERTa's tokenizer
    without `add_prefix_space`.
    """
    ids = lambda words, **how: tokenizer([words], add_special_tokens=False, **how)["input_ids"][0]
    sentence = ids("a a")
    apart, spaced = (ids(words, is_split_into_words=True) for words in (["a", "a"], ["a", " a"]))
    return apart != sentence and spaced == sentence


def _context_spans(encoded, row: int) -> list[tuple[int, tuple[int, int]]]:
    """(token, (start, end)) of every token of the context, in characters."""
    offsets = encoded["offset_mapping"][row].tolist()
    return [(t, tuple(offsets[t])) for t, s in enumerate(encoded.sequence_ids(row)) if s == 1]


def _tokens_of(answer: str, start: int, spans: list) -> tuple[int, int] | None:
    """The answer's first and last token; None unless all of it was kept.

    First is the last token that begins by the answer's start, and last the first token that ends
    by its end, as in transformers' examples: it matters where tokens share characters (the bytes of
    an emoji, `▁` before a word).
    """
    end = start + len(answer.rstrip())
    start += len(answer) - len(answer.lstrip())
    own = [(token, span) for token, span in spans if span[0] < end and span[1] > start]
    if not own or start < spans[0][1][0] or end > max(b for _, (_, b) in spans):
        return None
    firsts = [token for token, (a, _) in own if a <= start] or [own[0][0]]
    lasts = [token for token, (_, b) in own if b >= end] or [own[-1][0]]
    return firsts[-1], max(firsts[-1], lasts[0])


def misplaced_answer(context: str, answers: list[str], starts: list[int]) -> str | None:
    """What is wrong with a question's answers, in words; None if nothing is."""
    if len(answers) != len(starts):
        return f"there are {len(answers)} answers and {len(starts)} starts"
    for answer, start in zip(answers, starts):
        if isinstance(start, bool) or not isinstance(start, Integral) or start < 0:
            return f"{start!r} is no place in the context"
        found = context[start : start + len(answer)]
        if not answer.strip():
            return "an answer is empty"
        if found != answer:
            return f"the context has {_short(found)}, the answer is {_short(answer)}"
    return None


def _plain(values, name: str = "data") -> list:
    """A list of lists, arrays, tensors or tuples."""
    listed = hasattr(values, "tolist") or isinstance(values, Iterable)
    if isinstance(values, str | Mapping) or not listed:
        raise ValueError(f"{name}: has {_short(values)} where a list must be")
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _texts(name: str, values) -> list[str]:
    """A list of strings that can be written as UTF-8; `ValueError` names the place otherwise."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise ValueError(f"{name}: is {_short(values)}, must be a list of texts")
    values = list(values)
    try:
        "".join(values).encode()
    except (TypeError, UnicodeEncodeError):
        for place, text in enumerate(values):
            if not isinstance(text, str):
                raise ValueError(
                    f"{name}: has {_short(text)} at place {place}, must be a text"
                ) from None
            if any("\ud800" <= c <= "\udfff" for c in text):
                raise ValueError(
                    f"{name}: {_short(text)} at place {place} has half a character (a surrogate)"
                ) from None
    return values


def _languages(languages, count: int) -> list[str]:
    if languages is None:
        return ["all"] * count
    return _as_many("languages", _texts("languages", languages), count)


def _names(names) -> list[str] | None:
    if names is None:
        return None
    names = _texts("label_names", names)
    if not names:
        raise ValueError("label_names: is empty, must have the names of labels, or be None")
    if len(set(names)) < len(names):
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        raise ValueError(f"label_names: has {_some(twice)} twice")
    return names


def _as_many(name: str, values, count: int):
    if len(values) != count:
        raise ValueError(f"{name}: has {len(values)}, must have one for each of the {count} texts")
    return values


def _checked_labels(labels: list, names: list[str] | None) -> list:
    """Classes as int, scores as float, or rows of 0 and 1."""
    if all(isinstance(label, Integral) for label in labels):
        for place, label in enumerate(labels):
            if label < 0:
                raise ValueError(f"labels: is {label} at place {place}, must be at least 0")
            _check_place(label, place, names)
        return [int(label) for label in labels]
    if all(isinstance(label, Real) for label in labels):
        for place, label in enumerate(labels):
            if not (math.isfinite(label) and abs(label) <= LARGEST):
                raise ValueError(f"labels: is {label!r} at place {place}, must be finite")
        return [float(label) for label in labels]
    listed = lambda label: hasattr(label, "__len__") and not isinstance(label, str)
    rows = [_plain(label) if listed(label) else label for label in labels]
    for place, row in enumerate(rows):
        width = len(names or rows[0])
        if not isinstance(row, list) or len(row) != width or any(y not in (0, 1) for y in row):
            raise ValueError(
                f"labels: is {_short(row)} at place {place}, must be a row of {width} 0 and 1"
                if isinstance(rows[0], list)
                else f"labels: is {_short(row)} at place {place}, must be all whole numbers, all "
                f"decimal numbers, or all rows of 0 and 1"
            )
    return [[int(y) for y in row] for row in rows]


def _check_place(label: int, place: int, names: list[str] | None) -> None:
    if names is not None and label >= len(names):
        raise ValueError(
            f"labels: is {label} at place {place}, must be below {len(names)}, a place in "
            f"label_names"
        )


def _some(values: Sequence, most: int = 10) -> str:
    """The first of the values, and how many more there are."""
    shown = ", ".join(_short(value) for value in list(values)[:most])
    return shown if len(values) <= most else f"{shown} and {len(values) - most} more"


def _short(value, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else text[:most] + "…"
