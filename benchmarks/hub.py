"""A JupyterHub, and learners who run lessons on it: what `room.py --hub` measures.

Everything goes the way a browser's requests go, through the hub's proxy to the learner's own
server, by JupyterHub's REST API and Jupyter's messages over a websocket:
https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html and
https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import requests
import websocket

# What workshop/hub.md advises, on this machine: a process for each learner's server, no password.
CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{place}/{{username}}"
c.Spawner.args = {args}
c.Spawner.cmd = ["{python}", "-m", "jupyterhub.singleuser"]
c.Spawner.environment = {{
    "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1",
}}
c.JupyterHub.services = [{{"name": "room", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{
    "name": "room", "services": ["room"],
    "scopes": ["admin:users", "admin:servers", "access:servers"],
}}]
"""
WHAT_IT_TOOK = """
import json, os, psutil, resource
print(json.dumps({
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    "server": psutil.Process(os.getppid()).memory_info().rss / 2**30,
    "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())),
}))
"""


class Hub:
    """A hub's address, and a token that may start servers and use them."""

    def __init__(self, url: str, token: str):
        self.url, self.headers = url.rstrip("/"), {"Authorization": f"token {token}"}

    def ask(self, method: str, path: str, **content) -> requests.Response:
        reply = requests.request(
            method, self.url + path, headers=self.headers, json=content or None, timeout=120
        )
        reply.raise_for_status()
        return reply

    def there(self, seconds: float, path: str = "/hub/api/") -> bool:
        """Whether it answers within some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                return self.ask("GET", path).ok
            except requests.RequestException:
                time.sleep(0.5)
        return False

    @contextmanager
    def server(self, name: str):
        """A learner's own server, and a kernel on it; both are gone afterwards. Raises
        RuntimeError: it was not there within five minutes.
        """
        user = f"/hub/api/users/{name}"
        if requests.get(self.url + user, headers=self.headers, timeout=120).status_code == 404:
            self.ask("POST", user)
        self.ask("POST", user + "/server")
        try:
            end = time.monotonic() + 300
            while not self.ask("GET", user).json()["servers"].get("", {}).get("ready"):
                if time.monotonic() > end:
                    raise RuntimeError(f"the server of {name} did not start: see the hub's log")
                time.sleep(0.5)
            yield self.kernel(name)
        finally:
            self.ask("DELETE", user + "/server")

    def kernel(self, name: str) -> "Kernel":
        """A new kernel on the learner's server."""
        kernels = f"/user/{name}/api/kernels"
        ident = self.ask("POST", kernels, name="python3").json()["id"]
        address = f"ws{self.url[4:]}{kernels}/{ident}/channels"
        return Kernel(websocket.create_connection(address, header=self.headers, timeout=1800))

    def learner(self, notebook, name: str) -> dict:
        """One learner through a notebook's code cells: seconds; GiB of kernel and server."""
        with self.server(name) as kernel:
            start = time.perf_counter()
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    kernel.run(cell.source)
            seconds = time.perf_counter() - start
            return {"seconds": seconds} | json.loads(kernel.run(WHAT_IT_TOOK))


class Kernel:
    """A kernel at the other end of a websocket."""

    def __init__(self, connection: websocket.WebSocket):
        self.connection, self.session = connection, uuid.uuid4().hex

    def run(self, code: str) -> str:
        """What a cell prints. Raises RuntimeError: the cell raised."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
        header |= {"session": self.session, "username": "", "date": ""}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}}
        self.connection.send(json.dumps(message | {"content": {"code": code, "silent": False}}))
        printed, error = "", None
        while True:
            reply = json.loads(self.connection.recv())
            if reply["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            content = reply["content"]
            if reply["msg_type"] == "stream":
                printed += content["text"]
            elif reply["msg_type"] == "error":
                error = "\n".join(content["traceback"])
            elif content.get("execution_state") == "idle":
                if error:
                    raise RuntimeError(error)
                return printed


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def own_hub():
    """A hub on this machine; it and its files are gone with the block.

    Needs `jupyterhub` in this environment and `configurable-http-proxy` on the path. Raises
    RuntimeError: it did not start within a minute.
    """
    token, port = secrets.token_hex(16), free_port()
    settings = {"port": port, "hub": free_port(), "api": free_port(), "token": token}
    settings["args"] = ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/hub.log", "w") as log:
        config = CONFIG.format(**settings, place=folder, python=sys.executable)
        Path(folder, "jupyterhub_config.py").write_text(config, "utf-8")
        command = [sys.executable, "-m", "jupyterhub"]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            hub = Hub(f"http://127.0.0.1:{port}", token)
            if not hub.there(60):
                raise RuntimeError(f"no hub: {Path(log.name).read_text()[-2000:]}")
            yield hub
        finally:
            process.terminate()
            process.wait(60)
