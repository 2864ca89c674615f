"""Training learns, stops, and survives any interruption with the same weights."""

import copy
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import pruning_lessons as pl
from pruning_lessons.models import journal  # noqa: F401
from pruning_lessons.models.files import WORKING
from pruning_lessons.models.journal import Journal  # noqa: F401
from pruning_lessons.recovery import training
from pruning_lessons.recovery.distillation import distill
from pruning_lessons.recovery.training import fine_tune

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make, posix


@pytest.fixture(autouse=True)
def one_thread():
    """Models as tiny as these lose time to a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Numbers:
    """A tokenizer for tests: words are numbers."""

    model_max_length = 10**30

    def __call__(self, texts, **options):
        rows = [[0] + [int(w) for w in text.split()] for text in texts]
        T = max(map(len, rows))
        ids = torch.tensor([r + [1] * (T - len(r)) for r in rows])
        return {"input_ids": ids, "attention_mask": (ids != 1).long()}


def data(n=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(5, 99, (n, 4), generator=generator)
    labels = (words[:, 0] % 5).tolist()
    return pl.Intents(
        [" ".join(map(str, row)) for row in words.tolist()], labels, ["en"] * n, list("abcde")
    )


OPTIONS = dict(epochs=3, batch_size=8, learning_rate=1e-3, progress=False)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_it_learns_and_leaves_the_rest():
    model = pl.prune(make(), pl.random_masks(make(), 0.6)).train()
    words = model.roberta.embeddings.word_embeddings.weight.clone()
    before = pl.evaluate(model, Numbers(), data()).accuracy
    found = fine_tune(
        model, Numbers(), data(), **OPTIONS | dict(epochs=25, learning_rate=3e-3), validation=data()
    )
    assert (
        max(found.accuracies) > before + 0.2
        and found.losses[-1] < found.losses[0]
        and found.steps == 75
    )
    assert torch.equal(words, model.roberta.embeddings.word_embeddings.weight)
    assert model.roberta.embeddings.word_embeddings.weight.requires_grad and model.training
    assert "validation" in repr(found)
    assert pl.evaluate(model, Numbers(), data()).accuracy == max(found.accuracies)


@pytest.mark.parametrize("stop", [1, 3, 4, 8])
def test_interrupted_is_as_if_not(tmp_path, monkeypatch, stop):
    whole, parts = make(), make()
    fine_tune(
        whole,
        Numbers(),
        data(),
        **OPTIONS,
        folder=tmp_path / "a",
        save_every=2,
        validation=data(8),
    )
    count, evaluate_loss = [0], torch.nn.functional.cross_entropy

    def failing(*args, **kwargs):
        count[0] += 1
        if count[0] == stop:
            raise RuntimeError("power cut")
        return evaluate_loss(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", failing)
    start = copy.deepcopy(parts)
    with pytest.raises(RuntimeError, match="power cut"):
        fine_tune(
            parts,
            Numbers(),
            data(),
            **OPTIONS,
            folder=tmp_path / "b",
            save_every=2,
            validation=data(8),
        )
    assert parts.roberta.embeddings.word_embeddings.weight.requires_grad
    monkeypatch.undo()
    found = fine_tune(
        start,
        Numbers(),
        data(),
        **OPTIONS,
        folder=tmp_path / "b",
        save_every=2,
        validation=data(8),
    )
    assert same(start, whole) and found.steps == 9 and len(found.losses) == 3
    assert not same(whole, make()) and max(found.accuracies) > found.start


@posix
def test_killed_for_good(tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import make
from test_training import *
torch.set_num_threads(1)
write = Journal.write
def dying(self, *args):
    write(self, *args)
    os.kill(os.getpid(), signal.SIGKILL)
Journal.write = dying
fine_tune(make(), Numbers(), data(), **OPTIONS, folder={str(tmp_path / "k")!r}, save_every=2)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    whole, rest = make(), make()
    fine_tune(whole, Numbers(), data(), **OPTIONS)
    fine_tune(rest, Numbers(), data(), **OPTIONS, folder=tmp_path / "k", save_every=2)
    assert same(whole, rest)
    with pytest.raises(ValueError, match="folder.*other data"):
        fine_tune(make(), Numbers(), data(16), **OPTIONS, folder=tmp_path / "k")
    assert same(whole, rest) and os.listdir(tmp_path / "k") == ["training.safetensors"]


PROCESS = """
import json
sys.path.insert(0, {here!r})
from test_training import *
torch.set_num_threads(1)
main, place, writes, save_file = os.environ["RANK"] == "0", Path({place!r}), [], journal.save_file
dies = sys.argv[1] == "dies"

def dying(tensors, file, metadata):
    save_file(tensors, file, metadata)
    writes.append(str(file))
    if len(writes) == 2 and dies:
        # the file is written, and not yet in its place
        os.kill(os.getpid(), signal.SIGKILL)

