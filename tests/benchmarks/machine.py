"""What the library chose by measuring it on a machine: order of maps in memory, threads, items of a sweep at once."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from benchmarks.cases import Sizes, random_images, setting
from benchmarks.table import OURS, absolute, compare
from benchmarks.timing import Way, clock, in_turn
from safetensors.torch import load_file
from torch.nn import functional

from singlefilter import afcc, data, networks, profiles
from singlefilter.networks import training
from singlefilter.pipeline import stages, sweeps, variations

STEPS = 5
EPOCHS = 3
WARM_UP = 0.5  # seconds


def layout(sizes: Sizes) -> list[dict]:
    """Steps of training with the channels of a map last in memory or first, on all threads or on one."""
    case = setting(sizes.width, sizes.labels, sizes.images)
    images, labels = data.to_input(case.split.images[: sizes.step]), case.split.labels[: sizes.step]

    def steps(order: torch.memory_format, threads: int | None = None):
        model = setting(sizes.width, sizes.labels, 1).model.to(memory_format=order)

        def run() -> torch.Tensor:
            before = torch.get_num_threads()
            torch.set_num_threads(threads or before)
            for _ in range(STEPS):
                model.zero_grad()
                functional.cross_entropy(model(images.contiguous(memory_format=order)), labels).backward()
            torch.set_num_threads(before)
            return next(model.parameters()).grad

        return run

    last, first = torch.channels_last, torch.contiguous_format
    ways = [Way(OURS, steps(last)), Way("channels first", steps(first)), Way("one thread", steps(last, 1))]
    timed = in_turn(ways, sizes.rounds)
    largest = timed[OURS].result.abs().max()
    agreement = {name: float((way.result - timed[OURS].result).abs().max() / largest) for name, way in timed.items()}
    return compare(
        "layout", f"{STEPS} steps of {len(images)} images", timed, agreement, 1e-2, {}, images=STEPS * len(images),
        labels=sizes.labels, note="ours: channels last, all threads; agreement of the first layer's gradient",
    )  # fmt: skip


def sweep(sizes: Sizes) -> list[dict]:
    """Some small networks trained and measured, a process for each core against one after the other."""
    content = {
        "name": "sweep", "purpose": "networks of a sweep", "minutes": 1,
        "data": {"name": "glyphs", "labels": 5, "train_per_label": sizes.sweep_images, "test_per_label": 5},
        "network": {"width": sizes.sweep_width},
        "training": {"epochs": sizes.sweep_epochs, "learning_rate": 0.05, "flip": False},
        "heads": {"epochs": 2, "flip": False},
    }  # fmt: skip
    seeds = list(range(1, sizes.sweep_items + 1))
    runs = [
        stages.Run(one) for one in variations.variations(profiles.from_mapping(content, "sweep"), {"seed": seeds})
    ]

    def weights() -> torch.Tensor:
        folder = stages.folders(runs[-1])["train"]
        return torch.cat([part.flatten() for part in load_file(folder / "network.safetensors").values()])

    def ours() -> torch.Tensor:
        with _new_project():
            sweeps.complete(runs)
            return weights()

    def one_by_one() -> torch.Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(max(1, before // min(before, len(runs))))
        with _new_project():
            for run in runs:
                stages.complete(run)
            torch.set_num_threads(before)
            return weights()

    timed = in_turn([Way(OURS, ours), Way("one by one", one_by_one)], 1)
    agreement = {"one by one": float((timed[OURS].result - timed["one by one"].result).abs().max())}
    return compare(
        "sweep", f"{len(runs)} small networks", timed, agreement, 0, {"one by one": 1 / 0.6},
        images=5 * sizes.sweep_images, labels=5,
        note="target: at most 0.6 of the sum of the items, each with the threads it has in the sweep",
    )  # fmt: skip


def gpu(sizes: Sizes) -> list[dict]:
    """Epochs of the paper's network on a GPU, and what part of its matrix products' speed they reach."""
    if not torch.cuda.is_available():
        print("there is no GPU, so the epochs of the network of profile paper are left out", flush=True)
        return []
    return throughput(sizes, profiles.load("paper"), torch.device("cuda"))


def throughput(sizes: Sizes, profile: profiles.Profile, on: torch.device) -> list[dict]:
    """Seconds of a training epoch of a profile, as in its stage, at the profile's batch size and others.

    Of three epochs the last one counts, since the first one compiles, with a third of what they took beside their
    own seconds: that is their checkpoints.
    """
    ceiling = bf16_ceiling(sizes, on)
    split, test = (random_images(sizes.labels, images).to(on) for images in (sizes.gpu_images, sizes.gpu_test_images))
    network, rows = profile.network, []
    for batch in (profile.training.batch, *sizes.gpu_batches):
        model = networks.build(network, sizes.labels, 32, profile.seed).to(on, memory_format=torch.channels_last)
        recipe = dataclasses.replace(profile.training, epochs=EPOCHS, batch=batch)
        with tempfile.TemporaryDirectory() as folder:
            start = clock()
            curves = training.fit(model, split, test, recipe, seed=1, checkpoint=Path(folder) / "checkpoint.pt")
            whole = clock() - start
        epochs = curves.loc[curves["split"] == "test", "seconds"]
        seconds = float(epochs.iloc[-1] + (whole - epochs.sum()) / EPOCHS)
        reached = epoch_operations(model, len(split)) / seconds / ceiling
        note = f"{len(split) / seconds:,.0f} images/s; {reached:.1%} of the measured bf16 ceiling"
        note = f"{note}, {ceiling / 1e12:.3g} TFLOP/s"
        print(f"gpu          batch {batch}: {seconds:.3g} s an epoch, {note}", flush=True)
        bound = {"target_seconds": 2.0} if batch == profile.training.batch else {}
        row = {"seconds": seconds, "images": len(split), "labels": sizes.labels, "note": note} | bound
        rows.append(absolute("gpu", f"VGG-{network.depth}, d = {network.width}, epoch, batch {batch}", OURS, **row))
    return rows


def bf16_ceiling(sizes: Sizes, on: torch.device) -> float:
    """Operations a second of products of two square bfloat16 matrices, by the faster quartile of some rounds.

    Half a second of products goes ahead, in which a GPU comes to its full clock rate.
    """
    square = torch.randn(sizes.ceiling, sizes.ceiling, device=on, dtype=torch.bfloat16)

    def warm_up() -> None:
        start = clock()
        while clock() - start < WARM_UP:
            square @ square

    timed = in_turn([Way("product", lambda: square @ square, warm_up=warm_up)], sizes.rounds)
    return 2 * sizes.ceiling**3 / timed["product"].low


def epoch_operations(model: torch.nn.Module, images: int) -> int:
    """Operations of a training epoch: convolutions and linear layers, two a multiply-add, backward twice forward."""
    return 3 * 2 * images * afcc.costs(model, torch.zeros(1, 3, 32, 32)).multiply_adds


@contextmanager
def _new_project() -> Iterator[None]:
    """A project folder of its own, so that everything is done anew."""
    before = os.environ.get("SINGLEFILTER_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SINGLEFILTER_HOME"] = folder
        stages.configs.cache_clear()
        stages.splits.cache_clear()
        try:
            yield
        finally:
            del os.environ["SINGLEFILTER_HOME"]
            if before is not None:
                os.environ["SINGLEFILTER_HOME"] = before
            stages.configs.cache_clear()
            stages.splits.cache_clear()
