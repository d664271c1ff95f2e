"""What heads on a frozen trunk are trained on, epoch by epoch: computed anew, or some views of the images kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import torch

from singlefilter import data, distributed, profiles
from singlefilter.networks import training

log = logging.getLogger(__name__)

Batches = Callable[[int], Iterator[tuple[list[torch.Tensor], torch.Tensor]]]


def kept_bytes(fan_ins: Sequence[int], train: data.Split, views: int) -> int:
    """Memory that kept trunk outputs take: float32, every image, every head, as often as there are views."""
    return 4 * len(train) * views * sum(fan_ins)


def by_epoch(
    trunk: Callable[[torch.Tensor], list[torch.Tensor]],
    fan_ins: Sequence[int],
    train: data.Split,
    recipe: profiles.Heads,
    seed: int,
) -> Batches:
    """Features of each head, float32 `[batch, fan_in]`, and labels, int64, by an epoch's number: this rank's share of
    each batch, from the trunk anew, or drawn again from what is kept where the recipe says how many views."""

    def from_trunk(epoch: int, share: Callable[[int], slice | None] = distributed.share_of_batch) -> Iterator:
        images_of = training.augmented(train, recipe, seed, share)
        return ((trunk(images), labels) for images, labels in images_of(epoch))

    if not recipe.views:
        return from_trunk
    needed, allowed = kept_bytes(fan_ins, train, recipe.views), recipe.views_gib * 2**30
    if needed > allowed:
        log.warning(
            "heads.views: %d augmented views of the trunk's outputs take %.1f GiB, views_gib allows %.1f; they are "
            "computed anew in every epoch instead", recipe.views, needed / 2**30, recipe.views_gib,
        )  # fmt: skip
        return from_trunk
    # whole on every rank, since a later batch may draw any image
    kept = [_keep(from_trunk(view, slice), fan_ins, len(train)) for view in range(recipe.views)]

    def from_kept(epoch: int) -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
        features, labels = kept[epoch % recipe.views]
        generator = torch.Generator().manual_seed(data.mix(seed, epoch))
        for chosen in torch.randperm(len(labels), generator=generator).to(labels.device).split(recipe.batch):
            if (share := distributed.share_of_batch(len(chosen))) is not None:
                own = chosen[share]
                yield [feature[own] for feature in features], labels[own]

    return from_kept


def _keep(batches: Iterator, fan_ins: Sequence[int], images: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """All batches of an epoch in one tensor a head, filled in place so that nothing is held twice."""
    features, labels, filled = [], None, 0
    for batch, truth in batches:
        if labels is None:
            features = [part.new_empty(images, fan_in) for part, fan_in in zip(batch, fan_ins, strict=True)]
            labels = truth.new_empty(images)
        part = slice(filled, filled + len(truth))
        for whole, some in zip(features, batch, strict=True):
            whole[part] = some
        labels[part] = truth
        filled += len(truth)
    return [feature[:filled] for feature in features], labels[:filled]
