"""The scores of the tasks agree with scikit-learn, SciPy and seqeval, or with the formula."""

import string
import tracemalloc
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from seqeval.metrics import f1_score as seqeval_f1
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import accuracy_score, f1_score, ndcg_score, top_k_accuracy_score

from pruning_lessons.measuring import metrics as m

EXAMPLES = settings(max_examples=60, deadline=None)
FEW = st.integers(-2, 2)  # few values: many ties
FLOATS = st.floats(-10, 10, width=32)


def pairs(values, least=1, most=12):
    return st.lists(st.tuples(values, values), min_size=least, max_size=most).map(
        lambda rows: tuple(map(list, zip(*rows)))
    )


def tables(values, columns, most=8):
    """(n, C) lists of lists, all rows equally long."""
    return columns.flatmap(
        lambda c: st.lists(st.lists(values, min_size=c, max_size=c), min_size=1, max_size=most)
    )


# --- one label, several labels, a number ---


@EXAMPLES
@given(pairs(st.integers(0, 3)))
def test_accuracy(pair):
    assert m.accuracy(*pair) == pytest.approx(accuracy_score(pair[1], pair[0]))


@EXAMPLES
@given(tables(st.tuples(st.booleans(), st.booleans()), st.integers(2, 5)))
def test_micro_f1(rows):
    found, right = np.moveaxis(np.array(rows), 2, 0)
    expected = f1_score(right, found, average="micro", zero_division=0)
    assert m.micro_f1(found, right) == pytest.approx(expected)
    assert m.micro_f1(found.astype(np.float32), right.astype(int)) == pytest.approx(expected)


def test_micro_f1_by_hand():
    assert m.micro_f1(np.zeros((2, 3), bool), np.zeros((2, 3), bool)) == 0.0
    assert m.micro_f1([[1, 1, 0]], [[1, 0, 1]]) == 0.5


@EXAMPLES
@given(pairs(st.one_of(FEW, FLOATS), least=2))
def test_spearman(pair):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = m.spearman(*pair)
    if any(len(set(side)) == 1 for side in pair):
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(*pair).statistic, abs=1e-12)


def test_spearman_by_hand():
    assert m.spearman([1, 2, 3], [-5, 0, 1e9]) == pytest.approx(1)
    assert m.spearman([1, 2, 3], [3, 2, -np.inf]) == pytest.approx(-1)
    assert np.isnan(m.spearman([1], [2])) and np.isnan(m.spearman([0, 0], [1, 2]))
    # ranks 1.5 1.5 3 and 1 2 3
    assert m.spearman([4, 4, 5], [1, 2, 3]) == pytest.approx(3**0.5 / 2)


# --- tags of words ---

TAGS = st.one_of(
    st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]),
    st.sampled_from(["E-PER", "S-PER", "E-LOC", "S-LOC", "O", "B", "I", "E", "S"]),
    # without prefix, odd, or with more than one hyphen
    st.sampled_from(
        ["PER", "LOC", "P", ".", ".-PER", "O-PER", "B-a-b", "I-a-b", "B_PER", "-", "L-"]
    ),
    st.text("BIESOP.-x", min_size=1, max_size=4),
)


@settings(EXAMPLES, max_examples=600)
@given(st.lists(TAGS, max_size=12))
@pytest.mark.filterwarnings("ignore:.*seems not to be NE tag")
def test_spans(tags):
    assert m.spans(tags) == [(kind, start, end + 1) for kind, start, end in get_entities(tags)]


@settings(EXAMPLES, max_examples=300)
@given(st.lists(pairs(TAGS, least=0, most=6).map(lambda p: p or ([], [])), min_size=1, max_size=5))
@pytest.mark.filterwarnings("ignore:.*seems not to be NE tag")
def test_span_f1(sentences):
    found, right = map(list, zip(*sentences))
    expected = seqeval_f1(right, found, zero_division=0)
    assert m.span_f1(found, right) == pytest.approx(expected, abs=1e-12)


