"""One loop for whole networks: it resumes after any interruption and gives the same result as without one."""

from __future__ import annotations

import functools
import logging
import math
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, distributed, environment, profiles, progress, store
from singlefilter.networks.calling import Call, laid_out, prepared
from singlefilter.networks.capture import frozen

log = logging.getLogger(__name__)

SECONDS_BETWEEN_CHECKPOINTS = 20  # of a large network on a GPU, saving takes as long as an epoch


class Paused(Exception):
    """Work stopped at the end of an epoch because its time was up; the next run goes on from there."""


class Diverged(RuntimeError):
    """The loss is no number any more."""


def device() -> torch.device:
    """The GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(on: torch.device):
    """bfloat16 where a GPU computes in it; full precision on a CPU, where results are to be the same everywhere."""
    return torch.autocast("cuda", torch.bfloat16) if on.type == "cuda" else nullcontext()


def in_precision(recipe: profiles.Recipe, on: torch.device):
    """What forward and backward passes of training compute in: on a CPU what the recipe says, else as `autocast`."""
    if on.type == "cpu" and recipe.precision == "bfloat16":
        return torch.autocast("cpu", torch.bfloat16)
    return autocast(on)


class Unsuited(RuntimeError):
    """This machine would be slower in what a recipe asks for; the message says what to ask for instead."""


def require_precision(recipe: profiles.Recipe) -> None:
    """Raise `Unsuited` where a recipe asks for bfloat16 of a CPU that has no instructions for it: emulated, it is
    several times slower than float32."""
    if recipe.precision == "bfloat16" and device().type == "cpu" and not environment.computes_in_bfloat16():
        raise Unsuited(
            "training.precision: bfloat16 asks for a processor with instructions for it (avx512_bf16 or amx_bf16 "
            "among its flags), which this one has not; float32 is faster here, and makes a network of its own name"
        )


def optimizer(parameters, recipe: profiles.Recipe) -> torch.optim.SGD:
    """Stochastic gradient descent with Nesterov momentum, one fused update for all parameters."""
    return torch.optim.SGD(
        parameters, recipe.learning_rate, recipe.momentum, 0, recipe.weight_decay, nesterov=True, fused=True
    )


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Inside, torch's own random numbers may be drawn or seeded; outside, they go on as if nothing had been."""
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        yield


