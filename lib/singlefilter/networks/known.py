"""Where the networks of profiles may be cut."""

from __future__ import annotations

from torch import nn

from singlefilter.errors import CutError
from singlefilter.networks.building import Resized
from singlefilter.networks.cuts import cut_points_at
from singlefilter.networks.places import HEAD, CutPoint
from singlefilter.networks.torchvisions import Rescaled
from singlefilter.networks.transformer import CCT
from singlefilter.networks.vgg import VGG
from singlefilter.profiles import ATTENTION, UNPOOLED


def cut_points(model: nn.Module, image_size: int, inside: str = "") -> tuple[CutPoint, ...]:
    """Every place where the network of a profile may be cut, from input to output.

    VGG: after each convolution layer, its batch norm, ReLU and max-pool included.  EfficientNet: after each of its
    nine stages.  ViT and CCT: after each of their blocks.  With `inside` (one of `profiles.INSIDE`) at a place inside
    each of them: "attention", the attention heads of a block of CCT; "unpooled", in front of the pool that ends a
    layer of VGG.  For another network name the places: `cut_points_at`.
    """
    inner, prefix = model, ""
    while isinstance(inner, Resized | Rescaled):
        inner, prefix = inner.model, f"{prefix}model."
    names, layout = _places(inner, inside)
    return cut_points_at(model, [prefix + name for name in names], image_size, layout=layout)


def _places(model: nn.Module, inside: str) -> tuple[list[str], str]:
    """Names of the places in a network, and the layout of its maps there."""
    if isinstance(model, CCT) and inside != UNPOOLED:
        ending = f".self_attn:{HEAD}" if inside == ATTENTION else ""
        return [f"blocks.{name}{ending}" for name, _ in model.blocks.named_children()], "NTC"
    kind = type(model)
    if inside == ATTENTION:
        raise CutError(f"{kind.__name__} has no attention heads that could be cut at")
    if inside == UNPOOLED and kind is not VGG:
        raise CutError(f"{kind.__name__} has no layers that end in a pool")
    if kind.__module__.startswith("torchvision.") and hasattr(model, "encoder"):
        return [f"encoder.layers.{name}" for name, _ in model.encoder.layers.named_children()], "NTC"
    features = getattr(model, "features", None)
    if not isinstance(features, nn.Sequential):
        raise CutError(f"{kind.__name__} has no `features`; name the modules yourself with cut_points_at")
    ending = ".2" if inside else ""  # after the ReLU
    names = [f"features.{name}{ending}" for name, _ in features.named_children()]
    begins = [number for number, part in enumerate(features) if isinstance(part, nn.Conv2d)]
    if begins:  # torchvision's VGG: convolutions, batch norms, ReLUs and max-pools in one row
        names = [names[end - 1] for end in (*begins[1:], len(names))]
    return names, "NCHW"
