"""How good a model's answers are, by the score of its task, over all and by language."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..models.anatomy import longest
from ..models.batches import as_batch
from ..models.state import at_rest
from ..models.tasks import TASKS, Task, check_labels, labels_of, outputs, task_of
from . import metrics
from .data import as_data, in_order_of, mask_tokens
from .parallel import Parallel
from .tables import Table

LONGEST_ANSWER = 30  # tokens of an extracted answer


@dataclass(repr=False)
class Evaluation(Table):
    """Scores by their names, the task's main one first; the main one by language; `n` examples.

    `.score` is the main one; each is an attribute, too: `.accuracy`, `.span_f1`, … All are from 0
    to 1, but Spearman's coefficient from -1.
    """

    scores: dict[str, float]
    by_language: dict[str, float]
    n: int

    @property
    def name(self) -> str:
        """The main score's name."""
        return next(iter(self.scores))

    @property
    def score(self) -> float:
        return self.scores[self.name]

    def __getattr__(self, name: str) -> float:
        scores = self.__dict__.get("scores", {})
        if name in scores:
            return scores[name]
        raise AttributeError(f"evaluation: has no {name!r}; this task has {list(scores)}")

    def rows(self):
        yield ("language", self.name)
        shown = sorted(self.by_language.items())
        yield from ((language, f"{score:.1%}") for language, score in shown)
        yield (f"all {self.n} sentences", f"{self.score:.1%}")
        yield from ((name, f"{score:.1%}") for name, score in list(self.scores.items())[1:])


def evaluate(model, tokenizer, data, batch_size: int = 64, reference=None) -> Evaluation:
    """How good the model's answers are on `data`, by its task's score.

    data: what `load_intents`, `read_csv`, `read_conll`, `load_parallel` give, a list of dicts, or a
    data set of such rows. model: a model, or an `OnnxModel`, which has a tokenizer of its own (then
    `tokenizer` is not used). reference: a model whose answers count as right, whatever labels there
    are: the agreement with it (for vectors the mean cosine). The scores: `accuracy` of classes,
    `micro_f1` of several labels, `spearman` of numbers (and `mrr`, `ndcg` where pairs compete for
    the same first text), `span_f1` and `accuracy` of tags, `f1` and `exact_match` of answers,
    `top_5` and `top_1` of masked pieces, `retrieval` of parallel sentences.

    Raises `ValueError` if data and model do not fit, or have no labels and no reference.
    """
    if reference is not None:
        _check_reference(model, reference)
    data = fitting(data, model).by_length()
    if not len(data):
        raise ValueError("data: has no sentences")
    reading = READINGS[_task(model).name]
    found, right = answers_of(model, reading, tokenizer, data, batch_size)
    if reference is not None:
        answers, _ = answers_of(reference, reading, tokenizer, data, batch_size)
        right = [reading.as_right(answer) for answer in answers]
    if _task(model).per_token and not any(map(len, found)):
        raise ValueError(
            "data: have nothing to answer: no word's label counts, or there is no piece to hide"
        )
    judges = reading.judges if reference is None else reading.agreement or reading.judges
    right = reading.right(data, right)
    if right is None:
        raise ValueError("data: have no labels: give reference=, a model to agree with")
    found_scores = {name: judge(found, right, data) for name, judge in judges.items()}
    scores = {name: score for name, score in found_scores.items() if score is not None}
    main = next(iter(scores))
    by_language = {}
    for language, places in places_by_language(data).items():
        if _task(model).per_token:  # a language may have nothing that counts
            places = [i for i in places if found[i]]
        if not places:
            continue
        pick = lambda values: [values[i] for i in places]
        by_language[language] = judges[main](pick(found), pick(right), data.subset(places))
    return Evaluation(scores, by_language, len(data))


def places_by_language(data) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for i, language in enumerate(data.languages):
        places.setdefault(language, []).append(i)
    return places


