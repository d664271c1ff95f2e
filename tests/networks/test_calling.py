"""Networks are called as they bear it, refused where a map depends on more than its image, and left as found."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from singlefilter.errors import ForwardError
from singlefilter.networks.calling import Call, prepared
from singlefilter.networks.capture import capture, reading
from singlefilter.networks.cuts import check_steady, cut_points_at, found


class ByBatch(nn.Module):
    def __init__(self, norm: nn.Module):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3), norm

    def forward(self, images):
        return self.norm(self.first(images))


class Dropping(nn.Module):
    def forward(self, maps):
        return functional.dropout(maps, 0.3, training=True)


@pytest.mark.parametrize(
    ("norm", "message"),
    [
        (nn.BatchNorm2d(4, track_running_stats=False), r"norm \(BatchNorm2d\) has no running statistics"),
        (Dropping(), "draws random numbers"),
    ],
)
def test_maps_that_depend_on_more_than_the_image(norm, message):
    model, images = ByBatch(norm), torch.randn(4, 3, 8, 8)
    cuts = cut_points_at(model, ["norm"], 8)
    with reading(model, cuts) as read, pytest.raises(ForwardError, match=message):
        check_steady(model, cuts, Call(model), read, images)


def test_a_network_that_normalises_each_image_is_steady():
    model, images = ByBatch(nn.InstanceNorm2d(4)), torch.randn(4, 3, 8, 8)
    cuts = cut_points_at(model, ["norm"], 8)
    with reading(model, cuts) as read:
        check_steady(model, cuts, Call(model), read, images)


def state(model: nn.Module) -> dict:
    return {name: (tensor.data_ptr(), tensor.stride()) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("end", [nn.Flatten(), None])
def test_the_network_is_left_as_it_was_found_in_strides_too(end):
    class Viewing(nn.Module):
        def forward(self, maps):
            return maps.view(maps.size(0), -1)  # not with filters last in memory

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), end or Viewing(), nn.Linear(4 * 36, 5)).train()
    images = torch.randn(3, 3, 8, 8)
    before, seed = state(model), torch.random.get_rng_state()
    expected = model.eval()(images)
    model.train()
    with capture(model, found(model, ["0"], images)), prepared(model, images) as call:
        torch.testing.assert_close(call(images), expected)
        assert call.filters_last == (end is not None)
        assert not any(module.training for module in model.modules())
    assert state(model) == before
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.random.get_rng_state(), seed)


def test_no_random_number_of_the_user_is_drawn():
    model = ByBatch(Dropping())
    torch.manual_seed(3)
    cut_points_at(model, ["first"], 8)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_networks_in_other_number_formats(dtype):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).to(dtype)
    (cut,) = cut_points_at(model, ["1"], 8)
    with capture(model, [cut]) as maps, prepared(model, torch.randn(2, 3, 8, 8)) as call:
        call(torch.randn(2, 3, 8, 8))
        assert maps["1"].dtype == dtype
