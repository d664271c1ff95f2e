"""Clusters against a literal reading of the greedy rule, known answers, and what must hold for any matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from singlefilter.method import clusters

quick = settings(max_examples=60, deadline=None)


def naive_clusters(matrix: np.ndarray) -> list[int]:
    """Section 5, word by word, for one matrix."""
    ones = matrix.tolist()
    found = [-1] * len(ones)
    listed = [label for label in range(len(ones)) if ones[label][label]]
    number = 0
    for first in listed:
        if found[first] >= 0:
            continue
        members = [first]
        for label in listed:
            if label <= first or found[label] >= 0:
                continue
            enlarged = [*members, label]
            if all(ones[i][j] for i in enlarged for j in enlarged):
                members = enlarged
        for label in members:
            found[label] = number
        number += 1
    return found


def naive_find(clipped: np.ndarray) -> np.ndarray:
    return np.array([naive_clusters(matrix) for matrix in clipped], dtype=np.int64).reshape(clipped.shape[:2])


@st.composite
def clipped_matrices(draw, most_filters: int = 6, most_labels: int = 12) -> np.ndarray:
    """Random matrices with their own density and diagonal density a filter, cliques planted in some."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    filters, labels = draw(st.integers(0, most_filters)), draw(st.integers(1, most_labels))
    density = rng.choice([0, 0.1, 0.5, 0.8, 0.95, 1], size=(filters, 1, 1))
    clipped = rng.random((filters, labels, labels)) < density
    diagonal = np.arange(labels)
    kept = rng.random((filters, labels)) < rng.choice([0, 0.3, 0.7, 1], size=(filters, 1))
    clipped[:, diagonal, diagonal] = kept
    for matrix in clipped[::2]:
        members = rng.permutation(labels)[: rng.integers(labels + 1)]
        matrix[np.ix_(members, members)] = True
    return clipped


@quick
@given(clipped_matrices())
def test_find_is_the_greedy_rule(clipped):
    np.testing.assert_array_equal(clusters.find(clipped), naive_find(clipped))


def test_find_is_the_greedy_rule_at_a_hundred_labels():
    rng = np.random.default_rng(1)
    clipped = rng.random((24, 100, 100)) < np.linspace(0.02, 1, 24)[:, None, None]
    np.testing.assert_array_equal(clusters.find(clipped), naive_find(clipped))


@quick
@given(clipped_matrices())
def test_clusters_are_disjoint_squares_of_ones_that_cover_the_diagonal(clipped):
    found = clusters.find(clipped)
    assert found.shape == clipped.shape[:2] and found.dtype == np.int64
    for matrix, numbers in zip(clipped, found, strict=True):
        np.testing.assert_array_equal(numbers == -1, ~np.diagonal(matrix))
        used = sorted(set(numbers.tolist()) - {-1})
        assert used == list(range(len(used)))
        opened_by = [np.flatnonzero(numbers == number)[0] for number in used]
        assert opened_by == sorted(opened_by)
        for number in used:
            members = np.flatnonzero(numbers == number)
            assert matrix[np.ix_(members, members)].all()


@quick
@given(clipped_matrices(), st.integers(1, 3000))
def test_chunk_size_changes_nothing(clipped, memory):
    np.testing.assert_array_equal(clusters.find(clipped, memory=memory), clusters.find(clipped))


@quick
@given(clipped_matrices(), st.integers(0, 2**32 - 1))
def test_permuting_filters_permutes_their_clusters(clipped, seed):
    order = np.random.default_rng(seed).permutation(len(clipped))
    np.testing.assert_array_equal(clusters.find(clipped[order]), clusters.find(clipped)[order])


@quick
@given(clipped_matrices(), st.integers(0, 2**32 - 1))
def test_labels_without_a_diagonal_one_may_be_moved_anywhere(clipped, seed):
    """Relabelling that keeps the order of the labels on the diagonal only relabels the clusters."""
    rng = np.random.default_rng(seed)
    for matrix in clipped:
        order = rng.permutation(len(matrix))
        on_diagonal = np.flatnonzero(np.diagonal(matrix))
        order[np.isin(order, on_diagonal)] = on_diagonal
        moved = clusters.find(matrix[np.ix_(order, order)][None])[0]
        np.testing.assert_array_equal(moved, clusters.find(matrix[None])[0][order])


@quick
@given(st.integers(0, 2**32 - 1))
def test_planted_clusters_are_recovered_in_any_order_of_labels(seed):
    rng = np.random.default_rng(seed)
    labels = int(rng.integers(1, 15))
    planted = rng.integers(-1, 4, size=labels)
    together = (planted[:, None] == planted) & (planted >= 0)
    noise = np.triu(rng.random((labels, labels)) < 0.5, 1)  # one direction only: must not join anything
    found = clusters.find((together | noise)[None])[0]
    np.testing.assert_array_equal((found[:, None] == found) & (found >= 0), together)


