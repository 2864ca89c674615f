"""Checkpoints from a hub: a local one, that also breaks, is silent, refuses and goes away."""

import importlib
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

import pruning_lessons as pl
from pruning_lessons.models import hub as fetching
from pruning_lessons.models.checkpoints import quiet

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make_pretrained
from hub_server import Hub, running

NAME, CUT = "someone/model", 1 << 17
BIG = r"^/bytes/"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two folders as the hub has them; not one weight of the second is the first's."""
    folders = [tmp_path_factory.mktemp(f"checkpoint{i}") for i in range(2)]
    make_pretrained(folders[0], width=24, layers=2, heads=4, neurons=20)
    make_pretrained(folders[1], width=36, layers=3, heads=6, neurons=30)
    (folders[0] / "README.md").write_text("What is not read is not fetched.")
    return folders


@pytest.fixture
def hub(checkpoints, tmp_path, monkeypatch):
    """A hub with the first checkpoint, an empty cache, and a client that waits little."""
    sleep = time.sleep
    started = Hub()
    started.commit(NAME, checkpoints[0])
    with running(started) as address:
        for name, value in surroundings(tmp_path, address).items():
            monkeypatch.setenv(name, value)
        for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.02)))
        importlib.reload(constants)
        yield started
    monkeypatch.undo()
    importlib.reload(constants)


