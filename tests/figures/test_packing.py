"""What is packed on one machine draws the same on another, without its networks, and replaces nothing there."""

import shutil

import pandas as pd
import pytest
import torch
from tests.conftest import TINY, forget_caches

from singlefilter import profiles, run, store
from singlefilter.figures import files, packing, publishing, registry
from singlefilter.networks import training
from singlefilter.pipeline import stages
from singlefilter.studies.chance import tables as chance
from singlefilter.studies.layers import counting, tables

DRAWN = [*registry.FIGURES][1 : [*registry.FIGURES].index("error_by_labels")]  # by notebooks 02 to 05


@pytest.fixture(scope="module")
def source(tiny_home, tmp_path_factory):
    """A home in which everything is done that a pack takes, and its figures are published."""
    home = shutil.copytree(tiny_home, tmp_path_factory.mktemp("packing") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(home))
        patch.setattr(files, "_draw", lambda _: (None, []))  # what is drawn depends on the table alone
        forget_caches()
        done = stages.of(str(home / "tiny.yaml"))
        for network in registry.networks(packing.packed(done)):
            stages.complete(network)
        publishing.show_all(done, DRAWN)
    forget_caches()
    return home


@pytest.fixture
def at(monkeypatch):
    """Turn to another machine: its home, and whether it may train."""

    def turn(home, trains: bool = False) -> None:
        home.mkdir(exist_ok=True)
        monkeypatch.setenv("SINGLEFILTER_HOME", str(home))
        monkeypatch.delenv("SINGLEFILTER_DATA", raising=False)
        monkeypatch.setattr(files, "_draw", lambda _: (None, []))
        if not trains:
            for module, name in ((training, "fit"), (stages.heads_, "fit"), (stages.fields, "measure")):
                monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("trained or measured"))
        forget_caches()

    yield turn
    forget_caches()


def packed(source, to, cuts: str = "") -> list:
    chosen = ["--cuts", cuts] if cuts else []
    assert run.main(["pack", str(source / "tiny.yaml"), "--to", str(to), *chosen]) == 0
    return sorted(to.glob("*.pack"))


def content(home) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and store.locks.LOCKS not in path.parts
    }


def test_what_a_pack_draws_is_the_same_to_the_byte(source, at, tmp_path, monkeypatch):
    at(source)
    monkeypatch.setattr(packing, "LARGEST", 2**18)  # so that there are several files
    monkeypatch.setattr(packing, "FILES", 99)
    files = packed(source, tmp_path / "packs")
    assert len(files) > 2
    assert all(path.stat().st_size <= 2**18 for path in files)

    away = tmp_path / "away"
    at(away)
    assert run.main(["unpack", *map(str, reversed(files))]) == 0
    for name in DRAWN:
        here, there = (home / "figures" / "tiny" / f"{name}.csv" for home in (away, source))
        assert here.read_bytes() == there.read_bytes()
        here.unlink()
    assert not list(away.rglob(stages.NETWORK))
    (away / "tiny.yaml").write_text(TINY, encoding="utf-8")
    assert run.main(["publish", str(away / "tiny.yaml"), "--figure", *DRAWN]) == 0
    for name in DRAWN:
        here, there = (home / "figures" / "tiny" / f"{name}.csv" for home in (away, source))
        assert here.read_bytes() == there.read_bytes(), name
    own = stages.of(str(away / "runs" / "tiny-packed.yaml"))
    for network in registry.networks(own):
        stages.complete(network)  # nothing is left to be done before notebooks
    with pytest.raises(FileNotFoundError, match="came in a pack, without the network"):
        stages.network(own)


def test_a_pack_of_some_cuts_says_the_same_of_these(source, at, tmp_path, monkeypatch):
    at(source)
    files = packed(source, tmp_path / "packs", "13,7")
    whole = stages.of(str(source / "tiny.yaml"))
    expected = counting.counts(whole), stages.measurement(whole), stages.heads(whole)
    table = tables.statistics_by_layer(whole).query("layer in (7, 13)").reset_index(drop=True)
    before = content(source / "runs")

    away = tmp_path / "away"
    at(away)
    packing.unpack(files)
    part = stages.of(str(away / "runs" / "tiny-packed.yaml"))
    assert part.profile == packing.packed(whole, (7, 13)).profile  # and so through YAML and back
    names = {point.name for point in stages.points(part)}
    assert names == {"layer7_flat", "layer7_pooled", "layer13_flat", "layer13_pooled"}
    counts, measured, (weights, curves) = expected
    for layer, counted in counting.counts(part).items():
        pd.testing.assert_frame_equal(counted, counts[layer], check_exact=True)
    there, curves_there = stages.heads(part)
    assert set(there) == names
    for name in names:
        assert torch.equal(there[name], weights[name])
        assert torch.equal(stages.measurement(part).class_means[name], measured.class_means[name])
    of_names = curves[curves["head"].isin(names)].reset_index(drop=True)
    pd.testing.assert_frame_equal(curves_there, of_names, check_exact=True)
    pd.testing.assert_frame_equal(tables.statistics_by_layer(part), table, check_exact=True)
    for name, folder in stages.folders(part).items():  # the manifest holds what the folder is named after
        manifest = store.manifest(folder)
        assert store.stage_folder(manifest["name"], manifest["config"]) == folder
        assert manifest["packed"]["from"] == stages.folders(whole)[name].name
        assert manifest["seconds"] == store.manifest(source / "runs" / manifest["packed"]["from"])["seconds"]
    assert content(source / "runs") == before


