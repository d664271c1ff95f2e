"""The committed page of real photographs: what its bytes come to is what its numbers say."""

from pathlib import Path

import numpy as np
import pytest
from tests.explorer.test_page import header_of, levels_of

from singlefilter.method import clusters, statistics

PAGE = Path(__file__).resolve().parents[2] / "figures" / "laptop" / "explorer.html"


@pytest.fixture(scope="module")
def page() -> bytes:
    return PAGE.read_bytes()


def test_all_filters_of_all_layers_are_there(page):
    header = header_of(page)
    assert len(page) <= 8_000_000
    assert header["title"] == "CIFAR-100, VGG-16, d = 16" and header["banner"] is None
    assert [layer["key"] for layer in header["layers"]] == [str(layer) for layer in range(1, 14)]
    assert all(layer["shown"] is None for layer in header["layers"])
    assert sum(layer["filters"] for layer in header["layers"]) == 1056
    assert {"trained on", "commit"} <= dict(header["about"]).keys()


@pytest.mark.parametrize("place", [0, 6, 12])
def test_statistics_are_those_of_its_matrices(page, place):
    header = header_of(page)
    levels, stated = levels_of(page, place, len(header["names"])), header["layers"][place]["statistics"]
    clipped = (levels >= 100 * header["threshold"]) & (levels < 100)
    counts = statistics.count_filters(clipped, clusters.find(clipped))
    found = statistics.layer_statistics(counts, len(header["names"]))
    for name in ("N_c", "C_s", "n", "snr"):
        assert stated[name][0] == pytest.approx(found[name], rel=1e-12), name
    assert np.isfinite([value for of in stated.values() for value in of]).all()
