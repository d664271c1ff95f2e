"""Networks: built, trained, and cut.

`vgg`, `efficientnet` and `transformer` are the architectures, `building` makes the network of a profile, perhaps from
weights that are `ready`, `training` trains it in the `epochs` that heads are trained in too, which go on from
`checkpoints`.
Of any `nn.Module`: `places` says how a place in it is written and what a cut point is, `layouts` which axis of a map
are its filters, `capture` reads maps while it runs, `calling` calls it, `cuts` finds cut points (`own_cuts` those of
a profile's networks), `folding` makes a pass faster.
"""

from singlefilter.networks.building import Resized, build, settle_norms
from singlefilter.networks.capture import capture
from singlefilter.networks.cuts import cut_points_at
from singlefilter.networks.folding import folded
from singlefilter.networks.own_cuts import cut_points
from singlefilter.networks.places import CutPoint
from singlefilter.networks.transformer import CCT
from singlefilter.networks.vgg import VGG

__all__ = [
    "CCT",
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
