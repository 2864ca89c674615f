"""JupyterLab in headless Chromium, as a person uses it: `python tests/browser/lab.py NOTEBOOK
PICTURE.png`.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VIEW = {"width": 1280, "height": 720}  # what a projector shows
SETTINGS = {
    # All cells stay in the page, so that they can be looked at and photographed; no news is
    # fetched.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def chromium() -> str | None:
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def needs_chromium() -> None:
    """For the head of a file of tests: skipped without chromium, but not in CI."""
    import pytest

    if chromium() is None:
        if os.environ.get("CI"):
            raise RuntimeError("chromium is missing: the browser pass must run in CI")
        pytest.skip("chromium is not installed", allow_module_level=True)


@contextmanager
def jupyterlab(folder: Path, scratch: Path):
    """JupyterLab on a free port over `folder`, without a way to the network; yields its address."""
    for name, values in SETTINGS.items():
        file = scratch / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    paths = [str(ROOT / "tests" / "guard"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "JUPYTERLAB_SETTINGS_DIR": str(scratch / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    log = open(scratch / "lab.log", "w")
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--IdentityProvider.token=",
            f"--ServerApp.root_dir={folder}",
        ],
        env=env,
        stdout=log,
        stderr=log,
    )
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=2)
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)
        log.close()


@contextmanager
def browser_page(outside: list):
    """A page of headless Chromium; every request that leaves this machine is noted in `outside`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport=VIEW)
        page.on(
            "request",
            lambda r: (
                outside.append(r.url)
                if urlparse(r.url).scheme in ("http", "https", "ws", "wss")
                and urlparse(r.url).hostname not in ("127.0.0.1", "localhost")
                else None
            ),
        )
        yield page
        browser.close()


def open_and_run(page, address: str, notebook: str, seconds: int = 600) -> None:
    """Open a notebook, choose Run > Run All Cells, and wait until the last cell is done."""
    page.goto(f"{address}/lab/tree/{notebook}?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    # The toolbar says "idle" before there is a kernel; the status bar does not.
    page.wait_for_function(
        "document.querySelector('#jp-main-statusbar')?.textContent.includes('| Idle')",
        timeout=60_000,
    )
    page.wait_for_timeout(500)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => {
        const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]
            .map(p => p.textContent);
        return prompts.some(p => p.includes('*')) }""",
        timeout=30_000,
    )
    page.wait_for_function(
        """() => {
        const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]
            .map(p => p.textContent);
        return !prompts.some(p => p.includes('*')) }""",
        timeout=seconds * 1000,
    )
    page.wait_for_timeout(2000)


def photograph(page, file: Path) -> None:
    """The whole notebook in one picture, or in several (…-1.png, …): Chromium draws 16,384 pixels
    at most.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    height = page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
    page.set_viewport_size(VIEW | {"height": min(height + 150, 16_000)})
    for number, top in enumerate(range(0, height, 16_000 - 150)):
        page.evaluate(f"document.querySelector('.jp-WindowedPanel-outer').scrollTop = {top}")
        page.wait_for_timeout(1500)
        page.screenshot(path=file.with_stem(f"{file.stem}-{number}") if number else file)
    page.set_viewport_size(VIEW)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        notebook, found = Path(sys.argv[1]).resolve(), []
        with jupyterlab(notebook.parent, Path(scratch)) as address, browser_page(found) as page:
            open_and_run(page, address, notebook.name)
            photograph(page, Path(sys.argv[2]))
        print("requests that left this machine:", found or "none")
