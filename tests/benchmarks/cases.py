"""What the benchmarks work on: sizes, networks, images, matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load_file

from singlefilter import data, networks, profiles, store
from singlefilter.method import fields, heads
from singlefilter.networks import training


@dataclass(frozen=True)
class Sizes:
    """How large the cases are; `width`, `labels`: of the network; `images`: of the passes that are timed."""

    width: int = 16
    labels: int = 100
    images: int = 5000
    images_of_naive: int = 2000
    analyzed_images: int = 10_000
    batch: int = 500
    rounds: int = 5
    rounds_of_naive: int = 3
    filters: int = 512
    sampled_filters: int = 4
    many_filters: int = 1280
    many_labels: int = 1000
    resamples: int = 1000
    scaling_images: tuple[int, ...] = (1000, 2000, 4000, 8000)
    scaling_widths: tuple[int, ...] = (4, 8, 16, 32)
    scaling_labels: tuple[int, ...] = (25, 50, 100, 200)
    scaling_filters: tuple[int, ...] = (128, 256, 512, 1024)
    scaling_rounds: int = 3
    step: int = 100
    sweep_items: int = 6
    sweep_width: int = 8
    sweep_images: int = 400
    sweep_epochs: int = 16
    ceiling: int = 8192
    gpu_images: int = 50_000
    gpu_test_images: int = 10_000
    gpu_batches: tuple[int, ...] = (500, 1000)  # beside the one of the profile
    jpegs: int = 48
    jpeg_bytes: int = 110_000
    jpeg_rounds: int = 7
    jpeg_side: int = 224


FULL = Sizes()
SMALL = Sizes(
    width=2, labels=5, images=40, images_of_naive=20, analyzed_images=20, batch=10, rounds=1, rounds_of_naive=1,
    filters=8, sampled_filters=2, many_filters=6, many_labels=12, resamples=20, scaling_images=(20, 40),
    scaling_widths=(2, 4), scaling_labels=(5, 10), scaling_filters=(4, 8), scaling_rounds=1, step=20,
    sweep_items=2, sweep_width=2, sweep_images=20, sweep_epochs=1, ceiling=64, gpu_images=20, gpu_test_images=10,
    gpu_batches=(10,),
    jpegs=2, jpeg_bytes=40_000, jpeg_rounds=1, jpeg_side=64,
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A network with its cuts, heads with weights as they begin, and random images."""

    model: networks.VGG
    points: tuple[heads.HeadPoint, ...]
    weights: dict[str, torch.Tensor]
    split: data.Split

    @property
    def filters(self) -> int:
        return sum({point.cut.layer: point.cut.filters for point in self.points}.values())


def setting(width: int, labels: int, images: int, kinds: tuple[str, ...] = profiles.HEAD_KINDS) -> Setting:
    """VGG-16 of a width, and `random_images` on the device that computes."""
    on = training.device()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = networks.VGG(16, width, labels).train()
        with torch.no_grad():  # batch norms that are not those of the start
            model(torch.randn(8, 3, 32, 32))
    model = model.eval().to(on, memory_format=torch.channels_last)
    points = heads.head_points(networks.cut_points(model, 32), profiles.Heads(kinds=kinds))
    flat = heads.initial_weights(points, labels, 1)
    weights = {p.name: flat[p.name].reshape(labels, p.cut.filters, p.positions).to(on) for p in points}
    return Setting(model, points, weights, random_images(labels, images).to(on))


def random_images(labels: int, images: int) -> data.Split:
    """Images of 32 pixels, as many of each label as fit (one at the least), labels ascending."""
    truth = torch.arange(labels).repeat_interleave(max(1, images // labels))
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (len(truth), 3, 32, 32), dtype=torch.uint8, generator=generator)
    return data.Split(pixels, truth, tuple(map(str, range(labels))))


def network_fields(sizes: Sizes) -> tuple[list[np.ndarray], str]:
    """Field matrices of every layer, float32 `[filters, true_label, out_label]`, and what they are.

    Those of the measured network in the store that has most filters among those of as many labels, else random ones
    of similar densities.
    """
    found: list[tuple[list[np.ndarray], str]] = []
    for folder in sorted(store.runs_folder().glob("measure-*/")):
        if not (store.is_complete(folder) and folder.suffix == ""):
            continue
        config = store.manifest(folder)["config"]
        trained = store.runs_folder() / f"heads-{config['heads']}"
        if config["split"] != "train" or not store.is_complete(trained):
            continue
        means = load_file(folder / "measurement.safetensors")
        weights = load_file(trained / "heads.safetensors")
        flat = sorted((name for name in weights if name.endswith("_flat")), key=lambda name: int(name[5:-5]))
        if len(weights[flat[0]]) != sizes.labels:
            continue
        matrices = [fields.field_matrices(means[f"class_means/{name}"], weights[name]).numpy() for name in flat]
        found.append((matrices, f"a network measured here ({folder.name})"))
    if found:
        return max(found, key=lambda network: sum(map(len, network[0])))
    widths = [sizes.width * factor for factor in (1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 8, 8, 8)]
    layers = [alike(filters, sizes.labels, None, seed).astype(np.float32) for seed, filters in enumerate(widths)]
    return layers, "random matrices: no network with as many labels is measured here"


# Occupancy of a clipped matrix where no measured one is at hand: on the diagonal, among labels that are on it, else.
DENSITIES = (0.3, 0.3, 0.15)


def densities(clipped: np.ndarray) -> tuple[float, float, float]:
    """How full `clipped[filters, label, label]` is: on the diagonal, between labels that are on it, elsewhere."""
    on = np.diagonal(clipped, axis1=1, axis2=2)
    both = on[:, :, None] & on[:, None, :]
    both[:, np.arange(on.shape[1]), np.arange(on.shape[1])] = False
    elsewhere = ~(on[:, :, None] & on[:, None, :])
    elsewhere[:, np.arange(on.shape[1]), np.arange(on.shape[1])] = False
    return tuple(float(where.mean()) for where in (on, *(clipped[mask] for mask in (both, elsewhere))))


def alike(filters: int, labels: int, like: tuple[float, float, float] | None, seed: int = 0) -> np.ndarray:
    """Random clipped matrices `[filters, label, label]` of given densities, made some at a time to save memory."""
    diagonal, between, elsewhere = like or DENSITIES
    rng = np.random.default_rng(seed)
    clipped = np.empty((filters, labels, labels), dtype=bool)
    for matrix in clipped:
        on = rng.random(labels) < diagonal
        density = np.where(on[:, None] & on, between, elsewhere).astype(np.float32)
        np.less(rng.random((labels, labels), dtype=np.float32), density, out=matrix)
        np.fill_diagonal(matrix, on)
    return clipped
