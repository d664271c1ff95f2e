"""Images of anybody's, as batches that a network is given: a loader, a data set, arrays, a split or a folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from singlefilter import data
from singlefilter.data import listing
from singlefilter.data.pictures import ENDINGS, in_rgb, read_image
from singlefilter.errors import InputError
from singlefilter.networks.batches import images_of, moved

LABEL_KEYS = ("labels", "label", "targets", "target", "y")
COLOURS = (1, 3, 4)
Batches = Iterator[tuple[Any, torch.Tensor]]


@dataclass(frozen=True)
class Source:
    """Images and labels that can be gone through as often as wanted.

    walk: begins a pass, batches of what the network is given and labels int64 `[images]`, on the device; names: of
    the labels, where the source knows them; steps: how many batches a pass has, where that is
    known; note: what was done to the pixels, in words.
    """

    walk: Callable[[], Batches]
    names: tuple[str, ...] | None
    steps: int | None
    note: str

    def first(self) -> tuple[Any, torch.Tensor]:
        """The first batch.  Raises `InputError` where there is none."""
        for batch in self.walk():
            return batch
        raise InputError("there are no images: the first pass over them gave no batch")


@dataclass(frozen=True)
class Reading:
    """How images are taken: onto which device, how many at a time, through which function of the user's."""

    device: torch.device
    batch: int = 64
    preprocess: Callable[[torch.Tensor], torch.Tensor] | None = None
    image_size: int | None = None
    whole_batches: bool = False  # a forward of the user's takes batches as they come

    def ready(self, images: torch.Tensor) -> torch.Tensor:
        """Images as the network is given them: by the user's function, or uint8 by 2x - 1, real ones as is."""
        images = images.to(self.device)
        if images.is_inference():  # nothing could be learnt from these
            images = images.clone()
        if self.preprocess is not None:
            return self._preprocessed(images)
        return data.to_input(images) if images.dtype == torch.uint8 else images

    def _preprocessed(self, images: torch.Tensor) -> Any:
        try:
            ready = self.preprocess(images)
            count = len(images_of(ready))
        except Exception as error:  # it is the user's own code, which may raise anything
            raise InputError(
                f"preprocess failed on images {list(images.shape)}, {images.dtype}: {type(error).__name__}: {error}"
            ) from error
        if count != len(images):
            raise InputError(f"preprocess made {count} images of {len(images)}")
        return ready

    @property
    def note(self) -> str:
        if self.preprocess is not None:
            return f"pixels by {getattr(self.preprocess, '__name__', type(self.preprocess).__name__)}"
        return "uint8 pixels by 2x - 1, real numbers as they are"


def source(given: Any, how: Reading) -> Source:
    """What `given` has of images: a `DataLoader`, a `Dataset`, `(images, labels)`, a `Split` or a folder.

    Raises `InputError` for what is none of these, or holds no images with labels.

    Example: `source((images, labels), Reading(torch.device("cpu"))).first()`.
    """
    if isinstance(given, data.Split):
        return _of_arrays(given.images, given.labels, given.names, how)
    if isinstance(given, str | Path):
        return _of_folder(Path(given), how)
    if isinstance(given, DataLoader):
        return _of_loader(given, how)
    if isinstance(given, Dataset) and not isinstance(given, IterableDataset):
        return _of_loader(DataLoader(given, batch_size=how.batch, collate_fn=_together), how)
    if isinstance(given, tuple | list) and len(given) == 2 and hasattr(given[0], "shape"):
        images = _image_tensor(given[0])
        labels, names = _numbered(given[1])
        return _of_arrays(images, _label_tensor(labels, len(images)), names, how)
    if isinstance(given, Sequence) and given and isinstance(given[0], tuple | list):
        return _of_loader(DataLoader(given, batch_size=how.batch, collate_fn=_together), how)
    if isinstance(given, Iterator):
        raise InputError("an iterator can be gone through once, and images are needed more often; give what it is of")
    if hasattr(given, "__iter__") and not isinstance(given, Mapping):
        return _of_loader(given, how)
    raise InputError(
        f"images are taken from a DataLoader, a Dataset, (images, labels), a Split or a folder; this is a "
        f"{type(given).__name__}"
    )


def _of_arrays(images: torch.Tensor, labels: torch.Tensor, names: tuple[str, ...] | None, how: Reading) -> Source:
    def walk() -> Batches:
        for start in range(0, len(images), how.batch):
            part = slice(start, start + how.batch)
            _check_numbers(images[part], start)
            yield how.ready(images[part]), labels[part].to(how.device)

    return Source(walk, names, math.ceil(len(images) / how.batch), how.note)


def _of_loader(loader: Any, how: Reading) -> Source:
    dataset = getattr(loader, "dataset", loader)

    def walk() -> Batches:
        count = 0
        for number, batch in enumerate(_read(loader)):
            inputs, labels = _parts(batch, number)
            if isinstance(inputs, torch.Tensor):
                _check_numbers(inputs, count)
            count += len(labels)
            if how.whole_batches:
                yield moved(batch, how.device), labels.to(how.device)
                continue
            images = _image_tensor(inputs)
            if len(images) != len(labels):
                raise InputError(f"batch {number} has {len(images)} images and {len(labels)} labels")
            for start in range(0, len(images), how.batch):
                part = slice(start, start + how.batch)
                yield how.ready(images[part]), labels[part].to(how.device)

    return Source(walk, _classes(dataset), _length(loader), how.note)