def surroundings(tmp_path: Path, address: str) -> dict[str, str]:
    """The environment of a process whose hub is at this address."""
    home = str(tmp_path / "home")
    return {"HF_HOME": home, "HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}


def load(name: str = NAME):
    return pl.load(name, task="fill-mask")[0]


def same(model, folder: Path) -> bool:
    wanted = pl.load(folder, task="fill-mask")[0].state_dict()
    found = model.state_dict()
    return found.keys() == wanted.keys() and all(found[k].equal(wanted[k]) for k in wanted)


def refusal(name: str = NAME) -> str:
    with pytest.raises(ValueError) as error:
        load(name)
    text = str(error.value)
    assert text.startswith(f"checkpoint: {name!r} ") and len(text) < 330 and "\n" not in text
    return text


def test_it_is_fetched_once(hub, checkpoints):
    assert same(load(), checkpoints[0])
    assert not hub.asked("README")
    hub.requests.clear()
    assert same(load(), checkpoints[0])
    assert [request.path for request in hub.requests] == [f"/api/models/{NAME}"]


def test_a_broken_download_goes_on_where_it_broke(hub, checkpoints, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CUT // 2)  # 10 MB otherwise
    hub.break_after, hub.breaks = CUT, 2
    assert same(load(), checkpoints[0])
    asked = hub.asked(BIG)
    assert [request.range for request in asked] == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    size = (checkpoints[0] / "model.safetensors").stat().st_size
    assert sum(request.sent for request in asked) == size


def test_files_that_are_whole_are_not_sent_again(hub, checkpoints):
    hub.break_after = 0
    assert "broke off: check the connection" in refusal()
    hub.well()
    assert same(load(), checkpoints[0])
    sent = [request for request in hub.requests if request.sent]
    assert sent == hub.asked(BIG) and len(sent) == 1


def test_the_cache_does_without_a_network(hub, checkpoints, monkeypatch):
    load()
    hub.go_away()
    assert same(load(), checkpoints[0])
    text = refusal("someone/else")
    assert "cannot be reached: check the connection" in text
    assert "local folder" in text and "checkpoint='embedded'" in text
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    importlib.reload(constants)
    assert same(load(), checkpoints[0])
    assert "HF_HUB_OFFLINE is set" in refusal("someone/else")


def test_a_part_in_the_cache_is_no_checkpoint(hub):
    hub.break_after = 0
    refusal()
    hub.go_away()
    assert "cannot be reached" in refusal()


def test_a_hub_that_never_answers_is_not_waited_for(hub, monkeypatch):
    load()
    monkeypatch.setattr(fetching, "PATIENCE", 0.2)
    hub.delay = 30
    start = time.monotonic()
    load()
    assert "cannot be reached" in refusal("someone/else")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "path, answer, said",
    [
        ("resolve", (401, "GatedRepo"), "gated: accept its terms.*hf auth login"),
        ("^/api/models", (403, "GatedRepo"), "gated"),
        ("^/api/models", (401, "RepoNotFound"), "shows none of this name.*hf auth login"),
        ("^/api/models", (403, None), "refuses it to you"),
        ("^/api/models", (500, None), "answers with an error: try again later"),
        ("resolve.*safetensors", (503, None), "answers with an error"),
        ("^/api/models", (429, None), "too many requests"),
        ("resolve.*safetensors", (429, None), "too many requests"),
        ("resolve", (404, "RevisionNotFound"), "changed on the hub meanwhile"),
    ],
)
def test_refusals(hub, path, answer, said):
    hub.statuses = {path: answer}
    assert re.search(said, refusal())


def test_names_that_the_hub_does_not_have(hub):
    for name in ("someone/nothing", "nothing"):
        assert "is no folder here, and the hub shows none" in refusal(name)
    assert "owner/name" in refusal("some one")
    with pytest.raises(ValueError, match="there is no folder 'a/b/c'"):
        load("a/b/c")


def test_a_size_that_is_wrong(hub):
    hub.oversize = 5
    assert "Consistency check failed" in refusal()


def test_weights_as_pickle_alone(hub, checkpoints, tmp_path):
    shutil.copytree(checkpoints[0], tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    hub.commit(NAME, tmp_path / "pickled")
    assert re.search("only safetensors are read.*save_pretrained", refusal())
    assert not hub.asked("pytorch_model.bin")


def test_a_repository_of_something_else(hub, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data.csv").write_text("a,b")
    hub.commit(NAME, tmp_path / "other")
    assert "holds no checkpoint: none of its 1 files" in refusal()


def test_a_full_disk(hub, checkpoints):
    """A limit on files' sizes stands in for it."""
    resource = pytest.importorskip("resource")  # not on Windows
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CUT, hard))
    try:
        text = refusal()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no room for it in" in text and "HF_HOME" in text
    assert not list(Path(os.environ["HF_HOME"]).rglob("*.incomplete"))
    assert same(load(), checkpoints[0])


def test_one_commit(hub, checkpoints):
    """A repository that changes between two files: those of one moment, then those of the next."""
    hub.calls["resolve/.*/config.json"] = lambda: hub.commit(NAME, checkpoints[1])
    assert same(load(), checkpoints[0])
    assert same(load(), checkpoints[1])
    hub.go_away()
    assert same(load(), checkpoints[1])


def test_quiet_leaves_the_hubs_bars_as_they_were():
    are_off = huggingface_hub.utils.are_progress_bars_disabled
    huggingface_hub.utils.disable_progress_bars()
    try:
        with quiet():
            assert are_off()
        assert are_off()
    finally:
        huggingface_hub.utils.enable_progress_bars()
    with quiet():
        assert are_off()
    assert not are_off()


CODE = f"""
import sys, huggingface_hub, pruning_lessons as pl
for name in ({NAME!r}, {NAME!r}, "someone/quiet", "someone/slow"):
    sys.stdin.readline()
    if name == "someone/quiet":
        huggingface_hub.utils.disable_progress_bars()
    pl.load(name, task="fill-mask")
    print("loaded", flush=True)
"""


def test_bars_on_a_terminal_and_a_kill(hub, checkpoints):
    """Bars for what is fetched, none for what is there; after a kill the next process loads it."""
    pty, fcntl, termios = map(pytest.importorskip, ("pty", "fcntl", "termios"))  # not on Windows
    for name in ("someone/quiet", "someone/slow"):
        hub.commit(name, checkpoints[1])
    terminal, its_end = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=its_end, stderr=its_end
    )
    os.close(its_end)
    try:
        first, again, without = (load_there(process, terminal) for _ in range(3))
        assert re.search(r"Downloading.*\d\.\d+M.*100%|100%.*\d\.\d+M", first), first
        assert "%" not in again and "%" not in without
        begun = threading.Event()
        hub.pause, hub.calls[BIG] = 0.05, begun.set
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert begun.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    hub.well()
    assert same(load("someone/slow"), checkpoints[1]) and hub.asked(BIG)


def load_there(process: subprocess.Popen, terminal: int) -> str:
    """What the process shows until it has loaded the next."""
    process.stdin.write(b"\n")
    process.stdin.flush()
    shown = ""
    while "loaded" not in shown:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown
