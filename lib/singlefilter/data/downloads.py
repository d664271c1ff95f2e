"""What torchvision can download, laid out as image folders once, so that there is a single way in."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from filelock import FileLock

from singlefilter import profiles, progress, store
from singlefilter.data.folders import DOWNLOADS, TITLES, data_folder, how_to_get, seen, split_folder, title
from singlefilter.data.splits import DataError

log = logging.getLogger(__name__)


def download(name: str, data_dir: str | Path | None = None) -> Path:
    """Download a data set through torchvision (checksums verified) and lay it out as image folders."""
    root = data_folder(data_dir)
    if name not in DOWNLOADS:
        raise DataError(f"{title(name)} is not in {root / name}{seen(root / name)}: {how_to_get(name)}")
    import torchvision

    maker = getattr(torchvision.datasets, DOWNLOADS[name])
    target = root / name
    try:
        target.mkdir(parents=True, exist_ok=True)
        with store.held(FileLock(target / ".lock"), TITLES[name]), store.naming(target):
            missing = [split for split in profiles.SPLITS if split_folder(target, split) is None]
            if missing:
                log.warning("%s is not in %s: downloading it", TITLES[name], target)
            sets = {split: maker(root / "downloads", train=split == "train", download=True) for split in missing}
            for split, images in sets.items():
                _lay_out(images, target / f".{split}.partial", split)
                os.replace(target / f".{split}.partial", target / split)
    except store.Full:
        raise
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{TITLES[name]} was looked for in {target} and could not be downloaded ({error}). "
            f"{how_to_get(name)}. Or use --profile quick, which needs no download."
        ) from error
    return target


def _lay_out(images, folder: Path, split: str) -> None:
    """Write a torchvision data set as PNG files, one folder a label; file names tell the original index."""
    folders = [folder / re.sub(r"[^\w.-]+", "_", name) for name in images.classes]
    for path in folders:
        path.mkdir(parents=True, exist_ok=True)
    for index, (image, label) in enumerate(
        progress.bar(images, f"writing {split} images", "image", total=len(images))
    ):
        image.save(folders[label] / f"{index:05d}.png")
