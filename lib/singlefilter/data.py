"""Data sets as uint8 tensors: embedded glyphs, image folders, and what torchvision can download.

Everything that is not embedded is read from image folders, `data_dir/<name>/{train,test}/<label>/*.png|jpg|webp`.
What torchvision downloads is laid out that way once, so there is a single way in.  Images are decoded once into the
store and memory-mapped from there: a data set larger than memory is streamed by the operating system, and what a GPU
has no room for goes there batch by batch (`streams`).
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from torch.nn import functional

from singlefilter import glyphs, profiles, progress, store, streams

log = logging.getLogger(__name__)

TITLES = {
    "glyphs": "embedded glyphs",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "fashionmnist": "Fashion-MNIST",
    "imagenet": "ImageNet",
}
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_DOWNLOADS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashionmnist": "FashionMNIST"}
_FOLDERS = {"train": ("train",), "test": ("test", "val")}


class DataError(RuntimeError):
    """Data that are missing or cannot be used; the message says what was looked for and what to do."""


@dataclass(frozen=True)
class Split:
    """Images of one split, in memory or memory-mapped, and their labels on the device that computes.

    images: uint8 `[images, channel, height, width]`, on the labels' device where it has room for them; labels: int64
    `[images]`, in ascending order when it comes from `load`; names: one a label.
    """

    images: torch.Tensor
    labels: torch.Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise ValueError(
                f"a split has uint8 images [images, channel, height, width] and a label for each; these are "
                f"{self.images.dtype} {tuple(self.images.shape)} with {len(self.labels)} labels"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """The device that computes, where `taken` yields."""
        return self.labels.device

    def to(self, device: torch.device) -> Split:
        """The same split for a device to compute with; images that it has no room for stay where they are."""
        images = self.images.to(device) if streams.fits(self.images, device) else self.images
        return Split(images, self.labels.to(device), self.names)

    def taken(
        self, parts: Iterable[slice], order: torch.Tensor | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Images and labels at the places of each part in turn, on the device that computes.

        order: int64 `[images]`, the order that places count in; None: as they lie.
        """
        parts = list(parts)
        of_images, of_labels = (
            parts if order is None else map(order.to(device).__getitem__, parts)
            for device in (self.images.device, self.device)
        )
        images = streams.taken(self.images, of_images, self.device)
        return zip(images, map(self.labels.__getitem__, of_labels), strict=True)

    def in_batches(self, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All images and labels as they lie, `batch` at a time, on the device that computes."""
        check_batch(batch)
        return self.taken(slice(start, start + batch) for start in range(0, len(self), batch))


def data_folder(given: str | Path | None = None) -> Path:
    """Where data sets are looked for: as given, else `$SINGLEFILTER_DATA`, else `data/` in the project."""
    return Path(given or os.environ.get("SINGLEFILTER_DATA") or store.project_root() / "data").expanduser().resolve()


def load(config: profiles.Data, seed: int, data_dir: str | Path | None = None) -> dict[str, Split]:
    """Splits `train` and `test` of a data set, decoded or drawn on the first call, from the store afterwards.

    Raises `DataError` when a data set is not there and cannot be downloaded, when a file is no image, or when it has
    fewer labels or images per label than asked for.
    """
    return read(stage(config, seed, data_dir))


def read(folder: Path) -> dict[str, Split]:
    """Splits `train` and `test` of a stage folder, memory-mapped."""
    names = tuple((folder / "names.txt").read_text(encoding="utf-8").split("\n"))
    splits = {}
    for split in profiles.SPLITS:
        images = np.load(folder / f"{split}_images.npy", mmap_mode="c")
        splits[split] = Split(
            torch.from_numpy(images), torch.from_numpy(np.load(folder / f"{split}_labels.npy")), names
        )
    return splits


def stage(config: profiles.Data, seed: int, data_dir: str | Path | None = None) -> Path:
    """Stage folder of a data set: `{train,test}_{images,labels}.npy` and `names.txt`."""
    seed = seed if config.seed is None else config.seed
    config = dataclasses.replace(config, seed=None)  # in the key below it counts where it matters
    if config.name == "glyphs":
        key = {"data": config, "seed": seed, "glyphs": store.file_checksum(Path(glyphs.__file__))}
        return store.stage("data", key, lambda work: _draw_glyphs(config, seed, work))
    root = find(config.name, data_dir) or download(config.name, data_dir)
    files = {split: _list_images(_split_folder(root, split), config, split) for split in profiles.SPLITS}
    if files["train"].keys() != files["test"].keys():
        odd = sorted(files["train"].keys() ^ files["test"].keys())
        raise DataError(f"{root}: these labels are in one of train and test only: {', '.join(odd[:5])}")
    key = {"data": config, "seed": seed if config.labels else None, "files": _listing_digest(files, root)}
    return store.stage("data", key, lambda work: _decode(files, config, seed, work))


def drawn_labels(labels: int, count: int, draw: int) -> tuple[int, ...]:
    """The `draw`-th random choice of `count` among `labels` labels, ascending; no two draws are the same choice.

    Raises `DataError` when there are fewer labels, or fewer different choices.
    """
    if not 1 <= count <= labels:
        raise DataError(f"{count} labels asked for, the data set has {labels}")
    if not 0 <= draw < math.comb(labels, count):
        raise DataError(
            f"draw {draw} of {count} among {labels} labels asked for: there are {math.comb(labels, count)}"
        )
    rng = np.random.default_rng((labels, count))
    seen: dict[tuple[int, ...], None] = {}  # a set that keeps its order
    while len(seen) <= draw:
        seen[tuple(sorted(rng.choice(labels, count, replace=False).tolist()))] = None
    return list(seen)[draw]


def part(split: Split, labels: tuple[int, ...], per_label: int | None = None) -> Split:
    """Images of some labels, ascending, at most the first `per_label` of each (None: all), numbered anew from 0.

    The labels of `split` are in ascending order.  Raises `DataError` when a label has fewer images.
    """
    chosen = torch.tensor(labels, device=split.labels.device)
    first = torch.searchsorted(split.labels, chosen)
    there = torch.searchsorted(split.labels, chosen, right=True) - first
    wanted = there if per_label is None else torch.full_like(there, per_label)
    if (there < wanted).any():
        label = int((there < wanted).nonzero()[0])
        raise DataError(
            f"label {split.names[labels[label]]!r} has {int(there[label])} training images, {per_label} wanted "
            "(train_per_label)"
        )
    places = torch.cat(
        [torch.arange(start, start + n) for start, n in zip(first.tolist(), wanted.tolist(), strict=True)]
    )
    return Split(
        split.images[places.to(split.images.device)],
        torch.arange(len(labels), device=split.labels.device).repeat_interleave(wanted),
        tuple(split.names[label] for label in labels),
    )


def hold_out(split: Split, per_label: int, seed: int) -> tuple[Split, Split]:
    """A split without `per_label` images of every label, and those images, which the seed alone draws.

    The labels of `split` are in ascending order, and so they are in both parts.  Raises `DataError` when a label has
    no more images than that.
    """
    rng = np.random.default_rng((seed, per_label))
    ends = np.searchsorted(split.labels.cpu().numpy(), np.arange(len(split.names) + 1))
    held = torch.zeros(len(split), dtype=torch.bool)
    for name, first, last in zip(split.names, ends[:-1], ends[1:], strict=True):
        if last - first <= per_label:
            raise DataError(
                f"label {name!r} has {last - first} training images, {per_label} of them cannot be held out: some "
                "have to be left (held_out)"
            )
        held[first + rng.choice(last - first, per_label, replace=False)] = True
    rest, out = (
        Split(split.images[which.to(split.images.device)], split.labels[which.to(split.labels.device)], split.names)
        for which in (~held, held)
    )
    return rest, out


def find(name: str, data_dir: str | Path | None = None) -> Path | None:
    """Folder of a data set that is there as image folders, or None."""
    root = data_folder(data_dir) / name
    return root if all(_split_folder(root, split) for split in profiles.SPLITS) else None


def title(name: str) -> str:
    """How a data set is called in figures: a known one by its usual name, one's own by the name of its folder."""
    return TITLES.get(name, name)


def how_to_get(name: str) -> str:
    """What a reader who lacks this data set has to do, the same words on every machine."""
    layout = f"<data dir>/{name}/{{train,test}}/<label>/*.png, jpg or webp (<data dir>: --data-dir, or data/)"
    if name in _DOWNLOADS:
        return f"{TITLES[name]} is downloaded on first use where there is a network; or lay it out as {layout}"
    if name in TITLES:
        return f"{TITLES[name]} cannot be downloaded freely: request it from its makers and lay it out as {layout}"
    near = difflib.get_close_matches(name, TITLES, n=1)
    return f"a data set of your own is read from {layout}" + (f"; or did you mean {near[0]}?" if near else "")


def download(name: str, data_dir: str | Path | None = None) -> Path:
    """Download a data set through torchvision (checksums verified) and lay it out as image folders."""
    root = data_folder(data_dir)
    if name not in _DOWNLOADS:
        raise DataError(f"{title(name)} is not in {root / name}: {how_to_get(name)}")
    import torchvision

    maker = getattr(torchvision.datasets, _DOWNLOADS[name])
    target = root / name
    try:
        target.mkdir(parents=True, exist_ok=True)
        with FileLock(target / ".lock"):
            missing = [split for split in profiles.SPLITS if _split_folder(target, split) is None]
            if missing:
                log.warning("%s is not in %s: downloading it", TITLES[name], target)
            sets = {split: maker(root / "downloads", train=split == "train", download=True) for split in missing}
            for split, images in sets.items():
                _lay_out(images, target / f".{split}.partial", split)
                os.replace(target / f".{split}.partial", target / split)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{TITLES[name]} was looked for in {target} and could not be downloaded ({error}). "
            f"{how_to_get(name)}. Or use --profile quick, which needs no download."
        ) from error
    return target


