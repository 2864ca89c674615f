"""The command, from arguments to the folder to serve, on tiny models."""

import contextlib
import csv
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from conftest import small_tokenizer
from zoo import tiny

import pruning_lessons as pl
from pruning_lessons.shipping import run as runs
from pruning_lessons.shipping import run_state
from pruning_lessons.shipping.command import in_one_line, main, parser
from pruning_lessons.shipping.ruler import choose, difference
from pruning_lessons.shipping.split import percentile, split

ROOT = Path(pl.__file__).parents[1]
FAST = ["--quiet", "--threads", "1", "--repeats", "2", "--keep", "0.7", "0.4"]
LABELS = ["O", "B-a", "I-a", "B-b", "I-b"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("command")


def checkpoint(place, task):
    """A tiny model, in a folder; a classifier's answers are of all classes."""
    folder = place / task
    if not folder.exists():
        model = tiny("xlm-roberta", task, vocab_size=99)
        if task in ("classification", "multi-label", "tokens"):
            model.config.id2label = dict(enumerate(LABELS))
            model.config.label2id = {name: i for i, name in enumerate(LABELS)}
        if task == "classification":
            with torch.no_grad():
                model.classifier.out_proj.bias -= logits(model).mean(0)
        pl.save(model, small_tokenizer(), folder)
    return folder


def logits(model):
    with torch.no_grad():
        batches = pl.Texts(sentences()).batches(small_tokenizer(), 120)
        return pl.outputs(model, next(batches))


def sentences(n=120, seed=0):
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(80)}" for _ in range(draw.randint(3, 9))) for _ in range(n)]