def fitting(data, model, name: str = "data"):
    """`data` as the model's task needs them: rows read, labels in the model's order, pieces masked.

    Raises `ValueError`, naming `name`, if labels are of another kind or have other names.
    """
    task = _task(model)
    if not hasattr(model, "session"):
        check_labels(model)
    try:
        data = as_data(data, model)
    except ValueError as error:  # as_data calls them rows
        raise type(error)(re.sub("^rows:", f"{name}:", str(error))) from error.__cause__
    if "pairs" in task.also and getattr(data, "pairs", None) is not None:  # two texts, two vectors
        data = Parallel(data.sentences, data.pairs, data.languages, data.labels)
    if task.labels == "pieces":
        return data if data.kind == "pieces" else mask_tokens(data)
    if data.kind not in (None, task.labels, *task.also):
        raise ValueError(
            f"{name}: labels are {data.kind}, the model's task is {task.name!r}, which takes "
            f"{task.labels or 'none'}"
        )
    names = model.labels if hasattr(model, "session") else labels_of(model)
    if names is None or not data.label_names:
        named = names is not None and hasattr(data, "__dataclass_fields__")
        return replace(data, label_names=names) if named and data.labels is None else data
    if names == [f"LABEL_{i}" for i in range(len(data.label_names))] != data.label_names:
        warnings.warn(
            f"the model's {len(names)} labels have no names: {name}'s are taken in this order, "
            f"{data.label_names}",
            stacklevel=3,
        )
        return data
    return in_order_of(data, names, name)


def _check_reference(model, reference) -> None:
    """`ValueError` unless the two answer the same question, in the same order of labels, and, where
    one tokenizer is for both or pieces are the answers, with the same pieces.
    """
    onnx = [hasattr(m, "session") for m in (model, reference)]

    def facts(m) -> dict:
        served = hasattr(m, "session")
        found = {"task": _task(m).name, "labels": m.labels if served else labels_of(m)}
        if not any(onnx) or found["task"] == "fill-mask":
            pieces = m.tokenizer.get_vocab_size() if served else m.config.vocab_size
            found["number of word pieces"] = pieces
        if found["task"] == "embedding":
            width = m.session.get_outputs()[0].shape[-1] if served else m.config.hidden_size
            found["width"] = width
        return found

    for (what, mine), theirs in zip(facts(model).items(), facts(reference).values()):
        if mine != theirs:
            raise ValueError(
                f"reference: has {what} {str(theirs)[:200]}, must be that of the model: "
                f"{str(mine)[:200]}"
            )


def _task(model) -> Task:
    return TASKS[model.task] if hasattr(model, "session") else task_of(model)


@torch.inference_mode()
def answers_of(
    model, reading: "Reading", tokenizer, data, batch_size: int
) -> tuple[list, list | None]:
    """The model's answer on every example, and the labels that the batches hold, if any."""
    task, onnx, found, right = _task(model), hasattr(model, "session"), [], []
    limit = model.max_length if onnx else longest(model)
    tokenizer = model.as_transformers() if onnx else tokenizer
    with at_rest(*([] if onnx else [model])):
        for batch in data.batches(tokenizer, batch_size, limit):
            batch = batch if onnx else as_batch(model, batch)
            out = (
                task.rows(torch.from_numpy(model.dense(batch)), batch)
                if onnx
                else outputs(model, batch)
            )
            out = out.float().cpu()
            counts = task.where(batch).sum(1).tolist() if task.per_token else None
            found += _by_example(reading.read(out), counts)
            if batch.get("labels") is not None and task.needs_labels:
                right += _by_example(task.targets(batch, out).tolist(), counts)
    return reading.finish(found, data, (tokenizer, batch_size, limit)), right or None


def _by_example(rows: list, counts: list[int] | None) -> list:
    """One entry an example: the row itself, or the rows of its tokens."""
    if counts is None:
        return rows
    rows = iter(rows)
    return [[next(rows) for _ in range(n)] for n in counts]


# --- answers from a distribution's parameters, and scores from answers ---


def _likeliest(out: Tensor) -> list:
    return out.argmax(-1).tolist()


def _labels(out: Tensor) -> list[list[bool]]:
    return (out > 0).tolist()


def _best_places(out: Tensor) -> list[tuple[int, int]]:
    """The likeliest answer of every example, first and last token, not too long; out (N, 2, T)."""
    together = out[:, 0, :, None] + out[:, 1, None, :]  # (N, T, T)
    allowed = torch.ones(together.shape[1:], dtype=torch.bool).triu().tril(LONGEST_ANSWER - 1)
    best = together.masked_fill(~allowed, -torch.inf).flatten(1).argmax(1)
    return [divmod(int(i), out.shape[-1]) for i in best]


def _flat(rows: list) -> list:
    return [v for row in rows for v in row] if rows and isinstance(rows[0], list) else rows


def _accuracy(found: list, right: list, data) -> float:
    return metrics.accuracy(_flat(found), _flat(right))


def _micro_f1(found: list, right: list, data) -> float:
    return metrics.micro_f1(np.array(found, bool), np.array(right, bool))


def _spearman(found: list, right: list, data) -> float:
    """The mean over the outputs, if there are several."""
    each = [metrics.spearman(f, r) for f, r in zip(zip(*found), zip(*right))]
    return sum(each) / len(each)