def sample(name: str, count: int, seed: int, data_dir: str | Path | None = None) -> list[tuple[str, str, np.ndarray]]:
    """A few test images with different labels, without decoding the rest: (label, file, uint8 `[3, H, W]`).

    Raises `DataError` when the data set is not there; nothing is downloaded for it.
    """
    rng = np.random.default_rng(seed)
    if name == "glyphs":
        images, labels, names = glyphs.render(max(count * 4, 3), 1, "test", seed)
        return [(names[labels[i]], "", images[i]) for i in sorted(rng.choice(len(labels), count, replace=False))]
    root = find(name, data_dir)
    if root is None:
        raise DataError(how_to_get(name))
    folders = _label_folders(_split_folder(root, "test"))
    if not folders:
        raise DataError(f"{root} is empty. {how_to_get(name)}.")
    in_words = _in_words([folder.name for folder in folders])
    chosen = sorted(rng.choice(len(folders), min(count, len(folders)), replace=False))
    images = []
    for folder in (folders[i] for i in chosen):
        files = _image_files(folder)
        if not files:
            raise DataError(f"{folder} holds no images ({', '.join(_ENDINGS)})")
        file = files[rng.integers(len(files))]
        images.append((in_words[folder.name], file.name, _read_image(file, None)[0]))
    return images


