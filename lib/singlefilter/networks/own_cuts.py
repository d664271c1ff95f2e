"""Cut points of the networks that a profile can name."""

from __future__ import annotations

from torch import nn

from singlefilter.errors import CutError
from singlefilter.networks.building import Resized
from singlefilter.networks.cuts import cut_points_at
from singlefilter.networks.places import HEAD, CutPoint
from singlefilter.networks.transformer import CCT
from singlefilter.networks.vgg import VGG
from singlefilter.profiles import ATTENTION, UNPOOLED


def cut_points(model: nn.Module, image_size: int, inside: str = "") -> tuple[CutPoint, ...]:
    """Every place where the network of a profile may be cut, from input to output.

    VGG: after each convolution layer, its batch norm, ReLU and max-pool included.  EfficientNet-B0: after each of its
    nine stages.  CCT: after each of its blocks.  With `inside` (one of `profiles.INSIDE`) at a place inside each of
    them: "attention", the attention heads of a block of CCT; "unpooled", in front of the pool that ends a layer of
    VGG.  For another network name the places: `cut_points_at`.
    """
    inner, prefix = (model.model, "model.") if isinstance(model, Resized) else (model, "")
    if isinstance(inner, CCT) and inside != UNPOOLED:
        ending = f".self_attn:{HEAD}" if inside == ATTENTION else ""
        names = [f"{prefix}blocks.{name}{ending}" for name, _ in inner.blocks.named_children()]
        return cut_points_at(model, names, image_size, layout="NTC")
    if inside == ATTENTION:
        raise CutError(f"{type(inner).__name__} has no attention heads that could be cut at")
    if inside == UNPOOLED and not isinstance(inner, VGG):
        raise CutError(f"{type(inner).__name__} has no layers that end in a pool")
    if not isinstance(getattr(inner, "features", None), nn.Sequential):
        raise CutError(f"{type(inner).__name__} has no `features`; name the modules yourself with cut_points_at")
    ending = ".2" if inside else ""  # after the ReLU
    names = [f"{prefix}features.{name}{ending}" for name, _ in inner.features.named_children()]
    return cut_points_at(model, names, image_size, layout="NCHW")
