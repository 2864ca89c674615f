"""The README's lines, unchanged but for the data, on six checkpoints of plain transformers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.models.tasks import dense

sys.path.insert(0, str(Path(__file__).parent))
from test_scores import sentences
from zoo import tiny

NAMES = ["O", "B-ROOM", "I-ROOM", "B-THING", "I-THING"]
N = 160


def data_of(task: str):
    """Something to learn: what the answer is can be read off the words."""
    texts = sentences(N, length=8)
    light = [int("light" in text) for text in texts]
    music = [int("music" in text) for text in texts]
    if task == "tokens":
        kinds = {"kitchen": 1, "bedroom": 1, "light": 3, "music": 3}
        words = [text.split() for text in texts]
        return pl.Tagged(words, [[kinds.get(w, 0) for w in row] for row in words], None, NAMES)
    if task == "question-answering":
        contexts = [f"{text} in the kitchen" for text in texts]
        starts = [[len(context) - len("kitchen")] for context in contexts]
        return pl.Questions(["where"] * N, contexts, [["kitchen"]] * N, starts)
    if task == "multi-label":
        names = ["light", "music", "c", "d", "e"]
        rows = [[a, b, 0, 0, 1] for a, b in zip(light, music)]
        return pl.Texts(texts, rows, None, names)
    if task == "regression":
        return pl.Texts(
            ["light"] * N, [a + 0.5 * b for a, b in zip(light, music)], None, None, texts
        )
    if task == "classification":
        names = ["neither", "light", "music", "both", "e"]
        labels = [a + 2 * b for a, b in zip(light, music)]
        return pl.Texts(texts, labels, None, names, [t.upper() for t in texts])
    return pl.Texts(texts)


@pytest.mark.parametrize("task", [t for t in pl.TASKS if t != "fill-mask"])
def test_the_seven_lines(task, tmp_path, embedded):
    data, tokenizer = data_of(task), embedded[1]
    names = dict(enumerate(getattr(data, "label_names", None) or NAMES))
    changes = {} if task in ("regression", "question-answering") else {"id2label": names}
    plain = tiny("xlm-roberta", task, vocab_size=len(tokenizer), num_hidden_layers=2, **changes)
    plain.save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")

    model, tokenizer = pl.load(tmp_path / "plain")
    assert pl.task_of(model).name == task
    if pl.TASKS[task].needs_labels:
        options = dict(epochs=10, learning_rate=3e-3, freeze_embeddings=False, progress=False)
        pl.fine_tune(model, tokenizer, data, **options)
    batches = list(data.batches(tokenizer, max_length=38))
    scores = pl.importance(model, batches)
    masks = pl.select(scores, model, keep_macs=0.5)
    small = pl.prune(model, masks)
    small = pl.repair(small, model, batches)
    found = pl.evaluate(small, tokenizer, data, reference=model)
    print(found)
    print(pl.latency({"before": model, "after": small}, repeats=2, warm_up=1))
    pl.save(small, tokenizer, tmp_path / "small")

    assert found.score > 0.5  # agreement with the model it comes from
    if pl.TASKS[task].needs_labels and task != "regression":
        chance = pl.evaluate(plain, tokenizer, data).score
        assert pl.evaluate(small, tokenizer, data).score > chance
    assert pl.summary(small).macs < 0.6 * pl.summary(model).macs
    again, _ = pl.load(tmp_path / "small")
    one = batches[0]
    with torch.no_grad():
        wanted = dense(small, one)
        assert torch.equal(dense(again, one), wanted)
    folder = pl.export_onnx(small, tokenizer, tmp_path / "serve")
    served = pl.OnnxModel(folder)
    assert np.abs(served.dense(one) - wanted.numpy()).max() < 1e-4
    mine, theirs = (pl.evaluate(m, tokenizer, data, reference=model) for m in (small, served))
    assert mine.scores == pytest.approx(theirs.scores, abs=0.01)
    script = (
        "import sys; sys.modules['torch'] = None; import runpy; runpy.run_path(sys.argv.pop(1), "
    )
    script += "run_name='__main__')"
    answer = next(folder.glob("*.py"))
    command = [sys.executable, "-c", script, answer, "turn the light on"]
    if task in ("classification", "regression", "question-answering"):
        command += ["--pair", "music in the kitchen"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0 and run.stdout.strip(), run.stderr
