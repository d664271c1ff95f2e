"""The own classifier of a ready network as its last head: every filter on all of ImageNet's 1,000 outputs.

The classifier is affine behind the place it reads: its weights give the fields, its bias is no filter's and stays
out of them, though not out of the answers.  Each label of the images is one of 1,000 outputs; the others are wrong
for all of them.  Source: section 10 of the method.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from singlefilter import data, store
from singlefilter.data import synsets
from singlefilter.drawing import ENDS
from singlefilter.method import clusters, fields, statistics
from singlefilter.networks import calling, cuts, training
from singlefilter.networks.capture import reading
from singlefilter.pipeline import stages
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.layers import counting
from singlefilter.studies.layers.tables import worth_seeing

TRAINED, OF_LABELS, OF_ALL = "head trained here", "own, outputs of the labels", "own, all outputs"
FILES = "own.safetensors"
QUANTITIES = ("N_c", "C_s", "n", "snr")


@dataclass(frozen=True)
class OwnSettings:
    """Which output of the classifier each label is."""

    outputs: tuple[int, ...]

    @property
    def title(self) -> str:
        return "own classifier"


def task(run: stages.Run) -> Task:
    """The one task of a run.  Raises `LookupError` where it is not known which output a label is."""
    outputs = synsets.outputs_of(stages.splits(run)["train"].names)
    return Task("own-classifier", run, OwnSettings(tuple(outputs)), build)


def tasks(run: stages.Run) -> list[Task]:
    """The task of a run whose network is taken ready, else none."""
    return [task(run)] if run.profile.ready else []


def provenance(run: stages.Run) -> dict[str, dict]:
    """Where the measures of the own classifier come from: `store.summary`; empty for other profiles."""
    made = tasks(run)
    return {"own_classifier": {"tasks": len(made)} | store.summary(one.folder() for one in made)} if made else {}


@torch.no_grad()
def build(run: stages.Run, settings: OwnSettings, work: Path) -> None:
    """One pass over the training images for class means of what the classifier reads, one over the test images for
    its answers, among the outputs of the labels and among all."""
    model, splits = stages.network(run)[0], stages.splits(run)
    name, classifier = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Linear)][-1]
    outputs, labels = torch.tensor(settings.outputs), len(settings.outputs)
    means = torch.zeros(labels, classifier.in_features)
    for read, truth in _read(model, f"{name}:input", splits["train"]):
        means.index_add_(0, truth, read)
    means /= splits["train"].labels.cpu().bincount(minlength=labels)[:, None]
    weight, bias = (tensor.detach().float().cpu() for tensor in (classifier.weight, classifier.bias))
    found: dict[str, list[torch.Tensor]] = {key: [] for key in ("right_labels", "right_all", "d_labels", "d_all")}
    for read, truth in _read(model, f"{name}:input", splits["test"]):
        logits = read @ weight.T + bias
        among = logits[:, outputs]
        found["right_labels"].append(among.argmax(1) == truth)
        found["right_all"].append(logits.argmax(1) == outputs[truth])
        found["d_labels"].append(statistics.dprime(among, truth))
        found["d_all"].append(statistics.dprime(logits, outputs[truth]))
    tensors = {key: torch.cat(parts) for key, parts in found.items()}
    save_file(tensors | {"means": means, "weight": weight}, work / FILES)


def own_classifier(run: stages.Run) -> pd.DataFrame:
    """The head trained on the last cut beside the own classifier, among the outputs of the labels and among all.

    Columns: head; outputs; positions; accuracy on test images (Wilson's interval), N_c, C_s, n and snr of training
    images (bootstrap over filters), d' on test images (over images), each with `_low` and `_high`; others, ones of a
    filter on outputs that are no label's, the mean over filters; filters, labels, images.  SNR of all outputs counts
    all wrong ones.  Raises `LookupError` where it is not known which output a label is.
    """
    resamples, seed = run.profile.analysis.resamples, run.profile.seed
    point, labels = stages.flat_points(run)[-1], len(stages.splits(run)["train"].names)
    measured = stages.measurement(run, "test")
    stored, outputs = _stored(run)
    counted = _counts(run)
    heads = (
        (TRAINED, labels, point.positions, measured.correct[point.name], measured.dprime[point.name]),
        (OF_LABELS, labels, 1, stored["right_labels"], stored["d_labels"]),
        (OF_ALL, len(stored["weight"]), 1, stored["right_all"], stored["d_all"]),
    )
    rows = []
    for head, count, positions, right, dprime in heads:
        of = counting.counts(run)[point.cut.layer] if head == TRAINED else counted[head]
        layer = statistics.layer_statistics(of, labels, resamples, seed)
        # The wrong outputs of a label are all but one, whatever of them are labels of the images.
        layer |= {f"snr{end}": layer[f"snr{end}"] * (count - 1) / (labels - 1) for end in ENDS}
        row = {"head": head, "outputs": count, "positions": positions}
        accuracy = statistics.proportion_interval(int(right.sum()), len(right))
        row |= {f"accuracy{end}": float(value) for end, value in zip(ENDS, accuracy, strict=True)}
        row |= {f"{name}{end}": layer[f"{name}{end}"] for name in QUANTITIES for end in ENDS}
        interval = statistics.mean_interval(dprime.numpy(), resamples, seed)
        row |= {f"dprime{end}": float(value) for end, value in zip(ENDS, interval, strict=True)}
        others = float(of["others"].mean()) if "others" in of else 0.0
        rows.append(row | {"others": others, "filters": len(of), "labels": labels, "images": len(right)})
    return pd.DataFrame(rows)


def own_fields(run: stages.Run, filter_: int | None = None) -> pd.DataFrame:
    """The ones of a filter on all outputs of the own classifier, a row each.

    Columns: filter; true_position and true_label, its labels in cluster order; output and out_label, ImageNet's;
    own, 1 where the output is that of one of the labels; cluster (-1: noise); relative, the field over the filter's
    largest; outputs, labels, threshold.  `filter_`: by default the one `worth_seeing`.
    """
    stored, outputs = _stored(run)
    which = worth_seeing(_counts(run)[OF_ALL]) if filter_ is None else filter_
    names, threshold = stages.splits(run)["train"].names, run.profile.analysis.threshold
    matrix = stored["means"][:, which, None] * stored["weight"][None, :, which]
    ones = clipped(matrix[None], threshold)[0]
    found = clusters.find(ones[:, outputs][None])[0]
    sizes = torch.where(found >= 0, (found[:, None] == found).sum(1), 0)
    order = sorted(range(len(names)), key=lambda label: (-int(sizes[label]), int(found[label]), label))
    order = {label: place for place, label in enumerate(order)}
    label_of = {output: label for label, output in enumerate(outputs)}
    words, rows = synsets.categories(), []
    for label, output in ones.nonzero().tolist():
        other = label_of.get(output)
        same = other is not None and found[label] >= 0 and found[label] == found[other]
        row = {"filter": which, "true_position": order[label], "true_label": names[label], "output": output}
        row |= {
            "out_label": words[output],
            "own": int(other is not None),
            "cluster": int(found[label]) if same else -1,
        }
        rows.append(row | {"relative": float(matrix[label, output] / matrix.max())})
    where = {"outputs": len(words), "labels": len(names), "threshold": threshold}
    return pd.DataFrame(rows).sort_values(["true_position", "output"], ignore_index=True).assign(**where)


def clipped(matrices: torch.Tensor, threshold: float) -> torch.Tensor:
    """`clusters.clip` of field matrices with more outputs than labels, bool `[filters, true_label, out_label]`.

    The largest element is that of all outputs.  Source: section 4.
    """
    largest = matrices.amax((1, 2), keepdim=True)
    return (matrices / largest > threshold) & (largest > 0)


@functools.lru_cache(maxsize=2)
def _counts(run: stages.Run) -> dict[str, pd.DataFrame]:
    """Clusters and noise of every filter, among the outputs of the labels and among all, with ones on `others`."""
    stored, outputs = _stored(run)
    means, weight = stored["means"][:, :, None], stored["weight"][:, :, None]
    parts: dict[str, list[pd.DataFrame]] = {OF_LABELS: [], OF_ALL: []}
    for _, matrices in fields.chunks(means, weight, memory=2**28):
        whole = clipped(matrices, run.profile.analysis.threshold)
        among = clusters.clip(matrices[:, :, outputs], run.profile.analysis.threshold)
        for head, square, ones in ((OF_LABELS, among, among), (OF_ALL, whole[:, :, outputs], whole)):
            of = statistics.count_filters(square, clusters.find(square))
            others = (ones.sum((1, 2)) - square.sum((1, 2))).numpy()
            parts[head].append(of.assign(noise=of["noise"] + others, ones=of["ones"] + others, others=others))
    tables = {head: pd.concat(of, ignore_index=True) for head, of in parts.items()}
    return {head: table.assign(filter=np.arange(len(table))) for head, table in tables.items()}


def _stored(run: stages.Run) -> tuple[dict[str, torch.Tensor], list[int]]:
    done = task(run)
    return load_file(done.complete() / FILES), list(done.settings.outputs)


def _read(model: nn.Module, place: str, split: data.Split) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What comes in at a place, float32 `[images, values]`, and the labels, in batches on the CPU."""
    few = data.to_input(split.first(3))
    point = cuts.found(model, [place], few)[0]
    with reading(model, [point]) as read, calling.prepared(model, few) as call:
        for images, truth in split.in_batches(500):
            read.clear()
            with training.autocast(split.device):
                call(data.to_input(images))
            yield point.view(read.maps[place]).flatten(1).float().cpu(), truth.cpu()
