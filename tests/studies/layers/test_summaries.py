"""Sizes of clusters and the joined table, against naive counts; words on how a quantity goes."""

import numpy as np
import pandas as pd
import pytest
from tests.figures.made_up import accuracy_table, statistics_table

from singlefilter.method import clusters
from singlefilter.studies.declaration import peak
from singlefilter.studies.layers import summaries, tables


def test_sizes_are_those_of_a_naive_count():
    found = clusters.find(np.random.default_rng(3).random((20, 30, 30)) < 0.55)
    naive = np.zeros((len(found), summaries.LARGEST), int)
    for filter_, row in enumerate(np.asarray(found)):
        for cluster in set(row[row >= 0].tolist()):
            naive[filter_, min((row == cluster).sum(), summaries.LARGEST) - 1] += 1
    of_filters = summaries._by_filter(found)
    np.testing.assert_array_equal(of_filters, naive)
    rows = pd.DataFrame(summaries.shares(of_filters, 100, 0))
    np.testing.assert_allclose(rows["share"], naive.sum(0) / naive.sum())
    assert (rows["share_low"] <= rows["share"]).all() and (rows["share"] <= rows["share_high"]).all()
    nothing = pd.DataFrame(summaries.shares(np.zeros((4, summaries.LARGEST), int), 10, 0))
    assert nothing["share"].isna().all() and (nothing["clusters"] == 0).all()


def test_larger_clusters_are_counted_together():
    found = np.zeros((1, 15), int)  # one cluster of all labels
    assert summaries._by_filter(found).tolist() == [[0] * 9 + [1]]


def test_joined_takes_the_flat_head_and_the_training_images():
    accuracy, measured = accuracy_table(4), statistics_table(4)
    table = summaries.joined(accuracy, measured)
    flat, train = accuracy[accuracy["head"] == "flat"], measured[measured["split"] == "train"]
    np.testing.assert_array_equal(table["accuracy_low"], flat["low"])
    np.testing.assert_array_equal(table["snr"], train["snr"])
    of_test = summaries.joined(accuracy, measured[measured["split"] == "test"])
    assert set(of_test["split"]) == {"test"} and len(of_test) == 4


def test_a_typical_filter_stands_in_the_middle_of_the_order():
    counted = pd.DataFrame({"filter": range(5), "internal": [6, 2, 0, 20, 2], "noise": [1, 9, 0, 4, 3]})
    assert (tables.worth_seeing(counted), tables.typical(counted)) == (3, 4)
    assert tables.typical(counted[:1]) == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2, 3, 2], "rises up to layer 3"),
        ([5, 6, 4, 3, 2, 1], "falls down to layer 6"),
        ([1, 3, 1, 2, 1], "is highest at layer 2"),
        ([4], "is 4 at layer 1"),
        ([np.nan, 1, 2, 3], "rises up to layer 4"),
        ([np.nan], "has no value"),
    ],
)
def test_how_a_quantity_goes_is_said_as_claims_have_it(values, words):
    table = pd.DataFrame({"layer": range(1, len(values) + 1), "snr": values})
    assert peak(table.sample(frac=1, random_state=1), "snr") == words
