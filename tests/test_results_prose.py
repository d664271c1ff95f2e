"""What the results page says between its tables: each number is that of a committed table, and none is left over."""

import re

import pandas as pd
import pytest

from singlefilter.profiles import load
from tests.pages import csv, number, percent, section, words

PAGE = "docs/results.md"
MOMENT = "moment == 'after'"


def last_accuracy(profile: str) -> float:
    return csv(profile, "curves").query("split == 'test'")["accuracy"].iloc[-1]


def last_heads(profile: str) -> pd.DataFrame:
    return csv(profile, "masked_heads").query(f"layer == 13 and {MOMENT}").set_index(["method", "threshold"])


def small(profile: str) -> pd.DataFrame:
    return csv(profile, "smaller_networks").query(MOMENT).set_index("design")


def points(*values: float) -> str:
    return ", ".join(f"{100 * value:.1f}" for value in values)


def on_cifar100() -> list[str]:
    null = csv("laptop", "clusters_are_real").set_index(["layer", "model"])["dprime"]
    assert abs(null[13, "untrained trunk"]) < 0.05
    return [
        f"test accuracy of the whole network after the last epoch {percent(last_accuracy('laptop'))}",
        f"d′ close to 0 at layer 13, {null[13, 'found']:.1f} after training",
    ]


def smaller_and_faster() -> list[str]:
    heads, networks = last_heads("laptop"), small("laptop")
    afcc = heads.loc["afcc"]
    random = sorted(100 * heads.loc[(method, 0.3), "accuracy"] for method in ("random", "random afcc"))
    loss, ahead = afcc.loc[0.1], heads.loc[("magnitude", 0.1)]
    cut, multiply_adds = networks.loc["cut 10"], networks["multiply_adds"] / networks.loc["dense", "multiply_adds"]
    pruned = networks.index.str.endswith(" 0.4") & ~networks.index.str.startswith("cut")
    assert ((multiply_adds[pruned] - 0.4).abs() < 0.01).all()
    return [
        f"All {len(networks)} networks",
        f"AFCC keeps {percent(afcc.loc[0.3, 'kept_fraction'])} of the connections and an accuracy of "
        f"{percent(afcc.loc[0.3, 'accuracy'])}, where random masks of the same size leave {random[0]:.0f} to "
        f"{random[1]:.0f} % and the dense head, retrained the same way, has "
        f"{percent(heads.loc['dense', 'accuracy'].iloc[0])}.",
        f"it keeps {percent(loss['kept_fraction'], 0)} and loses {points(-loss['difference'])} points "
        f"[{points(-loss['difference_high'], -loss['difference_low'])}]",
        f"ahead of magnitude pruning by {points(ahead['ahead'])} points "
        f"[{points(ahead['ahead_low'], ahead['ahead_high'])}]",
        f"{percent(cut['parameters_part'], 0)} of the parameters are left at {points(-cut['difference'])} points",
    ]


def at_the_papers_width() -> list[str]:
    return [f"accuracy after the last epoch, {percent(last_accuracy('laptop-d64'))}, is below"]


def smaller_at_the_papers_width() -> list[str]:
    heads, networks = last_heads("laptop-d64"), small("laptop-d64")
    kept, right = heads["kept_fraction"], heads["accuracy"]
    drawn = " and ".join(f"{100 * right[method, 0.3]:.1f}" for method in ("random", "random afcc"))
    ahead = [100 * (right["magnitude", limit] - right["afcc", limit]) for limit in (0.1, 0.2, 0.3, 0.5)]
    cut = networks.loc["cut 10"]
    table = csv("laptop-d64", "masked_convolutions").query(MOMENT)
    size, lost = (100 * table.query("method == 'afcc'")[name].abs() for name in ("kept_fraction", "difference"))
    others = 100 * table.query("method in ['random', 'magnitude']")["ahead"].abs().max()
    return [
        f"as trained, {percent(last_accuracy('laptop-d64'))}",
        f"nearly three times, with {percent(networks.loc['cut 10, l1 0.4', 'parameters_part'], 0)} of the parameters",
        f"{percent(cut['parameters_part'], 0)} of the parameters and {cut['speedup_1']:.2f} times as fast at "
        f"{points(-cut['difference'])} points less",
        f"keeps {percent(kept['afcc', 0.3])} of the connections and an accuracy of {percent(right['afcc', 0.3])} "
        f"(dense, retrained the same way: {percent(right['dense'].iloc[0])}; random masks: {drawn} %)",
        f"at a threshold of 0.1 it keeps {percent(kept['afcc', 0.1], 0)} and {percent(right['afcc', 0.1])}",
        f"Magnitude pruning is {min(ahead):.1f} to {max(ahead):.1f} points ahead",
        f"with {size.min():.0f} to {size.max():.0f} % of the kernels between layers 12 and 13",
        f"AFCC loses {lost.min():.1f} to {lost.max():.1f} points",
        f"within {-(-others // 0.1) / 10:.1f} points of it after retraining",
        f"not where it keeps {size.max():.0f} %",
    ]


