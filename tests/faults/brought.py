"""Faults of what is brought from elsewhere: packs, images, data sets, names."""

from __future__ import annotations

import io
import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from singlefilter import data, profiles, store, tablefiles
from singlefilter.data import decoding, pictures
from singlefilter.figures import files, packing
from tests.faults.harness import Bad, Family, Trial, in_its_place, mutated, mutated_json
from tests.figures.test_contents import GOOD, packed, written


def _there(home: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(home.parent)): path for path in home.parent.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if "/.locks/" not in name}


def unpacked(trial: Trial, files_: list[Path], allowed: dict[str, bytes]) -> bool:
    """Whether a pack was put in place; only what is allowed may be there then, and nothing of it else."""
    before = _there(trial.home)
    try:
        packing.unpack(files_)
    except packing.PackError as error:
        trial.said.append(str(error))
        if _there(trial.home) != before:
            raise Bad("outside", _there(trial.home).keys() - before.keys()) from error
        return False
    new = {name: content for name, content in _there(trial.home).items() if name not in before}
    if new != {f"home/{name}": content for name, content in allowed.items()}:
        raise Bad("outside", new.keys())
    return True


def pack_with_more(trial: Trial) -> None:
    rng = trial.rng
    top = rng.choice(
        ["runs", "figures", "figures/mine", "notebooks", ".git/hooks", "lib", ".venv/bin", "..", "/tmp", ""]
    )
    last = rng.choice(
        ["x", "x.csv", "checkpoint.pt", "a.verified", "a.seconds", "../x.csv", "curves.csv/x", "names.txt"]
    )
    middle = rng.choice(
        ["", "train-0123456789ab.partial/", "data-0123456789ab/", "../", "./", "heads-0123456789ab/", "a b/"]
    )
    name = f"{top}/{middle}{last}"
    if unpacked(trial, packed(trial.home.parent, GOOD | {name: b"planted"}), {}):
        raise Bad("outside", name)


def pack_mutated(trial: Trial) -> None:
    """Its bytes, with the checksum in its name made right again, or not."""
    (path,) = packed(trial.home.parent, GOOD)
    content = mutated(path.read_bytes(), trial.rng)
    if trial.rng.random() < 0.5:
        path.write_bytes(content)
        if unpacked(trial, [path], {}):
            raise Bad("wrong", path)
    else:
        unpacked(trial, written(trial.home.parent, content), GOOD)


def pack_with_another_manifest(trial: Trial) -> None:
    name = next(name for name in GOOD if name.endswith(store.MANIFEST))
    changed = json.dumps(mutated_json(json.loads(GOOD[name]), trial.rng)).encode()
    if unpacked(trial, packed(trial.home.parent, GOOD | {name: changed}), {}):
        raise Bad("wrong", changed)


FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".gif": "GIF",
    ".ppm": "PPM",
}


def image_mutated(trial: Trial) -> None:
    """Read, or refused by its name: nothing else may come of it."""
    ending = trial.rng.choice(sorted(FORMATS))
    mode = trial.rng.choice(["RGB", "L", "RGBA" if ending in (".png", ".webp", ".tif") else "RGB"])
    pixels = np.random.default_rng(trial.rng.randrange(10**6)).integers(0, 256, (8, 8, 4), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, FORMATS[ending])
    path = trial.home / f"a{ending}"
    path.write_bytes(mutated(stream.getvalue(), trial.rng))
    try:
        image, done = pictures.read_image(path, 8)
    except data.DataError as error:
        trial.said.append(str(error))
        trial.named(path)
    else:
        if image.shape != (3, 8, 8) or image.dtype != np.uint8 or not done <= set(pictures.WORDS):
            raise Bad("wrong", image.shape)


