"""Last layers retrained together are trained as each would be alone."""

import pytest
import torch
from torch import nn

from singlefilter import afcc, data, networks, profiles
from singlefilter.afcc.truncation import upto
from singlefilter.studies.pruning import answers, tails

LABELS = 4
RECIPE = profiles.Recipe(epochs=2, batch=10, learning_rate=0.05, momentum=0.9, weight_decay=0.01, shift=1)
CUT, LAYERS = "features.layer3", ["features.layer4", "features.layer5"]


def network() -> nn.Module:
    """A tiny VGG whose batch norms have seen images."""
    model = networks.build(profiles.Network(depth=8, width=2), LABELS, 32, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.train()(torch.randn(20, 3, 32, 32))
    return model.eval()


def split(per_label: int = 5) -> data.Split:
    images = torch.randint(0, 256, (LABELS * per_label, 3, 32, 32), dtype=torch.uint8)
    return data.Split(images, torch.arange(LABELS).repeat_interleave(per_label), tuple("abcd"))


def test_both_parts_together_are_the_network():
    model = network()
    images = torch.randn(3, 3, 32, 32)
    front, tail = upto(model, CUT), tails.behind(model, CUT)
    with torch.no_grad():
        torch.testing.assert_close(tail(front(images)), model(images))
    assert set(dict(tail.named_parameters())) < set(dict(model.named_parameters()))
    assert not any(name.startswith("features.layer3") for name, _ in tail.named_parameters())


def test_variants_are_trained_as_each_alone():
    model, train = network(), split()
    mask = afcc.random_mask((16, 16), 90, 0)
    masks = {"dense": {}, "masked": {"features.layer5.0": mask}}
    front, variants = upto(model, CUT), tails.masked_tails(model, CUT, masks)
    assert not variants["masked"].get_submodule("features.layer5.0").weight[~mask].any()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    curves = tails.retrain_tails(front, variants, masks, LAYERS, train, RECIPE, seed=3)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert list(curves["variant"]) == ["dense", "masked"] * 2
    for name, of_variant in masks.items():
        alone = network()
        alone_curves = afcc.retrain(alone, LAYERS, of_variant, train, RECIPE, seed=3)
        state = alone.state_dict()
        for key, tensor in variants[name].state_dict().items():
            torch.testing.assert_close(tensor, state[key], atol=1e-5, rtol=1e-4)
        assert not torch.equal(state["features.layer5.0.weight"], before["features.layer5.0.weight"])
        mine = curves[curves["variant"] == name]
        assert mine["loss"].tolist() == pytest.approx(alone_curves["loss"].tolist(), rel=1e-4)
        right = answers.right_answers({name: variants[name]}, train, front)
        assert torch.equal(right[name], answers.right_answers({name: alone}, train)[name])
    assert not variants["masked"].get_submodule("features.layer5.0").weight[~mask].any()
    assert torch.equal(variants["dense"].get_submodule("classifier.1").weight, before["classifier.1.weight"])


class Skips(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, images):
        return self.b(self.a(images)) + images


def test_what_cannot_be_cut_is_named():
    with pytest.raises(afcc.ChainError, match="what follows a reads images too"):
        tails.behind(Skips(), "a")
    with pytest.raises(afcc.ChainError, match="calls no module 'features.layer9'"):
        tails.behind(network(), "features.layer9")
