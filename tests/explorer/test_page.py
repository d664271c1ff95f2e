"""The page as a file: what it holds of a run or an analysis, the same bytes, its size, names that are no markup."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
import torch
from tests.explorer.made_up import NASTY, content

import singlefilter
from singlefilter import drawing, explorer, profiles, run
from singlefilter.explorer import content as contents
from singlefilter.explorer import levels
from singlefilter.explorer.page import page
from singlefilter.method import clusters
from singlefilter.pipeline import stages
from singlefilter.studies.layers import tables


def header_of(text: bytes) -> dict:
    return json.loads(re.search(rb'<script type="application/json" id="header">(.*?)</script>', text)[1])


def levels_of(text: bytes, place: int, labels: int) -> np.ndarray:
    """Levels of a layer, uint8 `[filters, true_label, out_label]`, as the browser unpacks them."""
    packed = re.search(rb'id="levels-%d">(.*?)</script>' % place, text)[1]
    flat = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
    return flat.reshape(-1, labels, labels).transpose(0, 2, 1)


def test_what_it_holds_of_a_run(tiny):
    text = page(tiny)
    header = header_of(text)
    accuracy = tables.accuracy_by_layer(tiny)
    flat = accuracy[accuracy["head"] == "flat"]
    assert [layer["key"] for layer in header["layers"]] == [str(layer) for layer in flat["layer"]]
    assert [layer["accuracy"] for layer in header["layers"]] == flat[["accuracy", "low", "high"]].to_numpy().tolist()
    names = stages.splits(tiny)["test"].names
    assert (header["raw"], header["banner"]) == (list(names), drawing.BANNER)
    by_layer = tables.statistics_by_layer(tiny).query("split == 'train'").set_index("layer")
    for place, cut in enumerate(contents.of(tiny).cuts):
        matrices = cut.matrices(tuple(range(cut.filters)))
        found = levels_of(text, place, len(names))
        assert np.array_equal((found >= 30) & (found < 100), clusters.clip(matrices, 0.3).numpy())
        for name in contents.QUANTITIES:
            assert cut.statistics[name][0] == by_layer.loc[int(cut.key), name] or np.isnan(cut.statistics[name][0])


@pytest.fixture(scope="module")
def analysed() -> singlefilter.analysis.Result:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.Conv2d(6, 4, 3))
    images, labels = torch.rand(60, 3, 8, 8), torch.arange(60) % 5
    return singlefilter.analyze(model, (images, labels), at=["1", "2"], recipe=profiles.Heads(epochs=1, flip=False))


def test_what_it_holds_of_an_analysis(analysed, tmp_path):
    result = analysed
    path = explorer.write(result, tmp_path / "made" / "mine.html")
    header = header_of(path.read_bytes())
    assert [layer["key"] for layer in header["layers"]] == ["1", "2"]
    assert header["layers"][1]["accuracy"][0] == result.layers["accuracy"].iloc[1]
    assert header["pictures"] is None
    found = levels_of(path.read_bytes(), 1, 5)
    assert np.array_equal((found >= 30) & (found < 100), result["2"].clipped)
    with_pictures = page(result, np.zeros((5, 3, 8, 8), np.uint8))
    assert header_of(with_pictures)["pictures"]["rows"] == 1
    loaded = singlefilter.load(result.save(tmp_path / "mine.sf"))
    assert page(loaded) == page(result)


def test_the_same_bytes_whenever_it_is_made(tiny):
    first = page(tiny)
    contents.counting.counts.cache_clear()
    assert page(stages.Run(tiny.profile)) == first
    assert first == page(contents.of(tiny))


def test_no_address_of_a_server_is_in_it():
    text = page(content()).decode()
    assert set(re.findall(r"\w+://[\w.]+", text)) == {"http://www.w3.org"}  # the name of SVG, never asked for
    assert not re.search(r"<(link|script|img|iframe)[^>]+(src|href)=\"(?!data:)", text)


def test_names_are_never_markup():
    text = page(content(names=NASTY))
    assert header_of(text)["raw"] == list(NASTY)
    assert text.count(b"<script") == 4 and b"taken over</script" not in text  # data, two layers, code
    assert b"<title>made up &lt;b&gt;numbers&lt;/b&gt;</title>" in text


def test_a_part_is_evenly_spread_and_within_the_size():
    whole = content(labels=40, filters=(30, 90))
    everything = page(whole)
    assert [layer["shown"] for layer in header_of(everything)["layers"]] == [None, None]
    room = len(everything) - 60_000
    part = page(whole, largest=room)
    assert 0.8 * room < len(part) <= room
    shown = [layer["shown"] for layer in header_of(part)["layers"]]
    share = len(shown[1])
    assert shown[1] == list(levels.spread(90, share))
    assert shown[0] == (None if share >= 30 else list(levels.spread(30, share)))
    chosen = list(shown[1])
    assert np.array_equal(levels_of(part, 1, 40), levels_of(everything, 1, 40)[chosen])


def test_what_fits_by_no_means_is_refused():
    with pytest.raises(ValueError, match="with one filter of each of 2 layers, more than the 1,000 that it may"):
        page(content(), largest=1000)


def test_more_elements_than_a_browser_should_hold(monkeypatch):
    monkeypatch.setattr("singlefilter.explorer.page.ELEMENTS", 12 * 12 * 6)
    shown = [layer["shown"] for layer in header_of(page(content()))["layers"]]
    assert shown == [list(levels.spread(5, 3)), list(levels.spread(9, 3))]


def test_a_profile_that_has_not_run_says_what_to_run(home, capsys, monkeypatch):
    monkeypatch.setattr(stages, "data_folder", lambda *_: pytest.fail("data were asked for"))
    assert run.main(["explore", "laptop", "--no-open"]) == 1
    said = capsys.readouterr().err
    assert "profile laptop has not run" in said and "python -m singlefilter run --profile laptop" in said
    assert "Traceback" not in said


def test_a_profile_that_has_not_run_to_its_end(tiny_home, home, tiny, monkeypatch):
    monkeypatch.setenv("SINGLEFILTER_HOME", str(home))
    own = stages.Run(profiles.load(tiny_home / "tiny.yaml"))
    stages.complete(own, "train")
    with pytest.raises(explorer.NotRun, match="it lacks heads, measure-train, measure-test; run it first"):
        explorer.write(own, home / "page.html")


def test_the_command_writes_and_opens(tiny, tiny_home, tmp_path, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr("webbrowser.open", lambda address: asked.append(address) or True)
    profile = str(tiny_home / "tiny.yaml")
    assert run.main(["explore", profile, "--to", str(tmp_path / "a.html"), "--no-pictures"]) == 0
    assert asked == [(tmp_path / "a.html").as_uri()]
    assert header_of((tmp_path / "a.html").read_bytes())["pictures"] is None
    assert run.main(["explore", profile, "--no-open"]) == 0
    path = tiny_home / "build" / "tiny" / "explorer.html"
    assert f"{path}, " in capsys.readouterr().out
    assert header_of(path.read_bytes())["pictures"] is not None and len(asked) == 1


@pytest.mark.parametrize("pictures", [np.zeros((3, 3, 8, 8), np.uint8), np.zeros((5, 3, 8, 8)), True])
def test_pictures_of_another_kind(pictures, analysed):
    with pytest.raises(ValueError, match="pictures"):
        page(analysed, pictures)


def test_images_of_imagenet_are_not_shown_unless_asked_for(tiny, monkeypatch):
    assert contents.of(tiny).pictures.shape == (5, 3, 32, 32)
    monkeypatch.setattr(contents, "NOT_FREE", ("glyphs",))
    assert contents.of(tiny).pictures is None
    assert contents.of(tiny, pictures=True).pictures is not None
