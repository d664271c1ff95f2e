"""Checkpoints: what training goes on from after an interruption, if it is known to be its own.

A checkpoint carries the checksum of its content and says what it is of: stage, recipe, seed, images, and the shapes
of what is trained.  The one before it is kept.  One that does not verify is set aside with a word, and the one before
it, or the start, is taken: either way the result is that of a training without interruption.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn

from singlefilter import distributed, store

log = logging.getLogger(__name__)

_HEADER = "singlefilter checkpoint 1 {}\n"
_BEFORE = ".before"


class Unverified(ValueError):
    """A checkpoint that is not as it was written, or of something else; the message says which."""


def identity(path: Path | None, state: Mapping[str, Any], **more: object) -> dict:
    """What a checkpoint is of: the stage in whose folder it lies, the shapes of the state, and what else is said."""
    if path is None:
        return {}
    modules = {name: part.state_dict() for name, part in state.items() if isinstance(part, nn.Module)}
    shapes = {name: _shapes(tensors) for name, tensors in modules.items()}
    return store.plain({"stage": store.stage_of(path), "shapes": store.digest(shapes)} | more)


def fingerprint(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of tensors and their names, in hexadecimal."""
    digest = hashlib.sha256(repr(_shapes(tensors)).encode())
    for tensor in filter(torch.is_tensor, tensors.values()):
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def save(path: Path, of: dict, state: Mapping[str, Any], rows: list[dict], epochs: int) -> None:
    """Write a checkpoint after so many epochs; the one there before it is kept beside it.

    Raises `OSError` where it cannot be written; what was there before stays.
    """
    parts = {name: part.state_dict() for name, part in state.items()}
    content = {"of": of, "state": parts, "rows": rows, "epochs": epochs, "computed": _computing()}
    with store.atomic_file(path) as temporary:
        try:
            with temporary.open("r+b") as file:
                start = file.write(_HEADER.format("0" * 64).encode())
                torch.save(content, file)
                file.seek(start)
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                file.write(_HEADER.format(checksum).encode())
        except (RuntimeError, OSError) as error:  # the first is torch's own word for a full disk
            raise OSError(f"{path} could not be written, the one before it is kept: {error}") from error
        if path.is_file():
            os.replace(path, _before(path))


def resume(path: Path | None, of: dict, state: Mapping[str, Any], epochs: int) -> tuple[list[dict], int]:
    """Load the last checkpoint that verifies into the state: the rows so far, and how many epochs are done.

    epochs: how many the recipe has.  All ranks call it; the first alone reads.
    """
    if path is None:
        return [], 0
    start = None
    for place, next_one in ((path, "the one before it"), (_before(path), "the start")):
        content = distributed.only_first(functools.partial(_read, place, of, epochs, next_one))
        if content is None:
            continue
        start = start or {name: copy.deepcopy(part.state_dict()) for name, part in state.items()}
        try:
            for name, part in state.items():
                part.load_state_dict(content["state"][name])
        except Exception as error:  # whatever torch makes of it
            for name, part in state.items():
                part.load_state_dict(start[name])
            distributed.only_first(functools.partial(_set_aside, place, error, next_one))
            continue
        return content["rows"], content["epochs"]
    return [], 0


def remove(path: Path) -> None:
    """Remove a checkpoint and the one before it, where there are any: what they were for is done."""
    for one in (path, _before(path)):
        one.unlink(missing_ok=True)


def _before(path: Path) -> Path:
    return path.with_name(path.name + _BEFORE)


def _read(path: Path, of: dict, epochs: int, next_one: str) -> dict | None:
    """A checkpoint that verifies; None where there is none, or it was set aside."""
    if not os.path.lexists(path):
        return None
    try:
        if not path.is_file():  # a pipe would be waited for
            raise Unverified("no file")
        with path.open("rb") as file:
            content = _verified(file)
        _check(content, of, epochs)
    except (Unverified, OSError) as error:
        _set_aside(path, error, next_one)
        return None
    if content["computed"] != (here := _computing()):
        log.warning(
            "%s: trained by other means so far (%s) than from here (%s), so the last digits are those of neither",
            path, content["computed"], here,
        )  # fmt: skip
    return content


def _computing() -> str:
    """What sums are taken by, in words: other numbers give other last digits."""
    ranks = f" in each of {distributed.world()} ranks" if distributed.world() > 1 else ""
    return f"threads: {torch.get_num_threads()}{ranks}"


def _verified(file: BinaryIO) -> dict:
    header, content = file.read(len(_HEADER.format("0" * 64))), file.read()
    if header != _HEADER.format(hashlib.sha256(content).hexdigest()).encode():
        kind = (
            "not as it was written" if header.startswith(_HEADER[:20].encode()) else "no checkpoint of this version"
        )
        raise Unverified(kind)
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch makes of it: what verifies was written here, but maybe elsewhere
        raise Unverified(f"cannot be read ({error})") from error


def _check(content: object, of: dict, epochs: int) -> None:
    """Raise `Unverified` unless this is a checkpoint of what is being trained."""
    if not isinstance(content, dict) or content.keys() != {"of", "state", "rows", "epochs", "computed"}:
        raise Unverified("no checkpoint")
    if content["of"] != of:
        theirs = content["of"] if isinstance(content["of"], dict) else {}
        other = [key for key in of if theirs.get(key) != of[key]]
        raise Unverified(f"of another {' and '.join(other) or 'kind'}")
    done, rows = content["epochs"], content["rows"]
    if type(done) is not int or not 0 < done <= epochs:
        raise Unverified(f"after epoch {done} of {epochs}")
    if not isinstance(rows, list) or {row.get("epoch") for row in rows if isinstance(row, dict)} != {
        *range(1, done + 1)
    }:
        raise Unverified(f"without the curves of {done} epochs")


def _set_aside(path: Path, error: Exception, next_one: str) -> None:
    aside = store.set_aside(path)
    log.warning("%s: %s; set aside as %s, training goes on from %s", path, error, aside, next_one)


def _shapes(values: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """What a state holds by name; modules may keep other things than tensors in theirs."""
    tensors = {name: value for name, value in values.items() if torch.is_tensor(value)}
    return {name: f"{value.dtype} {list(value.shape)}" for name, value in tensors.items()}
