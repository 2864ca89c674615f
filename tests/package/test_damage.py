"""Checksums, full disks, and the checks at the entry of functions."""

import errno
import json
import sys
import warnings
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

import pruning_lessons as pl
from pruning_lessons.models.checks import arguments, one_of, seed, whole
from pruning_lessons.models.disk import disk_errors

sys.path.insert(0, str(Path(__file__).parent))
from conftest import logits, make, small_tokenizer


@pytest.fixture
def folder(tmp_path):
    return pl.save(make(), small_tokenizer(), tmp_path / "model")


def test_one_flipped_bit_is_seen_wherever_it_is(folder):
    """Most of them change a weight, and nothing else would notice."""
    file, random = folder / "model.safetensors", Random(0)
    whole_file, wanted = file.read_bytes(), pl.load(folder)[0].state_dict()
    refused = 0
    for _ in range(40):
        content = bytearray(whole_file)
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        file.write_bytes(content)
        try:
            found = pl.load(folder)[0].state_dict()
        except ValueError as error:
            assert "checkpoint:" in str(error) and "model.safetensors" in str(error)
            refused += 1
        else:
            assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert refused > 30


def test_a_file_that_was_edited_is_named_and_read(folder):
    config = json.loads((folder / "config.json").read_text())
    config["id2label"]["0"] = "mine"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.warns(UserWarning, match="another config.json than was saved.*edited"):
        assert pl.load(folder)[0].config.id2label[0] == "mine"


def test_transformers_may_read_and_write_over_it(folder):
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.out_proj.bias.add_(1)
    model.save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(logits(pl.load(folder)[0]), logits(model.eval()))


def test_a_full_disk_is_named_whatever_was_writing():
    for said in (
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: File too large (os error 27)"),
    ):
        with pytest.raises(OSError, match="folder: 'out' cannot be written to") as raised:
            with disk_errors("folder", "out"), disk_errors("folder", "out"):
                raise said
        assert raised.value.errno in (errno.ENOSPC, errno.EFBIG) and raised.value.__cause__ is said
    with pytest.raises(PermissionError, match="mine"), disk_errors("folder", "out"):
        raise PermissionError(errno.EACCES, "mine")


def test_arguments_are_checked_and_made_plain():
    @arguments(n=whole(most=9), seed=seed, how=one_of(["a", "b"]), limit=whole())
    def call(n, seed=0, how="a", limit=None):
        return n, seed, how, limit

    assert call(np.uint8(3), np.int64(-5)) == (3, -5, "a", None)
    assert type(call(np.uint8(3))[0]) is int and call.__name__ == "call"
    for wrong in (
        dict(n=True),
        dict(n=10),
        dict(n=1, seed=1.5),
        dict(n=1, how=[]),
        dict(n=1, limit=0),
        dict(n=None),
    ):
        name = list(wrong)[-1]
        with pytest.raises(ValueError, match=f"^{name}: is "):
            call(**wrong)
    with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
        call(m=3)


def test_a_model_of_two_types_and_one_of_none_are_refused():
    model = make()
    model.roberta.encoder.layer[1].half()
    with pytest.raises(TypeError, match="^model: has weights in float16 and float32"):
        pl.summary(model)
    with pytest.raises(ValueError, match="^model: has no values.*meta"):
        pl.prune_weights(make().to("meta"), 0.5)
    with pytest.raises(TypeError, match="^original: is a 'int'"):
        pl.repair(make(), 3, [])
