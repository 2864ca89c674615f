"""Kills, Ctrl-C and full disks, in whatever writes: the old content or the new, whole."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import world as w
from machine import Kind, Trial, digest, expect

import pruning_lessons as pl

FOREIGN = {"out/notes.txt": "a thesis", "out/.git/HEAD": "ref", "out/checkpoint-1/x.bin": "y"}
OURS = (".lock", "lock")  # what may stay besides results


@dataclass
class Writer:
    """A call that writes to the folder "out".

    setup: what is there before. act: the call. look: what the folder says. old, new: what it must
    say before and after. free: the folder may hold files of others.
    """

    setup: Callable[[], None]
    act: Callable[[], object]
    look: Callable[[], object]
    new: Callable[[], object]
    old: Callable[[], object] = lambda: None
    free: bool = True
    models: tuple = ()


def writers() -> dict[str, Writer]:
    model, other, words = w.pruned(0), w.model(seed=1), w.tokenizer()
    loaded = lambda: w.answers(pl.load("out")[0])
    whole = lambda: (w.served("out"), w.served("out", True))
    one, two = w.shallow(0), w.shallow(1)
    half = lambda: [w.copied("onnx-0", "out"), Path("out/model-int8.onnx").unlink()]
    return {
        "save": Writer(
            lambda: w.copied("uneven-0", "out"),
            lambda: pl.save(other, words, "out"),
            loaded,
            lambda: w.answers(other),
            lambda: w.answers(model),
            models=(other,),
        ),
        "save to a new folder": Writer(
            lambda: None,
            lambda: pl.save(model, words, "out"),
            lambda: loaded() if Path("out").exists() else None,
            lambda: w.answers(model),
            free=False,
            models=(model,),
        ),
        "save over a link": Writer(
            _linked,
            lambda: pl.save(other, words, "out"),
            loaded,
            lambda: w.answers(other),
            lambda: w.answers(model),
            models=(other,),
        ),
        "export_onnx": Writer(
            lambda: w.copied("onnx-0", "out"),
            lambda: w.export(two, "out"),
            lambda: w.served("out"),
            lambda: w.served(w.template("onnx-1")),
            lambda: w.served(w.template("onnx-0")),
            models=(two,),
        ),
        "quantize_onnx": Writer(
            half,
            lambda: pl.quantize_onnx("out"),
            lambda: whole() if Path("out/model-int8.onnx").exists() else None,
            lambda: (w.served(w.template("onnx-0")), w.served(w.template("onnx-0"), True)),
            models=(one,),
        ),
    }


def _linked() -> None:
    w.copied("uneven-0", "out")
    os.mkdir("elsewhere")
    shutil.move("out/model.safetensors", "elsewhere/weights")
    os.symlink(os.path.abspath("elsewhere/weights"), "out/model.safetensors")


# --- work that goes on after an interruption ---

TRAINING = dict(epochs=1, batch_size=8, save_every=1, learning_rate=1e-3, progress=False)


def trained(how: str, network, folder="out", **options) -> str:
    words, data = w.tokenizer(), w.texts()
    if how == "distill":
        pl.distill(network, w.model(), words, data, folder=folder, **TRAINING | options)
    else:
        options = dict(validation=w.texts(8)) | TRAINING | options
        pl.fine_tune(network, words, data, folder=folder, **options)
    return digest(*network.state_dict().values())


def searched(how, **options) -> list:
    found = how(w.model(), w.tokenizer(), w.texts(), 2, resume="out", progress=False, **options)
    return [found.order, str(found.scores)]


def prepared() -> str:
    os.environ["PRUNING_LESSONS_CACHE"] = os.path.abspath("cache")
    folder = pl.prepare("mlm", limit=48, epochs=1, progress=False)
    return digest(*pl.load(folder)[0].state_dict().values())


def run_command() -> list:
    options = "--no-onnx --quiet --keep 0.6 --repeats 1 --calibration 20 --batch-size 8".split()
    w.command("model", "texts.csv", "--out", "out", *options)
    return [w.answers(pl.load("out/model")[0])]


def _for_command() -> None:
    w.copied("plain-0", "model")
    rows = [f"{text} {i},LABEL_{i % 5}" for i, text in enumerate(w.SENTENCES * 3)]
    Path("texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n", "utf-8")


def workers() -> dict[str, tuple[Callable, Callable]]:
    """(setup, the call with objects of its own)."""
    none = lambda: None
    return {
        "fine_tune": (none, lambda: trained("fine_tune", w.fresh())),
        "fine_tune a pruned model": (
            none,
            lambda: trained("fine_tune", w.copy.deepcopy(w.pruned(0)), validation=None),
        ),
        "distill": (none, lambda: trained("distill", w.copy.deepcopy(w.pruned(0)))),
        "greedy_layer_pruning": (none, lambda: searched(pl.greedy_layer_pruning)),
        "best_layers": (none, lambda: searched(pl.best_layers)),
        "prepare": (_mlm, prepared),
        "the command": (_for_command, run_command),
    }


def _mlm() -> None:
    shutil.copytree(w.mlm(), "mlm")


# --- trials ---


def strike(random: Random) -> tuple:
    """SIGKILL or SIGINT, at a change of files or at a time."""
    signals = (signal.SIGKILL, signal.SIGINT)
    return random.choice(signals), random.uniform(0, 1.02), random.random() < 0.6


def _foreign(free: bool) -> None:
    for name, text in FOREIGN.items() if free else []:
        file = Path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _untouched(free: bool) -> None:
    for name, text in FOREIGN.items() if free else []:
        file = Path(name)
        expect(file.is_file() and file.read_text() == text, f"{name} of others is gone or changed")


def _leftovers() -> list[str]:
    found = [p for p in Path().rglob("*") if ".git" not in p.parts]
    return [str(p) for p in found if p.name.startswith(".") or p.suffix in (".part", ".tmp")]


def writing(name: str, random: Random, fault: str) -> Trial:
    writer = writers()[name]

    def setup() -> None:
        writer.setup()
        _foreign(writer.free)

    def after() -> None:
        _untouched(writer.free)
        found = writer.look()
        expect(
            w.alike(writer.old(), found) if found is None else _either(found, writer),
            "neither the old content nor the new is there",
        )
        _untouched(writer.free)
        writer.act()
        expect(w.alike(writer.new(), writer.look()), "the next call writes something else")
        _untouched(writer.free)
        expect(not _leftovers(), f"left behind: {_leftovers()}")

    trial = Trial(
        name,
        writer.act,
        names=("out", "folder"),
        wrong=lambda result: None if w.alike(writer.new(), writer.look()) else "other content",
        setup=setup,
        after=after,
        models=writer.models,
        entry=False,
        key=name,
    )
    return with_fault(trial, random, fault)


def _either(found, writer: Writer) -> bool:
    old = writer.old()
    return old is not None and w.alike(old, found) or w.alike(writer.new(), found)


def working(name: str, random: Random, fault: str) -> Trial:
    setup, act = workers()[name]

    def after() -> None:
        found = act()
        expect(w.alike(w.results(name), found), "goes on to another result", "silent")
        expect(not _leftovers(), f"left behind: {_leftovers()}")

    trial = Trial(
        name,
        act,
        names=("out", "folder", "resume", "cache", "mlm", "--out", "model"),
        wrong=lambda result: None if w.alike(w.results(name), result) else "another result",
        setup=setup,
        after=after,
        models=(w.model(),),
        entry=False,
        key=name,
    )
    return with_fault(trial, random, fault)


def with_fault(trial: Trial, random: Random, fault: str) -> Trial:
    if fault == "kill":
        trial.kill = number, share, at_change = strike(random)
        when = "change of files" if at_change else "moment"
        trial.what += f": {signal.Signals(number).name} at the {when} {share:.2f} of the way"
    else:
        how, room = random.choice(["file", "disk"]), int(10 ** random.uniform(0, 5.8))
        there = {"prepare": 8_000_000, "the command": 1_500_000}.get(trial.key, 600_000)
        trial.room = (how, room + (there if how == "disk" else 0))
        trial.what += f": {how} full after {room} bytes"
    return trial


def folders(fault: str):
    names = list(writers())
    return lambda random, place: writing(names[place % len(names)], random, fault)


def work(fault: str, *names: str):
    return lambda random, place: working(names[place % len(names)], random, fault)


# --- two at once ---


def two(random: Random, place: int) -> Trial:
    """A load beside a save sees one model; of two saves one is left; trainings do not mix."""
    words, models = w.tokenizer(), (w.pruned(0), w.model(seed=1))
    pause = random.uniform(0, 0.3)
    what = ("load beside a save", "save beside a save", "fine_tune beside a fine_tune")[place % 3]

    def beside(*calls) -> list:
        ends = []
        for delay, call in zip((0, pause), calls):
            child = os.fork()
            if not child:
                time.sleep(delay)
                try:
                    call()
                    os._exit(0)
                except ValueError as error:  # says who is at work
                    os._exit(3 if "at work" in str(error) else 4)
                except BaseException:
                    os._exit(5)
            ends.append(child)
        return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in ends]

    one_of = lambda found: any(w.alike(w.answers(m), found) for m in models)

    def saves() -> list:
        return beside(*(partial(pl.save, m, words, "out") for m in models))

    def loads() -> list:
        def some() -> None:
            for _ in range(4):
                if not one_of(w.answers(pl.load("out")[0])):
                    raise RuntimeError("a mixture")

        return beside(partial(pl.save, models[1], words, "out"), some)

    def trainings() -> list:
        return beside(*[lambda: trained("fine_tune", w.fresh())] * 2)

    act = (loads, saves, trainings)[place % 3]

    def wrong(ends) -> str | None:
        if act is trainings:
            same = trained("fine_tune", w.fresh()) == w.results("fine_tune")
            return None if same and set(ends) <= {0, 3} and 0 in ends else f"ends {ends}, {same}"
        return None if ends == [0, 0] and one_of(w.answers(pl.load("out")[0])) else f"ends {ends}"

    setup = lambda: None if act is trainings else w.copied("uneven-0", "out")
    return Trial(f"{what}, {pause:.2f} s later", act, (), wrong, setup, entry=False)


STRUCK = "SIGKILL or SIGINT, at a change of files or at a time, in "
FULL = "a disk or a file that is full after so many bytes, in the same calls"
KINDS = [
    Kind(
        "kill and Ctrl-C: folders",
        folders("kill"),
        200,
        STRUCK + "save, export_onnx, quantize_onnx",
    ),
    Kind("disk full: folders", folders("full"), 80, FULL),
    Kind(
        "kill and Ctrl-C: journals",
        work("kill", *list(workers())[:5]),
        100,
        STRUCK + "fine_tune, distill, greedy_layer_pruning, best_layers",
    ),
    Kind("disk full: journals", work("full", *list(workers())[:5]), 40, FULL),
    Kind(
        "kill and Ctrl-C: prepare, the command",
        work("kill", "prepare", "the command"),
        20,
        STRUCK + "these",
    ),
    Kind("disk full: prepare, the command", work("full", "prepare", "the command"), 10, FULL),
    Kind("two processes", two, 30),
]
