"""Networks on several subsets of labels, summarised at each K: mean and maximum, with intervals.

Observations are a tidy table with a row for each trained network: `labels` (K), `subset` (which random choice of K
labels), `seed` (of the training), and columns of what was measured. Intervals are percentile bootstraps that draw
subsets with replacement and, inside each drawn subset, seeds. With few subsets they are narrow: of three, a bootstrap
sees about 0.8 of the spread.
"""

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from singlefilter.method.statistics import LEVEL, RESAMPLES, percentile_interval

SHOWS = MappingProxyType({"mean": np.mean, "max": np.max})  # over the subsets of one K


NETWORK = ("labels", "subset", "seed")


def summaries(
    observations: pd.DataFrame, column: str, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> pd.DataFrame:
    """Mean and maximum over label subsets at each K, with bootstrap intervals; each subset is first averaged
    over its seeds.

    Returns two rows for each K, ascending: `labels`; `shows`, "mean" or "max"; `value`, `low`, `high` in the
    unit of the column; `subsets`; `seeds`, the trained networks at this K over all subsets.

    The bootstrap of a maximum can err in one direction only, downwards: no resample of the subsets exceeds
    the largest one measured, and the largest of all possible subsets is larger still. K = all labels has a
    single subset, whose interval comes from its seeds; a single network has an interval without width.

    Raises `ValueError` on a missing column, an empty table, a value that is missing or infinite, K that are no
    whole numbers of at least 1, or a network that comes twice. Source: section 7, mean and maximum over
    subsets; intervals of the companion.
    """
    networks = checked(observations, NETWORK, [column]).groupby("labels")
    of_labels = {"subsets": networks["subset"].nunique().to_numpy(), "seeds": networks.size().to_numpy()}
    tables = []
    for shows in SHOWS:
        labels, values, resampled = resampled_summaries(observations, [column], shows, resamples, seed)
        low, high = percentile_interval(resampled[..., 0], level)
        of_values = {"labels": labels, "shows": shows, "value": values[:, 0], "low": low, "high": high}
        tables.append(pd.DataFrame(of_values | of_labels))
    return pd.concat(tables).sort_values("labels", kind="stable", ignore_index=True)


def resampled_summaries(
    observations: pd.DataFrame, columns: Sequence[str], shows: str, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean or maximum over subsets at each K, measured and resampled, of several columns of the same draws.

    Returns `(labels[K], values[K, columns], resampled[resamples, K, columns])`, K ascending, int64 and float64.
    Tables with the same subsets and seeds get the same draws from the same `seed`. Errors as in `compare`.
    """
    if shows not in SHOWS:
        raise ValueError(f"shows is {shows!r}; a summary over subsets is one of {', '.join(SHOWS)}")
    table = checked(observations, NETWORK, columns).sort_values(list(NETWORK))
    labels, subset = (table[name].to_numpy() for name in ("labels", "subset"))
    measured = table[list(columns)].to_numpy(np.float64)
    rng = np.random.default_rng(seed)
    values, resampled = [], []
    for k in np.unique(labels):
        _, first = np.unique(subset[labels == k], return_index=True)
        subsets = np.split(measured[labels == k], first[1:])
        values.append(SHOWS[shows]([seeds.mean(0) for seeds in subsets], axis=0))
        resampled.append(SHOWS[shows](nested_means(subsets, resamples, rng), axis=1))
    return np.unique(labels).astype(np.int64), np.array(values), np.stack(resampled, axis=1)


def nested_means(groups: Sequence[np.ndarray], resamples: int, rng: np.random.Generator) -> np.ndarray:
    """As many groups as there are, drawn with replacement, each averaged over its members drawn likewise.

    `groups`: arrays `[members, columns]`, real, at least one member each; a group drawn twice has its members
    drawn twice. Returns float64 `[resamples, groups, columns]`. Raises `ValueError` when there is not at
    least one resample.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; the bootstrap needs at least 1, and some hundreds to mean much")
    sizes = np.array([len(group) for group in groups])
    members = np.concatenate(groups).astype(np.float64)
    drawn = rng.integers(len(groups), size=(resamples, len(groups)))
    places = np.arange(sizes.max())
    inside = rng.integers(sizes[drawn][..., None], size=(*drawn.shape, len(places)))
    first = np.cumsum(sizes) - sizes
    chosen = members[first[drawn][..., None] + inside]
    used = places < sizes[drawn][..., None]  # smaller groups have fewer members to average
    return np.where(used[..., None], chosen, 0).sum(2) / sizes[drawn][..., None]


def checked(
    observations: pd.DataFrame, keys: Sequence[str], values: Sequence[str] = (), gaps: Sequence[str] = ()
) -> pd.DataFrame:
    """These columns of the observations, if they can be used: all present, some rows, whole numbers of labels
    and filters, each row of `keys` once, every entry of `values` a finite number; `gaps` may have any.

    Raises `ValueError` that names the first thing wrong.
    """
    missing = [name for name in (*keys, *values, *gaps) if name not in observations]
    if missing:
        raise ValueError(f"the observations have no column {', '.join(missing)}; they have {list(observations)}")
    if len(observations) == 0:
        raise ValueError("the observations are empty; there must be a row for each trained network")
    table = observations[[*keys, *values, *gaps]]
    if table[list(keys)].isna().any(axis=None):
        raise ValueError(f"a row of the observations lacks one of {', '.join(keys)}: which network is it?")
    for name in {"labels", "filters"}.intersection(keys):
        if not ((table[name] >= 1) & (table[name] % 1 == 0)).all():
            raise ValueError(f"{name} must be whole numbers of at least 1, got {table[name].unique().tolist()}")
    twice = table.duplicated(list(keys))
    if twice.any():
        raise ValueError(f"{_named(table, keys, twice)} comes twice; select one data set and one network first")
    for name in values:
        unusable = ~np.isfinite(table[name].to_numpy(np.float64))
        if unusable.any():
            where = _named(table, keys, unusable)
            raise ValueError(
                f"{name} is missing or infinite in {unusable.sum()} of {len(table)} rows, first in {where}"
            )
    return table


def _named(table: pd.DataFrame, keys: Sequence[str], rows: np.ndarray) -> str:
    first = table.loc[np.asarray(rows), list(keys)].iloc[0]
    return ", ".join(f"{key} {value}" for key, value in first.items())
