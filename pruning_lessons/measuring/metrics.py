"""Scores of the tasks: from what was found and what is right to one number. Plain functions on
lists and NumPy arrays.

Every function raises `ValueError` before any work, naming the argument, where one is empty, where
two that belong together are not equally long, and where a score is not a number.
"""

import re
import string
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

# Similarities are rounded sums; the true values of two this close may well be the same.
TIED = 1e-12
ROWS_AT_ONCE = 256
PUNCTUATION = str.maketrans("", "", string.punctuation)


# --- one label, several labels, a number ---


def accuracy(found: Sequence[int], right: Sequence[int]) -> float:
    """Share of places where `found` is `right`: (1/n) sum [found_i = right_i], from 0 to 1."""
    found, right = _column("found", found), _column("right", right)
    _equally_long(found=found, right=right)
    return float(np.mean(found == right))


def micro_f1(found: np.ndarray, right: np.ndarray) -> float:
    """F1 over all labels of all rows at once: 2 TP / (2 TP + FP + FN), from 0 to 1.

    found, right: (n, C), true (or 1) where a row has a label. 0.0 where nothing is found and
    nothing is right, as scikit-learn's `f1_score(average="micro", zero_division=0)` has it.
    Raises `ValueError` for other shapes, and for values that are neither 0 nor 1.
    """
    found, right = _yes_or_no("found", found, 2), _yes_or_no("right", right, 2)
    if found.shape != right.shape:
        raise ValueError(f"found: has shape {found.shape}, must have right's {right.shape}")
    return _f1(int((found & right).sum()), int(found.sum()), int(right.sum()))


def spearman(found: Sequence[float], right: Sequence[float]) -> float:
    """Spearman's rank correlation, from -1 to 1: Pearson's correlation of the ranks, where equal
    values share the mean of their ranks (Spearman 1904; `scipy.stats.spearmanr`).

    nan where one side is constant: it has no order to agree with.
    """
    found, right = _numbers("found", found), _numbers("right", right)
    _equally_long(found=found, right=right)
    a, b = (ranks - ranks.mean() for ranks in (_ranks(found), _ranks(right)))
    if not a.any() or not b.any():
        return float("nan")
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 for the smallest value; equal values get the mean of the ranks they take up."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


# --- tags of words ---


