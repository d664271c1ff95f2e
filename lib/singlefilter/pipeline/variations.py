"""Profiles for every combination of some values."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from singlefilter import profiles


def variations(profile: profiles.Profile, values: Mapping[str, Sequence]) -> list[profiles.Profile]:
    """A profile for every combination of values, by dotted keys: `{"network.width": [4, 8], "seed": [1, 2]}`.

    Each is named after what it changes, such as `laptop-width4-seed1`.  Raises `ProfileError` for a key that is not
    there, an empty list, or a value that does not fit.
    """
    for key, several in values.items():
        if not several:
            raise profiles.ProfileError(f"profile {profile.name}: no values given for {key}")
    made = []
    for chosen in itertools.product(*values.values()):
        content = dataclasses.asdict(profile)
        for key, value in zip(values, chosen, strict=True):
            *groups, last = key.split(".")
            inside = content
            for group in groups:
                inside = inside.setdefault(group, {})
            inside[last] = value
            content["name"] += f"-{last}{value}"
        made.append(profiles.from_mapping(content, f"profile {profile.name}"))
    return made
