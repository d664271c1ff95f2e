"""Into the store: drawn or decoded once, gone on with, mapped, and decoded again when a file changes."""

import io
import os
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.written import RNG, config, write_folders, write_image

from singlefilter import data, profiles, store
from singlefilter.data import decoding, folders
from singlefilter.pipeline import stages


@pytest.mark.parametrize("content", [b"not an image", b"", "half"])
def test_unreadable_image_is_named(home, tmp_path, content):
    write_folders(tmp_path / "imagenet")
    path = tmp_path / "imagenet" / "test" / "bee" / "1.png"
    path.write_bytes(path.read_bytes()[:300] if content == "half" else content)
    with pytest.raises(data.DataError, match="test/bee/1.png is not a readable image"):
        data.load(config(), 1, tmp_path)


def test_every_broken_image_is_a_data_error(tmp_path):
    """Whatever byte is wrong, an image is read or its name is in the error."""
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)).save(stream, "png")
    path, sound = tmp_path / "a.png", stream.getvalue()
    named = 0
    for place in range(len(sound)):
        broken = bytearray(sound)
        broken[place] ^= 0x55
        path.write_bytes(broken)
        try:
            folders.read_image(path, 8)
        except data.DataError as error:
            named += 1
            assert str(path) in str(error)
    assert named > 20


