"""Networks that do strange things, images as they should not be: right all the same, or refused with a reason."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

import singlefilter as sf
from singlefilter.data.pictures import read_image
from tests.analysis.test_kinds import LABELS, check, images, run, small


class Net(nn.Module):
    """A convolution, what `between` makes of its map, a place to cut, a classifier."""

    def __init__(self, between=lambda maps: maps, before=lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.place, self.fc = nn.Conv2d(3, 8, 3), nn.Identity(), nn.Linear(8, LABELS)
        self.between, self.before = between, before
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        maps = self.place(self.between(self.conv(self.before(x))))
        maps = maps.real if maps.is_complex() else maps.float()
        return self.fc(functional.relu(maps).mean((2, 3)))


def means_of(maps: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return torch.stack([maps[truth == label].mean(0) for label in range(LABELS)]).flatten(2)


@pytest.mark.parametrize("loaded", [False, True], ids=["arrays", "loader"])
def test_a_network_that_writes_on_its_images(loaded):
    model, (x, y) = Net(before=lambda x: x.mul_(2)), images()
    given = x.clone()
    result = run(model, DataLoader(TensorDataset(x, y), batch_size=5) if loaded else (x, y), at=["conv"])
    assert torch.equal(x, given)
    with torch.no_grad():
        expected = means_of(functional.conv2d(2 * x, model.conv.weight, model.conv.bias), y)
    np.testing.assert_allclose(result["conv"].means, expected, atol=1e-5)


def test_a_network_that_counts_its_calls():
    model = Net()
    buffer = model.calls
    check(run(model, at=["place"]))
    sf.cuts(model, images()[0])
    assert model.calls is buffer and model.calls == 0


def test_hooks_of_the_users_own_are_heeded():
    model, (x, y) = Net(), images()
    model.conv.register_forward_hook(lambda module, given, maps: maps * 2)
    result = run(model, (x, y), at=["conv"])
    assert len(model.conv._forward_hooks) == 1
    with torch.no_grad():
        expected = means_of(2 * functional.conv2d(x, model.conv.weight, model.conv.bias), y)
    np.testing.assert_allclose(result["conv"].means, expected, atol=1e-5)


CHANCE = {
    "dropout": lambda maps: functional.dropout(maps, 1e-4),
    "random depth": lambda maps: maps * 2 if torch.rand(()) < 0.01 else maps,
    "Python's": lambda maps: maps * 2 if random.random() < 0.01 else maps,
    "numpy's": lambda maps: maps * 2 if np.random.random() < 0.01 else maps,
}


@pytest.mark.parametrize("kind", CHANCE)
def test_chance_is_found_however_seldom_it_shows(kind):
    model = Net(CHANCE[kind])
    with pytest.raises(sf.ForwardError, match="place: the network draws random numbers before this map"):
        run(model, at=["place"])
    check(run(model, at=["conv"]))  # before it is drawn


@pytest.mark.parametrize("between", [torch.fft.fft2, lambda maps: (maps > 0).long(), lambda maps: maps > 0])
def test_maps_are_of_real_numbers(between):
    with pytest.raises(sf.CutError, match="place gives torch.* a map is of real numbers"):
        run(Net(between), at=["place"])


def test_what_is_no_number_is_named():
    model, (x, y) = small(), images()
    x[5, 0, 0, 0] = torch.inf
    for given in ((x, y), DataLoader(TensorDataset(x, y), batch_size=3)):
        with pytest.raises(sf.InputError, match="image 5 .* NaN or infinite"):
            run(model, given)
    broken = Net()
    broken.conv.weight.data[0] = torch.nan
    with pytest.raises(sf.ForwardError, match="conv: its map has values that are NaN"):
        run(broken, at=["conv"])


class Photos(Dataset):
    """What torchvision's data sets give without a transform."""

    mode = "RGB"

    def __len__(self):
        return 16

    def __getitem__(self, place):
        return Image.fromarray(np.full((32, 32, 3), 15 * place, np.uint8)).convert(self.mode), place % LABELS


@pytest.mark.parametrize("mode", ["RGB", "P", "L"])
def test_pictures_by_pillow(mode):
    photos, model = Photos(), small(1 if mode == "L" else 3)
    photos.mode = mode
    pixels = np.stack([np.asarray(photos[place][0].convert("L" if mode == "L" else "RGB")) for place in range(16)])
    expected = run(model, (pixels, torch.arange(16) % LABELS), at=["0"])
    np.testing.assert_allclose(run(model, photos, at=["0"])["0"].means, expected["0"].means, atol=1e-6)


