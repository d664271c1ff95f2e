"""Nodes and attention heads of the tiny transformer beside the filters of the tiny VGG."""

import dataclasses
import shutil

import numpy as np
import pytest
from tests.conftest import forget_caches

from singlefilter import profiles, store
from singlefilter.figures import registry
from singlefilter.method import clusters, fields, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.layers import charts
from singlefilter.studies.layers import tables as layers
from singlefilter.studies.marking import marked
from singlefilter.studies.transformer import tables


@pytest.fixture(scope="module")
def own_home(tiny_home, tmp_path_factory):
    """A copy of the tiny run, to which its transformer is added."""
    return shutil.copytree(tiny_home, tmp_path_factory.mktemp("transformer") / "home")


@pytest.fixture
def tiny(own_home, monkeypatch) -> stages.Run:
    monkeypatch.setenv("SINGLEFILTER_HOME", str(own_home))
    monkeypatch.delenv("SINGLEFILTER_DATA", raising=False)
    forget_caches()
    yield stages.Run(profiles.load(own_home / "tiny.yaml"))
    forget_caches()


def test_rows_are_those_of_the_matrices(tiny):
    table, other = tables.by_block(tiny), tables.transformer(tiny)
    assert table.groupby("unit", sort=False).size().to_dict() == {"filters": 13, "nodes": 3, "attention heads": 3}
    assert table.groupby("unit")["filters"].max().to_dict() == {"filters": 32, "nodes": 8, "attention heads": 2}
    assert table.groupby("unit")["depth"].max().to_dict() == dict.fromkeys(table["unit"], 1.0)
    means, weights = stages.measurement(other).class_means, stages.heads(other)[0]
    for unit, kind in (("nodes", "flat"), ("attention heads", "attention")):
        for block in (1, 2, 3):
            row = table[(table["unit"] == unit) & (table["layer"] == block)].iloc[0]
            name = f"layer{block}_{kind}"
            clipped = clusters.clip(fields.field_matrices(means[name], weights[name]), 0.3)
            counted = statistics.count_filters(clipped, clusters.find(clipped))
            assert row["filters"] == len(counted)
            assert row["n"] == pytest.approx(counted["noise"].mean())
            assert row["N_c"] == pytest.approx(counted["clusters"].mean())
            right = stages.measurement(other, "test").correct[name].double().mean()
            assert row["accuracy"] == pytest.approx(float(right)) and row["images"] == 50
    filters = table[table["unit"] == "filters"].set_index("layer")
    of_layers = layers.statistics_by_layer(tiny).query("split == 'train'").set_index("layer")
    for name in tables.QUANTITIES:
        np.testing.assert_array_equal(filters[name], of_layers[name])
    assert set(table["network"]) == {"VGG-16, d = 4", "CCT, 3 blocks, d = 8"}


def test_claims_of_filters_are_those_of_the_profile(tiny):
    trends = tables.trends(tiny).set_index("unit")
    assert trends.groupby("unit")["claim"].agg(tuple).to_dict() == dict.fromkeys(trends.index, ("C1", "C2", "C3"))
    expected = layers.layer_claims(tiny).set_index("claim")
    found = trends.loc["filters"].set_index("claim")
    assert found["value"].tolist() == expected["value"].tolist()
    assert found["verdict"].tolist() == expected["verdict"].tolist()
    blocks = tables.by_block(tiny).query("unit == 'nodes'").sort_values("layer")["n"].to_numpy()
    signs = [np.sign(blocks[b] - blocks[a]) for a in range(3) for b in range(a + 1, 3)]
    assert trends.loc["nodes"].set_index("claim").loc["C3", "value"] == pytest.approx(np.mean(signs))


def test_one_network_is_trained_for_both_and_found_again(tiny):
    other = tables.transformer(tiny)
    stages.complete(other)
    assert {point.kind for point in stages.points(other)} == {"flat", "attention"}
    assert all(store.is_complete(folder) for folder in stages.folders(other).values())
    assert other in registry.networks(tiny)
    assert tables.provenance(tiny)["transformer"]["stages_done"] == 4
    without = dataclasses.replace(tiny, profile=dataclasses.replace(tiny.profile, transformer=None))
    assert tables.networks(without) == [] and tables.provenance(without) == {}
    with pytest.raises(profiles.ProfileError, match="has no group transformer; copy it from one of .*quick"):
        tables.by_block(without)


def test_a_profile_whose_own_network_it_is_trains_it_once(tiny):
    config = tiny.profile.transformer
    own = {"network": config.network, "training": config.training, "heads": config.heads}
    run = dataclasses.replace(tiny, profile=dataclasses.replace(tiny.profile, **own))
    assert stages.folders(run) == stages.folders(tables.transformer(run))
    assert list(tables.units(run)) == ["nodes", "attention heads"]


def test_it_goes_through_the_tables_of_layers(tiny):
    run = tables.transformer(tiny)
    accuracy = layers.accuracy_by_layer(run)
    assert accuracy.groupby("head").size().to_dict() == {"attention": 3, "flat": 3}
    drawn = charts.accuracy_by_layer(marked(run, accuracy)).axes[0].get_legend().get_texts()
    assert len(drawn) == 3  # two kinds of heads, and chance
    assert layers.statistics_by_layer(run)["filters"].unique().tolist() == [8]
    assert layers.one_filter(run)["layer"].unique().tolist() == [1, 2, 3]
    assert layers.layer_claims(run)["claim"].tolist() == ["C1", "C2", "C3"]


def test_the_group_changes_no_key_of_the_profile(tiny):
    without = dataclasses.replace(tiny, profile=dataclasses.replace(tiny.profile, transformer=None))
    assert stages.configs(without) == stages.configs(tiny)
    kept = store.plain(tiny.profile.network)
    assert not {"attention_heads", "halvings"} & set(kept)