def compiled(model: nn.Module, on: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network as it is to be called in training: compiled on a GPU, as it is on a CPU, where that gains little.

    Where it cannot be compiled (no C compiler, a network that the compiler does not know), it is called as it is
    and that is said once.  The first pass tries both directions, so that no failure waits in the backward pass.
    Several ranks call it as it is, too: batch norms that wait for other ranks in the midst of a compiled network
    were never tried.
    """
    if on.type != "cuda" or distributed.world() > 1:
        return model
    fast = None

    def forward(images: torch.Tensor) -> torch.Tensor:
        nonlocal fast
        if fast is None:
            before = {name: buffer.clone() for name, buffer in model.named_buffers()}
            try:
                torch.compiler.reset()  # it goes no further after eight networks that share one forward function
                fast = torch.compile(model, dynamic=False)
                with _own_randomness():
                    fast(images).float().sum().backward()
            except Exception as error:  # whatever a compiler may raise; a fault of the network comes up again below
                reason = str(error).strip().partition("\n")[0]
                log.warning("training without torch.compile, somewhat slower: %s: %s", type(error).__name__, reason)
                fast = model
            for parameter in model.parameters():
                parameter.grad = None
            for name, buffer in model.named_buffers():  # batch norm has seen these images once only
                buffer.copy_(before[name])
        return fast(images)

    return forward


def learning_rate(recipe: profiles.Recipe, epoch: float) -> float:
    """Learning rate at a time counted in epochs, fractions included. Source: sections 1 and 2."""
    if epoch < recipe.warmup_epochs:
        return recipe.learning_rate * epoch / recipe.warmup_epochs
    if recipe.schedule == "step":
        return recipe.learning_rate * recipe.factor ** math.floor(epoch / recipe.every)
    done = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def fit(
    model: nn.Module,
    train: data.Split,
    test: data.Split,
    recipe: profiles.Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    deadline: float = math.inf,
) -> pd.DataFrame:
    """Train a network in place; returns its curves, one row per epoch and split.

    Columns: epoch, split, accuracy (fraction; of the training split in train mode on augmented images), loss
    (cross-entropy), learning_rate, seconds.  No choice is made on the test split: the last epoch counts.
    Raises `Paused` past `deadline` (time of `time.monotonic`), `Diverged` when the loss is no number any more.
    """
    with laid_out(model, data.to_input(train.first(2))) as call:
        return _fit(model, call, train, test, recipe, seed=seed, checkpoint=checkpoint, deadline=deadline)


def _fit(
    model: nn.Module,
    call: Call,
    train: data.Split,
    test: data.Split,
    recipe: profiles.Recipe,
    *,
    seed: int,
    checkpoint: Path | None,
    deadline: float,
) -> pd.DataFrame:
    on = train.device
    steps = optimizer(model.parameters(), recipe)
    smoothing = recipe.label_smoothing
    parameters = list(model.parameters())
    forward = compiled(model, on)

    def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with in_precision(recipe, on):
            logits = forward(call.laid(images))
            loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        distributed.weighted(loss, len(labels)).backward()
        return torch.stack([loss.detach()]), (logits.argmax(1) == labels).sum()[None]

    def close_epoch(epoch: int, loss: torch.Tensor, correct: torch.Tensor) -> list[dict]:
        return [
            {"split": "train", "accuracy": correct.item(), "loss": loss.item()},
            {"split": "test"} | evaluate(model, test),
        ]

    model.train()
    state = {"model": model, "optimizer": steps}
    with distributed.batch_norm_over_ranks(model):
        rows = run_epochs(
            augmented(train, recipe, seed), len(train), recipe, steps, step, close_epoch, state,
            seed=seed, checkpoint=checkpoint, deadline=deadline, title="training", before_epoch=model.train,
        )  # fmt: skip
    for parameter in parameters:
        parameter.grad = None
    model.eval()
    return pd.DataFrame(rows, columns=["epoch", "split", "accuracy", "loss", "learning_rate", "seconds"])


def augmented(
    train: data.Split, recipe: profiles.Recipe, seed: int, share: Callable[[int], slice] = distributed.share
):
    """Batches of an epoch by its number, shuffled and augmented as the recipe says: this rank's share of each."""
    return lambda epoch: data.batches(
        train, recipe.batch, seed=seed, epoch=epoch, shift=recipe.shift, flip=recipe.flip, share=share
    )


@_own_randomness()
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
) -> list[dict]:
    """Epochs of a recipe, from its checkpoint when there is one: what networks and heads have in common.

    `batches(epoch)` yields what `step` takes, and labels; `images` are in an epoch.  `step` does forward and backward
    passes of a batch and returns losses and counts of correct answers, one each of what is trained; they are summed
    on the device, so no step waits for the GPU.  `close_epoch` makes the epoch's rows from mean losses and
    accuracies.  `state`: what goes into the checkpoint, by name.  `seed`: dropout of an epoch is decided by it, the
    epoch's number and the rank.

    The checkpoint is written before a pause, and else after the first epoch that ends
    `SECONDS_BETWEEN_CHECKPOINTS` after the one before: so much and an epoch is what any other end repeats.  After the
    last epoch none is written, since a stage goes on to what it leaves behind.

    Several ranks each take their share of every batch, which may be empty; the first has checkpoint and clock, and
    the others wait where they pause until it has written.
    """
    rows, first = _resume(checkpoint, state)
    kept, kept_at = first, time.perf_counter()

    def keep(epochs: int) -> None:
        nonlocal kept, kept_at
        if epochs > kept:
            _save(checkpoint, state, rows, epochs)
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
            distributed.sum_gradients(steps)
            steps.step()
            steps.zero_grad()
            if not len(labels):
                losses = torch.zeros_like(losses)  # a mean over no image is no number
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


def evaluate(model: nn.Module, split: data.Split, batch: int = 500) -> dict[str, float]:
    """Accuracy (fraction) and cross-entropy of a network on a split, un-augmented; it is left as it was found.

    Raises `ValueError` for a batch without images, `ForwardError` where the network fails.
    """
    data.check_batch(batch)
    sums = torch.zeros(2, dtype=torch.float64, device=split.device)
    with frozen(model), prepared(model, data.to_input(split.first(2))) as call:
        for images, labels in split.taken(distributed.share_in_batches(len(split), batch)):
            with autocast(split.device):
                logits = call(data.to_input(images))
            loss = functional.cross_entropy(logits.float(), labels, reduction="sum")
            sums += torch.stack([(logits.argmax(1) == labels).sum(), loss])
    accuracy, loss = (distributed.all_sum(sums) / len(split)).tolist()
    return {"accuracy": accuracy, "loss": loss}


def _save(checkpoint: Path | None, state: dict, rows: list[dict], epochs: int) -> None:
    if checkpoint is not None and distributed.rank() == 0:
        content = {name: part.state_dict() for name, part in state.items()} | {"rows": rows, "epochs": epochs}
        with store.atomic_file(checkpoint) as temporary:
            try:
                torch.save(content, temporary)
            except RuntimeError as error:  # torch's own word for a full disk
                raise OSError(f"{checkpoint} could not be written, the one before it is kept: {error}") from error


def _resume(checkpoint: Path | None, state: dict) -> tuple[list[dict], int]:
    content = distributed.only_first(lambda: _read(checkpoint))
    if content is None:
        return [], 0
    for name, part in state.items():
        part.load_state_dict(content[name])
    return content["rows"], content["epochs"]


def _read(checkpoint: Path | None) -> dict | None:
    if checkpoint is None or not checkpoint.exists():
        return None
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        log.warning("%s cannot be read (%s): starting over", checkpoint, error)
        return None
