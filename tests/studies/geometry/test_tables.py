"""Geometry: what follows by algebra, against plain loops; and the head in front of the pool that ends a layer."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from singlefilter import networks, profiles
from singlefilter.method import clusters, fields
from singlefilter.networks.capture import reading
from singlefilter.pipeline import stages
from singlefilter.studies.geometry import charts, figures
from singlefilter.studies.geometry import tables as geometry
from singlefilter.studies.layers import tables

LABELS = 7


def factors(positions: int, filters: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(LABELS, filters, positions, generator=generator),
        torch.randn(LABELS, filters, positions, generator=generator),
    )


@pytest.mark.parametrize("positions", [1, 3, LABELS, 20])
def test_singular_values_are_those_of_the_field_matrices(positions):
    means, weights = factors(positions)
    values = geometry.singular_values(means, weights)
    whole = torch.linalg.svdvals(fields.field_matrices(means, weights).double())
    assert values.shape == (5, min(positions, LABELS))
    torch.testing.assert_close(values, whole[:, : values.shape[1]], rtol=1e-5, atol=1e-5)
    assert (whole[:, values.shape[1] :] < 1e-5).all()  # the rank is at most the number of positions


def test_of_one_position_all_pairs_on_the_diagonal_are_linked():
    for seed in range(20):
        matrices = fields.field_matrices(*factors(1, filters=50, seed=seed))
        linked, pairs = geometry.linked_pairs(clusters.clip(matrices, 0.3))
        assert (linked == pairs).all() and pairs.sum() > 0
    linked, pairs = geometry.linked_pairs(clusters.clip(fields.field_matrices(*factors(4, filters=50)), 0.3))
    assert (linked < pairs).any()


def test_linked_pairs_are_those_of_a_plain_loop():
    ones = torch.rand(30, LABELS, LABELS, generator=torch.Generator().manual_seed(1)) < 0.4
    linked, pairs = geometry.linked_pairs(ones)
    for filter_, matrix in enumerate(ones.numpy()):
        every = [(i, j) for i in range(LABELS) for j in range(i) if matrix[i, i] and matrix[j, j]]
        assert pairs[filter_] == len(every)
        assert linked[filter_] == sum(matrix[i, j] or matrix[j, i] for i, j in every)


def test_table(tiny):
    table = geometry.geometry(tiny)
    views = table.groupby("view")["layer"].agg(list)
    kinds = {point.kind for point in stages.points(tiny)}
    assert set(views.index) == {geometry.VIEWS[kind] for kind in kinds | {profiles.UNPOOLED}}
    assert views["before the last pool"] == [13] and views["map as it is"] == list(range(1, 14))
    assert (table["rank"] <= np.minimum(table["positions"], 5)).all()
    one = table[table["positions"] == 1]
    assert (one["linked"].dropna() == 1).all() and (one["rank"].isin([0, 1]) | one["rank"].between(0, 1)).all()
    usual = tables.statistics_by_layer(tiny)
    usual = usual[usual["split"] == "train"].set_index("layer")
    flat = table[table["view"] == "map as it is"].set_index("layer")
    for name in geometry.COUNTED:
        for end in geometry.ENDS:
            np.testing.assert_allclose(flat[name + end], usual[name + end], equal_nan=True)
    singles = flat["single"]
    counts = {layer: (count["clusters"] == 1).mean() for layer, count in tables.counts(tiny).items()}
    np.testing.assert_allclose(singles, pd.Series(counts))


def test_figure(tiny):
    table = geometry.geometry(tiny).assign(profile="tiny", data="glyphs", network="VGG-16", seed=1)
    words = figures.FIGURES[0].words(table)
    assert "Before the last pool: 4 positions" in words.caption
    assert charts.geometry(table).axes


def test_before_the_pool_is_the_map_that_the_pool_is_given():
    model = networks.VGG(16, 2, 5).eval()
    inside, after = networks.cut_points(model, 32, profiles.UNPOOLED), networks.cut_points(model, 32)
    assert [cut.layer for cut in inside] == [cut.layer for cut in after]
    ends = {cut.layer for cut, whole in zip(inside, after, strict=True) if cut.size != whole.size}
    assert ends == {2, 4, 7, 10, 13}
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    with reading(model, [inside[-1].module, after[-1].module]) as read, torch.no_grad():
        model(images)
        maps = {name: tensor.clone() for name, tensor in read.maps.items()}
    pooled = functional.max_pool2d(maps[inside[-1].module], 2)
    torch.testing.assert_close(pooled, maps[after[-1].module])


def test_networks_without_such_a_layer_are_left_out(tiny):
    assert geometry.unpooled(tiny).profile.heads.cuts == (13,)
    early = dataclasses.replace(tiny.profile, heads=dataclasses.replace(tiny.profile.heads, cuts=(2, 4)))
    assert geometry.unpooled(dataclasses.replace(tiny, profile=early)) is None
    other = dataclasses.replace(tiny.profile, network=profiles.Network(name="efficientnet_b0"))
    assert geometry.unpooled(dataclasses.replace(tiny, profile=dataclasses.replace(other, afcc=None))) is None
    with pytest.raises(profiles.ProfileError, match="no layers that end in a pool"):
        heads = dataclasses.replace(other.heads, kinds=("flat", profiles.UNPOOLED))
        stages.Run(dataclasses.replace(other, heads=heads))
