"""No room on a disk, or no right to write: which file, what is safe, what to do; and the first error is told."""

import errno
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from singlefilter import data, profiles, run, store
from singlefilter.data import decoding
from singlefilter.pipeline import stages, sweeps
from tests.conftest import TINY, forget_caches

NO_ROOM = pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
FULL = Path("/dev/full")
WRITERS = {
    "numpy": lambda path: np.save(path.open("wb"), np.ones(10**6)),
    "pandas": lambda path: pd.DataFrame({"a": range(10**5)}).to_csv(path),
    "torch": lambda path: torch.save({"a": torch.ones(10**5)}, path),
    "torch into a file": lambda path: _into_a_file(path),
    "text": lambda path: path.write_text("a" * 10**5, encoding="utf-8"),
}


def _into_a_file(path: Path) -> None:
    with path.open("wb") as file:
        torch.save({"a": torch.ones(10**5)}, file)


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("writer", WRITERS)
def test_whoever_finds_no_room_the_file_is_named(tmp_path, writer):
    path = tmp_path / "file"
    path.symlink_to(FULL)
    words = r"/file: no room on its disk, or in its quota \(4.0 kB to be written, "
    with pytest.raises(store.Full, match=words), store.naming(path, 4000):
        WRITERS[writer](path)


@pytest.mark.parametrize(
    "words",
    [
        "3000000 requested and 1048448 written",  # numpy, of a file that it opened itself
        "Error while serializing: I/O error: No space left on device (os error 28)",  # safetensors
        "Error while serializing: I/O error: Disk quota exceeded (os error 122)",
        "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534",  # torch
        "basic_ios::clear: iostream error",
    ],
)
def test_libraries_that_say_it_without_a_number(words):
    if "122" in words and errno.EDQUOT != 122:
        pytest.skip("another number on this system")
    assert store.is_full(RuntimeError(words)) and store.is_full(OSError(words))
    assert not store.is_full(RuntimeError("requested and not written, os error 2"))


def test_other_errors_are_what_they_were(tmp_path):
    for error in (
        OSError(errno.EPIPE, "x"),
        OSError(errno.EIO, "x", "named"),
        RuntimeError("shape"),
        ValueError("x"),
    ):
        assert not store.is_full(error)
        with pytest.raises(type(error)) as raised, store.naming(tmp_path):
            raise error
        assert raised.value is error


def test_a_disk_that_fails_is_named(tmp_path):
    with pytest.raises(OSError, match="Input.output error: .*named") as raised, store.naming(tmp_path / "named"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert raised.value.errno == errno.EIO


@NO_ROOM
def test_an_error_that_hides_it_does_not(tmp_path, number):
    with pytest.raises(store.Full), store.naming(tmp_path):
        try:
            raise OSError(number, "x")
        except OSError:
            raise KeyError("second")  # noqa: B904


def test_it_goes_from_process_to_process():
    error = store.full(Path("/nowhere/file"), 3 * 10**9)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and "3.0 GB to be written" in str(again) and store.is_full(again)


@NO_ROOM
def test_a_stage_names_the_file_it_wrote_last_and_goes_on_later(home, monkeypatch, number):
    done = store.stage("train", {"seed": 1}, lambda work: (work / "a").write_text("a", encoding="utf-8"))

    def build(work: Path) -> None:
        (work / "first").write_text("1", encoding="utf-8")
        os.utime(work / "first", (1, 1))
        (work / "second").write_text("2", encoding="utf-8")
        raise OSError(number, "x")

    with monkeypatch.context() as patch:
        patch.setattr(store.stages, "note", no_room)  # the seconds are not to hide it
        with pytest.raises(
            store.Full, match=r"train-[0-9a-f]*\.partial/second: no room .* kept: make room, and the same"
        ):
            store.stage("train", {"seed": 2}, build)
    assert store.is_complete(done)
    assert store.is_complete(store.stage("train", {"seed": 2}, lambda work: None))


def test_cleaning_up_does_not_hide_the_first_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "unlink", no_room)
    with pytest.raises(ValueError, match="the first"), store.atomic_file(tmp_path / "file"):
        raise ValueError("the first")


