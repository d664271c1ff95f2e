"""Augmentation against a loop over images, and epochs that miss no image."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.written import RNG

from singlefilter import data


def naive_augment(image: np.ndarray, down: int, right: int, mirror: bool) -> np.ndarray:
    if mirror:
        image = image[:, :, ::-1]
    _, height, width = image.shape
    shifted = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                shifted[:, y, x] = image[:, y - down, x - right]
    return shifted


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(1, 6), st.integers(1, 7), st.integers(1, 4), st.data())
def test_augment_is_shift_and_mirror_of_each_image(margin, height, width, count, draw):
    images = torch.from_numpy(RNG.integers(1, 256, (count, 3, height, width), np.uint8))
    shifts = st.lists(st.integers(-margin, margin), min_size=count, max_size=count)
    down, right = draw.draw(shifts), draw.draw(shifts)
    mirror = draw.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    fast = data.augment(images, torch.tensor(down), torch.tensor(right), torch.tensor(mirror), margin)
    slow = [naive_augment(*each) for each in zip(images.numpy(), down, right, mirror, strict=True)]
    assert fast.dtype == torch.uint8
    np.testing.assert_array_equal(fast.numpy(), np.stack(slow))


def numbered(count: int, side: int = 4) -> data.Split:
    """A split in which every image has a label, and a first pixel, of its own."""
    images = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(count)
    return data.Split(images, torch.arange(count), tuple(map(str, range(count))))


@pytest.mark.parametrize(("count", "batch"), [(10, 5), (11, 4), (9, 4), (3, 100), (1, 1), (1, 3), (7, 7)])
def test_every_image_once_an_epoch(count, batch):
    found = list(data.batches(numbered(count), batch, seed=1, epoch=0))
    labels = torch.cat([labels for _, labels in found])
    images = torch.cat([images for images, _ in found])
    dropped = 1 if count % batch == 1 and count > 1 else 0  # batch norm cannot train on a single image
    assert len(labels) == count - dropped
    assert len(set(labels.tolist())) == len(labels)
    assert [len(labels) for _, labels in found][:-1] == [batch] * (len(found) - 1)
    torch.testing.assert_close((images[:, 0, 0, 0] + 1) * 127.5, labels.float(), atol=1e-3, rtol=0)


def test_epochs_are_decided_by_seed_and_number_alone():
    split = data.Split(torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8), torch.arange(40), ("",) * 40)

    def epoch(seed: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(torch.seed())  # nothing else that is random may matter
        found = list(data.batches(split, 10, seed=seed, epoch=number, shift=2, flip=True))
        return torch.cat([images for images, _ in found]), torch.cat([labels for _, labels in found])

    images, order = epoch(1, 0)
    again, same_order = epoch(1, 0)
    assert torch.equal(images, again)
    assert torch.equal(order, same_order)
    assert not torch.equal(order, epoch(1, 1)[1])
    assert not torch.equal(order, epoch(2, 0)[1])


def test_augmentation_of_an_epoch_uses_the_whole_range():
    split = data.Split(torch.full((400, 3, 5, 5), 255, dtype=torch.uint8), torch.arange(400), ("",) * 400)
    images = torch.cat([images for images, _ in data.batches(split, 100, seed=1, epoch=0, shift=2)])
    black_rows = (images[:, 0] == -1).all(2).sum(1)  # a white image shifted by k rows has |k| black ones
    assert set(black_rows.tolist()) == {0, 1, 2}
    assert torch.bincount(black_rows).float().div(400).sub(torch.tensor([0.2, 0.4, 0.4])).abs().max() < 0.1


def test_flip_mirrors_about_half():
    split = data.Split(torch.zeros(400, 3, 2, 2, dtype=torch.uint8), torch.arange(400), ("",) * 400)
    split.images[:, :, :, 0] = 255
    for flip, low, high in ((True, 0.4, 0.6), (False, 0, 0)):
        images = torch.cat([images for images, _ in data.batches(split, 100, seed=1, epoch=0, flip=flip)])
        assert low <= (images[:, 0, 0, 0] == -1).float().mean() <= high


def test_batch_of_nothing():
    with pytest.raises(ValueError, match="at least one image, 0 given"):
        next(data.batches(numbered(3), 0, seed=1, epoch=0))


def test_pixels_become_minus_one_to_one():
    pixels = torch.tensor([0, 51, 127, 255], dtype=torch.uint8)
    expected = torch.tensor([2 * x / 255 - 1 for x in (0, 51, 127, 255)])
    assert data.to_input(pixels).dtype == torch.float32
    torch.testing.assert_close(data.to_input(pixels), expected, atol=1e-6, rtol=0)
    assert pixels.tolist() == [0, 51, 127, 255]


def test_mix_is_the_same_on_every_machine():
    assert data.mix(1, 2) == int.from_bytes(hashlib.sha256(b"(1, 2)").digest()[:8], "big") >> 1
    assert len({data.mix(1, 2), data.mix(2, 1), data.mix(12), data.mix(1, 2, 0)}) == 4
