"""Which image files each label has, in the ways that data sets are laid out: folders of labels, or files that say.

`<split>/<label>/*.png`, `<split>/<label>/images/*.png` (Tiny-ImageNet), or a folder of images with a text file of
lines `image.png,label` in or beside it.  What computers leave behind (`._x.png`, `__MACOSX`, `Thumbs.db`) is passed
over; other files are left out and named.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from singlefilter.data.pictures import ENDINGS
from singlefilter.data.splits import DataError

_LEFT_BEHIND = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "lost+found", "icon\r"})
_IMAGES = "images"  # a folder between a label's and its files, as Tiny-ImageNet has it
_LISTS = (".txt", ".csv", ".tsv")
_LARGEST_LIST = 2**26  # bytes


@dataclass
class Found:
    """The files of a label: by the name of each folder that is its, in ascending order; and what was left out."""

    by_folder: dict[str, list[Path]] = field(default_factory=dict)
    left_out: Counter = field(default_factory=Counter)

    @property
    def files(self) -> list[Path]:
        return [path for paths in self.by_folder.values() for path in paths]


def label_folders(folder: Path) -> list[Path]:
    """Folders of labels in that of a split, in ascending order of their names."""
    return sorted(path for path in folder.iterdir() if not _left_behind(path.name) and path.is_dir())


def image_files(folder: Path) -> tuple[list[Path], Counter]:
    """Image files of a folder in ascending order of their names, and how many others there are by their ending."""
    # By name as text: a Path for each of a million files would take minutes to make and to sort.
    names, others = [], Counter()
    with os.scandir(folder) as entries:
        for entry in entries:
            if _left_behind(entry.name):
                continue
            ending = os.path.splitext(entry.name)[1].lower()
            if not entry.is_file():  # a pipe would be waited for
                others["links to nothing" if entry.is_symlink() and not entry.is_dir() else ""] += 1
            elif ending in ENDINGS:
                names.append(entry.name)
            else:
                others[ending or "files without ending"] += 1
    del others[""]
    return [folder / name for name in sorted(names)], others


def of_split(folder: Path, known: Iterable[str] | None = None) -> dict[str, Found]:
    """Files of each label of a split, by the label's name (composed unicode), in ascending order.

    known: names of labels where they are known, from the training images.  Raises `DataError` for a folder of images
    that nothing says the labels of; the message says what was seen, and what to do.
    """
    if (folders := label_folders(folder)) and not _is_flat(folder, folders):
        found: dict[str, Found] = defaultdict(Found)
        for path in folders:
            inside, others = image_files(path)
            deeper = next((sub for sub in label_folders(path) if sub.name.lower() == _IMAGES), None)
            if not inside and deeper is not None:
                inside, more = image_files(deeper)
                others += more
            label = found[unicodedata.normalize("NFC", path.name)]
            label.by_folder[path.name] = inside
            label.left_out += others
        return dict(sorted(found.items()))
    flat = next((sub for sub in folders if sub.name.lower() == _IMAGES), folder)
    images, _ = image_files(flat)
    return _listed(folder, images, set(known) if known is not None else None) if images else {}


def is_laid_out(folder: Path) -> bool:
    """Whether a split has a folder for each label, rather than all images in one."""
    folders = label_folders(folder)
    return bool(folders) and not _is_flat(folder, folders)


def in_words(left_out: Counter) -> str:
    """Such as "3 .heic, 1 .txt"."""
    return ", ".join(f"{count} {ending}" for ending, count in sorted(left_out.items()))


def _left_behind(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def _is_flat(folder: Path, folders: list[Path]) -> bool:
    """Whether the only folder is one of images of all labels, which a file beside it tells."""
    return len(folders) == 1 and folders[0].name.lower() == _IMAGES


def _listed(folder: Path, images: list[Path], known: set[str] | None) -> dict[str, Found]:
    """The images of a folder by their labels, as a text file in or beside it has them."""
    for path in _lists(folder):
        labels = dict(_lines(path))
        of_each = {image: labels.get(image.name, labels.get(image.stem)) for image in images}
        if known is not None:  # in Kaggle's list of ImageNet boxes follow a label in its own field
            words = {label: label if label in known else label.partition(" ")[0] for label in labels.values()}
            of_each = {image: words.get(label) for image, label in of_each.items()}
        there = set(of_each.values())
        if None in there or (known is not None and not there <= known):
            continue
        found: dict[str, Found] = defaultdict(Found)
        for image, label in of_each.items():
            found[label].by_folder.setdefault(label, []).append(image)
        return dict(sorted(found.items()))
    example = images[0].name
    raise DataError(
        f"{folder} holds {len(images)} images, such as {example}, and no folder for each label: move each into "
        f"{folder.name}/<label>/, or put a file labels.csv into {folder} with a line for each image, "
        f"such as {example},{min(known) if known else '<label>'}"
    )


def _lists(folder: Path) -> Iterator[Path]:
    for place in (folder, folder.parent):
        for path in sorted(place.iterdir()):
            is_list = path.suffix.lower() in _LISTS and not _left_behind(path.name) and path.is_file()
            if is_list and path.stat().st_size <= _LARGEST_LIST:
                yield path


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """File and label of every line; what stands behind them, such as boxes, is passed over."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        for between in ("\t", ",", " "):
            file, found, rest = line.partition(between)
            if found:
                label = rest.partition(between)[0].strip().strip('"')
                yield Path(file.strip().strip('"')).name, unicodedata.normalize("NFC", label)
                break
