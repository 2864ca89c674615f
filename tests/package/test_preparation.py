"""Another checkpoint is fine-tuned once, and kept."""

import sys
from pathlib import Path

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.models.checkpoints import label_names
from pruning_lessons.recovery import training
from pruning_lessons.teaching import preparation

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make_pretrained


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A small network with the course's tokenizer and no head for intents, as XLM-R comes from the
    hub.
    """
    monkeypatch.setenv("PRUNING_LESSONS_CACHE", str(tmp_path / "cache"))
    return make_pretrained(tmp_path / "pretrained")


def test_the_embedded_model_is_ready(monkeypatch):
    monkeypatch.setattr(preparation, "fine_tune", None)  # nothing may be trained
    assert pl.prepare() == "embedded"


def test_trained_once_and_found_again(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PRUNING_LESSONS_CHECKPOINT", str(checkpoint))
    folder = pl.prepare(limit=64, epochs=1, progress=False)
    assert "fine-tuned now" in capsys.readouterr().out and folder.is_relative_to(tmp_path / "cache")
    assert [f.name for f in (tmp_path / "cache").iterdir()] == [folder.name]
    model, tokenizer = pl.load(folder)
    assert [model.config.id2label[i] for i in range(model.config.num_labels)] == label_names()
    pl.evaluate(model, tokenizer, pl.load_intents("test", limit=10))
    pl.load(task="fill-mask")  # from the checkpoint itself
    monkeypatch.setattr(preparation, "fine_tune", None)
    assert pl.prepare() == pl.prepare(checkpoint) == folder
    assert pl.prepare(folder) == folder  # knows the intents already


def test_interrupted_it_goes_on(checkpoint, tmp_path, monkeypatch):
    options = dict(limit=96, epochs=2, progress=False)
    whole = pl.load(pl.prepare(checkpoint, **options))[0].state_dict()
    monkeypatch.setenv("PRUNING_LESSONS_CACHE", str(tmp_path / "other"))
    clip, calls = training.clip_grad_norm_, []

    def interrupt(*args, **options):
        calls.append(1)
        if len(calls) == 5:  # three steps an epoch
            raise KeyboardInterrupt
        return clip(*args, **options)

    monkeypatch.setattr(training, "clip_grad_norm_", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pl.prepare(checkpoint, **options)
    with pytest.raises(KeyboardInterrupt):  # with other arguments it begins anew
        calls.clear()
        pl.prepare(checkpoint, **options | dict(limit=80))
    again = pl.load(pl.prepare(checkpoint, **options))[0].state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert len(list((tmp_path / "other").iterdir())) == 1  # nothing of the trainings is left


def test_labels_of_its_own_are_refused(tmp_path):
    from conftest import make, small_tokenizer

    folder = pl.save(make(), small_tokenizer(), tmp_path / "own")
    with pytest.raises(ValueError, match="labels of its own.*lesson 08"):
        pl.prepare(folder)
    with pytest.raises(ValueError, match="no folder"):
        pl.prepare(tmp_path / "nothing")
