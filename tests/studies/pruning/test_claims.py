"""Claims about pruning where the truth is known: the right verdict in at least 95 of 100 draws."""

import dataclasses
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from singlefilter.studies.growth import claims as growth_claims
from singlefilter.studies.layers import claims
from singlefilter.studies.pruning import claims as rules

DRAWS, IMAGES = 100, 2000
FAST = {"resamples": 200}


def right(rng, accuracy: float, like: np.ndarray | None = None, same: float = 0.9, seeds: int = 3) -> np.ndarray:
    """Right answers of some seeds, bool `[seeds, images]`, at about this accuracy; most as those of network `like`.

    Networks that learned the same images agree on most of them, which is what makes paired differences small.
    """
    if like is None:
        easy = rng.random(IMAGES) < accuracy  # for all seeds alike
        own = rng.random((seeds, IMAGES)) < accuracy
        return np.where(rng.random((seeds, IMAGES)) < same, easy, own)
    other = rng.random(like.shape) < np.clip((accuracy - same * like.mean()) / (1 - same), 0, 1)
    return np.where(rng.random(like.shape) < same, like, other)


def verdicts(draw) -> Counter:
    return Counter(draw(np.random.default_rng(seed)).verdict for seed in range(DRAWS))


@pytest.mark.parametrize(
    ("loss", "kept", "verdict"),
    [(-0.02, 0.07, "supported"), (0.05, 0.07, "not supported"), (-0.02, 0.4, "not supported")],
)
def test_c7_knows_a_loss_from_none(loss, kept, verdict):
    def draw(rng):
        dense = right(rng, 0.64)
        return rules.claim_c7([dense, dense], right(rng, 0.64 - loss, dense), [kept] * 3, **FAST)

    assert verdicts(draw)[verdict] >= 95


def test_c7_is_held_against_the_better_of_two_dense_heads():
    rng = np.random.default_rng(0)
    dense = right(rng, 0.6)
    worse = dense & (rng.random(dense.shape) < 0.9)
    pruned = right(rng, worse.mean(), worse)
    alone = rules.claim_c7([worse, worse], pruned, [0.1] * 3, **FAST)
    both = rules.claim_c7([worse, dense], pruned, [0.1] * 3, **FAST)
    assert both.value == pytest.approx(alone.value + worse.mean() - dense.mean())
    assert both == rules.claim_c7([dense, worse], pruned, [0.1] * 3, **FAST)
    assert (alone.n, alone.bar, alone.claim) == (3 * IMAGES, -0.01, "C7") and "10.0% kept" in alone.statistic


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [((0.05, 0.08), "supported"), ((0.08, -0.02), "not supported"), ((-0.05, -0.03), "not supported")],
)
def test_c10_takes_the_chain_with_the_smallest_gain(gains, verdict):
    def draw(rng):
        chance = {name: right(rng, 0.5) for name in ("12 to 13", "8 to 13")}
        shared = {name: right(rng, 0.5 + gain, one) for (name, one), gain in zip(chance.items(), gains, strict=True)}
        return rules.claim_c10(shared, chance, **FAST)

    assert verdicts(draw)[verdict] >= 95
    claim = draw(np.random.default_rng(0))
    assert claim.statistic.endswith("12 to 13" if gains[0] < gains[1] else "8 to 13") and claim.n == 3 * IMAGES


def test_c10_wants_the_same_chains():
    one = {"12 to 13": right(np.random.default_rng(0), 0.5)}
    for other in ({}, {"8 to 13": one["12 to 13"]}):
        with pytest.raises(ValueError, match="chains of layers differ"):
            rules.claim_c10(one, other)
    with pytest.raises(ValueError, match="chains of layers differ"):
        rules.claim_c10({}, {})


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [((0.05, -0.04, -0.2), "supported"), ((0.05, 0.08, -0.2), "not supported")],
)
def test_c11_needs_one_network_that_is_fast_small_and_right(losses, verdict):
    """The third network is the most accurate by far, and too large."""

    def draw(rng):
        dense = right(rng, 0.64)
        candidates = {name: right(rng, 0.64 - loss, dense) for name, loss in zip("abc", losses, strict=True)}
        return rules.claim_c11(
            [dense, dense], candidates, {"a": 3, "b": 2, "c": 4}, {"a": 0.1, "b": 0.5, "c": 0.6}, **FAST
        )

    assert verdicts(draw)[verdict] >= 95
    claim = draw(np.random.default_rng(0))
    assert claim.n == 3 * IMAGES // 2 and claim.statistic.startswith("b" if verdict == "supported" else "a")


