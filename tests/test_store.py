"""The store: keys, atomic files, stages that are built once, go on after an interruption and are never trusted
when their files have changed."""

import json
import logging
import multiprocessing
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from singlefilter import provenance, store


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    inner: Inner = field(default_factory=Inner)


def write_one(work: Path) -> None:
    (work / "sub").mkdir(exist_ok=True)
    (work / "one.txt").write_text("one", encoding="utf-8")
    (work / "sub" / "two.bin").write_bytes(bytes(range(256)))


def refuse(work: Path) -> None:
    raise AssertionError("built although it was there")


def test_key_is_the_same_today_and_tomorrow():
    assert store.config_key({"a": 1, "b": [1, 2]}) == "8baa73198470"  # sha256 of {"a":1,"b":[1,2]}


def test_key_ignores_order_and_kind_of_container():
    same = [
        {"x": Outer(), "y": (1, 2), "z": Path("a/b")},
        {"z": "a/b", "y": [1, 2], "x": {"inner": {"sizes": [1, 2], "rate": 0.1}, "name": "a"}},
    ]
    assert store.config_key(same[0]) == store.config_key(same[1])


@pytest.mark.parametrize(
    "other",
    [
        Outer(name="b"),
        Outer(inner=Inner(rate=0.1000001)),
        Outer(inner=Inner(sizes=(2, 1))),
        Outer(inner=Inner(sizes=(1, 2, 3))),
        {"name": "a"},
        {"name": "a", "inner": None},
    ],
)
def test_key_notices_every_change(other):
    assert store.config_key(other) != store.config_key(Outer())


