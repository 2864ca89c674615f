"""Saved and loaded again: bit for bit, or a clear refusal."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

import pruning_lessons as pl
from pruning_lessons.models.checkpoints import EMBEDDED

sys.path.insert(0, str(Path(__file__).parent))
from conftest import logits, make, small_tokenizer

SENTENCES = [
    "The cat sat on the mat",
    "Bill bought Oreos and salad. He also paid in cash.",
    "Hello, i am looking <mask> Jammie",
    "Zażółć gęślą jaźń",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "съешь ещё этих мягких французских булок",
    "你好，请打开客厅的灯",
    "صباح الخير، كيف حالك؟",
    "สวัสดีครับ",
]


def same(a, b):
    return a.state_dict().keys() == b.state_dict().keys() and all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values())
    )


def uneven(model):
    masks = pl.random_masks(model, 0.4, seed=5)
    masks.heads[1], masks.neurons[2], masks.layers[0] = False, False, False
    return pl.prune(model, masks)


@pytest.mark.parametrize(
    "task, auto",
    [("intents", AutoModelForSequenceClassification), ("fill-mask", AutoModelForMaskedLM)],
)
@pytest.mark.parametrize("change", [uneven, lambda model: model])
def test_save_then_load_is_bit_equal(tmp_path, task, auto, change):
    model, words = change(make(task=task)), small_tokenizer()
    folder = pl.save(model, words, tmp_path / "model")
    for again in (pl.load(folder)[0], auto.from_pretrained(folder)):
        assert (
            type(again) is type(model)
            and same(again, model)
            and torch.equal(logits(again.eval()), logits(model))
        )
    again = AutoTokenizer.from_pretrained(folder)
    assert again("turn on the light") == words("turn on the light")
    assert not list(tmp_path.glob(".*")) and not list(folder.glob("*.bin"))


def test_the_embedded_model_survives_the_whole_way(tmp_path, embedded):
    small = uneven(embedded[0])
    again, tokenizer = pl.load(pl.save(small, embedded[1], tmp_path / "small"))
    assert same(again, small) and again.config.id2label == embedded[0].config.id2label
    twice, _ = pl.load(
        pl.save(pl.prune(again, pl.random_masks(again, 0.5)), tokenizer, tmp_path / "small")
    )
    assert pl.summary(twice).macs < pl.summary(again).macs


def test_bad_checkpoints_are_refused(tmp_path):
    with pytest.raises(ValueError, match="task.*'translate'.*fill-mask"):
        pl.load(task="translate")
    with pytest.raises(ValueError, match="no folder"):
        pl.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="no config.json"):
        pl.load(tmp_path)
    with pytest.raises(ValueError, match="someone/some-model.*network.*embedded"):
        pl.load("someone/some-model")
    with pytest.raises(ValueError, match="size.*huge.*base"):
        pl.untrained("huge")
    folder = pl.save(make(), small_tokenizer(), tmp_path / "model")
    with pytest.raises(ValueError, match="task='fill-mask'"):
        pl.load(folder, task="fill-mask")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="checkpoint.*model.safetensors.*truncated"):
        pl.load(folder)
    weights.write_bytes(b"no tensors here" * 99)
    with pytest.raises(ValueError, match="truncated or corrupted"):
        pl.load(folder)
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="only safetensors"):
        pl.load(folder)


def test_environment_variable_changes_the_default(tmp_path, monkeypatch):
    folder = pl.save(make(), small_tokenizer(), tmp_path / "mine")
    monkeypatch.setenv("PRUNING_LESSONS_CHECKPOINT", str(folder))
    assert pl.load()[0].config.hidden_size == 24


def test_untrained_has_the_size_it_says():
    model, tokenizer = pl.untrained("base")
    assert pl.summary(model).parameters > 270e6 and pl.summary(model).heads == [12] * 12
    assert max(tokenizer("turn on the light").input_ids) < model.config.vocab_size


def test_the_embedded_checkpoint(embedded):
    model, tokenizer = embedded
    assert not model.training and next(model.parameters()).dtype == torch.float32
    assert not any(tokenizer.unk_token_id in ids for ids in tokenizer(SENTENCES).input_ids)
    assert tokenizer.mask_token_id in tokenizer(SENTENCES[2]).input_ids
    size = sum(f.stat().st_size for f in EMBEDDED.iterdir())
    assert size < 60e6 and all(f.stat().st_size < 45e6 for f in EMBEDDED.iterdir())
    assert pl.evaluate(model, tokenizer, pl.load_intents("test", limit=400)).accuracy > 0.9
    assert 0.6 < pl.evaluate(model, tokenizer, pl.load_intents("zero_shot", limit=400)).accuracy
    filler, _ = pl.load(task="fill-mask")
    batch = tokenizer("turn on the <mask> in the kitchen", return_tensors="pt")
    with torch.no_grad():
        found = (
            filler(**batch)
            .logits[0, batch.input_ids[0].tolist().index(tokenizer.mask_token_id)]
            .topk(5)
            .indices
        )
    assert any("light" in word for word in tokenizer.convert_ids_to_tokens(found.tolist()))


def test_import_is_light():
    code = (
        "import sys, pruning_lessons; "
        "print([m for m in ('matplotlib', 'ipywidgets', 'bertviz') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
