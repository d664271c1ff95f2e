"""Counts of filters and statistics of layers against loops over matrices and resamples, and known answers."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from singlefilter.method import clusters, statistics

quick = settings(max_examples=40, deadline=None)


QUANTITIES = ["N_c", "C_s", "n", "S", "X_internal", "X_external", "snr", "N_c_clustered", "n_clustered"]


def random_layer(seed: int, filters: int = 12, labels: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clipped = rng.random((filters, labels, labels)) < rng.choice([0, 0.2, 0.6, 0.9], size=(filters, 1, 1))
    return clipped, clusters.find(clipped)


def naive_counts(clipped: np.ndarray, found: np.ndarray) -> list[dict[str, int]]:
    rows = []
    for index, (ones, numbers) in enumerate(zip(clipped, found, strict=True)):
        row = dict.fromkeys(["clusters", "covered", "inside", "internal", "noise", "ones"], 0)
        row["clusters"] = len(set(numbers.tolist()) - {-1})
        labels = range(len(numbers))
        row["covered"] = sum(numbers[i] >= 0 for i in labels)
        for i in labels:
            for j in labels:
                same = numbers[i] >= 0 and numbers[i] == numbers[j]
                row["ones"] += int(ones[i, j])
                row["inside"] += int(ones[i, j] and same)
                row["internal"] += int(ones[i, j] and same and i != j)
                row["noise"] += int(ones[i, j] and not same)
        rows.append({"filter": index, **row})
    return rows


def naive_layer(rows: list[dict[str, int]], labels: int) -> dict[str, float]:
    """Section 6, by loops over filters; NaN and infinity by the definitions of the docstring."""

    def divide(a: float, b: float) -> float:
        return a / b if b else (np.inf if a else np.nan)

    filters = len(rows)
    clustered = [row for row in rows if row["clusters"]]
    number, covered = sum(r["clusters"] for r in rows), sum(r["covered"] for r in rows)
    internal, noise = sum(r["internal"] for r in rows), sum(r["noise"] for r in rows)
    n_c, c_s = number / filters, divide(covered, number)
    support = filters * n_c * c_s / labels if number else 0.0
    inner, outer = internal / (labels * (labels - 1)), noise / (labels * (labels - 1))
    return {
        "N_c": n_c,
        "C_s": c_s,
        "n": noise / filters,
        "S": support,
        "X_internal": inner,
        "X_external": outer,
        "snr": divide(support, inner + outer),
        "N_c_clustered": divide(number, len(clustered)),
        "n_clustered": divide(sum(r["noise"] for r in clustered), len(clustered)),
    }


@quick
@given(st.integers(0, 2**32 - 1))
def test_counts_are_those_of_a_loop_over_elements(seed):
    clipped, found = random_layer(seed)
    counts = statistics.count_filters(clipped, found)
    assert counts.to_dict("records") == naive_counts(clipped, found)
    assert (counts["ones"] == counts["inside"] + counts["noise"]).all()
    assert (counts.dtypes == np.int64).all()
    as_tensors = statistics.count_filters(torch.from_numpy(clipped), torch.from_numpy(found))
    pd.testing.assert_frame_equal(counts, as_tensors)


def test_counts_of_a_matrix_known_by_heart():
    clipped = np.zeros((2, 4, 4), bool)
    clipped[0, :2, :2] = True  # one cluster of two
    clipped[0, 3, 3] = True  # one alone
    clipped[0, 0, 3] = True  # noise between clusters
    clipped[0, 2, 1] = True  # noise of a label in no cluster
    counts = statistics.count_filters(clipped, clusters.find(clipped))
    assert counts.iloc[0].tolist() == [0, 2, 3, 5, 2, 2, 7]
    assert counts.iloc[1].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert len(statistics.count_filters(clipped[:0], clusters.find(clipped[:0]))) == 0


def test_clusters_of_other_matrices_are_refused():
    clipped, found = random_layer(3)
    with pytest.raises(ValueError, match="same threshold"):
        statistics.count_filters(clipped, np.full_like(found, -1))
    with pytest.raises(ValueError, match=r"\[filters, K\]"):
        statistics.count_filters(clipped, found[:-1])
    with pytest.raises(ValueError, match=r"\[filters, K\]"):
        statistics.count_filters(clipped[:, :, :-1], found)


@quick
@given(st.integers(0, 2**32 - 1))
def test_cluster_sizes_lists_every_cluster_once(seed):
    clipped, found = random_layer(seed)
    expected = [
        {"filter": f, "cluster": c, "size": int((numbers == c).sum())}
        for f, numbers in enumerate(found)
        for c in range(numbers.max() + 1)
    ]
    assert statistics.cluster_sizes(found).to_dict("records") == expected
    counts = statistics.count_filters(clipped, found)
    assert statistics.cluster_sizes(torch.from_numpy(found))["size"].sum() == counts["covered"].sum()


@quick
@given(st.integers(0, 2**32 - 1))
def test_layer_statistics_follow_the_formulas(seed):
    clipped, found = random_layer(seed, filters=int(seed % 7) + 1)
    counts = statistics.count_filters(clipped, found)
    result = statistics.layer_statistics(counts, labels=8, resamples=20)
    for name, value in naive_layer(counts.to_dict("records"), 8).items():
        assert result[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name
    assert result["filters"] == len(counts)
    assert result["filters_with_cluster"] == (counts["clusters"] > 0).sum()


def test_snr_is_diagonal_over_off_diagonal_occupancy():
    clipped, found = random_layer(5, filters=40)
    result = statistics.layer_statistics(statistics.count_filters(clipped, found), labels=8, resamples=10)
    diagonal = np.eye(8, dtype=bool)
    assert result["snr"] == pytest.approx(clipped[:, diagonal].mean() / clipped[:, ~diagonal].mean(), rel=1e-12)


def test_layer_intervals_are_the_bootstrap_of_whole_filters():
    """The interval from resampling rows of the table with a loop, to the noise of 4,000 resamples."""
    clipped, found = random_layer(6, filters=60)
    counts = statistics.count_filters(clipped, found)
    result = statistics.layer_statistics(counts, labels=8, resamples=4000, seed=1)
    rows = counts.to_dict("records")
    rng = np.random.default_rng(99)
    slow = pd.DataFrame(
        naive_layer([rows[i] for i in rng.integers(len(rows), size=len(rows))], 8) for _ in range(4000)
    )
    for name in QUANTITIES:
        low, high = slow[name].quantile([0.025, 0.975])
        assert result[f"{name}_low"] <= result[name] <= result[f"{name}_high"]
        # A bound at 2.5 % of 4,000 resamples scatters by about 2 % of the width; 10 % is five times that.
        assert result[f"{name}_low"] == pytest.approx(low, abs=0.1 * (high - low)), name
        assert result[f"{name}_high"] == pytest.approx(high, abs=0.1 * (high - low)), name


def test_layer_interval_narrows_with_filters_and_widens_with_level():
    def width(filters: int, level: float) -> float:
        clipped, found = random_layer(7, filters=filters)
        result = statistics.layer_statistics(statistics.count_filters(clipped, found), 8, level=level)
        return result["n_high"] - result["n_low"]

    assert width(800, 0.95) == pytest.approx(width(50, 0.95) / 4, rel=0.35)  # 1 / sqrt(filters)
    assert width(50, 0.5) < width(50, 0.95) < width(50, 0.999)


def test_a_layer_whose_filters_are_alike_has_no_width():
    clipped = np.repeat(random_layer(8, filters=1)[0] | np.eye(8, dtype=bool), 9, axis=0)
    clipped[:, 0, 1:] = True
    result = statistics.layer_statistics(statistics.count_filters(clipped, clusters.find(clipped)), 8)
    for name in QUANTITIES:
        assert result[f"{name}_low"] == result[name] == result[f"{name}_high"]


def test_snr_without_noise_is_infinite_and_without_ones_nan():
    lone = np.repeat(np.eye(5, dtype=bool)[None], 6, axis=0)
    result = statistics.layer_statistics(statistics.count_filters(lone, clusters.find(lone)), 5)
    assert result["snr"] == result["snr_low"] == result["snr_high"] == np.inf
    nothing = np.zeros((6, 5, 5), bool)
    result = statistics.layer_statistics(statistics.count_filters(nothing, clusters.find(nothing)), 5)
    assert all(np.isnan(result[f"{name}{end}"]) for name in ("snr", "C_s", "n_clustered") for end in ("", "_low"))
    assert result["N_c"] == result["N_c_high"] == result["n"] == 0


def test_intervals_survive_resamples_without_value():
    """One filter of four has ones, and one more off-diagonal one: a third of the resamples have neither."""
    clipped = np.zeros((4, 5, 5), bool)
    clipped[0] = np.eye(5, dtype=bool)
    clipped[1, 0, 1] = True
    result = statistics.layer_statistics(statistics.count_filters(clipped, clusters.find(clipped)), 5)
    assert result["snr"] == pytest.approx((5 / 5) / (1 / 20))
    assert result["snr_low"] == 0 and result["snr_high"] == np.inf
    assert result["C_s_low"] == result["C_s"] == result["C_s_high"] == 1


def test_same_seed_same_interval_other_seed_another():
    counts = statistics.count_filters(*random_layer(9, filters=50))
    first = statistics.layer_statistics(counts, 8, seed=3)
    assert first == statistics.layer_statistics(counts, 8, seed=3)
    assert first != statistics.layer_statistics(counts, 8, seed=4)


def test_bad_arguments_are_named():
    counts = statistics.count_filters(*random_layer(9))
    with pytest.raises(ValueError, match="no filters"):
        statistics.layer_statistics(counts[:0], 8)
    with pytest.raises(ValueError, match="labels is 1"):
        statistics.layer_statistics(counts, 1)
    for others in (7, 9, 80):
        with pytest.raises(ValueError, match=f"labels is {others}; these filters were counted on 8 labels"):
            statistics.layer_statistics(counts, others)
    with pytest.raises(ValueError, match="resamples is 0"):
        statistics.layer_statistics(counts, 8, resamples=0)
    for level in (0, 1, 95):
        with pytest.raises(ValueError, match="level"):
            statistics.layer_statistics(counts, 8, level=level)
