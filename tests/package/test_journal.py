"""Whatever happens to long work, the same call ends with the result that it would have had."""

import os
import random
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.models import files, journal
from pruning_lessons.models.files import WORKING, at_work
from pruning_lessons.models.journal import Journal
from pruning_lessons.recovery import training

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make, small_tokenizer
from test_training import Numbers, data, one_thread, same  # noqa: F401

OPTIONS = dict(epochs=2, batch_size=8, learning_rate=3e-2, progress=False, save_every=1)
FILE = "training.safetensors"
ALL = os.environ.get("PRUNING_LESSONS_FAULTS") == "all"  # not a sample of the faults; minutes
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
locks = pytest.mark.skipif(files.fcntl is None, reason="there are no locks here")


def tiny():
    return make(layers=1, neurons=4)


def train(folder=None, model=None, **options):
    """Two epochs of two batches, the best by validation: the model, and what was found."""
    model = model or tiny()
    return model, pl.fine_tune(
        model, Numbers(), data(16), folder=folder, validation=data(8), **OPTIONS | options
    )


@pytest.fixture(scope="module")
def whole():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = train()
    assert found[1].accuracies[0] > max(found[1].start, found[1].accuracies[1])  # of three states
    yield found
    torch.set_num_threads(threads)


def agree(found, whole):
    return same(found[0], whole[0]) and vars(found[1]) | {"seconds": 0} == vars(whole[1]) | {
        "seconds": 0
    }


def forked(job) -> int:
    """The process of a copy of this one that does `job` and ends."""
    process = os.fork()
    if not process:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            job()
            os._exit(0)
        finally:
            os._exit(1)
    return process


def status(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def status_after(sent: int, process: int) -> int:
    """The exit status after a signal. Python loses one that comes while a destructor runs, so it is
    sent again to a process that goes on and on; the third time it is killed.
    """
    for one in (sent, sent, signal.SIGKILL):
        os.kill(process, one)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            ended, code = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(code)
            time.sleep(0.02)
    return status(process)


WRITING = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "fcntl.flock", "open"}


def dying_at(folder: Path, place: int):
    """From now on, in this process: killed before the `place`-th call that changes the disk."""
    count = [0]

    def one_more(*args):
        count[0] += 1
        if count[0] == place:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event, args):
        if event in WRITING and (event == "fcntl.flock" or str(folder) in str(args[0])):
            one_more()

    fsync, save_file = os.fsync, journal.save_file

    def saving(tensors, file, metadata):
        one_more()
        part = Path(file).with_name(".tmpZZZ")  # as safetensors writes: beside it, then renamed
        part.write_bytes(b"half")
        one_more()
        part.unlink()
        save_file(tensors, file, metadata)

    os.fsync, journal.save_file = lambda *args: (one_more(), fsync(*args)), saving
    sys.addaudithook(audit)


