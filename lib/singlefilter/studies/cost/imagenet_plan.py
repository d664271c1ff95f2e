"""What all of ImageNet would cost: a plan from counts of the network, a measured decode rate and named assumptions.

Counted are operations, values and bytes of EfficientNet-B0 and of a flat head at every cut; measured is how many
images a core decodes in a second; everything else stands in `Assumed` and, so that none passes for a measurement, in
every row of the table. What is under way at the same time (arithmetic, memory, links, decoding, disk) is taken to
overlap, so a stage lasts as long as the slowest of them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from singlefilter import afcc, networks, profiles
from singlefilter.method import heads

ONCE, EVERY_PASS = "decoded once and kept", "decoded in every pass"
DECODE, TRAIN, HEADS, MEASURE = "decode", "train", "heads", "measure"
RESOURCES = ("arithmetic", "memory", "links", "decoding", "disk")
BACKWARD = 2  # a backward pass does, reads and writes about twice what the forward pass does
UPDATE = 8  # times that a float32 weight is read or written in a step: forward, backward, gradient, momentum, weight


@dataclass(frozen=True)
class Assumed:
    """What is not measured. Speeds of a GPU are its maker's figures, times the fraction that is taken to be reached.

    peak, peak_float32: operations a second in bfloat16 and float32 (a multiply-add is two), in which the library
    computes trunks and heads; memory, links: bytes a second of a GPU's memory, and between GPUs, each way; disk:
    bytes a second that a machine reads; cores, host_memory: those that decode, and bytes that keep images, beside
    each GPU, all in one machine.
    """

    gpu: str = "H100"
    images: int = 1_281_167
    test_images: int = 50_000
    labels: int = 1000
    side: int = 224
    jpeg_bytes: float = 110e3
    training_epochs: int = 300
    head_epochs: int = 200
    batch: int = 1024
    peak: float = 989e12
    peak_float32: float = 67e12
    peak_fraction: float = 0.3
    memory: float = 3.35e12
    memory_fraction: float = 0.6
    links: float = 450e9
    disk: float = 3e9
    cores: int = 16
    host_memory: float = 128 * 2**30


@dataclass(frozen=True)
class Counts:
    """What was counted: one image through the network, and what is kept of it.

    multiply_adds: of the trunk with its classifier; head_multiply_adds, head_weights: of the flat heads of all cuts;
    map_values: values of the maps at all cuts; moved_values: read and written by convolutions, norms, activations and
    pools in a forward pass, nothing fused; seen_values: inputs of the heads.
    """

    parameters: int
    multiply_adds: int
    head_weights: int
    map_values: int
    moved_values: int
    seen_values: int

    @property
    def head_multiply_adds(self) -> int:
        return self.head_weights  # each is used once an image


def count(assumed: Assumed) -> Counts:
    """Counts of EfficientNet-B0 and of its flat heads at the labels and the side of the plan."""
    model = networks.build(profiles.Network("efficientnet_b0"), assumed.labels, assumed.side, seed=1)
    cuts = networks.cut_points(model, assumed.side)
    points = heads.head_points(cuts, profiles.Heads(kinds=("flat",)))
    image = torch.zeros(1, 3, assumed.side, assumed.side)
    costs, seen = afcc.costs(model, image), sum(point.fan_in for point in points)
    maps = sum(cut.filters * cut.positions for cut in cuts)
    return Counts(costs.parameters, costs.multiply_adds, seen * assumed.labels, maps, _moved(model, image), seen)


def table(images_per_second: float, assumed: Assumed | None = None, gpus: tuple[int, ...] = (1, 8)) -> pd.DataFrame:
    """A row for every number of GPUs, way to the images and stage.

    images_per_second: decoded, scaled and cut by one core. Columns: gpus, way, stage, passes (over all images);
    `<resource>_seconds` of each of `RESOURCES`; seconds (the largest of them), bottleneck (its name), gpu_hours (none
    where only cores work), cores (that decode), cores_to_keep_up (that would decode as fast as the GPUs take images),
    bytes_read (from the disk: in every pass what does not fit in memory), bytes_kept (what the stage leaves behind);
    then what was counted, and what is assumed.
    Raises `ValueError` unless the rate is above 0.
    """
    if not images_per_second > 0:
        raise ValueError(f"{images_per_second} images a second decoded: the plan needs a rate above 0")
    assumed = assumed or Assumed()
    counts = count(assumed)
    rows = [
        {"gpus": number, "way": way, "stage": stage} | _stage(counts, assumed, number, way, stage, images_per_second)
        for number in gpus
        for way in (ONCE, EVERY_PASS)
        for stage in ((DECODE,) if way == ONCE else ()) + (TRAIN, HEADS, MEASURE)
    ]
    about = dataclasses.asdict(counts) | {f"assumed_{k}": v for k, v in dataclasses.asdict(assumed).items()}
    return pd.DataFrame(rows).assign(decoded_per_second=images_per_second, **about)


def totals(plan: pd.DataFrame) -> pd.DataFrame:
    """Sums over the stages of a `table`: seconds, gpu_hours, bytes_read, bytes_kept, by gpus and way."""
    return plan.groupby(["gpus", "way"], sort=False)[["seconds", "gpu_hours", "bytes_read", "bytes_kept"]].sum()


def _stage(counts: Counts, assumed: Assumed, gpus: int, way: str, stage: str, rate: float) -> dict[str, object]:
    """Seconds of each resource for one stage, and what follows from them."""
    passes = {DECODE: 1, TRAIN: assumed.training_epochs, HEADS: assumed.head_epochs, MEASURE: 1}[stage]
    with_test = stage in (DECODE, MEASURE)
    images = passes * (assumed.images + with_test * assumed.test_images)
    trained = {TRAIN: counts.parameters, HEADS: counts.head_weights}.get(stage, 0)
    steps = passes * math.ceil(assumed.images / assumed.batch) if trained else 0
    trunk = 0 if stage == DECODE else 1 + BACKWARD * (stage == TRAIN)  # forward passes that the trunk costs
    head = {HEADS: 1 + BACKWARD, MEASURE: 1}.get(stage, 0)

    operations = trunk * counts.multiply_adds / assumed.peak + head * counts.head_multiply_adds / assumed.peak_float32
    moved = 2 * trunk * counts.moved_values + 4 * head * counts.seen_values  # bfloat16 and float32
    pixels, cores = 3 * assumed.side**2, assumed.cores * gpus
    decodes = stage == DECODE or way == EVERY_PASS
    stored = images / passes * (assumed.jpeg_bytes if decodes else pixels)
    bytes_read = stored * (1 if stored <= assumed.host_memory * gpus else passes)
    seconds = {
        "arithmetic": images / gpus * 2 * operations / assumed.peak_fraction,
        "memory": (images / gpus * moved + steps * 4 * UPDATE * trained) / (assumed.memory * assumed.memory_fraction),
        "links": steps * 2 * (gpus - 1) / gpus * 4 * trained / assumed.links,  # a ring all-reduce of the gradients
        "decoding": images / (cores * rate) if decodes else 0.0,
        "disk": bytes_read / assumed.disk,
    }
    bottleneck = max(seconds, key=seconds.__getitem__)
    on_gpus = max(seconds[name] for name in RESOURCES[:3])
    kept = {DECODE: images * pixels, MEASURE: 4 * assumed.labels * counts.seen_values}.get(stage, 4 * trained)
    return {"passes": passes} | {f"{name}_seconds": seconds[name] for name in RESOURCES} | {
        "seconds": seconds[bottleneck],
        "bottleneck": bottleneck,
        "gpu_hours": 0.0 if stage == DECODE else gpus * seconds[bottleneck] / 3600,
        "cores": cores if decodes else 0,
        "cores_to_keep_up": math.ceil(images / rate / on_gpus) if on_gpus else 0,
        "bytes_read": float(bytes_read),
        "bytes_kept": float(kept),
    }  # fmt: skip


@torch.no_grad()
def _moved(model: nn.Module, image: torch.Tensor) -> int:
    """Values that the modules without parts of their own read and write in a forward pass of an image."""
    values = 0

    def add(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal values
        values += sum(part.numel() for part in inputs) + output.numel()

    hooks = [part.register_forward_hook(add) for part in model.modules() if not list(part.children())]
    training = model.training
    try:
        model.eval()(image)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return values