def test_unpacking_again_or_where_it_was_packed_changes_nothing(source, at, tmp_path):
    at(source)
    files = packed(source, tmp_path / "packs")
    assert packed(source, tmp_path / "again")[0].read_bytes() == files[0].read_bytes()
    own = shutil.copytree(source, tmp_path / "own")
    at(own)
    packing.unpack(files)
    before = content(own)
    packing.unpack(files)
    assert content(own) == before
    assert list((own / "runs").rglob(stages.NETWORK))


def test_what_is_there_and_different_stays_and_nothing_is_put_beside_it(source, at, tmp_path):
    at(source)
    files, away = packed(source, tmp_path / "packs"), tmp_path / "away"
    (away / "figures" / "tiny").mkdir(parents=True)
    (away / "figures" / "tiny" / "curves.csv").write_text("of another run\n", encoding="utf-8")
    at(away)
    with pytest.raises(packing.PackError, match=r"there already, and different.*curves\.csv$"):
        packing.unpack(files)
    assert content(away) == {"figures/tiny/curves.csv": b"of another run\n"}
    (away / "figures" / "tiny" / "curves.csv").unlink()

    folder = away / "runs" / stages.folders(stages.of(str(source / "tiny.yaml")))["heads"].name
    config = store.manifest(source / "runs" / folder.name)["config"]
    store.adopt(_stage(away / "other", "weights of another run", config), folder)
    with pytest.raises(packing.PackError, match=f"different; move away or remove: {folder}$"):
        packing.unpack(files)
    assert (folder / "heads.safetensors").read_text(encoding="utf-8") == "weights of another run"
    (folder / "heads.safetensors").write_text("damaged", encoding="utf-8")  # not complete any more
    packing.unpack(files)
    assert store.is_complete(folder)
    assert [path.name for path in folder.parent.glob("*.damaged-*/*.safetensors")] == ["heads.safetensors"]


def _stage(folder, text: str, config: dict):
    folder.mkdir()
    (folder / "heads.safetensors").write_text(text, encoding="utf-8")
    store.seal(folder, "heads", config, 0, "")
    return folder


def test_a_pack_that_is_not_whole(source, at, tmp_path, monkeypatch):
    at(source)
    monkeypatch.setattr(packing, "LARGEST", 2**18)
    monkeypatch.setattr(packing, "FILES", 99)
    files, away = packed(source, tmp_path / "packs"), tmp_path / "away"
    at(away)
    with pytest.raises(packing.PackError, match=rf"has {len(files)} files; missing: 1$"):
        packing.unpack([path for path in files if "-1-of-" not in path.name])
    with pytest.raises(packing.PackError, match="is not named like a file of a pack"):
        packing.unpack([source / "tiny.yaml"])
    damaged = bytearray(files[1].read_bytes())
    damaged[1000] ^= 1
    files[1].write_bytes(damaged)
    with pytest.raises(packing.PackError, match="not as they were written"):
        packing.unpack(files)
    assert content(away) == {}


def test_a_pack_that_is_too_large_says_by_how_much_and_what_cuts_take(source, at, tmp_path, monkeypatch, capsys):
    at(source)
    monkeypatch.setattr(packing, "LARGEST", 2**14)
    status = run.main(["pack", str(source / "tiny.yaml"), "--to", str(tmp_path / "packs")])
    err = capsys.readouterr().err
    assert status == 1
    assert "more than 8 files of 0.015625 MiB hold; name the cuts" in err
    assert all(f" {layer} (" in err for layer in range(1, 14))
    assert list((tmp_path / "packs").iterdir()) == []
    for cuts, words in (("7", "13 among them, not 7"), ("7,14,13", "among them, not 7, 13, 14"), ("a", "2,4,7")):
        try:
            status = run.main(["pack", str(source / "tiny.yaml"), "--to", str(tmp_path), "--cuts", cuts])
        except SystemExit as end:
            status = end.code
        assert status == 2
        assert words in capsys.readouterr().err


def test_what_is_not_done_is_named_and_left_out(source, at, tmp_path, caplog):
    own = shutil.copytree(source, tmp_path / "own")
    at(own)
    done = stages.of(str(own / "tiny.yaml"))
    stages.forget(chance.untrained(packing.packed(done)))
    assert packing.pack(done, tmp_path / "packs")
    named = caplog.text.split("left out, since not done (`sweep` does all): ")[1].strip().split("; ")
    assert named == [
        f"{name} of tiny-packed-untrained, seed 1" for name in ("train", "heads", "measure-train", "measure-test")
    ]


def test_the_last_cut_is_needed_where_recipes_are_judged_at_it():
    run = stages.of("paper")
    with pytest.raises(profiles.ProfileError, match="13 among them, not 2, 4"):
        packing.packed(run, (2, 4))
    run = stages.of("laptop-d64")
    assert packing.packed(run, (4, 2)).profile.heads.cuts == (2, 4)
    with pytest.raises(profiles.ProfileError, match="takes some of 1, .*, 13, not 2, 14"):
        packing.packed(run, (2, 14))


def test_profiles_that_are_shipped_go_through_yaml(tmp_path):
    for name in profiles.available():
        profile = packing.packed(stages.of(name)).profile
        path = tmp_path / f"{profile.name}.yaml"
        path.write_text(packing._as_yaml(profile), encoding="utf-8")
        assert profiles.load(path) == profile