def test_images_are_given_their_room_before_they_are_decoded(home, monkeypatch):
    for split in ("train", "test"):
        for label in "abc":
            folder = home / "data" / "own" / split / label
            folder.mkdir(parents=True)
            decoding.pictures.Image.new("RGB", (8, 8)).save(folder / "0.png")
    monkeypatch.setattr(os, "posix_fallocate", no_room, raising=False)
    with pytest.raises(store.Full, match=r"train_images\.npy: no room .*\(704 bytes to be written"):
        data.stage(profiles.Data("own", image_size=8), 1)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            OSError(errno.EROFS, "Read-only", "/nowhere/a"),
            "/nowhere/a cannot be written (Read-only): make it so, copy",
        ),
        (PermissionError(errno.EACCES, "Denied", "/nowhere/a"), "let SINGLEFILTER_HOME name one"),
        (OSError(errno.ENOSPC, "x", "/nowhere/a"), "/nowhere/a: no room on its disk"),
        (OSError(errno.ENOSPC, "x"), ": no room on its disk"),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/x']"),
            "let TMPDIR name a folder",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file", "a"), "[Errno 2] No such file: 'a'"),
        (OSError("words of ours"), "words of ours"),
        (KeyError("a"), "'a'"),
    ],
)
def test_errors_in_words(error, says):
    assert says in store.in_words(error)


def test_what_cannot_be_read_is_not_to_be_written(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "a cannot be read (Denied)" in store.in_words(PermissionError(errno.EACCES, "Denied", str(tmp_path / "a")))


def test_the_command_line_says_it(home, tiny_home, monkeypatch, capsys):
    def refuse(path, *_):
        raise OSError(errno.EROFS, "ro", str(path))

    monkeypatch.setattr(os, "mkdir", refuse)
    assert run.main(["run", "--profile", str(tiny_home / "tiny.yaml")]) == 1
    said = capsys.readouterr().err
    assert f"singlefilter: {home / 'runs'}" in said and "cannot be written (ro): make it so" in said


@pytest.fixture
def read_only(tiny_home, tmp_path, monkeypatch):
    """A project whose finished runs cannot be written."""
    home = tmp_path / "home"
    shutil.copytree(tiny_home, home)
    runs, root = home / "runs", os.geteuid() == 0
    shutil.rmtree(runs / ".locks", ignore_errors=True)
    if root:  # whom no mode stops
        for how in (["--bind", str(runs), str(runs)], ["-o", "remount,bind,ro", str(runs)]):
            mounted = shutil.which("mount") and subprocess.run(["mount", *how], capture_output=True, check=False)
            if not mounted or mounted.returncode:
                subprocess.run(["umount", str(runs)], capture_output=True, check=False)
                pytest.skip("root may write anywhere, and may not mount here")
    else:
        for folder in (*runs.rglob("*/"), runs):
            folder.chmod(0o555)
    monkeypatch.setenv("SINGLEFILTER_HOME", str(home))
    forget_caches()
    yield home
    forget_caches()
    if root:
        subprocess.run(["umount", str(runs)], check=True)
    else:
        for folder in (runs, *runs.rglob("*/")):
            folder.chmod(0o755)


def test_runs_that_cannot_be_written_but_are_finished_do(read_only, capsys):
    with pytest.raises(OSError):
        (read_only / "runs" / "x").touch()
    own = read_only / "own.yaml"
    own.write_text(TINY.partition("controls:")[0], encoding="utf-8")  # whose stages are those of the tiny profile
    profile = str(own)
    assert run.main(["run", "--profile", profile]) == 0
    tiny = stages.Run(profiles.load(profile))
    assert str(sweeps.complete([tiny, tiny])) == "2 items, all of them in the store already"
    assert run.main(["publish", profile, "--figure", "curves", "accuracy_by_layer"]) == 0
    assert run.main(["figures", "--profile", profile]) == 0
    assert (read_only / "figures" / "own" / "curves.png").exists()
    capsys.readouterr()
    own.write_text(own.read_text(encoding="utf-8") + "seed: 5\n", encoding="utf-8")
    assert run.main(["run", "--profile", profile]) == 1
    assert "cannot be written" in capsys.readouterr().err
