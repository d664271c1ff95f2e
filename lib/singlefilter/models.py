"""Networks, and where each may be cut.

A network is an ordinary `nn.Module`; a `CutPoint` names the module after which it is cut.  `capture` reads the maps
at the cuts while the network runs, and leaves the network as it was found.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from singlefilter import profiles

_CONVOLUTIONS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_WIDTHS = (1, 2, 4, 8, 8)


@dataclass(frozen=True)
class CutPoint:
    """A place to cut: after `module` (its dotted name), the `layer`-th from the input.

    The map there has `filters` filters of `side * side` positions.
    """

    name: str
    layer: int
    module: str
    filters: int
    side: int

    @property
    def positions(self) -> int:
        return self.side**2


class VGG(nn.Module):
    """VGG with batch norm: blocks of 3x3 convolutions, each block ended by a 2x2 max-pool, then linear layers.

    Between the linear layers there is neither activation nor dropout. Source: section 1.
    """

    def __init__(self, depth: int, width: int, labels: int, hidden: Sequence[int] = (), input_size: int = 32):
        super().__init__()
        if depth not in _CONVOLUTIONS:
            raise ValueError(f"VGG comes in {', '.join(map(str, _CONVOLUTIONS))} layers, {depth} given")
        if input_size < 32:
            raise ValueError(f"VGG halves its input five times, so it needs 32 pixels or more, {input_size} given")
        layers, channels, side = OrderedDict(), 3, input_size
        for factor, convolutions in zip(_WIDTHS, _CONVOLUTIONS[depth], strict=True):
            for last in [False] * (convolutions - 1) + [True]:
                layers[f"layer{len(layers) + 1}"] = _convolution(channels, factor * width, pool=last)
                channels = factor * width
            side //= 2
        self.features = nn.Sequential(layers)
        self.pool_to = min(side, 7)
        sizes = [channels * self.pool_to**2, *hidden, labels]
        linear = [nn.Linear(*pair) for pair in zip(sizes[:-1], sizes[1:], strict=True)]
        self.classifier = nn.Sequential(nn.Flatten(), *linear)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[images, label]` of float32 images in [-1, 1] `[images, 3, height, width]`."""
        return self.classifier(functional.adaptive_avg_pool2d(self.features(images), self.pool_to))


def build(config: profiles.Network, labels: int, image_size: int, seed: int) -> nn.Module:
    """The network of a profile, initialised from a seed (its ready weights, where it names any, are loaded)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.name == "vgg":
            model = VGG(config.depth, config.width, labels, config.hidden, config.input_size or image_size)
        else:
            model = _efficientnet_b0(labels, config.weights)
    return Resized(model, config.input_size) if config.input_size else model


@torch.no_grad()
def settle_norms(model: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give the batch norms of a network that is not trained the statistics of some images.

    With those it starts from, maps may vanish within a few layers, and nothing could be read from them.  batches:
    float32 `[images, 3, height, width]`, on the network's device.  It is in eval mode afterwards.
    """
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a mean over all batches
        norm.train()
    for images in batches:
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


class Resized(nn.Module):
    """A network that scales its input images to its own size first, on their device."""

    def __init__(self, model: nn.Module, size: int):
        super().__init__()
        self.model = model
        self.size = size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scaled = functional.interpolate(images, self.size, mode="bilinear", antialias=True)
        return self.model(scaled)


def cut_points(model: nn.Module, image_size: int) -> tuple[CutPoint, ...]:
    """Every place where this network may be cut, from input to output.

    VGG: after each convolution layer, its batch norm, ReLU and max-pool included. EfficientNet-B0: after each of
    its nine stages.  For another network make `CutPoint`s by hand, or with `cut_points_at`.
    """
    inner, prefix = (model.model, "model.") if isinstance(model, Resized) else (model, "")
    if not isinstance(getattr(inner, "features", None), nn.Sequential):
        raise ValueError(f"{type(inner).__name__} has no `features`; name the modules yourself with cut_points_at")
    names = [f"{prefix}features.{name}" for name, _ in inner.features.named_children()]
    return cut_points_at(model, names, image_size)


