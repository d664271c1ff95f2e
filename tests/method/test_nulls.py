"""Null models keep what they say they keep, and destroy the rest."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from singlefilter.method import clusters, nulls, statistics


def planted(filters: int = 40, labels: int = 30, size: int = 6) -> np.ndarray:
    """Matrices of one square cluster each and nothing else."""
    square = np.zeros((filters, labels, labels), bool)
    square[:, :size, :size] = True
    return square


def on_and_off(clipped: np.ndarray) -> tuple[list, list]:
    on = clipped.diagonal(0, 1, 2).sum(1)
    return on.tolist(), (clipped.sum((1, 2)) - on).tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 4), st.integers(1, 6), st.integers(0, 99), st.sampled_from([1, 500, 10**9]))
def test_random_matrices_keep_the_ones_on_and_off_the_diagonal(filters, labels, seed, memory):
    clipped = np.random.default_rng(seed).random((filters, labels, labels)) < 0.4
    assert on_and_off(nulls.random_matrices(clipped, seed, memory)) == on_and_off(clipped)


def test_every_place_is_equally_likely():
    clipped = np.zeros((6000, 3, 3), bool)
    clipped[:, 0, 0] = clipped[:, 0, 1] = True
    shares = nulls.random_matrices(clipped, seed=1).mean(0)
    np.testing.assert_allclose(shares.diagonal(), 1 / 3, atol=0.03)  # five standard deviations
    np.testing.assert_allclose(shares[~np.eye(3, dtype=bool)], 1 / 6, atol=0.025)


def test_clusters_vanish_and_snr_stays():
    real = planted()
    null = nulls.random_matrices(real, seed=3)
    counted = [statistics.count_filters(one, clusters.find(one)) for one in (real, null)]
    found = [statistics.layer_statistics(counts, labels=30, resamples=100) for counts in counted]
    assert found[0]["C_s"] == 6 and found[1]["C_s"] < 1.3
    assert found[1]["snr"] == pytest.approx(found[0]["snr"])


def test_permuted_labels_keep_rows_and_differ_between_filters():
    fields = np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32)
    permuted = nulls.permuted_labels(fields, seed=1)
    orders = []
    for before, after in zip(fields, permuted, strict=True):
        order = [int((before == row).all(1).argmax()) for row in after]
        assert sorted(order) == list(range(8))
        orders.append(tuple(order))
    assert len(set(orders)) == 5


def test_kinds_seeds_and_the_original():
    clipped = np.random.default_rng(2).random((4, 6, 6)) < 0.5
    before = clipped.copy()
    for null, given_ in ((nulls.random_matrices, clipped), (nulls.permuted_labels, clipped.astype(np.float64))):
        one = null(given_, seed=1)
        assert isinstance(one, np.ndarray) and one.dtype == given_.dtype
        np.testing.assert_array_equal(one, null(given_, seed=1))
        assert (one != null(given_, seed=2)).any()
        tensor = null(torch.from_numpy(given_.copy()), seed=1)
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(tensor.numpy(), one)
    np.testing.assert_array_equal(clipped, before)


def test_wrong_use():
    with pytest.raises(TypeError, match="clip the fields first"):
        nulls.random_matrices(np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match=r"square; these are \[1, 2, 3\]"):
        nulls.random_matrices(np.zeros((1, 2, 3), bool))
    with pytest.raises(ValueError, match=r"square; these are \[2, 2\]"):
        nulls.permuted_labels(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="above 0; 0 given"):
        nulls.random_matrices(np.zeros((1, 2, 2), bool), memory=0)