def _of_folder(root: Path, how: Reading) -> Source:
    """A folder with a folder of images for each label."""
    if not root.is_dir():
        raise InputError(f"there is no folder {root}")
    try:
        by_label = {name: found.files for name, found in listing.of_split(root).items() if found.files}
    except data.DataError as error:
        raise InputError(str(error)) from error
    if not by_label:
        raise InputError(f"{root} has no folders of images ({', '.join(sorted(ENDINGS))}), one for each label")
    paths = [path for found in by_label.values() for path in found]
    labels = torch.tensor([label for label, found in enumerate(by_label.values()) for _ in found])

    def walk() -> Batches:
        for start in range(0, len(paths), how.batch):
            part = slice(start, start + how.batch)
            read = [read_image(path, how.image_size)[0] for path in paths[part]]
            if len({image.shape for image in read}) > 1:
                sizes = sorted({f"{image.shape[2]} x {image.shape[1]}" for image in read})
                raise InputError(f"{root} has images of {', '.join(sizes[:3])} pixels; say image_size=...")
            yield how.ready(torch.from_numpy(np.stack(read))), labels[part].to(how.device)

    return Source(walk, tuple(by_label), math.ceil(len(paths) / how.batch), how.note)


def _read(loader: Any) -> Iterator[Any]:
    """Batches of a loader; its own error chained to an `InputError` that says at which batch it was."""
    batches, number = iter(loader), 0
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:  # a loader runs its user's code, which may raise anything
            raise InputError(
                f"batch {number} cannot be had of the images: {type(error).__name__}: {error}"
            ) from error
        yield batch
        number += 1


def _together(items: list) -> Any:
    """Items of a data set as one batch; pictures by Pillow, which torch does not stack, as uint8: grey or RGB ones as
    they are, all others in RGB as if read from a file."""

    def unpacked(part: Any) -> Any:
        if not isinstance(part, Image.Image):
            return part
        picture = part.convert("L") if part.mode == "1" else part
        return torch.from_numpy(np.asarray(picture if picture.mode in ("L", "RGB") else in_rgb(picture)).copy())

    def item(parts: Any) -> Any:
        if isinstance(parts, Mapping):
            return {key: unpacked(part) for key, part in parts.items()}
        return tuple(map(unpacked, parts)) if isinstance(parts, tuple | list) else parts

    return default_collate([item(parts) for parts in items])


def _check_numbers(images: torch.Tensor, start: int) -> None:
    """Raise `InputError` for pixels that are no numbers; start: which image the first of these is."""
    if images.is_floating_point() and not images.isfinite().all():
        bad = (~images.isfinite().flatten(1).all(1)).nonzero()[0, 0]
        raise InputError(f"image {start + int(bad)} (counted from 0) has pixels that are NaN or infinite")


def _parts(batch: Any, number: int) -> tuple[Any, torch.Tensor]:
    """What a batch of a loader has of images and labels."""
    if isinstance(batch, Mapping):
        key = next((key for key in LABEL_KEYS if key in batch), None)
        inputs = next((value for other, value in batch.items() if other != key and hasattr(value, "shape")), None)
        if key is None or inputs is None:
            raise InputError(f"batch {number} is a mapping without images and {' or '.join(LABEL_KEYS)}")
        return inputs, _label_tensor(batch[key], None)
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise InputError(f"batch {number} is a {type(batch).__name__} and not (images, labels)")
    return batch[0], _label_tensor(batch[1], None)


def _image_tensor(images: Any) -> torch.Tensor:
    """Images `[images, channel, height, width]`: numpy arrays and grey ones without a channel axis, too."""
    if not hasattr(images, "shape"):
        raise InputError(f"images are a tensor or an array, one batch of them; these are a {type(images).__name__}")
    tensor = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    if tensor.ndim == 3:
        tensor = tensor[:, None]
    if tensor.ndim == 4 and tensor.shape[1] not in COLOURS and tensor.shape[3] in COLOURS:
        tensor = tensor.permute(0, 3, 1, 2)  # [images, height, width, channel], as image libraries have it
    if tensor.dtype not in (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise InputError(f"pixels are uint8, 0 to 255, or real numbers; these are {tensor.dtype}")
    return tensor


def _numbered(labels: Any) -> tuple[Any, tuple[str, ...] | None]:
    """Labels that are words as numbers, in the order of the words, and the words; numbers as they are."""
    if isinstance(labels, torch.Tensor):
        return labels, None
    array = np.asarray(labels)
    if array.dtype.kind not in "UO" or not all(isinstance(label, str) for label in array.ravel()):
        return labels, None
    words, numbers = np.unique(array.astype(str), return_inverse=True)
    return torch.from_numpy(numbers.reshape(array.shape)), tuple(map(str, words))


def _label_tensor(labels: Any, images: int | None) -> torch.Tensor:
    try:
        tensor = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"labels are whole numbers, one an image; these are a {type(labels).__name__} like {str(labels)[:60]!r}; "
            "number them from 0, and say their names by labels=[...]"
        ) from error
    if tensor.ndim == 2 and tensor.shape[1] == 1:
        tensor = tensor[:, 0]
    if tensor.ndim != 1:
        raise InputError(f"labels are one number an image; these are {list(tensor.shape)}")
    if images is not None and len(tensor) != images:
        raise InputError(f"there are {images} images and {len(tensor)} labels")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise InputError(f"labels are whole numbers, one an image; these are {tensor.dtype}")
    return tensor.to(torch.int64)


def _classes(dataset: Any) -> tuple[str, ...] | None:
    """Names of labels where a data set has them, as torchvision's do."""
    names = getattr(dataset, "classes", None)
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except TypeError:
        return None
