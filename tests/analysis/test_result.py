"""An analysis against a loop written out, and what one can do with it."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import singlefilter as sf
from singlefilter import profiles
from singlefilter.method import statistics
from tests.analysis.test_kinds import LABELS, QUICK, Compact, Mixer, images, run, small


def naive(model: nn.Module, place: str, weight: torch.Tensor, x: torch.Tensor, y: torch.Tensor, view) -> np.ndarray:
    """Field matrix of every filter of one cut: image by image, filter by filter, output by output."""
    seen = {}
    module = model.get_submodule(place)
    handle = module.register_forward_hook(lambda _, __, output: seen.update(maps=output))
    matrices = np.zeros((weight.shape[1], LABELS, LABELS))
    with torch.no_grad():
        for image, truth in zip(x, y, strict=True):
            model(image[None])
            maps = view(seen["maps"])[0].double().flatten(1)
            for f in range(len(maps)):
                matrices[f, truth] += weight[:, f].double().numpy() @ maps[f].numpy()
    handle.remove()
    return matrices / np.bincount(y)[None, :, None]


def naive_clusters(clipped: np.ndarray) -> list[list[int]]:
    left, found = [label for label in range(len(clipped)) if clipped[label, label]], []
    while left:
        cluster = [left.pop(0)]
        for label in list(left):
            if all(clipped[label, other] and clipped[other, label] for other in cluster):
                cluster.append(label)
                left.remove(label)
        found.append(cluster)
    return found


KINDS = {
    "NCHW": (small, "1", lambda maps: maps),
    "NHWC": (
        lambda: nn.Sequential(nn.Conv2d(3, 5, 8, stride=8), Last(), nn.LayerNorm(5), nn.Flatten()),
        "2",
        lambda maps: maps.permute(0, 3, 1, 2),
    ),
    "NTC": (Mixer, "block", lambda maps: maps.transpose(1, 2)),
    "NC": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 7)), "1", lambda maps: maps[:, :, None]),
}


class Last(nn.Module):
    def forward(self, maps):
        return maps.permute(0, 2, 3, 1)


@pytest.mark.parametrize("layout", KINDS)
def test_it_is_the_loop_written_out(layout):
    make, place, view = KINDS[layout]
    torch.manual_seed(0)
    model, (x, y) = make().eval(), images(per_label=3)
    result = run(model, (x, y), at=[place])
    cut = result[place]
    assert cut.point.layout == layout
    expected = naive(model, place, cut.head.weight, x, y, view)
    np.testing.assert_allclose(cut.matrices, expected, atol=1e-5 * np.abs(expected).max())
    of_filters = [naive_clusters(clipped) for clipped in cut.clipped]
    sizes = [len(cluster) for found in of_filters for cluster in found]
    noise = [
        int(clipped.sum()) - sum(len(cluster) ** 2 for cluster in found)
        for clipped, found in zip(cut.clipped, of_filters, strict=True)
    ]
    row = result.layers.iloc[0]
    assert row["N_c"] == pytest.approx(len(sizes) / len(of_filters))
    assert row["C_s"] == pytest.approx(np.mean(sizes))
    assert row["n"] == pytest.approx(np.mean(noise))
    assert result.filters["noise"].tolist() == noise
    names = [sorted(tuple(str(label) for label in cluster) for cluster in found) for found in of_filters]
    assert [sorted(cut.filter(f).clusters) for f in range(len(names))] == names


def test_accuracy_is_that_of_the_head_on_the_test_images():
    torch.manual_seed(0)
    model, (x, y) = small(), images()
    result = run(model, (x, y), (x[:7], y[:7]), at=["1"])
    with torch.no_grad():
        maps = model[1](model[0](x[:7])).flatten(2)
        logits = torch.einsum("kfp,nfp->nk", result["1"].head.weight, maps)
    right = int((logits.argmax(1) == y[:7]).sum())
    row = result.layers.iloc[0]
    expected = [float(end) for end in statistics.proportion_interval(right, 7)]
    assert row[["accuracy", "accuracy_low", "accuracy_high"]].tolist() == pytest.approx(expected)
    assert row["dprime"] == pytest.approx(float(statistics.dprime(logits, y[:7]).mean()), abs=1e-5)
    assert "test images" in str(result)
    assert "train images" in str(run(model, (x, y), at=["1"]))


def test_the_own_classifier_with_its_bias():
    """Its answers are the network's own; its bias is in no field."""
    torch.manual_seed(0)
    model, (x, y) = small(), images()
    with torch.no_grad():
        model[5].bias += torch.tensor([0.0, 3.0, 0.0, 0.0])
        answers = model(x).argmax(1)
    result = run(model, (x, y), at=["5:input"], heads="own")
    assert result.layers["accuracy"].iloc[0] == pytest.approx(float((answers == y).double().mean()))
    means = torch.from_numpy(result["5:input"].means)[:, :, 0]
    expected = means.T[:, :, None] * model[5].weight.detach().T[:, None, :]
    np.testing.assert_allclose(result["5:input"].matrices, expected.numpy(), atol=1e-6)


