"""Several ranks do what one process does: tried with processes that torchrun starts on this machine's CPU."""

import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from singlefilter import data, distributed, networks, profiles, run, store
from singlefilter.method import fields, heads
from singlefilter.networks import epochs, training
from singlefilter.pipeline import stages
from tests.conftest import TINY, forget_caches

PROFILE = (
    TINY.replace("network: {width: 4}", "network: {width: 4, depth: 8}")
    .replace(
        "training: {epochs: 2, batch: 20, learning_rate: 0.05",
        "training: {epochs: 3, batch: 21, learning_rate: 0.001",
    )
    .replace("heads: {epochs: 2, batch: 20", "heads: {epochs: 2, batch: 21, views: 1")
)


class Double(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.double()


def network(*first: nn.Module) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            *first,
            nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
            nn.Linear(32, 4),
        )


def split(seed: int = 0) -> data.Split:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (44, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return data.Split(images, torch.arange(4).repeat_interleave(11), tuple("abcd"))


def results() -> dict[str, torch.Tensor]:
    """What is trained and measured on made-up images: 44 of them in batches of 14, so that the last has but two."""
    recipe = profiles.Recipe(epochs=4, batch=14, learning_rate=0.05, shift=1, label_smoothing=0.1)
    model = network(Double()).double()  # nothing then hides behind rounding
    curves = training.fit(model, split(), split(1), recipe, seed=3)
    found = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for name, part in curves.groupby("split"):
        found[f"curves/{name}"] = torch.tensor(part[["accuracy", "loss", "learning_rate"]].to_numpy())
    trunk = network()
    points = heads.head_points(networks.cut_points_at(trunk, ["0", "1"], 8), profiles.Heads())
    for views in (0, 2):
        recipe = profiles.Heads(epochs=3, batch=14, shift=1, views=views)
        weights, curves = heads.fit(trunk, points, split(), recipe, seed=3)
        found |= {f"heads/{views}/{name}": tensor for name, tensor in weights.items()}
        found[f"heads/{views}/curves"] = torch.tensor(curves[["accuracy", "loss"]].to_numpy())
    weights = heads.initial_weights(points, 4, 1)
    weights = {point.name: weights[point.name].view(4, point.cut.filters, -1) for point in points}
    measured = fields.measure(trunk, points, weights, split(), batch=10)
    for part in ("class_means", "correct", "dprime"):
        found |= {f"{part}/{name}": tensor for name, tensor in getattr(measured, part).items()}
    return found


def torchrun(count: int, home: Path, *program: str) -> subprocess.CompletedProcess:
    """Run a program by so many ranks to its end, in far less than a lost rank waits."""
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {"SINGLEFILTER_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(places)}
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", *program],
        env=os.environ | environment, cwd=home, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def script(folder: Path, *lines: str) -> str:
    (folder / "script.py").write_text("\n".join(lines))
    return str(folder / "script.py")


@pytest.mark.slow
def test_three_ranks_train_and_measure_as_one_process(tmp_path):
    """Batches of 14 are shared 4, 5, 5; of the last one, the two images leave nothing to the first rank."""
    program = script(
        tmp_path,
        "import torch",
        "from tests.test_distributed import distributed, results",
        "distributed.join()",
        "torch.save(results(), f'{distributed.rank()}.pt')",
        "distributed.leave()",
    )
    ended = torchrun(3, tmp_path, program)
    assert ended.returncode == 0, ended.stderr
    alone, *together = [results(), *(torch.load(tmp_path / f"{rank}.pt") for rank in range(3))]
    for name, expected in alone.items():
        precision = 1e-10 if name.startswith(("model/", "curves/train")) else 1e-5
        for found in together:
            torch.testing.assert_close(found[name], expected, rtol=precision, atol=precision, msg=name)


@pytest.mark.slow
def test_begun_by_one_process_gone_on_with_and_finished_by_two(tmp_path, monkeypatch, capsys):
    """Epoch 1 of 3 by one process, epoch 2 by two, the rest by two again: as if one had done it in one go."""
    profile = tmp_path / "tiny.yaml"
    profile.write_text(PROFILE)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for home, times in ((alone, [0.0] * 99), (shared, [0.0, 1e9])):
        home.mkdir()
        monkeypatch.setenv("SINGLEFILTER_HOME", str(home))
        forget_caches()
        clock = types.SimpleNamespace(monotonic=iter(times).__next__, perf_counter=time.perf_counter)
        monkeypatch.setattr(epochs, "time", clock)
        assert run.main(["run", "--profile", str(profile), "--minutes", "1000"]) == (75 if home is shared else 0)
    assert "training paused after epoch 1 of 3" in capsys.readouterr().out

    program = script(
        tmp_path,
        "import sys, time, types",
        "from singlefilter import distributed, run; from singlefilter.networks import epochs",
        "times = iter([0.0, 1e9])",
        "def monotonic():",
        "    assert distributed.rank() == 0, 'the first rank has the clock'",
        "    return next(times)",
        "epochs.time = types.SimpleNamespace(monotonic=monotonic, perf_counter=time.perf_counter)",
        "sys.exit(run.main(sys.argv[1:]))",
    )
    paused = torchrun(2, shared, program, "run", "--profile", str(profile), "--minutes", "1000")
    assert paused.stdout.count("training paused after epoch 2 of 3") == 1, paused.stderr
    assert paused.stderr.count("exitcode  : 75") == 2, paused.stderr

    ended = torchrun(2, shared, "-m", "singlefilter", "run", "--profile", str(profile))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("training: 2 of 3 epochs\n") == 1
    folders = stages.folders(stages.of(str(profile)))
    assert [ended.stdout.count(f"{name}: {folder}, ") for name, folder in folders.items()] == [1] * 4
    for name, folder in folders.items():
        assert store.is_complete(folder)
        assert store.manifest(folder)["machine"]["ranks"] == 2
        expected = alone / "runs" / folder.name
        assert {path.name for path in folder.iterdir()} == {path.name for path in expected.iterdir()}
        for path in folder.glob("*.safetensors"):
            found, other = load_file(path), load_file(expected / path.name)
            for key, tensor in other.items():
                if not key.startswith("correct"):
                    torch.testing.assert_close(found[key], tensor, rtol=1e-3, atol=1e-3, msg=f"{name} {key}")
        if name in ("train", "heads"):
            found, other = (pd.read_csv(place / "curves.csv") for place in (folder, expected))
            columns = [column for column in other if column not in ("seconds", "accuracy")]
            pd.testing.assert_frame_equal(found[columns], other[columns], rtol=1e-4)


@pytest.mark.slow
def test_a_rank_that_fails_ends_all(tmp_path):
    (tmp_path / "tiny.yaml").write_text(PROFILE)
    program = script(
        tmp_path,
        "import sys",
        "from singlefilter import distributed, run",
        "steps, add = [], distributed.sum_gradients",
        "def failing(optimizer):",
        "    steps.append(optimizer)",
        "    if distributed.rank() == 1 and len(steps) == 3:",
        "        raise OSError('no way on for this one')",
        "    add(optimizer)",
        "distributed.sum_gradients = failing",
        "sys.exit(run.main(sys.argv[1:]))",
    )
    ended = torchrun(2, tmp_path, program, "run", "--profile", str(tmp_path / "tiny.yaml"))
    assert ended.returncode == 1
    assert "singlefilter: rank 1: no way on for this one" in ended.stderr
    assert not list(tmp_path.glob("runs/train-*/manifest.json"))


def pretend(monkeypatch, rank: int, world: int) -> None:
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    monkeypatch.setattr(distributed, "world", lambda: world)


@given(st.integers(0, 50), st.integers(1, 9), st.integers(1, 20))
def test_shares_are_even_and_together_all(images, world, batch):
    with pytest.MonkeyPatch.context() as patch:
        sizes, places = [], []
        for rank in range(world):
            pretend(patch, rank, world)
            own = list(range(images))[distributed.share(images)]
            parts = [list(range(images))[part] for part in distributed.share_in_batches(images, batch)]
            assert sum(parts, []) == own
            assert all(0 < len(part) <= batch for part in parts)
            sizes.append(len(own))
            places += own
    assert places == list(range(images))
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_the_batches_of_all_ranks_are_those_of_one_process(world, monkeypatch):
    recipe = profiles.Recipe(batch=14, shift=2)
    whole = list(training.augmented(split(), recipe, 5)(1))
    shares = []
    for rank in range(world):
        pretend(monkeypatch, rank, world)
        shares.append(list(training.augmented(split(), recipe, 5)(1)))
    assert [len(labels) for _, labels in whole] == [14, 14, 14, 2]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        for kind in (0, 1):
            assert torch.equal(torch.cat([part[kind] for part in parts]), batch[kind])


def test_kept_features_are_shared_too(monkeypatch):
    """Whole batches on every rank would give the same heads, later."""
    points, recipe = [types.SimpleNamespace(fan_in=192)], profiles.Heads(batch=14, views=1)

    def labels() -> list[torch.Tensor]:
        batches = heads._batches(lambda images: [images.flatten(1)], points, split(), recipe, 5)
        return [truth for _, truth in batches(1)]

    whole, shares = labels(), []
    for rank in range(3):
        pretend(monkeypatch, rank, 3)
        shares.append(labels())
    assert all(
        torch.equal(torch.cat(parts), truth) for parts, truth in zip(zip(*shares, strict=True), whole, strict=True)
    )


def test_alone_nothing_is_done():
    loss, model = torch.ones(()), network()
    assert (distributed.world(), distributed.rank()) == (1, 0)
    assert distributed.weighted(loss, 3) is loss
    assert distributed.all_sum(loss) is loss
    assert distributed.from_first(model) is model
    assert distributed.only_first(lambda: 5) == 5
    distributed.join()
    distributed.leave()
    assert distributed.world() == 1
    with distributed.batch_norm_over_ranks(model):
        assert type(model[0][1]) is nn.BatchNorm2d


def test_batch_norm_is_that_of_torch_and_every_module_comes_back(monkeypatch):
    model, plain = network().double().train(), network().double().train()
    images = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    pretend(monkeypatch, 0, 2)
    with pytest.raises(KeyError), distributed.batch_norm_over_ranks(model):
        monkeypatch.undo()  # alone again, where a sum over all is one's own
        assert [type(model[0][1]), type(model[1][1])] == [distributed._BatchNormOverRanks] * 2
        for _ in range(2):
            for one in (model, plain):
                one.zero_grad()
                one(images).square().sum().backward()
        model.eval()
        torch.testing.assert_close(model(images), plain.eval()(images))
        raise KeyError
    assert [type(module) for module in model.modules()] == [type(module) for module in plain.modules()]
    for (name, tensor), other in zip(model.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(tensor, other, msg=name)
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_what_goes_wrong_between_ranks_is_said(monkeypatch):
    def lost(_):
        raise RuntimeError("[pair.cc:1] Connection closed by peer. And more")

    pretend(monkeypatch, 0, 2)
    monkeypatch.setattr(distributed.ranks, "all_reduce", lost)
    with pytest.raises(distributed.RankError, match=r"failed or cannot be reached \(.*closed by peer\)"):
        distributed.all_sum(torch.ones(1))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a test")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(distributed.RankError, match="no GPU is left for local rank 2: --nproc-per-node 2 at most"):
        distributed.join()


@pytest.mark.parametrize("command", [("all",), ("sweep", "quick")])
def test_torchrun_is_for_stages_alone(home, monkeypatch, capsys, command):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a test")
    assert run.main(list(command)) == 2
    assert "torchrun is for `run`" in capsys.readouterr().err