@pytest.mark.parametrize(("decoded", "left"), [(1200, 500 + 3), (1502, 3)])  # in the training images, in the others
def test_an_interrupted_decoding_goes_on(home, tmp_path, monkeypatch, decoded, left):
    for label in "abc":
        for split, count in (("train", 500), ("test", 1)):
            for number in range(count):
                pixels = np.full((4, 4, 3), (number // 256, number % 256, ord(label)), np.uint8)
                write_image(tmp_path / "own" / split / label / f"{number:03}.png", pixels)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    read, whole = [], decoding.read_image

    def reading(path: Path, size: int):
        if len(read) == decoded:
            read.clear()
            raise InterruptedError
        read.append(path)
        return whole(path, size)

    monkeypatch.setattr(decoding, "read_image", reading)
    with pytest.raises(InterruptedError):
        data.stage(config(name="own", image_size=8), 1, tmp_path)
    loaded = data.load(config(name="own", image_size=8), 1, tmp_path)
    assert len(read) == left  # the thousand that was begun, and what comes after it
    for place, image in enumerate(loaded["train"].images):
        number = place % 500
        assert (image.float().mean((1, 2)) == torch.tensor([number // 256, number % 256, 97 + place // 500])).all()
    files = {path.name for path in data.stage(config(name="own", image_size=8), 1, tmp_path).iterdir()}
    assert files == {f"{split}_{what}.npy" for split in ("train", "test") for what in ("images", "labels")} | {
        "names.txt", store.MANIFEST
    }  # fmt: skip


def test_images_larger_than_memory_are_mapped(tmp_path):
    """A file of holes, half as large again as the memory of this machine."""
    images = 3 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (2 * 3 * 1000 * 1000)
    for split in profiles.SPLITS:
        with open(tmp_path / f"{split}_images.npy", "wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (images, 3, 1000, 1000)}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + images * 3 * 1000 * 1000)
        np.save(tmp_path / f"{split}_labels.npy", np.zeros(images, np.int64))
    (tmp_path / "names.txt").write_text("one", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train = data.read(tmp_path)["train"]
    assert train.images.shape == (images, 3, 1000, 1000)
    assert not train.images[-1].any()


def test_decoded_once_and_again_when_a_file_changes(home, tmp_path, monkeypatch):
    root = tmp_path / "imagenet"
    write_folders(root)
    first = data.stage(config(), 1, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "_decode", lambda *_: pytest.fail("decoded again"))
        assert data.stage(config(), 1, tmp_path) == first
    time.sleep(0.01)
    changed = np.full((16, 16, 3), 7, np.uint8)
    write_image(root / "train" / "ant" / "0.png", changed)
    second = data.stage(config(), 1, tmp_path)
    assert second != first
    assert (data.load(config(), 1, tmp_path)["train"].images[0] == 7).all()


def test_moved_data_repeat_no_training(home, tmp_path):
    write_folders(tmp_path / "here" / "imagenet", size=32)
    profile = profiles.Profile("p", "", 1, data=config(image_size=32), network=profiles.Network(width=2))
    before = stages.folders(stages.Run(profile, tmp_path / "here"))
    os.rename(tmp_path / "here", tmp_path / "there")
    after = stages.folders(stages.Run(profile, tmp_path / "there"))
    assert set(before) == {"train", "heads", "measure-train", "measure-test"}
    assert before == after
    write_image(tmp_path / "there" / "imagenet" / "train" / "ant" / "0.png", np.zeros((32, 32, 3), np.uint8))
    stages.configs.cache_clear()
    stages._data_folder.cache_clear()
    changed = stages.folders(stages.Run(profile, tmp_path / "there"))
    assert not set(before.values()) & set(changed.values())


def test_glyphs_are_drawn_once(home, monkeypatch):
    glyphs = profiles.Data(labels=4, train_per_label=3, test_per_label=2)
    splits = data.load(glyphs, 1)
    assert [len(splits[split]) for split in ("train", "test")] == [12, 8]
    assert splits["train"].labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    monkeypatch.setattr(decoding, "_draw_glyphs", lambda *_: pytest.fail("drawn again"))
    assert torch.equal(data.load(glyphs, 1)["test"].images, splits["test"].images)


def forget_how(folder) -> None:
    """As what an older version decoded: it noted nothing."""
    folder.with_name(folder.name + decoding._AS_NOW).unlink()


def test_what_was_decoded_before_is_found_unless_its_pixels_are_others_now(home, tmp_path, monkeypatch, caplog):
    root = tmp_path / "imagenet"
    write_folders(root)
    Image.fromarray(np.full((16, 16), 7, np.uint8)).save(root / "train" / "ant" / "0.png")
    before = data.stage(config(), 1, tmp_path)
    forget_how(before)
    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "_decode", lambda *_: pytest.fail("decoded again"))
        assert data.stage(config(), 1, tmp_path) == before
        patch.setattr(decoding, "_any_otherwise", lambda *_: pytest.fail("looked at again"))
        assert data.stage(config(), 1, tmp_path) == before
    assert not caplog.text
    Image.fromarray(np.full((16, 16), 7000, np.uint16)).save(root / "train" / "ant" / "0.png")
    now = data.stage(config(), 1, tmp_path)
    forget_how(now)
    caplog.clear()
    assert data.stage(config(), 1, tmp_path) == now
    assert "decoded before depth, EXIF and transparency of images counted, and some have these" in caplog.text
    assert len(list(now.parent.glob(f"{now.name}.damaged-*"))) == 1
    caplog.clear()
    assert data.stage(config(), 1, tmp_path) == now
    assert not caplog.text
    assert store.is_complete(now)


@pytest.mark.parametrize("fault", ["empty", "a hole", "a text", "of another", "a folder", "no array", "short"])
def test_a_half_decoded_folder_with_a_hole_is_decoded_again(home, tmp_path, monkeypatch, fault):
    written = write_folders(tmp_path / "imagenet")
    calls, decode = [], decoding._decode_chunk

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise InterruptedError
        return decode(*arguments)

    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(decoding.joblib, "cpu_count", lambda: 1)
        patch.setattr(decoding, "_decode_chunk", stopped)
        data.stage(config(), 1, tmp_path)
    (work,) = (home / "runs").glob("data-*.partial")
    note, array = work / "train-decoded" / "0", work / "train_images.npy"
    if fault == "a hole":
        images = np.load(array, mmap_mode="r+")
        images[4] = 0
        images.flush()
    elif fault == "of another":
        store.note(note.with_name("1000"), note.read_text(encoding="utf-8").split("\n")[0])
        note.with_name("1000").rename(note)
        np.load(array, mmap_mode="r+")[0] = 1
    elif fault == "a folder":
        note.unlink()
        note.mkdir()
    elif fault == "no array":
        array.write_bytes(b"x")
    elif fault == "short":
        array.write_bytes(array.read_bytes()[:-1000])
    else:
        note.write_text("" if fault == "empty" else "7\n", encoding="utf-8")
    images = data.load(config(), 1, tmp_path)["train"].images.numpy()
    labels = [(label, n) for label in ("ant", "bee", "cat") for n in range(3)]
    np.testing.assert_array_equal(
        images, np.stack([written["train", label, f"{n}.png"].transpose(2, 0, 1) for label, n in labels])
    )
