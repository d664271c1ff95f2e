"""The plan for all of ImageNet: what is counted against counts by hand, its arithmetic, how decoding is timed, its
figure, and that CONTRIBUTING.md says what the committed table says."""

import io
import json
import re
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks import cases, decoding, run
from PIL import Image
from torch import nn

from singlefilter.figures import files, registry
from singlefilter.studies.cost import imagenet_plan
from singlefilter.studies.cost.imagenet_plan import DECODE, EVERY_PASS, HEADS, MEASURE, ONCE, TRAIN, Assumed, Counts

ROOT = Path(__file__).resolve().parents[3]
SIDES = [(32, 112), (16, 112), (24, 56), (40, 28), (80, 14), (112, 14), (192, 7), (320, 7), (1280, 7)]
FEW = Counts(
    parameters=10, multiply_adds=1000, head_weights=50, map_values=30, moved_values=200, seen_values=5
)  # fmt: skip
PLAIN = Assumed(
    images=90, test_images=10, labels=10, side=2, jpeg_bytes=30, training_epochs=4, head_epochs=3, batch=20, peak=1e4,
    peak_float32=1e3, peak_fraction=0.5, memory=1e4, memory_fraction=0.25, links=100, disk=100, cores=2,
    host_memory=999,
)  # fmt: skip


@pytest.fixture
def few(monkeypatch) -> None:
    """A network of a handful of operations, so that a row can be worked out by hand."""
    monkeypatch.setattr(imagenet_plan, "count", lambda assumed: FEW)


def row(plan: pd.DataFrame, gpus: int, way: str, stage: str) -> pd.Series:
    (found,) = plan[(plan["gpus"] == gpus) & (plan["way"] == way) & (plan["stage"] == stage)].itertuples(index=False)
    return pd.Series(found._asdict())


def test_counts_of_the_network():
    counts = imagenet_plan.count(Assumed())
    assert counts.parameters == 5_288_548
    assert 380e6 < counts.multiply_adds < 400e6  # its authors give 0.39 billion
    assert counts.map_values == sum(filters * side**2 for filters, side in SIDES)
    # A flat head sees a map as it is up to 65,536 values, and 7 x 7 averages of a larger one.
    seen = [filters * (side if filters * side**2 <= 2**16 else 7) ** 2 for filters, side in SIDES]
    assert (counts.seen_values, counts.head_weights) == (sum(seen), 1000 * sum(seen))
    assert counts.moved_values > 2 * counts.map_values


def test_moved_values_are_what_goes_into_and_comes_out_of_each_module():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())).train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert imagenet_plan._moved(model, torch.zeros(1, 3, 8, 8)) == 64 * (3 + 4 + 4 * 4)
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_a_row_by_hand(few):
    plan = imagenet_plan.table(5.0, PLAIN)
    train = row(plan, 8, EVERY_PASS, TRAIN)  # 4 passes of 90 images, 5 steps each
    assert train["arithmetic_seconds"] == pytest.approx(360 / 8 * 3 * 2 * 1000 / (1e4 * 0.5))
    assert train["memory_seconds"] == pytest.approx((360 / 8 * 3 * 2 * 200 + 20 * 8 * 4 * 10) / (1e4 * 0.25))
    assert train["links_seconds"] == pytest.approx(20 * 2 * 7 / 8 * 4 * 10 / 100)
    assert train["decoding_seconds"] == pytest.approx(360 / (16 * 5))
    assert train["disk_seconds"] == pytest.approx(90 * 30 / 100)  # 2,700 bytes fit beside 8 GPUs
    assert (train["seconds"], train["bottleneck"]) == (train["arithmetic_seconds"], "arithmetic")
    assert train["gpu_hours"] == pytest.approx(8 * train["seconds"] / 3600)
    assert train["cores_to_keep_up"] == 2  # 360 images in 54 seconds, 5 a second each
    heads = row(plan, 1, ONCE, HEADS)
    assert heads["arithmetic_seconds"] == pytest.approx(270 * 2 * (1000 / 1e4 + 3 * 50 / 1e3) / 0.5)
    assert heads["memory_seconds"] == pytest.approx((270 * (2 * 200 + 4 * 3 * 5) + 15 * 8 * 4 * 50) / (1e4 * 0.25))
    assert (heads["links_seconds"], heads["decoding_seconds"], heads["cores"]) == (0, 0, 0)
    assert heads["bytes_read"] == 3 * 90 * 12  # pixels, which do not fit beside one GPU, in each of 3 passes
    assert heads["bytes_kept"] == 4 * 50
    measure = row(plan, 1, ONCE, MEASURE)
    assert measure["arithmetic_seconds"] == pytest.approx(100 * 2 * (1000 / 1e4 + 50 / 1e3) / 0.5)
    assert measure["bytes_kept"] == 4 * 10 * 5
    decode = row(plan, 1, ONCE, DECODE)
    assert (decode["bytes_read"], decode["bytes_kept"]) == (100 * 30, 100 * 12)
    assert decode["decoding_seconds"] == pytest.approx(100 / (2 * 5))
    assert (decode["gpu_hours"], decode["cores_to_keep_up"]) == (0, 0)