def to_input(images: torch.Tensor) -> torch.Tensor:
    """Pixels from 0..255 to [-1, 1] by 2x - 1: uint8 to float32, any shape. Source: section 1."""
    return images.float().mul_(2 / 255).sub_(1)


def augment(
    images: torch.Tensor, down: torch.Tensor, right: torch.Tensor, mirror: torch.Tensor, margin: int
) -> torch.Tensor:
    """Shift each image with black fill and mirror some, all of a batch at once, on the images' device.

    images: uint8 `[images, channel, height, width]`; down, right: int64 `[images]`, pixels from -margin to margin;
    mirror: bool `[images]`, applied before the shift.  Returns the same shape, channels last in memory.
    Source: section 1.
    """
    height, width = images.shape[-2:]
    padded = functional.pad(images, (margin,) * 4).permute(0, 2, 3, 1)
    device = images.device
    rows = torch.arange(height, device=device) + margin - down[:, None]
    columns = torch.arange(width, device=device) + margin - right[:, None]
    columns = torch.where(mirror[:, None], width + 2 * margin - 1 - columns, columns)
    index = torch.arange(len(images), device=device)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def batches(
    split: Split,
    batch: int,
    *,
    seed: int,
    epoch: int,
    shift: int = 0,
    flip: bool = False,
    share: Callable[[int], slice] = slice,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch in random order: float32 images in [-1, 1] `[batch, channel, height, width]` and labels int64.

    Everything random is drawn beforehand from (seed, epoch) on the CPU, so an epoch is the same on every device and
    after a resume.  A last batch of a single image is left out: batch norm cannot train on it.

    share: which places of a batch of so many images are wanted, by default all.
    """
    check_batch(batch)
    count = len(split)
    generator = torch.Generator().manual_seed(mix(seed, epoch))
    order = torch.randperm(count, generator=generator)
    down, right = torch.randint(-shift, shift + 1, (2, count), generator=generator)
    mirror = torch.rand(count, generator=generator) < (0.5 if flip else 0.0)
    down, right, mirror = (tensor.to(split.device) for tensor in (down, right, mirror))
    parts = []
    for start in range(0, count - 1 if count > 1 else 1, batch):
        places = range(start, min(start + batch, count))
        own = places[share(len(places))]
        parts.append(slice(own.start, own.stop))
    for part, (images, labels) in zip(parts, split.taken(parts, order), strict=True):
        if shift or flip:
            images = augment(images, down[part], right[part], mirror[part], shift)
        yield to_input(images), labels


def check_batch(batch: int) -> None:
    """Raises `ValueError` unless a batch has at least one image."""
    if batch < 1:
        raise ValueError(f"a batch has at least one image, {batch} given")


def mix(*numbers: int) -> int:
    """A 63-bit seed from several numbers, the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8], "big") >> 1