def table(place, name="texts.csv", n=120):
    """Texts with the model's answers as labels, some of them wrong."""
    file, draw = place / name, random.Random(1)
    answers = logits(pl.load(checkpoint(place, "classification"))[0]).argmax(-1).tolist()
    answers = [LABELS[i] if draw.random() < 0.8 else draw.choice(LABELS) for i in answers]
    answers += draw.choices(LABELS, k=n - 120)
    with open(file, "w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["say", "label", "lang"])
        rows = zip(sentences(n), answers)
        out.writerows([text, label, draw.choice(["en", "de"])] for text, label in rows)
    return file


def plain(place):
    file = place / "texts.txt"
    file.write_text("\n\n".join(sentences()) + "\n", encoding="utf-8")
    return file


def report_of(out, times=False):
    report = json.loads((out / "report.json").read_text("utf-8"))
    return report if times else {k: v for k, v in report.items() if k not in ("times", "notes")}


@pytest.fixture(scope="module")
def finished(place):
    """(arguments, folder) of a run on a labelled table, and what it said."""
    out, folder, file = place / "out", checkpoint(place, "classification"), table(place)
    arguments = [str(folder), str(file), "--text", "say", "--language", "lang", *FAST]
    arguments += ["--distill", "1", "--points", "100"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main([*arguments, "--out", str(out)]) == 0
    return arguments, out, said.getvalue()


def test_a_labelled_table_from_start_to_end(place, finished, tmp_path, capsys):
    arguments, first, said = finished
    out = tmp_path / "out"
    shutil.copytree(first, out)
    folder, file = arguments[:2]
    report = report_of(out, times=True)
    assert report["texts"] == {
        "calibration": 72,
        "validation": 24,
        "test": 24,
        "for scores and repair": 72,
    }
    assert 0.7 < report["whole"]["value"] < 1
    assert [size["keep"] for size in report["sizes"]] == [0.7, 0.4] and report["chosen"] == 0.4
    for size in report["sizes"]:
        tried = [size[how] for how in ("cut", "repaired", "distilled")]
        assert size["value"] == max(tried) == size[size["kept"]]
        assert abs(size["macs"] - size["keep"]) < 0.15
    assert (
        set(report["times"]["milliseconds"]) == set(report["forms"]) and len(report["forms"]) == 6
    )
    factors = report["times"]["factors"]
    product = factors["runtime"] * factors["int8"] * factors["pruning"]
    assert factors["product"] == pytest.approx(product)
    assert set(report["test"]["served"]["by_language"]) == {"de", "en"}
    for text in ("points ± error", "Runtime", "served", "pruned, ONNX int8"):
        assert text in said

    assert (out / "front.png").read_bytes().startswith(b"\x89PNG")
    words = (out / "report.md").read_text("utf-8")
    assert "![Accuracy on validation against milliseconds" in words and "Circled" in words
    assert "| test," in (out / "serve" / "README.md").read_text("utf-8")

    # what is reported is what is there
    model, tokenizer = pl.load(out / "model")
    whole, _ = pl.load(folder)
    data = pl.read_csv(file, "say", language="lang", model=whole)
    parts = split(data, 0)
    chosen = report["sizes"][1]
    assert pl.evaluate(model, tokenizer, parts["validation"]).score == chosen["value"]
    assert report["test"]["whole"]["value"] == pl.evaluate(whole, tokenizer, parts["test"]).score
    served = pl.OnnxModel(out / "serve", quantized="int8" in report["served"], threads=1)
    found = pl.evaluate(served, None, parts["test"], batch_size=1).score
    assert report["test"]["served"]["value"] == found

    # again: nothing is worked out, the same is said, but for times, if they are asked for
    before = (out / "state" / "run.json").read_bytes()
    arguments = [*arguments, "--out", str(out)]
    assert main(arguments) == 0
    assert capsys.readouterr().out == said.replace(str(first), str(out))
    assert (out / "state" / "run.json").read_bytes() == before
    assert main([*arguments, "--time-again"]) == 0
    assert report_of(out) == report_of(first)
    assert report_of(out, times=True)["times"] != report["times"]
    capsys.readouterr()

    # other arguments, other texts, a second run at work: said, and nothing is touched
    assert main([*arguments, "--points", "3"]) == 2
    wrong = capsys.readouterr().err
    assert "--points (was 100.0, is 3.0)" in wrong and "--fresh" in wrong
    with run_state.alone(out / "state"):
        assert main(arguments) == 2
    assert "another run is at work" in capsys.readouterr().err
    arguments[1] = str(table(place, "other.csv", n=130))
    assert main(arguments) == 2
    assert "another TEXTS" in capsys.readouterr().err
    (out / "mine.txt").write_text("mine")
    (out / "state" / "mine.txt").write_text("mine")
    (out / "serve" / "mine.txt").write_text("mine")
    assert main([*arguments, "--no-onnx", "--fresh"]) == 0
    assert os.listdir(out / "serve") == ["mine.txt"]  # nothing that is of another run
    assert sum(n for name, n in report_of(out)["texts"].items() if "for" not in name) == 130
    assert (out / "mine.txt").read_text() == (out / "state" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "task", ["multi-label", "regression", "fill-mask", "embedding", "question-answering"]
)
def test_texts_without_labels(place, tmp_path, task):
    file, out = plain(place), tmp_path / "out"
    if task == "question-answering":
        file = place / "questions.jsonl"
        rows = [{"question": s[:5], "context": s} for s in sentences()]
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    arguments = [str(checkpoint(place, task)), str(file), "--out", str(out), *FAST, "--no-onnx"]
    assert main(arguments) == 0
    report = report_of(out)
    assert report["served"] == "pruned, PyTorch" and not (out / "serve").exists()
    if task == "fill-mask":  # hidden pieces are labels
        assert report["score"] == "top_5"
    else:
        assert report["score"].startswith("agreement")
        assert report["whole"]["value"] == pytest.approx(1)
    if task == "embedding":
        assert report["score"].endswith("cosine")
        assert "| 1.000 |" in (out / "report.md").read_text("utf-8")


def test_tagged_words_and_dropped_layers(place, tmp_path):
    file, draw = place / "words.conll", random.Random(2)
    rows = ["\n".join(f"{w} {draw.choice(LABELS)}" for w in s.split()) for s in sentences()]
    file.write_text("\n\n".join(rows) + "\n", encoding="utf-8")
    arguments = [str(checkpoint(place, "tokens")), str(file), "--out", str(tmp_path / "out")]
    assert main([*arguments, *FAST, "--no-onnx", "--drop", "1", "--keep", "0.6", "0.3"]) == 0
    report = report_of(tmp_path / "out")
    assert report["score"] == "span_f1" and len(report["layers dropped"]) == 1
    model, _ = pl.load(tmp_path / "out" / "model")
    assert model.config.num_hidden_layers == 2
    agreement = [*arguments[:3], str(tmp_path / "agreement"), *FAST, "--no-onnx", "--no-labels"]
    assert main(agreement) == 0
    assert report_of(tmp_path / "agreement")["whole"]["value"] == 1


def test_pairs_that_compete_stay_together():
    texts = [f"query {i // 4}" for i in range(400)]
    data = pl.Texts(texts, [float(i % 2) for i in range(400)], pairs=sentences(400))
    data.sentences[::2] = [text.upper() + " " for text in data.sentences[::2]]
    parts = split(data, 0)
    keys = {name: {s.strip().lower() for s in part.sentences} for name, part in parts.items()}
    assert not keys["test"] & keys["validation"] and not keys["test"] & keys["calibration"]
    assert [len(part) for part in parts.values()] == [240, 80, 80]
    again = split(data.subset(range(399, -1, -1)), 0)  # the order of rows does not matter
    assert {s.strip().lower() for s in again["test"].sentences} == keys["test"]
    assert {s.strip().lower() for s in split(data, 1)["test"].sentences} != keys["test"]
    with pytest.raises(ValueError, match="TEXTS: has 12 rows with 12 different.*at least 50"):
        split(pl.Texts(sentences(12)), 0)
    with pytest.raises(ValueError, match="TEXTS: its .* part would have"):
        split(pl.Texts([*sentences(60), *["the same"] * 600]), 0)


def test_choice_and_noise():
    size = lambda keep, score: {"keep": keep, "best": {"score": score}}
    sizes = [size(0.6, 0.90), size(0.3, 0.895), size(0.15, 0.85)]
    assert choose({"score": 0.905}, sizes, 1.0) == (sizes[1], True)
    assert choose({"score": 0.905}, sizes, 0.5) == (sizes[0], True)
    assert choose({"score": 0.95}, sizes, 1.0) == (sizes[0], False)
    assert choose({"score": 0.95}, [size(0.6, float("nan")), sizes[2]], 1.0) == (sizes[2], False)
    # for a mean, the jackknife of groups of one is the usual standard error
    draw = random.Random(0)
    one, other = ([float(draw.random() < p) for _ in range(20)] for p in (0.9, 0.7))
    mean = lambda values: sum(values) / len(values)
    measured = [
        {"score": mean(v), "left_out": [mean(v[:i] + v[i + 1 :]) for i in range(20)]}
        for v in (one, other)
    ]
    gaps = [b - a for a, b in zip(one, other)]
    usual = (sum((g - mean(gaps)) ** 2 for g in gaps) / 19 / 20) ** 0.5
    assert difference(*measured)["error"] == pytest.approx(100 * usual)
    assert difference(*measured)["points"] == pytest.approx(100 * mean(gaps))
    assert percentile(list(range(1, 101)), 0.95) == 95 and percentile([7], 0.95) == 7


class Crash(Exception):
    pass


@pytest.mark.parametrize("written", [False, True])
def test_a_run_that_crashes_at_every_stage(place, tmp_path, monkeypatch, written):
    """After each stage, before or after it is noted: what comes out is the same."""
    arguments = [str(checkpoint(place, "classification")), str(table(place)), "--text", "say"]
    arguments += [*FAST, "--no-onnx", "--distill", "1", "--drop", "1", "--keep", "0.5"]
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    stage, write, done = run_state.State.stage, run_state.State._write, []

    def crashing(self, name, work):
        if name in self.done or name in done:
            return stage(self, name, work)
        done.append(name)
        if not written:
            monkeypatch.setattr(run_state.State, "_write", lambda self: None)
        stage(self, name, work)
        monkeypatch.setattr(run_state.State, "_write", write)
        raise Crash(name)

    monkeypatch.setattr(run_state.State, "stage", crashing)
    out = tmp_path / "crashing"
    for _ in range(20):
        try:
            assert main([*arguments, "--out", str(out)]) == 0
            break
        except Crash:
            pass
    assert len(done) == 8
    assert report_of(out) == report_of(tmp_path / "whole")


def test_a_run_that_is_killed_goes_on(finished, tmp_path):
    arguments, whole, _ = finished
    out, stages = tmp_path / "killed", random.randrange(1, 10)
    command = [sys.executable, "-m", "pruning_lessons", *arguments, "--out", str(out)]
    paths = os.pathsep.join([str(ROOT / "tests" / "guard"), str(ROOT)])
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths})
    note = out / "state" / "run.json"
    while process.poll() is None:
        if note.is_file() and len(json.loads(note.read_text("utf-8"))["done"]) >= stages:
            time.sleep(random.random() / 5)
            process.kill()
            break
        time.sleep(0.01)
    process.wait()
    assert not (out / "report.json").exists() or process.returncode == 0
    assert main([*arguments, "--out", str(out), "--resume"]) == 0
    assert report_of(out) == report_of(whole), stages


