"""What a page of the explorer holds: cuts with their class means and heads, names, pictures, and where it is from.

Made from the stages of a profile, which have to be there, or from the result of an analysis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from singlefilter import analysis, drawing, figures, profiles, store, tablefiles
from singlefilter.method import fields, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.layers import counting, tables
from singlefilter.studies.layers.tables import worth_seeing
from singlefilter.studies.marking import marked

NOT_FREE = ("imagenet",)  # data sets whose images may be used and not be shown to others
QUANTITIES = ("N_c", "C_s", "n", "snr")


class NotRun(RuntimeError):
    """A profile of which nothing can be shown yet; the message says what to run."""


@dataclass(frozen=True)
class Cut:
    """One cut: how links name it and readers read it, its numbers over all filters, and what its matrices come from.

    accuracy and each of the statistics (at the content's threshold): value, low and high end of the interval; images:
    how many the accuracy is of; means, float32 `[true_label, filters, positions]`; weights, float32 `[out_label,
    filters, positions]`; first: the filter worth seeing first; masked: rows of `masked_heads` of this layer.
    """

    key: str
    name: str
    accuracy: tuple[float, float, float]
    images: int
    statistics: dict[str, tuple[float, float, float]]
    means: torch.Tensor
    weights: torch.Tensor
    first: int
    masked: tuple[dict, ...] = ()

    @property
    def filters(self) -> int:
        """How many there are at this cut."""
        return self.means.shape[1]

    def matrices(self, which: tuple[int, ...]) -> torch.Tensor:
        """Field matrices, float32 `[filters, true_label, out_label]`, of some filters.  Source: section 3."""
        chosen = list(which)
        return fields.field_matrices(self.means[:, chosen], self.weights[:, chosen])


@dataclass(frozen=True)
class Content:
    """All of a page but its looks.  pictures: uint8 `[label, 3, side, side]`, one of each label, or None."""

    title: str
    about: tuple[tuple[str, str], ...]
    banner: str | None
    names: tuple[str, ...]
    threshold: float
    tested: str
    cuts: tuple[Cut, ...]
    pictures: np.ndarray | None


def of(source: stages.Run | analysis.Result, pictures: bool | np.ndarray | torch.Tensor | None = None) -> Content:
    """What a page holds of a profile's run or of the result of an analysis.

    pictures: of a run, whether the first test image of each label is shown (None: where images of this data set may
    be shown, all but ImageNet); of a result, which has no images of its own, uint8 `[label, 3, height, width]`.
    Raises `NotRun` where a stage of the profile is missing, `ValueError` for pictures of another kind.
    """
    if isinstance(source, stages.Run):
        if pictures is not None and not isinstance(pictures, bool):
            raise ValueError("pictures of a profile's run are its own: pictures=True, False or None")
        return _of_run(source, source.profile.data.name not in NOT_FREE if pictures is None else pictures)
    if isinstance(pictures, bool):
        raise ValueError("a result has no images of its own: pictures=images, uint8 [label, 3, height, width]")
    return _of_result(source, pictures)


def require_run(run: stages.Run) -> None:
    """Raises `NotRun` unless everything that a page needs is in the store; downloads and computes nothing for it."""
    profile = run.profile
    known = profile.name in profiles.available()
    named = profile.name if known else "<its .yaml file>"
    remedy = f"run it first: ./run_all.sh --profile {named}, or python -m singlefilter run --profile {named}"
    wanted = store.plain({"network": profile.network, "training": profile.training, "seed": profile.seed})
    # A look at the images could mean to download them, so the network is looked for by what it is made from alone.
    trained = [
        store.manifest(folder)["config"]
        for folder in sorted(store.runs_folder().glob("train-*"))
        if (folder / store.MANIFEST).exists()
    ]
    if not any(all(config.get(key) == value for key, value in wanted.items()) for config in trained):
        raise NotRun(
            f"profile {profile.name} has not run, there is no network of it in {store.runs_folder()}; {remedy}"
        )
    if missing := [name for name, folder in stages.folders(run).items() if not store.is_complete(folder)]:
        raise NotRun(f"profile {profile.name} has not run to its end, it lacks {', '.join(missing)}; {remedy}")


def _of_run(run: stages.Run, pictures: bool) -> Content:
    require_run(run)
    profile, split = run.profile, stages.splits(run)["test"]
    measured, weights, counted = stages.measurement(run), stages.heads(run)[0], counting.counts(run)
    accuracies = tables.accuracy_by_layer(run)
    accuracies = accuracies[accuracies["head"] == "flat"].set_index("layer")
    resamples, seed, masked = profile.analysis.resamples, profile.seed, _masked_heads(run)
    cuts = []
    for point in stages.flat_points(run):
        layer = point.cut.layer
        counts, found = counted[layer], accuracies.loc[layer]
        cuts.append(
            Cut(
                key=str(layer),
                name=point.cut.name,
                accuracy=tuple(found[["accuracy", "low", "high"]].astype(float)),
                images=int(found["n"]),
                statistics=_with_ends(statistics.layer_statistics(counts, len(split.names), resamples, seed)),
                means=measured.class_means[point.name],
                weights=weights[point.name],
                first=worth_seeing(counts),
                masked=masked.get(layer, ()),
            )
        )
    where_from = marked(run, accuracies).iloc[0]
    return Content(
        title=f"{where_from['data']}, {where_from['network']}",
        about=(*((name, str(where_from[name])) for name in drawing.CAPTION), *_made(run)),
        banner=drawing.BANNER if where_from["data"] == drawing.GLYPHS else None,
        names=split.names,
        threshold=profile.analysis.threshold,
        tested="test",
        cuts=tuple(cuts),
        pictures=_first_of_each(split) if pictures else None,
    )


def _made(run: stages.Run) -> tuple[tuple[str, str], ...]:
    """On what and by which commit the network was trained, as its stage says."""
    manifest = store.manifest(stages.folders(run)["train"])
    machine = manifest["machine"]
    return (
        ("trained on", machine["processor"] if machine["gpu"] == "none" else machine["gpu"]),
        ("commit", str(manifest["commit"])[:9]),
    )


def _of_result(result: analysis.Result, pictures: np.ndarray | torch.Tensor | None) -> Content:
    rows = result.layers.set_index("module")
    cuts = []
    for place, cut in result.items():
        row = rows.loc[place]
        cuts.append(
            Cut(
                key=place,
                name=place,
                accuracy=tuple(float(row[f"accuracy{end}"]) for end in drawing.ENDS),
                images=len(result.measured[place].correct),
                statistics=_with_ends(row),
                means=result.measured[place].means,
                weights=cut.head.weight,
                first=worth_seeing(cut.counts),
            )
        )
    return Content(
        title=f"{result.notes.get('network', 'network')}, {len(result.names)} labels",
        about=tuple((str(name), str(note)) for name, note in result.notes.items()),
        banner=None,
        names=result.names,
        threshold=result.threshold,
        tested=result.notes.get("tested", "train"),
        cuts=tuple(cuts),
        pictures=None if pictures is None else _checked_pictures(pictures, len(result.names)),
    )


def _with_ends(row: dict | pd.Series) -> dict[str, tuple[float, float, float]]:
    return {name: tuple(float(row[f"{name}{end}"]) for end in drawing.ENDS) for name in QUANTITIES}


def _masked_heads(run: stages.Run) -> dict[int, tuple[dict, ...]]:
    """What was observed of AFCC heads, by layer, from the table of the figure where it is there; nothing is made."""
    path = figures.folder(run) / "masked_heads.csv"
    if not path.exists():
        return {}
    table = tablefiles.read_table(path)
    table = table[table["method"].isin(["dense", "afcc"])]
    columns = ["moment", "method", "threshold", "kept_fraction", "accuracy", "low", "high", "seeds"]
    return {int(layer): tuple(rows[columns].to_dict("records")) for layer, rows in table.groupby("layer")}


def _first_of_each(split) -> np.ndarray:
    first = [int((split.labels == label).nonzero()[0]) for label in range(len(split.names))]
    return split.images[first].cpu().numpy()


def _checked_pictures(pictures: np.ndarray | torch.Tensor, labels: int) -> np.ndarray:
    pictures = np.asarray(pictures)
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[:2] != (labels, 3):
        raise ValueError(
            f"pictures are one of each of the {labels} labels, uint8 [{labels}, 3, height, width]; these are "
            f"{pictures.dtype} {list(pictures.shape)}"
        )
    return pictures
