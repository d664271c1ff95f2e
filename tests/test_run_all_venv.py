"""run_all.sh makes .venv under a lock that dies with who holds it, whatever lies there or is in the environment."""

import os
import signal
import subprocess
import time

import pytest

from tests.standins import called, copied, run_all, work

STAMP = "singlefilter-setup"


@pytest.fixture
def project(tmp_path):
    return copied(tmp_path)


def wait_until(true, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


def start(project, name: str, **variables: str) -> tuple[subprocess.Popen, object]:
    """A run in the background, and the file it speaks into."""
    command, environment = called(project, **variables)
    said = project / f"{name}.txt"
    with said.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=project)
    return process, lambda: said.read_text(encoding="utf-8")


@pytest.fixture
def installing(project):
    """A run that is in the midst of installing, and what lets it go on."""
    pipe = project / "pipe"
    os.mkfifo(pipe)
    first, _ = start(project, "first", UV_WAITS=str(pipe))
    wait_until(
        lambda: (project / "calls.txt").exists() and "require-hashes" in (project / "calls.txt").read_text("utf-8")
    )

    def go_on() -> None:
        with pipe.open("w", encoding="utf-8") as file:
            file.write("\n")

    yield first, go_on
    first.kill()
    first.wait()


def empty(project) -> None:
    (project / ".venv").mkdir()


def stamp(words: str):
    def leave(project) -> None:
        (project / ".venv" / "bin").mkdir(parents=True)
        (project / ".venv" / "leftover").touch()
        (project / ".venv" / STAMP).write_text(words, encoding="utf-8")

    return leave


def half_moved(project) -> None:
    (project / ".venv.old" / "bin").mkdir(parents=True)
    (project / ".venv.new").mkdir()


@pytest.mark.parametrize(
    "leave",
    [
        empty,
        stamp(""),
        stamp(f"unfinished, process {os.getpid()}\n"),
        stamp("\0\n[["),
        stamp("unfinished"),
        half_moved,
    ],
)
def test_what_a_killed_run_left_is_made_again(project, leave):
    leave(project)
    (project / ".venv.lock").write_text(f"process {os.getpid()}, since 00:00\n", encoding="utf-8")
    ran = run_all(project)
    assert ran.returncode == 0, ran.stderr
    assert work(ran) == ["all --profile quick"] and "waiting" not in ran.stdout
    assert not (project / ".venv" / "leftover").exists()
    assert sorted(path.name for path in project.glob(".venv*")) == [".venv", ".venv.lock"]
    assert "set up already" in run_all(project).stdout


def test_a_second_run_says_who_is_at_it_and_waits(project, installing):
    first, go_on = installing
    second, said = start(project, "second")
    wait_until(lambda: "waiting for it to end" in said())
    assert f"process {first.pid}, since " in said()
    assert second.poll() is None and "require-hashes" in (project / "calls.txt").read_text(encoding="utf-8")
    go_on()
    assert first.wait(20) == second.wait(20) == 0
    assert "using .venv (set up by that run)" in said()
    assert (project / "calls.txt").read_text(encoding="utf-8").count("require-hashes") == 1


def test_an_installer_whose_script_was_killed_keeps_its_folder(project, installing):
    first, go_on = installing
    (project / ".venv" / "installed").touch()
    first.send_signal(signal.SIGKILL)
    first.wait()
    second, said = start(project, "second")
    wait_until(lambda: "what it started is still setting .venv up" in said())
    time.sleep(0.3)
    assert (project / ".venv" / "installed").exists() and second.poll() is None
    go_on()
    assert second.wait(20) == 0, said()
    assert "did not finish; making it again" in said() and not (project / ".venv" / "installed").exists()


def test_a_lock_that_nobody_holds_any_more_is_no_lock(project, installing):
    first, go_on = installing
    go_on()
    assert first.wait(20) == 0
    assert "waiting" not in run_all(project).stdout


def test_where_nothing_can_be_written_it_says_so(project):
    (project / ".venv.lock").mkdir()  # root may write anywhere else
    ran = run_all(project)
    assert ran.returncode == 1
    assert f"{project} cannot be written, so no .venv can be made in it" in ran.stderr
    (project / ".venv").write_text("", encoding="utf-8")
    assert "/.venv is no folder; move it away" in run_all(project).stderr


def test_what_the_environment_says_of_others_is_left_out(project):
    others = {"PYTHONPATH": "/other/lib", "GIT_DIR": "/other/.git", "PYTHONHOME": "/nowhere", "TMPDIR": "/nowhere"}
    ran = run_all(project, **others)
    assert ran.returncode == 0, ran.stderr
    assert f"PYTHONPATH={project}/lib\n" in ran.calls
    assert "GIT_DIR= UTF8=1\n" in ran.calls
    borrowed = run_all(project, CHECK="0", VIRTUAL_ENV="/somewhere", **others)
    assert f"PYTHONPATH={project}/lib:/other/lib\n" in borrowed.calls
    assert "GIT_DIR= UTF8=1\n" in borrowed.calls


def test_a_home_that_cannot_be_written_keeps_nothing_from_being_installed(project):
    (project / "no folder").touch()
    assert "CACHE=\n" in run_all(project, UV_RESULT="3").calls
    ran = run_all(project, HOME=str(project / "no folder"))
    assert ran.returncode == 0, ran.stderr
    assert f"CACHE={project}/.venv/uv-cache\n" in ran.calls
    assert not (project / ".venv" / "uv-cache").exists()
