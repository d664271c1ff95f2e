"""Networks: built, trained, and cut.

`vgg` and `efficientnet` are the architectures, `building` makes the network of a profile, `training` trains it.
`cuts` says where a network may be cut and reads the maps there, of any `nn.Module`; `folding` makes that faster.
"""

from singlefilter.networks.building import Resized, build, settle_norms
from singlefilter.networks.cuts import CutPoint, capture, cut_points, cut_points_at
from singlefilter.networks.folding import folded
from singlefilter.networks.vgg import VGG

__all__ = [
    "VGG",
    "CutPoint",
    "Resized",
    "build",
    "capture",
    "cut_points",
    "cut_points_at",
    "folded",
    "settle_norms",
]
