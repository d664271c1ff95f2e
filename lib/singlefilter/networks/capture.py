"""Reading maps while a network runs, and leaving the network as it was found."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.utils.hooks import RemovableHandle

from singlefilter.errors import CutError
from singlefilter.networks.places import HEAD, INPUT, CutPoint, Place, unknown_module

_HEADS = ("num_heads", "num_attention_heads", "n_heads", "heads")  # an attention's number of heads
_PROJECTIONS = ("proj", "out_proj", "o_proj", "to_out", "c_proj")  # what reads its joined heads


@dataclass
class Reading:
    """What one forward pass gave: tensors by place as it is written, how often each had been written to by then, and
    how often each place's module was called."""

    maps: dict[str, torch.Tensor] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    others: dict[str, object] = field(default_factory=dict)  # what is no tensor
    random: dict[str, tuple] | None = None  # states of random numbers when maps came, where somebody asks

    def clear(self) -> None:
        """Before another pass, where that does not begin at the network as a whole."""
        for part in (self.maps, self.versions, self.calls, self.others):
            part.clear()

    def keep(self, text: str, found: object, copy: bool) -> None:
        """Note what was found at a place."""
        if isinstance(found, torch.Tensor):
            self.maps[text] = found.clone() if copy else found
            self.versions[text] = self.maps[text]._version
            if self.random is not None:
                self.random[text] = random_state()
        else:
            self.others[text] = found


def random_state() -> tuple:
    """Where the generators stand that a network may draw from without being given one."""
    numpy_ = np.random.get_state()
    gpu = torch.cuda.get_rng_state().numpy().tobytes() if torch.cuda.is_initialized() else b""
    return torch.get_rng_state().numpy().tobytes(), gpu, random.getstate(), numpy_[1].tobytes(), numpy_[2]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Inside, a network is in eval mode, no graph is recorded and no random number of the user's is drawn.

    Afterwards, also after an exception, every module is in the mode it was found in, and every buffer is the one that
    it was and holds what it held, even where the network counts its calls.
    """
    modes = {module: module.training for module in model.modules()}
    held = [
        (module, name, buffer, buffer.clone())
        for module in modes
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    on = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    try:
        with torch.random.fork_rng([device.index for device in on]), torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for module, name, buffer, content in held:
            module._buffers[name] = buffer
            if not torch.equal(buffer, content):
                buffer.copy_(content)


@contextmanager
def capture(model: nn.Module, cuts: Sequence[CutPoint | str]) -> Iterator[dict[str, torch.Tensor]]:
    """Freeze a network and read its maps at some cuts or places: a mapping that each pass fills anew.

    By the place as it is written, as the module returned them (`CutPoint.view` puts their axes in order).  The hooks
    are gone afterwards, also after an exception.  Raises `CutError` for a module that is not there.
    """
    with reading(model, cuts) as read:
        yield read.maps


@contextmanager
def reading(model: nn.Module, cuts: Sequence[CutPoint | str]) -> Iterator[Reading]:
    """`capture`, with the number of calls and with what is no tensor beside the maps."""
    read, known = Reading(), dict(model.named_modules())
    copies = {cut.module for cut in cuts if isinstance(cut, CutPoint) and cut.overwritten}
    texts = dict.fromkeys(cut.module if isinstance(cut, CutPoint) else cut for cut in cuts)
    written = {text: Place.of(text) for text in texts}
    if unknown := [place.module for place in written.values() if place.module not in known]:
        raise CutError(unknown_module(unknown[0], known))
    with ExitStack() as stack:
        stack.enter_context(frozen(model))
        stack.callback(model.register_forward_pre_hook(lambda *_: read.clear()).remove)
        for text, place in written.items():
            module = known[place.module]
            target = _head_reader(place.module, module) if place.part == HEAD else module
            for handle in _listen(target, module, text, place, read, text in copies):
                stack.callback(handle.remove)
        yield read


def _listen(
    target: nn.Module, module: nn.Module, text: str, place: Place, read: Reading, copy: bool
) -> Iterator[RemovableHandle]:
    """Hooks that note what is found at a place whenever `target` is called."""
    busy = False  # while an attention is asked a second time

    def before(_, args: tuple, kwargs: dict) -> None:
        if busy:
            return
        read.calls[text] = read.calls.get(text, 0) + 1
        if place.call not in (None, read.calls[text]):
            return
        if place.part == INPUT:
            read.keep(text, _first_tensor(args, kwargs), copy)
        elif place.part == HEAD and target is not module:
            read.keep(text, _apart(_first_tensor(args, kwargs), _number_of_heads(module)), copy)

    def after(_, args: tuple, kwargs: dict, output: object) -> None:
        nonlocal busy
        if busy or place.part == INPUT or target is not module or place.call not in (None, read.calls[text]):
            return
        if place.part == HEAD:
            busy = True
            try:
                read.keep(text, _joined_heads(module, args, kwargs), copy)
            finally:
                busy = False
        else:
            read.keep(text, output if place.part is None else _part(output, place.part), copy)

    yield target.register_forward_pre_hook(before, with_kwargs=True)
    yield target.register_forward_hook(after, with_kwargs=True)


def _first_tensor(args: tuple, kwargs: dict) -> torch.Tensor | None:
    return next((value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)), None)


def _head_reader(name: str, module: nn.Module) -> nn.Module:
    """The module whose input are the joined heads of an attention; torch's own attention itself.

    Raises `CutError` for a module that is no attention known here.
    """
    if isinstance(module, nn.MultiheadAttention):
        return module
    projections = [part for key, part in module.named_children() if key in _PROJECTIONS]
    if _number_of_heads(module) is None or len(projections) != 1:
        raise CutError(
            f"{name}:{HEAD}: {type(module).__name__} is no attention whose heads can be told apart: that takes "
            f"nn.MultiheadAttention, or a module with {' or '.join(_HEADS)} and one layer {', '.join(_PROJECTIONS)} "
            "behind its joined heads"
        )
    return projections[0]


def _number_of_heads(module: nn.Module) -> int | None:
    return next((getattr(module, key) for key in _HEADS if isinstance(getattr(module, key, None), int)), None)


def _joined_heads(module: nn.MultiheadAttention, args: tuple, kwargs: dict) -> torch.Tensor:
    """Heads of torch's attention `[images, tokens, heads, inside]`: what it returns with a projection that changes
    nothing, since its own projection is no call that a hook could listen to."""
    size = module.embed_dim
    weight = module.out_proj.weight
    plain = {"out_proj.weight": torch.eye(size, dtype=weight.dtype, device=weight.device)}
    if module.out_proj.bias is not None:
        plain["out_proj.bias"] = torch.zeros_like(module.out_proj.bias)
    joined = functional_call(module, plain, args, kwargs)[0]
    return _apart(joined if module.batch_first else joined.transpose(0, 1), module.num_heads)


def _apart(joined: torch.Tensor | None, heads: int) -> torch.Tensor | None:
    """Joined heads `[images, tokens, heads * inside]` one by one."""
    return joined if joined is None or joined.ndim != 3 else joined.unflatten(2, (heads, -1))


def _part(output: object, part: str) -> object:
    """A part of what a module returned, by its number or its key; None where there is no such part."""
    if isinstance(output, dict):
        return output.get(part)
    if isinstance(output, tuple | list) and part.isdecimal() and int(part) < len(output):
        return output[int(part)]
    return getattr(output, part, None) if isinstance(output, tuple) else None
