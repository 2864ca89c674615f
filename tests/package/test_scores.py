"""Scores of every task, on tiny models, against a plain computation; and what does not fit."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.models.tasks import labels_of

sys.path.insert(0, str(Path(__file__).parent))
from zoo import tiny

WORDS = "turn the kitchen light on and play some music in the bedroom now please".split()


@pytest.fixture(scope="module")
def tokenizer(embedded):
    return embedded[1]


def sentences(n, seed=0, length=6):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, 1 + i % length)) for i in range(n)]


def model_for(task, tokenizer, **changes):
    return tiny("xlm-roberta", task, vocab_size=len(tokenizer), **changes)


def plain(model, tokenizer, texts, pairs=None):
    """transformers' own output, one text at a time, without any padding."""
    found = []
    for i, text in enumerate(texts):
        other = pairs[i] if pairs else None
        encoded = tokenizer(text, other, return_tensors="pt", truncation=True, max_length=38)
        with torch.no_grad():
            found.append((encoded, model(**encoded)))
    return found


def test_several_labels(tokenizer):
    model, texts = model_for("multi-label", tokenizer), sentences(20)
    labels = (torch.rand(20, 5, generator=torch.Generator().manual_seed(0)) > 0.5).long()
    names = labels_of(model)
    found = pl.evaluate(model, tokenizer, pl.Texts(texts, labels.tolist(), None, names))
    logits = torch.cat([out.logits for _, out in plain(model, tokenizer, texts)])
    on = logits > 0
    both = (on & labels.bool()).sum()
    assert found.name == "micro_f1"
    assert found.score == pytest.approx(float(2 * both / (on.sum() + labels.sum())))


def test_numbers_and_rankings(tokenizer):
    model = model_for("regression", tokenizer)
    queries = [text for text in sentences(5) for _ in range(4)]
    documents = sentences(20, seed=1)
    gains = [float(i % 4 == 1) for i in range(20)]
    data = pl.Texts(queries, gains, None, None, documents)
    found = pl.evaluate(model, tokenizer, data)
    outs = [o.logits.item() for _, o in plain(model, tokenizer, queries, documents)]
    ranks = []
    for start in range(0, 20, 4):
        mine = outs[start : start + 4]
        ranks.append(1 / (1 + sum(score > mine[1] for score in mine)))
    assert list(found.scores) == ["spearman", "mrr", "ndcg"]
    assert found.mrr == pytest.approx(np.mean(ranks)) and 0 < found.ndcg <= 1


