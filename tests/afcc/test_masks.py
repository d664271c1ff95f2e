"""Masks against naive loops, counts to the last connection, and refusals that name what is wrong."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from singlefilter import afcc
from singlefilter.afcc import masks


def clusters(filters: int, labels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-5, 2, (filters, labels)).clip(min=-1)


def test_a_head_keeps_the_labels_in_clusters():
    found = clusters(7, 5)
    mask = afcc.head_mask(found)
    assert mask.shape == (5, 7)
    for label in range(5):
        for filter_ in range(7):
            assert mask[label, filter_] == (found[filter_, label] >= 0)
    covered_labels = np.mean([(row >= 0).sum() for row in found])
    assert afcc.kept_fraction(mask) == pytest.approx(covered_labels / 5)
    assert torch.equal(afcc.head_mask(torch.from_numpy(found)), mask)


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_a_convolution_keeps_kernels_between_filters_that_share_labels(overlap):
    before, after = clusters(6, 8, 1), clusters(9, 8, 2)
    mask = afcc.convolution_mask(before, after, overlap)
    assert mask.shape == (9, 6)
    assert 0 < mask.sum() < mask.numel()
    for f in range(9):
        for g in range(6):
            shared = sum(before[g, label] >= 0 and after[f, label] >= 0 for label in range(8))
            assert mask[f, g] == (shared >= overlap)
    assert torch.equal(afcc.convolution_mask(after, before, overlap), mask.T)


def test_more_overlap_keeps_fewer():
    before, after = clusters(6, 8, 1), clusters(9, 8, 2)
    kept = [afcc.convolution_mask(before, after, overlap) for overlap in range(1, 10)]
    assert all(not (more & ~fewer).any() for fewer, more in zip(kept[:-1], kept[1:], strict=True))
    assert not kept[-1].any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=12), st.integers(0, 5))
def test_random_afcc_deals_labels_evenly(counts, seed):
    mask = afcc.random_afcc(np.array(counts), 7, seed)
    assert mask.sum(0).tolist() == counts
    used = mask.sum(1)
    assert used.max() - used.min() <= 1


def test_random_afcc_is_random_and_repeatable():
    counts = np.full(40, 5)
    masks_ = [afcc.random_afcc(counts, 100, seed) for seed in range(20)]
    assert torch.equal(masks_[0], afcc.random_afcc(counts, 100, 0))
    assert all(mask.sum(1).eq(2).all() for mask in masks_)  # 40 * 5 / 100: exactly two filters a label
    frequency = torch.stack(masks_).float().mean((0, 2))
    assert frequency.min() > 0.04
    together = torch.stack([mask[0] & mask[1] for mask in masks_]).sum()
    assert together < 15  # of 40 uses of either: not the same hands again


@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 9), (6, 5, 3, 3)])
def test_random_and_magnitude_masks_keep_exactly_so_many(shape):
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for kept in (0, 1, 17, weights.numel()):
        random, largest = afcc.random_mask(shape, kept, 3), afcc.magnitude_mask(weights, kept)
        assert random.shape == largest.shape == shape
        assert random.sum() == largest.sum() == kept
        in_order = sorted(weights.abs().flatten().tolist(), reverse=True)
        assert sorted(weights[largest].abs().tolist(), reverse=True) == in_order[:kept]
    assert not torch.equal(afcc.random_mask(shape, 17, 3), afcc.random_mask(shape, 17, 4))
    assert afcc.magnitude_mask(torch.ones(3, 4), 5).sum() == 5  # ties too


def test_kernel_norms():
    weights = torch.randn(3, 2, 3, 3)
    for p in (1, 2):
        norms = afcc.kernel_norms(weights, p)
        for f in range(3):
            for g in range(2):
                expected = sum(abs(w) ** p for w in weights[f, g].flatten().tolist()) ** (1 / p)
                assert norms[f, g].item() == pytest.approx(expected, rel=1e-5)


def test_fresh_weights_are_uniform_within_the_bound_of_kept_inputs():
    mask = afcc.random_mask((3, 4000), 3000, 1)
    mask[2] = False
    weights = afcc.fresh_weights(mask, 4, seed=1)
    assert weights.shape == (3, 4000, 4)
    assert not weights[~mask].any()
    for row, kept in zip(weights[:2], mask[:2], strict=True):
        bound = 1 / math.sqrt(kept.sum().item() * 4)
        assert 0.99 * bound < row.abs().max() <= bound
        assert row[kept].std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not torch.equal(weights, afcc.fresh_weights(mask, 4, seed=2))


def test_over_positions_is_how_a_map_is_flattened():
    mask = afcc.random_mask((3, 5), 7, 0)
    whole = mask[:, :, None].expand(3, 5, 4).flatten(1)
    assert torch.equal(afcc.over_positions(mask, 4), whole)


def test_masks_are_expanded_along_the_leading_axes():
    mask = afcc.random_mask((3, 5), 7, 0)
    whole = masks.expand(mask, torch.Size([3, 5, 2, 2]), "layer")
    assert whole.shape == (3, 5, 2, 2)
    assert all(torch.equal(whole[:, :, row, column], mask) for row in range(2) for column in range(2))
    assert torch.equal(masks.expand(mask, torch.Size([3, 5]), "layer"), mask)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5, 3), (3, 6), ()])
def test_masks_of_another_shape_are_refused(shape):
    with pytest.raises(
        afcc.MaskError, match=r"conv4: a mask of shape .* does not fit weights of shape \[3, 5, 2, 2\]"
    ):
        masks.expand(torch.ones(shape, dtype=torch.bool), torch.Size([3, 5, 2, 2]), "conv4")


def test_other_bad_input_is_refused():
    with pytest.raises(afcc.CutThrough, match="conv4: the mask keeps no connection"):
        masks.expand(torch.zeros(3, 5, dtype=torch.bool), torch.Size([3, 5]), "conv4")
    with pytest.raises(TypeError, match="conv4: a mask is bool"):
        masks.expand(torch.ones(3, 5), torch.Size([3, 5]), "conv4")
    with pytest.raises(afcc.MaskError, match="know 8 and 5 labels"):
        afcc.convolution_mask(clusters(3, 8), clusters(3, 5))
    with pytest.raises(afcc.MaskError, match="at least 1; 0 given"):
        afcc.convolution_mask(clusters(3, 8), clusters(3, 8), 0)
    with pytest.raises(afcc.MaskError, match=r"clusters are \[filters, label\]"):
        afcc.head_mask(clusters(3, 8)[0])
    with pytest.raises(TypeError, match="clusters are integers"):
        afcc.head_mask(clusters(3, 8) >= 0)
    with pytest.raises(afcc.MaskError, match="0 to 4 labels; 1 to 5 given"):
        afcc.random_afcc(np.array([1, 5]), 4, 0)
    with pytest.raises(afcc.MaskError, match="21 connections cannot be kept of the 20"):
        afcc.random_mask((4, 5), 21, 0)
    with pytest.raises(afcc.MaskError, match="conv4 has 16 filters, its clusters are of 3"):
        masks.check_clusters(clusters(3, 8), 16, "conv4")
    with pytest.raises(afcc.MaskError, match="conv4: clusters know 8 labels where 10 are expected"):
        masks.check_clusters(clusters(3, 8), 3, "conv4", 10)
