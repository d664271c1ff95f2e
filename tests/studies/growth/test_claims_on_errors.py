"""Verdicts on how errors grow (C4, C8), on data that follow a known law."""

import numpy as np
import pytest
from tests.studies.growth.observations import FAST, GLYPHS, PICTURES, errors, flat, linear, logarithm, power, verdicts

from singlefilter.studies.growth import claims as growth_claims


@pytest.mark.parametrize("labels", [PICTURES, GLYPHS])
@pytest.mark.parametrize(
    ("law", "verdict"),
    [(linear, "supported"), (power(0.6), "not supported"), (logarithm, "not supported"), (flat, "not supported")],
)
def test_c4_knows_a_line_from_other_laws(law, labels, verdict):
    law = (lambda x: 0.6 + 0.08 * np.log(x)) if law is logarithm and labels is GLYPHS else law
    assert verdicts(lambda rng: errors(rng, law, labels), growth_claims.claim_c4)[verdict] >= 95


@pytest.mark.parametrize(
    ("law", "wrong"),
    [(linear, "not supported"), (flat, "supported")],
)
def test_c4_in_noise_is_undecided_rather_than_wrong(law, wrong):
    noisy = verdicts(lambda rng: errors(rng, law, between=0.03, within=0.015), growth_claims.claim_c4)
    assert noisy[wrong] <= 5
    assert law is flat or noisy["undecided"] > 5


def test_c4_says_when_there_is_no_rise():
    claim = growth_claims.claim_c4(errors(np.random.default_rng(0), flat))
    assert claim.verdict == "not supported" and claim.statistic.endswith("no clear rise")
    falling = growth_claims.claim_c4(errors(np.random.default_rng(0), lambda x: 0.6 - 0.5 * x))
    assert falling.verdict == "not supported" and falling.low == pytest.approx(1, abs=0.2)


def test_c4_uses_the_maximum():
    """The mean grows along a line, the largest with the square root: one bad subset at every K."""
    table = errors(np.random.default_rng(0), lambda x: 0.1 * x, GLYPHS, between=1e-3, within=1e-3)
    worst = table["subset"] == 1
    table.loc[worst, "error"] = 0.6 * np.sqrt(table.loc[worst, "labels"] / 1000)
    claim = growth_claims.claim_c4(table)
    assert claim.value == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("deep", "shallow", "verdict"),
    [(1, 0.5, "supported"), (0.6, 0.6, "not supported"), (1, 1, "not supported")],
)
def test_c8_knows_deep_from_shallow(deep, shallow, verdict):
    def draw(rng):
        return errors(rng, power(deep)), errors(rng, power(shallow))

    assert verdicts(draw, growth_claims.claim_c8)[verdict] >= 95


def test_c8_needs_a_deep_exponent_about_one():
    rng = np.random.default_rng(0)
    claim = growth_claims.claim_c8(errors(rng, power(0.6)), errors(rng, power(0.2)))
    assert claim.low > 0.1 and claim.verdict == "not supported"


def test_c8_pairs_the_same_subsets():
    """Subsets that are hard for both networks move both exponents, hardly their difference."""
    rng = np.random.default_rng(0)
    deep, another = (errors(rng, power(1), between=0.04, within=0) for _ in range(2))
    other = growth_claims.claim_c8(deep, another)
    paired = growth_claims.claim_c8(deep, deep.assign(error=0.9 * deep["error"]))
    assert paired.high - paired.low < 0.1 * (other.high - other.low)


def test_c8_compares_at_shared_labels_only():
    rng = np.random.default_rng(0)
    deep, shallow = errors(rng, power(1)), errors(rng, power(0.5))
    fewer = shallow[shallow["labels"] > 10]
    assert growth_claims.claim_c8(deep, fewer) == growth_claims.claim_c8(deep[deep["labels"] > 10], fewer)
    assert growth_claims.claim_c8(deep, shallow[shallow["labels"] > 50]).verdict == "undecided"


def test_verdict_follows_from_interval_and_bars():
    seen = set()
    for exponent in np.linspace(0.7, 1.3, 13):
        claim = growth_claims.claim_c4(errors(np.random.default_rng(5), power(exponent)), **FAST)
        inside, outside = claim.low >= 0.8 and claim.high <= 1.25, claim.high < 0.8 or claim.low > 1.25
        assert claim.low <= claim.value <= claim.high
        assert claim.verdict == ("supported" if inside else "not supported" if outside else "undecided")
        seen.add(claim.verdict)
    assert seen == {"supported", "not supported", "undecided"}
