"""The verdict on claims about growth, with the number of labels K or of filters, by the rules of `rules`.

Observations have a row for each trained network, as in `summaries`. Each claim has a statistic, a bootstrap interval
over what was trained, and bars: it is supported where the whole interval lies within them, not supported where
the whole interval lies outside. Sections refer to the method that the companion follows.
"""

import numpy as np
import pandas as pd

from singlefilter.method.statistics import LEVEL, RESAMPLES, percentile_interval
from singlefilter.studies.growth import laws, summaries
from singlefilter.studies.growth.rules import (
    CLEARLY_BETTER,
    FEWEST_WIDTHS,
    HARDLY,
    LINEAR,
    RULES,
    VERDICTS,
    WHOLE_RANGE,
)
from singlefilter.studies.rules import FEWEST_LAYERS, TAU, Claim, kendall_tau

__all__ = ["RULES", "VERDICTS", "claim_c4", "claim_c5", "claim_c6", "claim_c8", "claim_c9"]


def claim_c4(
    observations: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL, column: str = "error"
) -> Claim:
    """C4, decided: the largest error over label subsets grows about linearly with K.

    `observations`: a row for each trained network, `labels`, `subset`, `seed` and `error` in 0..1. Value:
    lambda of the family in `laws`; bar: 1, the middle of the two bars in `VERDICTS`. n: networks.

    The largest of a few subsets is below the largest of all, and K = all labels has one subset only, so that
    lambda comes out too low rather than too high. Raises `ValueError` as `summaries.summaries`.
    Source: section 7; statistic, interval and rule are additions of the companion.
    """
    statistic = f"lambda of the largest error (1 linear, 0 logarithm); bars {LINEAR[0]}, {LINEAR[1]}"
    estimate = (np.nan, np.nan, np.nan)
    verdict = "undecided"
    networks = summaries.checked(observations, summaries.NETWORK, [column])
    if _enough(networks):
        labels, values, resampled = summaries.resampled_summaries(networks, [column], "max", resamples, seed)
        value = float(laws.fit(laws.FAMILY, labels, values[:, 0]).exponent)
        estimate = (value, *_interval(laws.fit(laws.FAMILY, labels, resampled[..., 0]).exponent, value, level))
        verdict = _place(*estimate[1:], LINEAR)
        least_rise, _ = percentile_interval(laws.fit("power", labels, resampled[..., 0]).exponent, level)
        if not least_rise > HARDLY:
            verdict, statistic = "not supported", f"{statistic}; no clear rise"
    return _claim("C4", statistic, estimate, len(networks), verdict, bar=1.0)


def claim_c5(observations: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL) -> Claim:
    """C5, decided: accuracy and SNR rise with the layer at every K, and K spans 3 to 1000.

    `observations`: a row for each layer of each network, `data`, `labels`, `subset`, `seed`, `layer`,
    `accuracy`, `snr` (may be infinite). Value: the smallest of Kendall's tau between layer and each of the two,
    averaged over the networks of one data set and K; NaN where a layer has no value. n: networks. The smallest
    of many is resampled below its value more often than above: the rule errs against the claim.

    Raises `ValueError` on a missing column, an empty table, a layer that comes twice, or networks of one data
    set and K with different layers. Source: section 7; statistic, interval and rule are additions.
    """
    table = summaries.checked(observations, ["data", *summaries.NETWORK, "layer"], gaps=["accuracy", "snr"])
    rng = np.random.default_rng(seed)
    taus, resampled, fewest_layers = [], [], np.inf
    for (data, k), rows in table.sort_values(["subset", "seed", "layer"]).groupby(["data", "labels"]):
        layers = rows.groupby(["subset", "seed"])["layer"].agg(tuple)
        if layers.nunique() > 1:
            raise ValueError(f"the networks of {data} with {k} labels differ in their layers: {sorted(set(layers))}")
        measured = rows[["accuracy", "snr"]].to_numpy(np.float64).reshape(len(layers), -1, 2)
        drawn = summaries.nested_means([measured.reshape(len(layers), -1)], resamples, rng)[:, 0]
        taus.append(kendall_tau(measured.mean(0).T))
        resampled.append(kendall_tau(drawn.reshape(resamples, -1, 2).swapaxes(1, 2)))
        fewest_layers = min(fewest_layers, measured.shape[1])
    value, smallest = float(np.min(taus)), np.min(resampled, axis=(0, 2))
    estimate = (value, *_interval(smallest, value, level))
    first, last = table["labels"].min(), table["labels"].max()
    verdict = _place(*estimate[1:], (TAU, np.inf))
    complete = first <= WHOLE_RANGE[0] and last >= WHOLE_RANGE[1]
    networks = table.drop_duplicates(["data", *summaries.NETWORK])
    enough = table["labels"].nunique() >= laws.FEWEST_LABELS and fewest_layers >= FEWEST_LAYERS
    repeated = all(_repeated(of_data) for _, of_data in networks.groupby("data"))
    if not (enough and repeated) or (verdict == "supported" and not complete):
        verdict = "undecided"
    statistic = f"smallest tau over layers, K from {first} to {last}"
    return _claim("C5", statistic, estimate, len(networks), verdict, bar=TAU)