def test_every_row_is_as_long_as_its_slowest_resource(few):
    plan = imagenet_plan.table(5.0, PLAIN)
    seconds = plan[[f"{name}_seconds" for name in imagenet_plan.RESOURCES]]
    np.testing.assert_array_equal(plan["seconds"], seconds.max(axis=1))
    assert (plan["bottleneck"] + "_seconds").tolist() == seconds.idxmax(axis=1).tolist()
    assert plan.groupby(["gpus", "way"]).size().to_dict() == {
        (gpus, way): count for gpus in (1, 8) for way, count in ((ONCE, 4), (EVERY_PASS, 3))
    }
    assert set(plan["assumed_batch"]) == {20} and set(plan["multiply_adds"]) == {1000}
    sums = imagenet_plan.totals(plan)
    assert sums.loc[(8, ONCE), "gpu_hours"] == plan[(plan["gpus"] == 8) & (plan["way"] == ONCE)]["gpu_hours"].sum()


def test_faster_decoding_takes_less_time_and_fewer_cores(few):
    slow, fast = (imagenet_plan.table(rate, PLAIN) for rate in (0.5, 1.0))
    np.testing.assert_allclose(slow["decoding_seconds"], 2 * fast["decoding_seconds"])
    assert (slow["cores_to_keep_up"] >= fast["cores_to_keep_up"]).all()
    busy = slow[slow["stage"] != DECODE]
    on_gpus = busy[["arithmetic_seconds", "memory_seconds", "links_seconds"]].max(axis=1)
    images = busy["passes"] * np.where(busy["stage"] == MEASURE, 100, 90)
    assert (images / (busy["cores_to_keep_up"] * 0.5) <= on_gpus).all()
    assert (images / ((busy["cores_to_keep_up"] - 1).clip(lower=1e-9) * 0.5) > on_gpus).all()


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_that_is_none(rate):
    with pytest.raises(ValueError, match="the plan needs a rate above 0"):
        imagenet_plan.table(rate)


# how decoding is timed


def test_images_have_the_size_they_should():
    made = decoding.jpegs(cases.SMALL)
    assert len(made) == 2 and made[0] != made[1]
    for image in made:
        assert abs(len(image) / cases.SMALL.jpeg_bytes - 1) < 0.1
        assert Image.open(io.BytesIO(image)).size == (500, 375)
    assert decoding.jpegs(cases.SMALL) == made


def test_both_decoders_give_the_same_pixels():
    image = decoding.jpegs(cases.SMALL)[0]
    one, other = (decode(image, 96).astype(float) for decode in (decoding.by_pillow, decoding.by_torchvision))
    assert one.shape == (3, 96, 96)
    assert np.abs(one - other).mean() < 0.1


def test_rates_are_of_processor_time_in_turn(monkeypatch):
    now, order = [0.0], []

    def decoder(name: str, seconds: list[float]):
        left = iter([0.0, *seconds])  # the first call compares pixels

        def decode(image: bytes, side: int) -> np.ndarray:
            order.append(name)
            now[0] += next(left)
            return np.zeros((3, side, side))

        return decode

    monkeypatch.setattr(decoding, "time", types.SimpleNamespace(process_time=lambda: now[0]))
    sizes = cases.Sizes(jpeg_rounds=3)
    decoders = {"a": decoder("a", [0.5, 0.25, 1.0]), "b": decoder("b", [2.0, 2.0, 2.0])}
    found = decoding.rates(decoders, [b""], sizes)
    assert order == ["a", "b"] * 4
    assert found["a_per_second"] == 2 and found["b_per_second"] == 0.5
    assert found["a_per_second_low"] < 2 < found["a_per_second_high"]


def test_decoders_that_disagree_are_not_compared():
    decoders = {"a": lambda image, side: np.zeros(3), "b": lambda image, side: np.ones(3)}
    with pytest.raises(AssertionError, match=r"two decoders differ by 1\.0 of 255"):
        decoding.rates(decoders, [b""], cases.SMALL)


