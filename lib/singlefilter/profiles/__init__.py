"""Profiles: one network on one data set, from the first image to the last figure, as a frozen configuration.

`bounds` has types and limits of values, `images`, `recipes` and `studies` the groups of keys made of them, `settings`
the whole; `reading` takes a YAML file to plain values, `loading` these to a profile, and `wording` says what is wrong
in them.  The profiles that come with the library lie here too.
"""

from singlefilter.profiles.bounds import FEWEST_LABELS
from singlefilter.profiles.images import SPLITS, Data, Part
from singlefilter.profiles.loading import TAKEN, available, from_mapping, group, load
from singlefilter.profiles.recipes import ATTENTION, HEAD_KINDS, INSIDE, OWN, UNPOOLED, Choice, Heads, Recipe
from singlefilter.profiles.settings import IMAGENET, Limits, Network, Profile, Transformer
from singlefilter.profiles.studies import FILTER_SCORES, Afcc, Analysis, ByLabels, ByWidth, Controls
from singlefilter.profiles.wording import ProfileError

__all__ = [
    "ATTENTION",
    "FEWEST_LABELS",
    "FILTER_SCORES",
    "HEAD_KINDS",
    "IMAGENET",
    "INSIDE",
    "OWN",
    "SPLITS",
    "TAKEN",
    "UNPOOLED",
    "Afcc",
    "Analysis",
    "ByLabels",
    "ByWidth",
    "Choice",
    "Controls",
    "Data",
    "Heads",
    "Limits",
    "Network",
    "Part",
    "Profile",
    "ProfileError",
    "Recipe",
    "Transformer",
    "available",
    "from_mapping",
    "group",
    "load",
]
