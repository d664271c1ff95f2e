"""Profiles: one network on one data set, from the first image to the last figure, as a frozen configuration.

`settings` says which keys there are and what would be wrong in them, `loading` reads a YAML file into them; the
profiles that come with the library lie here too.
"""

from singlefilter.profiles.loading import ProfileError, available, from_mapping, group, load
from singlefilter.profiles.settings import (
    FEWEST_LABELS,
    FILTER_SCORES,
    HEAD_KINDS,
    OWN,
    SPLITS,
    Afcc,
    Analysis,
    ByLabels,
    ByWidth,
    Choice,
    Controls,
    Data,
    Heads,
    Network,
    Part,
    Profile,
    Recipe,
)

__all__ = [
    "FEWEST_LABELS",
    "FILTER_SCORES",
    "HEAD_KINDS",
    "OWN",
    "SPLITS",
    "Afcc",
    "Analysis",
    "ByLabels",
    "ByWidth",
    "Choice",
    "Controls",
    "Data",
    "Heads",
    "Network",
    "Part",
    "Profile",
    "ProfileError",
    "Recipe",
    "available",
    "from_mapping",
    "group",
    "load",
]
