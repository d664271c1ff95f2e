"""Profiles from their files.

A profile is a YAML file; `quick`, `laptop` and `paper` come with the library.  An unknown or misspelt key, a value
of the wrong type or out of range is an error that names the file and the key; all that is wrong in a file comes at
once, a line each.
"""

from __future__ import annotations

import difflib
import functools
import re
import typing
from importlib import resources
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from singlefilter.profiles.bounds import READ
from singlefilter.profiles.reading import content_of, text_of
from singlefilter.profiles.settings import Profile
from singlefilter.profiles.wording import Problem, ProfileError, problems_of, refusal, shown

TAKEN = ("benchmarks", "method")  # folders in figures/ that no profile has, nor may have
_SHIPPED = resources.files("singlefilter") / "profiles"


def available() -> tuple[str, ...]:
    """Names of the profiles that come with the library."""
    return tuple(
        sorted(path.name.removesuffix(".yaml") for path in _SHIPPED.iterdir() if path.name.endswith(".yaml"))
    )


def group(profile: Profile, name: str) -> typing.Any:
    """A group that not every profile has: `by_labels`, `by_width`, `afcc`, `choice`, `transformer`; or a part of one.

    Raises `ProfileError` when this profile lacks it (`Profile.lacks`); the message names those to copy it from.
    """
    if profile.lacks(name):
        having = ", ".join(other for other in available() if not load(other).lacks(name))
        raise ProfileError(f"profile {profile.name} has no group {name}; copy it from one of {having}")
    return getattr(profile, name.partition(".")[0])


def load(name: str | Path) -> Profile:
    """Profile by its name, or from a YAML file of one's own (its name is then the file's).

    Raises `ProfileError` for an unknown name, a file that cannot be read, an unknown key or an unfit value, and a
    name that is none of a folder's in `figures/` or that of a profile that ships.
    """
    if name in available():
        source, text = f"profile {name}", (_SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")
    elif str(name).endswith((".yaml", ".yml")):
        source, text = str(name), text_of(Path(name))
    else:
        near = difflib.get_close_matches(str(name)[:100], available(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        there = f"there are {', '.join(available())}, or give a .yaml file"
        raise ProfileError(f"no profile named {shown(str(name))}: {there}{hint}")
    content, problems = content_of(text, source)
    content = {"name": Path(name).stem} | content
    if name not in available():
        problems += _problems_of_name(content["name"], Path(name))
    return _built(content, source, problems)


def from_mapping(content: dict, source: str) -> Profile:
    """Profile from keys and values, as a YAML file holds them; `source` is what messages name.

    Raises `ProfileError` for an unknown key or an unfit value.
    """
    return _built(content, source, [])


def _built(content: dict, source: str, problems: list[Problem]) -> Profile:
    named = {problem.key for problem in problems}
    try:
        profile = _adapter().validate_python(content, context=READ)
    except ValidationError as error:
        problems = problems + [problem for problem in problems_of(error) if problem.key not in named]
    if problems:
        raise refusal(source, problems)
    return profile


@functools.cache
def _adapter() -> TypeAdapter:
    return TypeAdapter(Profile)


def _problems_of_name(name: object, path: Path) -> list[Problem]:
    """What keeps a profile's name from being that of a folder of its own in `figures/`."""
    if not isinstance(name, str):
        return []  # pydantic says so
    taken = (*available(), *TAKEN)
    if not re.fullmatch(r"\w[\w.-]*", name) or len(name.encode()) > 100:
        words = "it begins with a letter or digit, which letters, digits and . - _ follow, 100 at most"
        return [
            Problem(
                "name", f"name: {shown(name)} given, {words}; rename the file, or give it a key `name` of its own"
            )
        ]
    if name.casefold() in taken and not _ships(path):
        words = f"name: {name} is taken by what comes with the library, in figures/{name.casefold()}"
        return [Problem("name", f"{words}; rename the file, or give it a key `name` of its own")]
    return []


def _ships(path: Path) -> bool:
    """Whether a file is one of those that come with the library."""
    own = Path(str(_SHIPPED / path.name))
    return own.exists() and path.samefile(own)
