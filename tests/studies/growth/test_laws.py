"""Laws of growth: exact where there is no noise, the bootstrap against every possible draw, bad tables named."""

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from singlefilter.studies.growth import laws, summaries

LABELS = np.array([3, 10, 20, 40, 60, 80, 100])


def observations(values, subsets=3, seeds=2, spread=0.0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"labels": k, "subset": subset, "seed": seed, "error": value + spread * rng.normal()}
            for k, value in zip(LABELS, values, strict=True)
            for subset in range(1 if k == 100 else subsets)
            for seed in range(seeds)
        ]
    )


# fits


@pytest.mark.parametrize(
    ("law", "values", "a", "b", "exponent"),
    [
        ("linear", 0.1 + 0.004 * LABELS, 0.1, 0.004, np.nan),
        ("logarithm", 0.1 + 0.1 * np.log(LABELS), 0.1, 0.1, np.nan),
        ("power", 0.03 * LABELS**0.6037, 0.03, np.nan, 0.6037),
        ("power", 0.9 * LABELS**-0.4, 0.9, np.nan, -0.4),
        ("family", 0.1 + 0.004 * (LABELS - 1), 0.1, 0.004, 1),
        ("family", 0.1 + 0.1 * np.log(LABELS), 0.1, 0.1, 0),
        ("family", 0.8 - 0.02 * (LABELS**0.6037 - 1) / 0.6037, 0.8, -0.02, 0.6037),
    ],
)
def test_a_law_without_noise_is_recovered(law, values, a, b, exponent):
    found = laws.fit(law, LABELS, values)
    assert found.exponent == pytest.approx(exponent, abs=2e-5, nan_ok=True)
    assert found.a == pytest.approx(a, rel=1e-3) and found.b == pytest.approx(b, rel=1e-3, nan_ok=True)
    assert laws.curve(found, LABELS) == pytest.approx(values, rel=1e-4)


@pytest.mark.parametrize("law", [*laws.LAWS, "family"])
def test_many_fits_at_once_are_those_of_one_by_one_and_of_least_squares(law):
    rng = np.random.default_rng(1)
    values = 0.1 + 0.004 * LABELS + 0.02 * rng.normal(size=(5, len(LABELS)))
    together = laws.fit(law, LABELS, values)
    curves = laws.curve(together, LABELS)
    for row, many in zip(values, curves, strict=True):
        assert laws.curve(laws.fit(law, LABELS, row), LABELS) == pytest.approx(many, abs=1e-12)

        def misfit(exponent, row=row):
            design = {
                "linear": [LABELS**0, LABELS],
                "logarithm": [LABELS**0, np.log(LABELS)],
                "power": [LABELS**exponent],
                "family": [LABELS**0, LABELS**exponent],
            }[law]
            design = np.array(design, float).T
            return np.sum((design @ np.linalg.lstsq(design, row)[0] - row) ** 2)

        best = minimize_scalar(misfit, bounds=(0.2, 3), method="bounded", options={"xatol": 1e-9}).fun
        assert np.sum((many - row) ** 2) == pytest.approx(best, rel=1e-6)


def test_values_that_any_exponent_fits_have_none():
    assert np.isnan(laws.fit("family", LABELS, np.full(7, 0.3)).exponent)
    assert laws.curve(laws.fit("family", LABELS, np.full(7, 0.3)), [5, 50]) == pytest.approx([0.3, 0.3])
    assert laws.fit("power", LABELS, np.full(7, 0.3)).exponent == pytest.approx(0, abs=1e-4)
    assert np.isnan(laws.fit("power", LABELS, np.zeros(7)).exponent)
    assert (laws.curve(laws.fit("power", LABELS, np.zeros(7)), LABELS) == 0).all()


# comparison


@pytest.mark.parametrize("shows", ["mean", "max"])
@pytest.mark.parametrize(
    ("law", "values"),
    [("linear", 0.1 + 0.004 * LABELS), ("power", 0.03 * LABELS**0.6), ("logarithm", 0.1 + 0.1 * np.log(LABELS))],
)
def test_the_true_law_is_best_by_both_measures(law, values, shows):
    table = laws.compare(observations(values, spread=0.002), "error", shows, resamples=50).set_index("law")
    assert table["delta"].idxmin() == table["held_out"].idxmin() == table["aicc"].idxmin() == law
    assert table["delta"].min() == 0 and (table["delta"].drop(law) > 10).all()
    assert table["delta"].to_numpy() == pytest.approx(table["aicc"] - table["aicc"].min())
    assert table[["exponent", "exponent_low", "exponent_high"]].notna().any(axis=1).tolist() == [False, True, False]
    assert (table.dtypes == np.float64).all()
    power = table.loc["power"]
    assert power["exponent_low"] <= power["exponent"] <= power["exponent_high"]


def test_aicc_and_held_out_error_by_hand():
    values = np.array([0.1, 0.2, 0.2, 0.3, 0.5, 0.5, 0.7])
    row = laws.compare(observations(values), "error", resamples=5).iloc[0]
    slope, start = np.polyfit(LABELS, values, 1)
    misfit = np.sum((start + slope * LABELS - values) ** 2)
    assert row["aicc"] == pytest.approx(7 * np.log(misfit / 7) + 2 * 3 + 2 * 3 * 4 / (7 - 3 - 1))
    errors = []
    for i in range(7):
        others = np.arange(7) != i
        errors.append(np.polyval(np.polyfit(LABELS[others], values[others], 1), LABELS[i]) - values[i])
    assert row["held_out"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))


