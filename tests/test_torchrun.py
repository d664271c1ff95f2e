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
from safetensors.torch import load_file
from torch import nn

from singlefilter import networks, profiles, run, store
from singlefilter.method import fields, heads
from singlefilter.networks import epochs, training
from singlefilter.pipeline import stages
from tests.conftest import TINY, forget_caches
from tests.test_distributed import network, split

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


def trained() -> dict[str, torch.Tensor]:
    """A network and its curves."""
    recipe = profiles.Recipe(epochs=4, batch=13, learning_rate=0.05, shift=1, label_smoothing=0.1)
    model = network(Double()).double()  # nothing then hides behind rounding
    curves = training.fit(model, split(), split(1), recipe, seed=3)
    found = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for name, part in curves.groupby("split"):
        found[f"curves/{name}"] = torch.tensor(part[["accuracy", "loss", "learning_rate"]].to_numpy())
    return found


def results() -> dict[str, torch.Tensor]:
    """What is trained and measured on made-up images: 44 of them in batches of 13, so that the last has but five."""
    found = trained()
    trunk = network()
    points = heads.head_points(networks.cut_points_at(trunk, ["0", "1"], 8), profiles.Heads())
    for views in (0, 2):
        recipe = profiles.Heads(epochs=3, batch=13, shift=1, views=views)
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
        env=os.environ | environment, cwd=home, capture_output=True, encoding="utf-8", timeout=300,
    )  # fmt: skip


def script(folder: Path, *lines: str) -> str:
    (folder / "script.py").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "script.py")


@pytest.mark.slow
def test_three_ranks_train_and_measure_as_one_process(tmp_path):
    """Batches of 13 are shared 4, 4, 5, and the last one 1, 2, 2."""
    program = script(
        tmp_path,
        "import torch",
        "from singlefilter import distributed; from tests.test_torchrun import results",
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
@pytest.mark.parametrize("fails", ["nowhere", "on the last rank", "everywhere"])
def test_ranks_train_compiled_networks_or_none_does(tmp_path, fails):
    """As on GPUs, by a compiler that leaves the arithmetic as it is: the same network as one process trains.

    A rank that cannot compile while the others can ends all: one pass ahead of them it would train another network.
    """
    program = script(
        tmp_path,
        "import functools, sys",
        "import torch",
        "from singlefilter import distributed",
        "from singlefilter.networks import training",
        "from tests.test_torchrun import trained",
        "distributed.join()",
        "compiled, called = training.compiled, []",
        "fails = {'nowhere': False, 'everywhere': True}.get(sys.argv[1], distributed.rank() == 1)",
        "def backend(graph, _):",
        "    called.append(1)",
        "    if fails and len(called) > 1:",  # in the midst of the network, after batch norms met
        "        raise OSError('no compiler')",
        "    return graph.forward",
        "torch.compile = functools.partial(torch.compile, backend=backend)",
        "training.compiled = lambda model, _: compiled(model, torch.device('cuda'))",
        "found = trained()",
        "assert called",
        "torch.save(found, f'{distributed.rank()}.pt')",
        "distributed.leave()",
    )
    ended = torchrun(2, tmp_path, program, fails)
    if fails == "on the last rank":
        assert ended.returncode != 0
        assert not list(tmp_path.glob("*.pt"))
        return
    assert ended.returncode == 0, ended.stderr
    said = ended.stderr.count("training without torch.compile")
    assert said == (0 if fails == "nowhere" else 2), ended.stderr
    alone = trained()
    for rank in range(2):
        for name, found in torch.load(tmp_path / f"{rank}.pt").items():
            precision = 1e-5 if name == "curves/test" else 1e-10
            torch.testing.assert_close(found, alone[name], rtol=precision, atol=precision, msg=name)


@pytest.mark.slow
def test_begun_by_one_process_gone_on_with_and_finished_by_two(tmp_path, monkeypatch, capsys):
    """Epoch 1 of 3 by one process, epoch 2 by two, the rest by two again: as if one had done it in one go."""
    profile = tmp_path / "tiny.yaml"
    profile.write_text(PROFILE, encoding="utf-8")
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
    (tmp_path / "tiny.yaml").write_text(PROFILE, encoding="utf-8")
    program = script(
        tmp_path,
        "import sys",
        "from singlefilter import distributed, run",
        "steps, backward = [], distributed.backward",
        "def failing(*arguments):",
        "    steps.append(1)",
        "    if distributed.rank() == 1 and len(steps) == 3:",
        "        raise OSError('no way on for this one')",
        "    backward(*arguments)",
        "distributed.backward = failing",
        "sys.exit(run.main(sys.argv[1:]))",
    )
    ended = torchrun(2, tmp_path, program, "run", "--profile", str(tmp_path / "tiny.yaml"))
    assert ended.returncode == 1
    assert "singlefilter: rank 1: no way on for this one" in ended.stderr
    assert not list(tmp_path.glob("runs/train-*/manifest.json"))