@pytest.mark.parametrize(
    "more, said",
    [
        (["--keep", "1.5"], "--keep: is 1.5"),
        (["--keep", "0.5", "0.5"], "--keep: is 0.5 0.5"),
        (["--points", "-1"], "--points: is -1"),
        (["--drop", "3"], "--drop: is 3, must be below the model's 3 layers"),
        (["--drop", "2", "--keep", "0.5"], "--keep: has 0.5, and --drop 2 leaves 0.33"),
        (["--length", "900"], "--length: is 900, the model reads"),
        (["--calibration", "3"], "--calibration: is 3"),
        (["--task", "tokens"], "CHECKPOINT: "),
        (["--text", "missing"], "--text: "),
        (["--label", "lang"], "CHECKPOINT: knows"),
        (["--label-names", "a", "b"], "--label-names: are a b, must be 5"),
        (["--label-names", *"abcde"], "--label-names: are given, and the model has its own"),
        (["--separator", "ab"], "--separator: is 'ab'"),
        (["--encoding", "nonsense"], "--encoding: is 'nonsense'"),
        (["--resume"], "--resume: "),
    ],
)
def test_wrong_arguments_are_one_line(place, tmp_path, capsys, more, said):
    out = tmp_path / "out"
    arguments = [str(checkpoint(place, "classification")), str(table(place)), "--out", str(out)]
    assert main([*arguments, "--text", "say", "--quiet", *more]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1
    assert not out.exists()


def test_wrong_files_and_folders(place, tmp_path, capsys):
    folder, file, out = checkpoint(place, "classification"), table(place), tmp_path / "out"
    for one, texts, said in (
        (tmp_path / "no-folder", file, "CHECKPOINT: there is no folder"),
        (folder, tmp_path / "none.csv", "TEXTS: there is no file"),
        (folder, folder, "TEXTS: is "),
        (folder, "parallel", "TEXTS: 'parallel' is for embedders"),
        (folder, tmp_path / "words.conll", "tagged words, and the model's task"),
        (folder, tmp_path / "broken.jsonl", "TEXTS: line 2 is no JSON"),
    ):
        (tmp_path / "words.conll").write_text("w1 O\n")
        (tmp_path / "broken.jsonl").write_text('{"text": "w1"}\n{\n')
        assert main([str(one), str(texts), "--out", str(out), "--quiet"]) == 2
        error = capsys.readouterr().err.strip()
        assert said in error and len(error.splitlines()) == 1, error
    with pytest.raises(SystemExit) as stopped:
        main([str(folder), str(file), "--out", str(out), "--kepe", "1"])
    assert stopped.value.code == 2 and len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not out.exists()
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    assert main([str(folder), str(file), "--out", str(out), "--quiet", "--fresh"]) == 2
    assert "--out: " in capsys.readouterr().err
    assert os.listdir(out) == ["thesis.txt"]


def test_an_interrupt_says_how_to_go_on(place, tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs.Run, "masks", interrupt)
    arguments = [str(checkpoint(place, "classification")), str(table(place)), "--text", "say"]
    assert main([*arguments, "--out", str(tmp_path / "out"), *FAST]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_labels_without_names_get_some(place, tmp_path, capsys):
    folder, file = tmp_path / "generic", table(place)
    pl.save(tiny("xlm-roberta", "classification", vocab_size=99), small_tokenizer(), folder)
    arguments = [str(folder), str(file), "--text", "say", "--out", str(tmp_path / "out"), *FAST]
    assert main([*arguments, "--no-onnx"]) == 2
    assert "with --label-names" in capsys.readouterr().err
    assert main([*arguments, "--no-onnx", "--label-names", *LABELS]) == 0
    model, _ = pl.load(tmp_path / "out" / "model")
    assert list(model.config.id2label.values()) == LABELS


def test_rows_of_json_and_help(place, tmp_path, capsys):
    file, draw = tmp_path / "rows.jsonl", random.Random(3)
    rows = [{"said": s, "label": draw.choice(LABELS), "lang": "en"} for s in sentences()]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    arguments = [str(checkpoint(place, "classification")), str(file), "--text", "said"]
    assert main([*arguments, "--out", str(tmp_path / "out"), *FAST, "--no-onnx"]) == 0
    assert report_of(tmp_path / "out")["score"] == "accuracy"
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0 and all(len(line) <= 100 for line in shown.splitlines())
    assert all(name in shown for name in parser()._option_string_actions if name != "-h")
    assert in_one_line("file: is\n  line 3 bad") == "TEXTS: is line 3 bad"
    assert in_one_line("keep_macs: is 3").startswith("--keep: is 3")
