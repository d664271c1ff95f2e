"""Clipping against the division of the method, at the threshold, and of fields that have no largest one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from singlefilter.method import clusters

quick = settings(max_examples=60, deadline=None)


def test_clip_is_strict_at_the_threshold():
    for dtype in (np.float32, np.float64):
        boundary = np.array([[[10, 3], [3.00001, -20]]], dtype)
        assert clusters.clip(boundary)[0].tolist() == [[True, False], [True, False]]
        assert clusters.clip(np.array([[[2, 1], [1, 2]]], dtype), threshold=0.5)[0].tolist() == [
            [1, 0],
            [0, 1],
        ]


@quick
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]), st.floats(0.01, 0.99))
def test_clip_is_the_division_of_the_method(seed, dtype, threshold):
    rng = np.random.default_rng(seed)
    fields = rng.normal(rng.choice([-5, 0, 1]), 1, size=(5, 4, 4)).astype(dtype)
    fields[0] = np.round(fields[0])  # ties and zeros
    expected = np.zeros(fields.shape, bool)
    for matrix, ones in zip(fields, expected, strict=True):
        if matrix.max() > 0:
            ones[:] = matrix / matrix.max() > threshold
    np.testing.assert_array_equal(clusters.clip(fields, threshold), expected)
    np.testing.assert_array_equal(clusters.clip(fields, threshold, memory=1), expected)


@quick
@given(st.integers(0, 2**32 - 1), st.integers(-30, 30))
def test_clip_ignores_positive_scale(seed, exponent):
    fields = np.random.default_rng(seed).normal(size=(4, 5, 5)).astype(np.float32)
    clipped = clusters.clip(fields)
    np.testing.assert_array_equal(clusters.clip(fields * np.float32(2.0**exponent)), clipped)  # exact
    scaled = fields.astype(np.float64) * [
        [[0.1]],
        [[3]],
        [[7e5]],
        [[1e-9]],
    ]  # rounds, away from the threshold
    near = np.abs(fields / fields.max((1, 2), keepdims=True) - 0.3) < 1e-6
    np.testing.assert_array_equal(clusters.clip(scaled) & ~near, clipped & ~near)


@quick
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_clip_has_fewer_ones_at_a_higher_threshold(seed, one, other):
    fields = np.random.default_rng(seed).normal(size=(4, 5, 5))
    low, high = sorted((one, other))
    assert (clusters.clip(fields, low) >= clusters.clip(fields, high)).all()
    assert clusters.clip(fields, high).any((1, 2)).all()  # the largest element is always a one


@pytest.mark.parametrize(
    "dead",
    [
        [[-1.0, -2.0], [-3.0, -1.0]],
        [[0.0, 0.0], [0.0, 0.0]],
        [[0.0, -1.0], [-1.0, -1.0]],
        [[1.0, np.nan], [0.0, 1.0]],
        [[np.inf, 1.0], [1.0, 1.0]],
        [[-np.inf, -np.inf], [-np.inf, -np.inf]],
    ],
)
def test_a_filter_without_a_positive_finite_largest_field_is_all_zeros(dead):
    fields = np.array([dead, [[1.0, 0.0], [0.0, 1.0]]])
    assert clusters.clip(fields).tolist() == [[[False] * 2] * 2, [[True, False], [False, True]]]


def test_minus_infinity_is_only_below_the_threshold():
    assert clusters.clip(np.array([[[1.0, -np.inf], [0.5, 0.1]]])).tolist() == [[[True, False], [True, False]]]


def test_half_precision_and_integers_are_compared_in_a_wider_type():
    assert clusters.clip(np.array([[[10, 3], [4, -1]]])).tolist() == [[[True, False], [True, False]]]
    fields = torch.tensor([[[10.0, 3.0], [3.015625, 0.0]]])
    for dtype in (torch.bfloat16, torch.float16):
        half = fields.to(dtype)
        assert torch.equal(clusters.clip(half), clusters.clip(half.float()))


@pytest.mark.parametrize("threshold", [0, 1, -0.3, 1.5, float("nan")])
def test_clip_refuses_a_threshold_outside_zero_to_one(threshold):
    with pytest.raises(ValueError, match="threshold"):
        clusters.clip(np.ones((1, 2, 2)), threshold)


def test_complex_fields_are_refused():
    with pytest.raises(TypeError, match="complex"):
        clusters.clip(np.ones((1, 2, 2), np.complex64))
