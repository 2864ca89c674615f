"""Nothing leaves the machine: what the package and the course do asks for no name and calls no
place, native code included. In a network of its own, as a user has it: no setting of the tests' is
there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LESSON = HERE.parents[1] / "notebooks" / "01_attention.ipynb"  # the quickest, with BertViz's views
DEVICE_ID = ".cache/Microsoft/DeveloperTools/.onnxruntime"  # onnxruntime's, if it may send

CALLS = """
import socket
def attempt(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        pass
attempt(socket.getaddrinfo, "www.example.org", 443)
attempt(socket.create_connection, ("192.0.2.1", 443))
attempt(socket.create_connection, ("2001:db8::1", 80))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
attempt(datagrams.sendto, b"x", ("198.51.100.7", 123))
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
"""

LINE = """
import pruning_lessons as pl

model, tokenizer = pl.load()
data = pl.load_intents("test", languages=["en", "de"], limit=24)
pl.evaluate(model, tokenizer, data)
batches = list(data.batches(tokenizer, 8))
scores = pl.importance(model, batches)
masks = pl.select(scores, model, keep_macs=0.3)
masks.layers[3:] = False  # it is quicker
pruned = pl.prune(model, masks)
pl.repair(pruned, model, batches)
pl.save(pruned, tokenizer, "saved")
model, tokenizer = pl.load("saved")
pl.export_onnx(model, tokenizer, "served")
pl.quantize_onnx("served")
pl.OnnxModel("served", quantized=True)(["turn on the light"])
"""


def enclosed(folder: Path, *command, isolated: tuple[str, ...]) -> dict:
    """What a command tried, in a network of its own and an environment as a new user has it."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    env = kept | {"HOME": str(home), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    run = [*isolated, sys.executable, str(HERE / "closed_network.py"), *map(str, command)]
    done = subprocess.run(run, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0, done.stderr[-2000:]
    assert not found["unseen"]
    return found


@pytest.fixture(scope="module")
def isolated(tmp_path_factory) -> tuple[str, ...]:
    """The command that makes a network of its own; skips where there is none to be had."""
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("a network of its own needs Linux, unshare and ip")
    for how in (("unshare", "-rn"), ("unshare", "-n")):
        try:
            enclosed(tmp_path_factory.mktemp("probe"), "true", isolated=how)
            return how
        except AssertionError as error:
            reason = str(error).strip().splitlines()[0]
    pytest.skip(f"a network of its own is not permitted here: {reason}")


def test_what_leaves_is_seen(isolated, tmp_path):
    """The control: names, connections and datagrams, and not what stays on the machine."""
    tried = enclosed(tmp_path, sys.executable, "-c", CALLS, isolated=isolated)["tried"]
    assert {"TCP 192.0.2.1 port 443", "UDP 198.51.100.7 port 123"} <= set(tried)
    assert any(place.startswith("name www.example.org") for place in tried)
    assert not any("127.0.0.1" in place for place in tried)


def test_the_trace_of_telemetry(isolated, tmp_path):
    """The control of the next: left to itself, onnxruntime makes an id of the machine to send."""
    enclosed(tmp_path, sys.executable, "-c", "import onnxruntime", isolated=isolated)
    if not (tmp_path / "home" / DEVICE_ID).exists():
        pytest.skip("this onnxruntime leaves no trace of its telemetry")


def test_from_load_to_serve(isolated, tmp_path):
    assert not enclosed(tmp_path, sys.executable, "-c", LINE, isolated=isolated)["tried"]
    answer = tmp_path / "served" / "answer.py"
    command = (sys.executable, answer, "turn on the light")
    assert not enclosed(tmp_path, *command, isolated=isolated)["tried"]
    assert not (tmp_path / "home" / DEVICE_ID).exists()


def test_a_lesson(isolated, tmp_path):
    shutil.copy(LESSON, tmp_path)
    command = (sys.executable, "-m", "jupyter", "execute", LESSON.name)
    assert not enclosed(tmp_path, *command, isolated=isolated)["tried"]
    assert not (tmp_path / "home" / DEVICE_ID).exists()
