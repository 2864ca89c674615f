"""Functions broken on purpose: a machine that lets one of them pass would be worth nothing."""

import json
import os
import signal
import time
from pathlib import Path
from random import Random

import torch
import world as w
from machine import Kind, Trial, expect, run

import pruning_lessons as pl


def _content(random: Random, place: int, act, kill=None, **more) -> Trial:
    """A file "out/a" of "old" that becomes "new", beside a file of others."""

    def setup() -> None:
        os.mkdir("out")
        Path("out/a").write_text("old" * 9999)
        Path("out/notes").write_text("a thesis")

    def after() -> None:
        expect(Path("out/notes").exists(), "notes of others are gone")
        text = Path("out/a").read_text() if Path("out/a").exists() else ""
        expect(text in ("old" * 9999, "new" * 9999), "neither old nor new")

    return Trial("control", act, ("folder",), lambda r: None, setup, after, kill=kill, **more)


def _write_in_place() -> None:
    with open("out/a", "w") as file:
        for _ in range(9999):
            file.write("new")
            file.flush()


def _deletes_all() -> None:
    for file in Path("out").iterdir():
        file.unlink()
    Path("out/a").write_text("new" * 9999)


def _wrong(act, wrong=lambda r: "wrong", **more):
    return lambda random, place: Trial("control", act, ("model",), wrong, **more)


def _bare():
    raise KeyError("x")


def _late():
    w.answers(w.model())
    pl.random_masks(w.model(), 3)  # an error that could come first


def _writes_first():
    Path("made").write_text("x")
    pl.random_masks(w.model(), 3)


def _stays_in_train_mode(network):
    network.train()
    pl.random_masks(network, 3)


def _warns_of_something_else():
    import warnings

    warnings.warn("it rains")
    return 3


MINE = w.fresh()
CONTROLS = {
    "a save in place, killed": (
        lambda r, p: _content(r, p, _write_in_place, (signal.SIGKILL, 0.5, False), key="c1"),
        "lost",
    ),
    "a save in place, disk full": (
        lambda r, p: _content(r, p, _write_in_place, room=("file", 5000)),
        "unclear",
    ),
    "a save that deletes what it finds": (lambda r, p: _content(r, p, _deletes_all), "lost"),
    "a KeyError": (_wrong(_bare), "unclear"),
    "an error without a name": (_wrong(lambda: pl.random_masks(None, 0.5)), "survived"),
    "an error of another library": (_wrong(lambda: json.loads("{")), "unclear"),
    "an error of another argument": (
        lambda r, p: Trial("control", lambda: pl.random_masks(w.model(), 3), ("seed",)),
        "unclear",
    ),
    "an error after a forward pass": (
        lambda r, p: Trial("control", _late, ("keep",)),
        "late",
    ),
    "an error after a file was written": (
        lambda r, p: Trial("control", _writes_first, ("keep",)),
        "late",
    ),
    "an error that comes first": (
        lambda r, p: Trial("control", lambda: pl.random_masks(w.model(), 3), ("keep",)),
        "survived",
    ),
    "a model left in train mode": (
        lambda r, p: Trial(
            "control", lambda: _stays_in_train_mode(MINE), ("keep",), models=(MINE,)
        ),
        "lost",
    ),
    "a wrong result": (_wrong(lambda: 3), "silent"),
    "a wrong result, and a word about another thing": (_wrong(_warns_of_something_else), "silent"),
    "a process that dies": (_wrong(lambda: os.kill(os.getpid(), signal.SIGSEGV)), "lost"),
    "threads left at another number": (_wrong(lambda: torch.set_num_threads(2)), "lost"),
    "no end": (_wrong(lambda: time.sleep(99)), "late"),
}


def failures() -> list[str]:
    """Controls that were judged otherwise than they must be."""
    import machine

    found, patience = [], machine.PATIENCE
    for name, (make, wanted) in CONTROLS.items():
        machine.PATIENCE = 2.0 if name == "no end" else patience
        verdict, _, why = run(Kind(name, make, 1), 0, 0)
        if verdict != wanted:
            found.append(f"{name}: {verdict}, must be {wanted} ({why[:90]})")
    machine.PATIENCE = patience
    return found