def second_architecture() -> list[str]:
    claims = csv("laptop-efficientnet", "claims").set_index("claim")[["value", "low", "high"]]
    said = {claim: number(*row, minus="-") for claim, row in zip(claims.index, claims.to_numpy(), strict=True)}
    return [
        f"Test accuracy after the last epoch {percent(last_accuracy('laptop-efficientnet'))}.",
        f"(tau {said['C1']})",
        f"C2 ({said['C2']}) and C3 ({said['C3']}) are undecided",
    ]


def ready_network() -> list[str]:
    accuracy = csv("laptop-imagenet", "accuracy_by_layer").set_index("layer")
    flat = accuracy["accuracy"]
    assert flat.idxmax() == 9 and flat.drop(2).is_monotonic_increasing and flat[2] < flat[1]
    assert accuracy["fan_in"][2] * 2 == accuracy["fan_in"][1] and accuracy["fan_in"].idxmax() == 9
    measured = csv("laptop-imagenet", "statistics_by_layer").pivot(index="layer", columns="split")
    for split in ("train", "test"):
        assert measured["dprime"][split].is_monotonic_increasing
        assert measured["snr"][split].loc[7:].is_monotonic_increasing and measured["snr"][split].idxmax() == 9
        assert not measured["snr"][split].loc[:6].is_monotonic_increasing and measured["n"][split].idxmin() == 9
    return [
        f"{percent(flat[1])} after layer 1, {percent(flat[6])} after layer 6 and {percent(flat[9])} after layer 9, "
        f"where {accuracy['fan_in'][9]:,} inputs make the largest head"
    ]


def number_of_labels() -> list[str]:
    table = csv("glyphs-1000", "statistics_by_labels").set_index(["layer", "labels"]).loc[8]
    few, many = table.loc[3], table.loc[1000]
    trends = csv("laptop", "trends_by_labels").query("labels == 40").groupby("layer")["accuracy"].mean()
    forty = [f"{100 * value:.1f}" for value in trends.sort_index().iloc[-3:]]
    return [
        f"a cluster has {few['C_s']:.1f} labels with K = 3 and {many['C_s']:.1f} with K = 1,000, and a filter "
        f"{few['N_c']:.1f} and {many['N_c']:.1f} clusters",
        f"smallest tau {smallest_tau('glyphs-1000'):.2f}",
        f"K = 40 ({forty[0]}, {forty[1]} and {forty[2]} %)",
    ]


def smallest_tau(profile: str) -> float:
    """Over numbers of labels and over accuracy and SNR: mean over networks at each layer, then Kendall's tau."""
    means = csv(profile, "trends_by_labels").groupby(["labels", "layer"])[["accuracy", "snr"]].mean()
    taus = []
    for _, of in means.groupby("labels"):
        for name in ("accuracy", "snr"):
            values = of[name].to_list()
            pairs = [(a < b) - (a > b) for i, a in enumerate(values) for b in values[i + 1 :]]
            taus.append(sum(pairs) / len(pairs))
    return min(taus)


SAID = {
    "Results on CIFAR-100": on_cifar100,
    "Smaller and faster?": smaller_and_faster,
    "The paper's width, briefly trained": at_the_papers_width,
    "Smaller and faster at the paper's width?": smaller_at_the_papers_width,
    "A second architecture, briefly trained": second_architecture,
    "ImageNet photographs, on a ready network": ready_network,
    "From 3 to 1,000 labels": number_of_labels,
}
# Settings, not results: thresholds, budgets, coverage of intervals, and what public repositories report.
SETTINGS = (
    "with 95 % intervals over filters",
    "with a 95 % interval",
    "0.4 of the dense network's",
    "At a threshold of 0.1",
    "thresholds of 0.3 and 0.5",
    "the public band of 72.5 to 75 %",
    "networks with 0.4 of the multiply-adds",
)


@pytest.mark.parametrize("heading", SAID)
def test_what_is_said_follows_from_the_committed_tables(heading):
    text = words(section(PAGE, heading))
    assert [phrase for phrase in SAID[heading]() if phrase not in text] == []


