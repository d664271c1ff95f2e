"""Calling a network of anybody's: laid out for speed where it bears that, and left as it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from singlefilter.errors import ForwardError
from singlefilter.networks.batches import images_of, mapped
from singlefilter.networks.capture import frozen

Forward = Callable[[nn.Module, torch.Tensor], object]


@dataclass(frozen=True)
class Call:
    """How a network is called with a batch: `forward(model, batch)`, or `model(batch)` where that is None.

    filters_last: whether images, and so the maps of them, are laid filters last in memory, which is faster; copies:
    whether it is given a copy of the images, which one needs that writes on them.
    """

    model: nn.Module
    forward: Forward | None = None
    filters_last: bool = False
    copies: bool = True

    def laid(self, inputs: torch.Tensor) -> torch.Tensor:
        """Images as they are to lie in memory; what else there may be, as it is."""
        if not isinstance(inputs, torch.Tensor) or inputs.ndim != 4:
            return inputs
        return inputs.contiguous(memory_format=torch.channels_last if self.filters_last else torch.contiguous_format)

    def __call__(self, inputs: torch.Tensor) -> object:
        dtype = number_format(self.model)
        laid = mapped(inputs, lambda tensor: self.laid(tensor.to(dtype) if tensor.is_floating_point() else tensor))
        if self.copies:
            laid = mapped(laid, torch.clone)
        return self.model(laid) if self.forward is None else self.forward(self.model, laid)

    def tried(self, inputs: torch.Tensor) -> object:
        """What the call gives; the network's own error chained to a `ForwardError` that says what it was given."""
        try:
            return self(inputs)
        except Exception as error:  # a network runs its own code, which may raise anything
            shape = (
                f"{list(inputs.shape)}, {inputs.dtype} on {inputs.device}" if hasattr(inputs, "shape") else "given"
            )
            raise ForwardError(
                f"{type(self.model).__name__} failed on a batch {shape}: {type(error).__name__}: {error}"
            ) from error


def number_format(model: nn.Module) -> torch.dtype:
    """What a network computes in: the dtype of its first parameter of real numbers, float32 without any."""
    return next((tensor.dtype for tensor in _tensors(model) if tensor.is_floating_point()), torch.float32)


@contextmanager
def prepared(model: nn.Module, example: torch.Tensor, forward: Forward | None = None) -> Iterator[Call]:
    """Inside, the network lies on the device of `example`, and what is yielded calls it with a batch.

    Filters lie last in memory where the network bears that: one that ends in `x.view(len(x), -1)` does not.
    Afterwards, also after an exception, every parameter and buffer lies where and as it was found; what is in them is
    not to be changed meanwhile.  To be entered while the network is frozen (`capture`).

    example: a few images as the network is given them; forward: see `Call`.  Raises `ForwardError` where the network
    fails on them.
    """
    found, device = [(tensor, tensor.data) for tensor in _tensors(model)], images_of(example).device
    call = Call(model, forward, filters_last=True, copies=False)
    try:
        for tensor, data in found:
            tensor.data = data.to(device)
            if tensor.ndim == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
        own = _own(call, example)
        if not _bears(call, own):
            call = replace(call, filters_last=False)
            for tensor, data in found:
                tensor.data = data.to(device)
            own = _own(call, example)
            call.tried(own)
        yield replace(call, copies=_written(own))
    finally:
        for tensor, data in found:
            tensor.data = data


@contextmanager
def laid_out(model: nn.Module, example: torch.Tensor) -> Iterator[Call]:
    """Inside, a network that is trained lies as in `prepared`; afterwards it lies in memory as it was found, with
    what it learned, on the device of `example`.

    Raises `ForwardError` where it fails on the example, a few images.
    """
    strides = [(tensor, tensor.stride()) for tensor in _tensors(model)]
    with frozen(model), prepared(model, example) as call:
        pass
    model.to(example.device, memory_format=torch.channels_last if call.filters_last else torch.preserve_format)
    try:
        yield call
    finally:
        for tensor, stride in strides:
            if tensor.stride() != stride:
                tensor.data = torch.empty_strided(
                    tensor.shape, stride, dtype=tensor.dtype, device=tensor.device
                ).copy_(tensor.data)


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]


def _own(call: Call, example: Any) -> Any:
    """A copy of a batch that lies as the network gets it, so that one sees whether it writes on it."""
    dtype = number_format(call.model)
    return mapped(
        example, lambda tensor: call.laid(tensor.to(dtype) if tensor.is_floating_point() else tensor).clone()
    )


def _written(batch: Any) -> bool:
    """Whether any tensor of a fresh copy was written on."""
    versions = []
    mapped(batch, lambda tensor: versions.append(tensor._version) or tensor)
    return any(versions)


def _bears(call: Call, example: torch.Tensor) -> bool:
    """Whether a network works with filters last in memory."""
    try:
        call(example)
    except Exception:  # it is tried again as it was found, and then that error counts
        return False
    return True