def test_path_depends_on_the_order_of_labels():
    path = np.eye(3, dtype=bool)
    path[[0, 1, 1, 2], [1, 0, 2, 1]] = True
    assert clusters.find(path[None]).tolist() == [[0, 0, 1]]
    ends_first = [2, 1, 0]
    reversed_path = clusters.find(path[np.ix_(ends_first, ends_first)][None])[0]
    assert reversed_path[ends_first].tolist() == [1, 0, 0]


def test_one_missing_direction_breaks_a_square():
    ones = np.ones((3, 4, 4), dtype=bool)
    ones[1, 0, 3] = False
    ones[2, 3, 0] = False
    assert clusters.find(ones).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]


def test_full_empty_and_smallest_matrices():
    assert clusters.find(np.ones((2, 5, 5), bool)).tolist() == [[0] * 5] * 2
    assert clusters.find(np.zeros((2, 5, 5), bool)).tolist() == [[-1] * 5] * 2
    assert clusters.find(np.eye(4, dtype=bool)[None]).tolist() == [[0, 1, 2, 3]]
    assert clusters.find(np.array([[[True]], [[False]]])).tolist() == [[0], [-1]]
    assert clusters.find(np.ones((0, 4, 4), bool)).shape == (0, 4)


def test_off_diagonal_ones_alone_make_no_cluster():
    assert (clusters.find(~np.eye(6, dtype=bool)[None]) == -1).all()


@quick
@given(clipped_matrices())
def test_torch_and_numpy_agree_and_each_kind_comes_back(clipped):
    found = clusters.find(torch.from_numpy(clipped))
    assert isinstance(found, torch.Tensor) and found.dtype == torch.int64
    np.testing.assert_array_equal(found.numpy(), clusters.find(clipped))
    order = clusters.display_order(found)
    assert isinstance(order, torch.Tensor) and order.dtype == torch.int64
    np.testing.assert_array_equal(order.numpy(), clusters.display_order(clusters.find(clipped)))
    fields = np.random.default_rng(0).normal(size=clipped.shape).astype(np.float32)
    ones = clusters.clip(torch.from_numpy(fields))
    assert isinstance(ones, torch.Tensor) and ones.dtype == torch.bool
    np.testing.assert_array_equal(ones.numpy(), clusters.clip(fields))


def test_views_and_read_only_arrays_are_taken_and_left_alone(recwarn):
    clipped = np.random.default_rng(2).random((8, 9, 9)) < 0.8
    kept = clipped.copy()
    clipped.flags.writeable = False
    expected = naive_find(clipped)
    np.testing.assert_array_equal(clusters.find(clipped), expected)
    np.testing.assert_array_equal(clusters.find(clipped[::-1, ::-1, ::-1])[::-1], naive_find(clipped[:, ::-1, ::-1]))
    transposed = torch.from_numpy(kept).transpose(1, 2)
    np.testing.assert_array_equal(clusters.find(transposed).numpy(), expected)
    np.testing.assert_array_equal(clipped, kept)
    assert not recwarn.list


@pytest.mark.parametrize("given_as", [np.uint8, np.int64, np.float32])
def test_find_wants_clipped_matrices(given_as):
    with pytest.raises(TypeError, match="clip first"):
        clusters.find(np.ones((2, 3, 3), given_as))


# clip


def test_clip_is_strict_at_the_threshold():
    for dtype in (np.float32, np.float64):
        boundary = np.array([[[10, 3], [3.00001, -20]]], dtype)
        assert clusters.clip(boundary)[0].tolist() == [[True, False], [True, False]]
        assert clusters.clip(np.array([[[2, 1], [1, 2]]], dtype), threshold=0.5)[0].tolist() == [
            [1, 0],
            [0, 1],
        ]


@quick
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]), st.floats(0.01, 0.99))
def test_clip_is_the_division_of_the_method(seed, dtype, threshold):
    rng = np.random.default_rng(seed)
    fields = rng.normal(rng.choice([-5, 0, 1]), 1, size=(5, 4, 4)).astype(dtype)
    fields[0] = np.round(fields[0])  # ties and zeros
    expected = np.zeros(fields.shape, bool)
    for matrix, ones in zip(fields, expected, strict=True):
        if matrix.max() > 0:
            ones[:] = matrix / matrix.max() > threshold
    np.testing.assert_array_equal(clusters.clip(fields, threshold), expected)
    np.testing.assert_array_equal(clusters.clip(fields, threshold, memory=1), expected)