def cut_points_at(model: nn.Module, modules: Sequence[str], image_size: int) -> tuple[CutPoint, ...]:
    """Cut points after the named modules of any network, their maps measured on one black image.

    Raises `ValueError` for a name that is not there, a module whose output is not a map
    `[images, filters, side, side]`, or one whose output the next module overwrites.
    """
    known = dict(model.named_modules())
    for name in modules:
        if name not in known:
            raise ValueError(
                f"the network has no module {name!r}; it has, among others, {', '.join(list(known)[1:8])}"
            )
    example = next(iter(model.parameters()))
    image = torch.zeros(1, 3, image_size, image_size, device=example.device, dtype=example.dtype)
    with capture(model, modules) as maps, ExitStack() as stack:
        writes: dict[str, int] = {}  # how often each output had been written to when its module returned it
        for name in modules:
            hook = known[name].register_forward_hook(
                lambda _, __, output, name=name: writes.update({name: getattr(output, "_version", 0)})
            )
            stack.callback(hook.remove)
        model(image)
    points = []
    for layer, name in enumerate(modules, start=1):
        shape = getattr(maps.get(name), "shape", ())
        if len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(f"the output of {name} is {list(shape)}, not a square map [images, filters, side, side]")
        if maps[name]._version != writes[name]:
            raise ValueError(
                f"the output of {name} is overwritten by what follows it, such as an in-place ReLU; cut after that"
            )
        points.append(CutPoint(f"layer {layer}", layer, name, shape[1], shape[2]))
    return tuple(points)


@contextmanager
def capture(model: nn.Module, modules: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Freeze a network and read the outputs of some of its modules: a mapping that each forward pass fills anew.

    Inside, the network is in eval mode and no graph is recorded; afterwards, also after an exception, every module
    is in the mode it was found in and the hooks are gone.
    """
    maps: dict[str, torch.Tensor] = {}
    modes = {module: module.training for module in model.modules()}
    known = dict(model.named_modules())
    with ExitStack() as stack:
        stack.callback(lambda: [setattr(module, "training", mode) for module, mode in modes.items()])
        for name in modules:
            hook = known[name].register_forward_hook(lambda _, __, output, name=name: maps.update({name: output}))
            stack.callback(hook.remove)
        model.eval()
        stack.enter_context(torch.no_grad())
        yield maps


@contextmanager
def folded(model: nn.Module) -> Iterator[None]:
    """Inside, batch norms in eval mode are folded into the convolutions before them: the same maps, in less time.

    Where a convolution is followed by its batch norm in an `nn.Sequential`, the two become one convolution and an
    identity.  A pair that is in train mode or that a hook listens to stays as it is; afterwards, also after an
    exception, every module is back.
    """
    with ExitStack() as stack:
        for parent in list(model.modules()):
            if type(parent).forward is not nn.Sequential.forward:
                continue
            for place in range(len(parent) - 1):
                convolution, norm = parent[place], parent[place + 1]
                if not _can_fold(convolution, norm):
                    continue
                parent[place], parent[place + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
                stack.callback(parent.__setitem__, place, convolution)
                stack.callback(parent.__setitem__, place + 1, norm)
        yield


def _can_fold(convolution: nn.Module, norm: nn.Module) -> bool:
    return (
        type(convolution) is nn.Conv2d
        and type(norm) is nn.BatchNorm2d
        and norm.running_var is not None
        and not (convolution.training or norm.training)
        and not any(part._forward_hooks or part._forward_pre_hooks for part in (convolution, norm))
    )


def _convolution(channels: int, filters: int, pool: bool) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=False)  # batch norm brings the bias
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    parts = [convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts, nn.MaxPool2d(2)) if pool else nn.Sequential(*parts)


def _efficientnet_b0(labels: int, weights: str | None) -> nn.Module:
    import torchvision

    ready = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1 if weights else None
    try:
        model = torchvision.models.efficientnet_b0(weights=ready)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:  # no network, or a damaged file
        if ready is None:
            raise
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(ready.url).name
        raise OSError(
            f"ImageNet weights of EfficientNet-B0 could not be downloaded to {file}, or read from there ({error}): "
            f"put there what is at {ready.url}, or leave network.weights out to train from scratch"
        ) from error
    if labels != model.classifier[1].out_features:
        model.classifier[1] = nn.Linear(model.classifier[1].in_features, labels)
    return model
