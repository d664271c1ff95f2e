"""The verdict on a claim about layers, by a rule written down here before any result is looked at.

Each claim says that a quantity rises or falls with the layer. Its statistic is Kendall's tau between the
layer and the quantity; its interval comes from a bootstrap over what was measured. Sections refer to the
method that the companion follows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from singlefilter.method.statistics import LEVEL, RESAMPLES, percentile_interval, resampled_quantities, resampled_sums
from singlefilter.studies.rules import FEWEST_LAYERS, TAU, Claim, Rule, kendall_tau

RULES = (
    Rule(
        "C1",
        "accuracy of the head rises with the layer",
        "accuracy of the flat head",
        +1,
        "test images, the same for all layers",
        "paper, abstract",
    ),
    Rule(
        "C2",
        "SNR rises with the layer",
        "SNR",
        +1,
        "filters, in each layer on its own",
        "paper, abstract",
    ),
    Rule(
        "C3",
        "noise per filter falls with the layer",
        "noise per filter n",
        -1,
        "filters, in each layer on its own",
        "first version of the paper only",
    ),
)

VERDICTS = {
    "supported": f"the whole interval of tau, in the claimed direction, is at least {TAU}: three of four "
    "pairs of layers in the claimed order",
    "not supported": f"the whole interval of tau, in the claimed direction, is below {TAU}",
    "undecided": f"the interval reaches across {TAU}, there are fewer than {FEWEST_LAYERS} layers, or a "
    "layer has no value",
}


def claim_c1(
    correct: np.ndarray,
    layers: Sequence[int] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Claim:
    """C1, decided: the accuracy of the flat head rises with the layer.

    `correct[images, layers]`, bool: whether the head of each layer gave the true label of each test image.
    The same images are drawn for all layers. `layers`: the layer of each column, in any order; by default 1,
    2, 3, ...

    Raises `ValueError` when the shapes do not fit, there are no images, or a layer comes twice.
    Source: section 7; statistic, interval and rule are additions of the companion.
    """
    correct = np.asarray(correct)
    if correct.ndim != 2 or len(correct) == 0:
        raise ValueError(f"correct must be [images, layers] with at least one image, got shape {list(correct.shape)}")
    layers = list(range(1, correct.shape[1] + 1)) if layers is None else list(layers)
    if len(layers) != correct.shape[1] or len(set(layers)) != len(layers):
        raise ValueError(f"layers must name each of the {correct.shape[1]} columns of correct once, got {layers}")
    columns = correct[:, np.argsort(layers)].astype(np.float64)
    sums = resampled_sums(columns, resamples, np.random.default_rng(seed))
    return _decide(RULES[0], columns.mean(0), sums / len(columns), len(columns), level)


def claim_c2(
    counts_by_layer: Mapping[int, pd.DataFrame],
    labels: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Claim:
    """C2, decided: SNR rises with the layer.

    `counts_by_layer`: the table of `statistics.count_filters` by layer number, in any order; `labels`: K. The
    filters of each layer are drawn on their own. Raises `ValueError` when a table is empty or labels < 2.
    Source: section 7; SNR, statistic, interval and rule are additions of the companion.
    """
    return _over_filters(RULES[1], "snr", counts_by_layer, labels, resamples, seed, level)


def claim_c3(
    counts_by_layer: Mapping[int, pd.DataFrame],
    labels: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Claim:
    """C3, decided: the mean noise per filter falls with the layer. Arguments and errors as in `claim_c2`.

    Source: section 7; statistic, interval and rule are additions of the companion.
    """
    return _over_filters(RULES[2], "n", counts_by_layer, labels, resamples, seed, level)


def _over_filters(
    rule: Rule,
    quantity: str,
    counts_by_layer: Mapping[int, pd.DataFrame],
    labels: int,
    resamples: int,
    seed: int,
    level: float,
) -> Claim:
    rng = np.random.default_rng(seed)
    tables = [counts_by_layer[layer] for layer in sorted(counts_by_layer)]
    drawn = [resampled_quantities(counts, labels, resamples, rng) for counts in tables]
    values = np.array([value[quantity] for value, _ in drawn])
    resampled = np.array([resample[quantity] for _, resample in drawn]).reshape(len(drawn), resamples).T
    return _decide(rule, values, resampled, sum(map(len, tables)), level)


def _decide(rule: Rule, values: np.ndarray, resampled: np.ndarray, n: int, level: float) -> Claim:
    """The rule applied to `values[layers]` and `resampled[resamples, layers]`, layers ascending."""
    tau = float(kendall_tau(values))
    taus = kendall_tau(resampled)
    low = high = np.nan
    if not np.isnan(tau):
        # A resample without a value might be anything: -1 for the lower bound, +1 for the upper.
        low = float(percentile_interval(np.nan_to_num(taus, nan=-1.0), level)[0])
        high = float(percentile_interval(np.nan_to_num(taus, nan=1.0), level)[1])
    weakest, strongest = sorted((rule.direction * low, rule.direction * high))
    if len(values) < FEWEST_LAYERS or np.isnan(tau):
        verdict = "undecided"
    elif weakest >= TAU:
        verdict = "supported"
    else:
        verdict = "not supported" if strongest < TAU else "undecided"
    statistic = f"Kendall's tau of layer and {rule.quantity}"
    return Claim(rule.claim, rule.statement, statistic, tau, low, high, n, verdict, rule.direction * TAU)
