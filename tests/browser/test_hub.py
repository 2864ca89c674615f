"""What `benchmarks/room.py --hub` does with a learner's server; a server alone plays the hub's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from hub import WHAT_IT_TOOK, Hub, free_port


@pytest.fixture
def kernel(tmp_path):
    port = free_port()
    options = {
        "ServerApp.base_url": "/user/ada/",
        "ServerApp.port": port,
        "ServerApp.root_dir": tmp_path,
        "ServerApp.ip": "127.0.0.1",
        "IdentityProvider.token": "told",
    }
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    server = subprocess.Popen([*command, *(f"--{k}={v}" for k, v in options.items())])
    try:
        hub = Hub(f"http://127.0.0.1:{port}", "told")
        assert hub.there(60, "/user/ada/api/status")
        yield hub.kernel("ada")
    finally:
        server.terminate()
        server.wait(20)


def test_cells_run_one_after_the_other(kernel):
    assert kernel.run("seen = [1]\nprint('first')") == "first\n"
    assert kernel.run("seen") == ""
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        kernel.run("print(len(seen))\n1 / 0")
    assert kernel.run("print(seen)") == "[1]\n"


def test_what_it_took(kernel):
    kernel.run("block = bytearray(2**29)")
    took = json.loads(kernel.run(WHAT_IT_TOOK))
    assert 0.5 < took["memory"] < 1 and 0.02 < took["server"] < 0.5 and took["threads"] >= 1
