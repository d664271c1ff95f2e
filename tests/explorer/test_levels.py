"""Bytes of field matrices: at every threshold of two decimals their clip is the library's, on the borders too."""

import zlib

import numpy as np
import pytest
import torch

from singlefilter.explorer import levels
from singlefilter.method import clusters

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def on_borders(dtype: torch.dtype, largest: float) -> torch.Tensor:
    """One filter, `[1, 21, 21]`: every hundredth of the largest, and its neighbours in this dtype on either side."""
    exact = (torch.arange(101, dtype=torch.float64) / 100 * largest).to(dtype)
    up, down = (torch.nextafter(exact, torch.tensor(to, dtype=dtype)) for to in (float("inf"), -float("inf")))
    values = torch.cat([exact, up, down, torch.linspace(-2, 1, 138).to(dtype) * largest])
    return values.clamp(max=largest).view(1, 21, 21)


def cases(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    some = torch.randn(4, 21, 21, generator=rng).to(dtype)
    odd = some.clone()
    odd[0], odd[1] = -1, 0
    odd[2, 3, 4], odd[3, 0, 0] = float("nan"), float("inf")
    low = some.clone()
    low[0, 1, 1] = -float("inf")
    borders = {f"borders of {largest}": on_borders(dtype, largest) for largest in (1.0, 3.0, 0.7, 1e-3)}
    return borders | {"some": some, "nothing to clip": odd, "minus infinity": low}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_clip_is_the_librarys_at_all_99_thresholds(dtype):
    for name, matrices in cases(dtype).items():
        found = torch.from_numpy(levels.levels(matrices))
        for hundredths in range(1, 100):
            ones = (found >= hundredths) & (found < 100)
            assert torch.equal(ones, clusters.clip(matrices, hundredths / 100)), (name, hundredths)


def test_whole_numbers_on_borders():
    matrices = np.arange(900).reshape(1, 30, 30) % 101  # 0 to 100 of a largest of 100
    found = levels.levels(matrices)
    for hundredths in range(1, 100):
        assert np.array_equal((found >= hundredths) & (found < 100), clusters.clip(matrices, hundredths / 100))


def test_the_formula_away_from_borders():
    relative = torch.tensor([0.004, 0.011, 0.3049, 0.995, 1.0, -0.05, -0.31, -1.95, -7.0]).view(1, 3, 3)
    assert levels.levels(relative).ravel().tolist() == [0, 1, 30, 99, 99, 100, 103, 119, 119]


def test_filters_do_not_depend_on_the_others_beside_them(monkeypatch):
    matrices = cases(torch.float32)["some"]
    whole = levels.levels(matrices)
    monkeypatch.setattr(levels, "PART", 1)
    assert np.array_equal(levels.levels(matrices), whole)


def test_no_matrices_are_refused_as_by_clip():
    with pytest.raises(ValueError, match=r"\[filters, true_label, out_label\]"):
        levels.levels(torch.zeros(2, 3, 4))
    assert levels.levels(torch.zeros(0, 3, 3)).shape == (0, 3, 3)


def test_packed_is_out_label_first():
    found = levels.levels(cases(torch.float32)["some"])
    unpacked = np.frombuffer(zlib.decompress(levels.packed(found)), np.uint8).reshape(found.shape)
    assert np.array_equal(unpacked.transpose(0, 2, 1), found)


@pytest.mark.parametrize(("count", "most"), [(1, 1), (7, 7), (7, 9), (128, 5), (10, 3), (10_000, 999)])
def test_a_part_is_evenly_spread(count, most):
    part = np.array(levels.spread(count, most))
    assert len(part) == min(count, most) and part[0] == 0 and part[-1] < count
    steps = np.diff([*part, count])
    assert steps.min() >= 1 and steps.max() - steps.min() <= 1


@pytest.mark.parametrize("filters", [(5,), (16, 32, 128, 128), (10_000, 3), (1, 1)])
@pytest.mark.parametrize("most", [1, 100, 4_000, 1e9])
def test_a_fair_share_is_the_largest_that_fits(filters, most):
    share = levels.fair_share(filters, 4, most)

    def elements(of_layer: int) -> int:
        return 4 * sum(min(of_layer, count) for count in filters)

    assert share == 1 or elements(share) <= most
    assert share >= max(filters) or elements(share + 1) > most
