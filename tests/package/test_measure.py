"""What `summary`, `evaluate` and `latency` state is what other counters find."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import pruning_lessons as pl

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make


@settings(max_examples=15, deadline=None)
@given(
    keep=st.floats(0, 1),
    seed=st.integers(0, 99),
    length=st.integers(2, 30),
    task=st.sampled_from(["intents", "fill-mask"]),
)
def test_summary_counts_what_torch_counts(keep, seed, length, task):
    model = make(task=task, attention="eager")  # torch's counter sees eager attention's products
    masks = pl.random_masks(model, keep, seed=seed)
    masks.heads[0] |= ~masks.heads.any()
    model = pl.prune(model, masks)
    found = pl.summary(model, length=length)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randint(5, 99, (1, length)))
    assert 2 * found.macs == counter.get_total_flops()
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.bytes == 4 * found.parameters
    assert sum(found.heads) == masks.heads.sum() and sum(found.neurons) == masks.neurons.sum()


def test_summary_shows_as_tables():
    found = pl.summary(make())
    assert (
        "attention" in repr(found)
        and '<th scope="row" style="text-align:left">attention' in found._repr_html_()
    )
    assert "24 × 24" in repr(found.layers())


def test_evaluate_agrees_with_a_plain_loop(embedded):
    model, tokenizer = embedded
    data = pl.load_intents("validation", limit=60, seed=1)
    right = []
    for text, label in zip(data.sentences, data.labels):
        with torch.no_grad():
            right.append(
                model(**tokenizer(text, return_tensors="pt")).logits.argmax().item() == label
            )
    found = pl.evaluate(model, tokenizer, data, batch_size=7)
    assert found.accuracy == pytest.approx(sum(right) / 60) and found.n == 60
    german = [r for r, language in zip(right, data.languages) if language == "de"]
    assert found.by_language["de"] == pytest.approx(sum(german) / len(german))


def test_evaluate_refuses_what_does_not_fit(embedded):
    data = pl.load_intents("test", limit=5)
    with pytest.raises(ValueError, match="data.*38 labels.*5"):
        pl.evaluate(make(), embedded[1], data)
    with pytest.raises(ValueError, match="no sentences"):
        pl.evaluate(*embedded, data.subset([]))


def test_latency_reports_and_restores():
    small, threads = make(), torch.get_num_threads()
    small.train()
    found = pl.latency({"a": small, "b": make(layers=6)}, repeats=5, warm_up=1, threads=1)
    assert found.ratio["a"] == 1 and found.ratio["b"] == pytest.approx(
        found.median["a"] / found.median["b"]
    )
    assert all(low <= found.median[k] <= high for k, (low, high) in found.quartiles.items())
    assert small.training and torch.get_num_threads() == threads
    assert "b" in repr(found) and "<table>" in found._repr_html_()
    with pytest.raises(ValueError, match="models"):
        pl.latency({})


def test_intents(embedded):
    data = pl.load_intents("train", ["de", "fr"], limit=50, seed=4)
    assert (
        len(data) == 50
        and set(data.languages) == {"de", "fr"}
        and data == pl.load_intents("train", ["de", "fr"], limit=50, seed=4)
    )
    batch = next(data.batches(embedded[1], 8))
    assert (
        batch["input_ids"].shape == batch["attention_mask"].shape
        and batch["labels"].tolist() == data.labels[:8]
    )
    with pytest.raises(ValueError, match="split.*dev"):
        pl.load_intents("dev")
    with pytest.raises(ValueError, match="languages.*xx.*zero_shot"):
        pl.load_intents("zero_shot", ["xx"])


def test_held_out_sentences_are_held_out():
    train = {s.casefold().strip(" .?") for s in pl.load_intents("train").sentences}
    for split in ("validation", "test", "zero_shot"):
        assert not train & {s.casefold().strip(" .?") for s in pl.load_intents(split).sentences}
    assert len(set(pl.load_intents("zero_shot").languages)) >= 10
    assert not set(pl.load_intents("zero_shot").languages) & set(pl.load_intents("train").languages)
