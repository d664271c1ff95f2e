"""Data sets drawn or decoded once into the store, and memory-mapped from there."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import warnings
from pathlib import Path

import joblib
import numpy as np
import torch

from singlefilter import profiles, progress, store
from singlefilter.data import glyphs
from singlefilter.data.downloads import download
from singlefilter.data.folders import find, in_words, list_images, listing_digest, read_image, split_folder
from singlefilter.data.splits import DataError, Split

log = logging.getLogger(__name__)


def load(config: profiles.Data, seed: int, data_dir: str | Path | None = None) -> dict[str, Split]:
    """Splits `train` and `test` of a data set, decoded or drawn on the first call, from the store afterwards.

    Raises `DataError` when a data set is not there and cannot be downloaded, when a file is no image, or when it has
    fewer labels or images per label than asked for.
    """
    return read(stage(config, seed, data_dir))


def read(folder: Path) -> dict[str, Split]:
    """Splits `train` and `test` of a stage folder, memory-mapped and not to be written to."""
    names = tuple((folder / "names.txt").read_text(encoding="utf-8").split("\n"))
    splits = {}
    for split in profiles.SPLITS:
        with warnings.catch_warnings():  # a map that might be written to counts as memory, which there is less of
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            images = torch.from_numpy(np.load(folder / f"{split}_images.npy", mmap_mode="r"))
        splits[split] = Split(images, torch.from_numpy(np.load(folder / f"{split}_labels.npy")), names)
    return splits


def stage(config: profiles.Data, seed: int, data_dir: str | Path | None = None) -> Path:
    """Stage folder of a data set: `{train,test}_{images,labels}.npy` and `names.txt`."""
    seed = seed if config.seed is None else config.seed
    config = dataclasses.replace(config, seed=None)  # in the key below it counts where it matters
    if config.name == "glyphs":
        key = {"data": config, "seed": seed, "glyphs": glyphs.EDITION}
        return store.stage("data", key, lambda work: _draw_glyphs(config, seed, work))
    root = find(config.name, data_dir) or download(config.name, data_dir)
    files = {split: list_images(split_folder(root, split), config, split) for split in profiles.SPLITS}
    if files["train"].keys() != files["test"].keys():
        odd = sorted(files["train"].keys() ^ files["test"].keys())
        raise DataError(f"{root}: these labels are in one of train and test only: {', '.join(odd[:5])}")
    key = {"data": config, "seed": seed if config.labels else None, "files": listing_digest(files, root)}
    return store.stage("data", key, lambda work: _decode(files, config, seed, work))


def _draw_glyphs(config: profiles.Data, seed: int, work: Path) -> None:
    for split, per_label in (("train", config.train_per_label), ("test", config.test_per_label)):
        images, labels, names = glyphs.render(config.labels, per_label, split, seed)
        np.save(work / f"{split}_images.npy", images)
        np.save(work / f"{split}_labels.npy", labels)
    (work / "names.txt").write_text("\n".join(names), encoding="utf-8")


def _decode(files: dict[str, dict[str, list[Path]]], config: profiles.Data, seed: int, work: Path) -> None:
    names = sorted(files["train"])
    if config.labels:
        chosen = np.random.default_rng(seed).choice(len(names), config.labels, replace=False)
        names = [names[i] for i in sorted(chosen)]
    for split, by_label in files.items():
        paths = [path for name in names for path in by_label[name]]
        labels = np.repeat(np.arange(len(names)), [len(by_label[name]) for name in names])
        target, size = work / f"{split}_images.npy", config.image_size
        decoded = work / f"{split}-decoded"  # what an interrupted call has done
        if not decoded.exists():
            np.lib.format.open_memmap(target, "w+", np.uint8, (len(paths), 3, size, size)).flush()
            decoded.mkdir()
        chunks = range(0, len(paths), 1000)
        converted = joblib.Parallel(n_jobs=min(len(chunks), joblib.cpu_count()))(
            joblib.delayed(_decode_chunk)(target, start, paths[start : start + 1000], size, decoded / str(start))
            for start in progress.bar(chunks, f"decoding {split} images", "thousand", total=len(chunks))
        )
        if count := sum(converted):
            log.warning("%s: %d of %d images were converted to RGB, %d pixels wide", split, count, len(paths), size)
        np.save(work / f"{split}_labels.npy", labels.astype(np.int64))
    for split in files:  # not before all of them are decoded
        shutil.rmtree(work / f"{split}-decoded")
    words = in_words(sorted(files["train"]))
    (work / "names.txt").write_text("\n".join(words[name] for name in names), encoding="utf-8")


def _decode_chunk(target: Path, start: int, paths: list[Path], size: int, note: Path) -> int:
    """Decode images into their places, where that is not noted as done; how many were not RGB of that size."""
    if note.exists():
        return int(note.read_text())
    images, converted = np.load(target, mmap_mode="r+"), 0
    for offset, path in enumerate(paths):
        images[start + offset], as_it_is = read_image(path, size)
        converted += not as_it_is
    images.flush()
    with store.atomic_file(note) as temporary:
        temporary.write_text(str(converted))
    return converted
