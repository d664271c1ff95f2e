"""Every kind of network and of images runs in one call, or is refused with a reason."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import singlefilter as sf
from singlefilter import data, profiles
from singlefilter.analysis import Result
from singlefilter.method import clusters, statistics

LABELS = 4
QUICK = profiles.Heads(epochs=2, batch=16, kinds=("flat",), shift=0, flip=False)


def images(size=(32, 32), channels: int = 3, per_label: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(LABELS).repeat(per_label)
    return torch.randn(len(truth), channels, *size, generator=generator) + truth[:, None, None, None] / 4, truth


def small(channels: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(channels, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU()),
        nn.Sequential(nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Conv2d(8, 5, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, LABELS),
    ).eval()


def run(model: nn.Module, *given, **options) -> Result:
    return sf.analyze(model, *(given or (images(),)), recipe=QUICK, progress=False, **options)


class Mixer(nn.Module):
    """Tokens mixed by linear layers over tokens and over channels."""

    def __init__(self, tokens: int = 16, width: int = 12):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, stride=8)
        self.norm, self.across = nn.LayerNorm(width), nn.Linear(tokens, tokens)
        self.block = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.fc = nn.Linear(width, LABELS)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = tokens + self.across(self.norm(tokens).transpose(1, 2)).transpose(1, 2)
        return self.fc(self.block(tokens).mean(1))


class Compact(nn.Module):
    """A convolutional transformer: tokens of a convolution, two encoder layers, pooled."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 4, stride=4), nn.ReLU())
        layer = nn.TransformerEncoderLayer(width, 4, 32, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(width, LABELS)

    def forward(self, x):
        return self.fc(self.encoder(self.stem(x).flatten(2).transpose(1, 2)).mean(1))


class Several(nn.Module):
    """Takes more than images, gives more than logits."""

    def __init__(self, as_dict: bool):
        super().__init__()
        self.body, self.fc, self.as_dict = nn.Conv2d(3, 6, 3, stride=4), nn.Linear(6, LABELS), as_dict

    def forward(self, x, extra=None):
        maps = self.body(x)
        logits = self.fc(maps.mean((2, 3)))
        return {"logits": logits, "maps": maps} if self.as_dict else (logits, maps)


class Viewing(nn.Module):
    """Ends in `view`, which does not bear filters last in memory."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU())
        self.fc = nn.Linear(6 * 15 * 15, LABELS)

    def forward(self, x):
        x = self.body(x)
        return self.fc(x.view(x.size(0), -1))


OWN = {
    "plain": (lambda: small(), {}),
    "one module twice": (
        lambda: (lambda relu: nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 5, 3), relu))(nn.ReLU()),
        {"at": ["1#1", "1#2"]},
    ),
    "MLP": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 16), nn.ReLU(), nn.Linear(16, LABELS)), {}),
    "mixer": (Mixer, {"at": ["patches", "block"]}),
    "compact transformer": (Compact, {}),
    "attention heads": (Compact, {"at": ["encoder.layers.0.self_attn:head", "encoder.layers.1.self_attn:head"]}),
    "tuple": (lambda: Several(False), {}),
    "dict": (lambda: Several(True), {"at": ["body", "fc:input"]}),
    "view": (Viewing, {}),
    "double": (lambda: small().double(), {}),
    "bfloat16": (lambda: small().bfloat16(), {}),
    "DataParallel": (lambda: nn.DataParallel(small()), {"at": ["module.0", "module.1"]}),
    "unwrapped names": (lambda: nn.DataParallel(small()), {"at": ["0", "1"]}),
}


@pytest.mark.parametrize("kind", OWN)
def test_networks_of_ones_own(kind):
    make, options = OWN[kind]
    torch.manual_seed(0)
    check(run(make(), **options))


@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (32, 48)), (4, (48, 32)), (3, (64, 64))])
def test_images_of_any_shape(channels, size):
    torch.manual_seed(0)
    check(run(small(channels), images(size, channels)))


TORCHVISION = {
    "resnet18": {},
    "mobilenet_v3_small": {"at": ["features.3", "features.12"]},
    "convnext_tiny": {"at": ["features.1", "features.7"]},
    "densenet121": {"at": ["features.denseblock1", "features"]},
    "squeezenet1_1": {"at": ["features.3", "features.12"]},
    "regnet_y_400mf": {},
    "shufflenet_v2_x0_5": {},
    "vgg16": {"at": ["features.0", "features.28"]},
    "swin_t": {"at": ["features.1", "features.7"]},
    "googlenet": {"at": ["inception3a", "inception5b"]},
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision(name):
    torch.manual_seed(0)
    more = {"init_weights": False} if name == "googlenet" else {}
    check(run(getattr(torchvision.models, name)(num_classes=LABELS, **more), images((64, 64)), **TORCHVISION[name]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "at"),
    [
        ("resnet50", 64, ["layer1", "layer4"]),
        ("efficientnet_v2_s", 64, ["features.2", "features.7"]),
        ("inception_v3", 299, ["Mixed_5b", "Mixed_7c"]),
        ("maxvit_t", 224, ["blocks.0", "blocks.3"]),
        ("vit_b_16", 224, ["conv_proj", "encoder.layers.encoder_layer_5"]),
    ],
)
def test_large_networks_of_torchvision(name, size, at):
    torch.manual_seed(0)
    more = {"init_weights": False} if name == "inception_v3" else {}
    model = getattr(torchvision.models, name)(num_classes=LABELS, **more)
    check(run(model, images((size, size), per_label=2), at=at))


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnextv2_atto"])
def test_networks_of_timm(name):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    torch.manual_seed(0)
    size = (224, 224) if name.startswith("vit") else (64, 64)
    check(run(timm.create_model(name, num_classes=LABELS), images(size, per_label=2)))


def check(result: Result) -> None:
    """Tables are whole, and statistics are those of the matrices they come from."""
    assert len(result.layers) == len(result) >= 1
    assert result.layers["accuracy"].between(0, 1).all()
    assert np.isfinite(result.layers[["N_c", "n", "dprime"]]).all(axis=None)
    for place in result:
        cut = result[place]
        assert cut.matrices.shape == (cut.point.filters, LABELS, LABELS)
        assert np.isfinite(cut.matrices).all()
        counted = statistics.count_filters(cut.clipped, clusters.find(cut.clipped))
        assert len(result.filters[result.filters["module"] == place]) == len(counted)
    str(result)


KINDS_OF_IMAGES = {
    "tensors": lambda x, y: (x, y),
    "numpy": lambda x, y: (x.numpy(), y.numpy()),
    "channels last": lambda x, y: (x.permute(0, 2, 3, 1).numpy(), y),
    "int32 labels": lambda x, y: (x, y.to(torch.int32)),
    "labels as a column": lambda x, y: (x, y[:, None]),
    "loader": lambda x, y: DataLoader(TensorDataset(x, y), batch_size=5, shuffle=True),
    "loader of mappings": lambda x, y: DataLoader(
        [{"pixels": image, "label": truth} for image, truth in zip(x, y, strict=True)], batch_size=5
    ),
    "data set": lambda x, y: TensorDataset(x, y),
    "list": lambda x, y: list(zip(x, y.tolist(), strict=True)),
    "split": lambda x, y: data.Split(((x + 4) * 30).clamp(0, 255).to(torch.uint8), y, tuple("abcd")),
}


@pytest.mark.parametrize("kind", KINDS_OF_IMAGES)
def test_images_as_people_have_them(kind):
    torch.manual_seed(0)
    model, (x, y) = small(), images()
    result = run(model, KINDS_OF_IMAGES[kind](x, y), at=["0", "1"])
    check(result)
    if kind != "split":  # whose pixels are others
        expected = run(model, (x, y), at=["0", "1"])
        np.testing.assert_allclose(result["1"].means, expected["1"].means, atol=1e-5)


def test_a_folder_of_images(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in ("ant", "bee", "cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(3):
            pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    result = run(small(), tmp_path, str(tmp_path))
    check(result)
    assert result.names == ("ant", "bee", "cat", "dog")
    Image.fromarray(pixels[:20]).save(tmp_path / "dog" / "9.png")
    with pytest.raises(sf.InputError, match="images of .* pixels; say image_size"):
        run(small(), tmp_path)
    check(run(small(), tmp_path, image_size=32))


def bad_labels(*labels) -> tuple:
    return images()[0][: len(labels)], torch.tensor(labels)


REFUSED = {
    "labels from 1": (lambda: (small(), bad_labels(1, 2, 3, 1)), {}, sf.InputError, "label '0' .* has no image"),
    "labels below 0": (lambda: (small(), bad_labels(0, -1, 1, 2)), {}, sf.InputError, "-1 is among them"),
    "real labels": (lambda: (small(), bad_labels(0.0, 1.0)), {}, sf.InputError, "labels are whole numbers"),
    "too few names": (lambda: (small(), images()), {"labels": list("abc")}, sf.InputError, "3 labels, and a label 3"),
    "too many names": (
        lambda: (small(), images()),
        {"labels": list("abcde")},
        sf.InputError,
        "label 'e' .* has no image",
    ),
    "one label too few": (lambda: (small(), (images()[0], images()[1][:-1])), {}, sf.InputError, "16 images and 15"),
    "no images": (lambda: (small(), (images()[0][:0], images()[1][:0])), {}, sf.InputError, "there are no images"),
    "an iterator": (lambda: (small(), iter([images()])), {}, sf.InputError, "gone through once"),
    "a number": (lambda: (small(), 3), {}, sf.InputError, "this is a int"),
    "no folder": (lambda: (small(), "/no/such/folder"), {}, sf.InputError, "no folder /no/such/folder"),
    "integers as pixels": (
        lambda: (small(), (torch.zeros(4, 3, 32, 32, dtype=torch.int64), torch.arange(4))),
        {},
        sf.InputError,
        "these are torch.int64",
    ),
    "other channels": (lambda: (small(1), images()), {}, sf.ForwardError, r"failed on a batch \[4, 3, 32, 32\]"),
    "no network": (lambda: (3, images()), {}, sf.InputError, "a torch.nn.Module"),
    "misspelt": (lambda: (small(), images()), {"at": ["0", "1.x"]}, sf.CutError, "no module '1.x'; did you mean"),
    "no place": (lambda: (small(), images()), {"at": []}, sf.CutError, "no place to cut at"),
    "norm by the batch": (
        lambda: (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)), images()),
        {"at": ["1"]},
        sf.ForwardError,
        "no running statistics",
    ),
    "no head": (lambda: (small(), images()), {"heads": {}, "at": ["0"]}, sf.HeadError, "0: no head is given"),
    "no linear head": (
        lambda: (small(), images()),
        {"heads": {"0": nn.ReLU()}, "at": ["0"]},
        sf.HeadError,
        "a head is a linear layer, this is a ReLU",
    ),
    "other head": (
        lambda: (small(), images()),
        {"heads": {"0": nn.Linear(7, 4)}, "at": ["0"]},
        sf.HeadError,
        r"has weights \[labels, 1350\] or \[labels, 6, 225\] .* this one has \[4, 7\]",
    ),
    "own where nothing is linear": (
        lambda: (small(), images()),
        {"heads": "own", "at": ["1"]},
        sf.HeadError,
        "such as 5:input",
    ),
    "misspelt heads": (lambda: (small(), images()), {"heads": "trian"}, sf.HeadError, "none of 'train', 'own'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_the_reason(kind):
    make, options, error, message = REFUSED[kind]
    with pytest.raises(error, match=message):
        run(*make(), **options)