def note(name, model, found):
    said = json.dumps([found.losses, found.accuracies])
    save_file(journal.weights(model), place / f"{{name}}-{{main}}", {{"found": said}})

journal.save_file = dying
# the main process's weights count
resumed = make(seed=0 if main else 7)
found = fine_tune(resumed, Numbers(), data(), **OPTIONS, folder=place / "state", save_every=1)
note("resumed", resumed, found)
(place / f"writes-{{main}}").write_text(" ".join(writes))
whole = make()
note("whole", whole, fine_tune(whole, Numbers(), data(), **OPTIONS))
student, teacher = make(), make(seed=5)
note("distilled", student, distill(student, teacher, Numbers(), data(4), **OPTIONS))
try:
    folder = place / ("state" if main else "elsewhere")
    fine_tune(make(), Numbers(), data(), **OPTIONS, folder=folder)
except ValueError as error:
    (place / f"error-{{main}}").write_text(str(error))
scores = iter([0.2, 0.3, 0.9, 0.5, 0.4, 0.8] if main else [0, 0.1, 0.2, 0.3, 0.4, 0.5])
training.evaluate = lambda *args, **options: pl.Evaluation({{"accuracy": next(scores)}}, {{}}, 1)
stopped = make()
options = OPTIONS | dict(epochs=5, validation=data(8), patience=2)
note("stopped", stopped, fine_tune(stopped, Numbers(), data(), **options))
"""


def one_process_for_two(epochs=3):
    """What two processes do to `make()`, written out: three batches, every step along the mean of
    two gradients.
    """
    model, losses, total = make(), [], 2 * epochs
    rows = sorted(range(24), key=lambda i: len(data().sentences[i]))
    plan = list(data().subset(rows).batches(Numbers(), 8))
    trained = [p for name, p in model.named_parameters() if "word_embeddings" not in name]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01, fused=True)
    for step in range(total):
        if step % 2 == 0:
            random.Random(step // 2).shuffle(order := [0, 1, 2])
            pairs = [(order[0], order[1]), (order[2], order[0])]  # the first batch fills up
        model.train(), optimizer.zero_grad()
        for process, place in enumerate(pairs[step % 2]):
            torch.manual_seed(2 * step + process + 1)
            logits = model(
                plan[place]["input_ids"], attention_mask=plan[place]["attention_mask"]
            ).logits
            loss = torch.nn.functional.cross_entropy(logits, plan[place]["labels"])
            (loss / 2).backward()  # gradients add up
            losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.param_groups[0]["lr"] = 1e-3 * (total - step) / total
        optimizer.step()
    return model, [sum(losses[i : i + 4]) / 4 for i in range(0, 2 * total, 4)]


@posix
def test_two_processes_are_one_that_takes_the_mean(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n" + PROCESS.format(here=str(Path(__file__).parent), place=str(tmp_path))
    )
    assert launch(script, "dies") != 0
    left, file = sorted(os.listdir(tmp_path / "state"))
    assert left.startswith(WORKING) and file == "training.safetensors"
    assert launch(script, "lives") == 0
    found = {}
    for name in ("resumed", "whole", "distilled", "stopped"):
        (main, said), (other, also_said) = (
            weights_of(tmp_path / f"{name}-{main}") for main in (True, False)
        )
        assert main.keys() == other.keys() and all(torch.equal(main[k], other[k]) for k in main), (
            name
        )
        assert said == also_said, name
        found[name] = main, said
    assert all(torch.equal(found["resumed"][0][k], found["whole"][0][k]) for k in found["whole"][0])
    assert found["resumed"][1] == found["whole"][1]
    goal, losses = one_process_for_two()
    start = dict(make().named_parameters())
    moved = 0
    for name, parameter in goal.named_parameters():
        assert (parameter - found["whole"][0][name]).abs().max() < 1e-6, name
        moved = max(moved, (parameter - start[name]).abs().max())
    assert moved > 1e-3 and found["whole"][1][0] == pytest.approx(losses, abs=1e-6)
    assert found["stopped"][1][1] == [0.3, 0.9, 0.5, 0.4]  # as the main process found
    assert (tmp_path / "writes-False").read_text() == ""
    writes = (tmp_path / "writes-True").read_text().split()
    assert len(writes) == 6 + 1  # before each step, though the first is known, and at the end
    assert os.listdir(tmp_path / "state") == ["training.safetensors"]
    assert all("[6, 0] steps" in (tmp_path / f"error-{main}").read_text() for main in (True, False))
    with pytest.raises(ValueError, match="another number of processes"):
        fine_tune(make(), Numbers(), data(), **OPTIONS, folder=tmp_path / "state")


def launch(script, *args):
    """Run a script in two processes on this machine's CPU, as torchrun does; the exit status."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--local-addr=127.0.0.1",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=127.0.0.1:0",
        str(script),
        *args,
    ]
    loopback = {
        "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
        "OMP_NUM_THREADS": "1",
    }
    started = subprocess.Popen(command, env=os.environ | loopback, start_new_session=True)
    try:
        return started.wait(timeout=90)
    finally:
        if started.poll() is None:  # it hangs: end its processes, too
            started.terminate()
            started.wait()


