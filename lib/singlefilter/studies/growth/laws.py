"""Laws of how a quantity grows with the number of labels K, fitted to summaries over label subsets.

Fits are least squares on the values themselves, one value for each K.  What observations are, and how they are
resampled, is in `summaries`. Sections refer to the method that the companion follows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import boxcox

from singlefilter.method.statistics import LEVEL, RESAMPLES, percentile_interval
from singlefilter.studies.growth import summaries

LAWS = ("linear", "power", "logarithm")
FAMILY = "family"
FEWEST_LABELS = 4  # two coefficients, one K to hold out, one left over

_EXPONENTS = np.linspace(-2, 3, 1001)  # searched for rho and lambda, then refined between neighbours
_PARAMETERS = 3  # of each law: two coefficients and the variance of the residuals


@dataclass(frozen=True)
class Fit:
    """A law with its coefficients; float64, each a number or an array `[...]` of many fits at once.

    `linear` a + b K, `logarithm` a + b ln K, `power` a K**exponent (b is NaN), and the `family` that nests the
    first two, a + b (K**exponent - 1) / exponent: 1 is linear, 0 the logarithm.
    """

    law: str
    a: np.ndarray | float
    b: np.ndarray | float
    exponent: np.ndarray | float


def compare(
    observations: pd.DataFrame,
    column: str,
    shows: str = "mean",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> pd.DataFrame:
    """The three laws side by side, fitted to the mean or the maximum over subsets at each K.

    Returns a row for each of `LAWS`: `law`, `a`, `b`, `exponent` (rho, of the power law only) with
    `exponent_low` and `exponent_high`; `aicc`; `delta`, aicc above that of the best law; `held_out`, root mean
    square error where each K in turn is predicted by a fit to the others, in the unit of the column.

    aicc is Akaike's criterion with the correction for small samples, from the residuals of the values, one for
    each K: m ln(RSS / m) + 2 p + 2 p (p + 1) / (m - p - 1), m values of K, p = 3. It is infinite at m = 4,
    where `delta` still holds: all laws have the same p, so that all but m ln(RSS) cancels.

    Raises `ValueError` as `summaries.summaries`, on an unknown `shows`, or with fewer than 4 different K.
    Source: sections 7 and 9; laws and comparison are additions of the companion.
    """
    labels, values, resampled = _curves(observations, column, shows, resamples, seed)
    rows = []
    for law in LAWS:
        found = fit(law, labels, values)
        row = {"law": law, "a": float(found.a), "b": float(found.b), "exponent": float(found.exponent)}
        exponents = fit(law, labels, resampled).exponent if law == "power" else np.array([np.nan])
        row["exponent_low"], row["exponent_high"] = map(float, percentile_interval(exponents, level))
        misfit = float(np.sum((values - curve(found, labels)) ** 2))
        rows.append(row | {"aicc": _aicc(misfit, values), "held_out": _held_out(law, labels, values)})
        rows[-1]["delta"] = len(values) * _log_misfit(misfit, values)
    table = pd.DataFrame(rows)
    table["delta"] -= table["delta"].min()
    return table


def family_exponent(
    observations: pd.DataFrame,
    column: str,
    shows: str = "max",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """lambda of the family a + b (K**lambda - 1) / lambda with its interval, `(value, low, high)`.

    1 is a linear law, 0 the logarithm; searched from -2 to 3. NaN where the values are all the same. Arguments
    and errors as in `compare`. Source: section 7; the family is an addition of the companion.
    """
    labels, values, resampled = _curves(observations, column, shows, resamples, seed)
    low, high = percentile_interval(fit(FAMILY, labels, resampled).exponent, level)
    return float(fit(FAMILY, labels, values).exponent), float(low), float(high)


def fit(law: str, labels: np.ndarray, values: np.ndarray) -> Fit:
    """A law fitted to `values[..., K]` at `labels[K]` by least squares; coefficients float64 `[...]`.

    The exponent of the power law and of the family is searched from -2 to 3 with the other coefficients
    profiled out; it is NaN where any would do (the family: equal values; the power law: zeros). Raises
    `ValueError` on an unknown law. Source: section 7, claims C4 and C8.
    """
    labels, values = np.asarray(labels, np.float64), np.asarray(values, np.float64)
    if law == "power":
        exponent = _profiled(labels, values, law, constant=False)
        shape = _shape(law, labels, exponent)
        return Fit(law, (shape * values).sum(-1) / (shape**2).sum(-1), np.full(exponent.shape, np.nan), exponent)
    exponent = np.full(values.shape[:-1], np.nan)
    if law == FAMILY:
        exponent = _profiled(labels, values, law, constant=True)
    shape = _shape(law, labels, exponent)
    centred = shape - shape.mean(-1, keepdims=True)
    b = (centred * values).sum(-1) / (centred**2).sum(-1)
    return Fit(law, values.mean(-1) - b * shape.mean(-1), b, exponent)


def curve(law: Fit, labels: np.ndarray) -> np.ndarray:
    """The law evaluated at `labels[K]`, float64 `[..., K]`, in the unit of the values it was fitted to.

    `law`: a `Fit`, or a row of `compare` from `itertuples`. Raises `ValueError` on an unknown law.
    """
    labels = np.asarray(labels, np.float64)
    a, b, exponent = (np.asarray(x, np.float64) for x in (law.a, law.b, law.exponent))
    shape = _shape(law.law, labels, exponent)
    return a[..., None] * shape if law.law == "power" else a[..., None] + b[..., None] * shape


def _curves(
    observations: pd.DataFrame, column: str, shows: str, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels, values, resampled = summaries.resampled_summaries(observations, [column], shows, resamples, seed)
    if len(labels) < FEWEST_LABELS:
        raise ValueError(
            f"laws need at least {FEWEST_LABELS} different numbers of labels, there are {len(labels)} "
            f"({labels.tolist()}); add more K to the sweep"
        )
    return labels, values[:, 0], resampled[..., 0]


def _shape(law: str, labels: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """What the last coefficient of a law multiplies, `[..., K]`."""
    if law == "linear":
        return labels
    if law == "logarithm":
        return np.log(labels)
    if law in ("power", FAMILY):
        exponent = np.nan_to_num(exponent, nan=1.0)[..., None]  # where any exponent fits, one of them
        return labels**exponent if law == "power" else boxcox(labels, exponent)
    raise ValueError(f"there is no law {law!r}; there are {', '.join(LAWS)} and {FAMILY}")


def _profiled(labels: np.ndarray, values: np.ndarray, law: str, constant: bool) -> np.ndarray:
    """The exponent with the least squares, float64 `[...]`, where the coefficients are the best for each.

    With shape x and values y, both without their mean if the law has a constant, the best multiple of x leaves
    sum y**2 - (sum x y)**2 / sum x**2, so that the last term is to be as large as possible: on a grid, then at
    the top of the parabola through the best point and its neighbours.
    """
    x, y = _shape(law, labels, _EXPONENTS), values
    if constant:
        x, y = (array - array.mean(-1, keepdims=True) for array in (x, y))
    explained = (y @ (x / np.linalg.norm(x, axis=-1, keepdims=True)).T) ** 2
    best = explained.argmax(-1)
    inner = np.clip(best, 1, len(_EXPONENTS) - 2)
    before, top, after = (np.take_along_axis(explained, (inner + d)[..., None], -1)[..., 0] for d in (-1, 0, 1))
    bend = before - 2 * top + after
    beside = np.where((best == inner) & (bend < 0), (before - after) / np.where(bend < 0, 2 * bend, 1), 0)
    exponent = _EXPONENTS[best] + beside * (_EXPONENTS[1] - _EXPONENTS[0])
    free = np.ptp(values, axis=-1) == 0 if constant else ~values.any(-1)
    return np.where(free, np.nan, exponent)


def _held_out(law: str, labels: np.ndarray, values: np.ndarray) -> float:
    errors = []
    for place in range(len(labels)):
        others = fit(law, np.delete(labels, place), np.delete(values, place))
        errors.append(curve(others, labels[[place]])[0] - values[place])
    return float(np.sqrt(np.mean(np.square(errors))))


def _log_misfit(misfit: float, values: np.ndarray) -> float:
    """ln RSS, not below that of rounding, so that a perfect fit is not infinitely better than another one."""
    rounding = np.finfo(np.float64).eps * max(np.abs(values).max(), np.finfo(np.float64).tiny ** 0.25)
    return float(np.log(max(misfit, len(values) * rounding**2)))


def _aicc(misfit: float, values: np.ndarray) -> float:
    m, p = len(values), _PARAMETERS
    spare = m - p - 1
    correction = 2 * p * (p + 1) / spare if spare > 0 else np.inf
    return m * (_log_misfit(misfit, values) - np.log(m)) + 2 * p + correction