@pytest.mark.parametrize("heading", SAID)
def test_no_measured_number_is_left_untested(heading):
    """Decimal numbers and percentages, that is; counts of layers, seeds and epochs are settings."""
    text = words(section(PAGE, heading))
    for phrase in sorted([*SAID[heading](), *SETTINGS], key=len, reverse=True):
        text = text.replace(phrase, "")
    assert re.findall(r".{0,30}(?:\d\.\d|\d %).{0,20}", text) == []


def test_layers_where_clusters_are_more_than_chance():
    for profile, first, total in (("laptop", 6, 13), ("laptop-d64", 5, 13), ("laptop-efficientnet", 4, 9)):
        table = csv(profile, "clusters_are_real")
        verdict = table.groupby("layer")["verdict"].first()
        assert verdict[verdict != "not above chance"].index.to_list() == list(range(first, total + 1))
        size = table.pivot(index="layer", columns="model", values="C_s")
        if total == 9:
            assert set(verdict.loc[first:]) == {"above all nulls"}
        else:
            larger = size.index[size["untrained trunk"] > size["found"]]
            assert set(range(8 if profile == "laptop" else 5, 14)) <= set(larger)


@pytest.mark.parametrize("profile", ["laptop", "laptop-d64"])
def test_snr_peaks_at_layer_12(profile):
    measured = csv(profile, "statistics_by_layer")
    assert set(measured.set_index("layer").groupby("split")["snr"].idxmax()) == {12}
    if profile == "laptop":
        assert set(measured.set_index("layer").groupby("split")["dprime"].idxmax()) == {12}
        assert set(csv(profile, "seeds").set_index("layer").groupby(["training_seed", "split"])["snr"].idxmax()) == {
            12
        }


def test_what_is_said_of_heads_and_convolutions():
    heads = csv("laptop", "masked_heads").query(f"{MOMENT} and method == 'magnitude'")
    last = heads.query("layer == 13").set_index("threshold")
    assert last.loc[0.1, "ahead_low"] > 0
    assert ((last["ahead_low"] < 0) & (last["ahead_high"] > 0))[[0.2, 0.3, 0.5]].all()
    assert (heads.query("layer < 13 and threshold == 0.3")["ahead_high"] < 0).all()
    convolutions = csv("laptop", "masked_convolutions").query(MOMENT)
    ahead = {method: rows["ahead"] for method, rows in convolutions.groupby("method")}
    assert len(ahead["random"]) == 9 and (ahead["random"].abs() < 0.01).sum() == 8
    assert (ahead["magnitude"] < 0).all()
    wide = last_heads("laptop-d64").loc["magnitude"]
    assert wide.index[wide["ahead_high"] < 0].to_list() == [0.3, 0.5]


def test_masks_right_after_masking_at_the_papers_width():
    before = csv("laptop-d64", "masked_convolutions").query("moment == 'before'")
    before = before.pivot(index="overlap", columns="method", values="accuracy")
    ahead = before["afcc"] - before["random"]
    assert (ahead[[2, 3]] > 0.05).all() and ahead[1] < 0


def test_the_flat_head_after_stage_4_reads_most():
    accuracy = csv("laptop-efficientnet", "accuracy_by_layer").set_index(["layer", "head"])["accuracy"]
    assert accuracy[:, "flat"].idxmax() == 4 and accuracy.xs("pooled", level="head").loc[:7].is_monotonic_increasing


def test_what_is_said_of_smaller_networks():
    dense, wide = small("laptop"), small("laptop-d64")
    pruned = wide.index.str.endswith("0.4")
    cut = wide.index.str.startswith("cut") & pruned
    assert (wide.loc[pruned & ~cut, "speedup_1"].between(2.05, 2.2)).all() and (
        wide.loc[cut, "speedup_1"] > 2.8
    ).all()
    assert (-100 * wide.loc[pruned, "difference"]).between(2.9, 5.2).all()
    chosen = [name for name in wide.index[pruned] if "random" not in name]
    assert (-100 * dense.loc[chosen, "difference"]).between(6, 9).all()


def test_settings_are_those_of_the_profiles():
    profile = load("laptop-d64")
    assert f"{profile.training.epochs} epochs where" in words(section(PAGE, "The paper's width, briefly trained"))
    assert f"heads, {profile.heads.epochs} epochs" in words(section(PAGE, "The paper's width, briefly trained"))
    assert load("laptop").training.epochs == 60 and "60 epochs, seed 1" in words(
        section(PAGE, "Results on CIFAR-100")
    )
