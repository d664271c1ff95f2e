"""What the processes that torchrun starts, the ranks, need to do one piece of work together.

Every rank runs the same program on its share of every batch, sums go over all of them, and the first rank alone has
the store.  What is called here has to be called by all ranks in the same order.  Without torchrun there is one rank,
and nothing here changes or costs anything.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed as ranks
from torch import nn

Value = TypeVar("Value")

LONGEST_STEP = timedelta(minutes=10)  # a rank that is silent for longer in the midst of the work has lost the others
LONGEST_STAGE = timedelta(days=7)  # for what the first rank does alone, such as decoding a million images


class RankError(RuntimeError):
    """Ranks cannot work together: one failed or went away, or there is no GPU for one."""


def join() -> None:
    """Become one of the ranks that torchrun started: on a GPU of its own (NCCL), or on a CPU (gloo).

    Raises `RankError` when a machine has GPUs but fewer than ranks, or the others cannot be reached.
    """
    if not launched():
        return
    backend, local = "gloo", int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            raise RankError(
                f"no GPU is left for local rank {local}: --nproc-per-node {torch.cuda.device_count()} at most"
            )
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    with _company():
        ranks.init_process_group(backend, timeout=LONGEST_STEP)


def launched() -> bool:
    """Whether torchrun started this process."""
    return ranks.is_available() and ranks.is_torchelastic_launched()


def leave() -> None:
    """End well, each rank with its own exit status: torchrun ends the others as soon as one status is not 0."""
    if ranks.is_available() and ranks.is_initialized():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # they are about to end
        ranks.destroy_process_group()
        _waiting.cache_clear()


def world() -> int:
    """How many ranks there are; 1 without torchrun."""
    return ranks.get_world_size() if ranks.is_available() and ranks.is_initialized() else 1


def rank() -> int:
    """The number of this rank, from 0."""
    return ranks.get_rank() if world() > 1 else 0


def share(images: int) -> slice:
    """Places of so many images that this rank takes: those of all ranks, one after the other, are all images.

    Shares differ by one image at most; with fewer images than ranks some are empty.
    """
    return slice(images * rank() // world(), images * (rank() + 1) // world())


def share_in_batches(images: int, batch: int) -> Iterator[slice]:
    """This rank's share of so many images, at most `batch` at a time."""
    own = share(images)
    for start in range(own.start, own.stop, batch):
        yield slice(start, min(start + batch, own.stop))


def share_of_batch(images: int) -> slice | None:
    """`share` of a batch to train on; None, on every rank, where one would have no image: that batch is left out."""
    return share(images) if images >= world() else None


def require_shares(images: int, what: str) -> None:
    """Raise `RankError` where the largest batch there is, of so many images, leaves a rank without any."""
    if images < world():
        raise RankError(
            f"{what}: batches of {images} leave nothing for some of {world()} ranks, so no step would ever be made; "
            "raise batch in the profile, or start fewer ranks"
        )


def over_ranks(model: nn.Module) -> nn.Module:
    """A module to call in training: alone itself, else wrapped so that a backward pass gives the mean of all ranks'
    gradients.  Parameters and buffers stay the module's own; they begin as the first rank's, and buffers are its in
    every forward pass, whatever a network may keep in them beside what batch norm does."""
    if world() == 1:
        return model
    with _company():
        return nn.parallel.DistributedDataParallel(model)


def gradients_apart(model: nn.Module) -> AbstractContextManager:
    """Inside, backward passes through what `over_ranks` gave leave each rank its own gradients."""
    return model.no_sync() if isinstance(model, nn.parallel.DistributedDataParallel) else nullcontext()


def backward(loss: torch.Tensor, images: int) -> None:
    """Backward pass from the loss of this rank's `images`, a mean over them, through what `over_ranks` gave.

    The gradients are then those of the mean over the batch of all ranks.
    """
    of_all = weighted(loss, images)
    try:
        of_all.backward()
    except RuntimeError as error:  # of this rank itself, or what gloo or NCCL say of another
        if world() == 1 or isinstance(error, RankError) or not _of_another(error):
            raise
        raise _lost(error) from error


def weighted(loss: torch.Tensor, images: int) -> torch.Tensor:
    """The loss by what part of the batch of all ranks this rank's `images` are, as often as there are ranks.

    The mean of its gradients over the ranks is then the gradient of the mean over the whole batch.
    """
    return loss if world() == 1 else loss * (images * world() / all_sum(loss.new_full((), images)))


def all_sum(values: torch.Tensor) -> torch.Tensor:
    """Sum over all ranks, in place: the same bits on each of them."""
    if world() > 1:
        with _company():
            ranks.all_reduce(values)
    return values


def all_agree(here: bool) -> bool:
    """Whether something is so on every rank; one that asks while others are at work on another step ends all."""
    return int(all_sum(torch.tensor(int(here)))) == world()


def from_first(value: Value) -> Value:
    """What the first rank gives here, on all of them; the others wait for it."""
    if world() == 1:
        return value
    held = [value]
    with _company():
        ranks.broadcast_object_list(held, group=_waiting())
    return held[0]


def only_first(work: Callable[[], Value]) -> Value:
    """What `work()` gives on the first rank, on all of them; the others wait meanwhile and do not call it."""
    return from_first(work() if rank() == 0 else None)


@contextmanager
def batch_norm_over_ranks(model: nn.Module) -> Iterator[None]:
    """Inside, batch norms in train mode see the batch of all ranks, as one process would; alone they are as ever.

    Parameters and running statistics stay where they are; afterwards, also after an exception, every module is back.
    """
    norms = [module for module in model.modules() if type(module) is nn.BatchNorm2d] if world() > 1 else []
    try:
        for norm in norms:
            norm.__class__ = _BatchNormOnGPUs if norm.running_mean.is_cuda else _BatchNormOnCPUs
        yield
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm2d


class _BatchNormOnGPUs(nn.SyncBatchNorm):
    process_group = None  # all ranks


class _BatchNormOnCPUs(nn.BatchNorm2d):
    """`SyncBatchNorm` by its definition, since torch has none for CPUs: what tests of ranks run on."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(images)
        own = images.new_full((1,), images.numel() // images.shape[1])
        totals = _AllSum.apply(torch.cat([images.sum((0, 2, 3)), own]))
        pixels = totals[-1]
        mean = totals[:-1] / pixels
        centred = images - mean[:, None, None]
        variance = _AllSum.apply(centred.square().sum((0, 2, 3))) / pixels
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * pixels / (pixels - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]


class _AllSum(torch.autograd.Function):
    """`all_sum` whose gradient is, as each rank's loss hangs on it, the sum of the gradients of all ranks."""

    @staticmethod
    def forward(_, values: torch.Tensor) -> torch.Tensor:
        return all_sum(values.clone())

    @staticmethod
    def backward(_, gradient: torch.Tensor) -> torch.Tensor:
        return all_sum(gradient.clone(memory_format=torch.contiguous_format))


@contextmanager
def _company() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # whatever gloo or NCCL say
        raise _lost(error) from error


def _of_another(error: RuntimeError) -> bool:
    return isinstance(error, ranks.DistError) or "gloo" in str(error)


def _lost(error: RuntimeError) -> RankError:
    reason = str(error).strip().partition("\n")[0].partition(". ")[0]
    return RankError(f"another rank failed or cannot be reached ({reason})")


@functools.cache
def _waiting() -> ranks.ProcessGroup:
    """The same ranks on their CPUs, patient while the first one works alone."""
    return ranks.new_group(backend="gloo", timeout=LONGEST_STAGE)
