"""Networks of torchvision: where they are cut, their pixels, and weights that are taken as they come."""

import pytest
import torch
import torchvision
from torch import nn

from singlefilter import networks, profiles
from singlefilter.errors import CutError
from singlefilter.networks import ready, torchvisions


@pytest.fixture(autouse=True)
def vgg(monkeypatch):
    """A VGG-16 of torchvision whose linear layers are not 120 million weights."""

    def small(weights=None):
        made = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"], batch_norm=True)
        with torch.device("meta"):
            model = torchvision.models.VGG(made, init_weights=False)
        model.classifier = nn.Sequential(nn.Linear(512 * 49, 1000))
        return model

    monkeypatch.setattr(torchvision.models, "vgg16_bn", small)


def test_a_vgg_of_torchvision_is_cut_like_ours():
    theirs, ours = (
        networks.cut_points(networks.build(config, 4, 32, 1), 32)
        for config in (profiles.Network("vgg16_bn"), profiles.Network("vgg"))
    )
    assert [(cut.filters, cut.size) for cut in theirs] == [(cut.filters, cut.size) for cut in ours]
    kinds = [type(torchvision.models.vgg16_bn().features[int(cut.module.split(".")[1])]).__name__ for cut in theirs]
    assert [layer for layer, kind in enumerate(kinds, start=1) if kind == "MaxPool2d"] == [2, 4, 7, 10, 13]
    assert set(kinds) == {"ReLU", "MaxPool2d"}


def test_a_vision_transformer_is_cut_after_its_blocks(monkeypatch):
    small = torchvision.models.VisionTransformer(32, 8, 3, 2, 12, 24)
    monkeypatch.setattr(torchvision.models, "vit_b_16", lambda weights: small)
    model = networks.build(profiles.Network("vit_b_16", input_size=32), 4, 16, 1)
    cuts = networks.cut_points(model, 16)
    assert [cut.module for cut in cuts] == [f"model.encoder.layers.encoder_layer_{number}" for number in range(3)]
    assert [(cut.filters, cut.size) for cut in cuts] == [(12, (17,))] * 3  # a class token and 4 x 4
    assert small.heads.head.out_features == 4
    with pytest.raises(CutError, match="VisionTransformer has no attention heads that could be cut at"):
        networks.cut_points(model, 16, attention=True)


@pytest.mark.parametrize("name", ["efficientnet_b0", "vgg16_bn"])
def test_frozen_networks_see_pixels_on_the_scale_of_their_weights(name, monkeypatch):
    """Mean and deviation of a channel, as torchvision's own preset has them; trained ones see [-1, 1]."""
    state = getattr(torchvision.models, name)().state_dict()
    asked = []
    monkeypatch.setattr(ready, "imagenet", lambda *about: asked.append(about) or state)
    config = profiles.Network(name, weights="imagenet")
    frozen, trained = (networks.build(config, 1000, 32, 1, frozen).eval() for frozen in (True, False))
    url = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
    assert asked == [(url, config.title)] * 2
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scale = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in scale)
    expected = trained((pixels - mean) / deviation)
    torch.testing.assert_close(frozen(pixels * 2 - 1), expected, atol=1e-4, rtol=1e-4)
    assert isinstance(frozen, torchvisions.Rescaled) and not isinstance(trained, torchvisions.Rescaled)
    assert all(torch.equal(tensor, state[key]) for key, tensor in frozen.model.state_dict().items())
    places = [[cut.module for cut in networks.cut_points(model, 32)] for model in (frozen, trained)]
    assert places[0] == [f"model.{place}" for place in places[1]]
