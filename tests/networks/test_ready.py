"""Weights that a network starts from: torchvision's if they are those, a file of one's own if it fits, never code."""

import hashlib
import os
import pickle
import re
import urllib.error
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from singlefilter import networks, profiles
from singlefilter.networks import ready

EFFICIENTNET = profiles.Network("efficientnet_b0", weights="imagenet")
READY = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1
SMALL = profiles.Network(depth=11, width=2)


class Planted:
    """What a pickle executes when it is read without care."""

    def __init__(self, at: Path):
        self.at = at

    def __reduce__(self):
        return os.mkdir, (str(self.at),)


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """Where torchvision's weights would lie; there is no network."""

    def no_network(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    file = tmp_path / "hub" / "checkpoints" / Path(READY.url).name
    file.parent.mkdir(parents=True)
    return file


def refused(file: Path) -> None:
    with pytest.raises(OSError, match=rf"could not be downloaded to {re.escape(str(file))}, .*leave network.weights"):
        networks.build(EFFICIENTNET, 5, 32, 1)


def test_weights_of_imagenet_but_for_other_labels(file, monkeypatch):
    weights = torchvision.models.efficientnet_b0().state_dict()
    torch.save(weights, file)
    name = f"efficientnet_b0-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth"
    file.rename(file.with_name(name))
    imagenet = ready.imagenet
    monkeypatch.setattr(ready, "imagenet", lambda url: imagenet(f"{url.rpartition('/')[0]}/{name}"))
    of_imagenet, of_five = (networks.build(EFFICIENTNET, labels, 32, 1).state_dict() for labels in (1000, 5))
    for name, tensor in weights.items():
        assert torch.equal(of_imagenet[name], tensor)
        assert name.startswith("classifier.") or torch.equal(of_five[name], tensor)
    assert len(of_five["classifier.1.weight"]) == 5


def test_what_is_not_there_or_another_file_is_refused(file):
    refused(file)
    for content in (b"half of it", b"", pickle.dumps({"weight": torch.zeros(2)})):
        file.write_bytes(content)
        refused(file)
    torch.save(torchvision.models.efficientnet_b0().state_dict(), file)  # of the right shape, and random
    with pytest.raises(OSError, match="its checksum begins with [0-9a-f]{8}, so it is another file; move it away"):
        networks.build(EFFICIENTNET, 5, 32, 1)


def test_no_pickle_is_executed_whatever_its_name(file, tmp_path, monkeypatch):
    planted = Planted(tmp_path / "executed")
    torch.save(planted, file)
    refused(file)
    monkeypatch.setattr(ready, "_HASH", re.compile("()"))  # even where its checksum is right
    refused(file)
    for name, save in (("own.pt", torch.save), ("raw.pth", lambda it, to: to.write_bytes(pickle.dumps(it)))):
        save({"features.layer1.0.weight": planted}, tmp_path / name)
        with pytest.raises(ready.WeightsError, match=f"network.weights: .*{name} cannot be read as tensors"):
            networks.build(profiles.Network(depth=11, width=2, weights=str(tmp_path / name)), 4, 32, 1)
    assert not planted.at.exists()


@pytest.mark.parametrize("name", ["own.safetensors", "own.pt", "wrapped.pth", "parallel.pt"])
def test_a_file_of_ones_own(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SINGLEFILTER_HOME", str(tmp_path))
    weights = networks.build(SMALL, 4, 32, seed=7).state_dict()
    content = {
        "wrapped.pth": {"state_dict": weights, "epoch": 3},
        "parallel.pt": {f"module.{k}": w for k, w in weights.items()},
    }
    (save_file if name.endswith("s") else torch.save)(content.get(name, weights), tmp_path / name)
    for size in (None, 32):  # scaled by the network, too
        config = profiles.Network(depth=11, width=2, input_size=size, weights=name)  # from the project's folder
        built = networks.build(config, 4, 32, seed=1).state_dict()
        assert all(torch.equal(own, other) for own, other in zip(built.values(), weights.values(), strict=True))


def test_a_last_layer_of_other_labels_starts_anew_and_it_is_said(tmp_path, caplog):
    weights, file = networks.build(SMALL, 9, 32, seed=7).state_dict(), tmp_path / "own.safetensors"
    save_file(weights, file)
    built = networks.build(profiles.Network(depth=11, width=2, weights=str(file)), 4, 32, seed=1).state_dict()
    fresh = networks.build(SMALL, 4, 32, seed=1).state_dict()
    *most, weight, bias = weights
    assert all(torch.equal(built[key], weights[key]) for key in most)
    assert all(torch.equal(built[key], fresh[key]) for key in (weight, bias))
    assert f"{file}: {weight.removesuffix('.weight')} is of another number of labels, and starts anew" in caplog.text


def test_weights_that_do_not_fit_are_named(tmp_path):
    file = tmp_path / "own.safetensors"

    def refusal() -> str:
        with pytest.raises(ready.WeightsError) as caught:
            networks.build(profiles.Network(depth=11, width=2, weights=str(file)), 4, 32, 1)
        return str(caught.value)

    assert refusal() == f"network.weights: there is no file {file}"
    file.write_text("no tensors", encoding="utf-8")
    assert "cannot be read as tensors" in refusal()
    save_file(networks.build(profiles.Network(depth=11, width=3), 4, 32, 1).state_dict(), file)
    assert "is of another network: features.layer1.0.weight, " in refusal()
    weights = networks.build(SMALL, 4, 32, 1).state_dict()
    save_file(weights | {"more": torch.zeros(2)}, file)
    assert "is of another network: more not in both" in refusal()
    weights["features.layer1.0.weight"][0] = torch.nan
    save_file(weights, file)
    assert "features.layer1.0.weight holds NaN" in refusal()
