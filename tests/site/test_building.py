"""What the site is made of, where nothing or not all is there, and what the command line says."""

import importlib.util
import json
import time

import pytest
from tests.site import project

from singlefilter import commands, notebooks, run, site
from singlefilter.site import building, chapters, results


@pytest.fixture
def lacking(monkeypatch):
    """A Python without the theme."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "furo" else real(name))


def test_nothing_to_show_says_what_to_run(home):
    with pytest.raises(site.Failed, match=r"nothing to show of paper.*run_all.sh --profile paper"):
        site.build(["paper"])
    assert not (home / "build").exists()


def test_the_command_says_what_is_missing(home, lacking, capsys):
    assert run.main(["site", "quick"]) == 2
    said = capsys.readouterr().err
    assert "this Python lacks furo" in said and "pip install furo" in said and "Traceback" not in said


def test_mathjax_may_be_missing_too(home, monkeypatch):
    monkeypatch.setattr(building, "mathjax", lambda: None)
    with pytest.raises(site.Unavailable, match="sphinx-mathjax-offline"):
        site.build(["quick"])


def test_a_run_without_sphinx_succeeds_and_says_how_to_get_the_site(home, lacking, monkeypatch, capsys):
    project.write(home / "notebooks" / "01_a.ipynb", project.prose("# a"))
    monkeypatch.setattr(notebooks, "execute_changed", lambda *_: ([], []))
    monkeypatch.setattr(commands, "_complete", lambda *_: None)
    monkeypatch.setattr(commands, "_name_explorer", lambda _: None)
    assert run.main(["all"]) == 0
    assert "site: no site, since this Python lacks furo" in capsys.readouterr().out


def test_a_run_ends_with_the_site(home, monkeypatch, capsys):
    project.write(home / "notebooks" / "01_a.ipynb", project.prose("# a"))
    monkeypatch.setattr(notebooks, "execute_changed", lambda *_: ([], []))
    monkeypatch.setattr(commands, "_complete", lambda *_: None)
    monkeypatch.setattr(commands, "_name_explorer", lambda _: None)
    asked = []
    monkeypatch.setattr(site, "build", lambda names: asked.append(names) or home / "site" / "index.html")
    assert run.main(["all"]) == run.main(["site", "laptop", "quick"]) == 0
    assert asked == [["quick"], ["laptop", "quick"]]
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [f"site: {home / 'site' / 'index.html'}", f"{home / 'site' / 'index.html'}"]


def test_what_is_found_of_profiles(tmp_path):
    home = project.make(tmp_path / "home")
    found = results.found(home, ["laptop"])
    assert [(one.name, len(one.chapters), bool(one.figures)) for one in found] == [
        ("laptop", 1, True),
        ("quick", 2, False),
    ]
    assert found[1].chapters[0].question == "What do $K$ labels look like, see [02](02_train.ipynb)?"
    assert [one.problem[:29] for one in found[1].chapters] == ["", "This run ended with an error,"]
    (home / "figures" / "own").mkdir()
    (home / "figures" / "own" / "claims.csv").write_text("claim\n", encoding="utf-8")
    (home / "figures" / "own" / "claims.png").write_bytes(b"")
    own = next(one for one in results.found(home, []) if one.name == "own")
    assert own.figures[0].words is None and "claims.csv" in own.figures[0].problem


def test_profiles_have_places_of_their_own():
    names = ("a b", "a_b", "a/b", "a.b", "a-b", "ä", "a_20b")
    places = {results.Results(name, None, (), (), None).place for name in names}
    assert len(places) == len(names)
    assert all(set(place) <= set("abcdefghijklmnoprstuvwxyz0123456789_.-/") for place in places)


def test_a_notebook_that_was_not_run_to_its_end_says_so(tmp_path):
    project.write(tmp_path / "01_a.ipynb", project.prose("# A"), project.code("1"), project.code("2", count=None))
    project.write(tmp_path / "02_b.ipynb", project.prose("no title"), project.code("", count=None))
    first, second = chapters.executed(tmp_path)
    assert "not been run to its end" in first.problem
    assert (second.problem, second.title) == ("", "02_b")


def test_thousand_labels_do_not_matter(tmp_path):
    """A chapter as long as those of 1,000 labels get is made ready in a moment, and nothing of it is lost."""
    labels = [f"<{number}> & “{project.NASTY}”" for number in range(1000)]
    path = project.write(
        tmp_path / "01_a.ipynb",
        project.prose("# A"),
        *(project.code("1", project.printed(label)) for label in labels),
    )
    (chapter,) = chapters.executed(path.parent)
    start = time.perf_counter()
    places = building.sources.Places(tmp_path, tmp_path)
    cells = json.loads(chapters.staged(chapter, "", "a.ipynb", places))["cells"]
    assert time.perf_counter() - start < 5
    assert [cell["outputs"][0]["text"] for cell in cells[1:]] == labels


def test_a_site_is_replaced_as_a_whole(tmp_path):
    fresh, place = tmp_path / "html", tmp_path / "build" / "quick" / "site"
    fresh.mkdir()
    (fresh / "index.html").write_text("new", encoding="utf-8")
    place.mkdir(parents=True)
    (place / "stale.html").write_text("old", encoding="utf-8")
    building._put(fresh, place)
    assert [path.name for path in place.iterdir()] == ["index.html"]
    assert [path.name for path in place.parent.iterdir()] == ["site"]
