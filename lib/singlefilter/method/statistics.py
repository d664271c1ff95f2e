"""Statistics of clusters: per filter, per layer with intervals, and the field SNR that needs no threshold.

Plain arrays and tables in, plain arrays and tables out. Every interval is a percentile bootstrap, or Wilson's
where a proportion is all there is. Sections refer to the method that the companion follows.
"""

import math

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtri

Array = np.ndarray | torch.Tensor

RESAMPLES = 1000
LEVEL = 0.95
CHUNK_WEIGHTS = 4_000_000  # weights drawn at a time: 32 MB, however many images or filters there are


def count_filters(clipped: Array, clusters: Array) -> pd.DataFrame:
    """Clusters and noise of each filter, one row a filter, all columns int64.

    `clipped[filters, true_label, out_label]`, bool, from `clusters.clip`; `clusters[filters, label]`,
    integer, from `clusters.find` of the same matrices.

    Columns: `filter`; `clusters`, how many; `covered`, labels in a cluster (sum of C over clusters of size
    C); `inside`, ones inside squares (sum of C**2); `internal`, those off the diagonal (sum of C**2 - C);
    `noise`, ones outside every square; `ones` = inside + noise. `.attrs["labels"]` is K. Raises `ValueError` when
    the shapes do not fit or the clusters are not those of these matrices (they cover other labels than the diagonal
    shows). Source: section 6.
    """
    clusters = _numpy(clusters)
    if clipped.ndim != 3 or tuple(clipped.shape) != (*clusters.shape, clusters.shape[-1]):
        raise ValueError(
            f"clipped must be [filters, K, K] and clusters [filters, K], got {list(clipped.shape)} and "
            f"{list(clusters.shape)}"
        )
    if isinstance(clipped, torch.Tensor) and clipped.device.type == "cpu":
        clipped = clipped.numpy()  # sums bools ten times faster than torch; on a GPU they are summed there
    if not np.array_equal(_numpy(clipped.diagonal(0, 1, 2)) != 0, clusters >= 0):
        raise ValueError(
            "the clusters do not belong to these clipped matrices: some label is in a cluster without a "
            "one on the diagonal, or the reverse; take both from the same threshold"
        )
    ones = _numpy(clipped.sum((1, 2))).astype(np.int64)
    sizes = _sizes(clusters)
    covered, inside = sizes.sum(1), (sizes**2).sum(1)
    counts = pd.DataFrame(
        {
            "filter": np.arange(len(clusters)),
            "clusters": (sizes > 0).sum(1),
            "covered": covered,
            "inside": inside,
            "internal": inside - covered,
            "noise": ones - inside,
            "ones": ones,
        }
    )
    counts.attrs["labels"] = clusters.shape[1]
    return counts


def cluster_sizes(clusters: Array) -> pd.DataFrame:
    """Every cluster of every filter, one row each: `filter`, `cluster` (its number), `size` in labels, int64.

    `clusters[filters, label]`, integer, from `clusters.find`. Source: section 6.
    """
    sizes = _sizes(_numpy(clusters))
    filters, numbers = np.nonzero(sizes)
    return pd.DataFrame({"filter": filters, "cluster": numbers, "size": sizes[filters, numbers]})


def layer_statistics(
    counts: pd.DataFrame, labels: int, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, float]:
    """The statistics of a layer, each with `_low` and `_high` from a bootstrap over its filters.

    `counts`: the table of `count_filters`; `labels`: K, at least 2.

    | key | formula, sums over the F filters |
    |---|---|
    | `N_c` | sum clusters / F, clusters per filter |
    | `C_s` | sum covered / sum clusters, labels per cluster; NaN where no filter has one |
    | `n` | sum noise / F, ones outside squares per filter |
    | `S` | sum covered / K = F N_c C_s / K, filters that support a label |
    | `X_internal` | sum internal / (K (K - 1)), filters that support a given wrong output, inside squares |
    | `X_external` | sum noise / (K (K - 1)), the same outside squares |
    | `snr` | S / (X_internal + X_external); infinite where only S > 0, NaN where both are 0 |
    | `N_c_clustered`, `n_clustered` | as N_c, n, over filters with a cluster; NaN where there is none |

    `C_s` pools clusters, so it is the same over all filters and over filters with a cluster. Two counts
    without interval: `filters` and `filters_with_cluster`. A resample in which a quantity is NaN is left out
    of its interval; a quantity that is NaN has a NaN interval; infinity is kept as the largest value.

    Raises `ValueError` on a table without filters, labels < 2 or not those that were counted, or a bad
    number of resamples or level.
    Source: section 6; both sets of filters, intervals and SNR are additions of the companion.
    """
    values, resampled = resampled_quantities(counts, labels, resamples, np.random.default_rng(seed))
    result: dict[str, float] = {}
    for name, value in values.items():
        low, high = (np.nan, np.nan) if np.isnan(value) else percentile_interval(resampled[name], level)
        result |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
    return result | {"filters": len(counts), "filters_with_cluster": int((counts["clusters"] > 0).sum())}