@forks
def test_killed_at_any_call_that_changes_the_disk(tmp_path, whole):
    """Some of these calls, each time others."""
    every = 1 if ALL else 13
    first, folder = random.randrange(every) + 1, tmp_path / "a"
    for place in range(first, 10_000, every):
        ended = status(forked(lambda: (dying_at(folder, place), train(folder))))
        if not ended:
            break
        assert ended == -signal.SIGKILL
        if place % 2:  # and a second time, while it goes on
            assert status(forked(lambda: (dying_at(folder, place // 2), train(folder)))) <= 0
        assert agree(train(folder), whole), place
        assert os.listdir(folder) == [FILE], place
        shutil.rmtree(folder)
    assert place > 40  # calls


def test_the_same_cell_again_after_an_interruption(tmp_path, monkeypatch, whole):
    """With the same objects, wherever it was: at each step, in a score, in each write."""
    for owner, name in (
        (training, "clip_grad_norm_"),
        (training, "evaluate"),
        (training.torch.optim.AdamW, "step"),
        (training, "put_back"),
        (journal, "save_file"),
        (journal.os, "replace"),
    ):
        real, folder, model = getattr(owner, name), tmp_path / name, tiny()
        start, calls, stops = tiny(), [], 0

        def stopping(*args, **options):
            calls.append(1)
            if len(calls) == 1 + stops:  # the first call the first time, then the second, ...
                raise (KeyboardInterrupt, OSError, RuntimeError)[stops % 3]
            return real(*args, **options)

        monkeypatch.setattr(owner, name, stopping)
        while True:
            calls.clear()
            try:
                found = train(folder, model)
                break
            except (KeyboardInterrupt, OSError, RuntimeError):
                stops += 1
            file = folder / FILE
            held = journal._model_in(journal._stored(file)[2]) if file.exists() else {}
            held = held or journal.weights(start)
            assert all(torch.equal(p, held[n]) for n, p in journal.weights(model).items()), name
            assert set(os.listdir(folder)) <= {FILE}
        monkeypatch.undo()
        assert stops and agree(found, whole), name
        assert agree(train(folder, model), whole)  # finished: at once, with the finished model
        with pytest.raises(ValueError, match="another model"):
            train(folder, make(layers=1, neurons=4, seed=1))
        with pytest.raises(ValueError, match="another seed: name"):
            train(folder, model, seed=1)


def test_a_finished_training_does_no_step(tmp_path, monkeypatch, whole):
    model, _ = train(tmp_path / "a")
    monkeypatch.setattr(training._Trainer, "step", None)
    monkeypatch.setattr(Journal, "write", None)
    assert agree(train(tmp_path / "a", model), whole)
    assert agree(train(tmp_path / "a"), whole)


def test_ctrl_c_twice(tmp_path, monkeypatch, whole):
    """The second one comes while the model is put back."""
    step, model, calls = training._Trainer.step, tiny(), []
    put_back = journal.put_back

    def stopped(self, *args):
        if self.state["steps"] == 2:
            raise KeyboardInterrupt
        return step(self, *args)

    def halfway(model, tensors):
        calls.append(1)
        if len(calls) == 1:
            next(model.parameters()).data.zero_()
            raise KeyboardInterrupt
        put_back(model, tensors)

    monkeypatch.setattr(training._Trainer, "step", stopped)
    monkeypatch.setattr(journal, "put_back", halfway)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "a", model)
    monkeypatch.undo()
    assert len(calls) == 2 and agree(train(tmp_path / "a", model), whole)


@forks
def test_a_real_ctrl_c(tmp_path, whole):
    process = forked(lambda: interrupted(tmp_path / "a"))
    wait_for(tmp_path / "a" / FILE)
    time.sleep(random.random() / 5)
    assert status_after(signal.SIGINT, process) == 0


def interrupted(folder):
    """Trains until Ctrl-C; the same call then goes on from the file, with the same model."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` ignores it
    model, options = tiny(), dict(epochs=20_000)
    with pytest.raises(KeyboardInterrupt):
        train(folder, model, **options)
    held = journal._stored(folder / FILE)
    assert os.listdir(folder) == [FILE]
    assert journal._holds(model, held[2])
    training._Trainer.step = lambda self, *args: exit_if(self.state["steps"] == held[1]["steps"])
    train(folder, model, **options)


def exit_if(right):
    os._exit(0 if right else 1)


def wait_for(file, seconds=60):
    until = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.002)


@forks
@locks
def test_a_second_process_waits_and_says_for_whom(tmp_path, whole):
    folder = tmp_path / "a"
    first, gate = os.pipe()

    def slow():
        step = training._Trainer.step

        def waiting(self, *args):
            if self.state["steps"] == 2:
                os.read(first, 1)
            return step(self, *args)

        training._Trainer.step = waiting
        train(folder)

    process = forked(slow)
    wait_for(folder / FILE)
    threading.Timer(0.3, os.write, (gate, b"x")).start()
    with pytest.warns(UserWarning, match=f"folder.*another run is at work, process {process}"):
        found = train(folder)
    assert status(process) == 0 and agree(found, whole) and os.listdir(folder) == [FILE]


@forks
@locks
def test_many_processes_one_folder(tmp_path, whole):
    ids = [forked(lambda: train(tmp_path / "a")) for _ in range(3)]
    assert [status(process) for process in ids] == [0, 0, 0]
    assert agree(train(tmp_path / "a"), whole) and os.listdir(tmp_path / "a") == [FILE]


@locks
def test_who_would_wait_for_itself_is_told(tmp_path):
    with at_work(tmp_path / "a", "folder") as stage:
        assert stage.parent == tmp_path / "a" and str(os.getpid()) in stage.name
        with pytest.raises(ValueError, match=f"folder: .*at work, process {os.getpid()}"):
            train(tmp_path / "a")
        pl.save(tiny(), small_tokenizer(), tmp_path / "a" / "model")  # others may write beside it
    assert os.listdir(tmp_path / "a") == ["model"]


def test_without_locks_it_works(tmp_path, monkeypatch, whole):
    """As on Windows: nobody is seen; what is old is taken away."""
    monkeypatch.setattr(files, "fcntl", None)
    old, young = (tmp_path / "a" / f"{WORKING}{process}" for process in (1, 2))
    old.mkdir(parents=True)
    young.mkdir()
    os.utime(old, (1, 1))
    assert agree(train(tmp_path / "a"), whole)
    assert sorted(os.listdir(tmp_path / "a")) == [young.name, FILE]


DAMAGE = {
    "empty": lambda content, place: b"",
    "cut": lambda content, place: content[:place],
    "a bit": lambda content, place: flipped(content, place, 1 << place % 8),
    "a byte": lambda content, place: flipped(content, place, 255),
    "zeros": lambda content, place: content[:place] + bytes(len(content) - place),
}


def flipped(content: bytes, place: int, bits: int) -> bytes:
    return content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]


def is_noticed(file: Path, content: bytes, damaged: bytes) -> bool:
    file.write_bytes(damaged)
    try:
        journal._stored(file)
    except OSError:
        return False  # taken for a disk that cannot be read now
    except Exception:
        return True
    return damaged == content


def test_a_damaged_file_is_named_and_set_aside(tmp_path, monkeypatch, whole):
    """A sample of the header's places and of the others; then the whole call, some times."""
    folder = tmp_path / "a"
    with monkeypatch.context() as patch:
        patch.setattr(training, "_rate", lambda step, total: 1 / 0 if step == 4 else 1.0)
        with pytest.raises(ZeroDivisionError):
            train(folder)
    content = (folder / FILE).read_bytes()
    assert journal._stored(folder / FILE)[1]["steps"] == 2
    header = 8 + int.from_bytes(content[:8], "little")
    every = 1 if ALL else 199
    places = [*range(9), *range(random.randrange(every) + 9, header, every), header - 1]
    places += [*range(header, len(content), 61 * every), len(content) - 1]
    for place in places:
        for how, damage in DAMAGE.items():
            assert is_noticed(tmp_path / "b", content, damage(content, place)), (how, place)
    for n, damage in enumerate(DAMAGE.values()):
        (folder / FILE).write_bytes(damage(content, len(content) // 2))
        with pytest.warns(UserWarning, match=f"folder: .*{FILE}.*damaged.*set aside.*anew"):
            assert agree(train(folder), whole)
        assert len(os.listdir(folder)) == n + 2  # what is set aside is never written over


def test_damage_of_a_search(tmp_path, monkeypatch):
    """A recovered model and scores in JSON."""
    call = lambda: pl.greedy_layer_pruning(
        make(), Numbers(), data(8), 1, recover=lambda pruned: None, resume=tmp_path, progress=False
    )
    first = call()
    file = tmp_path / "search.safetensors"
    content = file.read_bytes()
    place = content.index(b'"scores') + len('"scores') + 6
    file.write_bytes(flipped(content, place, 1))
    with pytest.warns(UserWarning, match="resume: .*search.safetensors.*damaged"):
        again = call()
    assert again.order == first.order and again.scores == first.scores


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, whole):
    """The write fails halfway; the state from before stays, and nothing hidden."""
    real, calls, model = journal.save_file, [], tiny()

    def full(tensors, file, metadata):
        calls.append(1)
        if len(calls) == 3:
            Path(file).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, file, metadata)

    monkeypatch.setattr(journal, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        train(tmp_path / "a", model)
    assert os.listdir(tmp_path / "a") == [FILE]
    assert journal._stored(tmp_path / "a" / FILE)[1]["steps"] == 1
    assert agree(train(tmp_path / "a", model), whole)


def test_all_is_on_disk_before_it_counts(tmp_path, monkeypatch):
    """The file before it gets its name, the folder after."""
    done, fsync, replace = [], os.fsync, os.replace

    def on_disk(descriptor):
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", on_disk)
    monkeypatch.setattr(os, "replace", lambda *a: (done.append("name"), replace(*a)))
    with journal.Journal("work", "folder", tmp_path, dict, {"seconds": 0.0}, tiny()) as kept:
        done.clear()
        kept.write({"a": torch.ones(2)})
    assert done == ["file", "name", "folder"]
