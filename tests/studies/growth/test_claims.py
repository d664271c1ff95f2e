"""Verdicts on data whose truth is known: constants, trends that break, noise of filters, and what holds for all."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests.studies.growth.observations import PICTURES, clusters, errors, filters, layers, linear, verdicts

from singlefilter.studies.growth import claims as growth_claims
from singlefilter.studies.layers import claims


@pytest.mark.parametrize(("exponent", "verdict"), [(0, "supported"), (0.3, "not supported"), (-0.3, "not supported")])
def test_c6_knows_constants_from_slopes(exponent, verdict):
    assert verdicts(lambda rng: clusters(rng, exponent), growth_claims.claim_c6)[verdict] >= 95


def test_c6_takes_the_larger_slope_of_either_sign():
    table = clusters(np.random.default_rng(0), -0.3)
    claim = growth_claims.claim_c6(table)
    assert claim.value == pytest.approx(0.3, abs=0.05) and "C_s -0." in claim.statistic and claim.low > 0
    swapped = growth_claims.claim_c6(table.rename(columns={"N_c": "C_s", "C_s": "N_c"}))
    assert (swapped.value, swapped.verdict) == (claim.value, claim.verdict) and "N_c -0." in swapped.statistic


def test_c6_leaves_out_labels_without_clusters():
    table = clusters(np.random.default_rng(0), 0)
    table.loc[table["labels"] == 10, ["N_c", "C_s"]] = [0, np.nan]
    without = growth_claims.claim_c6(table)
    assert without == growth_claims.claim_c6(table[table["labels"] != 10]) and without.verdict == "supported"
    table.loc[table["labels"] > 20, "C_s"] = np.nan
    assert growth_claims.claim_c6(table).verdict == "undecided"
    table["C_s"] = np.nan
    nothing = growth_claims.claim_c6(table)
    assert nothing.verdict == "undecided" and nothing.n == 0 and np.isnan(nothing.value)


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ({}, "supported"),
        ({"falling": 100}, "not supported"),
        ({"falling": 20, "labels": PICTURES}, "not supported"),
        ({"labels": PICTURES}, "undecided"),
    ],
)
def test_c5_needs_the_trend_at_every_k_and_the_whole_range(arguments, verdict):
    assert verdicts(lambda rng: layers(rng, **arguments), growth_claims.claim_c5)[verdict] >= 95


def test_c5_gathers_data_sets_and_names_the_range():
    rng = np.random.default_rng(0)
    low, high = layers(rng, (3, 10, 100), data="CIFAR-100", depth=9), layers(rng, (100, 1000))
    both = growth_claims.claim_c5(pd.concat([low, high]))
    assert both.verdict == "supported" and both.statistic.endswith("K from 3 to 1000") and both.n == 20
    assert growth_claims.claim_c5(high).statistic.endswith("K from 100 to 1000")
    assert growth_claims.claim_c5(low).verdict == growth_claims.claim_c5(high).verdict == "undecided"


def test_c5_value_is_the_smallest_tau():
    table = layers(np.random.default_rng(0), noise=0.1)
    means = table.groupby(["labels", "layer"])[["accuracy", "snr"]].mean().unstack("layer")
    expected = min(claims.kendall_tau(means[name]).min() for name in ("accuracy", "snr"))
    shuffled = table.sample(frac=1, random_state=0)
    assert growth_claims.claim_c5(table).value == growth_claims.claim_c5(shuffled).value == expected


def test_c5_layers_without_value_and_infinite_ones():
    table = layers(np.random.default_rng(0))
    last = table["layer"] == 5
    infinite = growth_claims.claim_c5(table.assign(snr=table["snr"].mask(last, np.inf)))
    assert infinite.verdict == "supported" and infinite.value == 1
    lacking = growth_claims.claim_c5(table.assign(snr=table["snr"].mask(last & (table["labels"] == 3), np.nan)))
    assert lacking.verdict == "undecided" and np.isnan([lacking.value, lacking.low, lacking.high]).all()
    assert growth_claims.claim_c5(table[table["layer"] < 2]).verdict == "undecided"
    with pytest.raises(ValueError, match="glyphs with 30 labels differ in their layers"):
        growth_claims.claim_c5(table.drop(table[(table["labels"] == 30)].index[0]))


@pytest.mark.parametrize(
    ("law", "verdict"),
    [
        (lambda d: 800 / d, "supported"),
        (lambda d: 100, "not supported"),
        (lambda d: 300 * np.exp(-d / 8), "not supported"),
    ],
)
def test_c9_knows_a_power_law_from_none(law, verdict):
    assert verdicts(lambda rng: filters(rng, law), growth_claims.claim_c9)[verdict] >= 95


def test_c9_takes_the_weakest_depth():
    rng = np.random.default_rng(0)
    falling, constant = filters(rng, lambda d: 800 / d, depths=[13]), filters(rng, lambda d: 100, depths=[5])
    claim = growth_claims.claim_c9(pd.concat([falling, constant]))
    assert claim.value == pytest.approx(0, abs=0.1) and claim.verdict == "not supported"
    alone = growth_claims.claim_c9(falling)
    assert alone.value == pytest.approx(-1, abs=0.1) and alone.n == len(falling)


def test_c9_too_few_widths_and_no_noise_decide_nothing():
    rng = np.random.default_rng(0)
    assert growth_claims.claim_c9(filters(rng, lambda d: 800 / d, widths=(4, 8))).verdict == "undecided"
    one = growth_claims.claim_c9(filters(rng, lambda d: 800 / d, widths=(4,)))
    assert one.verdict == "undecided" and np.isnan(one.value)
    table = filters(rng, lambda d: 800 / d)
    silent = table.assign(noise=table["noise"].mask(table["filters"] == 32, 0))
    assert growth_claims.claim_c9(silent).verdict == "undecided"
    nearly = silent.reset_index(drop=True)
    nearly.loc[nearly[nearly["filters"] == 32].groupby("depth").head(1).index, "noise"] = 1
    claim = growth_claims.claim_c9(nearly)
    assert np.isfinite(claim.value) and claim.high == np.inf and claim.verdict == "undecided"


@pytest.mark.parametrize("rows", [lambda t: t["labels"] < 40, lambda t: t["subset"] + t["seed"] == 0])
def test_few_labels_or_single_networks_decide_nothing(rows):
    """A bootstrap of one network at each K has an interval without width, which must not pass for certainty."""
    rng = np.random.default_rng(0)
    table, counts, many = errors(rng, linear), clusters(rng, 0), layers(rng)
    few = [growth_claims.claim_c4(table[rows(table)]), growth_claims.claim_c6(counts[rows(counts)])]
    few += [growth_claims.claim_c8(table, table[rows(table)]), growth_claims.claim_c5(many[rows(many)])]
    assert {claim.verdict for claim in few} == {"undecided"}
    one_at_the_top = table[(table["labels"] < 100) | (table["seed"] == 0)]
    assert growth_claims.claim_c4(one_at_the_top).verdict == "supported"


def test_rules_are_written_down_for_every_claim():
    rules = pd.DataFrame(growth_claims.RULES)
    assert rules["claim"].tolist() == list(growth_claims.VERDICTS) == ["C4", "C5", "C6", "C8", "C9"]
    assert all(set(texts) == set(claims.VERDICTS) for texts in growth_claims.VERDICTS.values())
    rng = np.random.default_rng(0)
    claim = growth_claims.claim_c4(errors(rng, linear))
    assert claim == growth_claims.claim_c4(errors(np.random.default_rng(0), linear)), "the same seed, another claim"
    assert claim.n == 6 * 6 + 2 and claim.statement == rules["statement"][0]
    assert list(dataclasses.asdict(claim)) == [
        *("claim", "statement", "statistic", "value", "low", "high", "n", "verdict", "bar")
    ]


def test_bad_observations_are_named():
    rng = np.random.default_rng(0)
    table = errors(rng, linear)
    with pytest.raises(ValueError, match="no column error"):
        growth_claims.claim_c4(table.drop(columns="error"))
    with pytest.raises(ValueError, match="no column N_c, C_s"):
        growth_claims.claim_c6(table)
    with pytest.raises(ValueError, match="no column data, layer, accuracy, snr"):
        growth_claims.claim_c5(table)
    with pytest.raises(ValueError, match="empty"):
        growth_claims.claim_c8(table, table[:0])
    with pytest.raises(ValueError, match="noise is missing or infinite in 1 of"):
        noise = filters(rng, lambda d: 100).reset_index(drop=True).astype({"noise": float})
        noise.loc[3, "noise"] = np.nan
        growth_claims.claim_c9(noise)