def test_spans_by_hand():
    assert m.spans([]) == m.spans(("O", "O")) == []
    for tags in (  # IOB2, IOB1, BIOES
        ["O", "B-PER", "I-PER", "B-PER", "O", "B-LOC"],
        ["O", "I-PER", "I-PER", "B-PER", "O", "I-LOC"],
        ["O", "B-PER", "E-PER", "S-PER", "O", "S-LOC"],
    ):
        assert m.spans(tags) == [("PER", 1, 3), ("PER", 3, 4), ("LOC", 5, 6)]
    assert m.spans(["B-PER", "I-LOC"]) == [("PER", 0, 1), ("LOC", 1, 2)]
    assert m.spans(["PER", "PER", "O"]) == [("ER", 0, 2)]
    # a span does not run on into the next sentence
    assert m.span_f1([["B-A"], ["I-A"]], [["B-A"], ["O"]]) == pytest.approx(2 / 3)
    assert m.span_f1([["O"], []], [["O"], []]) == 0.0


# --- answers to questions ---

WORDS = st.sampled_from(
    ["the", "The", "an", "A", "cat", "cat.", "Cats", "(cat)", "theme", "'", "-"]
)
ANSWERS = st.lists(WORDS, max_size=5).flatmap(
    lambda words: st.sampled_from([" ", "  ", "\n", "-"]).map(lambda gap: gap.join(words))
)
QUESTIONS = st.lists(st.tuples(ANSWERS, st.lists(ANSWERS, max_size=3)), min_size=1, max_size=6).map(
    lambda rows: tuple(map(list, zip(*rows)))
)


def words_of(answer):
    """SQuAD's normalisation, from its description; ASCII words only."""
    kept = "".join(letter for letter in answer.lower() if letter not in string.punctuation)
    return [word for word in kept.split() if word not in ("a", "an", "the")]


def f1_of(found, right):
    shared = sum((Counter(found) & Counter(right)).values())
    if not shared:
        return float(found == right)
    precision, recall = shared / len(found), shared / len(right)
    return 2 * precision * recall / (precision + recall)


@settings(EXAMPLES, max_examples=200)
@given(QUESTIONS)
def test_answers(questions):
    exact, f1 = [], []
    for answer, golds in zip(*questions):
        golds = [words_of(gold) for gold in golds if words_of(gold)] or [[]]
        exact.append(words_of(answer) in golds)
        f1.append(max(f1_of(words_of(answer), gold) for gold in golds))
    assert m.exact_match(*questions) == pytest.approx(np.mean(exact))
    assert m.answer_f1(*questions) == pytest.approx(np.mean(f1))


def test_answers_by_hand():
    found, right = ["The cat!", "in a big  house", "", "x"], [["cat"], ["dog", "House"], [], []]
    assert m.exact_match(found, right) == 0.5
    assert m.answer_f1(found, right) == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert m.exact_match(["theme"], [["me"]]) == m.answer_f1(["theme"], [["me"]]) == 0.0
    assert m.answer_f1(["cat cat"], [["cat"]]) == pytest.approx(2 / 3)
    assert m.exact_match(["Москве"], [["москве."]]) == 1.0


# --- places in an order ---


@settings(EXAMPLES, max_examples=150)
@given(tables(FEW, st.integers(3, 6)), st.integers(1, 5), st.data())
def test_in_top_k(rows, k, data):
    scores, labels = np.array(rows, float), len(rows[0])
    right = data.draw(st.lists(st.integers(0, labels - 1), min_size=len(rows), max_size=len(rows)))
    k = min(k, labels - 1)
    # scikit-learn puts the higher place first: turned round, it is the lower one
    turned = labels - 1 - np.array(right)
    expected = top_k_accuracy_score(turned, scores[:, ::-1], k=k, labels=range(labels))
    assert m.in_top_k(scores, right, k) == pytest.approx(expected)
    assert m.in_top_k(scores, right, 1) == m.accuracy(scores.argmax(1), right)
    assert m.in_top_k(scores, right, labels) == m.in_top_k(scores, right, labels + 9) == 1.0


def test_in_top_k_by_hand():
    scores = [[1, 1, -np.inf]] * 3
    assert m.in_top_k(scores, [0, 1, 2], 1) == pytest.approx(1 / 3)
    assert m.in_top_k(scores, [0, 1, 2], 2) == pytest.approx(2 / 3)
    assert m.in_top_k([[0.0]], [0], 1) == 1.0


ROWS = st.lists(
    st.tuples(FEW, st.integers(0, 2), st.sampled_from(["a", None, (1, 2), 3])),
    min_size=1,
    max_size=25,
)


