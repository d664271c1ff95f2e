"""Images that a GPU has no room for: they stay in the host's memory, or on its disk, and follow batch by batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

PART_OF_FREE = 0.5  # of a GPU's free memory at most goes to images, the rest is for networks and maps
AHEAD = 8  # batches fetched, by a thread each, while those before them are worked on

Places = slice | torch.Tensor


def fits(images: torch.Tensor, device: torch.device) -> bool:
    """Whether all images may lie on a device; on a CPU, which reads them where they are, they always do."""
    return device.type != "cuda" or images.nbytes <= PART_OF_FREE * torch.cuda.mem_get_info(device)[0]


def taken(images: torch.Tensor, parts: Iterable[Places], device: torch.device) -> Iterator[torch.Tensor]:
    """Images at the places of each part in turn, on a device: at once where they are there, else fetched ahead.

    images: uint8 `[images, channel, height, width]`; parts: slices, or int64 `[places]` on the images' device.
    Threads fetch them, not processes, which would hand batches over through a shared memory that containers keep
    small.
    """
    if not _apart(images, device):
        yield from (images[part] for part in parts)
        return
    pinned = device.type == "cuda"  # from such memory a copy waits for its turn on the GPU, and nothing for the copy
    with ThreadPoolExecutor(AHEAD) as threads:
        under_way = deque()
        for part in parts:
            under_way.append(threads.submit(_fetched, images, part, pinned))
            if len(under_way) > AHEAD:
                yield under_way.popleft().result().to(device, non_blocking=True)
        while under_way:
            yield under_way.popleft().result().to(device, non_blocking=True)


def _apart(images: torch.Tensor, device: torch.device) -> bool:
    return images.device != device


def _fetched(images: torch.Tensor, part: Places, pinned: bool) -> torch.Tensor:
    """A copy of some images in memory of their own."""
    places = np.arange(*part.indices(len(images))) if isinstance(part, slice) else part.numpy()
    copy = torch.empty(len(places), *images.shape[1:], dtype=images.dtype, pin_memory=pinned)
    # By numpy, which keeps to its one thread, and without the buffer of its default mode.
    np.take(images.numpy(), places, axis=0, out=copy.numpy(), mode="clip")
    return copy
