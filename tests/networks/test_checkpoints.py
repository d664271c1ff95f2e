"""What training goes on from: its own checkpoint as it was written, the one before it, or the start."""

import dataclasses
import hashlib
import io
import os
import shutil
from pathlib import Path

import pytest
import torch

import singlefilter as sf
from singlefilter import profiles, store
from singlefilter.networks import checkpoints, epochs, training
from tests.networks.small import RECIPE, assert_equal, network, split


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", 0)


def trained(checkpoint: Path, recipe=RECIPE, seed: int = 2, width: int | None = None):
    model = network()
    if width:
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, width), torch.nn.Linear(width, 4))
    curves = training.fit(model, split(), split(seed=1), recipe, seed=seed, checkpoint=checkpoint)
    return model, curves.drop(columns="seconds")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted training, and the checkpoints that it leaves in the work folder of a stage."""
    work = tmp_path_factory.mktemp("whole") / "train-0123456789ab.partial"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", 0)
        return *trained(work / "checkpoint.pt"), work


@pytest.fixture
def checkpoint(whole, tmp_path) -> Path:
    return shutil.copytree(whole[2], tmp_path / whole[2].name) / "checkpoint.pt"


def begun(monkeypatch) -> list[int]:
    """The epochs, counted from 0, that are trained from here on."""
    done = []
    mix = epochs.data.mix
    monkeypatch.setattr(epochs.data, "mix", lambda seed, epoch, rank: done.append(epoch) or mix(seed, epoch, rank))
    return done


def other(path: Path, tmp_path: Path, **how) -> None:
    made = tmp_path / path.parent.name / "other.pt"
    trained(made, **how)
    made.rename(path)


def saved(path: Path, content: object) -> None:
    path.write_bytes(b"")
    torch.save(content, path)


def forged(path: Path, **changes) -> None:
    """A checkpoint whose checksum is right, with something else in it."""
    content = checkpoints._verified(io.BytesIO(path.read_bytes()))
    content.update(changes)
    body = io.BytesIO()
    torch.save(content, body)
    header = checkpoints._HEADER.format(hashlib.sha256(body.getvalue()).hexdigest())
    path.write_bytes(header.encode() + body.getvalue())


def in_place_of(path: Path, make) -> None:
    path.unlink()
    make(path)


FAULTS = {
    "cut short": lambda path, _: path.write_bytes(path.read_bytes()[:1000]),
    "empty": lambda path, _: path.write_bytes(b""),
    "a text": lambda path, _: path.write_text("a text", encoding="utf-8"),
    "a list": lambda path, _: saved(path, [1, 2]),
    "as it was before identities": lambda path, _: saved(
        path, {"model": {}, "optimizer": {}, "rows": [], "epochs": 2}
    ),
    "a dict without keys": lambda path, _: saved(path, {}),
    "a folder": lambda path, _: in_place_of(path, Path.mkdir),
    "a pipe": lambda path, _: in_place_of(path, os.mkfifo),
    "a link to nothing": lambda path, _: in_place_of(path, lambda it: it.symlink_to("nothing")),
    "of another seed": lambda path, folder: other(path, folder, seed=3),
    "of another rate": lambda path, folder: other(
        path, folder, recipe=dataclasses.replace(RECIPE, learning_rate=0.04)
    ),
    "of a longer recipe": lambda path, folder: other(path, folder, recipe=dataclasses.replace(RECIPE, epochs=5)),
    "of other shapes": lambda path, folder: other(path, folder, width=7),
    "-5 epochs": lambda path, _: forged(path, epochs=-5),
    "99 epochs": lambda path, _: forged(path, epochs=99),
    "half an epoch": lambda path, _: forged(path, epochs=1.5),
    "without rows": lambda path, _: forged(path, rows=[]),
    "with an empty state": lambda path, _: forged(path, state={}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_verify_is_set_aside_with_a_word_and_the_one_before_it_taken(
    whole, checkpoint, tmp_path, monkeypatch, caplog, fault
):
    FAULTS[fault](checkpoint, tmp_path / "elsewhere")
    done = begun(monkeypatch)
    model, curves = trained(checkpoint)
    assert_equal(model, whole[0])
    assert curves.equals(whole[1])
    assert done == [1, 2]  # of 0, 1, 2: the first was in the checkpoint before
    assert f"{checkpoint}: " in caplog.text and "training goes on from the one before it" in caplog.text
    (aside,) = tmp_path.glob("train-0123456789ab.checkpoint.pt.damaged-*")
    assert str(aside) in caplog.text


@pytest.mark.parametrize("place", range(0, 160, 5))
def test_a_flipped_byte_is_noticed_wherever_it_is(whole, checkpoint, caplog, monkeypatch, place):
    content = bytearray(checkpoint.read_bytes())
    content[place * len(content) // 160] ^= 0x10
    checkpoint.write_bytes(content)
    done = begun(monkeypatch)
    assert_equal(trained(checkpoint)[0], whole[0])
    assert done == [1, 2]
    assert "set aside" in caplog.text


def test_without_any_that_verifies_it_starts_over(whole, checkpoint, caplog, monkeypatch):
    for path in (checkpoint, checkpoint.with_name("checkpoint.pt.before")):
        path.write_bytes(bytes(path.stat().st_size))
    done = begun(monkeypatch)
    model, curves = trained(checkpoint)
    assert_equal(model, whole[0])
    assert curves.equals(whole[1])
    assert done == [0, 1, 2]
    assert "training goes on from the start" in caplog.text


def test_as_it_was_written_it_is_taken_without_a_word(whole, checkpoint, caplog, monkeypatch):
    done = begun(monkeypatch)
    assert_equal(trained(checkpoint)[0], whole[0])
    assert done == [2]
    assert not caplog.text


def test_another_number_of_threads_is_said(whole, checkpoint, caplog):
    """Sums are taken in another order then, so that last digits are those of neither."""
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        trained(checkpoint)
    finally:
        torch.set_num_threads(threads)
    assert f"(threads: {threads}) than from here (threads: {threads + 1})" in caplog.text


def test_of_another_stage_it_is_not_taken(whole, checkpoint, tmp_path, caplog, monkeypatch):
    work = checkpoint.parent.rename(tmp_path / "train-ba9876543210.partial")
    done = begun(monkeypatch)
    trained(work / "checkpoint.pt")
    assert done == [0, 1, 2]
    assert "of another stage" in caplog.text


def test_a_file_of_ones_own_is_taken_wherever_it_lies(whole, tmp_path, caplog, monkeypatch):
    trained(tmp_path / "one.pt")
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "one.pt").rename(tmp_path / "elsewhere" / "another name.pt")
    done = begun(monkeypatch)
    assert_equal(trained(moved)[0], whole[0])
    assert done == [2] and not caplog.text


def test_heads_go_on_from_those_of_their_own_network(tmp_path, caplog):
    recipe, one = profiles.Heads(epochs=3, batch=10), tmp_path / "heads.pt"
    images = split().images.float(), split().labels

    for _ in range(2):
        sf.analyze(network(), images, at=["2"], recipe=recipe, progress=False, checkpoint=one)
        assert not caplog.text
    sf.analyze(network(seed=1), images, at=["2"], recipe=recipe, progress=False, checkpoint=one)
    assert f"{one}: of another network; set aside" in caplog.text


def test_no_code_comes_out_of_a_checkpoint(checkpoint, tmp_path):
    class Planted:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    forged(checkpoint, rows=[Planted()])
    trained(checkpoint)
    assert not (tmp_path / "executed").exists()


def test_removed_with_the_one_before_it(checkpoint):
    checkpoints.remove(checkpoint)
    checkpoints.remove(checkpoint)
    assert list(checkpoint.parent.iterdir()) == []


def test_fingerprints_tell_weights_apart():
    state = network().state_dict()
    assert checkpoints.fingerprint(state) == checkpoints.fingerprint(network().state_dict())
    assert checkpoints.fingerprint(state) != checkpoints.fingerprint(network(seed=1).state_dict())
    state["1.num_batches_tracked"] += 1
    assert checkpoints.fingerprint(state) != checkpoints.fingerprint(network().state_dict())
    assert store.stage_of(Path("runs/train-1.partial/checkpoint.pt")) == "train-1"
    assert store.stage_of(Path("runs/train-1/checkpoint.pt")) == ""
