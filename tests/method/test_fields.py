"""Fields: the identities of section 3, and one pass over the images against a loop over images and filters."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from singlefilter import data, networks, profiles
from singlefilter.errors import CutError, ForwardError, HeadError
from singlefilter.method import fields, heads

LABELS = 4


def split(seed: int = 1, count: int = 30) -> data.Split:
    """Unequal numbers of images a label, in ascending order of labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.cat([torch.arange(LABELS), torch.randint(0, LABELS, (count - LABELS,), generator=generator)])
    return data.Split(images, labels.sort().values, tuple("abcd"))


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(5, 7, 3, padding=1), nn.BatchNorm2d(7), nn.ReLU(), nn.MaxPool2d(2)),
        )
        model.train()(torch.randn(50, 3, 8, 8))
    return model


def prepared() -> tuple[nn.Module, tuple[heads.HeadPoint, ...], dict[str, torch.Tensor]]:
    model = network()
    points = heads.head_points(networks.cut_points_at(model, ["0", "1"], 8), profiles.Heads())
    flat = heads.initial_weights(points, LABELS, 1)
    weights = {point.name: flat[point.name].reshape(LABELS, point.cut.filters, point.positions) for point in points}
    return model, points, weights


def maps_of(model: nn.Module, point: heads.HeadPoint, image: torch.Tensor) -> np.ndarray:
    """A[f, p] of one image, float64."""
    model.eval()
    with torch.no_grad():
        maps = model[: point.cut.layer]((2 * image.double() / 255 - 1)[None].float())
    return heads.pooled(maps, point.size)[0].flatten(1).double().numpy()


def naive(model: nn.Module, point: heads.HeadPoint, weights: torch.Tensor, images: data.Split) -> dict:
    """Section 3 to the letter: one image, one filter, one output at a time."""
    filters, w = point.cut.filters, weights.double().numpy()
    matrices, counts = np.zeros((filters, LABELS, LABELS)), np.zeros(LABELS)
    correct, dprime, logits = [], [], []
    for image, label in zip(images.images, images.labels.tolist(), strict=True):
        maps = maps_of(model, point, image)
        phi = np.zeros((filters, LABELS))
        for f in range(filters):
            for j in range(LABELS):
                phi[f, j] = sum(w[j, f, p] * maps[f, p] for p in range(point.positions))
        matrices[:, label] += phi
        counts[label] += 1
        logit = phi.sum(0)
        others = np.delete(logit, label)
        logits.append(logit)
        correct.append(logit.argmax() == label)
        dprime.append((logit[label] - others.mean()) / others.std())
    return {"matrices": matrices / counts[:, None], "correct": correct, "dprime": dprime, "logits": np.array(logits)}


def test_one_pass_is_the_loop_over_images_filters_and_outputs():
    model, points, weights = prepared()
    images = split()
    measured = fields.measure(model, points, weights, images, batch=7)
    for point in points:
        expected = naive(model, point, weights[point.name], images)
        means = measured.class_means[point.name]
        assert means.shape == (LABELS, point.cut.filters, point.positions)
        assert means.dtype == torch.float32
        found = fields.field_matrices(means, weights[point.name])
        assert found.shape == (point.cut.filters, LABELS, LABELS)
        scale = np.abs(expected["matrices"]).max()
        np.testing.assert_allclose(found.numpy(), expected["matrices"], atol=1e-5 * scale, rtol=1e-5)
        assert measured.correct[point.name].tolist() == expected["correct"]
        np.testing.assert_allclose(measured.dprime[point.name].numpy(), expected["dprime"], rtol=1e-3, atol=1e-4)


def test_fields_of_all_filters_sum_to_the_logits():
    """sum_f phi[f, j](x) is logit j of a linear layer without bias on the flattened map."""
    model, points, weights = prepared()
    images = split(count=6)
    for point in points:
        layer = nn.Linear(point.fan_in, LABELS, bias=False)
        layer.weight.data = weights[point.name].flatten(1)
        logits = naive(model, point, weights[point.name], images)["logits"]
        for image, expected in zip(images.images, logits, strict=True):
            maps = torch.from_numpy(maps_of(model, point, image)).float()
            np.testing.assert_allclose(layer(maps.flatten()).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
            # field matrices of a single image are its fields: each row i of M is phi
            phi = fields.field_matrices(maps[None], weights[point.name])
            np.testing.assert_allclose(phi.sum(0)[0].numpy(), expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10**6))
def test_any_batch_size_and_any_order_of_images(batch, seed):
    model, points, weights = prepared()
    images = split()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    shuffled = dataclasses.replace(images, images=images.images[order], labels=images.labels[order])
    one = fields.measure(model, points, weights, images)
    other = fields.measure(model, points, weights, shuffled, batch)
    for point in points:
        name = point.name
        torch.testing.assert_close(one.class_means[name], other.class_means[name], atol=1e-5, rtol=1e-5)
        assert torch.equal(one.correct[name][order], other.correct[name])
        torch.testing.assert_close(one.dprime[name][order], other.dprime[name], atol=1e-3, rtol=1e-3)


def test_many_images_keep_float32_close_to_float64():
    """Sums over 3,000 images of two labels, relative to the largest mean: better than 1e-5."""
    model, points, weights = prepared()
    small = split(count=30)
    times = 100
    many = data.Split(small.images.repeat(times, 1, 1, 1), small.labels.repeat(times), small.names)
    measured = fields.measure(model, points, weights, many, batch=500)
    for point in points:
        exact = np.zeros((LABELS, point.cut.filters, point.positions))
        for image, label in zip(small.images, small.labels.tolist(), strict=True):
            exact[label] += maps_of(model, point, image)
        exact /= torch.bincount(small.labels).numpy()[:, None, None]
        assert np.abs(measured.class_means[point.name].numpy() - exact).max() < 1e-5 * exact.max()


