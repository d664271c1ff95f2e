"""Verdicts on data whose truth is known: rising, flat, falling, too few layers, layers without a value."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from singlefilter.studies.layers import claims

LABELS = 20
DRAWS = 100
FAST = {"resamples": 200}


def layer_counts(rng: np.random.Generator, covered: float, noise: float, filters: int = 64) -> pd.DataFrame:
    """Counts of filters whose clusters are single labels: SNR is about covered / noise * (LABELS - 1)."""
    lone = rng.poisson(covered, filters)
    return pd.DataFrame(
        {"clusters": lone, "covered": lone, "internal": 0 * lone, "noise": rng.poisson(noise, filters)}
    )


def network(rng: np.random.Generator, noises: np.ndarray) -> dict[int, pd.DataFrame]:
    return {layer: layer_counts(rng, 5, noise) for layer, noise in enumerate(noises, start=1)}


def answers(rng: np.random.Generator, accuracies: np.ndarray, images: int = 1000) -> np.ndarray:
    """Heads of one network: an image that is hard for one is hard for all, in part."""
    shared = rng.random((images, 1)) < 0.7
    score = np.where(shared, rng.random((images, 1)), rng.random((images, len(accuracies))))
    return score < accuracies


def verdicts(claim, draw) -> list[str]:
    found = []
    for seed in range(DRAWS):
        found.append(claim(draw(np.random.default_rng(seed)), seed=seed, **FAST).verdict)
    return found


def claim_c2(counts, **arguments):
    return claims.claim_c2(counts, LABELS, **arguments)


def claim_c3(counts, **arguments):
    return claims.claim_c3(counts, LABELS, **arguments)


RISING = np.linspace(0.2, 0.7, 9)
NOISE = np.linspace(40, 10, 9)


@pytest.mark.parametrize(
    ("claim", "draw"),
    [
        (claims.claim_c1, lambda rng: answers(rng, RISING)),
        (claim_c2, lambda rng: network(rng, NOISE)),
        (claim_c3, lambda rng: network(rng, NOISE)),
    ],
)
def test_a_clear_trend_in_the_claimed_direction_is_supported(claim, draw):
    assert verdicts(claim, draw).count("supported") >= 95


@pytest.mark.parametrize(
    ("claim", "draw"),
    [
        (claims.claim_c1, lambda rng: answers(rng, np.full(9, 0.5))),
        (claim_c2, lambda rng: network(rng, np.full(9, 20.0))),
        (claim_c3, lambda rng: network(rng, np.full(9, 20.0))),
        (claims.claim_c1, lambda rng: answers(rng, np.full(3, 0.5))),
        (claim_c3, lambda rng: network(rng, np.full(3, 20.0))),
    ],
)
def test_no_trend_is_hardly_ever_supported(claim, draw):
    assert verdicts(claim, draw).count("supported") <= 5


@pytest.mark.parametrize(
    ("claim", "draw"),
    [
        (claims.claim_c1, lambda rng: answers(rng, RISING[::-1])),
        (claim_c2, lambda rng: network(rng, NOISE[::-1])),
        (claim_c3, lambda rng: network(rng, NOISE[::-1])),
    ],
)
def test_a_clear_trend_the_other_way_is_not_supported(claim, draw):
    assert set(verdicts(claim, draw)) == {"not supported"}


def test_a_rise_that_levels_off_early_is_not_called_a_rise():
    """One step up, then flat: 8 of 36 pairs rise for sure, the rest are ties that noise decides."""
    step = np.array([0.2] + [0.6] * 8)
    assert verdicts(claims.claim_c1, lambda rng: answers(rng, step)).count("supported") <= 5


def test_a_weak_trend_is_undecided_at_times():
    weak = np.linspace(0.48, 0.52, 9)
    assert "undecided" in verdicts(claims.claim_c1, lambda rng: answers(rng, weak))


def test_the_verdict_follows_from_value_and_interval():
    for slope in np.linspace(-0.3, 0.3, 25):
        rng = np.random.default_rng(3)
        rise = claims.claim_c1(answers(rng, 0.5 + slope * np.linspace(-0.5, 0.5, 6), images=300), **FAST)
        fall = claim_c3(network(rng, 20 - 20 * slope * np.linspace(-0.5, 0.5, 6)), **FAST)
        for claim, low, high in ((rise, rise.low, rise.high), (fall, -fall.high, -fall.low)):
            assert claim.low <= claim.high
            expected = "supported" if low >= 0.5 else "not supported" if high < 0.5 else "undecided"
            assert claim.verdict == expected


def test_two_layers_decide_nothing():
    rng = np.random.default_rng(0)
    assert claims.claim_c1(answers(rng, np.array([0.1, 0.9]))).verdict == "undecided"
    assert claim_c2(network(rng, np.array([40.0, 1.0]))).verdict == "undecided"
    assert claim_c3(network(rng, np.array([40.0, 1.0]))).verdict == "undecided"
    one = claims.claim_c1(answers(rng, np.array([0.9])))
    assert one.verdict == "undecided" and np.isnan(one.value)
    assert claim_c2({}).verdict == "undecided"


def test_a_layer_without_value_leaves_snr_undecided_but_not_noise():
    rng = np.random.default_rng(0)
    counts = network(rng, NOISE)
    counts[9] = counts[9] * 0  # no ones at all: SNR is 0 / 0, noise is 0
    snr, noise = claim_c2(counts), claim_c3(counts)
    assert snr.verdict == "undecided" and np.isnan([snr.value, snr.low, snr.high]).all()
    assert noise.verdict == "supported" and noise.value == -1


def test_resamples_without_value_widen_the_interval():
    """A layer of which one filter in 64 has ones: a third of its resamples have no SNR."""
    rng = np.random.default_rng(0)
    counts = network(rng, np.array([40.0, 20.0, 10.0]))
    counts[3] *= np.arange(64)[:, None] == 5
    claim = claim_c2(counts)
    assert claim.value == 1 and (claim.low, claim.high) == (-1, 1) and claim.verdict == "undecided"


def test_infinite_snr_is_the_largest():
    counts = network(np.random.default_rng(0), NOISE)
    counts[9]["noise"] = 0
    assert claim_c2(counts).verdict == "supported"


def test_order_of_layers_is_by_number_not_by_position():
    rng = np.random.default_rng(1)
    counts = network(rng, NOISE)
    assert claim_c3(dict(reversed(counts.items()))) == claim_c3(counts)
    correct = answers(rng, RISING)
    shuffled = rng.permutation(9)
    assert claims.claim_c1(correct[:, shuffled], layers=shuffled) == claims.claim_c1(correct)
    assert claims.claim_c1(correct, layers=range(9, 0, -1)).value == -claims.claim_c1(correct).value


def test_claims_say_what_was_resampled_and_hold_still():
    rng = np.random.default_rng(2)
    claim = claims.claim_c1(answers(rng, RISING, images=123))
    assert (claim.claim, claim.n) == ("C1", 123)
    assert claim_c2(network(rng, NOISE)).n == 9 * 64
    with pytest.raises(dataclasses.FrozenInstanceError):
        claim.verdict = "supported"
    rules = pd.DataFrame(claims.RULES)
    assert rules["claim"].tolist() == ["C1", "C2", "C3"] and rules["direction"].tolist() == [1, 1, -1]
    assert set(claims.VERDICTS) == {"supported", "not supported", "undecided"}


def test_bad_arguments_are_named():
    correct = np.ones((5, 3), bool)
    with pytest.raises(ValueError, match="at least one image"):
        claims.claim_c1(correct[:0])
    with pytest.raises(ValueError, match="images, layers"):
        claims.claim_c1(correct[0])
    for layers in ([1, 2], [1, 1, 2]):
        with pytest.raises(ValueError, match="once"):
            claims.claim_c1(correct, layers)
    with pytest.raises(ValueError, match="no filters"):
        claim_c2({1: network(np.random.default_rng(0), NOISE)[1][:0]})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20, unique=True))
def test_tau_without_ties_is_scipys(values):
    expected = kendalltau(np.arange(len(values)), values).statistic
    assert claims.kendall_tau(np.array(values)) == pytest.approx(expected, abs=1e-12)
    both = claims.kendall_tau(np.array([values, values[::-1]]))
    assert both == pytest.approx([expected, -expected], abs=1e-12)


def test_tau_counts_ties_as_neither():
    assert claims.kendall_tau(np.array([1, 1, 2])) == pytest.approx(2 / 3)
    assert claims.kendall_tau(np.array([0, np.inf, np.inf])) == pytest.approx(2 / 3)
    assert claims.kendall_tau(np.array([3, 3, 3])) == 0
    assert np.isnan(claims.kendall_tau(np.array([1, np.nan, 3])))
