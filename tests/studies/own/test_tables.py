"""The own classifier of a ready network, held against loops: fields, answers, what is counted."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.conftest import forget_caches

from singlefilter import data, profiles, store
from singlefilter.data import synsets
from singlefilter.figures import publishing, registry
from singlefilter.method import clusters
from singlefilter.networks import lite
from singlefilter.pipeline import stages
from singlefilter.studies import marking
from singlefilter.studies.own import tables

OUTPUTS = [7, 500, 3, 999]
PROFILE = {
    "name": "ready",
    "purpose": "a ready network",
    "minutes": 1,
    "data": {"name": "glyphs", "labels": 4, "train_per_label": 5, "test_per_label": 4, "seed": 1},
    "network": {"name": "efficientnet_lite0", "weights": "imagenet", "input_size": 64},
    "training": {"epochs": 0},
    "heads": {"epochs": 1, "batch": 10, "flip": False, "shift": 0, "kinds": ["flat"], "cuts": [9]},
    "analysis": {"resamples": 100},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network whose weights are random, so that its maps do not vanish its norms are those of noise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(tmp_path_factory.mktemp("ready")))
        patch.setattr(lite, "_ready_weights", _random)
        patch.setattr(synsets, "outputs_of", lambda names: OUTPUTS)
        forget_caches()
        tables._counts.cache_clear()
        yield stages.Run(profiles.from_mapping(PROFILE, "test"))
    forget_caches()


def _random(network: lite.Lite) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(1e-2)
            module.bias.data.normal_(std=0.5, generator=generator)
    network.classifier.weight.data.normal_(std=0.1, generator=generator)
    network.classifier.bias.data.normal_(std=0.1, generator=generator)
    return network.state_dict()


def read_by_classifier(run: stages.Run, split: str) -> torch.Tensor:
    model = stages.network(run)[0]
    images = data.to_input(stages.splits(run)[split].images)
    scaled = torch.nn.functional.interpolate(images, 64, mode="bilinear", antialias=True)
    with torch.no_grad():
        return model.model.features(scaled * (127.5 / 128) + 0.5 / 128).mean((2, 3))


def test_a_ready_network_keeps_its_classifier_and_is_not_trained(run):
    model, curves = stages.network(run)
    assert model.model.classifier.weight.shape == (1000, 1280) and len(curves) == 0
    assert run.profile.ready and run.profile.lacks("training") and not run.profile.lacks("ready")


def test_it_counts_once_whatever_images_it_is_shown(run):
    other = dataclasses.replace(run, profile=dataclasses.replace(run.profile, part=profiles.Part(3)))
    one, two = stages.configs(run), stages.configs(other)
    assert store.config_key(one["train"]) == store.config_key(two["train"])
    assert store.config_key(one["heads"]) != store.config_key(two["heads"])
    longer = dataclasses.replace(run.profile.training, epochs=1)
    trained = dataclasses.replace(run, profile=dataclasses.replace(run.profile, training=longer))
    assert store.config_key(stages.configs(trained)["train"]) != store.config_key(one["train"])


def test_answers_and_statistics_are_those_of_loops(run):
    table = tables.own_classifier(run).set_index("head")
    classifier = stages.network(run)[0].model.classifier
    weight, bias = classifier.weight.detach(), classifier.bias.detach()
    splits, seen = stages.splits(run), {split: read_by_classifier(run, split) for split in ("train", "test")}
    truth = splits["test"].labels
    logits = seen["test"] @ weight.T + bias
    assert table.loc[tables.OF_ALL, "accuracy"] == pytest.approx(
        np.mean([int(one.argmax()) == OUTPUTS[label] for one, label in zip(logits, truth, strict=True)])
    )
    among = logits[:, OUTPUTS]
    assert table.loc[tables.OF_LABELS, "accuracy"] == pytest.approx(
        np.mean([int(one.argmax()) == label for one, label in zip(among, truth, strict=True)])
    )
    means = torch.stack([seen["train"][splits["train"].labels == label].mean(0) for label in range(4)])
    counted = tables._counts(run)[tables.OF_ALL]
    for f in range(0, 1280, 32):
        matrix = means[:, f, None] * weight[None, :, f]
        ones = matrix / matrix.max() > 0.3 if matrix.max() > 0 else torch.zeros_like(matrix, dtype=torch.bool)
        square = ones[:, OUTPUTS]
        of = clusters.find(square[None])[0]
        inside = sum(int((of == cluster).sum()) ** 2 for cluster in range(4))
        row = counted.loc[f]
        assert (row["noise"], row["others"]) == (int(ones.sum()) - inside, int(ones.sum() - square.sum()))
        assert (row["clusters"], row["covered"]) == (len(set(of.tolist()) - {-1}), int(square.diagonal().sum()))
    row = table.loc[tables.OF_ALL]
    assert row["n"] == pytest.approx(counted["noise"].mean()) and row["others"] == pytest.approx(
        counted["others"].mean()
    )
    off = (counted["ones"] - counted["covered"]).sum()
    assert row["snr"] == pytest.approx((counted["covered"].sum() / 4) / (off / (4 * 999)))
    assert row["others"] > 0 and table.loc[tables.OF_LABELS, "others"] == 0


def test_clip_of_a_square_is_that_of_the_method():
    matrices = torch.randn(50, 6, 6, generator=torch.Generator().manual_seed(0))
    matrices[0] = -1.0
    assert torch.equal(tables.clipped(matrices, 0.3), clusters.clip(matrices, 0.3))


def test_the_ones_of_a_filter(run):
    which = 11
    table = tables.own_fields(run, which)
    means = torch.stack(
        [read_by_classifier(run, "train")[stages.splits(run)["train"].labels == label].mean(0) for label in range(4)]
    )
    matrix = means[:, which, None] * stages.network(run)[0].model.classifier.weight.detach()[None, :, which]
    assert len(table) == int((matrix / matrix.max() > 0.3).sum()) > 0
    names = stages.splits(run)["train"].names
    for row in table.itertuples():
        assert matrix[names.index(row.true_label), row.output] / matrix.max() == pytest.approx(row.relative, rel=1e-4)
        assert row.own == (row.output in OUTPUTS)
        assert row.cluster == -1 or row.own


def test_figures_of_photographs_say_that_they_were_seen_in_training(run, monkeypatch):
    table = tables.own_fields(run)
    assert "caution" not in marking.marked(run, table)
    photographs = dataclasses.replace(run.profile.data, name="imagenet100")
    shown = dataclasses.replace(run.profile, data=photographs)
    marked = marking.marked(type("Run", (), {"profile": shown})(), table)
    assert marking.SEEN in registry.figure("own_fields").words(marked).caption


def test_figures_that_do_not_fit_are_passed_over(run, capsys):
    publishing.show_all(run, ["curves", "own_fields"])
    assert "curves ... passed over: profile ready has no group training" in capsys.readouterr().out
    provenance = (publishing.folder(run) / "provenance.json").read_text(encoding="utf-8")
    assert '"own_classifier"' in provenance
