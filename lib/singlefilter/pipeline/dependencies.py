"""What each stage of a profile depends on: from this come the names of its folders in the store."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from singlefilter import profiles, store
from singlefilter.networks import ready


def of(profile: profiles.Profile, images: Mapping[str, str]) -> dict[str, dict]:
    """What each stage depends on; images: checksums of the files of its images.

    A ready network is the same whatever images it is shown, so these count in its heads alone.
    """
    if profile.ready:
        train = {"network": profile.network, "ready": True}
        return _with_heads(profile, train, {"images": images, "part": profile.part})
    train = {"images": images, "network": profile.network, "training": profile.training, "seed": profile.seed}
    if profile.network.weights not in (None, profiles.IMAGENET):  # a file counts by its content
        train |= {"network": without_weights(profile), "weights": ready.checksum(profile.network.weights)}
    if profile.part != profiles.Part():
        train["part"] = profile.part
    if settles_norms(profile):
        train["norms"] = "settled"
    return _with_heads(profile, train, {})


def _with_heads(profile: profiles.Profile, train: dict, more: dict) -> dict[str, dict]:
    """What a network depends on, and its heads and measures; more: what heads depend on and the network does not."""
    head = {"train": store.config_key(train), "heads": profile.heads, "seed": profile.seed} | more
    measured = {f"measure-{split}": {"heads": store.config_key(head), "split": split} for split in profiles.SPLITS}
    return {"train": train, "heads": head} | measured


def settles_norms(profile: profiles.Profile) -> bool:
    """Whether this is a null model whose maps would vanish; those of VGG, by the weights it starts from, do not."""
    network, untrained = profile.network, profile.training.epochs == 0
    return untrained and network.weights is None and network.name.startswith("efficientnet")


def without_weights(profile: profiles.Profile) -> profiles.Network:
    """The network without the weights it starts from, which are downloaded: only training needs them."""
    return dataclasses.replace(profile.network, weights=None)