def test_four_labels_have_no_aicc_but_an_order():
    table = observations(0.03 * LABELS**0.6, spread=1e-4)
    four = laws.compare(table[table["labels"].isin([3, 10, 40, 100])], "error", resamples=20)
    assert np.isinf(four["aicc"]).all() and np.isfinite(four["delta"]).all()
    assert four.loc[four["delta"].idxmin(), "law"] == "power"


def test_rows_of_the_comparison_can_be_drawn():
    table = laws.compare(observations(0.1 + 0.004 * LABELS), "error", resamples=5)
    curves = {row.law: laws.curve(row, [10, 50]) for row in table.itertuples()}
    assert curves["linear"] == pytest.approx([0.14, 0.3]) and set(curves) == set(laws.LAWS)


def test_lambda_covers_the_truth():
    inside = 0
    for seed in range(20):
        table = observations(0.02 + 0.005 * LABELS, subsets=6)
        table["error"] += 0.005 * np.random.default_rng(seed).normal(size=len(table))
        value, low, high = laws.family_exponent(table, "error", "mean", resamples=200, seed=seed)
        assert low <= value <= high
        inside += low <= 1 <= high
    assert inside >= 15


# summaries


def test_summaries_average_seeds_first_then_subsets():
    """Subset 0 has three seeds, subset 1 one: they weigh the same."""
    table = pd.DataFrame({"labels": 5, "subset": [0, 0, 0, 1], "seed": [0, 1, 2, 0], "error": [0.1, 0.2, 0.3, 0.6]})
    rows = summaries.summaries(table, "error").set_index("shows")
    assert rows["value"].to_dict() == pytest.approx({"mean": 0.4, "max": 0.6})
    assert rows["subsets"].tolist() == [2, 2] and rows["seeds"].tolist() == [4, 4]
    assert rows.loc["max", "high"] == 0.6, "a resample went beyond the largest subset"


def test_the_bootstrap_draws_every_outcome_as_often_as_it_should():
    groups = [np.array([[1.0], [2.0]]), np.array([[10.0], [20.0], [60.0]])]
    expected = Counter()
    for first, second in itertools.product(range(2), repeat=2):
        choices = [list(itertools.product(groups[g][:, 0], repeat=len(groups[g]))) for g in (first, second)]
        for one, two in itertools.product(*choices):
            outcome = round(np.mean(one), 6), round(np.mean(two), 6)
            expected[outcome] += 0.25 / len(choices[0]) / len(choices[1])
    resamples = 40_000
    drawn = summaries.nested_means(groups, resamples, np.random.default_rng(0))[..., 0]
    found = Counter(map(tuple, drawn.round(6).tolist()))
    assert set(found) <= set(expected)
    for outcome, share in expected.items():
        assert abs(found[outcome] / resamples - share) < 5 * np.sqrt(share / resamples), outcome


def test_columns_share_their_draws():
    table = observations(0.1 + 0.004 * LABELS, spread=0.01).assign(twice=lambda t: 2 * t["error"])
    labels, values, drawn = summaries.resampled_summaries(table, ["error", "twice"], "max", resamples=30)
    assert labels.tolist() == LABELS.tolist() and drawn.shape == (30, 7, 2)
    assert drawn[..., 1] == pytest.approx(2 * drawn[..., 0]) and values[:, 1] == pytest.approx(2 * values[:, 0])
    again = summaries.resampled_summaries(
        table.sample(frac=1, random_state=1), ["error", "twice"], "max", resamples=30
    )
    assert (again[2] == drawn).all(), "the order of rows must not matter"


def test_a_single_network_has_an_interval_without_width():
    rows = summaries.summaries(observations(0.004 * LABELS, subsets=1, seeds=1), "error", resamples=20)
    assert rows["labels"].tolist() == sorted([*LABELS, *LABELS]) and len(rows) == 14
    assert (rows["low"] == rows["value"]).all() and (rows["high"] == rows["value"]).all()


# bad input


def test_bad_tables_are_named():
    table = observations(0.004 * LABELS)
    with pytest.raises(ValueError, match="no column loss"):
        summaries.summaries(table, "loss")
    with pytest.raises(ValueError, match="empty"):
        laws.compare(table[:0], "error")
    with pytest.raises(ValueError, match="error is missing or infinite in 1 of 38 rows, first in labels 3, subset 0"):
        laws.compare(table.assign(error=table["error"].where(table.index != 1)), "error")
    with pytest.raises(ValueError, match="comes twice"):
        summaries.summaries(pd.concat([table, table]), "error")
    with pytest.raises(ValueError, match="whole numbers"):
        summaries.summaries(table.assign(labels=table["labels"] + 0.5), "error")
    with pytest.raises(ValueError, match="lacks one of"):
        summaries.summaries(table.assign(seed=np.nan), "error")
    with pytest.raises(ValueError, match=r"at least 4 different numbers of labels, there are 1 \(\[10\]\)"):
        laws.family_exponent(table[table["labels"] == 10], "error")
    with pytest.raises(ValueError, match="one of mean, max"):
        laws.compare(table, "error", shows="median")
    with pytest.raises(ValueError, match="resamples is 0"):
        summaries.summaries(table, "error", resamples=0)
    with pytest.raises(ValueError, match="no law 'cubic'"):
        laws.fit("cubic", LABELS, LABELS)