def test_atomic_file_replaces_the_whole_file(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with store.atomic_file(path) as temporary:
        temporary.write_text("first", encoding="utf-8")
        assert not path.exists()
    with store.atomic_file(path) as temporary:
        temporary.write_text("second", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "first"
    assert path.read_text(encoding="utf-8") == "second"
    assert [item.name for item in path.parent.iterdir()] == ["table.csv"]


def test_atomic_file_keeps_the_old_one_when_writing_fails(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="no room"), store.atomic_file(path) as temporary:
        temporary.write_text("half of the n", encoding="utf-8")
        raise OSError("no room")
    assert path.read_text(encoding="utf-8") == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["table.csv"]


def test_finished_stage_is_not_built_again(home):
    folder = store.stage("x", {"a": 1}, write_one)
    assert folder == home / "runs" / f"x-{store.config_key({'a': 1})}"
    assert folder == store.stage_folder("x", {"a": 1})
    assert store.stage("x", {"a": 1}, refuse) == folder
    store.stages._verified.clear()  # as in a new process
    assert store.stage("x", {"a": 1}, refuse) == folder
    assert store.stage("x", {"a": 2}, write_one) != folder


def test_manifest_tells_what_and_from_where(home):
    config = {"outer": Outer(), "seed": 3}
    manifest = store.manifest(store.stage("x", config, write_one))
    said = {"name", "config", "files", "seconds", "versions", "machine", "computing", "commit", "checksum"}
    assert set(manifest) == said
    assert manifest["name"] == "x"
    expected = {"outer": {"name": "a", "inner": {"rate": 0.1, "sizes": [1, 2]}}, "seed": 3}
    assert manifest["config"] == expected
    assert set(manifest["files"]) == {"one.txt", "sub/two.bin"}
    assert manifest["files"]["one.txt"] == {
        "bytes": 3,
        "sha256": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    }
    assert {"python", "torch", "numpy", "singlefilter"} <= set(manifest["versions"])
    assert manifest["machine"] == provenance.machine()
    assert manifest["computing"] == provenance.computing()
    assert manifest["seconds"] >= 0


def test_what_was_made_before_threads_were_noted_is_read(home):
    old, new = store.stage("old", {}, write_one), store.stage("new", {}, write_one)
    content = store.manifest(old)
    del content["computing"], content["checksum"]
    store.write_json(old / store.MANIFEST, content)
    store.stages._verified.clear()
    assert store.is_complete(old)
    both = store.summary([old, new])
    assert (both["stages_done"], len(both["machines"])) == (2, 1)
    assert both["computing"] == [provenance.computing()]
    assert store.summary([old])["computing"] == []


def test_interrupted_build_goes_on_in_its_folder(home):
    calls = []

    def build(work: Path) -> None:
        calls.append(work)
        if len(calls) == 1:
            (work / "checkpoint").write_text("half", encoding="utf-8")
            raise KeyboardInterrupt
        assert (work / "checkpoint").read_text(encoding="utf-8") == "half"
        (work / "checkpoint").unlink()
        write_one(work)

    with pytest.raises(KeyboardInterrupt):
        store.stage("x", {}, build)
    assert not store.is_complete(store.stage_folder("x", {}))
    folder = store.stage("x", {}, build)
    assert calls[0] == calls[1]
    assert not calls[0].exists()
    assert set(store.manifest(folder)["files"]) == {"one.txt", "sub/two.bin"}


def test_seconds_of_interrupted_attempts_count(home):
    def too_long(work: Path) -> None:
        time.sleep(0.2)
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            store.stage("work", {"a": 1}, too_long)
    folder = store.stage("work", {"a": 1}, write_one)
    assert 0.4 <= store.manifest(folder)["seconds"] < 60
    assert not list(home.rglob("*.seconds"))


def test_leftovers_of_a_killed_process_are_not_kept(home):
    work = store.stage_folder("x", {}).with_name(store.stage_folder("x", {}).name + ".partial")
    work.mkdir(parents=True)
    killed = store.atomic_file(work / "checkpoint.pt")
    leftover = killed.__enter__()
    leftover.write_text("half a checkpoint", encoding="utf-8")
    folder = store.stage("x", {}, write_one)
    assert set(store.manifest(folder)["files"]) == {"one.txt", "sub/two.bin"}
    assert not (folder / leftover.name).exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "one bit flipped": ("sub/two.bin", lambda folder: flip(folder / "sub" / "two.bin")),
    "truncated": ("sub/two.bin", lambda folder: (folder / "sub" / "two.bin").write_bytes(bytes(range(200)))),
    "missing": ("one.txt", lambda folder: (folder / "one.txt").unlink()),
    "manifest truncated": (
        store.MANIFEST,
        lambda folder: (folder / store.MANIFEST).write_text('{"files": {', encoding="utf-8"),
    ),
    "manifest missing": (store.MANIFEST, lambda folder: (folder / store.MANIFEST).unlink()),
    "manifest of another kind": (
        store.MANIFEST,
        lambda folder: (folder / store.MANIFEST).write_text("[]", encoding="utf-8"),
    ),
}


@pytest.mark.parametrize("large", [0, 2**30])
@pytest.mark.parametrize("new_process", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_stage_is_set_aside_and_built_again(home, caplog, monkeypatch, damage, new_process, large):
    monkeypatch.setattr(store.stages, "LARGE", large)
    file, do = DAMAGES[damage]
    folder = store.stage("x", {}, write_one)
    time.sleep(0.01)  # so that the time of the change is another one
    do(folder)
    if new_process:
        store.stages._verified.clear()
    assert not store.is_complete(folder)
    with caplog.at_level(logging.WARNING):
        assert store.stage("x", {}, write_one) == folder
    assert f"{folder.name}: {file} is missing or not as it was written" in caplog.text
    assert (folder / "sub" / "two.bin").read_bytes() == bytes(range(256))
    aside = list(folder.parent.glob(f"{folder.name}.damaged-*"))
    assert len(aside) == 1
    assert aside[0].name in caplog.text


def test_a_large_stage_is_verified_once_for_all_processes(home, monkeypatch):
    read = []
    checksum = store.file_checksum
    monkeypatch.setattr(store.writing, "file_checksum", lambda path: read.append(path.name) or checksum(path))

    def asked_in_a_new_process() -> list[str]:
        store.stages._verified.clear()
        read.clear()
        assert store.is_complete(folder)
        return sorted(read)

    folder = store.stage("x", {}, write_one)
    assert asked_in_a_new_process() == asked_in_a_new_process() == ["one.txt", "two.bin"]
    monkeypatch.setattr(store.stages, "LARGE", 258)  # bytes; these are 259 and a manifest
    assert asked_in_a_new_process() == ["one.txt", "two.bin"]
    assert asked_in_a_new_process() == []
    (folder / "one.txt").touch()
    assert asked_in_a_new_process() == ["one.txt", "two.bin"]
    assert asked_in_a_new_process() == []
    store.forget(folder)
    assert [path.name for path in store.runs_folder().iterdir()] == [".locks"]


def test_stage_without_files_is_refused(home):
    with pytest.raises(RuntimeError, match="'x' wrote no files"):
        store.stage("x", {}, lambda work: None)
    assert not store.stage_folder("x", {}).exists()


def test_forget_removes_finished_and_unfinished_work(home):
    folder = store.stage("x", {}, write_one)
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir()
    assert store.forget(folder)
    assert not folder.exists()
    assert not partial.exists()
    assert not store.forget(folder)


def build_slowly(work: Path) -> None:
    with open(store.project_root() / "built", "a", encoding="utf-8") as log:
        log.write("once\n")
    time.sleep(0.5)
    write_one(work)


def ask(queue) -> None:
    queue.put(str(store.stage("x", {}, build_slowly)))


def test_two_processes_build_a_stage_once(home):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=ask, args=(queue,)) for _ in range(2)]
    for process in processes:
        process.start()
    folders = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert folders == {str(store.stage_folder("x", {}))}
    assert (home / "built").read_text(encoding="utf-8") == "once\n"


def test_json_is_sorted_and_keeps_letters(tmp_path):
    store.write_json(tmp_path / "a.json", {"b": Inner(), "a": "Ж"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": "Ж", "b": {"rate": 0.1, "sizes": [1, 2]}}
    assert text.index('"a"') < text.index('"b"')
    assert "Ж" in text
