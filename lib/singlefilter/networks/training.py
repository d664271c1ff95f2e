"""Training and testing whole networks: what is computed in which precision, compiled, and how weights are moved."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, distributed, environment, profiles
from singlefilter.networks import epochs
from singlefilter.networks.calling import Call, laid_out, prepared
from singlefilter.networks.capture import frozen

log = logging.getLogger(__name__)

CURVES = ("epoch", "split", "accuracy", "loss", "learning_rate", "seconds")


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


def compiled(model: nn.Module, on: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network as it is to be called in training, over all ranks: compiled on a GPU, as it is on a CPU, where that
    gains little.

    Where it cannot be compiled (no C compiler, a network that the compiler does not know), it is called as it is
    and that is said once.  The first pass tries both directions, so that no failure waits in the backward pass.
    Ranks do the same, or end: one that is a pass ahead of the others would train another network.
    """
    plain = distributed.over_ranks(model)
    if on.type != "cuda":
        return plain
    fast = None

    def forward(images: torch.Tensor) -> torch.Tensor:
        nonlocal fast
        if fast is None:
            before = {name: buffer.clone() for name, buffer in model.named_buffers()}
            fast, reason = plain, ""
            try:
                torch.compiler.reset()  # it goes no further after eight networks that share one forward function
                tried = torch.compile(plain, dynamic=False)
                with epochs.own_randomness(), distributed.gradients_apart(plain):
                    tried(images).float().sum().backward()
                fast = tried
            except Exception as error:  # whatever a compiler may raise; a fault of the network comes up again below
                reason = f"{type(error).__name__}: " + str(error).strip().partition("\n")[0]
            if not distributed.all_agree(not reason):
                fast = plain
                log.warning("training without torch.compile, somewhat slower: %s", reason or "another rank cannot")
            for parameter in model.parameters():
                parameter.grad = None
            for name, buffer in model.named_buffers():  # batch norm has seen these images once only
                buffer.copy_(before[name])
        return fast(images)

    return forward


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
    Raises `epochs.Paused` past `deadline` (time of `time.monotonic`) and `epochs.Diverged` when the loss is no number
    any more.
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

    def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with in_precision(recipe, on):
            logits = forward(call.laid(images))
            loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        distributed.backward(loss, len(labels))
        return torch.stack([loss.detach()]), (logits.argmax(1) == labels).sum()[None]

    def close_epoch(epoch: int, loss: torch.Tensor, correct: torch.Tensor) -> list[dict]:
        return [
            {"split": "train", "accuracy": correct.item(), "loss": loss.item()},
            {"split": "test"} | evaluate(model, test),
        ]

    state = {"model": model, "optimizer": steps}
    model.train()
    with distributed.batch_norm_over_ranks(model):
        forward = compiled(model, on)
        rows = epochs.run_epochs(
            augmented(train, recipe, seed), len(train), recipe, steps, step, close_epoch, state,
            seed=seed, checkpoint=checkpoint, deadline=deadline, title="training", before_epoch=model.train,
        )  # fmt: skip
    for parameter in model.parameters():
        parameter.grad = None
    model.eval()
    return pd.DataFrame(rows, columns=CURVES)


def augmented(
    train: data.Split,
    recipe: profiles.Recipe,
    seed: int,
    share: Callable[[int], slice | None] = distributed.share_of_batch,
):
    """Batches of an epoch by its number, shuffled and augmented as the recipe says: this rank's share of each."""
    return lambda epoch: data.batches(
        train, recipe.batch, seed=seed, epoch=epoch, shift=recipe.shift, flip=recipe.flip, share=share
    )


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