def weights_of(file):
    with safe_open(file, "pt") as stored:
        return {name: stored.get_tensor(name) for name in stored.keys()}, json.loads(
            stored.metadata()["found"]
        )


@pytest.mark.parametrize("batches, processes", [(1, 1), (1, 5), (3, 2), (4, 2), (5, 3), (2, 7)])
def test_every_process_has_as_many_batches(batches, processes):
    shares = training._shares(batches, 3, processes)
    assert {len(share) for share in shares} == {-(-batches // processes)} and len(
        shares
    ) == processes
    assert sorted([place for step in zip(*shares) for place in step][:batches]) == list(
        range(batches)
    )


def test_a_folder_is_for_one_training(tmp_path):
    model, folder = make(), tmp_path / "a"
    distill(make(), make(seed=5), Numbers(), data(), **OPTIONS, validation=data(8), folder=folder)
    for change, words in (
        (dict(teacher=make(seed=6)), "teacher"),
        (dict(validation=data(9)), "validation"),
        (dict(student=make(seed=1)), "model"),
        (dict(alpha=0.1), "alpha"),
    ):
        with pytest.raises(ValueError, match=f"folder.*another {words}: name"):
            distill(
                **dict(
                    student=model,
                    teacher=make(seed=5),
                    tokenizer=Numbers(),
                    data=data(),
                    validation=data(8),
                    folder=folder,
                )
                | OPTIONS
                | change
            )
    with pytest.raises(ValueError, match="another teacher / model.*alpha"):
        other = make(seed=1)
        fine_tune(other, Numbers(), data(), **OPTIONS, validation=data(8), folder=folder)
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(ValueError, match="folder.*other things.*'a', 'thesis.txt'"):
        fine_tune(model, Numbers(), data(), **OPTIONS, folder=tmp_path)
    assert same(model, make()) and sorted(os.listdir(tmp_path)) == ["a", "thesis.txt"]


def test_patience_stops_and_the_best_comes_back(monkeypatch):
    scores = iter([0.2, 0.3, 0.9, 0.5, 0.4, 0.8])
    weights = []

    def fake(model, *args, **options):
        weights.append(copy.deepcopy(model.state_dict()))
        return pl.Evaluation({"accuracy": next(scores)}, {}, 1)

    monkeypatch.setattr(training, "evaluate", fake)
    model = make()
    found = fine_tune(
        model, Numbers(), data(), **OPTIONS | dict(epochs=5), validation=data(), patience=2
    )
    assert found.start == 0.2 and found.accuracies == [0.3, 0.9, 0.5, 0.4]
    assert all(torch.equal(a, b) for a, b in zip(weights[2].values(), model.state_dict().values()))


def test_distillation_without_a_teachers_part_is_fine_tuning():
    one, two = make(), make()
    fine_tune(one, Numbers(), data(), **OPTIONS)
    distill(two, make(seed=5), Numbers(), data(), alpha=1.0, hidden=0, **OPTIONS)
    assert same(one, two)


def test_distillation_brings_student_and_teacher_together():
    teacher = make()
    student = pl.prune(teacher, pl.random_masks(teacher, 0.5, seed=1))
    ids = torch.arange(5, 45).view(4, 10)
    gap = lambda: torch.nn.functional.kl_div(
        *(model(ids).logits.log_softmax(-1) for model in (student, teacher)),
        log_target=True,
        reduction="batchmean",
    ).item()
    before, weights = gap(), copy.deepcopy(teacher.state_dict())
    distill(
        student,
        teacher,
        Numbers(),
        data(64),
        alpha=0.0,
        **OPTIONS | dict(epochs=12, learning_rate=2e-3),
    )
    assert gap() < 0.6 * before and not teacher.training
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), teacher.state_dict().values()))
    assert not any(m._forward_hooks for m in [*teacher.modules(), *student.modules()])


def test_students_with_fewer_or_no_layers():
    teacher, masks = make(), pl.Masks.keep_all(make())
    masks.layers[1] = False
    found = distill(pl.prune(teacher, masks), teacher, Numbers(), data(8), **OPTIONS)
    masks.layers[:] = False
    assert (
        found.steps == 3
        and distill(pl.prune(teacher, masks), teacher, Numbers(), data(8), **OPTIONS).steps == 3
    )


