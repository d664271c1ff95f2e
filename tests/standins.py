"""What run_all.sh calls, for tests: a small copy of the project whose Pythons and uv write down how they were called.

So nothing is installed and no network is needed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Passes for a Python of any version; the check of the environment answers with $CHECK, `venv` makes one more.
PYTHON = """#!/bin/sh
echo "$0 $*" >>"$CALLS"
case "$*" in
  "-V") echo "Python 3.12.0" ;;
  *fcntl*) exec "$REAL_PYTHON" "$@" ;;
  *"print(sys.executable)"*) echo "$0" ;;
  *version_info*) exit "${TOO_OLD:-0}" ;;
  *environment.py*) case "$0" in *.venv/*) exit "${VENV_CHECK:-0}" ;; esac
     echo "FAIL  torch  missing"; exit "${CHECK:-1}" ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  "-m singlefilter"*) echo "PYTHONPATH=${PYTHONPATH:-}" >>"$CALLS"
     echo "DATA=${SINGLEFILTER_DATA:-} GIT_DIR=${GIT_DIR:-} UTF8=${PYTHONUTF8:-}" >>"$CALLS"; exit "${RUN:-0}" ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >>"$CALLS"
case "$*" in *"-r requirements.lock"* | *torch-backend*)
  echo "CACHE=${UV_CACHE_DIR:-}" >>"$CALLS"
  if [ -p "${UV_WAITS:-}" ]; then read -r _ <"$UV_WAITS"; fi; exit "${UV_RESULT:-0}" ;; esac
"""


def copied(at: Path) -> Path:
    """A copy of the project in a folder with a space in its name, and what it calls in `bin/`."""
    root = at / "a project"
    library = root / "lib" / "singlefilter"
    shutil.copytree(ROOT / "lib" / "singlefilter" / "profiles", library / "profiles")
    for name in ("run_all.sh", "requirements.lock", "pyproject.toml", "lib/singlefilter/environment.py"):
        shutil.copy(ROOT / name, root / name)
    (root / "notebooks").mkdir()
    for name in ("01_data_sets.ipynb", "08_afcc.ipynb"):
        (root / "notebooks" / name).touch()
    (root / "bin").mkdir()
    for name, text in (("python3", PYTHON), ("uv", UV)):
        (root / "bin" / name).write_text(text, encoding="utf-8")
        (root / "bin" / name).chmod(0o755)
    return root


def called(project: Path, *arguments: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    """The command of the copy, and the environment in which it finds the stand-ins alone."""
    # a python3.12 of this machine would be found before the stand-in
    for name in ("python3.11", "python3.12", "python3.13"):
        (project / "bin" / name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (project / "bin" / name).chmod(0o755)
    environment = {"PATH": f"{project / 'bin'}:/usr/bin:/bin", "CALLS": str(project / "calls.txt")}
    environment |= {"HOME": os.environ["HOME"], "REAL_PYTHON": sys.executable}
    return ["bash", str(project / "run_all.sh"), *arguments], environment | variables


def run_all(project: Path, *arguments: str, cwd: Path | None = None, **variables: str):
    """Run the copy; returns the finished process, with the calls it made as `.calls`."""
    calls = project / "calls.txt"
    calls.unlink(missing_ok=True)
    command, environment = called(project, *arguments, **variables)
    ran = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        cwd=cwd or project,
        env=environment,
        timeout=60,
        check=False,
    )
    ran.calls = calls.read_text(encoding="utf-8") if calls.exists() else ""
    return ran


def work(ran) -> list[str]:
    """The calls of the library, without the path of the Python."""
    return [line.partition(" -m singlefilter ")[2] for line in ran.calls.splitlines() if " -m singlefilter " in line]
