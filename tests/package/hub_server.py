"""A small hub: as much of the Hugging Face hub's protocol as huggingface_hub needs to download.

python tests/package/hub_server.py FOLDER --port 8000 [--name owner/name] [--break-after BYTES]

serves a checkpoint's folder; `HF_ENDPOINT=http://127.0.0.1:8000` makes it the hub. In tests a `Hub`
is a context manager that can also misbehave: break connections, be slow, answer with errors, go
away. Big files are answered as the hub answers them, with a redirect to where the bytes are.
"""

import argparse
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 16
WAIT = threading.Event().wait  # as time.sleep, which tests make shorter
PATHS = [
    ("info", r"/api/models/(?P<name>[^/]+(?:/[^/]+)??)(/revision/(?P<revision>[^/]+))?"),
    ("tree", r"/api/models/(?P<name>[^/]+(?:/[^/]+)??)/tree/(?P<revision>[^/]+)"),
    ("file", r"/(?P<name>[^/]+(?:/[^/]+)??)/resolve/(?P<revision>[^/]+)/(?P<file>.+)"),
    ("bytes", r"/bytes/(?P<digest>[0-9a-f]{64})"),
]


class Blob(NamedTuple):
    """A file as it was when its commit was made: a link to it outlives a change of the folder."""

    path: Path
    size: int
    digest: str
    big: bool


class Request(NamedTuple):
    """What was asked, and how many bytes of a file were sent for it."""

    method: str
    path: str
    range: str | None
    sent: int