def claim_c6(observations: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL) -> Claim:
    """C6, decided: N_c and C_s at the last convolution hardly depend on K.

    `observations`: a row for each trained network, `labels`, `subset`, `seed`, `N_c`, `C_s`. Value: the larger
    of the two absolute slopes of ln mean over subsets against ln K; both slopes are in `statistic`. K at which
    a network has no cluster, so that C_s is NaN, are left out. n: networks used.

    Raises `ValueError` as `summaries.summaries`. Source: sections 6 and 7; statistic, interval, rule are additions.
    """
    table = summaries.checked(observations, summaries.NETWORK, gaps=["N_c", "C_s"])
    without = table["labels"].isin(table.loc[~(table[["N_c", "C_s"]] > 0).all(axis=1), "labels"])
    table, statistic, estimate, verdict = table[~without], "larger |slope| of N_c, C_s", (np.nan,) * 3, "undecided"
    if _enough(table):
        labels, values, resampled = summaries.resampled_summaries(table, ["N_c", "C_s"], "mean", resamples, seed)
        slopes = _slope(labels, values.T)
        larger = np.abs(_slope(labels, resampled.swapaxes(1, 2))).max(-1)
        value = float(np.abs(slopes).max())
        estimate = (value, *_interval(larger, value, level))
        verdict = _place(*estimate[1:], (-HARDLY, HARDLY))
        statistic = f"larger |log-log slope| against K: N_c {slopes[0]:+.2f}, C_s {slopes[1]:+.2f}"
    return _claim("C6", statistic, estimate, len(table), verdict, bar=HARDLY)


def claim_c8(
    deep: pd.DataFrame,
    shallow: pd.DataFrame,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    column: str = "error",
) -> Claim:
    """C8, decided: error ~ K^rho with rho about 1 for the deep network and smaller for the shallow one.

    `deep`, `shallow`: observations as for `claim_c4`, compared at the K that both have. Value: the difference
    of the two rho, each of a power law fitted to the mean error over subsets; both are in `statistic`. n:
    networks of both. Raises `ValueError` as `summaries.summaries`.
    Source: section 7; statistic, interval and rule are additions of the companion.
    """
    deep, shallow = (summaries.checked(table, summaries.NETWORK, [column]) for table in (deep, shallow))
    shared = np.intersect1d(deep["labels"], shallow["labels"])
    deep, shallow = (table[table["labels"].isin(shared)] for table in (deep, shallow))
    statistic, estimate, verdict = "rho deep minus rho shallow", (np.nan,) * 3, "undecided"
    if _enough(deep) and _enough(shallow):
        # The same seed draws the same subsets for both where both have them: the difference is a paired one.
        of_deep, of_shallow = (_rho(table, column, resamples, seed) for table in (deep, shallow))
        value = of_deep[0] - of_shallow[0]
        estimate = (value, *_interval(of_deep[1] - of_shallow[1], value, level))
        low, high = _interval(of_deep[1], of_deep[0], level)
        parts = (_place(low, high, LINEAR), _place(*estimate[1:], (HARDLY, np.inf)))
        verdict = next((part for part in ("not supported", "undecided") if part in parts), "supported")
        statistic = f"rho deep {of_deep[0]:.2f} [{low:.2f}, {high:.2f}] minus rho shallow {of_shallow[0]:.2f}"
    return _claim("C8", statistic, estimate, len(deep) + len(shallow), verdict, bar=HARDLY)


