"""Several variants of a network's last layers, retrained from one pass through the frozen layers in front of them.

The variants share no parameter that is trained, so each is trained exactly as `afcc.retrain` trains it alone; what
lies in front is computed once for all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import fx, nn
from torch.nn import functional

from singlefilter import afcc, data, profiles
from singlefilter.afcc import chain
from singlefilter.afcc.retraining import guarded_epochs
from singlefilter.networks import training

Masks = Mapping[str, torch.Tensor]


def behind(model: nn.Module, module: str) -> fx.GraphModule:
    """A copy of what follows one of a network's modules: takes the module's output, gives the network's.

    The layers keep their names.  Raises `ChainError` when there is no such module in the forward pass, torch.fx
    cannot trace it, or what follows reads something else too.
    """
    graph = chain.trace(model)
    inside = [node for node in graph.nodes if module in node.meta.get("nn_module_stack", {})]
    if not inside:
        raise afcc.ChainError(f"the network calls no module {module!r}, so it cannot be cut there")
    every = list(graph.nodes)
    in_front = every[: every.index(inside[-1]) + 1]
    with graph.inserting_before(in_front[0]):
        maps = graph.placeholder("maps")
    inside[-1].replace_all_uses_with(maps)
    for node in reversed(in_front):
        if node.users:
            raise afcc.ChainError(f"what follows {module} reads {node.name} too, so the network cannot be cut there")
        graph.erase_node(node)
    return fx.GraphModule(copy.deepcopy(model), graph, type(model).__name__)


def masked_tails(model: nn.Module, module: str, masks: Mapping[str, Masks]) -> nn.ModuleDict:
    """What follows a module, once for each variant, by the variant's name (without a dot), under its masks."""
    tail = behind(model, module).eval()
    tails = nn.ModuleDict({name: copy.deepcopy(tail) for name in masks})
    for name, of_tail in masks.items():
        afcc.apply(tails[name], of_tail)
    return tails


def retrain_tails(
    front: nn.Module,
    tails: nn.ModuleDict,
    masks: Mapping[str, Masks],
    layers: Sequence[str],
    train: data.Split,
    recipe: profiles.Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    deadline: float = math.inf,
) -> pd.DataFrame:
    """Train the named modules of every tail in place, each under its masks; the rest is frozen, in eval mode.

    front: what comes before them (`afcc.truncation.upto`), ending in maps that no tail overwrites.  Returns the
    curves: epoch, variant, accuracy, loss, learning_rate, seconds.  Raises as `afcc.retrain`.
    """
    on = train.device
    front.to(on, memory_format=torch.channels_last).eval()
    tails.to(on, memory_format=torch.channels_last).requires_grad_(False)
    trained = [tail.get_submodule(layer) for tail in tails.values() for layer in layers]
    parameters = [parameter.requires_grad_() for module in trained for parameter in module.parameters()]
    by_layer = {f"{name}.{layer}": mask for name, of_tail in masks.items() for layer, mask in of_tail.items()}

    def modes() -> None:
        tails.eval()
        for module in trained:
            module.train()

    def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for images, labels in training.augmented(train, recipe, seed)(epoch):
            with torch.no_grad(), training.in_precision(recipe, on):
                maps = front(images)
            yield maps, labels

    def step(maps: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        losses, correct = [], []
        for tail in tails.values():
            with training.in_precision(recipe, on):
                logits = tail(maps)
                loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            loss.backward()
            losses.append(loss.detach())
            correct.append((logits.argmax(1) == labels).sum())
        return torch.stack(losses), torch.stack(correct)

    def close_epoch(epoch: int, losses: torch.Tensor, accuracies: torch.Tensor) -> list[dict]:
        measured = zip(tails, accuracies.tolist(), losses.tolist(), strict=True)
        return [{"variant": name, "accuracy": accuracy, "loss": loss} for name, accuracy, loss in measured]

    rows = guarded_epochs(
        tails, parameters, by_layer, batches, len(train), recipe, step, close_epoch,
        seed=seed, checkpoint=checkpoint, deadline=deadline, title="retraining last layers", before_epoch=modes,
    )  # fmt: skip
    tails.eval()
    return pd.DataFrame(rows)[["epoch", "variant", "accuracy", "loss", "learning_rate", "seconds"]]
