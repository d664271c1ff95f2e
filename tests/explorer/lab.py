"""JupyterLab for tests in a browser: a server of a project, and pages of it in the system's Chromium."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import singlefilter
from singlefilter import notebooks

# Neither news nor updates are asked for: they would be asked of another server, and lie over the page.
QUIET = {"fetchNews": "false", "checkForUpdates": False}


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Start JupyterLab as `./run_all.sh --lab` does, on a project's folder; the address of a notebook, `{}` in the
    place of its name."""
    settings = home / "jupyter" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET), encoding="utf-8")
    token, port = secrets.token_hex(16), _free_port()
    environment = os.environ | {
        "SINGLEFILTER_HOME": str(home),
        "PYTHONPATH": str(Path(singlefilter.__file__).parents[1]),
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(home / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(home / "jupyter" / "runtime"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "singlefilter", "lab", "--", "--no-browser", f"--port={port}"]
    with (home / "lab.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    try:
        address = f"http://localhost:{port}"
        _wait(process, f"{address}/api/status?token={token}", home / "lab.log")
        yield f"{address}/lab/tree/{notebooks.COPIES}/{{}}?token={token}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def page(browser, failed: Path, width: int = 1280, height: int = 900) -> Iterator:
    """A page of a browser; `failed`: where it is drawn when what is done with it fails."""
    opened = browser.new_page(viewport={"width": width, "height": height})
    try:
        yield opened
    except BaseException:
        opened.screenshot(path=failed)
        raise
    finally:
        opened.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def _wait(process: subprocess.Popen, address: str, log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')}")
