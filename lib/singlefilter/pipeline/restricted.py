"""Answers of a network on all labels, restricted to some of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from singlefilter import store
from singlefilter.method import heads as heads_
from singlefilter.pipeline import stages


def restricted_accuracy(
    run: stages.Run, subsets: Mapping[tuple[int, int], Sequence[int]]
) -> dict[tuple[int, int], float]:
    """Test accuracy of the last layer's flat head on the images of some labels, its answers restricted to these.

    subsets: labels by their number and the draw they come from.  Source: section 7.
    """
    config = stages.configs(run)["heads"] | {"subsets": {str(key): list(labels) for key, labels in subsets.items()}}

    def build(work: Path) -> None:
        point = stages.flat_points(run)[-1]
        split = stages.splits(run)["test"]
        logits = heads_.logits(stages.network(run)[0], point, stages.heads(run)[0][point.name], split)
        accuracies = {}
        for name, labels in config["subsets"].items():
            chosen = torch.tensor(labels, device=logits.device)
            asked = torch.isin(split.labels, chosen)
            answers = chosen[logits[asked][:, chosen].argmax(1)]
            accuracies[name] = (answers == split.labels[asked]).double().mean().item()
        store.write_json(work / "accuracy.json", accuracies)

    stored = json.loads((store.stage("restricted", config, build) / "accuracy.json").read_text(encoding="utf-8"))
    return {key: stored[str(key)] for key in subsets}
