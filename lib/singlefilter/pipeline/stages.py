"""The stages of a profile: data -> network -> heads -> measurement, each done once and kept in the store.

Every function here returns at once when its stage is complete, and otherwise does the stages before it too.  Under
torchrun all ranks call it, once the images are in the store.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from singlefilter import data, distributed, networks, profiles, store
from singlefilter import provenance as where_from
from singlefilter.method import fields
from singlefilter.method import heads as heads_
from singlefilter.networks import checkpoints, ready, training

NAMES = ("data", "train", "heads", "measure")
BATCHES_TO_SETTLE = 20  # of 100 images, for batch norms of a network that is not trained
NETWORK = "network.safetensors"  # the one large file that drawing can do without; packs leave it out


@dataclass(frozen=True)
class Run:
    """A profile on its way through the stages: where its data are, and when (`time.monotonic`) to pause.

    Runs are equal whenever they pause, since that changes nothing of what they come to.  Raises `ProfileError` where
    network, images and heads do not fit together.
    """

    profile: profiles.Profile
    data_dir: str | Path | None = None
    deadline: float = dataclasses.field(default=math.inf, compare=False)

    def __post_init__(self) -> None:
        try:
            points(self)  # before any work
        except ValueError as error:
            raise profiles.ProfileError(f"profile {self.profile.name}: {error}") from error

    def until(self, deadline: float) -> Run:
        """The same run, to pause at another time."""
        return dataclasses.replace(self, deadline=deadline)


def of(profile: str, data_dir: str = "") -> Run:
    """The run of a profile by its name or YAML file, as notebooks start it."""
    return Run(profiles.load(profile), data_dir or None)


@functools.lru_cache(maxsize=2)
def splits(run: Run) -> dict[str, data.Split]:
    """Data splits `train` and `test` of the profile, of which it may name a part, on the device that computes.

    Where the part holds training images out, these are the split `test`.
    """
    loaded = data.read(data_folder(run))
    part = run.profile.part
    if part != profiles.Part():
        labels = len(loaded["train"].names)
        chosen = data.drawn_labels(labels, part.labels or labels, part.draw)
        sizes = {"train": part.train_per_label, "test": None}
        loaded = {name: data.part(split, chosen, sizes[name]) for name, split in loaded.items()}
    if part.held_out:
        loaded = dict(zip(loaded, data.hold_out(loaded["train"], part.held_out, run.profile.seed), strict=True))
    return {name: split.to(training.device()) for name, split in loaded.items()}


def data_folder(run: Run) -> Path:
    """Where the store keeps the images of the profile's data set; prepares them."""
    asked = (run.profile.data, run.profile.seed, run.data_dir, store.runs_folder())
    if not store.is_complete(_data_folder(*asked)):  # removed since
        _data_folder.cache_clear()
    return _data_folder(*asked)


def all_labels(run: Run) -> tuple[str, ...]:
    """Names of all labels of the profile's data set, whatever part of it the profile takes."""
    return data.read(data_folder(run))["train"].names


def network(run: Run) -> tuple[nn.Module, pd.DataFrame]:
    """The trained network, in eval mode on the device that computes, and its training curves.

    Raises `FileNotFoundError` where its stage came in a pack, which has the curves only.
    """
    folder = _network_folder(run)
    profile, names = run.profile, splits(run)["train"].names
    if not (folder / NETWORK).exists():
        raise FileNotFoundError(f"{folder} came in a pack, without the network; `run --fresh` trains it here")
    model = networks.build(_without_weights(profile), len(names), profile.data.image_size, profile.seed)
    model.load_state_dict(load_file(folder / NETWORK))
    model = model.eval().to(training.device(), memory_format=torch.channels_last)
    return model, curves(run)


def curves(run: Run) -> pd.DataFrame:
    """Training curves of the network: epoch, split, accuracy, loss, learning_rate, seconds."""
    return _read_curves(_network_folder(run))


