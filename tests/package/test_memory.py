"""The tests of `memory_limits.py`, in a process of their own: one that memory has failed once may
not be relied on afterwards.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_where_memory_does_not_suffice():
    tests = Path(__file__).with_name("memory_limits.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, tests], capture_output=True, text=True, timeout=600, env=environment
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout or " skipped" in run.stdout


# By how many MiB the process grows: with what is left of freed tensors after a call that changes
# nothing, or a training of 81 MiB of weights; at most, in what lessons 08 and 11 do, made short.
PEAKS = """
import ctypes, json
from pathlib import Path
import torch
import pruning_lessons as pl
from pruning_lessons.models.state import at_rest

model, tokenizer = pl.load()
half = pl.prune(model, pl.random_masks(model, 0.5))
ids = torch.randint(5, 1000, (64, 64))

def holes():
    kept = [torch.ones(25_000) for _ in range(6_000)][::8]  # 75 MB of 600, each between holes
    with at_rest(model):
        pass
    return held("VmRSS")

def tables():
    pl.latency_table(model, widths=4, repeats=1)

def surgeon():
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    pl.importance(half, [batch], "obs")

def trained():
    pl.fine_tune(model, tokenizer, pl.load_intents("train", limit=64), progress=False)
    return held("VmRSS")

def held(name):
    rows = dict(row.split(":") for row in Path("/proc/self/status").read_text().splitlines())
    return int(rows[name].split()[0]) / 1024

def growth(call):
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the most that was held
    before = held("VmRSS")
    return (call() or held("VmHWM")) - before

pl.evaluate(model, tokenizer, pl.load_intents("test", limit=64))  # what is imported and made once
print(json.dumps({call.__name__: growth(call) for call in (holes, tables, surgeon, trained)}))
"""
MIB = {"holes": 250, "tables": 650, "surgeon": 850, "trained": 90}


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the system does not tell peaks"
)
def test_lessons_fit_in_two_gibibytes():
    """A server on the web gives two, for all; the kernel itself takes 0.6 with a model."""
    command = [sys.executable, "-W", "ignore", "-c", PEAKS]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    peaks = json.loads(run.stdout)
    assert all(peaks[call] < most for call, most in MIB.items()), peaks