def test_tags(tokenizer):
    model = model_for(
        "tokens", tokenizer, id2label=dict(enumerate(["O", "B-A", "I-A", "B-B", "I-B"]))
    )
    words = [text.split() for text in sentences(12)]
    random = np.random.default_rng(3)
    labels = [random.integers(0, 5, len(row)).tolist() for row in words]
    names = labels_of(model)
    found = pl.evaluate(model, tokenizer, pl.Tagged(words, labels, None, names))
    hits, n, mine = 0, 0, []
    for row, right in zip(words, labels):
        encoded = tokenizer(row, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            best = model(**encoded).logits[0].argmax(-1).tolist()
        first = [encoded.word_ids(0).index(i) for i in range(len(row))]
        mine.append([names[best[i]] for i in first])
        hits += sum(best[i] == r for i, r in zip(first, right))
        n += len(row)
    seqeval = pytest.importorskip("seqeval.metrics")
    wanted = seqeval.f1_score([[names[i] for i in row] for row in labels], mine, zero_division=0)
    assert found.accuracy == pytest.approx(hits / n) and found.span_f1 == pytest.approx(wanted)


def test_answers(tokenizer):
    model = model_for("question-answering", tokenizer)
    questions, contexts = sentences(10, length=3), sentences(10, seed=5, length=9)
    answers = [[context.split()[0]] for context in contexts]
    data = pl.Questions(questions, contexts, answers, [[0]] * 10)
    found = pl.evaluate(model, tokenizer, data)
    exact = 0
    for (encoded, out), context, right in zip(
        plain(model, tokenizer, questions, contexts), contexts, answers
    ):
        kind = encoded.sequence_ids(0)
        places = [i for i, k in enumerate(kind) if k == 1]
        start, end = out.start_logits[0], out.end_logits[0]
        first, last = max(
            ((a, b) for a in places for b in places if a <= b < a + 30),
            key=lambda pair: float(start[pair[0]] + end[pair[1]]),
        )
        spans = tokenizer("x", context, return_offsets_mapping=True).offset_mapping
        shift = len(spans) - len(kind)  # another question before the same context
        text = context[spans[first + shift][0] : spans[last + shift][1]].strip()
        exact += text == right[0]
    assert found.exact_match == pytest.approx(exact / 10) and found.f1 >= found.exact_match


def test_masked_pieces(tokenizer):
    model, data = model_for("fill-mask", tokenizer), pl.mask_tokens(pl.Texts(sentences(9), None))
    found = pl.evaluate(model, tokenizer, data)
    hits, n = np.zeros(2), 0
    for one in data.batches(tokenizer, 1):
        with torch.no_grad():
            logits = model(one["input_ids"]).logits[one["counts"]]
        right = one["labels"][one["counts"]]
        best = logits.topk(5).indices
        hits += [(best == right[:, None]).any(1).sum(), (best[:, 0] == right).sum()]
        n += len(right)
    assert [found.top_5, found.top_1] == pytest.approx((hits / n).tolist())
    assert pl.evaluate(model, tokenizer, pl.Texts(sentences(9), None)).scores == found.scores


def test_vectors(tokenizer):
    model = model_for("embedding", tokenizer)
    data = pl.load_parallel(["de", "th"], limit=12)
    found = pl.evaluate(model, tokenizer, data)
    assert found.name == "retrieval" and set(found.by_language) == {"de", "th"}
    pairs = pl.Texts(sentences(8), [0.1 * i for i in range(8)], None, None, sentences(8, seed=2))
    assert -1 <= pl.evaluate(model, tokenizer, pairs).spearman <= 1
    assert pl.evaluate(model, tokenizer, data, reference=model).cosine == pytest.approx(1)


@pytest.mark.parametrize("task", pl.TASKS)
def test_a_model_agrees_with_itself(task, tokenizer):
    """Without labels, whatever the task: agreement with itself is whole, with another model not."""
    model, other = (model_for(task, tokenizer, seed=seed) for seed in (0, 1))
    data = pl.Texts(sentences(16), None)
    if task == "tokens":
        data = pl.Tagged([text.split() for text in sentences(16)], None)
    if task == "question-answering":
        data = pl.Questions(sentences(16, length=3), sentences(16, seed=4))
    assert pl.evaluate(model, tokenizer, data, reference=model).score == pytest.approx(1)
    assert pl.evaluate(other, tokenizer, data, reference=model).score < 0.999
    if task not in ("fill-mask",):
        with pytest.raises(ValueError, match="no labels"):
            pl.evaluate(model, tokenizer, data)


@pytest.mark.parametrize("task", pl.TASKS)
def test_layers_are_searched_without_labels(task, tokenizer):
    """Greedy, against cutting each layer for real and measuring the divergence."""
    from pruning_lessons.pruning.repair import divergences

    model = model_for(task, tokenizer)
    data = pl.Texts(sentences(24), None)
    if task == "tokens":
        data = pl.Tagged([text.split() for text in sentences(24)], None)
    if task == "question-answering":
        data = pl.Questions(sentences(24, length=3), sentences(24, seed=4))
    if task == "fill-mask":
        data = pl.mask_tokens(data)
    options = dict(progress=False, objective="loss")
    found = pl.greedy_layer_pruning(model, tokenizer, data, 1, **options)
    best = pl.best_layers(model, tokenizer, data, 1, **options)
    assert found.order == best.order and found.scores[0].loss == pytest.approx(best.scores[0].loss)
    if task != "fill-mask":  # its hidden pieces are labels
        batches = list(data.batches(tokenizer, 24))
        cut = [pl.prune(model, pl.layer_masks(model, [i])) for i in range(3)]
        losses = divergences(cut, model, batches)
        assert found.order == [int(np.argmin(losses))]
        assert found.scores[0].loss == pytest.approx(min(losses), rel=1e-3)


def test_labels_are_compared_by_name(tokenizer):
    """Labels in another order score as they should; of another kind or name they are refused."""
    names = ["a", "b", "c", "d", "e"]
    model = model_for("classification", tokenizer, id2label=dict(enumerate(names)))
    texts, labels = sentences(20), [i % 5 for i in range(20)]
    there = pl.evaluate(model, tokenizer, pl.Texts(texts, labels, None, names)).accuracy
    turned = pl.Texts(texts, [4 - i for i in labels], None, names[::-1])
    assert pl.evaluate(model, tokenizer, turned).accuracy == there
    with pytest.raises(ValueError, match="labels that the model does not know.*'x'"):
        pl.evaluate(model, tokenizer, pl.Texts(texts, labels, None, ["x", *names[1:]]))
    with pytest.raises(ValueError, match="data: labels are numbers.*'classification'.*classes"):
        pl.evaluate(model, tokenizer, pl.Texts(texts, [0.5] * 20, None, None))
    with pytest.raises(AttributeError, match="no 'span_f1'.*accuracy"):
        _ = pl.evaluate(model, tokenizer, turned).span_f1
