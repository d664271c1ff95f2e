"""Splits: what is none, which labels are drawn, and parts of one against a loop over images."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from singlefilter import data
from singlefilter.errors import InputError


def test_a_split_that_is_none():
    images, names = torch.zeros(3, 3, 4, 4, dtype=torch.uint8), ("a", "b", "c")
    with pytest.raises(InputError, match=r"uint8 images .* torch.float32 \[2, 3, 4, 4\]"):
        data.Split(torch.zeros(2, 3, 4, 4), torch.zeros(2), ("a",))
    for labels, message in (
        ([0, 1], "a label for each of its 3 images"),
        ([[0, 1, 2]], "a label for each of its 3 images"),
        ([1, 2, 3], "labels count from 0, these from 1 to 3; give labels - 1"),
        ([-1, 0, 1], "1 of these are below, such as -1"),
        ([0, 1, 3], "names for labels 0 to 2, and a label 3"),
        ([0.0, 1.0, 2.0], "whole numbers"),
        ([True, False, True], "whole numbers"),
    ):
        with pytest.raises(InputError, match=message):
            data.Split(images, torch.tensor(labels), names)
    for dtype in (torch.int32, torch.uint8, torch.int8):
        assert data.Split(images, torch.tensor([0, 2, 1], dtype=dtype), names).labels.dtype == torch.int64


def test_images_and_labels_on_two_devices():
    images, labels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8, device="meta"), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(
        ValueError, match="images lie on the device of their labels, cpu, or in memory; these lie on meta"
    ):
        data.Split(images, labels, ("a",))


def test_draws_of_labels_are_all_different_and_stay_what_they_are():
    draws = [data.drawn_labels(5, 3, draw) for draw in range(10)]
    assert len(set(draws)) == 10
    assert all(draw == tuple(sorted(set(draw))) and len(draw) == 3 and max(draw) < 5 for draw in draws)
    assert data.drawn_labels(5, 5, 0) == (0, 1, 2, 3, 4)
    assert data.drawn_labels(100, 3, 0) == data.drawn_labels(100, 3, 0)


@pytest.mark.parametrize(("count", "draw", "message"), [
    (6, 0, "6 labels asked for, the data set has 5"),
    (5, 1, "draw 1 of 5 among 5 labels asked for: there are 1"),
])  # fmt: skip
def test_draws_of_labels_that_are_not_there(count, draw, message):
    with pytest.raises(data.DataError, match=message):
        data.drawn_labels(5, count, draw)


def test_a_part_of_a_split_against_a_loop():
    images = torch.randint(0, 256, (11, 3, 8, 8), dtype=torch.uint8)
    split = data.Split(images, torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3]), tuple("abcd"))
    part = data.part(split, (0, 2, 3), 2)
    assert part.names == ("a", "c", "d") and part.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(part.images, images[[0, 1, 5, 6, 9, 10]])
    assert data.part(split, (1, 2)).labels.tolist() == [0, 0, 1, 1, 1, 1]
    with pytest.raises(data.DataError, match="label 'b' has 2 training images, 3 wanted"):
        data.part(split, (0, 1), 3)
    with pytest.raises(InputError, match="the split has labels 0 to 3, 4 asked for"):
        data.part(split, (0, 4))
    with pytest.raises(InputError, match="each label once; asked for: 1, 1"):
        data.part(split, (1, 1))


@given(st.lists(st.integers(0, 3), min_size=8, max_size=20), st.permutations(range(4)), st.integers(1, 3))
def test_parts_of_labels_in_any_order(labels, chosen, held):
    """Every image is its own number, so that what became of it can be told."""
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    split = data.Split(images, torch.tensor(labels), tuple("abcd"))
    part = data.part(split, tuple(chosen[:3]))
    found = list(zip(part.images[:, 0, 0, 0].tolist(), part.labels.tolist(), strict=True))
    expected = [(place, new) for new, old in enumerate(chosen[:3]) for place, is_ in enumerate(labels) if is_ == old]
    assert found == expected
    if min(labels.count(label) for label in range(4)) > held:
        rest, out = data.hold_out(split, held, seed=1)
        for one in (rest, out):
            assert [labels[place] for place in one.images[:, 0, 0, 0].tolist()] == one.labels.tolist()
        assert torch.bincount(out.labels).tolist() == [held] * 4
        assert len(rest) + len(out) == len(labels)
