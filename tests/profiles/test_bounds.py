"""Every key of every group: strict types and limits, in a file and by `dataclasses.replace`; keys of the store."""

import dataclasses
import math
import pickle
import subprocess
import sys
import typing

import pydantic
import pytest

from singlefilter import profiles, store

PROFILE = {
    "name": "x",
    "purpose": "a test",
    "minutes": 1,
    "data": {"labels": 5, "train_per_label": 9, "test_per_label": 9},
    "choice": {"held_out": 1, "recipes": {"short": {}}},
    "by_labels": {"data": {"name": "cifar10"}, "counts": [3]},
    "by_width": {"data": {"name": "cifar10"}, "widths": [2]},
    "afcc": {},
    "transformer": {
        "network": {"name": "cct", "depth": 2, "width": 8},
        "heads": {"kinds": ["flat", "attention"]},
    },
}


def leaves(cls: type = profiles.Profile, above: tuple[str, ...] = ()):
    """Every key that holds no group, as its place and the types that it may have; of a list, those of its values."""
    for name, hint in typing.get_type_hints(cls).items():
        kinds = typing.get_args(hint) if typing.get_origin(hint) not in (None, tuple) else (hint,)
        if name == "recipes":
            yield from leaves(profiles.Recipe, (*above, "recipes", "short"))
        elif dataclasses.is_dataclass(kinds[0]):
            yield from leaves(kinds[0], (*above, name))
        else:
            yield (*above, name), kinds


LEAVES = dict(leaves())


def loaded(place: tuple[str, ...], value: object) -> profiles.Profile:
    """The profile with one value changed."""
    content = inside = {key: dict(value) if isinstance(value, dict) else value for key, value in PROFILE.items()}
    for key in place[:-1]:
        inside[key] = dict(inside.get(key, {}))
        inside = inside[key]
    inside[place[-1]] = value
    return profiles.from_mapping(content, "mine.yaml")


def is_list(place: tuple[str, ...]) -> bool:
    return typing.get_origin(LEAVES[place][0]) is tuple


def inner(place: tuple[str, ...]) -> tuple[type, ...]:
    return typing.get_args(LEAVES[place][0])[:1] if is_list(place) else LEAVES[place]


def test_there_are_many_keys():
    assert len(LEAVES) > 100
    assert ("choice", "recipes", "short", "factor") in LEAVES and ("by_labels", "data", "name") in LEAVES
    assert loaded(("seed",), 3).seed == 3


def fits(odd: object, kinds: tuple[type, ...]) -> bool:
    """Whether a key that has these types may have this value: a whole number for a float, but nothing else."""
    if isinstance(odd, int | float) and not isinstance(odd, bool) and not abs(odd) < 10**15:
        return False
    return type(odd) in kinds or (type(odd) is int and float in kinds)


ODD = (True, "1", 1.5, {}, [[]], b"1", {1}, None, math.nan, math.inf, -math.inf, 10**15, 10**400, -7)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_a_value_that_does_not_fit_is_refused_and_named(odd):
    """Of every key; nothing is turned into something else."""
    taken = 0
    for place in LEAVES:
        kinds = inner(place)
        try:
            found = loaded(place, [odd] if is_list(place) else odd)
        except profiles.ProfileError as error:
            assert f"mine.yaml: {'.'.join(place)}" in str(error)
            continue
        for key in place:
            found = dict(found)[key] if isinstance(found, tuple) else getattr(found, key)
        found = found[0] if is_list(place) else found
        assert fits(odd, kinds) or (odd == 10**15 and place[-1] == "learning_rate"), place
        assert type(found) in kinds and found == odd
        taken += 1
    assert taken or odd not in (True, "1", 1.5, None)


@pytest.mark.parametrize("place", [place for place in LEAVES if len(place) == 2 and place[0] == "training"])
def test_replace_checks_values(place):
    with pytest.raises(pydantic.ValidationError, match=place[1]):
        dataclasses.replace(profiles.Recipe(), **{place[1]: None})


def test_replace_does_not_check_rules_between_keys():
    """Null models and the parts of a series are made of a profile that way, by code that knows what it does."""
    assert dataclasses.replace(profiles.Recipe(warmup_epochs=5), epochs=2).epochs == 2
    with pytest.raises(profiles.ProfileError, match="mine.yaml: training.warmup_epochs: 5 given|5.0 given, longer"):
        profiles.from_mapping(PROFILE | {"training": {"epochs": 2, "warmup_epochs": 5}}, "mine.yaml")


def test_profiles_are_plain_dataclasses():
    profile = profiles.from_mapping(PROFILE, "mine.yaml")
    again = profiles.from_mapping(dataclasses.asdict(profile), "mine.yaml")
    assert again == profile and hash(again) == hash(profile)
    assert pickle.loads(pickle.dumps(profile)) == profile
    assert [item.name for item in dataclasses.fields(profiles.Part)] == [
        *("labels", "draw", "train_per_label", "held_out")
    ]
    assert dataclasses.replace(profile, seed=2) != profile
    assert dataclasses.replace(profile, seed=2).training is profile.training
    assert isinstance(profile.choice.recipes[0][1], profiles.Recipe)
    assert type(profile.minutes) is float


# Of data, part, network, training and heads: what was trained lies in the store under hashes of these.
KEYS = {
    "glyphs-1000": "d6afee57c429",
    "laptop": "a25a72aa3385",
    "laptop-d32": "d0cbe2bacccd",
    "laptop-d64": "8f59d344e26d",
    "laptop-efficientnet": "60d2a1ab1d3b",
    "laptop-imagenet": "3dc3879d6915",
    "laptop-transformer": "5313b8edc704",
    "paper": "a3b7d1387221",
    "paper-efficientnet": "3498ee7def9a",
    "paper-imagenet": "b3d2fdc57b0c",
    "quick": "ad66c2446677",
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_the_store_are_what_they_were(name):
    profile = profiles.load(name)
    config = {key: getattr(profile, key) for key in ("data", "part", "network", "training", "heads")}
    assert store.config_key(config) == KEYS[name]


def test_keys_of_defaults_are_what_they_were():
    groups = ("Recipe", "Heads", "Part", "Network", "Analysis", "Controls", "Afcc")
    assert store.config_key([getattr(profiles, group)() for group in groups]) == "8ba5025a527c"


def test_what_came_later_is_left_out_of_keys_at_its_default():
    assert "precision" not in store.plain(profiles.Recipe()) and "held_out" not in store.plain(profiles.Part())
    assert store.plain(profiles.Recipe(precision="bfloat16"))["precision"] == "bfloat16"
    assert store.plain(profiles.Part(held_out=3))["held_out"] == 3
    assert "held_out" in store.plain(profiles.Choice()), "that one is no newcomer"


def test_profiles_are_imported_without_torch():
    program = "import sys; from singlefilter import profiles; profiles.load('quick'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert "pydantic" in done.stdout.split()
    assert not {"torch", "numpy", "pandas", "matplotlib"} & set(done.stdout.split())
