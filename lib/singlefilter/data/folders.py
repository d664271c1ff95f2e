"""Where data sets are, and what is in them: `data_dir/<name>/{train,test}/<label>/*.png` and what Pillow reads."""

from __future__ import annotations

import difflib
import hashlib
import os
from pathlib import Path

import numpy as np

from singlefilter import profiles, store
from singlefilter.data import glyphs, listing, synsets
from singlefilter.data.pictures import ENDINGS, read_image
from singlefilter.data.splits import DataError

TITLES = {
    "glyphs": "embedded glyphs",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "fashionmnist": "Fashion-MNIST",
    "imagenet": "ImageNet",
    "imagenet100": "ImageNet, 100 labels",
}
DOWNLOADS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashionmnist": "FashionMNIST"}  # torchvision's names
_FOLDERS = {"train": ("train", "training"), "test": ("test", "val", "validation", "valid", "testing")}


def data_folder(given: str | Path | None = None) -> Path:
    """Where data sets are looked for: as given, else `$SINGLEFILTER_DATA`, else `data/` in the project."""
    return Path(given or os.environ.get("SINGLEFILTER_DATA") or store.project_root() / "data").expanduser().resolve()


def find(name: str, data_dir: str | Path | None = None) -> Path | None:
    """Folder of a data set that is there as image folders, or None."""
    root = data_folder(data_dir) / name
    return root if all(split_folder(root, split) for split in profiles.SPLITS) else None


def title(name: str) -> str:
    """How a data set is called in figures: a known one by its usual name, one's own by the name of its folder."""
    return TITLES.get(name, name)


def seen(root: Path) -> str:
    """What is in the place of a data set that is not one, in words to end a message with."""
    if not root.is_dir():
        return ""
    there = sorted(path.name + "/" * path.is_dir() for path in root.iterdir() if not path.name.startswith("."))
    more = f" and {len(there) - 6} more" if len(there) > 6 else ""
    return f" (there is: {', '.join(map(repr_of, there[:6])) or 'nothing'}{more})"


def how_to_get(name: str) -> str:
    """What a reader who lacks this data set has to do, the same words on every machine."""
    layout = f"<data dir>/{name}/{{train,test}}/<label>/*.png, jpg or webp (<data dir>: --data-dir, or data/)"
    if name in DOWNLOADS:
        return f"{TITLES[name]} is downloaded on first use where there is a network; or lay it out as {layout}"
    if name in TITLES:
        return f"{TITLES[name]} cannot be downloaded freely: request it from its makers and lay it out as {layout}"
    near = difflib.get_close_matches(name, TITLES, n=1)
    return f"a data set of your own is read from {layout}" + (f"; or did you mean {near[0]}?" if near else "")


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
    found = listing.of_split(split_folder(root, "test"))
    if not found:
        raise DataError(f"{root} is empty. {how_to_get(name)}.")
    labels = list(found)
    words = in_words(labels)
    images = []
    for label in (labels[i] for i in sorted(rng.choice(len(labels), min(count, len(labels)), replace=False))):
        files = found[label].files
        if not files:
            raise DataError(f"{split_folder(root, 'test') / label} holds no images ({', '.join(ENDINGS)})")
        file = files[rng.integers(len(files))]
        images.append((words[label], file.name, read_image(file, None)[0]))
    return images


def split_folder(root: Path, split: str) -> Path | None:
    """Folder of a split of a data set, None where it is not there.

    Of several, such as `test` and `val`, the first that has a folder for each label.
    """
    there = split_folders(root, split)
    return next((folder for folder in there if listing.is_laid_out(folder)), there[0] if there else None)


def split_folders(root: Path, split: str) -> list[Path]:
    """All folders that may be that of a split, whatever the case of their names, the likeliest first."""
    if not root.is_dir():
        return []
    rank = {name: place for place, name in enumerate(_FOLDERS[split])}
    there = [path for path in root.iterdir() if path.name.lower() in rank and path.is_dir()]
    return sorted(there, key=lambda path: (rank[path.name.lower()], path.name.lower() != path.name, path.name))


def list_images(root: Path, config: profiles.Data) -> dict[str, dict[str, listing.Found]]:
    """Image files of each label of each split, sorted by name, as many as asked for; labels in ascending order."""
    found: dict[str, dict[str, listing.Found]] = {}
    for split in profiles.SPLITS:
        folder = split_folder(root, split)
        found[split] = listing.of_split(folder, found["train"] if found else None)
        _check(folder, found[split], config, split)
    if found["train"].keys() != found["test"].keys():
        odd = sorted(found["train"].keys() ^ found["test"].keys())
        raise DataError(f"{root}: these labels are in one of train and test only: {', '.join(map(repr_of, odd[:5]))}")
    return found


def _check(folder: Path, found: dict[str, listing.Found], config: profiles.Data, split: str) -> None:
    """Keep as many images of each label as asked for.  Raises `DataError` for fewer, and for too few labels."""
    wanted = config.train_per_label if split == "train" else config.test_per_label
    for label, of_label in found.items():
        count = len(of_label.files)
        if count < (wanted or 1):
            others = f"; others are left out: {listing.in_words(of_label.left_out)}" if of_label.left_out else ""
            raise DataError(
                f"{folder / label}: {count} images, {wanted or 'at least one'} wanted ({split}_per_label){others}"
            )
        left = wanted or count
        for name, files in of_label.by_folder.items():
            of_label.by_folder[name] = files[:left]
            left -= len(of_label.by_folder[name])
    fewest = profiles.FEWEST_LABELS
    if len(found) < max(fewest, config.labels or fewest):
        raise DataError(f"{folder}: {len(found)} label folders, {config.labels or f'at least {fewest}'} wanted")


def listing_digest(files: dict[str, dict[str, listing.Found]], root: Path) -> str:
    """What tells one state of the folders from another without reading them: names, sizes, times."""
    digest = hashlib.sha256(str(root).encode())
    for split in files.values():
        of_folder = {name: paths for found in split.values() for name, paths in found.by_folder.items()}
        for label, paths in sorted(of_folder.items()):  # names as they are on the disk
            for path in paths:
                status = os.stat(path)
                line = f"{label}\0{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def in_words(labels: list[str]) -> dict[str, str]:
    """A name to read for each label: its folder's own, but for ImageNet's, which are numbers of synsets.

    Bytes that are no UTF-8 are written out, since no text file would take them.
    """
    words = synsets.in_words(labels) or [readable(label) for label in labels]
    return dict(zip(labels, words, strict=True))


def readable(name: str) -> str:
    """A name with bytes that are no UTF-8 as `\\xff`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def repr_of(name: str) -> str:
    """A label's name in one line of a message."""
    return name if name.isprintable() else repr(name)
