"""Batch norms folded into the convolutions before them, for the length of a pass: the same maps in less time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-4  # of a map's largest value; folding moves float32 by about 1e-7 of it


@contextmanager
def folded(model: nn.Module, trial: Callable[[], Sequence[torch.Tensor]]) -> Iterator[bool]:
    """Inside, batch norms in eval mode are folded into the convolutions before them, where that changes no map.

    Where a convolution is followed by its batch norm in an `nn.Sequential`, the two become one convolution and an
    identity.  A pair that is in train mode or that a hook listens to stays as it is, and so does one that is not
    called through its `nn.Sequential` alone: something else may then read what the convolution returns.  `trial()`
    runs the network on a few images and returns their maps: where these are others once all is folded, nothing is.
    Yields whether anything is folded; afterwards, also after an exception, every module is back.
    """
    with ExitStack() as stack:
        expected, calls = _counted(model, trial)
        for parent in list(model.modules()):
            for place in _pairs(parent):
                convolution, norm = parent[place], parent[place + 1]
                if not calls[parent] == calls[convolution] == calls[norm] > 0:
                    continue
                parent[place], parent[place + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
                stack.callback(parent.__setitem__, place, convolution)
                stack.callback(parent.__setitem__, place + 1, norm)
        if not _same(expected, trial):
            stack.close()
            yield False
            return
        yield True


def _pairs(parent: nn.Module) -> list[int]:
    if type(parent).forward is not nn.Sequential.forward:
        return []
    return [place for place in range(len(parent) - 1) if _can_fold(parent[place], parent[place + 1])]


def _counted(model: nn.Module, trial: Callable[[], Sequence[torch.Tensor]]) -> tuple[list[torch.Tensor], Counter]:
    """The maps of the network as it is, and how often each module of a pair, and what holds it, is called."""
    calls: Counter = Counter()
    with ExitStack() as stack:
        for parent in list(model.modules()):
            of_pair = [module for place in _pairs(parent) for module in (parent, parent[place], parent[place + 1])]
            for module in dict.fromkeys(of_pair):
                handle = module.register_forward_pre_hook(lambda called, _: calls.update([called]))
                stack.callback(handle.remove)
        return [maps.clone() for maps in trial()], calls


def _same(expected: Sequence[torch.Tensor], trial: Callable[[], Sequence[torch.Tensor]]) -> bool:
    try:
        found = trial()
    except Exception:  # a network that asks its parts for what they are may raise anything
        return False
    return all(
        one.shape == other.shape and (one - other).abs().max() <= TOLERANCE * one.abs().max()
        for one, other in zip(expected, found, strict=True)
    )


def _can_fold(convolution: nn.Module, norm: nn.Module) -> bool:
    return (
        type(convolution) is nn.Conv2d
        and type(norm) is nn.BatchNorm2d
        and norm.running_var is not None
        and convolution.weight.dtype in (torch.float32, torch.float64)
        and not (convolution.training or norm.training)
        and not any(part._forward_hooks or part._forward_pre_hooks for part in (convolution, norm))
    )
