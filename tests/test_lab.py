"""Working copies of the notebooks, which nothing overwrites, and what JupyterLab is started with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from singlefilter import notebooks, progress, run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(home):
    """A project with two notebooks."""
    (home / "notebooks").mkdir()
    for name in ("01_first.ipynb", "02_second.ipynb"):
        (home / "notebooks" / name).write_text(json.dumps({"name": name}), encoding="utf-8")
    return home


@pytest.fixture
def started(monkeypatch) -> list:
    """What would have been started: the command and its environment."""
    calls = []
    monkeypatch.setattr(os, "execve", lambda path, command, environment: calls.append((command, environment)))
    return calls


def lab(*arguments: str) -> None:
    options = run._parser().parse_args(["lab", *arguments])
    options.command(options)


def test_copies_are_made_where_the_reader_has_none(project):
    folder, made, older = notebooks.copies()
    assert (folder, made, older) == (project / "my_notebooks", ["01_first.ipynb", "02_second.ipynb"], [])
    for name in made:
        assert (folder / name).read_bytes() == (project / "notebooks" / name).read_bytes()
    (folder / "01_first.ipynb").write_text("mine", encoding="utf-8")
    (folder / "02_second.ipynb").unlink()
    assert notebooks.copies()[1:] == (["02_second.ipynb"], [])
    assert (folder / "01_first.ipynb").read_text(encoding="utf-8") == "mine"


def test_a_copy_that_is_older_is_named_and_stays(project, started, capsys):
    folder, *_ = notebooks.copies()
    (folder / "own.ipynb").write_text("own", encoding="utf-8")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.ipynb")}
    (project / "notebooks" / "02_second.ipynb").write_text("newer", encoding="utf-8")
    for _ in range(2):  # it is said as long as it is so
        lab()
        assert "02_second.ipynb: the project has a newer one than yours, which stays" in capsys.readouterr().out
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.ipynb")}
    assert before == after
    (folder / "02_second.ipynb").unlink()
    assert notebooks.copies()[1:] == (["02_second.ipynb"], [])
    assert notebooks.copies()[1:] == ([], [])


def test_a_file_of_the_readers_of_the_same_name_stays(project):
    (project / "my_notebooks").mkdir()
    (project / "my_notebooks" / "01_first.ipynb").write_text("mine", encoding="utf-8")
    folder, made, older = notebooks.copies()
    assert (made, older) == (["02_second.ipynb"], [])
    assert (folder / "01_first.ipynb").read_text(encoding="utf-8") == "mine"
    (folder / ".originals.json").write_text("[1", encoding="utf-8")
    assert notebooks.copies()[1:] == ([], [])


def test_without_notebooks_it_says_so(home, started, capsys):
    assert run.main(["lab"]) == 1
    assert "there are no notebooks in" in capsys.readouterr().err and started == []


def test_it_is_started_for_this_machine_alone_and_finds_the_project(project, started, monkeypatch):
    monkeypatch.setenv(progress.UNWATCHED, "yes")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lab()
    command, environment = started[0]
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert command[3:] == [
        f"--ServerApp.root_dir={project}",
        "--ServerApp.ip=localhost",
        "--ServerApp.kernel_spec_manager_class=singlefilter.interpreter.Specs",
        f"--ServerApp.preferred_dir={project / 'my_notebooks'}",
    ]
    assert environment["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT / "lib")
    assert environment["SINGLEFILTER_HOME"] == str(project)
    assert progress.UNWATCHED not in environment  # or the notebooks would show no widgets
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    lab()
    assert started[1][0][3:] == [*command[3:], "--allow-root"]


@pytest.mark.parametrize("given", [["--no-browser", "--port", "9999"], ["--no-browser"], []])
def test_what_follows_the_dashes_goes_to_it(project, started, given):
    lab("--", *given)
    command, _ = started[0]
    assert command[len(command) - len(given) :] == given


@pytest.mark.parametrize("given", [["--ip=0.0.0.0"], ["--ip", "0.0.0.0"], ["--ServerApp.ip=0.0.0.0"]])
def test_nothing_is_set_twice(project, started, given):
    """JupyterLab refuses a setting with two values."""
    lab("--", *given, "--allow-root")
    command, _ = started[0]
    assert command[-len(given) - 1 :] == [*given, "--allow-root"]
    assert sum("ip" in argument.split("=")[0].split(".")[-1].strip("-").split("_") for argument in command) == 1
    assert command.count("--allow-root") == 1


@pytest.mark.parametrize("given", ["--notebook-dir=/elsewhere", "--ServerApp.root_dir=/elsewhere"])
def test_elsewhere_it_does_not_open_with_the_copies(project, started, given):
    """JupyterLab refuses to open with a folder that is not in its own."""
    lab("--", given)
    command, _ = started[0]
    assert not [argument for argument in command if str(project) in argument]


def test_git_ignores_the_copies():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    path = f"{notebooks.COPIES}/01_data_sets.ipynb"
    assert subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", path], check=False).returncode == 0
