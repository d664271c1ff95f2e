"""What the library chose by measuring it on a machine: order of maps in memory, threads, items of a sweep at once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors.torch import load_file
from torch.nn import functional

from benchmarks.cases import Sizes, setting
from benchmarks.table import OURS, absolute, compare
from benchmarks.timing import Way, in_turn
from singlefilter import data, heads, profiles, stages, sweeps, training

STEPS = 5


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
    runs = [stages.Run(one) for one in sweeps.variations(profiles.from_mapping(content, "sweep"), {"seed": seeds})]

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
    """Epochs of the network at full width on a GPU, and what part of its matrix products' speed they reach."""
    if not torch.cuda.is_available():
        print("there is no GPU, so the epochs of VGG-16 with d = 64 are left out", flush=True)
        return []
    return throughput(sizes, torch.device("cuda"))


def throughput(sizes: Sizes, on: torch.device) -> list[dict]:
    """Seconds of a training epoch at several batch sizes: the last of three, the first one compiles.

    The ceiling is the fastest product of two square bfloat16 matrices in this run; an epoch's operations are those
    of the convolutions and the head, forward and twice as many backward.
    """
    square = torch.randn(sizes.ceiling, sizes.ceiling, device=on, dtype=torch.bfloat16)
    ceiling = 2 * sizes.ceiling**3 / in_turn([Way("product", lambda: square @ square)], sizes.rounds)["product"].low
    case = setting(sizes.gpu_width, sizes.labels, sizes.gpu_images)
    split = case.split.to(on)
    few = data.Split(split.images[::50], split.labels[::50], split.names)
    operations = 3 * 2 * len(split) * (_products(case.points) + case.points[-1].fan_in * sizes.labels)
    rows = []
    for batch in sizes.gpu_batches:
        model = setting(sizes.gpu_width, sizes.labels, 1).model
        recipe = profiles.Recipe(epochs=3, batch=batch, learning_rate=0.01)
        seconds = training.fit(model, split, few, recipe, seed=1)["seconds"].iloc[-1]
        reached = operations / seconds / ceiling
        speed = f"{len(split) / seconds:,.0f} images/s"
        note = f"{speed}; {reached:.1%} of the ceiling, {ceiling / 1e12:.3g} TFLOP/s in bf16"
        print(f"gpu          epoch, batch {batch}: {note}", flush=True)
        bound = {"target_seconds": 2.0} if batch == min(sizes.gpu_batches) else {}
        row = {"seconds": seconds, "images": len(split), "labels": sizes.labels, "note": note} | bound
        rows.append(absolute("gpu", f"VGG-16, d = {sizes.gpu_width}, epoch, batch {batch}", OURS, **row))
    return rows


def _products(points: tuple[heads.HeadPoint, ...]) -> int:
    """Multiplications of an image in the 3x3 convolutions that lead to the flat heads' cuts, pools after them."""
    cuts = [point.cut for point in points if point.kind == "flat"]
    total, channels, side = 0, 3, 32
    for cut in cuts:
        total += 9 * channels * cut.filters * side**2
        channels, side = cut.filters, cut.side
    return total


@contextmanager
def _new_project() -> Iterator[None]:
    """A project folder of its own, so that everything is done anew."""
    before = os.environ.get("SINGLEFILTER_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SINGLEFILTER_HOME"] = folder
        stages._configs.cache_clear()
        stages.splits.cache_clear()
        try:
            yield
        finally:
            del os.environ["SINGLEFILTER_HOME"]
            if before is not None:
                os.environ["SINGLEFILTER_HOME"] = before
            stages._configs.cache_clear()
            stages.splits.cache_clear()