def split(rows):
    """(scores, gains) of each group that has a gain."""
    groups = {g: [(s, y) for s, y, other in rows if other == g] for _, _, g in rows}
    return [list(zip(*g)) for g in groups.values() if any(y for _, y in g)]


@settings(EXAMPLES, max_examples=200)
@given(ROWS.filter(split), st.integers(1, 6))
def test_ndcg(rows, k):
    # of a single document scikit-learn has no opinion: nothing can be out of order
    expected = [1.0 if len(s) == 1 else ndcg_score([y], [s], k=k) for s, y in split(rows)]
    scores, gains, groups = zip(*rows)
    assert m.ndcg(scores, gains, groups, k) == pytest.approx(np.mean(expected), abs=1e-12)


@settings(EXAMPLES, max_examples=200)
@given(ROWS.filter(split))
def test_mean_reciprocal_rank(rows):
    expected = []
    for scores, gains in split(rows):
        # by falling score, the irrelevant first where scores are equal
        order = sorted(zip(scores, gains), key=lambda row: (-row[0], row[1] > 0))
        expected.append(1 / (1 + [gain > 0 for _, gain in order].index(True)))
    scores, gains, groups = zip(*rows)
    found = m.mean_reciprocal_rank(scores, [gain > 0 for gain in gains], groups)
    assert found == pytest.approx(np.mean(expected))


def test_orders_by_hand():
    groups = ["x", "x", "x", "y", "y", "z"]
    scores, relevant = [3, 2, 1, 5, 5, 9], [0, 1, 1, 1, 0, 0]
    assert m.mean_reciprocal_rank(scores, relevant, groups) == 0.5
    log = np.log2([2, 3, 4])
    x = (1 / log[1] + 1 / log[2]) / (1 / log[0] + 1 / log[1])
    y = (1 / log[0] + 1 / log[1]) / 2
    assert m.ndcg(scores, relevant, groups) == pytest.approx((x + y) / 2)
    assert m.ndcg([3, 2], [0, 1], ["q", "q"], k=1) == 0.0


def test_ndcg_looks_at_ten_by_default():
    scores, gains = range(12, 0, -1), [0] * 10 + [1, 1]
    assert m.ndcg(scores, gains, [0] * 12) == 0.0 < m.ndcg(scores, gains, [0] * 12, k=11)


@EXAMPLES
@given(st.data(), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_retrieval_accuracy(data, n, d, rows_at_once):
    # whole numbers, small: similarities are compared exactly, as fractions of squares
    vectors = st.lists(st.lists(st.integers(-3, 3), min_size=d, max_size=d), min_size=n, max_size=n)
    queries, documents = data.draw(vectors), data.draw(vectors)

    def key(query, document):
        dot, size = sum(a * b for a, b in zip(query, document)), sum(b * b for b in document)
        return (1 if dot > 0 else -1) * dot * dot / size if size else 0  # |q| is the same for all

    right = 0
    for i, query in enumerate(queries):
        own = key(query, documents[i])
        right += all(own > key(query, documents[j]) + 1e-9 for j in range(n) if j != i)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(m, "ROWS_AT_ONCE", rows_at_once)
        assert m.retrieval_accuracy(queries, documents) == pytest.approx(right / n)


def test_equal_documents_tie_wherever_they_stand():
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(301, 37)).astype(np.float32)
    queries = documents + 0.01 * rng.normal(size=documents.shape)
    assert m.retrieval_accuracy(queries, documents) == 1.0
    documents[300], queries[300] = documents[0], queries[0]
    assert m.retrieval_accuracy(queries, 7 * documents) == pytest.approx(299 / 301)


def test_retrieval_of_many_is_small_in_memory():
    vectors = np.random.default_rng(0).normal(size=(10_000, 8))
    tracemalloc.start()
    try:
        assert m.retrieval_accuracy(vectors, vectors) == 1.0
        assert tracemalloc.get_traced_memory()[1] < 60e6  # all at once: 800e6
    finally:
        tracemalloc.stop()


# --- what is turned away ---

