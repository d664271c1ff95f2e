"""Faults made by chance, many of each kind, and what became of them.

A trial makes one fault and goes on as a user would.  It is well where the fault is found and named, or changes
nothing; it is `Bad` where a wrong result is believed, something finished is lost, something is written outside of its
place, or nothing names what is at fault.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import forget_caches

KINDS = ("wrong", "lost", "outside", "unnamed")


class Bad(AssertionError):
    """A fault that was not met: of which of `KINDS`, and what was seen."""

    def __init__(self, kind: str, seen: object):
        assert kind in KINDS
        super().__init__(kind, seen)
        self.kind = kind


@dataclass(frozen=True)
class Trial:
    """Where a trial takes place, its own chance, and what was said in it so far."""

    home: Path
    rng: random.Random
    said: list[str]

    def named(self, path: Path | str) -> None:
        """Something that was said has to name this file or folder."""
        name = Path(path).name
        if not any(name in line for line in self.said):
            raise Bad("unnamed", f"{name} in {self.said}")


@dataclass(frozen=True)
class Family:
    """A kind of fault: how it is made, what is to become of it, how often it is tried at least, and the trial."""

    fault: str
    made: str
    met: str
    times: int
    trial: Callable[[Trial], object]


def tried(family: Family, times: int, at: Path) -> tuple[Counter, list[str]]:
    """How many trials of a family ended in each of `KINDS`, and what was seen in those."""
    ended, seen = Counter(), []
    for number in range(times):
        with _place(at) as home, _listening() as said:
            try:
                family.trial(Trial(home, random.Random(f"{family.fault} {number}"), said))
            except Bad as bad:
                ended[bad.kind] += 1
                seen.append(f"{family.fault}, trial {number}: {bad}")
            except Exception as error:  # whatever it is: nobody expected it
                ended["unnamed"] += 1
                seen.append(f"{family.fault}, trial {number}: {type(error).__name__}: {error}")
    return ended, seen


def table(families: list[Family], ended: dict[str, Counter]) -> str:
    """The page of all faults, times as in CI."""
    lines = [
        "# Faults",
        "",
        "Written by the tests in `tests/faults`, which make each of these by chance, as often as it says here;",
        "`SINGLEFILTER_FAULTS=10000` in the environment makes so many. The chance is the same in every run.",
        "",
        "*Wrong*: a wrong result was believed. *Lost*: something finished was gone. *Outside*: something was written",
        "outside of its place. *Unnamed*: nothing named what was at fault, or a traceback did.",
        "",
        "| fault | how it is made | what becomes of it | tried | wrong | lost | outside | unnamed |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for family in families:
        counts = " | ".join(str(ended[family.fault][kind]) for kind in KINDS)
        lines.append(f"| {family.fault} | {family.made} | {family.met} | {family.times} | {counts} |")
    totals = sum(ended.values(), Counter())
    counts = " | ".join(str(totals[kind]) for kind in KINDS)
    lines.append(f"| **all** | | | {sum(family.times for family in families)} | {counts} |")
    return "\n".join(lines) + "\n"


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Other bytes: flipped, set to zero, cut short, longer, swapped, or none."""
    changed, how = (
        bytearray(content),
        rng.choice(["flip", "flip", "flips", "zeros", "short", "longer", "swap", "none"]),
    )
    if how == "none" or not content:
        return b"" if content else b"x"
    if how == "short":
        return content[: rng.randrange(len(content))]
    if how == "longer":
        return content + rng.randbytes(rng.randint(1, 50))
    for _ in range(rng.randint(2, 9) if how == "flips" else 1):
        changed[rng.randrange(len(content))] ^= rng.randint(1, 255)
    if how == "zeros":
        start = rng.randrange(len(content))
        end = min(len(content), start + rng.randint(1, 500))
        changed[start:end] = bytes(end - start)
    if how == "swap":
        one, other = (rng.randrange(len(content)) for _ in range(2))
        changed[one], changed[other] = changed[other], changed[one]
    return bytes(changed) if changed != content else content[:-1]


def mutated_json(value: object, rng: random.Random) -> object:
    """Another value of anything JSON: one place in it changed, gone, or of another kind."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        rest = {name: item for name, item in value.items() if name != key}
        how = rng.random()
        if how < 0.1:
            return rest
        if how < 0.2:
            return rest | {key + rng.choice("x_ "): value[key]}
        return value | {key: mutated_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], mutated_json(value[place], rng), *value[place + 1 :]]
    others = [None, True, -1, 0, 10**12, 1e300, "", "x", "nan", [], {}, [1], {"a": 1}, str(value), [value]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        others += [value + 1, -value - 1, value * 1000 + 1] * 5
    if isinstance(value, str) and value:
        place = rng.randrange(len(value))
        others += [value[:place] + rng.choice("0a/.") + value[place + 1 :], value[:-1], value + "0"] * 5
    text = json.dumps(value, sort_keys=True)
    return rng.choice([other for other in others if json.dumps(other, sort_keys=True) != text])


def in_its_place(path: Path, rng: random.Random) -> str:
    """Something that is no file at the place of one; what it is."""
    path.unlink(missing_ok=True)
    kind = rng.choice(["folder", "full folder", "pipe", "link to nothing", "link to itself"])
    if kind == "pipe":
        os.mkfifo(path)
    elif kind.startswith("link"):
        path.symlink_to(path.name if "itself" in kind else "nothing")
    else:
        path.mkdir()
        if kind == "full folder":
            (path / "file").write_text("x", encoding="utf-8")
    return kind


@contextlib.contextmanager
def _place(at: Path) -> Iterator[Path]:
    """A project of its own, removed afterwards, in the environment for the time of a trial."""
    outer = Path(tempfile.mkdtemp(dir=at))
    home = outer / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(home))
        patch.delenv("SINGLEFILTER_DATA", raising=False)
        forget_caches()
        try:
            yield home
        finally:
            forget_caches()
            shutil.rmtree(outer, ignore_errors=True)


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear, log = Ear(), logging.getLogger("singlefilter")
    log.addHandler(ear)
    try:
        yield said
    finally:
        log.removeHandler(ear)
