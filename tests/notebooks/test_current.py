"""A notebook is not run again where a run would make the same of it, and only there."""

import json
import os
from pathlib import Path

import pytest
from tests.notebooks.made_up import write

from singlefilter import notebooks, surroundings


def made(home: Path, name: str = "01_x", **about: str) -> Path:
    """A notebook, and an executed copy with its page."""
    path = write(home, name, "1 + 1", **about)
    folder = home / "build" / "quick"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.name).write_text("copy", encoding="utf-8")
    (folder / f"{name}.html").write_text("page", encoding="utf-8")
    return path


@pytest.fixture
def kept(home) -> tuple[Path, notebooks.Asked]:
    path, asked = made(home), notebooks.Asked("quick", "quick")
    assert notebooks.current([path], asked) == []
    for name in ("figures/quick/seeds.csv", "runs/train-1/manifest.json"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text("x", encoding="utf-8")
    notebooks.keep([path], asked)
    assert notebooks.current([path], asked) == [path]
    return path, asked


def test_what_has_changed_is_run_again(home, kept):
    path, asked = kept
    page, copy = home / "build/quick/01_x.html", home / "build/quick/01_x.ipynb"
    figure, stage = home / "figures/quick/seeds.csv", home / "runs/train-1/manifest.json"
    for changed in (path, page, copy, figure, stage):
        text, times = changed.read_text(encoding="utf-8"), (changed.stat().st_atime_ns, changed.stat().st_mtime_ns)
        changed.write_text(text + " ", encoding="utf-8")
        assert notebooks.current([path], asked) == [], changed
        changed.unlink()
        assert changed == path or notebooks.current([path], asked) == [], changed
        changed.write_text(text, encoding="utf-8")
        os.utime(changed, ns=times)
        assert notebooks.current([path], asked) == [path], changed
    (home / "runs/train-2").mkdir()
    (home / "runs/train-2/manifest.json").touch()
    assert notebooks.current([path], asked) == []


def test_another_library_profile_or_package_is_another_run(home, kept, monkeypatch, tmp_path):
    path, asked = kept
    assert notebooks.current([path], notebooks.Asked("laptop", "quick")) == []
    assert notebooks.current([path], notebooks.Asked("quick", "quick", home)) == []
    library = tmp_path / "lib"
    for name, text in (("__init__.py", ""), ("settings.yaml", "a: 1")):
        (library / "singlefilter").mkdir(parents=True, exist_ok=True)
        (library / "singlefilter" / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(surroundings, "LIBRARY", library)
    assert notebooks.current([path], asked) == []
    notebooks.keep([path], asked)
    assert notebooks.current([path], asked) == [path]
    (library / "singlefilter" / "settings.yaml").write_text("a: 2", encoding="utf-8")
    assert notebooks.current([path], asked) == []
    notebooks.keep([path], asked)
    monkeypatch.setattr("singlefilter.provenance.versions", lambda: {"torch": "9"})
    assert notebooks.current([path], asked) == []


def test_one_that_gathers_the_results_of_others_is_always_run(home):
    paths = [made(home, "01_x"), made(home, "10_all", runs="last")]
    asked = notebooks.Asked("quick", "quick")
    notebooks.keep(paths, asked)
    assert notebooks.current(paths, asked) == paths[:1]


@pytest.mark.parametrize("note", ["", "[]", "{", '{"": 1}', "null", '{"01_x.ipynb": "0"}'])
def test_a_note_that_cannot_be_read_is_none(home, kept, note):
    path, asked = kept
    there = home / "build/quick/.made-of.json"
    assert set(json.loads(there.read_text(encoding="utf-8"))) == {"", "01_x.ipynb"}
    there.write_text(note, encoding="utf-8")
    assert notebooks.current([path], asked) == []