@functools.lru_cache(maxsize=8)
def points(run: Run) -> tuple[heads_.HeadPoint, ...]:
    """The heads of the profile: where each sits and what it sees."""
    profile = run.profile
    # On a real device: torch's meta device would load its compiler, which takes longer than one small image.
    trunk, size = dataclasses.replace(_without_weights(profile), hidden=()), profile.data.image_size
    model = networks.build(trunk, 2, size, profile.seed)
    inside = {kind: networks.cut_points(model, size, kind) for kind in profile.heads.kinds if kind in profiles.INSIDE}
    return heads_.head_points(networks.cut_points(model, size), profile.heads, inside)


def flat_points(run: Run) -> list[heads_.HeadPoint]:
    """The flat heads of the profile, those that are analysed, the shallowest first."""
    return [point for point in points(run) if point.kind == "flat"]


def heads(run: Run) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Head weights, float32 `[out_label, filters, positions]` by the head's name, and their training curves."""
    folder = _heads_folder(run)
    return load_file(folder / "heads.safetensors"), _read_curves(folder)


def measurement(run: Run, split: str = "train") -> fields.Measurement:
    """Class means, correct answers and d' of every head on a split."""
    stored = load_file(_measure_folder(run, split) / "measurement.safetensors")
    parts: dict[str, dict[str, torch.Tensor]] = {"class_means": {}, "correct": {}, "dprime": {}}
    for key, tensor in stored.items():
        part, name = key.split("/")
        parts[part][name] = tensor
    return fields.Measurement(**parts)


def complete(run: Run, upto: str = "measure") -> None:
    """Do every stage up to the named one (one of `NAMES`), in order."""
    if upto not in NAMES:
        raise ValueError(f"no stage named {upto!r}: there are {', '.join(NAMES)}")
    for name in NAMES[: NAMES.index(upto) + 1]:
        _BUILDERS[name](run)


def folders(run: Run) -> dict[str, Path]:
    """Where the store keeps each stage of a profile, whether it is there yet or not; prepares the data."""
    return {name: store.stage_folder(name.split("-")[0], config) for name, config in configs(run).items()}


def forget(run: Run) -> list[str]:
    """Remove what was trained and measured for this profile, so that it is done again; names of what there was."""
    return [name for name, folder in folders(run).items() if store.forget(folder)]


def provenance(run: Run) -> dict:
    """Where the results of a profile come from: configuration, seeds, versions, machine, seconds, data, commit."""
    images = data_folder(run)
    stages = {"data": images} | folders(run)
    manifests = {name: store.manifest(path) for name, path in stages.items() if store.is_complete(path)}
    keys = ("seconds", "commit", "machine", "versions", "computing")  # the last came later than some stages
    return {
        "profile": run.profile,
        "seed": run.profile.seed,
        "commit": where_from.commit(),
        "versions": where_from.versions(),
        "machine": where_from.machine(),
        "computing": where_from.computing(),
        "data": {"title": data.title(run.profile.data.name), "sha256": _checksums(images)},
        "stages": {name: {key: of[key] for key in keys if key in of} for name, of in manifests.items()},
    }


def summary(runs: Iterable[Run]) -> dict:
    """Where the results of several runs come from: how many networks, and `store.summary` of their stages."""
    networks = dict.fromkeys(runs)
    return {"networks": len(networks)} | store.summary(
        {folder for network in networks for folder in folders(network).values()}
    )


@functools.lru_cache(maxsize=8)
def _data_folder(config: profiles.Data, seed: int, data_dir: str | Path | None, store_: Path) -> Path:
    return data.stage(config, seed, data_dir)  # once, since a data set may have a million files to look at


@functools.lru_cache(maxsize=8)
def configs(run: Run) -> dict[str, dict]:
    """What each stage depends on.  Images count by their content, so moving a data folder repeats no training."""
    profile = run.profile
    images = _checksums(data_folder(run))
    train = {"images": images, "network": profile.network, "training": profile.training, "seed": profile.seed}
    if profile.network.weights not in (None, profiles.IMAGENET):  # a file counts by its content
        train |= {"network": _without_weights(profile), "weights": ready.checksum(profile.network.weights)}
    if profile.part != profiles.Part():
        train["part"] = profile.part
    if _settles_norms(profile):
        train["norms"] = "settled"
    head = {"train": store.config_key(train), "heads": profile.heads, "seed": profile.seed}
    measured = {f"measure-{split}": {"heads": store.config_key(head), "split": split} for split in profiles.SPLITS}
    return {"train": train, "heads": head} | measured