def test_c11_without_a_network_fast_and_small_enough():
    dense = right(np.random.default_rng(0), 0.6)
    for speed, part in ((1.99, 0.1), (5, 0.51)):
        claim = rules.claim_c11([dense], {"a": dense}, {"a": speed}, {"a": part}, **FAST)
        assert claim.verdict == "not supported" and np.isnan([claim.value, claim.low, claim.high]).all()
        assert claim.statistic.startswith("none of 1 networks")


def test_c11_is_not_judged_on_the_images_that_chose():
    """Many networks that differ by luck alone: the best of them must not look better than dense."""
    rng = np.random.default_rng(0)
    values = []
    for seed in range(20):
        dense = right(rng, 0.6)
        many = {str(k): right(rng, dense.mean(), dense, same=0.5) for k in range(30)}
        fast = dict.fromkeys(many, 3)
        values.append(rules.claim_c11([dense], many, fast, dict.fromkeys(many, 0.1), seed=seed, **FAST).value)
    assert abs(np.mean(values)) < 0.006


def test_few_seeds_decide_nothing():
    rng = np.random.default_rng(0)
    dense = right(rng, 0.6, seeds=2)
    claim = rules.claim_c7([dense], dense, [0.1, 0.1], **FAST)
    assert (claim.value, claim.verdict) == (0, "undecided")
    assert rules.claim_c10({"a": dense}, {"a": ~dense}, **FAST).verdict == "undecided"
    assert rules.claim_c11([dense], {"a": dense}, {"a": 3}, {"a": 0.1}, **FAST).verdict == "undecided"


def test_few_seeds_spread_as_far_as_their_standard_error():
    """Three seeds without any spread over images: with three drawn, not two, it would come out a fifth smaller."""
    of_seed = np.array([0.4, 0.5, 0.6])
    _, drawn = rules.paired(np.tile(of_seed[:, None, None], (1, 10, 1)), 20_000, 0)
    assert drawn.std() == pytest.approx(of_seed.std(ddof=1) / np.sqrt(3), rel=0.03)


def test_paired_draws_the_same_images_for_every_column():
    rng = np.random.default_rng(0)
    one = right(rng, 0.6).astype(float)
    values, drawn = rules.paired(np.stack([one, one - 1, 2 * one], axis=-1), 300, 0)
    np.testing.assert_allclose(values, [one.mean(), one.mean() - 1, 2 * one.mean()])
    np.testing.assert_allclose(drawn[:, 1], drawn[:, 0] - 1)
    np.testing.assert_allclose(drawn[:, 2], 2 * drawn[:, 0])
    alike = np.tile(one[:1], (3, 1))[..., None]  # seeds that do not differ: only images are left to draw
    assert rules.paired(alike, 2000, 0)[1].std() == pytest.approx(one[0].std() / np.sqrt(IMAGES), rel=0.1)
    with pytest.raises(ValueError, match="at least one seed and image"):
        rules.paired(np.zeros((0, 5, 1)))


def test_rules_are_written_down_for_every_claim():
    written = pd.DataFrame(rules.RULES)
    assert written["claim"].tolist() == list(rules.VERDICTS) == ["C7", "C10", "C11"]
    assert all(set(texts) == set(claims.VERDICTS) for texts in rules.VERDICTS.values())
    assert not set(rules.VERDICTS) & set(growth_claims.VERDICTS)
    dense = right(np.random.default_rng(0), 0.6)
    claim = rules.claim_c7([dense], dense, [0.1] * 3)
    assert claim.statement == written["statement"][0] and claim.verdict == "supported"
    assert list(dataclasses.asdict(claim)) == [
        *("claim", "statement", "statistic", "value", "low", "high", "n", "verdict", "bar")
    ]