def _draw_glyphs(config: profiles.Data, seed: int, work: Path) -> None:
    for split, per_label in (("train", config.train_per_label), ("test", config.test_per_label)):
        images, labels, names = glyphs.render(config.labels, per_label, split, seed)
        np.save(work / f"{split}_images.npy", images)
        np.save(work / f"{split}_labels.npy", labels)
    (work / "names.txt").write_text("\n".join(names), encoding="utf-8")


def _split_folder(root: Path, split: str) -> Path | None:
    return next((root / name for name in _FOLDERS[split] if (root / name).is_dir()), None)


def _label_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    # By name as text: a Path for each of a million files would take minutes to make and to sort.
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(_ENDINGS))
    return [folder / name for name in names]


def _list_images(folder: Path, config: profiles.Data, split: str) -> dict[str, list[Path]]:
    """Image files of each label, sorted by name, as many as asked for; label names in ascending order."""
    wanted = config.train_per_label if split == "train" else config.test_per_label
    files = {}
    for label in _label_folders(folder):
        images = _image_files(label)
        if len(images) < (wanted or 1):
            raise DataError(f"{label}: {len(images)} images, {wanted or 'at least one'} wanted ({split}_per_label)")
        files[label.name] = images[:wanted]
    fewest = profiles.FEWEST_LABELS
    if len(files) < max(fewest, config.labels or fewest):
        raise DataError(f"{folder}: {len(files)} label folders, {config.labels or f'at least {fewest}'} wanted")
    return files


