"""d' against its definition, known answers, and where it has no value."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from singlefilter.method import statistics


def naive_dprime(logits: np.ndarray, true_labels: np.ndarray) -> list[float]:
    values = []
    for row, label in zip(logits, true_labels, strict=True):
        others = [float(value) for output, value in enumerate(row) if output != label]
        values.append((row[label] - np.mean(others)) / np.std(others))
    return values


@settings(max_examples=40, deadline=None)
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


@pytest.mark.parametrize("large", [1e25, 3e38, np.inf])
def test_dprime_of_logits_that_overflow_is_infinite_and_not_zero(large):
    logits = torch.tensor([[large, -large, 0.0, large / 2], [1.0, 2.0, 3.0, 5.0]], dtype=torch.float32)
    found = statistics.dprime(logits, torch.tensor([0, 0]))
    assert found[0] == torch.inf
    assert found[1].isfinite()