@pytest.mark.parametrize("kind", ["CMYK", "hidden colours", "LA", "16 bits", "1"])
def test_other_pictures_come_as_from_a_file(kind, tmp_path):
    """Four channels are not always red, green, blue and transparency, and what nobody sees is no pixel."""

    class Others(Photos):
        def __getitem__(self, place):
            image, label = super().__getitem__(place)
            if kind == "hidden colours":
                image.putalpha(0 if place % 2 else 255)
            elif kind == "16 bits":
                image = Image.fromarray(np.full((32, 32), 4000 * place, np.uint16))
            else:
                image = image.convert(kind)
            return image, label

    photos, model = Others(), small(1 if kind == "1" else 3)
    pixels = []
    for place in range(16):
        path = tmp_path / f"{place}.tiff"
        photos[place][0].save(path)
        pixels.append(read_image(path, None)[0])
    expected = np.stack(pixels)[:, :1] if kind == "1" else np.stack(pixels)
    result = run(model, photos, at=["0"])
    given = run(model, (expected, torch.arange(16) % LABELS), at=["0"])
    np.testing.assert_allclose(result["0"].means, given["0"].means, atol=1e-6)


def test_labels_in_words_and_in_lists():
    model, (x, y) = small(), images()
    words = np.array(["dog", "ant", "cat", "bee"])[y]
    in_order = np.array([3, 0, 2, 1])[y]
    expected = run(model, (x, in_order.tolist()), at=["1"])
    for labels in (words, words.tolist()):
        result = run(model, (x, labels), at=["1"])
        assert result.names == ("ant", "bee", "cat", "dog")
        np.testing.assert_array_equal(result["1"].matrices, expected["1"].matrices)
    with pytest.raises(sf.InputError, match="number them from 0"):
        run(model, list(zip(x, words.tolist(), strict=True)))


def test_a_loader_that_fails_says_at_which_batch():
    class Gone(Photos):
        def __getitem__(self, place):
            if place > 9:
                raise OSError("disk gone")
            return torch.zeros(3, 32, 32), place % LABELS

    with pytest.raises(sf.InputError, match="batch 2 cannot be had .* OSError: disk gone"):
        run(small(), DataLoader(Gone(), batch_size=4))


def test_modules_are_places():
    model = small()
    assert list(run(model, at=[model[1], "0"])) == list(run(model, at=["1", "0"])) == ["1", "0"]
    assert list(run(model, at=model[1])) == ["1"]
    with pytest.raises(sf.CutError, match="this ReLU is neither"):
        run(model, at=[nn.ReLU()])


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.LSTM(96, 16, batch_first=True), nn.Linear(16, LABELS)

    def forward(self, x):
        return self.fc(self.rnn(x.permute(0, 2, 1, 3).flatten(2))[0][:, -1])


def test_where_only_the_answer_is_a_map_what_it_is_made_of_is_taken():
    model = Recurrent()
    assert list(run(model)) == ["fc:input"]
    chosen = sf.cuts(model, images()[0]).query("chosen")
    assert chosen[["module", "filters", "positions"]].to_numpy().tolist() == [["fc:input", 16, 1]]


def test_a_layout_is_asked_for_where_it_cannot_be_told():
    assert run(Recurrent(), at=["rnn:0"], layout="NTC")["rnn:0"].point.filters == 16
    check(run(small(), at=["0"], layout="NTC"))  # told by the module
    with pytest.raises(sf.CutError, match=r"layout NHWC was asked for, its output .* is NCHW"):
        run(small(), at=["0"], layout="NHWC")


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_inside_contexts_of_the_users(around):
    expected = run(small(), at=["1"]).layers
    with around():
        model = small()
        result = run(model, at=["1"]) if around is torch.no_grad else None
        if result is None:
            with pytest.raises(sf.InputError, match="made under torch.inference_mode"):
                run(model, at=["1"])
    model = small()
    with around():
        result = run(model, at=["1"])
    assert list(result.layers.columns) == list(expected.columns)


def test_under_another_default_of_numbers():
    torch.manual_seed(0)
    model, given = small(), images()
    expected = run(model, given, at=["1"])
    try:
        torch.set_default_dtype(torch.float64)
        again = run(model, given, at=["1"])
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(again["1"].matrices, expected["1"].matrices)


ASKED = {
    "threshold": [(0, "between 0 and 1"), (2, "between 0 and 1"), (float("nan"), "between 0 and 1")],
    "batch": [(0, "at least 1"), (-3, "at least 1")],
    "seed": [(-1, "count from 0")],
    "labels": [("abcd", "'abcd' is one name")],
    "device": [("gpu", "gpu cannot be used here")],
    "preprocess": [(lambda x: 1 / 0, "ZeroDivisionError"), (lambda x: x[:1], "made 1 images of")],
}


@pytest.mark.parametrize(
    ("key", "value", "message"), [(key, *case) for key, cases in ASKED.items() for case in cases]
)
def test_what_is_asked_for_is_looked_at_first(key, value, message):
    with pytest.raises(sf.InputError, match=message):
        run(small(), **{key: value})


def test_a_label_alone_and_weights_that_are_nowhere():
    with pytest.raises(sf.InputError, match="there is 1 label"):
        run(small(), (images()[0], torch.zeros(16, dtype=torch.int64)))
    with pytest.raises(sf.InputError, match="0.0.weight lies on the meta device"):
        run(small().to("meta"))
