"""Verdicts on data whose truth is known: laws of growth, constants, trends that break, noise of filters."""

import dataclasses
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from singlefilter.studies.growth import claims as growth_claims
from singlefilter.studies.layers import claims

DRAWS = 100
FAST = {"resamples": 200}
PICTURES = (3, 10, 20, 40, 60, 80, 100)  # all 100 labels at the end: one subset
GLYPHS = (3, 10, 30, 100, 300, 1000)


def networks(rng, labels, truths, between=0.01, within=0.005, all_labels=100, relative=False) -> pd.DataFrame:
    """3 subsets x 2 seeds at each K, one subset of all labels; `truths`: the mean of each column at K.

    Subsets differ by `between` and seeds by `within`, in the unit of the truth or relative to it.
    """
    rows = []
    for k in labels:
        scale = {name: truth(k) if relative else 1.0 for name, truth in truths.items()}
        for subset in range(1 if k == all_labels else 3):
            shift = 0 if k == all_labels else rng.normal(0, between)
            for seed in range(2):
                row = {"labels": k, "subset": subset, "seed": seed}
                for name, truth in truths.items():
                    row[name] = truth(k) + scale[name] * (shift + rng.normal(0, within))
                rows.append(row)
    return pd.DataFrame(rows)


def errors(rng, law, labels=PICTURES, **noise) -> pd.DataFrame:
    return networks(
        rng, labels, {"error": lambda k: law(k / labels[-1])}, all_labels=100 if labels is PICTURES else None, **noise
    )


def verdicts(draw, claim) -> Counter:
    found = Counter()
    for seed in range(DRAWS):
        tables = draw(np.random.default_rng(seed))
        tables = tables if isinstance(tables, tuple) else (tables,)
        found[claim(*tables, seed=seed, **FAST).verdict] += 1
    return found


def linear(x):
    return 0.02 + 0.5 * x


def power(exponent):
    return lambda x: 0.5 * x**exponent


def logarithm(x):
    return 0.5 + 0.13 * np.log(x)


def flat(x):
    return 0.2


# C4


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


# C6


def clusters(rng, exponent, labels=PICTURES):
    truths = {"N_c": lambda k: 2.0, "C_s": lambda k: 1.5 * (k / 3) ** exponent}
    return networks(rng, labels, truths, between=0.05, within=0.05, relative=True)


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


# C8


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


# C5


def layers(rng, labels=GLYPHS, falling=None, noise=0.01, data="glyphs", depth=6) -> pd.DataFrame:
    """Accuracy and SNR of each layer; at K = `falling` SNR falls with the layer instead of rising."""
    rows = []
    place = np.arange(depth) / (depth - 1)
    for k in labels:
        for network in range(4):
            accuracy = 0.3 + 0.5 * place + rng.normal(0, noise, depth)
            snr = 5 + 10 * (1 - place if k == falling else place) + rng.normal(0, 20 * noise, depth)
            rows += [
                {"data": data, "labels": k, "subset": network // 2, "seed": network % 2, "layer": layer}
                | {"accuracy": accuracy[layer], "snr": snr[layer]}
                for layer in range(depth)
            ]
    return pd.DataFrame(rows)


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


# C9


def filters(rng, law, widths=(4, 8, 16, 32), depths=(5, 13)) -> pd.DataFrame:
    """Two seeds of each depth and width, 8 filters for each of the width; noise differs by seed and filter."""
    parts = []
    for depth in depths:
        for width in widths:
            for seed in range(2):
                mean = law(width) * np.exp(rng.normal(0, 0.04))
                noise = rng.poisson(mean * rng.gamma(4, 1 / 4, 8 * width))
                parts.append(pd.DataFrame({"depth": depth, "filters": width, "seed": seed, "noise": noise}))
    return pd.concat(parts)


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


# all of them


def test_verdict_follows_from_interval_and_bars():
    seen = set()
    for exponent in np.linspace(0.7, 1.3, 13):
        claim = growth_claims.claim_c4(errors(np.random.default_rng(5), power(exponent)), **FAST)
        inside, outside = claim.low >= 0.8 and claim.high <= 1.25, claim.high < 0.8 or claim.low > 1.25
        assert claim.low <= claim.value <= claim.high
        assert claim.verdict == ("supported" if inside else "not supported" if outside else "undecided")
        seen.add(claim.verdict)
    assert seen == {"supported", "not supported", "undecided"}


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
