"""Where data sets are, and what is in them: `data_dir/<name>/{train,test}/<label>/*.png|jpg|webp`."""

from __future__ import annotations

import difflib
import hashlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

from singlefilter import profiles, store
from singlefilter.data import glyphs
from singlefilter.data.splits import DataError

TITLES = {
    "glyphs": "embedded glyphs",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "fashionmnist": "Fashion-MNIST",
    "imagenet": "ImageNet",
}
DOWNLOADS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashionmnist": "FashionMNIST"}  # torchvision's names
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_FOLDERS = {"train": ("train",), "test": ("test", "val")}


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
    folders = _label_folders(split_folder(root, "test"))
    if not folders:
        raise DataError(f"{root} is empty. {how_to_get(name)}.")
    words = in_words([folder.name for folder in folders])
    chosen = sorted(rng.choice(len(folders), min(count, len(folders)), replace=False))
    images = []
    for folder in (folders[i] for i in chosen):
        files = _image_files(folder)
        if not files:
            raise DataError(f"{folder} holds no images ({', '.join(ENDINGS)})")
        file = files[rng.integers(len(files))]
        images.append((words[folder.name], file.name, read_image(file, None)[0]))
    return images


def split_folder(root: Path, split: str) -> Path | None:
    """Folder of a split of a data set, None where it is not there."""
    return next((root / name for name in _FOLDERS[split] if (root / name).is_dir()), None)


def _label_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    # By name as text: a Path for each of a million files would take minutes to make and to sort.
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(ENDINGS))
    return [folder / name for name in names]


def list_images(folder: Path, config: profiles.Data, split: str) -> dict[str, list[Path]]:
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


def listing_digest(files: dict[str, dict[str, list[Path]]], root: Path) -> str:
    """What tells one state of the folders from another without reading them: names, sizes, times."""
    digest = hashlib.sha256(str(root).encode())
    for split in files.values():
        for label, paths in split.items():
            for path in paths:
                status = os.stat(path)
                digest.update(f"{label}\0{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def in_words(folders: list[str]) -> dict[str, str]:
    """A name to read for each label folder: its own, but for ImageNet's, which are numbers of synsets.

    torchvision knows their words in the order of these numbers, so all 1,000 have to be there.
    """
    words = folders
    if len(folders) == 1000 and (folders[0], folders[-1]) == ("n01440764", "n15075141"):
        from torchvision.models import EfficientNet_B0_Weights

        words = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    return dict(zip(folders, words, strict=True))


def read_image(path: Path, size: int | None) -> tuple[np.ndarray, bool]:
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
