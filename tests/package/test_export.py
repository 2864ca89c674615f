"""What is exported answers like PyTorch, at any batch and length, without PyTorch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.shipping import export
from pruning_lessons.shipping.onnx_classifier import OnnxClassifier

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make

SENTENCES = [
    "turn on the light",
    "Wie spät ist es?",
    "stop",
    "¿qué tiempo hace mañana en Sevilla, por favor?",
]


@pytest.fixture(scope="module")
def small(embedded):
    """Uneven, with a layer without heads, one without neurons, one gone, and fewer pieces."""
    model, tokenizer = embedded
    masks = pl.random_masks(model, 0.3, seed=2)
    masks.heads[0], masks.neurons[1], masks.layers[2] = False, False, False
    masks.layers[4:] = False
    return pl.prune_vocabulary(pl.prune(model, masks), tokenizer, SENTENCES)


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    return pl.export_onnx(*small, tmp_path_factory.mktemp("export") / "model")


def test_it_answers_like_pytorch(small, folder):
    model, tokenizer = small
    classifier = OnnxClassifier(folder, threads=1)
    for texts in (SENTENCES, SENTENCES[:1], ["stop"], SENTENCES * 5):
        with torch.no_grad():
            expected = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.numpy()
        assert np.abs(classifier.logits(texts) - expected).max() < 1e-4
    label, share = classifier(SENTENCES)[1]
    assert label == model.config.id2label[int(expected[1].argmax())] and 0 < share <= 1


def test_it_needs_no_torch(folder):
    code = """
import sys
class Block:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in ("torch", "transformers", "pruning_lessons"):
            raise ImportError(name)
sys.meta_path.insert(0, Block())
sys.argv = ["classify.py", "turn on the light", "stop"]
import runpy
runpy.run_path("classify.py", run_name="__main__")
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.count("→") == 2, run.stderr


def test_int8_is_smaller_and_close(folder):
    before = OnnxClassifier(folder).logits(SENTENCES)
    file = pl.quantize_onnx(folder)
    assert file.stat().st_size < 0.6 * (folder / "model.onnx").stat().st_size
    after = OnnxClassifier(folder, quantized=True).logits(SENTENCES)
    assert 0 < np.abs(after - before).max() < 0.3 * np.abs(before).max()
    assert sorted(p.name for p in folder.iterdir()) == [
        "classify.py",
        "model-int8.onnx",
        "model.onnx",
        "settings.json",
        "tokenizer.json",
    ]


def test_a_failed_export_leaves_what_was_there(small, folder, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    monkeypatch.setattr(
        export, "_write_model", lambda *a: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        pl.export_onnx(*small, folder)
    assert (
        before == {p.name: p.read_bytes() for p in folder.iterdir()}
        and len(list(folder.parent.iterdir())) == 1
    )


def test_bad_input(small, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(ValueError, match="folder.*other things"):
        pl.export_onnx(*small, tmp_path)
    with pytest.raises(TypeError, match="classifier"):
        pl.export_onnx(make(task="fill-mask"), small[1], tmp_path / "x")
    with pytest.raises(ValueError, match="no model.onnx"):
        pl.quantize_onnx(tmp_path)
    with pytest.raises(ValueError, match="no model.onnx.*export_onnx"):
        OnnxClassifier(tmp_path)
