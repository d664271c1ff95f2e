"""The verdict on the claims about pruning, by rules written down here before the results of the study were looked at.

Every difference is between networks of the same seed, on the same test images; its interval is a bootstrap over
images, the same for all seeds, and over seeds, of which one less is drawn than there are, so that the spread of few
seeds is not taken for smaller than it is (Rao & Wu 1988).  Sections refer to the method that the companion follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from singlefilter.method.statistics import LEVEL, RESAMPLES, percentile_interval, resampled_sums
from singlefilter.studies.rules import Claim, Rule

POINT = 0.01  # of accuracy: what counts as a difference
STRONGLY = 0.2  # fraction of the connections that is left at most, where pruning is called strong
FASTER, SMALLER = 2.0, 0.5  # times faster at batch 1, part of the parameters
FEWEST_SEEDS = 3

_PAIRED = "training seeds, and test images, the same for both networks"

RULES = (
    Rule(
        "C7",
        "AFCC dilutes the head strongly without loss of accuracy",
        "accuracy after retraining under AFCC at the last cut, minus that of the dense head, as trained or retrained "
        "the same way, whichever is the better",
        0,
        _PAIRED,
        "paper, abstract",
    ),
    Rule(
        "C10",
        "convolutions pruned by shared cluster labels beat random pruning of the same size",
        "accuracy after retraining under AFCC minus under random masks; the smallest over chains of layers",
        +1,
        _PAIRED,
        "successor, arXiv 2501.12880",
    ),
    Rule(
        "C11",
        f"a network {FASTER:g} times faster with {SMALLER:g} of the parameters is as accurate",
        "accuracy of the best such network minus that of the dense one, as trained or retrained the same way, "
        "whichever is the better; the best is chosen on every other test image and judged on the others",
        0,
        _PAIRED,
        "press text on the paper",
    ),
)

_FEW = f"the interval reaches across the bar, or there are fewer than {FEWEST_SEEDS} seeds"

VERDICTS = {
    "C7": {
        "supported": f"the whole interval is at least -{POINT} (one point), and at most {STRONGLY} of the "
        "connections are left at every seed",
        "not supported": f"the whole interval is below -{POINT}, or more connections are left at some seed",
        "undecided": _FEW,
    },
    "C10": {
        "supported": f"the whole interval is at least {POINT} (one point)",
        "not supported": f"the whole interval is below {POINT}",
        "undecided": _FEW,
    },
    "C11": {
        "supported": f"the whole interval is at least -{POINT} (one point)",
        "not supported": f"the whole interval is below -{POINT}, or no network made by cuts and clusters is "
        f"{FASTER:g} times as fast at batch 1 (lower quartile over rounds) with at most {SMALLER} of the parameters",
        "undecided": _FEW,
    },
}


def claim_c7(
    dense: Sequence[np.ndarray],
    pruned: np.ndarray,
    kept_fraction: Sequence[float],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Claim:
    """C7, decided.  dense: right answers of the dense head as trained and retrained, bool `[seeds, images]` each;
    pruned: under AFCC, after retraining; kept_fraction: of AFCC, `[seeds]`.

    n: images of all seeds.  Raises `ValueError` where shapes differ or there are no images.
    Source: section 8; statistic, interval and rule are additions of the companion.
    """
    difference = np.asarray(pruned, float) - _better(dense)
    value, drawn = paired(difference[..., None], resamples, seed)
    kept = float(np.max(kept_fraction))
    if kept > STRONGLY and len(difference) >= FEWEST_SEEDS:
        verdict = "not supported"
    else:
        verdict = _place(drawn[:, 0], -POINT, len(difference), level)
    statistic = f"AFCC minus dense, {np.mean(kept_fraction):.1%} kept"
    return _claim("C7", statistic, value[0], drawn[:, 0], difference.size, verdict, -POINT, level)


def claim_c10(
    shared: Mapping[str, np.ndarray],
    at_random: Mapping[str, np.ndarray],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Claim:
    """C10, decided.  shared, at_random: right answers after retraining, bool `[seeds, images]`, by chain of layers.

    The smallest of several is resampled below its value more often than above: the rule errs against the claim.
    n: images of all seeds.  Raises `ValueError` where shapes or chains differ, or there are none.
    Source: section 8; statistic, interval and rule are additions of the companion.
    """
    if not shared or set(shared) != set(at_random):
        raise ValueError(f"chains of layers differ: {', '.join(shared)} and {', '.join(at_random)}")
    difference = np.stack([np.asarray(shared[name], float) - at_random[name] for name in shared], axis=-1)
    values, drawn = paired(difference, resamples, seed)
    smallest = drawn.min(1)
    verdict = _place(smallest, POINT, len(difference), level)
    statistic = f"AFCC minus random, smallest of {len(shared)}: layers {list(shared)[int(values.argmin())]}"
    size = difference[..., 0].size
    return _claim("C10", statistic, values.min(), smallest, size, verdict, POINT, level)


def claim_c11(
    dense: Sequence[np.ndarray],
    candidates: Mapping[str, np.ndarray],
    speedup: Mapping[str, float],
    parameters: Mapping[str, float],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Claim:
    """C11, decided.  dense: as for C7; candidates: right answers after retraining, bool `[seeds, images]`, by
    network; speedup: over dense at batch 1, the lower quartile; parameters: fraction of the dense network's, the
    largest over seeds.

    Where no candidate is fast and small enough, value and interval are NaN.  n: images judged on, of all seeds.
    Raises `ValueError` where shapes differ.  Source: sections 7 and 8; statistic, interval and rule are additions.
    """
    fit = [name for name in candidates if speedup[name] >= FASTER and parameters[name] <= SMALLER]
    if not fit:
        statistic = (
            f"none of {len(candidates)} networks is {FASTER:g} times faster with {SMALLER:g} of the parameters"
        )
        verdict = "not supported" if len(dense[0]) >= FEWEST_SEEDS else "undecided"
        return _claim("C11", statistic, np.nan, np.full(1, np.nan), 0, verdict, -POINT, level)
    every = {name: np.asarray(candidates[name], float) for name in fit}
    best = max(fit, key=lambda name: every[name][:, ::2].mean())
    difference = (every[best] - _better(dense))[:, 1::2]
    value, drawn = paired(difference[..., None], resamples, seed)
    verdict = _place(drawn[:, 0], -POINT, len(difference), level)
    statistic = f"{best} minus dense, {speedup[best]:.1f} times faster, {parameters[best]:.0%} of the parameters"
    return _claim("C11", statistic, value[0], drawn[:, 0], difference.size, verdict, -POINT, level)


def paired(differences: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Means of `differences[seeds, images, columns]` over seeds and images, float64 `[columns]`, and of each resample
    of both, `[resamples, columns]`: the images are drawn once for all seeds and columns.

    Raises `ValueError` without seeds or images.
    """
    seeds, images, columns = differences.shape
    if not seeds or not images:
        raise ValueError(f"a difference takes at least one seed and image; there are {seeds} seeds, {images} images")
    rng = np.random.default_rng(seed)
    by_image = differences.transpose(1, 0, 2).reshape(images, -1)
    drawn = (resampled_sums(by_image, resamples, rng) / images).reshape(resamples, seeds, columns)
    chosen = rng.integers(seeds, size=(resamples, max(1, seeds - 1)))
    return differences.mean((0, 1)), np.take_along_axis(drawn, chosen[..., None], 1).mean(1)


def _better(dense: Sequence[np.ndarray]) -> np.ndarray:
    """Of the dense network as trained and as retrained the one that is right more often."""
    return max((np.asarray(each, float) for each in dense), key=np.mean)


def _place(drawn: np.ndarray, bar: float, seeds: int, level: float) -> str:
    low, high = percentile_interval(drawn, level)
    if seeds < FEWEST_SEEDS:
        return "undecided"
    return "supported" if low >= bar else "not supported" if high < bar else "undecided"


def _claim(
    claim: str, statistic: str, value: float, drawn: np.ndarray, n: int, verdict: str, bar: float, level: float
) -> Claim:
    rule = next(rule for rule in RULES if rule.claim == claim)
    low, high = (float(end) for end in percentile_interval(drawn, level))
    return Claim(claim, rule.statement, statistic, float(value), low, high, n, verdict, bar)