def _ranking(metric: Callable) -> Callable:
    """A judge of pairs that compete for the same first text; None where none do."""

    def judge(found: list, right: list, data) -> float | None:
        groups, gains = data.sentences, _flat(right)
        if data.pairs is None or len(set(groups)) > len(groups) / 2:
            return None
        if max(gains) <= 0 or min(gains) < 0:  # no degrees of relevance
            return None
        return metric(_flat(found), gains, groups)

    return judge


def _mrr(scores: list, gains: list, groups: list) -> float:
    return metrics.mean_reciprocal_rank(scores, [gain > 0 for gain in gains], groups)


def _span_f1(found: list, right: list, data) -> float:
    names = lambda rows: [[data.label_names[i] for i in row] for row in rows]
    return metrics.span_f1(names(found), names(right))


def _in_top(k: int) -> Callable:
    """The share of masked pieces that are among the first k guesses."""

    def judge(found: list, right: list, data) -> float:
        hits = [r in f[:k] for f, r in zip(_flat(found), _flat(right))]
        return sum(hits) / len(hits)

    return judge


def _retrieval(found: list, right: list, data) -> float | None:
    """The mean over languages of the share of sentences whose translation is the nearest."""
    if data.labels is not None:
        return None
    english, foreign = (np.stack([vectors[i].numpy() for vectors in found]) for i in (0, 1))
    shares = [
        metrics.retrieval_accuracy(foreign[places], english[places])
        for places in places_by_language(data).values()
    ]
    return sum(shares) / len(shares)


def _similarity(found: list, right: list, data) -> float | None:
    """Spearman's coefficient of the cosines of pairs of texts with given similarities."""
    if data.labels is None:
        return None
    return metrics.spearman([float(one @ other) for one, other in found], right)


def _cosine(found: list, right: list, data) -> float:
    """The mean cosine of the vectors with the reference's."""
    return float(torch.stack([(f * r).sum(-1).mean() for f, r in zip(found, right)]).mean())


def _vectors(found: list, data, made: tuple) -> list[Tensor]:
    """(texts of the example, d) each: two texts in pairs and translations."""
    each = len(found) // len(data)
    return [torch.stack(found[i : i + each]) for i in range(0, len(found), each)]


def _texts(data, right) -> list[list[str]] | None:
    """The answers' texts: a reference's, or what data hold."""
    from_reference = right is not None and isinstance(right[0][0], str)
    return right if from_reference else data.answers


def _similarities(data, right) -> list | None:
    """Pairs' similarities; translations need none."""
    return right or data.labels or ([None] * len(data) if data.kind == "pairs" else None)


@dataclass(frozen=True)
class Reading:
    """How a task's answers are read and judged.

    read: the distribution's parameters (N, …) to N answers. judges: scores by name, from (answers,
    right answers, data); None where one does not apply. right: the right answers, from data and the
    batches' labels. as_right: an answer of a reference as the right one; agreement: the judges
    then. finish: answers as the judges want them, from all of them, the data, and what batches were
    made with (tokenizer, batch size, longest row).
    """

    read: Callable[[Tensor], list]
    judges: dict[str, Callable]
    right: Callable = lambda data, labels: labels
    as_right: Callable = lambda answer: answer
    agreement: dict[str, Callable] | None = None
    finish: Callable = lambda answers, data, made: answers


READINGS = {
    "classification": Reading(_likeliest, {"accuracy": _accuracy}),
    "multi-label": Reading(_labels, {"micro_f1": _micro_f1}),
    "regression": Reading(
        Tensor.tolist,
        {"spearman": _spearman, "mrr": _ranking(_mrr), "ndcg": _ranking(metrics.ndcg)},
        agreement={"spearman": _spearman},
    ),
    "tokens": Reading(_likeliest, {"span_f1": _span_f1, "accuracy": _accuracy}),
    "question-answering": Reading(
        _best_places,
        {
            "f1": lambda found, right, data: metrics.answer_f1(found, right),
            "exact_match": lambda found, right, data: metrics.exact_match(found, right),
        },
        right=_texts,
        as_right=lambda answer: [answer],
        finish=lambda found, data, made: data.answer_texts(made[0], found, *made[1:]),
    ),
    "fill-mask": Reading(
        lambda out: out.topk(min(5, out.shape[-1])).indices.tolist(),
        {"top_5": _in_top(5), "top_1": _in_top(1)},
        as_right=lambda guesses: [guess[0] for guess in guesses],
    ),
    "embedding": Reading(
        list,
        {"retrieval": _retrieval, "spearman": _similarity},
        right=_similarities,
        agreement={"cosine": _cosine},
        finish=_vectors,
    ),
}