@quick
@given(st.integers(0, 2**32 - 1), st.integers(-30, 30))
def test_clip_ignores_positive_scale(seed, exponent):
    fields = np.random.default_rng(seed).normal(size=(4, 5, 5)).astype(np.float32)
    clipped = clusters.clip(fields)
    np.testing.assert_array_equal(clusters.clip(fields * np.float32(2.0**exponent)), clipped)  # exact
    scaled = fields.astype(np.float64) * [
        [[0.1]],
        [[3]],
        [[7e5]],
        [[1e-9]],
    ]  # rounds, away from the threshold
    near = np.abs(fields / fields.max((1, 2), keepdims=True) - 0.3) < 1e-6
    np.testing.assert_array_equal(clusters.clip(scaled) & ~near, clipped & ~near)


@quick
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_clip_has_fewer_ones_at_a_higher_threshold(seed, one, other):
    fields = np.random.default_rng(seed).normal(size=(4, 5, 5))
    low, high = sorted((one, other))
    assert (clusters.clip(fields, low) >= clusters.clip(fields, high)).all()
    assert clusters.clip(fields, high).any((1, 2)).all()  # the largest element is always a one


@pytest.mark.parametrize(
    "dead",
    [
        [[-1.0, -2.0], [-3.0, -1.0]],
        [[0.0, 0.0], [0.0, 0.0]],
        [[0.0, -1.0], [-1.0, -1.0]],
        [[1.0, np.nan], [0.0, 1.0]],
        [[np.inf, 1.0], [1.0, 1.0]],
        [[-np.inf, -np.inf], [-np.inf, -np.inf]],
    ],
)
def test_a_filter_without_a_positive_finite_largest_field_is_all_zeros(dead):
    fields = np.array([dead, [[1.0, 0.0], [0.0, 1.0]]])
    assert clusters.clip(fields).tolist() == [[[False] * 2] * 2, [[True, False], [False, True]]]


def test_minus_infinity_is_only_below_the_threshold():
    assert clusters.clip(np.array([[[1.0, -np.inf], [0.5, 0.1]]])).tolist() == [[[True, False], [True, False]]]


def test_half_precision_and_integers_are_compared_in_a_wider_type():
    assert clusters.clip(np.array([[[10, 3], [4, -1]]])).tolist() == [[[True, False], [True, False]]]
    fields = torch.tensor([[[10.0, 3.0], [3.015625, 0.0]]])
    for dtype in (torch.bfloat16, torch.float16):
        half = fields.to(dtype)
        assert torch.equal(clusters.clip(half), clusters.clip(half.float()))


@pytest.mark.parametrize("threshold", [0, 1, -0.3, 1.5, float("nan")])
def test_clip_refuses_a_threshold_outside_zero_to_one(threshold):
    with pytest.raises(ValueError, match="threshold"):
        clusters.clip(np.ones((1, 2, 2)), threshold)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4), (1, 2, 3, 3), (2, 0, 0)])
def test_shapes_that_are_no_field_matrices_are_refused(shape):
    with pytest.raises(ValueError, match="true_label"):
        clusters.clip(np.ones(shape))
    with pytest.raises(ValueError, match="true_label"):
        clusters.find(np.ones(shape, bool))


@pytest.mark.parametrize("memory", [0, -1])
def test_memory_must_be_positive(memory):
    with pytest.raises(ValueError, match="memory"):
        clusters.find(np.ones((1, 2, 2), bool), memory=memory)
    with pytest.raises(ValueError, match="memory"):
        clusters.clip(np.ones((1, 2, 2)), memory=memory)


def test_complex_fields_are_refused():
    with pytest.raises(TypeError, match="complex"):
        clusters.clip(np.ones((1, 2, 2), np.complex64))


# display_order


def test_display_order_by_hand():
    found = np.array([[0, -1, 1, 1, 0, 2, 1, -1], [-1, 0, -1, 1, 0, 1, -1, -1], [-1] * 8])
    assert clusters.display_order(found).tolist() == [
        [2, 3, 6, 0, 4, 5, 1, 7],
        [1, 4, 3, 5, 0, 2, 6, 7],
        [0, 1, 2, 3, 4, 5, 6, 7],
    ]


@quick
@given(clipped_matrices())
def test_display_order_is_the_sort_of_the_docstring(clipped):
    found = clusters.find(clipped)
    for numbers, order in zip(found.tolist(), clusters.display_order(found).tolist(), strict=True):
        labels = range(len(numbers))

        def place(label, numbers=numbers):
            number = numbers[label]
            return (number < 0, -numbers.count(number) if number >= 0 else 0, number, label)

        assert order == sorted(labels, key=place)


def test_display_order_refuses_what_find_does_not_return():
    with pytest.raises(TypeError, match="integers"):
        clusters.display_order(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="label"):
        clusters.display_order(np.zeros(3, int))
