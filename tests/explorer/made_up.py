"""Contents of a page that are made up: planted clusters, borders, labels as nasty as they come."""

import numpy as np
import torch

from singlefilter.explorer.content import Content, Cut
from singlefilter.method import clusters, fields, statistics

NASTY = (
    '<script>document.title = "taken over"</script>',
    "</script><b>bold</b>",
    "say \"yes\" & 'no'",
    "two\nlines",
    "苹果",
    "🍎 emoji",
    "<!--STYLE-->",
    "a,b;c",
    "",
    "\ud83c half of a pair",
    "aquarium_fish",
    "&lt;amp&gt;",
)


def cut(key: str, labels: int, filters: int, seed: int, masked: tuple[dict, ...] = ()) -> Cut:
    """A cut whose filters favour some labels each; the last has no element above zero."""
    rng = np.random.default_rng(seed)
    means = rng.random((labels, filters, 3))
    weights = rng.normal(0, 0.6, (labels, filters, 3))
    for filter_ in range(filters):
        some = rng.choice(labels, rng.integers(2, max(3, labels // 2)), replace=False)
        means[some, filter_] += 1
        weights[some, filter_] += 0.8
    weights[:, -1] = -1
    means, weights = torch.tensor(means).float(), torch.tensor(weights).float()
    clipped = clusters.clip(fields.field_matrices(means, weights))
    found = statistics.layer_statistics(statistics.count_filters(clipped, clusters.find(clipped)), labels, 50)
    of = {name: tuple(found[f"{name}{end}"] for end in ("", "_low", "_high")) for name in ("N_c", "C_s", "n", "snr")}
    return Cut(key, f"layer {key}", (0.5, 0.4, 0.6), 100, of, means, weights, 0, masked)


def content(labels: int = 12, filters: tuple[int, ...] = (5, 9), names: tuple[str, ...] | None = None) -> Content:
    """A content with a picture of each label, and AFCC heads observed at its last cut."""
    row = {"moment": "after", "method": "afcc", "threshold": 0.3, "kept_fraction": 0.2, "seeds": 2}
    dense = row | {"method": "dense", "threshold": float("nan"), "kept_fraction": 1.0}
    masked = tuple(one | {"accuracy": 0.5, "low": 0.4, "high": 0.6} for one in (row, dense))
    cuts = [
        cut(str(2 * place + 3), labels, count, place, masked if place == len(filters) - 1 else ())
        for place, count in enumerate(filters)
    ]
    return Content(
        title="made up <b>numbers</b>",
        about=(("profile", "made-up"), ("data", "none")),
        banner=None,
        names=names or tuple(f"label_{number}" for number in range(labels)),
        threshold=0.3,
        tested="test",
        cuts=tuple(cuts),
        pictures=np.random.default_rng(0).integers(0, 256, (labels, 3, 32, 32), dtype=np.uint8),
    )