def claim_c9(observations: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL) -> Claim:
    """C9, decided: noise per filter falls as a power law in the number of filters per layer, at every depth.

    `observations`: a row for each filter of the last cut of each network, `depth`, `filters` (per layer),
    `seed`, `noise` (ones outside squares). Value: the largest over depths of the slope of ln mean noise, each
    seed first averaged, against ln filters. n: filters.

    Raises `ValueError` on a missing column, an empty table, or noise that is missing or infinite.
    Source: section 7; statistic, interval and rule are additions of the companion.
    """
    table = observations.assign(row=np.arange(len(observations)))  # filters have no name of their own
    table = summaries.checked(table, ["depth", "filters", "seed", "row"], ["noise"]).astype({"noise": np.float64})
    rng = np.random.default_rng(seed)
    slopes, resampled, advantage, fewest = [], [], 0.0, np.inf
    for _, of_depth in table.groupby("depth"):
        means, drawn, widths = [], [], np.unique(of_depth["filters"])
        for _, of_width in of_depth.groupby("filters"):
            networks = [rows["noise"].to_numpy()[:, None] for _, rows in of_width.groupby("seed")]
            means.append(np.mean([noise.mean() for noise in networks]))
            drawn.append(summaries.nested_means(networks, resamples, rng).mean((1, 2)))
        slopes.append(_slope(widths, np.array(means)))
        resampled.append(_slope(widths, np.stack(drawn, axis=-1)))
        advantage += _advantage(widths, np.array(means)) if len(widths) >= FEWEST_WIDTHS else 0.0
        fewest = min(fewest, len(widths))
    value = float(np.max(slopes))
    estimate = (value, *_interval(np.max(resampled, axis=0), value, level))
    verdict = _place(*estimate[1:], (-np.inf, -HARDLY)) if fewest >= FEWEST_WIDTHS else "undecided"
    statistic = f"largest log-log slope against filters per layer, {len(slopes)} depths"
    if verdict == "supported" and advantage > CLEARLY_BETTER:
        verdict, statistic = "not supported", f"{statistic}; an exponential is better"
    return _claim("C9", statistic, estimate, len(table), verdict, bar=-HARDLY)


def _claim(
    claim: str, statistic: str, estimate: tuple[float, float, float], n: int, verdict: str, bar: float
) -> Claim:
    rule = next(rule for rule in RULES if rule.claim == claim)
    return Claim(claim, rule.statement, statistic, *estimate, n, verdict, bar)


def _place(low: float, high: float, bars: tuple[float, float]) -> str:
    if low >= bars[0] and high <= bars[1]:
        return "supported"
    return "not supported" if high < bars[0] or low > bars[1] else "undecided"  # NaN is neither


def _interval(resampled: np.ndarray, value: float, level: float) -> tuple[float, float]:
    """Percentile interval in which a resample without a value might be anything."""
    if np.isnan(value):
        return np.nan, np.nan
    low = percentile_interval(np.nan_to_num(resampled, nan=-np.inf, posinf=np.inf, neginf=-np.inf), level)[0]
    return float(low), float(percentile_interval(np.nan_to_num(resampled, nan=np.inf, neginf=-np.inf), level)[1])


def _enough(networks: pd.DataFrame) -> bool:
    """Whether there are K enough to tell laws apart, and networks enough for an interval."""
    return networks["labels"].nunique() >= laws.FEWEST_LABELS and _repeated(networks)


def _repeated(networks: pd.DataFrame) -> bool:
    """Whether the bootstrap has something to draw from at every K but the largest, which costs most to train."""
    return bool((networks.groupby("labels").size().iloc[:-1] > 1).all())


def _rho(networks: pd.DataFrame, column: str, resamples: int, seed: int) -> tuple[float, np.ndarray]:
    labels, values, resampled = summaries.resampled_summaries(networks, [column], "mean", resamples, seed)
    rho = laws.fit("power", labels, values[:, 0]).exponent
    return float(rho), laws.fit("power", labels, resampled[..., 0]).exponent


def _slope(sizes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Slope of ln values against ln sizes, `[...]` of `values[..., sizes]`; NaN where a value is not above zero."""
    logarithms = np.log(np.where(values > 0, values, np.nan))
    return laws.fit("logarithm", sizes, logarithms).b if len(sizes) > 1 else np.full(values.shape[:-1], np.nan)


def _advantage(widths: np.ndarray, means: np.ndarray) -> float:
    """AICc of a power law minus that of an exponential. Both are straight lines for ln noise, against ln filters
    and against filters, with as many coefficients: what is left of AICc is how well each line fits."""
    logarithms = np.log(np.where(means > 0, means, np.nan))
    misfits = [
        np.sum((laws.curve(laws.fit(law, widths, logarithms), widths) - logarithms) ** 2)
        for law in ("logarithm", "linear")
    ]
    rounding = 1e-20  # of logarithms of order 1: two perfect fits are equally good
    return float(len(widths) * np.log((misfits[0] + rounding) / (misfits[1] + rounding)))
