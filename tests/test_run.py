"""The command line, called in process: what it does, what it says, and with which status it ends."""

import os
import signal
import time
import types

import pytest

from singlefilter import commands, figures, notebooks, profiles, run, site, store
from singlefilter.figures import registry
from singlefilter.networks import epochs, training
from singlefilter.pipeline import stages, sweeps
from singlefilter.studies.layers import tables
from tests.notebooks.made_up import write


@pytest.fixture
def command(capsys):
    """Run a command; its exit status, what it wrote and what it complained about."""

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            status = run.main(list(arguments))
        except SystemExit as end:  # argparse
            status = end.code
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


def test_help_and_version(command):
    status, out, _ = command("--help")
    assert status == 0
    for name in ("all", "run", "figures", "check"):
        assert name in out
    for name in ("all", "run", "figures"):
        status, out, _ = command(name, "--help")
        assert status == 0
        assert "--profile" in out
    assert command("--version")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("ran",), "invalid choice: 'ran'"),
        (
            ("run", "--profile", "quik"),
            "paper-imagenet, quick, or give a .yaml file; did you mean quick",
        ),
        (("run", "--profile", "away.yaml"), "away.yaml: cannot be read (No such file or directory)"),
        (("run", "--stages", "data,mesure"), "no stage named mesure; there are data, train, heads, measure"),
        (("run", "--minutes", "0"), "0: minutes are a number above 0"),
        (("run", "--minutes", "soon"), "soon: minutes are a number above 0"),
        (("run", "--data-dir", "no/such/folder"), "no/such/folder is no folder"),
        (("all", "--only", "99"), "--only 99: no such notebook; there are none"),
        (("all",), "no notebooks to run; there are none"),
        (("figures",), "is not there yet: run the profile first"),
    ],
)
def test_wrong_use_is_status_2_and_a_message(home, command, arguments, message):
    status, _, err = command(*arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert not (home / "runs").exists()


@pytest.fixture
def without_work(monkeypatch):
    """Names of the notebooks that `all` would have run, without anything else that it does."""
    executed = []
    monkeypatch.setattr(notebooks.running, "_execute", lambda path, *_: executed.append(path.stem))
    monkeypatch.setattr(commands, "_complete", lambda *_: None)
    monkeypatch.setattr(site, "build", lambda names: "index.html")  # tests/site has its tests
    return executed


def test_a_notebook_by_its_number(home, command, monkeypatch, without_work):
    for name in ("01_data", "04_one_filter", "notes"):
        write(home, name)
    pages = []
    monkeypatch.setattr(commands, "_name_explorer", pages.append)
    assert command("all", "--jobs", "1")[0] == command("all", "--only", "4")[0] == 0
    assert without_work == ["01_data", "04_one_filter", "04_one_filter"]
    assert len(pages) == 1, "a single notebook may need less than the page does"
    status, _, err = command("all", "--only", "99")
    assert status == 2
    assert "--only 99: no such notebook; there are 01, 04" in err
    status, _, err = command("all", "--jobs", "0")
    assert (status, "--jobs: at least 1 is needed, 0 given" in err) == (2, True)


def test_notebooks_about_a_group_that_the_profile_lacks(home, command, monkeypatch, without_work):
    for name, about in (("01_data", {}), ("07_width", {"group": "by_width"}), ("10_claims", {})):
        write(home, name, **about)
    monkeypatch.setattr(commands, "_name_explorer", lambda _: None)
    own = home / "own.yaml"
    own.write_text(
        "purpose: a test\nminutes: 1\ndata: {name: glyphs, labels: 5, train_per_label: 2, test_per_label: 2}\n",
        encoding="utf-8",
    )
    status, out, _ = command("all", "--profile", str(own), "--jobs", "1")
    assert (status, without_work) == (0, ["01_data", "10_claims"])
    assert "07_width ... passed over: profile own has no group by_width" in out
    status, _, err = command("all", "--profile", str(own), "--only", "07")
    assert (status, len(without_work)) == (2, 2)
    assert "profile own has no group by_width; copy it from one of glyphs-1000, laptop, paper, quick" in err


def test_a_network_that_fails_keeps_no_notebook_from_running_unless_it_is_the_profiles_own(
    tiny, tiny_home, command, monkeypatch, without_work, tmp_path
):
    def fails(*_):
        raise sweeps.Failed("1 of 3 items failed, the others are done:\nother: Diverged: far away")

    monkeypatch.setattr(commands, "_complete", fails)
    monkeypatch.setattr(commands, "_name_explorer", lambda _: None)
    monkeypatch.setattr(notebooks, "numbered", lambda: [write(tmp_path, "01_data")])
    status, out, err = command("all", "--profile", str(tiny_home / "tiny.yaml"))
    assert (status, without_work) == (1, ["01_data"])
    assert "the notebooks run nevertheless" in out and "other: Diverged: far away" in err
    monkeypatch.setattr(store, "is_complete", lambda _: False)
    status, out, err = command("all", "--profile", str(tiny_home / "tiny.yaml"))
    assert (status, without_work) == (1, ["01_data"])
    assert "other: Diverged: far away" in err


def test_a_mistake_in_a_profile_of_ones_own(home, tiny_home, command):
    own = home / "own.yaml"
    own.write_text((tiny_home / "tiny.yaml").read_text(encoding="utf-8") + "sed: 2\n", encoding="utf-8")
    status, _, err = command("run", "--profile", str(own))
    assert (status, err) == (2, f"singlefilter: {own}: unknown key sed, did you mean seed?\n")
    own.write_text(
        (tiny_home / "tiny.yaml").read_text(encoding="utf-8").replace("heads: {", "heads: {cuts: [14], "),
        encoding="utf-8",
    )
    status, _, err = command("run", "--profile", str(own))
    assert (status, err) == (
        2,
        "singlefilter: profile own: heads.cuts: the network has no layer [14]; it has 1 to 13\n",
    )
    assert not (home / "runs").exists()


def test_missing_data_is_status_1_and_says_what_to_do(home, command):
    own = home / "own.yaml"
    own.write_text("purpose: a test\nminutes: 1\ndata: {name: imagenet}\n", encoding="utf-8")
    (home / "sets").mkdir()
    status, _, err = command("run", "--profile", str(own), "--data-dir", str(home / "sets"))
    assert status == 1
    assert f"ImageNet is not in {home / 'sets' / 'imagenet'}" in err
    assert "lay it out as" in err


def test_a_store_that_cannot_be_written_is_a_message(home, tiny_home, command):
    (home / "runs").write_text("a file where the store should be", encoding="utf-8")
    status, _, err = command("run", "--profile", str(tiny_home / "tiny.yaml"))
    assert status == 1
    assert err.startswith("singlefilter: ")
    assert str(home / "runs") in err
    assert (home / "runs").read_text(encoding="utf-8") == "a file where the store should be"


def test_control_c_is_a_message(home, tiny_home, command, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "complete", interrupt)
    status, _, err = command("run", "--profile", str(tiny_home / "tiny.yaml"))
    assert status == 130
    assert "interrupted; the same command goes on, at most 20 seconds and an epoch back" in err


def test_sigterm_ends_like_control_c_and_the_time_it_took_is_kept(home, tiny_home, command, monkeypatch):
    ignored = []
    monkeypatch.setattr(training, "fit", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(1))
    before = signal.signal(signal.SIGTERM, lambda *_: ignored.append(1))
    try:
        status, _, err = command("run", "--profile", str(tiny_home / "tiny.yaml"))
        assert (status, ignored) == (143, [])
        assert "ended by SIGTERM; the same command goes on, at most 20 seconds and an epoch back" in err
        assert len(list((home / "runs").glob("train-*.seconds"))) == 1
        os.kill(os.getpid(), signal.SIGTERM)
        assert ignored == [1], "afterwards it is as it was"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_run_reuses_and_names_everything(tiny, tiny_home, command, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *_, **__: pytest.fail("trained again"))
    status, out, _ = command("run", "--profile", str(tiny_home / "tiny.yaml"))
    assert status == 0
    for name, folder in stages.folders(tiny).items():
        assert f"{name}: {folder}, " in out
        line = next(line for line in out.splitlines() if line.startswith(f"{name}: "))
        assert line.endswith(" s an epoch") == (name in ("train", "heads"))


def test_paused_by_minutes_and_resumed_to_the_same_network(tiny, tiny_home, home, command, monkeypatch):
    """`home` is empty here; the finished run beside it shows what has to come out."""
    monkeypatch.setenv("SINGLEFILTER_HOME", str(tiny_home))
    name = stages.folders(tiny)["train"].name
    monkeypatch.setenv("SINGLEFILTER_HOME", str(home))
    profile = str(tiny_home / "tiny.yaml")
    times = iter([0.0, 1e9])  # the deadline has passed when the second epoch wants to begin
    clock = types.SimpleNamespace(monotonic=lambda: next(times), perf_counter=time.perf_counter)
    stages.configs.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(epochs, "time", clock)
        status, out, _ = command("run", "--profile", profile, "--minutes", "1000")
    assert status == 75
    assert "training paused after epoch 1 of 2; the same command goes on from here" in out
    assert (home / "runs" / f"{name}.partial" / "checkpoint.pt").exists()
    status, _, _ = command("run", "--profile", profile, "--stages", "train")
    assert status == 0
    assert sorted(os.listdir(home / "runs" / name)) == ["curves.csv", "manifest.json", "network.safetensors"]
    one, other = (root / "runs" / name / "network.safetensors" for root in (home, tiny_home))
    assert store.file_checksum(one) == store.file_checksum(other)


def test_minutes_that_are_over_at_once(home, tiny_home, command):
    status, out, _ = command("run", "--profile", str(tiny_home / "tiny.yaml"), "--minutes", "1e-9")
    assert status == 75
    assert "training paused after epoch 0 of 2" in out


def test_fresh_forgets_first(tiny_home, home, command):
    own = home / "own.yaml"
    text = (tiny_home / "tiny.yaml").read_text(encoding="utf-8")
    own.write_text(
        text.replace("epochs: 2", "epochs: 1").replace("heads: {", "heads: {cuts: [13], kinds: [flat], ", 1),
        encoding="utf-8",
    )
    assert command("run", "--profile", str(own), "--stages", "train")[0] == 0
    assert "forgotten" not in command("run", "--profile", str(own), "--stages", "train")[1]
    status, out, _ = command("run", "--profile", str(own), "--stages", "train", "--fresh")
    assert status == 0
    assert "forgotten: train\n" in out
    assert "train: " in out.replace("forgotten: train", "")


def test_figures_are_drawn_again_from_their_tables_alone(tiny, tiny_home, command, monkeypatch):
    figures.show(tiny, "curves", tables.curves(tiny))
    folder = figures.folder(tiny)
    before = (folder / "curves.svg").read_bytes()
    (folder / "curves.svg").unlink()
    monkeypatch.setattr(stages, "splits", lambda *_: pytest.fail("data were touched"))
    status, out, _ = command("figures", "--profile", str(tiny_home / "tiny.yaml"))
    assert status == 0
    assert str(folder / "curves.svg") in out.splitlines()
    assert (folder / "curves.svg").read_bytes() == before


def test_figures_of_a_folder_without_tables(home, tiny_home, command):
    commands.figures_folder("tiny").mkdir(parents=True)
    status, _, err = command("figures", "--profile", str(tiny_home / "tiny.yaml"))
    assert status == 1
    assert "No tables" in err


def test_every_shipped_profile_fits_its_network():
    for name in profiles.available():
        run = stages.of(name)
        network = run.profile.network
        cuts = {"vgg": 13, "efficientnet_b0": 9, "efficientnet_lite0": 9, "cct": network.depth}[network.name]
        assert len(stages.points(run)) == cuts * len(run.profile.heads.kinds)
    assert set(registry.FIGURES) >= {"accuracy_by_layer", "statistics_by_layer", "claims"}


def test_what_needs_no_network_runs_before_networks_are_trained(home, command, monkeypatch, without_work):
    for name, about in (("00_by_hand", {"runs": "first"}), ("02_train", {}), ("10_claims", {"runs": "last"})):
        write(home, name, **about)
    monkeypatch.setattr(commands, "_complete", lambda *_: without_work.append("networks"))
    monkeypatch.setattr(commands, "_name_explorer", lambda _: None)
    assert command("all", "--jobs", "1")[0] == 0
    assert without_work == ["00_by_hand", "networks", "02_train", "10_claims"]