def test_given_heads_are_used_as_they_are():
    torch.manual_seed(0)
    model, weight = small(), torch.randn(LABELS, 8, 49)
    result = run(model, at=["1"], heads={"1": weight})
    assert torch.equal(result["1"].head.weight, weight)
    layer = nn.Linear(8 * 49, LABELS, bias=False)
    again = run(model, at=["1"], heads={"1": layer})
    assert torch.equal(again["1"].head.weight.flatten(1), layer.weight.detach())


def test_another_threshold_looks_at_no_image_again():
    torch.manual_seed(0)
    model = small()
    result = run(model, at=["0", "1"])
    model.forward = None  # calling it would fail
    low, high = (result.at_threshold(value) for value in (0.1, 0.9))
    assert low.filters["ones"].sum() > result.filters["ones"].sum() > high.filters["ones"].sum()
    assert low.layers["accuracy"].tolist() == result.layers["accuracy"].tolist()


def test_saved_and_loaded_it_is_the_same(tmp_path):
    torch.manual_seed(0)
    result = run(small(), at=["0", "5:input"], labels=["кот", '"dog"', "a\nb", "<b>"])
    path = result.save(tmp_path / "one.sf")
    again = sf.load(path)
    for table in ("layers", "filters", "clusters"):
        pd.testing.assert_frame_equal(getattr(again, table), getattr(result, table))
    assert again.names == result.names and again.notes == result.notes
    with pytest.raises(sf.HeadError, match="loaded without its network"):
        again.prune("5:input")
    for content in (b"", b"nothing", path.read_bytes()[:200]):
        (tmp_path / "bad.sf").write_bytes(content)
        with pytest.raises(sf.InputError, match="bad.sf is no saved analysis"):
            sf.load(tmp_path / "bad.sf")


def test_figures(tmp_path):
    torch.manual_seed(0)
    result = run(small(), at=["0", "1"], labels=["a", "b", "c_d", "$x$"])
    assert "<th>N<sub>c</sub></th>" in result._repr_html_()
    figure = result.plot(tmp_path / "layers.png")
    assert (tmp_path / "layers.png").stat().st_size > 5000
    lines = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(lines, 100 * result.layers["accuracy"])
    one = result["1"].filter(3)
    shown = one.plot(tmp_path / "filter.svg").axes[1].images[0].get_array()
    np.testing.assert_array_equal(shown.astype(bool), one.clipped)
    both = sf.compare(one=result, other=result.at_threshold(0.5))
    assert both.layers["result"].tolist() == ["one", "one", "other", "other"]
    assert len(both.plot().axes[1].containers) == 2
    with pytest.raises(sf.InputError, match="nothing to compare"):
        sf.compare()


def test_pruned_by_the_clusters_of_two_cuts():
    torch.manual_seed(0)
    model = small()
    pruned = run(model, at=["0", "1"]).prune("1", overlap=1)
    assert set(pruned.masks) == {"1.0"} and 0 < pruned.kept_fraction["1.0"] <= 1
    assert torch.equal(model[1][0].weight, model[1][0].weight) and pruned.model is not model


def test_the_network_and_the_users_random_numbers_are_left_as_they_were():
    torch.manual_seed(0)
    model = Compact().train()
    before = {name: (tensor.clone(), tensor.stride()) for name, tensor in model.state_dict().items()}
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*images()), batch_size=4, shuffle=True)
    torch.manual_seed(7)
    run(model, loader)
    drawn = torch.rand(2)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(2))
    assert all(module.training for module in model.modules())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name][0]) and tensor.stride() == before[name][1]


def test_same_seed_same_result():
    torch.manual_seed(0)
    model = small()
    one, two, other = (run(model, at=["1"], seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one["1"].matrices, two["1"].matrices)
    assert not np.array_equal(one["1"].matrices, other["1"].matrices)


def test_what_could_be_cut():
    table = sf.cuts(small(), images()[0])
    assert table[table["chosen"]]["module"].tolist() == ["0", "1", "2"]
    row = table.set_index("module").loc["1.0"]
    assert (row["layout"], row["filters"], row["size"], row["calls"]) == ("NCHW", 8, (7, 7), 1)


def test_a_forward_of_ones_own():
    torch.manual_seed(0)
    model, (x, y) = small(), images()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=4)
    result = run(model, loader, at=["1"], forward=lambda network, batch: network(batch[0]))
    np.testing.assert_allclose(result["1"].means, run(model, (x, y), at=["1"])["1"].means, atol=1e-5)


def test_recipe_and_checkpoint(tmp_path):
    torch.manual_seed(0)
    recipe = profiles.Heads(epochs=1, batch=4, kinds=("flat",), shift=0, flip=False)
    result = sf.analyze(small(), images(), at=["1"], recipe=recipe, progress=False, checkpoint=tmp_path / "heads.pt")
    assert QUICK.epochs == 2 and result["1"].head.weight.shape == (LABELS, 8, 49)