def test_the_network_is_left_as_it_was_found():
    model, points, weights = prepared()
    model.train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modules = list(model.modules())
    fields.measure(model, points, weights, split())
    wrong = torch.zeros(LABELS + 1, points[-1].cut.filters, points[-1].positions)
    with pytest.raises(HeadError, match=r"have to be \[\d+, \d+, \d+\], these are"):
        fields.measure(model, points, weights | {points[-1].name: wrong}, split())
    larger = split()
    larger = data.Split(larger.images.repeat(1, 1, 2, 2), larger.labels, larger.names)
    with pytest.raises(CutError, match="make cut points with images of the size"):  # in the middle of a pass
        fields.measure(model, points, weights, larger)
    assert [module.training for module in model.modules()] == modes
    assert all(one is other for one, other in zip(model.modules(), modules, strict=True))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def arrays(seed: int, labels: int, filters: int, positions: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(labels, filters, positions)), rng.normal(size=(labels + 2, filters, positions))


def naive_matrices(means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    filters = means.shape[1]
    matrices = np.zeros((filters, len(means), len(weights)))
    for f in range(filters):
        for i in range(len(means)):
            for j in range(len(weights)):
                for p in range(means.shape[2]):
                    matrices[f, i, j] += weights[j, f, p] * means[i, f, p]
    return matrices


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(1, 2000))
def test_matrices_of_both_kinds_and_in_blocks_of_any_size(seed, labels, filters, positions, memory):
    means, weights = arrays(seed, labels, filters, positions)
    expected = naive_matrices(means, weights)
    found = fields.field_matrices(means, weights)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    of_torch = fields.field_matrices(torch.from_numpy(means), torch.from_numpy(weights))
    assert isinstance(of_torch, torch.Tensor)
    np.testing.assert_allclose(of_torch.numpy(), expected, rtol=1e-10, atol=1e-12)
    for kind in (lambda array: array, torch.from_numpy):
        blocks = list(fields.chunks(kind(means), kind(weights), memory))
        np.testing.assert_allclose(np.concatenate([block for _, block in blocks]), expected, rtol=1e-10, atol=1e-12)
        covered = [f for part, _ in blocks for f in range(filters)[part]]
        assert covered == list(range(filters))
        assert all(block.nbytes <= memory or len(block) == 1 for _, block in blocks)


def test_blocks_are_as_large_as_memory_allows():
    means, weights = arrays(0, 4, 10, 2)
    assert [len(block) for _, block in fields.chunks(means, weights, 4 * 6 * 8 * 3)] == [3, 3, 3, 1]


@pytest.mark.parametrize(
    ("means", "weights"), [((4, 3, 2), (4, 2, 2)), ((4, 3, 2), (4, 3, 1)), ((4, 3), (4, 3)), ((4, 3, 2), (4, 6))]
)
def test_shapes_that_do_not_fit(means, weights):
    with pytest.raises(ValueError, match=r"have to agree in filters and positions; they are \(4, 3"):
        fields.field_matrices(np.zeros(means), np.zeros(weights))


@pytest.mark.parametrize("memory", [0, -5])
def test_blocks_of_no_memory(memory):
    with pytest.raises(ValueError, match=f"above 0; {memory} given"):
        next(fields.chunks(*arrays(0, 2, 2, 2), memory))


def test_measuring_what_cannot_be_measured():
    model, points, weights = prepared()
    with pytest.raises(ValueError, match="at least one image, 0 given"):
        fields.measure(model, points, weights, split(), batch=0)
    images = split()
    kept = images.labels != 2
    without = data.Split(images.images[kept], images.labels[kept], images.names)
    with pytest.raises(ValueError, match="no image of label 'c' in the split"):
        fields.measure(model, points, weights, without)


def test_weights_or_maps_that_are_no_numbers():
    model, points, weights = prepared()
    broken = weights["layer2_flat"].clone()
    broken[1, 3, 0] = torch.nan
    with pytest.raises(fields.NotFinite, match=r"head weights of layer 2 \(flat head\): .* the first is filter 3"):
        fields.measure(model, points, weights | {"layer2_flat": broken}, split())

    def overflow(module, given, maps):  # not in the few images that are tried first
        maps[8:, 4] = torch.inf

    handle = model[0][1].register_forward_hook(overflow)
    with pytest.raises(fields.NotFinite, match=r"class means of layer 1 \(flat head\): .* the first is filter 4"):
        fields.measure(model, points, weights, split())
    handle.remove()
    model[0][1].weight.data[4] = torch.inf
    with pytest.raises(ForwardError, match="0: its map has values that are NaN or infinite, first in filter 4"):
        fields.measure(model, points, weights, split())


@pytest.mark.parametrize("scale", [1e19, 1e30])
def test_logits_that_float32_does_not_hold_are_an_error_and_no_small_number(scale):
    """The deviation of such logits is infinite, and what is divided by it would be a d' of 0."""
    model, points, weights = prepared()
    large = weights["layer2_flat"] * (scale / weights["layer2_flat"].abs().max())
    with pytest.raises(fields.NotFinite, match=r"logits of layer 2 \(flat head\): not below 1e\+17 in \d+"):
        fields.measure(model, points, weights | {"layer2_flat": large}, split())


def test_small_logits_are_measured():
    model, points, weights = prepared()
    small = {name: 1e-15 * each for name, each in weights.items()}
    one, other = (fields.measure(model, points, of, split()).dprime["layer2_flat"] for of in (weights, small))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
