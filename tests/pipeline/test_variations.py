"""Variations of a profile: all combinations, by name, and what does not fit."""

import dataclasses

import pytest

from singlefilter import profiles
from singlefilter.pipeline import variations


def test_variations_are_all_combinations_by_name(profile):
    made = variations.variations(profile, {"network.width": [2, 4], "seed": [1, 2]})
    assert [one.name for one in made] == [f"tiny-width{width}-seed{seed}" for width in (2, 4) for seed in (1, 2)]
    assert [(one.network.width, one.seed) for one in made] == [(2, 1), (2, 2), (4, 1), (4, 2)]
    assert {dataclasses.replace(one, name="", seed=1, network=profile.network) for one in made} == {
        dataclasses.replace(profile, name="")
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network.widht": [2]}, "unknown key network.widht, did you mean width"),
        ({"seed": []}, "no values given for seed"),
        ({"data.labels": [2]}, "data.labels: 2 given, at least 3"),
        ({"data.labels": [3.5]}, "data.labels has to be int or nothing, not 3.5"),
    ],
)
def test_unfit_variations(profile, values, message):
    with pytest.raises(profiles.ProfileError, match=message):
        variations.variations(profile, values)
