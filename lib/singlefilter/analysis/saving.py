"""One file for an analysis: numbers as safetensors, the rest as JSON in its header; nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from singlefilter import store
from singlefilter.errors import InputError

KEY = "singlefilter"
Made = TypeVar("Made")


def write(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping) -> Path:
    """Write tensors and what JSON can hold, whole or not at all; returns the path."""
    with store.atomic_file(path) as temporary:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, temporary, metadata={KEY: json.dumps(header, ensure_ascii=False)})
    return path


def read(path: str | Path, make: Callable[[dict[str, torch.Tensor], dict], Made]) -> Made:
    """What `make(tensors, header)` makes of a file by `write`.

    Raises `InputError` for a file that is none or of which `make` can make nothing, `OSError` where it cannot be
    read.
    """
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        return make(tensors, header)
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"{path} is no saved analysis ({type(error).__name__}: {error})") from error
