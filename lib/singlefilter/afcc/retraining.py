"""Retraining under masks: some layers of a network, with everything else untouched."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, distributed, profiles
from singlefilter.afcc.enforcement import enforced
from singlefilter.networks import epochs, training
from singlefilter.networks.calling import laid_out

Recipe = TypeVar("Recipe", bound=profiles.Recipe)


class Diverged(epochs.Diverged):
    """Loss or weights are no numbers any more.  `last_good`: the state before the epoch in which that happened."""

    def __init__(self, message: str, last_good: dict[str, torch.Tensor]):
        super().__init__(message)
        self.last_good = last_good


def shortened(recipe: Recipe, fraction: float = 0.1) -> Recipe:
    """The recipe in this fraction of its epochs (one at least), its learning rate falling as far as in the whole.

    A rate that falls in steps is the same throughout an epoch, so with a single one it does not fall.
    Raises `ValueError` for a fraction that is not above 0.  Source: section 8, a short retraining.
    """
    if not fraction > 0:
        raise ValueError(f"fraction of the epochs to retrain for is above 0; {fraction} given")
    fewer = max(1, round(recipe.epochs * fraction))
    short = {"epochs": fewer, "warmup_epochs": recipe.warmup_epochs * fewer / recipe.epochs}
    if recipe.schedule == "step":
        short |= {"every": 1, "factor": recipe.factor ** (recipe.epochs / recipe.every / fewer)}
    return dataclasses.replace(recipe, **short)


def retrain(
    model: nn.Module,
    layers: Sequence[str],
    masks: Mapping[str, torch.Tensor],
    train: data.Split,
    recipe: profiles.Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    deadline: float = math.inf,
) -> pd.DataFrame:
    """Train the named modules of a network in place, all they contain, under masks (see `enforcement.apply`).

    Everything else is frozen: no gradient, batch norm in eval mode.  Modes, and which parameters want gradients, are
    afterwards as they were found.  Returns the curves: epoch, accuracy and loss (of the training split, augmented),
    learning_rate, seconds.

    Raises `ValueError` for a name that is not there, `MaskError` for a mask that does not fit, `epochs.Paused` past
    `deadline`, and `Diverged` when loss or weights are no numbers any more: the network then has its last good state.
    """
    known = dict(model.named_modules())
    if unknown := [name for name in layers if name not in known]:
        raise ValueError(f"the network has no module {unknown[0]!r} to retrain; it has {', '.join(list(known)[1:8])}")
    on = train.device

    def modes() -> None:
        model.eval()
        for name in layers:
            known[name].train()

    def close_epoch(epoch: int, losses: torch.Tensor, accuracies: torch.Tensor) -> list[dict]:
        return [{"accuracy": accuracies.item(), "loss": losses.item()}]

    few = data.to_input(train.first(2))
    with laid_out(model, few) as call, _only_trained(model, [known[name] for name in layers]) as parameters:
        if not parameters:
            raise ValueError(f"nothing to retrain: {', '.join(layers) or 'no layer'} named, without any parameter")
        modes()
        forward = training.compiled(model, on)

        def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            with training.in_precision(recipe, on):
                logits = forward(call.laid(images))
                loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            loss.backward()
            return torch.stack([loss.detach()]), (logits.argmax(1) == labels).sum()[None]

        batches = training.augmented(train, recipe, seed)
        rows = guarded_epochs(
            model, parameters, masks, batches, len(train), recipe, step, close_epoch,
            seed=seed, checkpoint=checkpoint, deadline=deadline, title="retraining", before_epoch=modes,
        )  # fmt: skip
    return pd.DataFrame(rows)[["epoch", "accuracy", "loss", "learning_rate", "seconds"]]


@contextmanager
def _only_trained(model: nn.Module, trained: Sequence[nn.Module]) -> Iterator[list[nn.Parameter]]:
    """Only the parameters of some modules want gradients; afterwards modes and wishes are as they were found."""
    modes = {module: module.training for module in model.modules()}
    wishes = {parameter: parameter.requires_grad for parameter in model.parameters()}
    parameters = list(dict.fromkeys(parameter for module in trained for parameter in module.parameters()))
    with ExitStack() as stack:
        for module, mode in modes.items():
            stack.callback(setattr, module, "training", mode)
        for parameter, wish in wishes.items():
            stack.callback(parameter.requires_grad_, wish)
            parameter.requires_grad_(False)
        for parameter in parameters:
            parameter.requires_grad_()
            stack.callback(setattr, parameter, "grad", parameter.grad)
            parameter.grad = None
        yield parameters


def guarded_epochs(
    module: nn.Module,
    parameters: list[nn.Parameter],
    masks: Mapping[str, torch.Tensor],
    batches: Callable[[int], Iterator[tuple[object, torch.Tensor]]],
    images: int,
    recipe: profiles.Recipe,
    step: Callable,
    close_epoch: Callable[[int, torch.Tensor, torch.Tensor], list[dict]],
    *,
    before_epoch: Callable[[], object] = lambda: None,
    title: str,
    **how,
) -> list[dict]:
    """`epochs.run_epochs` under masks; when numbers are lost, the module gets back the state before that epoch.

    Raises `distributed.RankError` under several ranks, whose gradients would stay apart here.
    """
    if distributed.world() > 1:
        raise distributed.RankError(f"{title}: one process does it alone; start it without torchrun")
    last_good: dict[str, torch.Tensor] = {}

    def begin() -> None:
        before_epoch()
        last_good.update({name: tensor.clone() for name, tensor in module.state_dict().items()})

    def close(epoch: int, losses: torch.Tensor, accuracies: torch.Tensor) -> list[dict]:
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise epochs.Diverged(
                    f"{title}: {name} holds NaN or infinity after epoch {epoch}. Lower learning_rate "
                    f"({recipe.learning_rate})."
                )
        return close_epoch(epoch, losses, accuracies)

    steps = training.optimizer(parameters, recipe)
    with enforced(steps, module, masks):
        try:
            return epochs.run_epochs(
                batches, images, recipe, steps, step, close, {"model": module, "optimizer": steps},
                title=title, before_epoch=begin, **how,
            )  # fmt: skip
        except epochs.Diverged as error:
            module.load_state_dict(last_good)
            raise Diverged(f"{error} The weights before that epoch are kept.", last_good) from error
