"""Data sets drawn or decoded once into the store, and memory-mapped from there."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import torch

from singlefilter import lifelines, profiles, progress, store
from singlefilter.data import glyphs, pictures
from singlefilter.data.downloads import download
from singlefilter.data.folders import find, in_words, list_images, listing_digest, split_folder, split_folders
from singlefilter.data.listing import Found
from singlefilter.data.listing import in_words as kinds_in_words
from singlefilter.data.pictures import read_image
from singlefilter.data.splits import Split

log = logging.getLogger(__name__)

CHUNK = 1000  # images that are decoded and noted at a time
_AS_NOW = ".read"  # a note beside a stage: its pixels are as `pictures` reads them
_READ_AS = "with depth, EXIF and transparency"
_LISTED = "\0"  # what a list of names begins with that a line each would not give back
Files = dict[str, dict[str, Found]]


def load(config: profiles.Data, seed: int, data_dir: str | Path | None = None) -> dict[str, Split]:
    """Splits `train` and `test` of a data set, decoded or drawn on the first call, from the store afterwards.

    Raises `DataError` when a data set is not there and cannot be downloaded, when a file is no image, or when it has
    fewer labels or images per label than asked for.
    """
    return read(stage(config, seed, data_dir))


def read(folder: Path) -> dict[str, Split]:
    """Splits `train` and `test` of a stage folder, memory-mapped and not to be written to."""
    names = names_from((folder / "names.txt").read_bytes().decode("utf-8"))
    splits = {}
    for split in profiles.SPLITS:
        with warnings.catch_warnings():  # a map that might be written to counts as memory, which there is less of
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            images = torch.from_numpy(np.load(folder / f"{split}_images.npy", mmap_mode="r"))
        splits[split] = Split(images, torch.from_numpy(np.load(folder / f"{split}_labels.npy")), names)
    return splits


def names_as_text(names: Sequence[str]) -> str:
    """Names of labels, a line each; a list in JSON after a null character where a name has line breaks in it."""
    text = "\n".join(names)
    return text if tuple(text.split("\n")) == tuple(names) else _LISTED + json.dumps(list(names))


def names_from(text: str) -> tuple[str, ...]:
    """What `names_as_text` wrote."""
    return tuple(json.loads(text[1:]) if text.startswith(_LISTED) else text.split("\n"))


def stage(config: profiles.Data, seed: int, data_dir: str | Path | None = None) -> Path:
    """Stage folder of a data set: `{train,test}_{images,labels}.npy` and `names.txt`."""
    seed = seed if config.seed is None else config.seed
    config = dataclasses.replace(config, seed=None)  # in the key below it counts where it matters
    if config.name == "glyphs":
        key = {"data": config, "seed": seed, "glyphs": glyphs.EDITION}
        return store.stage("data", key, lambda work: _draw_glyphs(config, seed, work))
    root = find(config.name, data_dir) or download(config.name, data_dir)
    files = list_images(root, config)
    key = {"data": config, "seed": seed if config.labels else None, "files": listing_digest(files, root)}
    folder = store.stage_folder("data", key)
    if store.is_complete(folder) and not _is_as_now(folder, files):
        log.warning(
            "%s: decoded before depth, EXIF and transparency of images counted, and some have these: set aside as %s "
            "and decoded again; what was trained on them is trained again", folder.name, store.set_aside(folder).name,
        )  # fmt: skip
    found = store.stage("data", key, lambda work: _decode(root, files, config, seed, work))
    _note_as_now(found)
    return found


def _is_as_now(folder: Path, files: Files) -> bool:
    """Whether decoded images are as they would be decoded now; looked at once, since others may have decoded them."""
    with contextlib.suppress(OSError):
        if store.noted(_note(folder)) == _READ_AS:
            return True
    paths = [path for split in files.values() for found in split.values() for path in found.files]
    parts = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    title = "looking for depth, EXIF and transparency"
    looked = lifelines.parallel(min(len(parts), joblib.cpu_count()), return_as="generator")(
        joblib.delayed(_any_otherwise)(part) for part in parts
    )
    otherwise = any(list(progress.bar(looked, title, "thousand", total=len(parts))))
    return not otherwise or store.noted(_note(folder)) == _READ_AS  # another process may have been faster


def _any_otherwise(paths: Sequence[Path]) -> bool:
    return any(map(pictures.read_otherwise, paths))


def _note(folder: Path) -> Path:
    return folder.with_name(folder.name + _AS_NOW)


def _note_as_now(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if store.noted(_note(folder)) != _READ_AS:
            store.note(_note(folder), _READ_AS)


def _draw_glyphs(config: profiles.Data, seed: int, work: Path) -> None:
    for split, per_label in (("train", config.train_per_label), ("test", config.test_per_label)):
        images, labels, names = glyphs.render(config.labels, per_label, split, seed)
        with store.naming(work / f"{split}_images.npy", images.nbytes):
            np.save(work / f"{split}_images.npy", images)
        np.save(work / f"{split}_labels.npy", labels)
    (work / "names.txt").write_text("\n".join(names), encoding="utf-8")


def _decode(root: Path, files: Files, config: profiles.Data, seed: int, work: Path) -> None:
    names = sorted(files["train"])
    if config.labels:
        chosen = np.random.default_rng(seed).choice(len(names), config.labels, replace=False)
        names = [names[i] for i in sorted(chosen)]
    for split, by_label in files.items():
        _say_what_is_left_out(root, split, by_label)
        paths = [path for name in names for path in by_label[name].files]
        labels = np.repeat(np.arange(len(names)), [len(by_label[name].files) for name in names])
        target, size = work / f"{split}_images.npy", config.image_size
        decoded = work / f"{split}-decoded"  # what an interrupted call has done
        if not (decoded.is_dir() and _is_array(target, (len(paths), 3, size, size))):
            for old in (decoded, target):
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink(missing_ok=True)
            _make_array(target, (len(paths), 3, size, size))
            decoded.mkdir()
        chunks = range(0, len(paths), CHUNK)
        counts = lifelines.parallel(min(len(chunks), joblib.cpu_count()))(
            joblib.delayed(_decode_chunk)(target, start, paths[start : start + CHUNK], size, decoded / str(start))
            for start in progress.bar(chunks, f"decoding {split} images", "thousand", total=len(chunks))
        )
        counted = sum(map(Counter, counts), Counter())
        for what, words in pictures.WORDS.items():
            if counted[what]:
                wide = f", {size} pixels wide" if what == pictures.CONVERTED else ""
                log.warning("%s: %d of %d images %s%s", split, counted[what], len(paths), words, wide)
        np.save(work / f"{split}_labels.npy", labels.astype(np.int64))
    for split in files:  # not before all of them are decoded
        shutil.rmtree(work / f"{split}-decoded")
    words = in_words(sorted(files["train"]))
    text = names_as_text([words[name] for name in names])
    (work / "names.txt").write_bytes(text.encode("utf-8"))


def _say_what_is_left_out(root: Path, split: str, by_label: dict[str, Found]) -> None:
    taken = split_folder(root, split)
    if others := [folder.name for folder in split_folders(root, split) if folder != taken]:
        log.warning("%s: %s/ is read as %s images, not %s/", root, taken.name, split, "/, ".join(others))
    if left_out := sum((found.left_out for found in by_label.values()), Counter()):
        log.warning("%s: left out, since not images of a kind that is read: %s", taken, kinds_in_words(left_out))


def _make_array(path: Path, shape: tuple[int, ...]) -> None:
    """An array of images on disk, all of it, as a process that writes to a map of what has no room is killed."""
    np.lib.format.open_memmap(path, "w+", np.uint8, shape).flush()
    size = path.stat().st_size
    with store.naming(path, size), path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        elif shutil.disk_usage(path.parent).free < size:
            raise store.full(path, size)


def _is_array(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether a file is an array of images of this shape, all of it."""
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        images = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return images.dtype == np.uint8 and images.shape == shape


def _decode_chunk(target: Path, start: int, paths: list[Path], size: int, note: Path) -> dict[str, int]:
    """Decode images into their places, where they are not noted as done; how many of them needed what."""
    images = np.load(target, mmap_mode="r+")
    own = images[start : start + len(paths)]
    said = store.noted(note)
    if said is not None:
        checksum, counts = json.loads(said)
        if checksum == _checksum(own):
            return counts
    counts = Counter()
    for place, path in enumerate(paths):
        own[place], done = read_image(path, size)
        counts.update(done)
    images.flush()
    store.note(note, json.dumps([_checksum(own), counts]))
    return dict(counts)


def _checksum(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()
