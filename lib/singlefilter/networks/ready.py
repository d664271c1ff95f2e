"""Weights that a network starts from: ready ones for ImageNet, or a file of one's own; never code.

A pickle is read by `weights_only=True`, which makes tensors and nothing else.  torchvision's files carry a part of
their checksum in their names; it is checked when a file is downloaded, and when it lies there already.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import torch as safetensors
from torch import nn

from singlefilter import store

log = logging.getLogger(__name__)

_HASH = re.compile(r"-([0-9a-f]{8,64})\.")  # as torch.hub has it
_WRAPPERS = ("state_dict", "model")  # keys under which checkpoints of others keep a network's state
_PREFIXES = ("module.", "model.")


class WeightsError(OSError):
    """Weights that cannot be had or do not fit; the message names the file and says what to do."""


def imagenet(url: str, network: str = "EfficientNet-B0") -> dict[str, torch.Tensor]:
    """torchvision's weights from a URL, downloaded into torch's own folder where they are not there.

    network: what the message calls it.  Raises `WeightsError` where they cannot be had, or are not those that the
    URL names.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), _HASH.search(file.name)[1])
        return _checked(file, "move it away")
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"ImageNet weights of {network} could not be downloaded to {file}, or read from there ({error}): "
            f"put there what is at {url}, or leave network.weights out to train from scratch"
        ) from error


def named_after_checksum(file: Path) -> dict[str, torch.Tensor]:
    """Weights of a file that an installed package brings, whose name ends with the first digits of its SHA-256.

    Raises `WeightsError` for one that is not there, or not the one its name says.
    """
    try:
        return _checked(file, "install its package again")
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"network.weights: {file} cannot be used: {error}") from error


def place(name: str) -> Path:
    """Where a file of one's own is: as a profile says it, from the project's folder where that is relative."""
    return store.project_root() / Path(name).expanduser()


def checksum(name: str) -> str:
    """SHA-256 of a file of one's own.  Raises `WeightsError` where there is none."""
    return hashlib.sha256(_content(place(name))).hexdigest()


def load(model: nn.Module, name: str) -> None:
    """Load a file of one's own into a network: .safetensors, or a pickle of tensors alone (.pt, .pth).

    A last linear layer of another number of labels is left as it is, with a word.  Raises `WeightsError` for a file
    that cannot be read, and for weights that do not fit.
    """
    file = place(name)
    content = _content(file)
    try:
        loaded = safetensors.load(content) if file.suffix == ".safetensors" else _of_pickle(content)
    except Exception as error:  # whatever either makes of it
        raise WeightsError(f"network.weights: {file} cannot be read as tensors by their names ({error})") from error
    own = model.state_dict()
    tensors = _named_like(own, loaded)
    last = [key for key, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    of_last = [key for key in (f"{last}.weight", f"{last}.bias") if key in own]
    if own.keys() == tensors.keys() and any(own[key].shape != tensors[key].shape for key in of_last):
        log.warning("network.weights: %s: %s is of another number of labels, and starts anew", file, last)
        tensors |= {key: own[key] for key in of_last}
    wrong = [key for key in own if key not in tensors or tensors[key].shape != own[key].shape]
    wrong += sorted(tensors.keys() - own.keys())
    if wrong:
        raise WeightsError(
            f"network.weights: {file} is of another network: {', '.join(wrong[:3])}"
            f"{' and more' if len(wrong) > 3 else ''} not in both with the same shape"
        )
    if bad := [key for key, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise WeightsError(f"network.weights: {file}: {bad[0]} holds NaN or infinity")
    model.load_state_dict(tensors)


def _named_like(own: Mapping[str, torch.Tensor], loaded: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors without the prefix that whatever a network was inside of has left on their names."""
    for prefix in _PREFIXES:
        if not own.keys() & loaded.keys() and all(key.startswith(prefix) for key in loaded):
            loaded = {key.removeprefix(prefix): tensor for key, tensor in loaded.items()}
    return dict(loaded)


def _checked(file: Path, what_to_do: str) -> dict[str, torch.Tensor]:
    """Weights of a file that carries a part of its checksum in its name."""
    content = _content(file)
    checksum = hashlib.sha256(content).hexdigest()
    if not checksum.startswith(_HASH.search(file.name)[1]):
        raise WeightsError(f"its checksum begins with {checksum[:8]}, so it is another file; {what_to_do}")
    return _of_pickle(content)


def _content(file: Path) -> bytes:
    if not file.is_file():
        raise WeightsError(f"network.weights: there is no file {file}")
    return file.read_bytes()


def _of_pickle(content: bytes) -> dict[str, torch.Tensor]:
    """Tensors by name.  Raises `RuntimeError` for what is anything else."""
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch makes of it
        raise RuntimeError(f"it is no file of weights alone: {str(error).strip().partition(chr(10))[0]}") from error
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise RuntimeError("it holds other things than tensors by their names")
    return dict(loaded)