@dataclass
class Hub:
    """The hub's repositories, how it misbehaves, and what it was asked.

    break_after: bytes of a big file after which the connection is cut, `breaks` times (-1: always).
    delay: seconds before each answer. pause: seconds between chunks of 64 KiB. statuses: an answer
    such as (500, None) or (401, "GatedRepo") by a pattern of the path. oversize: bytes by which
    announced sizes of big files are wrong. calls: done when the path of a request matches, once.
    """

    repositories: dict[str, dict[str, dict[str, Blob]]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    break_after: int | None = None
    breaks: int = -1
    delay: float = 0.0
    pause: float = 0.0
    statuses: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    oversize: int = 0
    calls: dict[str, Callable[[], object]] = field(default_factory=dict)
    server: ThreadingHTTPServer | None = None
    connections: set[socket.socket] = field(default_factory=set)

    def commit(self, name: str, folder: Path) -> str:
        """Make the folder's files the repository's newest commit; returns its name."""
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): _blob(path) for path in paths}
        identity = sha256(repr([(file, blob.digest) for file, blob in files.items()]).encode())
        commits = self.repositories.setdefault(name, {})
        commits.pop(identity.hexdigest()[:40], None)  # the last one is the newest
        commits[identity.hexdigest()[:40]] = files
        return identity.hexdigest()[:40]

    def asked(self, pattern: str, method: str = "GET") -> list[Request]:
        """The requests whose path matches."""
        return [r for r in self.requests if r.method == method and re.search(pattern, r.path)]

    def well(self) -> None:
        """Stop misbehaving, forget what was asked."""
        fresh = Hub()
        for name in ("break_after", "breaks", "delay", "pause", "statuses", "oversize", "calls"):
            setattr(self, name, getattr(fresh, name))
        self.requests.clear()

    def start(self, port: int = 0) -> str:
        """Listen on this machine alone; returns the address for HF_ENDPOINT."""
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", port), type("Bound", (_Answer,), {"hub": self})
        )
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def go_away(self) -> None:
        """Refuse every connection from now on."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
            for connection in list(self.connections):  # those that are kept alive are answered, too
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.connections.clear()


@contextmanager
def running(hub: Hub, port: int = 0):
    """The hub, and its address, as long as the block runs."""
    try:
        yield hub.start(port)
    finally:
        hub.go_away()


def _blob(path: Path) -> Blob:
    digest = sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return Blob(path, path.stat().st_size, digest.hexdigest(), path.suffix == ".safetensors")


class _Answer(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.hub.connections.add(self.connection)

    def finish(self) -> None:
        self.hub.connections.discard(self.connection)
        with suppress(OSError):  # the client may have gone
            super().finish()

    def log_message(self, *args) -> None:
        """The hub keeps its own list."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path, sent = unquote(urlsplit(self.path).path), 0
        WAIT(self.hub.delay)
        for pattern in [pattern for pattern in self.hub.calls if re.search(pattern, path)]:
            self.hub.calls.pop(pattern)()
        try:
            sent = self._dispatch(path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.hub.requests.append(Request(self.command, path, self.headers["Range"], sent))

    def _dispatch(self, path: str) -> int:
        for pattern, (status, code) in self.hub.statuses.items():
            if re.search(pattern, path):
                return self._refuse(status, code)
        for kind, pattern in PATHS:
            if match := re.fullmatch(pattern, path):
                return getattr(self, f"_{kind}")(**match.groupdict())
        return self._refuse(404, None)

    def _refuse(self, status: int, code: str | None) -> int:
        headers = {"X-Error-Code": code, "X-Error-Message": f"refused: {code}"} if code else {}
        return self._send(status, b"{}", headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> int:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
        return 0

    def _json(self, content) -> int:
        body = json.dumps(content).encode()
        return self._send(200, body, {"Content-Type": "application/json"})

    def _commit(self, name: str, revision: str | None) -> tuple[str, dict[str, Blob]] | None:
        """(the commit's name, its files); None, and an answer, if there is none."""
        commits = self.hub.repositories.get(name)
        if not commits:  # to who is not logged in the hub hides whether a private one is there
            self._refuse(401, "RepoNotFound")
            return None
        commit = list(commits)[-1] if revision in (None, "main") else revision
        if commit not in commits:
            self._refuse(404, "RevisionNotFound")
            return None
        return commit, commits[commit]

    def _info(self, name: str, revision: str | None) -> int:
        if (found := self._commit(name, revision)) is None:
            return 0
        commit, files = found
        siblings = [{"rfilename": file} for file in files]
        return self._json({"id": name, "modelId": name, "sha": commit, "siblings": siblings})

    def _tree(self, name: str, revision: str) -> int:
        if (found := self._commit(name, revision)) is None:
            return 0
        return self._json([_entry(file, blob) for file, blob in found[1].items()])

    def _file(self, name: str, revision: str, file: str) -> int:
        if (found := self._commit(name, revision)) is None:
            return 0
        commit, files = found
        headers = {"X-Repo-Commit": commit}
        if file not in files:
            return self._send(404, b"", headers | {"X-Error-Code": "EntryNotFound"})
        blob = files[file]
        if not blob.big:
            return self._send_file(blob, headers | {"ETag": f'"{blob.digest[:40]}"'})
        there = {  # another name than the hub's, as where the hub keeps big files
            "Location": f"http://localhost:{self.server.server_port}/bytes/{blob.digest}",
            "X-Linked-ETag": f'"{blob.digest}"',
            "X-Linked-Size": str(blob.size + self.hub.oversize),
        }
        return self._send(302, b"", headers | there)

    def _bytes(self, digest: str) -> int:
        commits = [files for each in self.hub.repositories.values() for files in each.values()]
        blobs = [blob for files in commits for blob in files.values() if blob.digest == digest]
        return (
            self._send_file(blobs[0], {"ETag": f'"{digest}"'}) if blobs else self._refuse(404, None)
        )

    def _send_file(self, blob: Blob, headers: dict[str, str]) -> int:
        """A file's bytes, from where they were asked for; cut, if the hub is to break."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            headers = headers | {"Content-Range": f"bytes {start}-{blob.size - 1}/{blob.size}"}
        for name, value in ({"Content-Length": str(blob.size - start)} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return 0
        with open(blob.path, "rb") as file:
            file.seek(start)
            return self._send_chunks(file, blob.big)

    def _send_chunks(self, file, big: bool) -> int:
        sent, limit = 0, None
        if big and self.hub.break_after is not None and self.hub.breaks:
            limit, self.hub.breaks = self.hub.break_after, self.hub.breaks - 1
        while chunk := file.read(CHUNK if limit is None else min(CHUNK, limit - sent)):
            self.wfile.write(chunk)
            sent += len(chunk)
            WAIT(self.hub.pause)
        if limit is not None and sent >= limit:
            self.close_connection = True
        return sent


def _entry(file: str, blob: Blob) -> dict:
    """A file in the listing of a commit."""
    entry = {"type": "file", "path": file, "size": blob.size, "oid": blob.digest[:40]}
    if blob.big:
        entry["lfs"] = {"oid": blob.digest, "size": blob.size, "pointerSize": 134}
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a checkpoint in transformers' layout")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--name", default="local/checkpoint", help="the repository's, owner/name")
    parser.add_argument(
        "--break-after",
        type=int,
        metavar="BYTES",
        help="cut the first download of a big file there",
    )
    options = parser.parse_args()
    hub = Hub(break_after=options.break_after, breaks=1)
    hub.commit(options.name, options.folder)
    with running(hub, options.port) as address:
        print(f"HF_ENDPOINT={address} serves {options.name!r}; Ctrl-C ends it", flush=True)
        seen = 0
        while True:
            time.sleep(0.2)
            for request in hub.requests[seen:]:
                print(*request, flush=True)
                seen += 1


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