G = ["a", "a"]
WRONG = [
    (m.accuracy, ([], []), "found: is empty"),
    (m.accuracy, ([1], []), "right: is empty"),
    (m.accuracy, ([1, 2], [1]), "right: has 1 rows, must have found's 2"),
    (m.accuracy, ([[1]], [[1]]), "found: has 2 dimensions"),
    (m.micro_f1, (np.zeros((0, 3)), np.zeros((0, 3))), "found: is empty"),
    (m.micro_f1, (np.zeros((2, 3)), np.zeros((2, 2))), "found: has shape"),
    (m.micro_f1, ([[0.4]], [[1]]), "found: must have only"),
    (m.micro_f1, ([[1], [1, 0]], [[1], [1]]), "found: has rows of different lengths"),
    (m.spearman, ([], [1]), "found: is empty"),
    (m.spearman, ([1, 2], [1]), "right: has 1"),
    (m.spearman, ([1, np.nan], [1, 2]), "found: has nan"),
    (m.spearman, (["x"], [2]), "found: has values of type"),
    (m.spans, (["B-A", ""],), r"tags\[1\]: is empty"),
    (m.span_f1, ([], []), "found: is empty"),
    (m.span_f1, ([["O"]], [["O"], ["O"]]), "right: has 2"),
    (m.span_f1, ([["O"], ["O"]], [["O"], ["O", "O"]]), r"found\[1\]: has 1 tags"),
    (m.exact_match, ([], []), "found: is empty"),
    (m.exact_match, (["x"], [["x"], []]), "right: has 2"),
    (m.answer_f1, ([], []), "found: is empty"),
    (m.answer_f1, (["x", "y"], [["x"]]), "right: has 1"),
    (m.in_top_k, ([], [], 1), "scores: is empty"),
    (m.in_top_k, ([[1, 2]], [0, 1], 1), "right: has 2"),
    (m.in_top_k, ([[1, 2]], [2], 1), "right: must be whole numbers from 0 to 1"),
    (m.in_top_k, ([[1, 2]], [-100], 1), "right: must be"),
    (m.in_top_k, ([[1, 2]], [0.0], 1), "right: must be"),
    (m.in_top_k, ([[1, 2]], [0], 0), "k: is 0"),
    (m.in_top_k, ([[1, np.nan]], [0], 1), "scores: has nan"),
    (m.mean_reciprocal_rank, ([], [], []), "scores: is empty"),
    (m.mean_reciprocal_rank, ([1, 2], [0, 1], ["a"]), "groups: has 1"),
    (m.mean_reciprocal_rank, ([1, 2], [0, 0], G), "relevant: is false everywhere"),
    (m.mean_reciprocal_rank, ([1, 2], [0, 2], G), "relevant: must have only"),
    (m.ndcg, ([], [], []), "scores: is empty"),
    (m.ndcg, ([1, 2], [1], G), "gains: has 1"),
    (m.ndcg, ([1, 2], [0, -1], G), "gains: must be finite"),
    (m.ndcg, ([1, 2], [0, np.inf], G), "gains: must be finite"),
    (m.ndcg, ([1, 2], [0, 0], G), "gains: is 0 everywhere"),
    (m.ndcg, ([1, 2], [0, 1], G, 1.5), "k: is 1.5"),
    (m.retrieval_accuracy, ([], []), "queries: is empty"),
    (m.retrieval_accuracy, (np.ones((2, 3)), np.ones((1, 3))), "queries: has shape"),
    (m.retrieval_accuracy, ([[1.0]], [[np.inf]]), "documents: must be finite"),
]


@pytest.mark.parametrize("function, arguments, says", WRONG)
def test_wrong_values_are_named(function, arguments, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        function(*arguments)


@pytest.mark.parametrize(
    "function, arguments, says",
    [
        (m.spans, ("B-PER",), "tags: is a text"),
        (m.spans, (["O", 1],), r"tags\[1\]: is a int"),
        (m.span_f1, (["O"], [["O"]]), r"found\[0\]: is a text"),
        (m.exact_match, (["x"], ["x"]), r"right\[0\]: is 'x'"),
        (m.answer_f1, ([None], [["x"]]), r"found\[0\]: is a NoneType"),
        (m.ndcg, ([1], [1], [["a"]]), r"groups\[0\]: is a list"),
    ],
)
def test_wrong_types_are_named(function, arguments, says):
    with pytest.raises(TypeError, match=f"^{says}"):
        function(*arguments)