def test_the_benchmark_writes_table_chart_and_provenance(tmp_path, home, capsys):
    assert run.main(["--only", "imagenet_plan", "--small", "--folder", str(tmp_path)]) == 0
    assert "images/s of a core" in capsys.readouterr().out
    plan = files.read_table(tmp_path / "imagenet_plan.csv")
    assert len(plan) == 14 and (plan["pillow_per_second"] > 0).all() and (plan["load"] >= 0).all()
    assert set(plan["decoded_per_second"]) == set(plan["pillow_per_second"])
    assert json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8")).keys() == {"imagenet_plan"}
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*g")}
    assert set(before) == {"imagenet_plan.png", "imagenet_plan.svg"}
    files.redraw(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


# what is committed

COMMITTED = ROOT / "figures" / "benchmarks" / "imagenet_plan.csv"


def test_the_chart_marks_every_resource_and_the_slowest_last():
    plan = files.read_table(COMMITTED)
    fig = registry.OF_A_MACHINE["imagenet_plan"].drawn(plan)
    panels = [ax for ax in fig.axes if ax.lines]
    assert len(panels) == 4
    assert "GPU-hours in all" in panels[0].get_title(loc="left")
    for ax, (_, rows) in zip(panels, plan.groupby(["gpus", "way"], sort=False), strict=True):
        drawn = {line.get_label(): line.get_xdata() for line in ax.lines if line.get_label()[0] != "_"}
        for name in imagenet_plan.RESOURCES:
            hours = rows[f"{name}_seconds"] / 3600
            np.testing.assert_allclose(drawn[name], hours[hours >= 0.003])
        ends = [line.get_xdata()[-1] for line in ax.lines if line.get_label()[0] == "_"]
        np.testing.assert_allclose(ends, rows["seconds"] / 3600)


def section() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.split("## What all of ImageNet costs\n", 1)[1].split("\n## ", 1)[0]


def test_the_table_in_the_text_is_that_of_the_plan():
    plan = files.read_table(COMMITTED)
    lines = [line for line in section().splitlines() if line.startswith("|")][2:]
    said = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    expected = []
    for (gpus, way), sums in imagenet_plan.totals(plan).iterrows():
        train, heads = (row(plan, gpus, way, stage) for stage in (TRAIN, HEADS))
        expected.append(
            [f"{gpus}", way]
            + [f"{one['seconds'] / 3600:.1f} ({one['bottleneck']})" for one in (train, heads)]
            + [f"{sums['seconds'] / 3600:.1f}", f"{sums['gpu_hours']:.0f}", f"{sums['bytes_read'] / 1e12:.1f}"]
        )
    assert said == expected


def test_the_numbers_in_the_text_are_those_of_the_plan():
    plan, words = files.read_table(COMMITTED), " ".join(section().split())
    one = row(plan, 1, ONCE, TRAIN)
    decode = row(plan, 1, ONCE, DECODE)
    phrases = [
        f"{one['pillow_per_second']:.0f} images a second of a core's time with Pillow",
        f"{one['torchvision_per_second']:.0f} with torchvision",
        f"({one['machine']}, {one['cores_here']} cores, a load of {one['load']:.1f}",
        f"{one['assumed_jpeg_bytes'] / 1000:.0f} kB each",
        f"{one['multiply_adds'] / 1e6:.0f} million multiply-adds",
        f"{one['parameters'] / 1e6:.1f} million parameters",
        f"{one['map_values'] * 2 / 1e6:.1f} MB of maps at the nine cuts",
        f"{one['moved_values'] * 2 / 1e6:.0f} MB read and written",
        f"{one['head_weights'] / 1e6:.0f} million weights, {one['head_weights'] * 4 / 1e6:.0f} MB",
        f"{one['assumed_peak_fraction']:.0%} of {one['assumed_peak'] / 1e12:.0f} TFLOP/s".replace("%", " %"),
        f"{one['assumed_peak_float32'] / 1e12:.0f} TFLOP/s in float32",
        f"{one['assumed_memory_fraction']:.0%} of {one['assumed_memory'] / 1e12:.2f} TB/s".replace("%", " %"),
        f"{one['assumed_links'] / 1e9:.0f} GB/s between GPUs",
        f"{one['assumed_disk'] / 1e9:.0f} GB/s from the disk",
        f"{one['assumed_cores']} cores and {one['assumed_host_memory'] / 2**30:.0f} GiB",
        f"{one['assumed_training_epochs']} epochs of training and {one['assumed_head_epochs']} of heads",
        f"batches of {one['assumed_batch']:,}",
        f"{decode['seconds'] / 60:.0f} minutes",
        f"{decode['bytes_kept'] / 1e9:.0f} GB",
        f"{one['cores_to_keep_up']} cores in training",
        f"{row(plan, 1, ONCE, HEADS)['cores_to_keep_up']} while heads are trained",
        f"{row(plan, 1, ONCE, MEASURE)['bytes_kept'] / 1e6:.0f} MB of class means",
    ]
    assert [phrase for phrase in phrases if phrase not in words] == []
    assert len(re.findall(r"\d+", words)) > 40