def mean_interval(
    values: Array, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over images and its bootstrap interval, `(mean, low, high)`, each float64 `[layers]`.

    `values[images, layers]`, real or bool; `[images]` gives three numbers. The same resampling of images
    serves all layers, so layers stay paired. NaN (an image without a value) is left out of the mean and of
    each resample. Raises `ValueError` when there are no images. Source: section 6, intervals of the
    companion.
    """
    values = _numpy(values).astype(np.float64)
    if len(values) == 0:
        raise ValueError("there are no images to average over")
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    columns = np.concatenate([np.where(known, flat, 0), known], axis=1)

    def means(sums: np.ndarray) -> np.ndarray:
        totals, numbers = np.split(sums, 2, axis=-1)
        return _ratio(totals, numbers)

    sums = resampled_sums(columns, resamples, np.random.default_rng(seed))
    low, high = percentile_interval(means(sums), level)
    shape = values.shape[1:]
    return means(columns.sum(0)).reshape(shape), low.reshape(shape), high.reshape(shape)


def proportion_interval(
    successes: np.ndarray | int, n: np.ndarray | int, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Proportion and Wilson's interval, `(successes / n, low, high)`, float64, shapes broadcast.

    Raises `ValueError` unless 0 <= successes <= n and n >= 1. Source: Wilson (1927), J. Am. Stat. Assoc. 22.
    """
    successes, n = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    if np.any(n < 1) or np.any(successes < 0) or np.any(successes > n):
        raise ValueError("a proportion needs n of at least 1 and between 0 and n successes")
    z = ndtri(0.5 + _checked_level(level) / 2)
    p = successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At 0 and n successes the bounds are 0 and 1 exactly; rounding must not move them.
    return p, np.where(successes == 0, 0, centre - half), np.where(successes == n, 1, centre + half)


def dprime(logits: Array, true_labels: Array) -> Array:
    """Field SNR d' of each image: (true logit - mean of the others) / standard deviation of the others.

    `logits[images, K]`, real; `true_labels[images]`, integer. The standard deviation is that of the
    population (divided by K - 1, the number of the others).

    Returns `[images]`, same kind and device as the logits; float64 for float64 or integers, else float32. NaN
    where K < 3 or all the others are equal; infinity where logits, or the squares of them, overflow. Raises
    `ValueError` when shapes do not fit or a label is not an output. Source: section 6.
    """
    if isinstance(logits, np.ndarray):
        return dprime(torch.tensor(logits), torch.as_tensor(true_labels)).numpy()
    true_labels = torch.as_tensor(true_labels, device=logits.device).to(torch.int64)
    if logits.ndim != 2 or true_labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits must be [images, K] and true_labels [images], got {list(logits.shape)} and "
            f"{list(true_labels.shape)}"
        )
    labels = logits.shape[1]
    if len(logits) and not 0 <= int(true_labels.min()) <= int(true_labels.max()) < labels:
        raise ValueError(f"true_labels must lie in 0..{labels - 1}, the outputs of these logits")
    exact = logits.dtype == torch.float64 or not logits.is_floating_point()
    return dprime_unchecked(logits.detach().to(torch.float64 if exact else torch.float32), true_labels)


def dprime_unchecked(logits: torch.Tensor, true_labels: torch.Tensor) -> torch.Tensor:
    """`dprime` of float logits and int64 labels that are known to fit, without waiting for a GPU to tell."""
    images, labels = logits.shape
    if labels < 3:
        return logits.new_full((images,), torch.nan)
    index = true_labels[:, None]
    true_logit = logits.gather(1, index)[:, 0]
    others = logits.scatter(1, index, 0)
    mean = others.sum(1).div_(labels - 1)
    others.sub_(mean[:, None]).scatter_(1, index, 0)
    deviation = torch.linalg.vector_norm(others, dim=1).div_(math.sqrt(labels - 1))
    others.scatter_(1, index, others.gather(1, (index + 1) % labels))
    lowest, highest = others.aminmax(dim=1)
    # Equal others: rounding of their mean would leave a tiny deviation instead of none.
    found = torch.where(lowest == highest, torch.nan, (true_logit - mean) / deviation)
    # Divided by an infinite deviation, d' would be 0, which looks like a result.
    return torch.where(deviation.isfinite() & true_logit.isfinite(), found, torch.inf)


