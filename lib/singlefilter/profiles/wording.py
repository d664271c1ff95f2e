"""What is wrong in a profile, in words: file, key, value, and what would be right."""

from __future__ import annotations

import dataclasses
import difflib
import re
import reprlib
import types
import typing
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from singlefilter.profiles.bounds import Problems, shortened
from singlefilter.profiles.recipes import BY_NAME
from singlefilter.profiles.settings import Profile

MOST_PROBLEMS = 20  # that are listed


class ProfileError(ValueError):
    """A profile that cannot be used; the message names the file, the key and what would be right."""


class Problem(typing.NamedTuple):
    """One thing that is wrong: the key that it is about ("" for the whole) and a line that names it."""

    key: str
    line: str


def refusal(source: str, problems: Sequence[Problem]) -> ProfileError:
    """The error that lists all problems, a line each."""
    lines = list(dict.fromkeys(problem.line for problem in problems))
    more = ["and more; mend these first"] if len(lines) > MOST_PROBLEMS else []
    return ProfileError("\n".join(f"{source}: {line}" for line in lines[:MOST_PROBLEMS] + more))


def shown(value: object) -> str:
    """A value as Python writes it, never longer than a line."""
    return shortened(_REPR.repr(value))


def key_of(place: Sequence[object]) -> str:
    """Dotted key of a place in a profile; the number of a value in a list is no part of it."""
    return ".".join(_named(part) for part in place if part is not None and type(part) is not int)


def problems_of(error: ValidationError) -> Iterator[Problem]:
    """What pydantic found wrong in a profile, in words."""
    found = error.errors(include_url=False)
    missing = [key_of(each["loc"]) for each in found if each["type"] in _MISSING]
    if missing:
        yield Problem("", f"missing {', '.join(missing)}")
    for each in found[: 10 * MOST_PROBLEMS]:
        if each["type"] not in _MISSING:
            yield from _worded(each)


def _worded(error: dict) -> Iterator[Problem]:
    place, kind, context = error["loc"], error["type"], error.get("ctx", {})
    key = key_of(place)
    hint = _hint(place if kind not in _UNKNOWN else place[:-1])
    reason = context.get("error")
    if isinstance(reason, Problems):
        for problem in reason.args:
            line = f"{key}.{problem}" if key else problem
            yield Problem(line.partition(":")[0], line)
        return
    value = error["input"]
    if kind in _UNKNOWN:
        known = [item.name for item in dataclasses.fields(_group(hint))]
        near = difflib.get_close_matches(str(place[-1])[:100], known, n=1)
        words = f"unknown key {key}" + (f", did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}")
    elif kind == "value_error" and str(reason) == BY_NAME:
        words = f"{key} has {BY_NAME}, not {shown(value)}"
    elif kind == "value_error":
        words = f"{key}: {reason}"
    elif kind in ("dataclass_type", "dataclass_exact_type"):
        words = f"{key} is a group of keys, not {shown(value)}"
    elif kind == "tuple_type":
        words = f"{key} is a list, not {shown(value)}"
    elif kind == "too_long":
        words = f"{key}: {context['actual_length']} values given, at most {context['max_length']} are read"
    elif kind == "string_too_long":
        words = f"{key}: {len(value)} characters given, at most {context['max_length']} are read"
    elif limit := _limit(kind, context):
        words = f"{key}: {_number(value, hint)} given, {limit}"
    else:
        allowed = typing.get_args(hint) if _is_union(hint) else (hint,)
        wanted = " or ".join(
            "nothing" if one is type(None) else getattr(one, "__name__", str(one)) for one in allowed
        )
        words = f"{key} has to be {wanted}, not {shown(value)}{_hint_on_numbers(allowed, value)}"
    yield Problem(key, words)


_MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "invalid_key")


def _limit(kind: str, context: dict) -> str:
    """What a bound asks for; empty for another kind of error."""
    if kind == "greater_than_equal":
        return "it cannot be negative" if context["ge"] == 0 else f"at least {context['ge']} is needed"
    if kind == "greater_than":
        return f"it has to be above {context['gt']:g}"
    if kind == "less_than":
        return f"it has to be below {context['lt']:,}"
    if kind == "less_than_equal":
        return f"it can be {context['le']:,} at most"
    return "it has to be a finite number" if kind == "finite_number" else ""


def _number(value: object, hint: object) -> str:
    """A number as the profile would have it: 1 is 1.0 where a float is asked for."""
    if hint is float and type(value) is int and value.bit_length() < 64:
        return str(float(value))
    return shown(value)


def _hint(place: Sequence[object]) -> typing.Any:
    """The type that a place in a profile has: of a value in a list, that of the value."""
    hint: typing.Any = Profile
    for part in place:
        if (group := _group(hint)) is not None:
            hint = typing.get_type_hints(group)[part]
        elif typing.get_origin(hint) is tuple:
            inside = typing.get_args(hint)[0]
            hint = typing.get_args(inside)[1] if typing.get_origin(inside) is tuple else inside
    return hint


def _group(hint: typing.Any) -> type | None:
    """The group that a type stands for, also where it may be missing."""
    first = typing.get_args(hint)[0] if _is_union(hint) else hint
    return first if dataclasses.is_dataclass(first) else None


def _is_union(hint: typing.Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _hint_on_numbers(allowed: tuple, value: object) -> str:
    """YAML reads 1e-3 as text, 010 as 8 and 1:30 as 90; say so, since everybody meets one of them once."""
    if not isinstance(value, str) or not {int, float} & set(allowed):
        return ""
    text, whole = value.replace("_", ""), float not in allowed
    if re.fullmatch(r"[-+]?0[0-7]+", text) and len(text) < 20:
        return f" (YAML reads a leading 0 as octal, {int(text, 8)}: write {int(text, 8)} or {int(text)})"
    if re.fullmatch(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?", text) and len(text) < 20:
        parts = [float(part) for part in text.lstrip("+-").split(":")]
        number = sum(part * 60**place for place, part in enumerate(reversed(parts)))
        return f" (YAML reads this in sixties, as {number:g}: write one number)"
    if re.fullmatch(r"[-+]?[0-9]{19,}", text):
        return f" (a number of {len(text)} digits)"
    try:
        number = float(text)
    except ValueError:
        return ""
    if number - number != 0:  # NaN and infinity
        return " (it has to be a finite number)"
    if whole and number != int(number):
        return ""
    return f" (YAML reads this as text: write {int(number) if whole else number!r})"


def _named(part: object) -> str:
    """A part of a key as it is; where it is long or no word, as Python would write it."""
    plain = isinstance(part, str) and (part == "<<" or re.fullmatch(r"\w[\w .,+-]{0,59}", part))
    return part if plain else shown(part)


class _Short(reprlib.Repr):
    def __init__(self):
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, 60, 60, 40

    def repr_int(self, value: int, level: int) -> str:
        """A number, or how many bits it has: Python writes no number of thousands of digits."""
        return (
            super().repr_int(value, level) if value.bit_length() < 256 else f"a number of {value.bit_length()} bits"
        )


_REPR = _Short()