THREE_LABELS = pl.Intents(["5 6"], [1], ["en"], list("abc"))


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(epochs=0), "epochs.*0"),
        (dict(batch_size=0), "batch_size"),
        (dict(learning_rate=0), "learning_rate"),
        (dict(learning_rate=1e39), "learning_rate: is 1e.39"),
        (dict(data=data(0)), "data.*no sentences"),
        (dict(save_every=0), "save_every.*0"),
        (dict(patience=1), "patience.*no validation"),
        (dict(validation=data(0)), "validation.*no sentences"),
        (dict(validation=THREE_LABELS), "validation.*3 labels.*5"),
    ],
)
def test_bad_input(options, words):
    model = make()
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=words):
        fine_tune(model, Numbers(), **OPTIONS | dict(data=data()) | options)
    bad = data()
    bad.labels[0] = 99
    with pytest.raises(ValueError, match="labels.*99.*5"):
        fine_tune(model, Numbers(), bad)
    with pytest.raises(ValueError, match="temperature"):
        distill(model, make(), Numbers(), data(), temperature=0)
    with pytest.raises(ValueError, match="layer_map"):
        distill(model, make(), Numbers(), data(), layer_map={0: 7})
    with pytest.raises(ValueError, match="no labels.*distil"):
        fine_tune(model, Numbers(), pl.Texts(["5 6"], None, ["en"], None))
    broken = make()
    broken.classifier.dense.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="model: has NaN.*classifier.dense.weight"):
        fine_tune(broken, Numbers(), data())
    with pytest.raises(ValueError, match="teacher: has NaN.*classifier.dense.weight"):
        distill(model, broken, Numbers(), data())
    assert same(model, before)


@pytest.mark.parametrize("kept", [False, True])
def test_a_training_that_diverges_stops_and_keeps_the_last_good_weights(
    tmp_path, monkeypatch, kept
):
    """In the fifth step the rate is so high that the sixth gets no numbers: back to the fourth."""
    rate = lambda step, total: 1e36 if step == 5 else 1.0
    model, whole = make(), make()
    monkeypatch.setattr(training, "_rate", rate)
    options = OPTIONS | dict(learning_rate=1e-3, folder=tmp_path / "a" if kept else None)
    words = "learning_rate: is 0.001, .*diverges: at step 6 of 9 the loss is.*weights of step 4"
    for _ in range(2):  # with the weights that it has been put back to, the same
        with pytest.raises(ValueError, match=words):
            fine_tune(model, Numbers(), data(), **options, save_every=1)
        if not kept:
            break
    step, four = training._Trainer.step, []

    def note(self, *args):
        if self.state["steps"] == 4:
            four.append(copy.deepcopy(whole))
            raise InterruptedError
        return step(self, *args)

    monkeypatch.setattr(training._Trainer, "step", note)
    with pytest.raises(InterruptedError):
        fine_tune(whole, Numbers(), data(), **OPTIONS)
    assert same(model, four[0]) and all(p.isfinite().all() for p in model.parameters())
    if kept:
        with safe_open(tmp_path / "a" / "training.safetensors", "pt") as stored:
            assert json.loads(stored.metadata()["state"])["steps"] == 4
            assert all(stored.get_tensor(name).isfinite().all() for name in stored.keys())


def test_a_last_step_that_diverges_is_noticed(monkeypatch):
    step, steps = torch.optim.AdamW.step, []

    def too_far(self):
        step(self)
        steps.append(1)
        if len(steps) == 9:
            self.param_groups[0]["params"][0].data[0] = torch.inf

    monkeypatch.setattr(torch.optim.AdamW, "step", too_far)
    model = make()
    with pytest.raises(ValueError, match="at step 9 of 9 it leaves weights.*of step 8"):
        fine_tune(model, Numbers(), data(), **OPTIONS)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_distillation_needs_no_labels(tmp_path):
    """Unlabelled sentences do, and the best epoch is the one that agrees most with the teacher."""
    teacher = make(seed=3)
    student = pl.prune(teacher, pl.random_masks(teacher, 0.5))
    unlabelled = pl.Texts(data(32).sentences)
    before = pl.evaluate(student, Numbers(), unlabelled, reference=teacher).score
    options = OPTIONS | dict(epochs=6, learning_rate=3e-3)
    found = distill(student, teacher, Numbers(), unlabelled, **options, validation=unlabelled)
    after = pl.evaluate(student, Numbers(), unlabelled, reference=teacher).score
    assert after == max(found.accuracies) > before
    with pytest.raises(ValueError, match="alpha: is 0.5, must be 0 or None"):
        distill(student, teacher, Numbers(), unlabelled, alpha=0.5, **OPTIONS)
