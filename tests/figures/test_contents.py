"""A pack from anywhere puts stages, figures and one profile in place, and nothing else anywhere."""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path

import pytest

from singlefilter import provenance, store
from singlefilter.figures import contents, packing

PROFILE = "purpose: packed\nminutes: 1\ndata: {name: pets}\n"
NAME = "runs/mine-packed.yaml"


def stage(files: dict[str, bytes], name: str = "heads", **changes) -> dict[str, bytes]:
    """Files of a sealed stage by their paths in a pack."""
    config = {"a": 1}
    manifest = {
        "name": name,
        "config": config,
        "files": {
            file: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for file, content in files.items()
        },
        "seconds": 1.5,
        "versions": {},
        "machine": provenance.machine(),
        "commit": "unknown",
    }
    text = json.dumps(store.sealed(manifest | changes)).encode()
    folder = f"runs/{name}-{store.config_key(config)}"
    return {f"{folder}/{file}": content for file, content in (files | {store.MANIFEST: text}).items()}


def packed(
    to: Path, files: dict[str, bytes] | list[tuple[str, bytes]], compression=zipfile.ZIP_DEFLATED
) -> list[Path]:
    """A pack with these files in it, whatever they are, its checksum right."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", compression) as zipped:
        for name, content in files.items() if isinstance(files, dict) else files:
            zipped.writestr(zipfile.ZipInfo(name), content, compression)
    return written(to, archive.getvalue())


def written(to: Path, archive: bytes) -> list[Path]:
    path = to / f"mine-{hashlib.sha256(archive).hexdigest()[:12]}-1-of-1.pack"
    path.write_bytes(archive)
    return [path]


GOOD = {
    NAME: PROFILE.encode(),
    "figures/mine/curves.csv": b"epoch\n1\n",
    "figures/mine/provenance.json": b"{}\n",
} | stage({"heads.safetensors": b"weights", "curves.csv": b"epoch\n1\n"})


def there(home: Path) -> set[str]:
    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("runs/.locks/")}


def test_what_belongs_in_a_pack_is_put_in_place(home, tmp_path):
    packing.unpack(packed(tmp_path, GOOD))
    assert there(home) == set(GOOD)
    (folder,) = home.glob("runs/heads-*")
    assert store.is_complete(folder)


PLANTED = (
    *(
        "notebooks/00_x.ipynb",
        ".git/hooks/post-checkout",
        "lib/singlefilter/run.py",
        ".venv/bin/python",
        "run_all.sh",
    ),
    *("../outside", "/tmp/outside", "figures/../outside.csv", "runs/../../outside.yaml", "figures/mine/../../x.csv"),
    *("runs/train-0123456789ab.partial/checkpoint.pt", "runs/train-0123456789ab.verified", "runs/a.seconds"),
    *("runs/.locks/x.lock", "runs/data-0123456789ab/names.txt", "runs/other.yaml", "runs/heads-0123456789ab/"),
    *("figures/mine/more.html", "figures/mine/no_figure.csv", "figures/mine/deep/curves.csv", "figures/curves.csv"),
    *("figures/.hidden/curves.csv", "runs\\x", "figures\\mine\\curves.csv", "C:\\x", "", "figures/mine/curves.csv\n"),
    *("figures/mine/../mine/curves.csv", "./figures/mine/curves.csv", "figures//curves.csv", "README.md"),
)


@pytest.mark.parametrize("name", PLANTED)
def test_whatever_else_is_in_a_pack_nothing_of_it_is_put_in_place(home, tmp_path, name):
    with pytest.raises(packing.PackError, match=f"the pack has {re.escape(repr(name))}, which is no stage"):
        packing.unpack(packed(tmp_path, GOOD | {name: b"planted"}))
    assert there(home) == set()
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".pack"} == {"home"}


def without(*names: str) -> dict[str, bytes]:
    return {name: content for name, content in GOOD.items() if not name.endswith(names)}


HEADS = next(name for name in GOOD if name.endswith("heads.safetensors"))
MANIFEST = HEADS.replace("heads.safetensors", "manifest.json")
BAD = {
    "two profiles": (GOOD | {"runs/other-packed.yaml": PROFILE.encode()}, "has 2 profiles, where one belongs"),
    "no profile": (without(".yaml"), "has 0 profiles"),
    "a profile that is none": (GOOD | {NAME: b"purpose: [\n"}, "a profile that is none: .*not valid YAML"),
    "a profile by another name": (GOOD | {NAME: b"name: laptop\n" + PROFILE.encode()}, "none: .* name: "),
    "a large profile": (GOOD | {NAME: b"#" * 2**21}, "too many for what it is"),
    "figures of another": (GOOD | {"figures/laptop/curves.csv": b""}, "pack of mine has figures of laptop"),
    "figures of no profile": (
        {"runs/method-packed.yaml": PROFILE.encode(), "figures/method/curves.csv": b""},
        "figures of method, which no profile is named",
    ),
    "a figure twice": ([*GOOD.items(), ("figures/mine/curves.csv", b"other")], "has a file twice"),
    "names that a disk may not tell apart": (GOOD | {"figures/MINE/curves.csv": b""}, "has a file twice"),
    "no manifest": (without("manifest.json"), "without its manifest"),
    "a manifest of something else": (
        GOOD | {HEADS.replace("heads.safetensors", "manifest.json"): b"[]"},
        "no mapping",
    ),
    "a manifest of another stage": (
        GOOD | stage({"x": b""}, config={"a": 2}),
        "a wrong manifest: it is that of heads-",
    ),
    "a manifest without seconds": (GOOD | stage({"x": b""}, seconds=None), "seconds is no number"),
    "a file more": (GOOD | {HEADS.replace("heads.s", "more.s"): b"x"}, "with other files than its manifest says"),
    "a file less": (without("heads.safetensors"), "with other files than its manifest says"),
    "a longer file": (GOOD | {HEADS: b"weights, longer"}, "with other files than its manifest says"),
    "another file of that size": (GOOD | {HEADS: b"WEIGHTS"}, "not as their manifests say"),
    "a file outside by its manifest": (GOOD | stage({"../x": b""}), "no stage, figure or profile"),
    "a bomb": (GOOD | stage({"heads.safetensors": bytes(500 * 2**20)}), "too many for what it is"),
    "a smaller bomb": (GOOD | stage({"heads.safetensors": bytes(100 * 2**20)}), "would unpack to 10"),
    "a bomb of a figure": (GOOD | {"figures/mine/curves.csv": bytes(65 * 2**20)}, "too many for what it is"),
    "a bomb of many files": (
        GOOD | {f"figures/{number}/curves.csv": b"" for number in range(5000)},
        "more than the 5000 that one may have",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_not_as_a_pack_says_is_not_put_in_place(home, tmp_path, fault):
    files, message = BAD[fault]
    with pytest.raises(packing.PackError, match=message):
        packing.unpack(packed(tmp_path, files))
    assert there(home) == set()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_which_cannot_be_held_to_a_size_are_refused(home, tmp_path, compression):
    with pytest.raises(packing.PackError, match="compressed in another way"):
        packing.unpack(packed(tmp_path, GOOD, compression))


@pytest.mark.parametrize("place", range(0, 100, 4))
def test_a_damaged_archive_is_named_and_puts_nothing_in_place(home, tmp_path, place):
    """Its checksum in the name is right: somebody wrote it so."""
    (path,) = packed(tmp_path, GOOD)
    archive = bytearray(path.read_bytes())
    archive[place * len(archive) // 100] ^= 0x55
    damaged = written(tmp_path, bytes(archive))
    try:
        packing.unpack(damaged)
    except packing.PackError:
        assert there(home) == set()
    else:  # a byte that says nothing, such as one of a date
        for name, content in GOOD.items():
            assert (home / name).read_bytes() == content


def test_an_entry_that_says_less_than_it_unpacks_to_is_cut_or_refused(home, tmp_path):
    (path,) = packed(tmp_path, GOOD | {"figures/mine/curves.csv": bytes(10**6)})
    archive = path.read_bytes().replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(packing.PackError):
        packing.unpack(written(tmp_path, archive))
    assert there(home) == set()


def test_pieces_are_files_of_their_size_and_number(home, tmp_path, monkeypatch):
    (path,) = packed(tmp_path, GOOD)
    many = path.rename(path.with_name(path.name.replace("1-of-1", "1-of-9")))
    with pytest.raises(packing.PackError, match="has 9 files; there are 8 at most"):
        packing.unpack([many])
    one = many.rename(path)
    monkeypatch.setattr(packing, "LARGEST", 100)
    with pytest.raises(packing.PackError, match="is no file of at most"):
        packing.unpack([one])


def test_a_folder_in_the_place_of_a_figure_is_different(home, tmp_path):
    (home / "figures" / "mine" / "curves.csv").mkdir(parents=True)
    with pytest.raises(packing.PackError, match=r"there already, and different.*curves\.csv$"):
        packing.unpack(packed(tmp_path, GOOD))
    assert there(home) == set()


def test_what_belongs():
    assert contents.belongs("figures/laptop/curves.svg")
    assert contents.belongs("runs/measure-0123456789ab/manifest.json")
    assert not contents.belongs("runs/measure-0123456789ab/.verified")