def half_decoded(trial: Trial) -> None:
    """An interrupted decoding, and something else in what it has done."""
    rng, root = trial.rng, trial.home / "data" / "own"
    shades = {}
    for split in ("train", "test"):
        for label in "abc":
            (root / split / label).mkdir(parents=True)
            shade = shades[split, label] = rng.randrange(256)
            Image.new("RGB", (8, 8), (shade,) * 3).save(root / split / label / "0.png")
    config, decode, calls = profiles.Data("own", image_size=8), decoding._decode_chunk, []

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise InterruptedError
        return decode(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(decoding, "_decode_chunk", stopped)
        data.stage(config, 1)
    (work,) = trial.home.glob("runs/data-*.partial")
    kind = rng.choice(["note", "array", "hole", "thing"])
    note, array = work / "train-decoded" / "0", work / "train_images.npy"
    if kind == "note":
        note.write_bytes(rng.choice([b"", b"0", b"1", mutated(note.read_bytes(), rng)]))
    elif kind == "array":
        array.write_bytes(mutated(array.read_bytes(), rng))
    elif kind == "hole":
        np.load(array, mmap_mode="r+")[rng.randrange(3)] = 1
    else:
        in_its_place(rng.choice([note, array]), rng)
    for split, images in data.load(config, 1).items():
        for place, label in enumerate("abc"):
            if not (images.images[place] == shades[split, label]).all():
                raise Bad("wrong", (split, label, kind))


ALPHABET = "ab -_.,;:'\"\\`$%&#@!?*|<>()[]{}=+~^\n\r\t\x01\x7f\u2028\u00e9e\u0301狗ق🐶\u200d"


def named_oddly(trial: Trial) -> None:
    """Labels with any letters, as folders: through decoding, tables and back."""
    rng, names = trial.rng, set()
    while len(names) < 3:
        name = unicodedata.normalize("NFC", "".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 12))))
        if not name.startswith(".") and not name.isspace():
            names.add(name)
    for split in ("train", "test"):
        for label in names:
            form = rng.choice(["NFC", "NFD"])
            folder = trial.home / "data" / "own" / split / unicodedata.normalize(form, label)
            folder.mkdir(parents=True)
            Image.new("RGB", (8, 8), (sorted(names).index(label),) * 3).save(folder / "0.png")
    splits = data.load(profiles.Data("own", image_size=8), 1)
    for images in splits.values():
        if images.names != tuple(sorted(names)) or images.images[:, 0, 0, 0].tolist() != [0, 1, 2]:
            raise Bad("wrong", images.names)
    table = pd.DataFrame({"label": splits["train"].names, "value": [0.1, 0.2, 0.3]})
    path = trial.home / "table.csv"
    path.write_bytes(files._as_csv(table))
    if tablefiles.read_table(path)["label"].tolist() != table["label"].tolist():
        raise Bad("wrong", table["label"].tolist())


def left_behind(trial: Trial) -> None:
    """What computers leave in folders of images changes nothing."""
    root = trial.home / "data" / "own"
    for split in ("train", "test"):
        for label in "abc":
            (root / split / label).mkdir(parents=True)
            Image.new("RGB", (8, 8), (ord(label),) * 3).save(root / split / label / "0.png")
    junk = [
        "._0.png",
        ".0.png.swp",
        "Thumbs.db",
        ".DS_Store",
        "desktop.ini",
        "__MACOSX/",
        ".ipynb_checkpoints/",
        "pipe.png",
    ]
    for name in trial.rng.sample(junk, trial.rng.randint(1, 6)):
        folder = trial.rng.choice([root, root / "train", root / "test", root / "train" / "a", root / "test" / "c"])
        if name.endswith("/"):
            (folder / name).mkdir()
            (folder / name / "0.png").write_bytes(b"\0\5\x16\7")
        elif name == "pipe.png":
            os.mkfifo(folder / name)
        else:
            (folder / name).write_bytes(b"\0\5\x16\7")
    for images in data.load(profiles.Data("own", image_size=8), 1).values():
        if images.names != ("a", "b", "c") or images.images[:, 0, 0, 0].tolist() != [97, 98, 99]:
            raise Bad("wrong", images.names)


REFUSED = "refused; nothing of it is put in place"
FAMILIES = [
    Family("a pack with a file more", "anywhere in the project or outside of it", REFUSED, 100, pack_with_more),
    Family("a pack", "bytes flipped, zero, cut, added, swapped", f"{REFUSED}, or all as it was", 100, pack_mutated),
    Family(
        "a pack with another manifest",
        "one value, key or kind in it changed",
        REFUSED,
        60,
        pack_with_another_manifest,
    ),
    Family(
        "an image",
        "bytes flipped, zero, cut, added, swapped; seven formats",
        "read, or refused by its name",
        100,
        image_mutated,
    ),
    Family(
        "a half-decoded data set",
        "a note of what is done, or the pixels, changed or no file",
        "that part is decoded again",
        40,
        half_decoded,
    ),
    Family(
        "names of labels",
        "any letters, line breaks, quotes, two ways to compose them",
        "the same after all",
        30,
        named_oddly,
    ),
    Family("what computers leave in folders", "hidden files, thumbnails, pipes", "passed over", 20, left_behind),
]