def spans(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """What a sentence's tags mark: (type, first word, word after the last), in order.

    Reads IOB1, IOB2 and BIOES just as seqeval's default mode does (`get_entities`, after the
    CoNLL-2000 script `conlleval`), which is lenient: a span that opens with I or E counts, and a
    change of type ends a span. The first letter is the prefix, the type is what follows the first
    hyphen; "B" alone is of type "_". A tag without prefix is read in the same way: neighbours that
    are equal are one span, and "PER" is of type "ER".

    A sentence without words has no spans. Raises `TypeError` where a tag is no text, `ValueError`
    where it is empty.
    """
    _check_tags("tags", tags)
    found, start, before, type_before = [], 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = tag[0], tag[1:].split("-", 1)[-1] or "_"
        if _ends(before, prefix, type_before != kind):
            found.append((type_before, start, place))
        if _starts(before, prefix, type_before != kind):
            start = place
        before, type_before = prefix, kind
    return found


def _ends(before: str, prefix: str, other_type: bool) -> bool:
    """Does a span end between two tags with these prefixes?"""
    if before in "ES":
        return True
    return (before in "BI" and prefix in "BSO") or (before not in "O." and other_type)


def _starts(before: str, prefix: str, other_type: bool) -> bool:
    """Does a span start with the second of two tags with these prefixes?"""
    if prefix in "BS":
        return True
    return (prefix in "IE" and before in "OES") or (prefix not in "O." and other_type)


def span_f1(found: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> float:
    """F1 over spans, from 0 to 1: 2 TP / (spans found + spans right); one is right if its type, its
    start and its end are (CoNLL-2003; seqeval's `f1_score(zero_division=0)`).

    found, right: the tags of each sentence, as many as it has words. 0.0 where there are no spans
    at all. Raises `ValueError` where sentences differ in length, `TypeError` where one is a text.
    """
    _equally_long(found=found, right=right)
    for place, (a, b) in enumerate(zip(found, right)):
        _check_tags(f"found[{place}]", a)
        _check_tags(f"right[{place}]", b)
        if len(a) != len(b):
            raise ValueError(f"found[{place}]: has {len(a)} tags, must have right's {len(b)}")
    # seqeval reads all sentences as one, with an O after each
    a, b = (set(spans([tag for tags in side for tag in [*tags, "O"]])) for side in (found, right))
    return _f1(len(a & b), len(a), len(b))


def _check_tags(name: str, tags: Sequence[str]) -> None:
    if isinstance(tags, str):
        raise TypeError(f"{name}: is a text, must be a list of tags")
    for place, tag in enumerate(tags):
        if not isinstance(tag, str):
            raise TypeError(f"{name}[{place}]: is a {type(tag).__name__}, must be a text")
        if not tag:
            raise ValueError(f"{name}[{place}]: is empty, must be a tag")


def _f1(both: int, found: int, right: int) -> float:
    return 2 * both / (found + right) if found + right else 0.0


# --- answers to questions ---


def exact_match(found: Sequence[str], right: Sequence[Sequence[str]]) -> float:
    """Share of questions whose answer is one of the right ones, both normalised (0 to 1).

    found: (n) answers, "" for none. right: (n) lists of right answers; an empty list means that the
    text holds no answer. Normalised as in SQuAD 1.1 (Rajpurkar et al. 2016, `evaluate-v1.1.py`):
    lower case, no ASCII punctuation, no articles (a, an, the), single spaces. As in SQuAD 2.0, a
    right answer of which nothing is left does not count, and where none counts, only an answer of
    which nothing is left is right. Raises `TypeError` where `right` holds texts, not lists.
    """
    _check_answers(found, right)
    return _mean(float(any(a == b for b in golds)) for a, golds in _normalised(found, right))


def answer_f1(found: Sequence[str], right: Sequence[Sequence[str]]) -> float:
    """Mean over questions of the best word F1 with one of the right answers, from 0 to 1.

    F1 = 2 * shared words / (words found + words right), words counted as often as they occur.
    Arguments, normalisation and errors are `exact_match`'s; without an answer, F1 is 1 or 0, too.
    """
    _check_answers(found, right)
    return _mean(max(_word_f1(a, b) for b in golds) for a, golds in _normalised(found, right))


def _word_f1(found: str, right: str) -> float:
    a, b = Counter(found.split()), Counter(right.split())
    if not a and not b:
        return 1.0
    return _f1((a & b).total(), a.total(), b.total())


def _normal(answer: str) -> str:
    answer = answer.lower().translate(PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", answer).split())


def _normalised(
    found: Sequence[str], right: Sequence[Sequence[str]]
) -> Iterator[tuple[str, list[str]]]:
    """Each question's answer and right answers; [""] where the text holds none."""
    for answer, golds in zip(found, right):
        yield _normal(answer), [gold for gold in map(_normal, golds) if gold] or [""]


def _check_answers(found: Sequence[str], right: Sequence[Sequence[str]]) -> None:
    _equally_long(found=found, right=right)
    for place, (answer, golds) in enumerate(zip(found, right)):
        if not isinstance(answer, str):
            raise TypeError(f"found[{place}]: is a {type(answer).__name__}, must be a text")
        if isinstance(golds, str) or not all(isinstance(gold, str) for gold in golds):
            raise TypeError(f"right[{place}]: is {golds!r}, must be a list of texts")


def _mean(values: Iterator[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


# --- places in an order ---


def in_top_k(scores: np.ndarray, right: Sequence[int], k: int) -> float:
    """Share of rows where the right choice is among the `k` with the highest scores (0 to 1).

    scores: (n, K). right: (n), from 0 to K - 1. Of equal scores, the lower place comes first; so
    k=1 is the accuracy of `scores.argmax(1)`, and 1.0 is sure for k >= K. Raises `ValueError` for a
    place outside, or k < 1.
    """
    scores, right = _numbers("scores", scores, 2), _column("right", right)
    _equally_long(scores=scores, right=right)
    _at_least_one("k", k)
    if right.dtype.kind not in "iu" or right.min() < 0 or right.max() >= scores.shape[1]:
        raise ValueError(f"right: must be whole numbers from 0 to {scores.shape[1] - 1}")
    its = np.take_along_axis(scores, right[:, None].astype(np.int64), axis=1)  # (n, 1)
    lower = np.arange(scores.shape[1]) < right[:, None]  # (n, K)
    ahead = ((scores > its) | ((scores == its) & lower)).sum(1)
    return float(np.mean(ahead < k))


def mean_reciprocal_rank(
    scores: Sequence[float], relevant: Sequence[bool], groups: Sequence[Hashable]
) -> float:
    """Mean over groups of 1 / (rank of the first relevant row by falling score), above 0, at most 1
    (Voorhees 1999, TREC-8).

    scores, relevant, groups: (n); rows of the same group compete (the documents of a query, say).
    Ties are read pessimistically: a relevant row comes after all others with its score, so that a
    model which scores everything alike gains nothing. Groups without a relevant row are left out.
    Raises `ValueError` where no group has one, `TypeError` where a group is not hashable.
    """
    scores, relevant = _numbers("scores", scores), _yes_or_no("relevant", relevant, 1)
    _equally_long(scores=scores, relevant=relevant, groups=groups)
    found = []
    for rows in _members(groups):
        s, hits = scores[rows], relevant[rows]
        if hits.any():
            found.append(1 / (1 + int((s[~hits] >= s[hits].max()).sum())))
    if not found:
        raise ValueError("relevant: is false everywhere, must be true in one row at least")
    return _mean(found)


def ndcg(
    scores: Sequence[float], gains: Sequence[float], groups: Sequence[Hashable], k: int = 10
) -> float:
    """Mean over groups of the normalised discounted cumulative gain at `k`, from 0 to 1.

    DCG@k = sum over ranks r = 1 … k of gain_r / log2(r + 1), by falling score, divided by the same
    for the best order (Järvelin and Kekäläinen 2002, with gains as they are, not 2^gain - 1).
    scores, gains, groups: (n); rows of the same group compete; gains are 0 or more. Ties are
    averaged over all their orders (McSherry and Najork 2008), as in scikit-learn's `ndcg_score`.
    Groups without a gain above 0 are left out. Raises `ValueError` where all are, or a gain is
    negative or infinite, or k < 1; `TypeError` where a group is not hashable.
    """
    scores, gains = _numbers("scores", scores), _numbers("gains", gains).astype(np.float64)
    _equally_long(scores=scores, gains=gains, groups=groups)
    _at_least_one("k", k)
    if not (np.isfinite(gains) & (gains >= 0)).all():
        raise ValueError("gains: must be finite, and 0 or more")
    if not gains.any():
        raise ValueError("gains: is 0 everywhere, must be more in one row at least")
    return _mean(
        _dcg(scores[rows], gains[rows], k) / _dcg(gains[rows], gains[rows], k)
        for rows in _members(groups)
        if gains[rows].any()
    )


def _dcg(scores: np.ndarray, gains: np.ndarray, k: int) -> float:
    """DCG@k of one group; rows with equal scores each get the mean of their ranks' discounts."""
    ranks = np.arange(1, len(scores) + 1)
    discounts = np.where(ranks <= k, 1 / np.log2(ranks + 1), 0)
    order = np.argsort(scores)[::-1]  # best first; where equal ones stand does not matter
    _, tied = np.unique(scores[order], return_inverse=True)
    means = np.bincount(tied, discounts) / np.bincount(tied)
    return float(gains[order] @ means[tied])


def _members(groups: Sequence[Hashable]) -> list[list[int]]:
    """The rows of each group."""
    rows = {}
    for row, group in enumerate(groups):
        try:
            rows.setdefault(group, []).append(row)
        except TypeError:
            kind = type(group).__name__
            raise TypeError(f"groups[{row}]: is a {kind}, must be hashable") from None
    return list(rows.values())


def retrieval_accuracy(queries: np.ndarray, documents: np.ndarray) -> float:
    """Share of queries whose most similar document is the one at the same place (0 to 1): the
    bitext retrieval of Tatoeba (Artetxe and Schwenk 2019), by cosine.

    queries, documents: (n, d), of any length but 0: similarity is the dot product of unit vectors,
    and a vector of zeros has similarity 0 to all. A tie for the first place (within 1e-12) counts
    as wrong. Holds 256 × n similarities at a time. Raises `ValueError` for other shapes, and for
    values that are not finite.
    """
    queries, documents = _numbers("queries", queries, 2), _numbers("documents", documents, 2)
    if queries.shape != documents.shape:
        raise ValueError(f"queries: has shape {queries.shape}, documents has {documents.shape}")
    for name, vectors in (("queries", queries), ("documents", documents)):
        if not np.isfinite(vectors).all():
            raise ValueError(f"{name}: must be finite")
    documents, right = _unit(documents), 0
    for start in range(0, len(queries), ROWS_AT_ONCE):
        similarity = _unit(queries[start : start + ROWS_AT_ONCE]) @ documents.T  # (rows, n)
        rows = np.arange(len(similarity))
        own = similarity[rows, start + rows]
        similarity[rows, start + rows] = -np.inf
        right += int((own > similarity.max(1) + TIED).sum())
    return right / len(queries)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


# --- what is asked of arguments ---


def _equally_long(**arguments: Sequence) -> None:
    """Raise `ValueError` unless each has something, and all have equally much."""
    (first, values), *_ = arguments.items()
    for name, other in arguments.items():
        if not len(other):
            raise ValueError(f"{name}: is empty")
        if len(other) != len(values):
            raise ValueError(f"{name}: has {len(other)} rows, must have {first}'s {len(values)}")


def _column(name: str, values: Sequence, dimensions: int = 1) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name}: has rows of different lengths") from None
    if not array.size:
        raise ValueError(f"{name}: is empty")
    if array.ndim != dimensions:
        raise ValueError(f"{name}: has {array.ndim} dimensions, must have {dimensions}")
    return array


def _numbers(name: str, values: Sequence[float], dimensions: int = 1) -> np.ndarray:
    array = _column(name, values, dimensions)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: has values of type {array.dtype}, must have real numbers")
    if np.isnan(array).any():
        raise ValueError(f"{name}: has nan, must have numbers only")
    return array


def _yes_or_no(name: str, values: Sequence[bool], dimensions: int) -> np.ndarray:
    array = _numbers(name, values, dimensions)
    if not ((array == 0) | (array == 1)).all():
        raise ValueError(f"{name}: must have only true and false, or 1 and 0")
    return array.astype(bool)


def _at_least_one(name: str, value: int) -> None:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}: is {value!r}, must be a whole number from 1 on")
