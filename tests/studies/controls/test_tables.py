"""Controls of the clusters: their tables against plain loops, and verdicts where the answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch

from singlefilter.method import clusters, fields, nulls, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.chance import tables as chance
from singlefilter.studies.controls import tables as controls
from singlefilter.studies.layers import tables

LAYERS = range(1, 14)


def matrices(run: stages.Run, layer: int, split: str = "train") -> torch.Tensor:
    (point,) = [p for p in stages.flat_points(run) if p.cut.layer == layer]
    return fields.field_matrices(
        stages.measurement(run, split).class_means[point.name], stages.heads(run)[0][point.name]
    )


def naive_sizes(ones: np.ndarray, order: list[int]) -> list[int]:
    """Sizes of the clusters of one matrix when labels are taken in this order: section 5 to the letter."""
    waiting, sizes = [label for label in order if ones[label, label]], []
    while waiting:
        cluster = [waiting[0]]
        for label in waiting[1:]:
            if all(ones[a, b] for a in [*cluster, label] for b in [*cluster, label]):
                cluster.append(label)
        sizes.append(len(cluster))
        waiting = [label for label in waiting if label not in cluster]
    return sizes


def test_thresholds(tiny):
    table = controls.thresholds(tiny, (0.2, 0.3, 0.6))
    assert len(table) == 3 * 13 and not table.duplicated(["layer", "threshold"]).any()
    assert set(table["threshold"][table["used"] > 0]) == {0.3}
    used = table[table["used"] > 0].set_index("layer")
    usual = tables.statistics_by_layer(tiny)
    usual = usual[usual["split"] == "train"].set_index("layer")
    for name in controls.COUNTED:
        for end in controls.ENDS:
            np.testing.assert_allclose(used[name + end], usual[name + end], equal_nan=True)
    decided = tables.layer_claims(tiny).set_index("claim")
    for claim, name in (("C2", "snr"), ("C3", "n")):
        ends = [f"tau_{name}{end}" for end in controls.ENDS]
        np.testing.assert_array_equal(used[ends].iloc[0], decided.loc[claim, ["value", "low", "high"]].astype(float))
    wide = table.pivot(index="layer", columns="threshold", values="S")
    assert (wide[0.2] >= wide[0.3]).all() and (wide[0.3] >= wide[0.6]).all()
    with pytest.raises(ValueError, match="threshold is 1.5"):
        controls.thresholds(tiny, (1.5,))


def test_label_orders(tiny):
    table = controls.label_orders(tiny, 4)
    rng = np.random.default_rng(tiny.profile.seed)
    orders = [list(range(5)), *(rng.permutation(5).tolist() for _ in range(4))]
    for layer in (2, 9):
        ones = clusters.clip(matrices(tiny, layer)).numpy()
        found = [[naive_sizes(one, order) for one in ones] for order in orders]
        number = np.array([[len(sizes) for sizes in of] for of in found])
        noise = np.array(
            [[one.sum() - sum(c * c for c in s) for one, s in zip(ones, of, strict=True)] for of in found]
        )
        covered = sum(map(sum, found[0]))
        expected = {
            "N_c": (number.mean(1), number),
            "n": (noise.mean(1), noise),
            "C_s": (covered / number.sum(1), number),
        }
        for row in table[table["layer"] == layer].itertuples():
            values, own = expected[row.quantity]
            assert (row.ascending, row.min, row.max) == pytest.approx((values[0], values[1:].min(), values[1:].max()))
            assert (row.mean, row.sd) == pytest.approx((values[1:].mean(), values[1:].std()))
            assert row.relative_change == pytest.approx(values[1:].mean() / values[0] - 1)
            assert row.changed == pytest.approx((own[1:] != own[0]).mean())
            assert row.changed_low <= row.changed <= row.changed_high
    assert table["changed"].max() > 0, "nothing ever changes: the labels were not taken in another order"
    with pytest.raises(ValueError, match="orders is 0"):
        controls.label_orders(tiny, 0)


def test_splits(tiny):
    table = controls.splits(tiny).set_index("layer")
    assert list(table.index) == list(LAYERS)
    usual = tables.statistics_by_layer(tiny).set_index(["split", "layer"])
    for layer in (1, 8):
        covered = [
            [{k for k in range(5) if one[k, k]} for one in clusters.clip(matrices(tiny, layer, split))]
            for split in ("train", "test")
        ]
        pairs = [pair for pair in zip(*covered, strict=True) if pair[0] | pair[1]]
        row = table.loc[layer]
        assert row["jaccard"] == pytest.approx(np.mean([len(a & b) / len(a | b) for a, b in pairs]))
        by_chance = [len(a) * len(b) / 5 for a, b in pairs]
        assert row["chance"] == pytest.approx(
            np.mean([e / (len(a) + len(b) - e) for e, (a, b) in zip(by_chance, pairs, strict=True)])
        )
        assert row["kept"] == pytest.approx(sum(len(a & b) for a, b in pairs) / sum(len(a) for a, _ in pairs))
        assert row["filters_compared"] == len(pairs)
        for name in ("n", "S", "dprime"):
            ratio = usual.loc[("test", layer), name] / usual.loc[("train", layer), name]
            assert row[f"{name}_ratio"] == pytest.approx(ratio, rel=1e-6)
            assert row[f"{name}_ratio_low"] <= row[f"{name}_ratio"] <= row[f"{name}_ratio_high"]


def test_seeds_of_a_finished_run(tiny):
    table = controls.seeds(tiny, (tiny.profile.seed,))
    assert set(table["training_seed"]) == {tiny.profile.seed} and len(table) == 26
    accuracy = tables.accuracy_by_layer(tiny).query("head == 'flat'").set_index("layer")
    test = table[table["split"] == "test"].set_index("layer")
    np.testing.assert_array_equal(test[["accuracy", "accuracy_low"]], accuracy[["accuracy", "low"]])
    usual = tables.statistics_by_layer(tiny).query("split == 'test'").set_index("layer")
    np.testing.assert_array_equal(test["snr_high"], usual["snr_high"])
    other = controls.with_seed(tiny, 7)
    assert other.profile.seed == 7 and other.profile.training == tiny.profile.training


def test_found_beside_chance(tiny):
    table = chance.clusters_are_real(tiny, with_untrained=False, draws=3)
    assert table.groupby("layer").size().eq(3).all()
    assert set(table["model"]) == {chance.FOUND, *chance.CHANCE}
    wide = table.pivot(index="layer", columns="model")
    usual = tables.statistics_by_layer(tiny).set_index(["split", "layer"]).loc["train"]
    for name in ("C_s", "N_c", "n", "snr"):
        np.testing.assert_allclose(wide[name][chance.FOUND], usual[name])
    # As many ones on and off the diagonal, so the same SNR, and the same interval of the same filters.
    np.testing.assert_allclose(wide["snr"][chance.RANDOM], wide["snr"][chance.FOUND])
    for model in chance.CHANCE:
        for name in chance.JUDGED:
            difference = wide[name][chance.FOUND] - wide[name][model]
            np.testing.assert_allclose(wide[f"{name}_above"][model], difference, atol=1e-12)
    assert set(table["verdict"]) <= set(chance.VERDICTS[1:]), "above all nulls takes the untrained trunk"
    layer = 8
    drawn = nulls.permuted_labels(
        matrices(tiny, layer), int(np.random.default_rng((tiny.profile.seed, layer)).integers(2**31, size=3)[0])
    )
    sizes = [naive_sizes(one, list(range(5))) for one in clusters.clip(drawn).numpy()]
    first = controls.count_variants(
        tiny, lambda m, rng: [clusters.clip(nulls.permuted_labels(m, int(rng.integers(2**31, size=3)[0])))]
    )[layer][0]
    assert first["shared"].tolist() == [sum(size for size in of if size > 1) for of in sizes]
    assert first["largest"].tolist() == [max(of, default=0) for of in sizes]
    with pytest.raises(ValueError, match="draws is 0"):
        chance.clusters_are_real(tiny, draws=0)


def planted(size: int, seed: int, filters: int = 40, labels: int = 24) -> pd.DataFrame:
    """Counts of filters with two clusters of `size` labels each, and a little noise."""
    rng = np.random.default_rng(seed)
    ones = rng.random((filters, labels, labels)) < 0.02
    ones[:, range(labels), range(labels)] = False
    for one in ones:
        for members in rng.permutation(labels)[: 2 * size].reshape(2, size):
            one[np.ix_(members, members)] = True
    return controls._count(torch.from_numpy(ones))


@pytest.mark.parametrize(
    ("untrained", "permuted", "random", "verdict"),
    [
        (1, 1, 1, "above all nulls"),
        (4, 1, 1, "above chance only"),
        (2, 4, 1, "not above chance"),
        (0, 1, 4, "not above chance"),
    ],
)
def test_verdicts_where_the_answer_is_known(untrained, permuted, random, verdict):
    of = {
        chance.FOUND: [planted(4, 0)],
        chance.PERMUTED: [planted(permuted, 1), planted(permuted, 2)],
        chance.RANDOM: [planted(random, 3)],
    }
    dprime = {chance.FOUND: np.random.default_rng(0).normal(2, 1, 300)}
    if untrained:
        of[chance.UNTRAINED] = [planted(untrained, 4)]
        dprime[chance.UNTRAINED] = np.random.default_rng(1).normal(0, 1, 300)
    rows = pd.DataFrame(chance._compared(of, dprime, 24, 400, 0)).set_index("model")
    assert set(rows["verdict"]) == {verdict}
    assert rows.loc[chance.FOUND, "dprime"] == pytest.approx(2, abs=0.2)
    assert rows.loc[chance.FOUND, [f"{name}_above" for name in chance.JUDGED]].isna().all()
    if untrained:
        assert (
            0
            < rows.loc[chance.UNTRAINED, "dprime_above_low"]
            < 2
            < rows.loc[chance.UNTRAINED, "dprime_above_high"] + 0.4
        )


def test_the_same_filters_are_drawn_on_both_sides():
    """Against itself, a model is apart by exactly nothing in every resample."""
    counted = planted(3, 5)
    one, again = (chance._resampled([counted, counted], 24, 100, (3,)) for _ in range(2))
    other = chance._resampled([counted, counted], 24, 100, (3, 1))
    for name in one[1]:
        np.testing.assert_array_equal(one[1][name], again[1][name])
        assert len(one[1][name]) == 100
        assert name != "n" or (one[1][name] != other[1][name]).any()
    expected = statistics.layer_statistics(counted, 24)
    assert one[0]["C_s"] == pytest.approx(expected["C_s"])
    sizes = counted["shared"].sum() / counted["covered"].sum()
    assert one[0]["shared"] == pytest.approx(sizes)


def test_the_untrained_run_differs_in_training_alone(tiny):
    other = chance.untrained(tiny)
    assert other.profile.training.epochs == 0 and other.profile.name == "tiny-untrained"
    assert other.profile.heads == tiny.profile.heads and other.profile.data == tiny.profile.data
