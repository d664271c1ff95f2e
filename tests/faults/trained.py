"""Faults of what training goes on from, and of weights that it starts from."""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from singlefilter import networks, profiles
from singlefilter.networks import epochs, ready, training
from tests.faults.harness import Bad, Family, Trial, in_its_place, mutated
from tests.networks.small import RECIPE, network, split

WORK = "train-0123456789ab.partial"


def trained(path: Path | None, recipe: profiles.Recipe = RECIPE, seed: int = 2, start: int = 0) -> dict:
    model = network(start)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", 0)
        training.fit(model, split(4), split(4, seed=1), recipe, seed=seed, checkpoint=path)
    return model.state_dict()


@functools.cache
def uninterrupted() -> dict:
    return trained(None)


def interrupted(folder: Path, name: str = WORK, **how) -> Path:
    """A checkpoint after two of three epochs, the one before it beside it."""
    path = folder / "runs" / name / "checkpoint.pt"
    trained(path, **how)
    return path


def check(trial: Trial, path: Path, changed: Path, content: bytes | None) -> None:
    """Training goes on to what it had come to without interruption, and what was at fault is there, set aside."""
    state = trained(path)
    if any(not torch.equal(state[name], tensor) for name, tensor in uninterrupted().items()):
        raise Bad("wrong", path)
    trial.named(changed)
    aside = list(path.parent.parent.glob(f"train-0123456789ab.{changed.name}.damaged-*"))
    if len(aside) != 1 or (content is not None and aside[0].read_bytes() != content):
        raise Bad("lost", aside)


def bytes_mutated(trial: Trial) -> None:
    path = interrupted(trial.home)
    before = path.with_name("checkpoint.pt.before")
    if trial.rng.random() < 0.2:
        before.write_bytes(mutated(before.read_bytes(), trial.rng))
    path.write_bytes(content := mutated(path.read_bytes(), trial.rng))
    check(trial, path, path, content)


def something_else(trial: Trial) -> None:
    path = interrupted(trial.home)
    content: bytes | None = None
    kind = trial.rng.choice(["thing", "text", "list", "dict", "tensor", "old", "pickle", "noise"])
    if kind == "thing":
        in_its_place(path, trial.rng)
    elif kind in ("text", "noise", "pickle"):
        content = {
            "text": b"a text\n",
            "noise": trial.rng.randbytes(5000),
            "pickle": pickle.dumps(Planted(trial.home)),
        }[kind]
        path.write_bytes(content)
    else:
        old = {"model": network().state_dict(), "optimizer": {}, "rows": [], "epochs": trial.rng.choice([2, -5, 99])}
        torch.save({"list": [1], "dict": {}, "tensor": torch.ones(3), "old": old}[kind], path)
        content = path.read_bytes()
    check(trial, path, path, content)
    if (trial.home / "executed").exists():
        raise Bad("outside", "executed")


class Planted:
    """What a pickle executes when it is read without care."""

    def __init__(self, home: Path):
        self.home = home

    def __reduce__(self):
        return os.mkdir, (str(self.home / "executed"),)


def of_another(trial: Trial) -> None:
    rng, how, name = trial.rng, {}, WORK
    kind = rng.choice(["seed", "rate", "momentum", "longer", "batch", "stage"])
    if kind == "seed":
        how["seed"] = rng.randint(3, 99)
    elif kind == "stage":
        name = "train-ba9876543210.partial"
    else:
        changed = {
            "rate": {"learning_rate": rng.uniform(0.001, 0.049)},
            "momentum": {"momentum": rng.uniform(0, 0.89)},
            "longer": {"epochs": rng.randint(4, 6)},
            "batch": {"batch": rng.randint(4, 8)},
        }[kind]
        how["recipe"] = dataclasses.replace(RECIPE, **changed)
    other = interrupted(trial.home / "other", name, **how)
    path = interrupted(trial.home)
    content = other.read_bytes()
    other.rename(path)
    check(trial, path, path, content)


def weights_planted(trial: Trial) -> None:
    """Weights to start from, of whatever content, in one of the places where they are looked for."""
    rng, home = trial.rng, trial.home
    own = profiles.Network(depth=11, width=2)
    state = networks.build(own, 4, 32, 1).state_dict()
    kind = rng.choice(["pickle", "saved", "nan", "other", "bytes", "noise"])
    path = home / rng.choice(["own.pt", "own.pth", "own.safetensors"])
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"w": Planted(home)}))
    elif kind == "saved":
        torch.save(state | {"w": Planted(home)}, path)
    elif kind == "noise":
        path.write_bytes(rng.randbytes(2000))
    else:
        if kind == "other":
            state = networks.build(profiles.Network(depth=11, width=3), 4, 32, 1).state_dict()
        if kind == "nan":
            state[rng.choice([name for name in state if name.endswith("weight")])].view(-1)[0] = torch.nan
        save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
        if kind == "bytes":
            path.write_bytes(path.read_bytes()[: rng.randrange(500)])
    try:
        networks.build(dataclasses.replace(own, weights=str(path)), 4, 32, 1)
    except ready.WeightsError as error:
        trial.said.append(str(error))
        trial.named(path)
    else:
        raise Bad("wrong", kind)
    if (home / "executed").exists():
        raise Bad("outside", "executed")


BEFORE = "set aside with a word that names it; the one before it is taken, or the start: the same bits in the end"
FAMILIES = [
    Family(
        "a checkpoint",
        "bytes flipped, zero, cut, added, swapped; the one before it too, at times",
        BEFORE,
        100,
        bytes_mutated,
    ),
    Family(
        "no checkpoint where one was",
        "texts, lists, pickles, folders, pipes; one of before",
        BEFORE,
        40,
        something_else,
    ),
    Family("a checkpoint of something else", "another seed, recipe or stage", BEFORE, 30, of_another),
    Family(
        "weights to start from",
        "pickles with code, noise, another network's, NaN, cut",
        "refused with the file's name; no code runs",
        40,
        weights_planted,
    ),
]
