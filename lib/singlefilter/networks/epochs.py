"""Epochs of whatever is trained: the loop resumes after any interruption and gives the same result as without one."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from singlefilter import data, distributed, profiles, progress
from singlefilter.networks import checkpoints

SECONDS_BETWEEN_CHECKPOINTS = 20  # of a large network on a GPU, saving takes as long as an epoch


class Paused(Exception):
    """Work stopped at the end of an epoch because its time was up; the next run goes on from there."""


class Diverged(RuntimeError):
    """The loss is no number any more."""


def learning_rate(recipe: profiles.Recipe, epoch: float) -> float:
    """Learning rate at a time counted in epochs, fractions included. Source: sections 1 and 2."""
    if epoch < recipe.warmup_epochs:
        return recipe.learning_rate * epoch / recipe.warmup_epochs
    if recipe.schedule == "step":
        return recipe.learning_rate * recipe.factor ** math.floor(epoch / recipe.every)
    done = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


@contextmanager
def own_randomness() -> Iterator[None]:
    """Inside, torch's own random numbers may be drawn or seeded; outside, they go on as if nothing had been."""
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        yield


@own_randomness()
def run_epochs(
    batches: Callable[[int], Iterator[tuple[object, torch.Tensor]]],
    images: int,
    recipe: profiles.Recipe,
    steps: torch.optim.SGD,
    step: Callable[[object, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    close_epoch: Callable[[int, torch.Tensor, torch.Tensor], list[dict]],
    state: dict,
    *,
    seed: int,
    checkpoint: Path | None,
    deadline: float,
    title: str,
    before_epoch: Callable[[], object] = lambda: None,
    of: str = "",
) -> list[dict]:
    """Epochs of a recipe, from its checkpoint when there is one: what networks and heads have in common.

    `batches(epoch)` yields what `step` takes, and labels; `images` are in an epoch.  `step` does forward and backward
    passes of a batch and returns losses and counts of correct answers, one each of what is trained; they are summed
    on the device, so no step waits for the GPU.  `close_epoch` makes the epoch's rows from mean losses and
    accuracies.  `state`: what goes into the checkpoint, by name.  `seed`: dropout of an epoch is decided by it, the
    epoch's number and the rank.  `of`: what a checkpoint is of beside stage, recipe, seed and shapes, where it lies
    in no stage's folder.

    The checkpoint is written before a pause, and else after the first epoch that ends
    `SECONDS_BETWEEN_CHECKPOINTS` after the one before: so much and an epoch is what any other end repeats.  After the
    last epoch none is written, since a stage goes on to what it leaves behind.

    Several ranks each take their share of every batch; `step` leaves them the same gradients
    (`distributed.backward`).  The first has checkpoint and clock, and the others wait where they pause until it has
    written.  Raises `distributed.RankError` where no batch has an image for each.
    """
    distributed.require_shares(min(images, recipe.batch), title)
    identity = checkpoints.identity(
        checkpoint, state, recipe=recipe, seed=seed, images=images, work=title, network=of
    )
    rows, first = checkpoints.resume(checkpoint, identity, state, recipe.epochs)
    kept, kept_at = first, time.perf_counter()

    def keep(epochs: int) -> None:
        nonlocal kept, kept_at
        if epochs > kept:
            if checkpoint is not None and distributed.rank() == 0:
                checkpoints.save(checkpoint, identity, state, rows, epochs)
            kept, kept_at = epochs, time.perf_counter()

    def has_to_pause(epochs: int) -> bool:
        over = time.monotonic() > deadline
        if over:
            keep(epochs)
        return over

    per_epoch = math.ceil(images / recipe.batch)
    bar = progress.bar(range(first, recipe.epochs), title, "epoch", total=recipe.epochs, done=first)
    for epoch in bar:
        if distributed.only_first(functools.partial(has_to_pause, epoch)):
            raise Paused(f"{title} paused after epoch {epoch} of {recipe.epochs}; the same command goes on from here")
        start = time.perf_counter()
        torch.manual_seed(data.mix(seed, epoch, distributed.rank()))
        before_epoch()
        totals, seen = None, 0
        for number, (inputs, labels) in enumerate(batches(epoch)):
            rate = learning_rate(recipe, epoch + (number + 0.5) / per_epoch)
            for group in steps.param_groups:
                group["lr"] = rate
            losses, correct = step(inputs, labels)
            steps.step()
            steps.zero_grad()
            sums = torch.stack([losses * len(labels), correct]).double()
            totals = sums if totals is None else totals + sums
            seen += len(labels)
        seen = distributed.all_sum(totals.new_tensor(seen))
        losses, accuracies = (distributed.all_sum(totals) / seen).cpu()
        if not torch.isfinite(losses).all():
            raise Diverged(
                f"{title}: the loss is no number any more in epoch {epoch + 1}. Lower learning_rate "
                f"({recipe.learning_rate}) or raise warmup_epochs ({recipe.warmup_epochs}) in the profile."
            )
        common = {"epoch": epoch + 1, "learning_rate": rate}
        closed = close_epoch(epoch + 1, losses, accuracies)
        seconds = round(time.perf_counter() - start, 3)
        rows += [common | row | {"seconds": seconds} for row in closed]
        bar.set_postfix({"accuracy": f"{rows[-1]['accuracy']:.3f}"}, refresh=False)
        if epoch + 1 < recipe.epochs and time.perf_counter() - kept_at >= SECONDS_BETWEEN_CHECKPOINTS:
            keep(epoch + 1)
    return rows