def _listing_digest(files: dict[str, dict[str, list[Path]]], root: Path) -> str:
    """What tells one state of the folders from another without reading them: names, sizes, times."""
    digest = hashlib.sha256(str(root).encode())
    for split in files.values():
        for label, paths in split.items():
            for path in paths:
                status = os.stat(path)
                digest.update(f"{label}\0{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _decode(files: dict[str, dict[str, list[Path]]], config: profiles.Data, seed: int, work: Path) -> None:
    names = sorted(files["train"])
    if config.labels:
        chosen = np.random.default_rng(seed).choice(len(names), config.labels, replace=False)
        names = [names[i] for i in sorted(chosen)]
    for split, by_label in files.items():
        paths = [path for name in names for path in by_label[name]]
        labels = np.repeat(np.arange(len(names)), [len(by_label[name]) for name in names])
        target, size = work / f"{split}_images.npy", config.image_size
        np.lib.format.open_memmap(target, "w+", np.uint8, (len(paths), 3, size, size)).flush()
        chunks = range(0, len(paths), 1000)
        converted = joblib.Parallel(n_jobs=min(len(chunks), joblib.cpu_count()))(
            joblib.delayed(_decode_chunk)(target, start, paths[start : start + 1000], size)
            for start in progress.bar(chunks, f"decoding {split} images", "thousand", total=len(chunks))
        )
        if count := sum(converted):
            log.warning("%s: %d of %d images were converted to RGB, %d pixels wide", split, count, len(paths), size)
        np.save(work / f"{split}_labels.npy", labels.astype(np.int64))
    in_words = _in_words(sorted(files["train"]))
    (work / "names.txt").write_text("\n".join(in_words[name] for name in names), encoding="utf-8")


def _in_words(folders: list[str]) -> dict[str, str]:
    """A name to read for each label folder: its own, but for ImageNet's, which are numbers of synsets.

    torchvision knows their words in the order of these numbers, so all 1,000 have to be there.
    """
    words = folders
    if len(folders) == 1000 and all(re.fullmatch(r"n\d{8}", name) for name in folders):
        from torchvision.models import EfficientNet_B0_Weights

        words = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    return dict(zip(folders, words, strict=True))


def _decode_chunk(target: Path, start: int, paths: list[Path], size: int) -> int:
    """Decode images into their places; how many were not RGB of that size."""
    images, converted = np.load(target, mmap_mode="r+"), 0
    for offset, path in enumerate(paths):
        images[start + offset], as_it_is = _read_image(path, size)
        converted += not as_it_is
    images.flush()
    return converted


def _read_image(path: Path, size: int | None) -> tuple[np.ndarray, bool]:
    """One image, uint8 `[3, H, W]`, and whether it was RGB of this size.

    With a size, its shorter side is scaled to it and the middle cut out.
    """
    try:
        with Image.open(path) as image:
            as_it_is = image.mode == "RGB" and image.size == (size, size)
            picture = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is not a readable image ({error}); replace or remove it") from error
    if size is not None and picture.size != (size, size):
        scale = size / min(picture.size)
        wide, high = (max(size, round(side * scale)) for side in picture.size)
        picture = picture.resize((wide, high), Image.Resampling.BILINEAR)
        left, top = (wide - size) // 2, (high - size) // 2
        picture = picture.crop((left, top, left + size, top + size))
    return np.asarray(picture).transpose(2, 0, 1), as_it_is


def _lay_out(images, folder: Path, split: str) -> None:
    """Write a torchvision data set as PNG files, one folder a label; file names tell the original index."""
    folders = [folder / re.sub(r"[^\w.-]+", "_", name) for name in images.classes]
    for path in folders:
        path.mkdir(parents=True, exist_ok=True)
    for index, (image, label) in enumerate(
        progress.bar(images, f"writing {split} images", "image", total=len(images))
    ):
        image.save(folders[label] / f"{index:05d}.png")
