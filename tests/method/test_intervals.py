"""Bootstrap sums and the intervals of means and proportions, against known distributions and Wilson's formula."""

import time

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from singlefilter.method import statistics


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