def _settles_norms(profile: profiles.Profile) -> bool:
    """Whether this is a null model whose maps would vanish; those of VGG, by the weights it starts from, do not."""
    network, untrained = profile.network, profile.training.epochs == 0
    return untrained and network.weights is None and network.name == "efficientnet_b0"


def _checksums(folder: Path) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in store.manifest(folder)["files"].items()}


def _without_weights(profile: profiles.Profile) -> profiles.Network:
    """The network without the weights it starts from, which are downloaded: only training needs them."""
    return dataclasses.replace(profile.network, weights=None)


def _network_folder(run: Run) -> Path:
    def build(work: Path) -> None:
        profile = run.profile
        training.require_precision(profile.training)
        split = splits(run)
        model = networks.build(profile.network, len(split["train"].names), profile.data.image_size, profile.seed)
        if _settles_norms(profile):
            few = itertools.islice(data.batches(split["train"], 100, seed=profile.seed, epoch=0), BATCHES_TO_SETTLE)
            networks.settle_norms(model.to(training.device()), (images for images, _ in few))
        curves = training.fit(
            model, split["train"], split["test"], profile.training,
            seed=profile.seed, checkpoint=work / "checkpoint.pt", deadline=run.deadline,
        )  # fmt: skip
        tensors = {key: tensor.cpu().contiguous() for key, tensor in model.state_dict().items()}
        _finish(work, NETWORK, tensors, curves)

    return _stage("train", configs(run)["train"], build)


def _heads_folder(run: Run) -> Path:
    def build(work: Path) -> None:
        profile = run.profile
        model, _ = network(run)
        weights, curves = heads_.fit(
            model, points(run), splits(run)["train"], profile.heads,
            seed=profile.seed, checkpoint=work / "checkpoint.pt", deadline=run.deadline,
        )  # fmt: skip
        _finish(work, "heads.safetensors", weights, curves)

    return _stage("heads", configs(run)["heads"], build)


def _measure_folder(run: Run, split: str) -> Path:
    def build(work: Path) -> None:
        model, _ = network(run)
        weights, _ = heads(run)
        measured = fields.measure(model, points(run), weights, splits(run)[split])
        tensors = {f"{part}/{name}": t for part, of in vars(measured).items() for name, t in of.items()}
        _finish(work, "measurement.safetensors", tensors)

    return _stage("measure", configs(run)[f"measure-{split}"], build)


def _read_curves(folder: Path) -> pd.DataFrame:
    """Training curves as they were written: Python reads its own floats back exactly."""
    numbers = ("accuracy", "loss", "learning_rate", "seconds")
    return pd.read_csv(folder / "curves.csv", converters=dict.fromkeys(numbers, float))


def _stage(name: str, config: dict, build: Callable[[Path], None]) -> Path:
    """`store.stage` by all ranks together: the first has the store, and calls the others to what it builds there."""
    if distributed.rank() == 0:
        folder = store.stage(name, config, lambda work: build(distributed.from_first(work)))
        distributed.from_first(None)  # nothing is left to be built
        return folder
    while work := distributed.from_first(None):
        build(work)
    return store.stage_folder(name, config)


def _finish(work: Path, file: str, tensors: dict[str, torch.Tensor], curves: pd.DataFrame | None = None) -> None:
    """Write what a stage leaves behind, and remove the checkpoint that it went on from, by the first rank alone."""
    if distributed.rank() == 0:
        with store.naming(work / file, sum(tensor.nbytes for tensor in tensors.values())):
            save_file(tensors, work / file)
        if curves is not None:
            curves.to_csv(work / "curves.csv", index=False)
        checkpoints.remove(work / "checkpoint.pt")


_BUILDERS: dict[str, Callable[[Run], object]] = {
    "data": splits,
    "train": _network_folder,
    "heads": _heads_folder,
    "measure": lambda run: [_measure_folder(run, split) for split in run.profile.analysis.splits],
}