def resampled_quantities(
    counts: pd.DataFrame, labels: int, resamples: int, rng: np.random.Generator
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The quantities of `layer_statistics`, of all filters and of each resample of them, `[resamples]`.

    Raises `ValueError` on a table without filters, labels < 2 or other than counted, or resamples < 1.
    Source: section 6.
    """
    if len(counts) == 0:
        raise ValueError("the table of counts has no filters; there is nothing to average")
    if labels < 2:
        raise ValueError(f"labels is {labels}; a wrong output needs at least 2")
    if (counted := counts.attrs.get("labels", labels)) != labels:
        raise ValueError(f"labels is {labels}; these filters were counted on {counted} labels")
    table = counts[["clusters", "covered", "internal", "noise"]].to_numpy(np.float64)
    with_cluster = table[:, 0] > 0
    columns = np.column_stack([table, np.ones(len(table)), with_cluster, table[:, 3] * with_cluster])
    values = _quantities(columns.sum(0), labels)
    resampled = _quantities(resampled_sums(columns, resamples, rng), labels)
    return {name: float(value) for name, value in values.items()}, resampled


def resampled_sums(columns: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Sums of `columns[units, column]` over units drawn with replacement, float64 `[resamples, column]`.

    An exact bootstrap: how often each unit is drawn (multinomial) is a matrix of weights, multiplied with all
    columns at once, some resamples at a time so that memory does not grow with the number of units.
    Raises `ValueError` when there is not at least one resample.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; the bootstrap needs at least 1, and some hundreds to mean much")
    units = len(columns)
    sums = np.empty((resamples, columns.shape[1]))
    chunk = max(1, CHUNK_WEIGHTS // units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(units, size=(rows, units)) + np.arange(rows)[:, None] * units
        weights = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units)
        sums[start : start + rows] = weights.astype(np.float64) @ columns
    return sums


def percentile_interval(resampled: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """`(low, high)` over the first axis of `resampled[resamples, ...]`, the same share cut off at each end.

    The bounds are resampled values, not interpolated, so that infinities stay what they are. NaN is left out;
    NaN alone gives NaN. Raises `ValueError` unless 0 < level < 1.
    """
    ordered = np.sort(resampled, axis=0)  # NaN last
    known = (~np.isnan(ordered)).sum(0)
    cut = ((1 - _checked_level(level)) / 2 * known + 1e-9).astype(np.int64)  # 25, not 24, of 1000 at 0.95
    last = np.maximum(known - 1 - cut, 0)
    return tuple(np.take_along_axis(ordered, np.asarray(at)[None], 0)[0] for at in (cut, last))


def _quantities(sums: np.ndarray, labels: int) -> dict[str, np.ndarray]:
    """Every quantity of a layer is a ratio of sums over filters, `sums[..., 7]`."""
    clusters, covered, internal, noise, filters, with_cluster, noise_clustered = np.moveaxis(sums, -1, 0)
    pairs = labels * (labels - 1)
    return {
        "N_c": clusters / filters,
        "C_s": _ratio(covered, clusters),
        "n": noise / filters,
        "S": covered / labels,
        "X_internal": internal / pairs,
        "X_external": noise / pairs,
        "snr": _ratio(covered / labels, (internal + noise) / pairs),
        "N_c_clustered": _ratio(clusters, with_cluster),
        "n_clustered": _ratio(noise_clustered, with_cluster),
    }


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below for sums that are not negative: infinite where only `below` is 0, NaN where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above) / np.asarray(below)


def _sizes(clusters: np.ndarray) -> np.ndarray:
    """Size of each cluster by its number, int64 `[filters, labels]`, 0 beyond the last."""
    filters, labels = clusters.shape
    index = np.arange(filters)[:, None] * labels + clusters
    return np.bincount(index[clusters >= 0], minlength=filters * labels).reshape(filters, labels)


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; an interval needs a level between 0 and 1, both excluded, such as 0.95")
    return level


def _numpy(array: Array) -> np.ndarray:
    return array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
