"""Who has to wait for another run says so, once, and whom for."""

import logging
import os
import subprocess
import sys
import threading

import pytest
from filelock import FileLock

from singlefilter import store
from singlefilter.store import locks


@pytest.fixture
def held(tmp_path):
    """Another has the lock, until it is told to let go."""
    path, has, let_go = tmp_path / "a.lock", threading.Event(), threading.Event()

    def hold() -> None:
        with store.held(FileLock(path), "a"):
            has.set()
            let_go.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert has.wait(20)
    yield path, let_go
    let_go.set()
    thread.join()


def test_it_is_said_who_it_is(held, caplog):
    path, let_go = held
    threading.Timer(0.2, let_go.set).start()
    with store.held(FileLock(path), "train-0123"):
        pass
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"train-0123: another run is at it (process {os.getpid()} on ")
    assert said.endswith("); this one waits until that one is done")
    assert [left.name for left in path.parent.iterdir()] in ([], ["a.lock"])


def test_a_note_of_somebody_who_is_gone_is_not_believed(held, caplog):
    path, let_go = held
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    host = locks._who().split()[1]
    for words in (f"{int(gone.stdout)} {host} a, since 12:00", "nonsense", f"x {host} z"):
        store.note(path.with_name("a.lock.by"), words)
        assert locks._named(path.with_name("a.lock.by")) == "it does not say who"
    store.note(path.with_name("a.lock.by"), "1 another.host a, since 12:00")
    assert locks._named(path.with_name("a.lock.by")) == "process 1 on another.host, of a, since 12:00"


def test_nothing_is_said_where_nobody_waits(home, caplog):
    caplog.set_level(logging.DEBUG, "singlefilter")
    store.stage("train", {}, lambda work: (work / "a").touch())
    assert caplog.records == []
    assert not list((home / "runs" / ".locks").glob("*.by"))


def test_a_stage_that_another_run_makes_is_waited_for_with_a_word(home, caplog):
    folder = store.stage_folder("train", {})
    folder.parent.mkdir()
    has, let_go = threading.Event(), threading.Event()

    def build(work) -> None:
        has.set()
        let_go.wait(20)
        (work / "a").touch()

    thread = threading.Thread(target=store.stage, args=("train", {}, build))
    thread.start()
    assert has.wait(20)
    threading.Timer(0.2, let_go.set).start()
    assert store.stage("train", {}, lambda work: pytest.fail("made twice")) == folder
    thread.join()
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [folder.name]
