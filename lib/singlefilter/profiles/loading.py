"""Profiles from their files.

A profile is a YAML file; `quick`, `laptop` and `paper` come with the library.  An unknown or misspelt key, a value
of the wrong type or out of range is an error that names the file and the key.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from importlib import resources
from pathlib import Path

import yaml

from singlefilter.profiles.settings import (
    Profile,
)


class ProfileError(ValueError):
    """A profile that cannot be used; the message names the file, the key and what would be right."""


def available() -> tuple[str, ...]:
    """Names of the profiles that come with the library."""
    folder = resources.files("singlefilter") / "profiles"
    return tuple(sorted(path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml")))


def group(profile: Profile, name: str) -> typing.Any:
    """A group that not every profile has: `by_labels`, `by_width`, `afcc`, `choice`.

    Raises `ProfileError` when this profile has none; the message names those to copy it from.
    """
    found = getattr(profile, name)
    if found is None:
        having = ", ".join(other for other in available() if getattr(load(other), name) is not None)
        raise ProfileError(f"profile {profile.name} has no group {name}; copy it from one of {having}")
    return found


def load(name: str | Path) -> Profile:
    """Profile by its name, or from a YAML file of one's own (its name is then the file's).

    Raises `ProfileError` for an unknown name, a file that cannot be read, an unknown key or an unfit value.
    """
    if name in available():
        source, text = (
            f"profile {name}",
            (resources.files("singlefilter") / "profiles" / f"{name}.yaml").read_text(encoding="utf-8"),
        )
    elif str(name).endswith((".yaml", ".yml")):
        source = str(name)
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"{source}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    else:
        near = difflib.get_close_matches(str(name), available(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        there = f"there are {', '.join(available())}, or give a .yaml file"
        raise ProfileError(f"no profile named {name!r}: {there}{hint}")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProfileError(f"{source}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ProfileError(f"{source}: a profile is a mapping of keys to values")
    return from_mapping({"name": Path(name).stem} | content, source)


def from_mapping(content: dict, source: str) -> Profile:
    """Profile from keys and values, as a YAML file holds them; `source` is what messages name.

    Raises `ProfileError` for an unknown key or an unfit value.
    """
    return _build(Profile, content, source, "")


def _build(cls: type, content: dict, source: str, prefix: str) -> typing.Any:
    hints = typing.get_type_hints(cls)
    for key in content:
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            hint = f", did you mean {near[0]}?" if near else f"; known here: {', '.join(hints)}"
            raise ProfileError(f"{source}: unknown key {prefix}{key}{hint}")
    missing = [
        item.name
        for item in dataclasses.fields(cls)
        if item.name not in content
        and item.default is dataclasses.MISSING
        and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ProfileError(f"{source}: missing {', '.join(prefix + key for key in missing)}")
    built = cls(**{key: _convert(hints[key], value, source, prefix + key) for key, value in content.items()})
    for problem in built.problems() if hasattr(built, "problems") else ():
        raise ProfileError(f"{source}: {prefix}{problem}")
    return built


def _convert(hint: typing.Any, value: object, source: str, key: str) -> object:
    """`value` as the type that `hint` names, or a `ProfileError`."""
    if isinstance(hint, types.UnionType) and dataclasses.is_dataclass(typing.get_args(hint)[0]):
        return None if value is None else _convert(typing.get_args(hint)[0], value, source, key)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ProfileError(f"{source}: {key} is a group of keys, not {value!r}")
        return _build(hint, value, source, key + ".")
    if _is_by_name(hint):
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise ProfileError(f"{source}: {key} has groups of keys by name, not {value!r}")
        inside = typing.get_args(typing.get_args(hint)[0])[1]
        return tuple((name, _convert(inside, item, source, f"{key}.{name}")) for name, item in value.items())
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ProfileError(f"{source}: {key} is a list, not {value!r}")
        return tuple(_convert(typing.get_args(hint)[0], item, source, key) for item in value)
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, bool):
        fits = bool in allowed
    else:
        fits = isinstance(value, allowed) or (float in allowed and isinstance(value, int))
    if not fits:
        wanted = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in allowed)
        raise ProfileError(f"{source}: {key} has to be {wanted}, not {value!r}{_exponent_hint(allowed, value)}")
    return float(value) if float in allowed and not isinstance(value, bool) and value is not None else value


def _is_by_name(hint: typing.Any) -> bool:
    """Whether a type is that of pairs of a name and a group: a mapping in YAML, pairs so that profiles hash."""
    return typing.get_origin(hint) is tuple and typing.get_origin(typing.get_args(hint)[0]) is tuple


def _exponent_hint(allowed: tuple, value: object) -> str:
    """YAML reads 1e-3 as text; say so, since everybody meets it once."""
    if float in allowed and isinstance(value, str):
        try:
            return f" (YAML reads this as text: write {float(value)!r})"
        except ValueError:
            pass
    return ""
