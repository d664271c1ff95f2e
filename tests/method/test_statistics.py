"""Statistics against loops over matrices and resamples, known answers, and their definitions."""

import time

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

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


# filters


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


# layers


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


# bootstrap


@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_resampled_sums_add_whole_units(chunk, monkeypatch):
    """Ones must add to the number of units in every resample; powers show which units were drawn."""
    monkeypatch.setattr(statistics, "CHUNK_WEIGHTS", chunk)
    columns = np.column_stack([np.ones(6), 7.0 ** np.arange(6)])
    sums = statistics.resampled_sums(columns, 500, np.random.default_rng(0))
    assert (sums[:, 0] == 6).all()
    digits = sums[:, 1, None] // 7.0 ** np.arange(6) % 7
    np.testing.assert_array_equal(digits.sum(1), 6)
    # Each unit is drawn once on average, with variance 1 - 1/6; 500 resamples scatter by 0.041 and 0.08.
    np.testing.assert_allclose(digits.mean(0), 1, atol=0.2)
    np.testing.assert_allclose(digits.var(0), 5 / 6, atol=0.35)


def test_percentile_interval_takes_resampled_values():
    values = np.random.default_rng(0).permutation(1000.0 + np.arange(1000))
    assert [float(end) for end in statistics.percentile_interval(values, 0.95)] == [1025, 1974]
    values[values > 1900] = np.inf
    assert [float(end) for end in statistics.percentile_interval(values, 0.95)] == [1025, np.inf]
    values[values < 1500] = np.nan
    assert [float(end) for end in statistics.percentile_interval(values, 0.9)] == [1525, np.inf]
    assert np.isnan(statistics.percentile_interval(np.full(5, np.nan))).all()
    assert [float(end) for end in statistics.percentile_interval(np.array([2.0]))] == [2, 2]


def test_mean_interval_agrees_with_the_normal_one():
    values = np.random.default_rng(0).normal([0, 5], [1, 3], size=(2000, 2))
    mean, low, high = statistics.mean_interval(values, resamples=2000)
    error = values.std(0) / np.sqrt(2000)
    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(low, mean - 1.96 * error, atol=0.25 * error.max())  # bounds scatter by 0.06 errors
    np.testing.assert_allclose((high - low) / error, 2 * 1.96, rtol=0.1)


def test_mean_interval_keeps_layers_paired():
    values = np.random.default_rng(1).normal(size=(300, 1))
    mean, low, high = statistics.mean_interval(np.hstack([values, 2 * values + 1, values]))
    assert (mean[0], low[0], high[0]) == pytest.approx((mean[2], low[2], high[2]), rel=1e-12)
    assert (low[1], high[1]) == pytest.approx((2 * low[0] + 1, 2 * high[0] + 1), rel=1e-9)


def test_mean_interval_leaves_out_nan_and_takes_one_layer_or_bools():
    values = np.array([1.0, np.nan, 3.0, np.nan, 2.0])
    mean, low, high = statistics.mean_interval(values)
    assert mean.shape == () and mean == 2 and 1 <= low < 2 < high <= 3
    assert np.isnan(statistics.mean_interval(np.full((4, 2), np.nan))).all()
    assert statistics.mean_interval(torch.tensor([True, False, True, True]))[0] == 0.75
    with pytest.raises(ValueError, match="no images"):
        statistics.mean_interval(np.zeros((0, 3)))


def test_mean_interval_of_many_images_and_layers_is_quick():
    values = np.random.default_rng(2).normal(size=(50_000, 13))
    started = time.perf_counter()
    _, low, high = statistics.mean_interval(values, resamples=200)
    assert time.perf_counter() - started < 10  # below a second on an idle core
    np.testing.assert_allclose(high - low, 2 * 1.96 / np.sqrt(50_000), rtol=0.25)


def test_proportion_interval_is_wilsons():
    successes, n = np.array([0, 1, 40, 99, 100, 3]), np.array([100, 100, 100, 100, 100, 7])
    for level in (0.8, 0.95):
        p, low, high = statistics.proportion_interval(successes, n, level)
        expected = [
            binomtest(int(k), int(m)).proportion_ci(level, "wilson") for k, m in zip(successes, n, strict=True)
        ]
        np.testing.assert_allclose(p, successes / n)
        np.testing.assert_allclose(np.stack([low, high], 1), expected, atol=1e-12)
        assert ((low <= p) & (p <= high)).all()
    for bad in [(1, 0), (5, 4), (-1, 4)]:
        with pytest.raises(ValueError, match="proportion"):
            statistics.proportion_interval(*bad)


# d'


def naive_dprime(logits: np.ndarray, true_labels: np.ndarray) -> list[float]:
    values = []
    for row, label in zip(logits, true_labels, strict=True):
        others = [float(value) for output, value in enumerate(row) if output != label]
        values.append((row[label] - np.mean(others)) / np.std(others))
    return values


@quick
@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_dprime_is_its_definition(seed, labels):
    rng = np.random.default_rng(seed)
    logits, true_labels = rng.normal(50, 2, size=(9, labels)), rng.integers(labels, size=9)
    expected = naive_dprime(logits, true_labels)
    result = statistics.dprime(logits, true_labels)
    assert isinstance(result, np.ndarray) and result.dtype == np.float64
    np.testing.assert_allclose(result, expected, rtol=1e-9)
    single = statistics.dprime(torch.tensor(logits, dtype=torch.float32), torch.tensor(true_labels))
    assert isinstance(single, torch.Tensor) and single.dtype == torch.float32
    rounded = np.float32(logits).astype(np.float64)
    if labels > 4:  # fewer others may lie so close together that float32 has no digits left for their spread
        np.testing.assert_allclose(single.numpy(), naive_dprime(rounded, true_labels), rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(statistics.dprime(3 * logits - 7, true_labels), expected, rtol=1e-9)


def test_dprime_known_answers():
    assert statistics.dprime(np.array([[5.0, 1.0, 3.0]]), np.array([0])).tolist() == [3]
    assert statistics.dprime(np.array([[5, 1, 3]]), np.array([1])).tolist() == [-3]
    half = torch.tensor([[5.0, 1.0, 3.0]], dtype=torch.bfloat16)
    assert statistics.dprime(half, torch.tensor([0])).dtype == torch.float32
    assert statistics.dprime(np.zeros((0, 5)), np.zeros(0, int)).shape == (0,)


def test_dprime_without_spread_is_nan():
    for value in (0.1, 1 / 3, 1e8):
        logits = np.full((1, 7), value)
        logits[0, 2] = 4.0
        assert np.isnan(statistics.dprime(logits, np.array([2])))[0]
        assert np.isnan(statistics.dprime(np.float32(logits), np.array([2])))[0]
    assert np.isnan(statistics.dprime(np.array([[1.0, 2.0]]), np.array([0])))[0]
    assert np.isnan(statistics.dprime(np.array([[1.0]]), np.array([0])))[0]


def test_dprime_leaves_its_input_alone_and_checks_it():
    logits = torch.randn(4, 5)
    kept = logits.clone()
    statistics.dprime(logits, torch.zeros(4, dtype=torch.int64))
    assert torch.equal(logits, kept)
    with pytest.raises(ValueError, match=r"0\.\.4"):
        statistics.dprime(logits, torch.tensor([0, 1, 2, 5]))
    with pytest.raises(ValueError, match=r"\[images, K\]"):
        statistics.dprime(logits, torch.tensor([0, 1]))
