"""Clusters against a literal reading of the greedy rule, known answers, and what must hold for any matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.method.matrices import clipped_matrices

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
