"""Data sets as uint8 tensors: embedded glyphs, image folders, and what torchvision can download.

What is not embedded is read from image folders (`folders`), as which `downloads` are laid out, too: `listing` says
which files each label has, `pictures` reads one.  Images are decoded once into the store and memory-mapped from there
(`decoding`): a data set larger than memory is streamed by the operating system, and what a GPU has no room for goes
there batch by batch (`streams`).  `splits` are what networks train on, in batches made by `augmentation`.
Source: section 1.
"""

from singlefilter.data.augmentation import augment, batches, mix, to_input
from singlefilter.data.decoding import load, read, stage
from singlefilter.data.downloads import download
from singlefilter.data.folders import TITLES, data_folder, find, how_to_get, sample, title
from singlefilter.data.splits import DataError, Split, check_batch, drawn_labels, hold_out, part

__all__ = [
    "TITLES",
    "DataError",
    "Split",
    "augment",
    "batches",
    "check_batch",
    "data_folder",
    "download",
    "drawn_labels",
    "find",
    "hold_out",
    "how_to_get",
    "load",
    "mix",
    "part",
    "read",
    "sample",
    "stage",
    "title",
    "to_input",
]
