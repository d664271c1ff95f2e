"""Data: augmentation against a loop over images, epochs that miss no image, image folders with every mistake,
downloads through torchvision's own code, and the real CIFAR-100 where it is there."""

import functools
import gzip
import hashlib
import http.server
import io
import logging
import os
import pickle
import tarfile
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from singlefilter import data, profiles, store
from singlefilter.data import decoding, downloads, folders
from singlefilter.errors import InputError
from singlefilter.pipeline import stages

RNG = np.random.default_rng(0)


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


def write_folders(root: Path, labels=("cat", "ant", "bee"), train=3, test=2, size=16, ending=".png") -> dict:
    """Random images in folders; the pixels by (split, label, file name)."""
    written = {}
    for split, count in (("train", train), ("test", test)):
        for label in labels:
            for number in range(count):
                pixels = RNG.integers(0, 256, (size, size, 3), np.uint8)
                write_image(root / split / label / f"{number}{ending}", pixels)
                written[split, label, f"{number}{ending}"] = pixels
    return written


def config(**keys) -> profiles.Data:
    return profiles.Data(**({"name": "imagenet", "image_size": 16} | keys))


def naive_augment(image: np.ndarray, down: int, right: int, mirror: bool) -> np.ndarray:
    if mirror:
        image = image[:, :, ::-1]
    _, height, width = image.shape
    shifted = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                shifted[:, y, x] = image[:, y - down, x - right]
    return shifted


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(1, 6), st.integers(1, 7), st.integers(1, 4), st.data())
def test_augment_is_shift_and_mirror_of_each_image(margin, height, width, count, draw):
    images = torch.from_numpy(RNG.integers(1, 256, (count, 3, height, width), np.uint8))
    shifts = st.lists(st.integers(-margin, margin), min_size=count, max_size=count)
    down, right = draw.draw(shifts), draw.draw(shifts)
    mirror = draw.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    fast = data.augment(images, torch.tensor(down), torch.tensor(right), torch.tensor(mirror), margin)
    slow = [naive_augment(*each) for each in zip(images.numpy(), down, right, mirror, strict=True)]
    assert fast.dtype == torch.uint8
    np.testing.assert_array_equal(fast.numpy(), np.stack(slow))


def numbered(count: int, side: int = 4) -> data.Split:
    """A split in which every image has a label, and a first pixel, of its own."""
    images = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(count)
    return data.Split(images, torch.arange(count), tuple(map(str, range(count))))


@pytest.mark.parametrize(("count", "batch"), [(10, 5), (11, 4), (9, 4), (3, 100), (1, 1), (1, 3), (7, 7)])
def test_every_image_once_an_epoch(count, batch):
    found = list(data.batches(numbered(count), batch, seed=1, epoch=0))
    labels = torch.cat([labels for _, labels in found])
    images = torch.cat([images for images, _ in found])
    dropped = 1 if count % batch == 1 and count > 1 else 0  # batch norm cannot train on a single image
    assert len(labels) == count - dropped
    assert len(set(labels.tolist())) == len(labels)
    assert [len(labels) for _, labels in found][:-1] == [batch] * (len(found) - 1)
    torch.testing.assert_close((images[:, 0, 0, 0] + 1) * 127.5, labels.float(), atol=1e-3, rtol=0)


def test_epochs_are_decided_by_seed_and_number_alone():
    split = data.Split(torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8), torch.arange(40), ("",) * 40)

    def epoch(seed: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(torch.seed())  # nothing else that is random may matter
        found = list(data.batches(split, 10, seed=seed, epoch=number, shift=2, flip=True))
        return torch.cat([images for images, _ in found]), torch.cat([labels for _, labels in found])

    images, order = epoch(1, 0)
    again, same_order = epoch(1, 0)
    assert torch.equal(images, again)
    assert torch.equal(order, same_order)
    assert not torch.equal(order, epoch(1, 1)[1])
    assert not torch.equal(order, epoch(2, 0)[1])


def test_augmentation_of_an_epoch_uses_the_whole_range():
    split = data.Split(torch.full((400, 3, 5, 5), 255, dtype=torch.uint8), torch.arange(400), ("",) * 400)
    images = torch.cat([images for images, _ in data.batches(split, 100, seed=1, epoch=0, shift=2)])
    black_rows = (images[:, 0] == -1).all(2).sum(1)  # a white image shifted by k rows has |k| black ones
    assert set(black_rows.tolist()) == {0, 1, 2}
    assert torch.bincount(black_rows).float().div(400).sub(torch.tensor([0.2, 0.4, 0.4])).abs().max() < 0.1


def test_flip_mirrors_about_half():
    split = data.Split(torch.zeros(400, 3, 2, 2, dtype=torch.uint8), torch.arange(400), ("",) * 400)
    split.images[:, :, :, 0] = 255
    for flip, low, high in ((True, 0.4, 0.6), (False, 0, 0)):
        images = torch.cat([images for images, _ in data.batches(split, 100, seed=1, epoch=0, flip=flip)])
        assert low <= (images[:, 0, 0, 0] == -1).float().mean() <= high


def test_batch_of_nothing():
    with pytest.raises(ValueError, match="at least one image, 0 given"):
        next(data.batches(numbered(3), 0, seed=1, epoch=0))


def test_pixels_become_minus_one_to_one():
    pixels = torch.tensor([0, 51, 127, 255], dtype=torch.uint8)
    expected = torch.tensor([2 * x / 255 - 1 for x in (0, 51, 127, 255)])
    assert data.to_input(pixels).dtype == torch.float32
    torch.testing.assert_close(data.to_input(pixels), expected, atol=1e-6, rtol=0)
    assert pixels.tolist() == [0, 51, 127, 255]


def test_mix_is_the_same_on_every_machine():
    assert data.mix(1, 2) == int.from_bytes(hashlib.sha256(b"(1, 2)").digest()[:8], "big") >> 1
    assert len({data.mix(1, 2), data.mix(2, 1), data.mix(12), data.mix(1, 2, 0)}) == 4


def test_a_split_that_is_none():
    images, names = torch.zeros(3, 3, 4, 4, dtype=torch.uint8), ("a", "b", "c")
    with pytest.raises(InputError, match=r"uint8 images .* torch.float32 \[2, 3, 4, 4\]"):
        data.Split(torch.zeros(2, 3, 4, 4), torch.zeros(2), ("a",))
    for labels, message in (
        ([0, 1], "a label for each of its 3 images"),
        ([[0, 1, 2]], "a label for each of its 3 images"),
        ([1, 2, 3], "labels count from 0, these from 1 to 3; give labels - 1"),
        ([-1, 0, 1], "1 of these are below, such as -1"),
        ([0, 1, 3], "names for labels 0 to 2, and a label 3"),
        ([0.0, 1.0, 2.0], "whole numbers"),
        ([True, False, True], "whole numbers"),
    ):
        with pytest.raises(InputError, match=message):
            data.Split(images, torch.tensor(labels), names)
    for dtype in (torch.int32, torch.uint8, torch.int8):
        assert data.Split(images, torch.tensor([0, 2, 1], dtype=dtype), names).labels.dtype == torch.int64


@pytest.mark.parametrize("ending", [".png", ".webp", ".PNG"])
def test_image_folders_pixel_by_pixel(home, tmp_path, ending):
    written = write_folders(tmp_path / "imagenet", ending=ending)
    (tmp_path / "imagenet" / "train" / "ant" / "notes.txt").write_text("no image")
    splits = data.load(config(), 1, tmp_path)
    for split, count in (("train", 3), ("test", 2)):
        loaded = splits[split]
        assert loaded.names == ("ant", "bee", "cat")
        assert loaded.labels.tolist() == [label for label in range(3) for _ in range(count)]
        names = [(split, label, f"{number}{ending}") for label in loaded.names for number in range(count)]
        expected = np.stack([written[name].transpose(2, 0, 1) for name in names])
        np.testing.assert_array_equal(loaded.images.numpy(), expected)


def test_jpeg_and_validation_folder(home, tmp_path):
    for split in ("train", "val"):
        for label in "abc":
            write_image(tmp_path / "imagenet" / split / label / "0.jpg", np.full((16, 16, 3), 200, np.uint8))
    splits = data.load(config(), 1, tmp_path)
    assert len(splits["test"]) == 3
    assert (splits["train"].images.int() - 200).abs().max() <= 2


def test_sizes_and_colours_are_converted_and_it_is_said_once(home, tmp_path, caplog):
    root = tmp_path / "imagenet"
    write_folders(root)
    wide = np.zeros((32, 64, 3), np.uint8)
    wide[:, 16:48] = 250  # the middle square
    write_image(root / "train" / "ant" / "0.png", wide)
    write_image(root / "train" / "ant" / "1.png", np.full((16, 16), 99, np.uint8))
    Image.fromarray(np.full((16, 16, 4), 77, np.uint8), "RGBA").save(root / "train" / "ant" / "2.png")
    with caplog.at_level(logging.WARNING):
        splits = data.load(config(), 1, tmp_path)
    images = splits["train"].images
    assert images.shape == (9, 3, 16, 16)
    assert (images[0, :, :, 1:-1] == 250).all()
    assert (images[1] == 99).all()
    assert (images[2] == 77).all()
    assert [record.message for record in caplog.records] == [
        "train: 3 of 9 images were converted to RGB, 16 pixels wide"
    ]


def test_synsets_of_imagenet_are_named_in_words(home, tmp_path):
    between = [f"n{number:08}" for number in range(2_000_000, 2_000_998)]
    numbers = ["n01440764", *between, "n15075141"]
    for split in ("train", "val"):
        for number in numbers:
            write_image(tmp_path / "imagenet" / split / number / "0.png", np.zeros((8, 8, 3), np.uint8))
    loaded = data.load(config(labels=1000, image_size=8), 1, tmp_path)["train"]
    assert (loaded.names[0], loaded.names[1], loaded.names[999]) == ("tench", "goldfish", "toilet tissue")
    some = data.load(config(labels=5, image_size=8), 1, tmp_path)["train"].names
    assert len(set(some)) == 5 and set(some) < set(loaded.names)
    assert {label for label, _, _ in data.sample("imagenet", 4, 0, tmp_path)} < set(loaded.names)
    for split in ("train", "val"):
        (tmp_path / "imagenet" / split / numbers[0]).rename(tmp_path / "imagenet" / split / "n01440000")
    others = data.load(config(image_size=8), 1, tmp_path)["train"].names
    assert others == ("n01440000", *numbers[1:])  # a thousand others


def test_images_per_label(home, tmp_path):
    write_folders(tmp_path / "imagenet")
    splits = data.load(config(train_per_label=2, test_per_label=1), 1, tmp_path)
    assert torch.bincount(splits["train"].labels).tolist() == [2, 2, 2]
    assert torch.bincount(splits["test"].labels).tolist() == [1, 1, 1]
    with pytest.raises(data.DataError, match=r"train/ant: 3 images, 4 wanted \(train_per_label\)"):
        data.load(config(train_per_label=4), 1, tmp_path)


def test_label_subset_depends_on_the_seed(home, tmp_path):
    written = write_folders(tmp_path / "imagenet", labels="abcdefgh")
    subsets = {}
    for seed in range(1, 6):
        splits = data.load(config(labels=3), seed, tmp_path)
        names = subsets[seed] = splits["train"].names
        assert names == splits["test"].names
        assert list(names) == sorted(set(names))
        assert splits["train"].labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
        expected = np.stack([written["test", name, f"{i}.png"].transpose(2, 0, 1) for name in names for i in (0, 1)])
        np.testing.assert_array_equal(splits["test"].images.numpy(), expected)
    assert len(set(subsets.values())) > 1


def test_missing_folder_says_what_to_do(home, tmp_path):
    with pytest.raises(data.DataError, match=r"ImageNet is not in .*imagenet: .*lay it out as .*\{train,test\}"):
        data.load(config(), 1, tmp_path)


def test_images_of_ones_own_by_the_name_of_their_folder(home, tmp_path):
    write_folders(tmp_path / "my-pets")
    assert data.load(profiles.Data("my-pets", image_size=16), 1, tmp_path)["test"].names == ("ant", "bee", "cat")
    assert data.title("my-pets") == "my-pets"
    with pytest.raises(data.DataError, match="cifra100 is not in .*did you mean cifar100"):
        data.load(profiles.Data("cifra100"), 1, tmp_path)


def test_label_folder_without_images(home, tmp_path):
    write_folders(tmp_path / "imagenet")
    (tmp_path / "imagenet" / "test" / "dog").mkdir()
    with pytest.raises(data.DataError, match="test/dog: 0 images, at least one wanted"):
        data.load(config(), 1, tmp_path)


def test_label_in_one_split_only(home, tmp_path):
    write_folders(tmp_path / "imagenet")
    write_image(tmp_path / "imagenet" / "train" / "dog" / "0.png", np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(data.DataError, match="in one of train and test only: dog"):
        data.load(config(), 1, tmp_path)


def test_too_few_labels(home, tmp_path):
    write_folders(tmp_path / "imagenet")
    with pytest.raises(data.DataError, match="train: 3 label folders, 4 wanted"):
        data.load(config(labels=4), 1, tmp_path)
    write_folders(tmp_path / "two" / "imagenet", labels="ab")
    with pytest.raises(data.DataError, match="2 label folders, at least 3 wanted"):
        data.load(config(), 1, tmp_path / "two")


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
    (tmp_path / "names.txt").write_text("one")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train = data.read(tmp_path)["train"]
    assert train.images.shape == (images, 3, 1000, 1000)
    assert not train.images[-1].any()


def test_images_and_labels_on_two_devices():
    images, labels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8, device="meta"), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(
        ValueError, match="images lie on the device of their labels, cpu, or in memory; these lie on meta"
    ):
        data.Split(images, labels, ("a",))


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


def test_where_data_are_looked_for(home, tmp_path, monkeypatch):
    assert data.data_folder() == home / "data"
    monkeypatch.setenv("SINGLEFILTER_DATA", str(tmp_path / "elsewhere"))
    assert data.data_folder() == tmp_path / "elsewhere"
    assert data.data_folder(tmp_path) == tmp_path


def test_samples_need_no_decoding(home, tmp_path):
    written = write_folders(tmp_path / "imagenet", labels="abcdef", size=20)
    for label, file, image in data.sample("imagenet", 4, 0, tmp_path):
        np.testing.assert_array_equal(image, written["test", label, file].transpose(2, 0, 1))
    assert len({label for label, _, _ in data.sample("imagenet", 4, 0, tmp_path)}) == 4
    assert not (home / "runs").exists()
    with pytest.raises(data.DataError, match="CIFAR-100 is downloaded on first use"):
        data.sample("cifar100", 4, 0, tmp_path)
    glyphs = data.sample("glyphs", 8, 0)
    assert len({label for label, _, _ in glyphs}) == 8
    assert glyphs[0][2].shape == (3, 32, 32)


def test_samples_of_empty_folders(home, tmp_path):
    for split in ("train", "test"):
        (tmp_path / "imagenet" / split).mkdir(parents=True)
    with pytest.raises(data.DataError, match="imagenet is empty"):
        data.sample("imagenet", 4, 0, tmp_path)
    (tmp_path / "imagenet" / "test" / "ant").mkdir()
    with pytest.raises(data.DataError, match="test/ant holds no images"):
        data.sample("imagenet", 4, 0, tmp_path)


def test_glyphs_are_drawn_once(home, monkeypatch):
    glyphs = profiles.Data(labels=4, train_per_label=3, test_per_label=2)
    splits = data.load(glyphs, 1)
    assert [len(splits[split]) for split in ("train", "test")] == [12, 8]
    assert splits["train"].labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    monkeypatch.setattr(decoding, "_draw_glyphs", lambda *_: pytest.fail("drawn again"))
    assert torch.equal(data.load(glyphs, 1)["test"].images, splits["test"].images)


# Downloads: torchvision's own code, on archives that are made here and served by this machine to itself.

NAMES = ["whale", "ant/bee", "ice cream"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder and the address at which its files can be downloaded."""
    folder = tmp_path / "server"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    serve = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def serve_cifar(name: str, server: tuple[Path, str], monkeypatch) -> dict[str, np.ndarray]:
    maker = getattr(torchvision.datasets, {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}[name])
    labels_key, names_key = {
        "cifar10": ("labels", "label_names"),
        "cifar100": ("fine_labels", "fine_label_names"),
    }[name]
    pixels = {
        split: RNG.integers(0, 256, (count, 3, 32, 32), np.uint8) for split, count in (("train", 9), ("test", 6))
    }
    files = {
        f"{split}_file": pickle.dumps(
            {"data": images.reshape(len(images), -1), labels_key: [i % 3 for i in range(len(images))]}
        )
        for split, images in pixels.items()
    }
    files["names"] = pickle.dumps({names_key: NAMES})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file, content in files.items():
            entry = tarfile.TarInfo(f"{maker.base_folder}/{file}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    folder, address = server
    (folder / "archive.tar.gz").write_bytes(archive.getvalue())
    monkeypatch.setattr(maker, "url", address + "archive.tar.gz")
    monkeypatch.setattr(maker, "tgz_md5", md5(archive.getvalue()))
    monkeypatch.setattr(maker, "train_list", [["train_file", md5(files["train_file"])]])
    monkeypatch.setattr(maker, "test_list", [["test_file", md5(files["test_file"])]])
    monkeypatch.setattr(maker, "meta", {"filename": "names", "key": names_key, "md5": md5(files["names"])})
    return pixels


def serve_fashion(server: tuple[Path, str], monkeypatch) -> dict[str, np.ndarray]:
    maker = torchvision.datasets.FashionMNIST
    folder, address = server
    grey = {split: RNG.integers(0, 256, (count, 28, 28), np.uint8) for split, count in (("train", 20), ("test", 10))}
    resources = []
    for split, images in grey.items():
        labels = np.arange(len(images), dtype=np.uint8) % 10
        prefix = {"train": "train", "test": "t10k"}[split]
        for file, array in ((f"{prefix}-images-idx3-ubyte.gz", images), (f"{prefix}-labels-idx1-ubyte.gz", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = gzip.compress(header + array.tobytes())
            (folder / file).write_bytes(content)
            resources.append((file, md5(content)))
    monkeypatch.setattr(maker, "mirrors", [address])
    monkeypatch.setattr(maker, "resources", resources)
    return grey


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_downloaded_laid_out_and_loaded(home, server, monkeypatch, name):
    pixels = serve_cifar(name, server, monkeypatch)
    splits = data.load(profiles.Data(name=name), 1)
    assert splits["train"].names == ("ant_bee", "ice_cream", "whale")
    for split, images in pixels.items():
        order = [i for label in (1, 2, 0) for i in range(label, len(images), 3)]
        np.testing.assert_array_equal(splits[split].images.numpy(), images[order])
    assert (home / "data" / name / "test" / "whale" / "00003.png").exists()
    assert not list((home / "data" / name).glob(".*.partial"))
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", None)
    monkeypatch.setattr(torchvision.datasets, "CIFAR100", None)
    assert len(data.load(profiles.Data(name=name), 1)["train"]) == 9  # from the folders now


def test_a_lay_out_that_was_interrupted_is_finished(home, server, monkeypatch):
    pixels = serve_cifar("cifar10", server, monkeypatch)
    lay_out = downloads._lay_out

    def interrupted(images, folder: Path, split: str) -> None:
        lay_out(images, folder, split)
        if split == "test":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(downloads, "_lay_out", interrupted)
        data.load(profiles.Data(name="cifar10"), 1)
    splits = data.load(profiles.Data(name="cifar10"), 1)
    assert [len(splits[split]) for split in ("train", "test")] == [len(pixels["train"]), len(pixels["test"])]


def test_fashion_mnist_is_downloaded_and_enlarged(home, server, monkeypatch):
    grey = serve_fashion(server, monkeypatch)
    splits = data.load(profiles.Data(name="fashionmnist", image_size=28), 1)
    names = splits["train"].names
    assert len(names) == 10
    assert "T-shirt_top" in names
    original = [name.replace(" ", "_").replace("/", "_") for name in torchvision.datasets.FashionMNIST.classes]
    first = grey["train"][original.index(names[0])]
    for channel in range(3):
        np.testing.assert_array_equal(splits["train"].images[0, channel].numpy(), first)
    assert data.load(profiles.Data(name="fashionmnist"), 1)["test"].images.shape == (10, 3, 32, 32)


def test_failed_download_says_what_to_do(home, server, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "url", server[1] + "away.tar.gz")
    with pytest.raises(data.DataError) as caught:
        data.load(profiles.Data(name="cifar100"), 1)
    message = str(caught.value)
    assert f"CIFAR-100 was looked for in {home / 'data' / 'cifar100'}" in message
    assert "could not be downloaded" in message
    assert "{train,test}/<label>/" in message
    assert "--profile quick" in message


def test_wrong_checksum_is_refused(home, server, monkeypatch):
    serve_cifar("cifar10", server, monkeypatch)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(data.DataError, match="could not be downloaded"):
        data.load(profiles.Data(name="cifar10"), 1)
    assert data.find("cifar10") is None


@pytest.mark.slow
def test_the_real_cifar100(tmp_path, monkeypatch):
    root = os.environ.get("SINGLEFILTER_DATA")
    if not root or not (Path(root) / "cifar100" / "train").is_dir():
        pytest.skip("the real CIFAR-100 is not there: SINGLEFILTER_DATA names no folder with cifar100/ in it")
    monkeypatch.setenv("SINGLEFILTER_HOME", str(tmp_path))
    splits = data.load(profiles.Data(name="cifar100"), 1, root)
    for split, images, per_label in (("train", 50_000, 500), ("test", 10_000, 100)):
        assert len(splits[split]) == images
        assert len(splits[split].names) == 100
        assert torch.bincount(splits[split].labels).tolist() == [per_label] * 100
    # The published mean and standard deviation of each channel of the training images, to 4 decimals.
    for channel, (mean, deviation) in enumerate(((0.5071, 0.2673), (0.4865, 0.2564), (0.4409, 0.2762))):
        counts = torch.bincount(splits["train"].images[:, channel].flatten().int(), minlength=256).double()
        values = torch.arange(256).double() / 255
        found = (counts * values).sum() / counts.sum()
        spread = ((counts * (values - found) ** 2).sum() / counts.sum()).sqrt()
        assert abs(found.item() - mean) < 1e-4
        assert abs(spread.item() - deviation) < 1e-4
    assert store.is_complete(data.stage(profiles.Data(name="cifar100"), 1, root))


def test_draws_of_labels_are_all_different_and_stay_what_they_are():
    draws = [data.drawn_labels(5, 3, draw) for draw in range(10)]
    assert len(set(draws)) == 10
    assert all(draw == tuple(sorted(set(draw))) and len(draw) == 3 and max(draw) < 5 for draw in draws)
    assert data.drawn_labels(5, 5, 0) == (0, 1, 2, 3, 4)
    assert data.drawn_labels(100, 3, 0) == data.drawn_labels(100, 3, 0)


@pytest.mark.parametrize(("count", "draw", "message"), [
    (6, 0, "6 labels asked for, the data set has 5"),
    (5, 1, "draw 1 of 5 among 5 labels asked for: there are 1"),
])  # fmt: skip
def test_draws_of_labels_that_are_not_there(count, draw, message):
    with pytest.raises(data.DataError, match=message):
        data.drawn_labels(5, count, draw)


def test_a_part_of_a_split_against_a_loop():
    images = torch.randint(0, 256, (11, 3, 8, 8), dtype=torch.uint8)
    split = data.Split(images, torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3]), tuple("abcd"))
    part = data.part(split, (0, 2, 3), 2)
    assert part.names == ("a", "c", "d") and part.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(part.images, images[[0, 1, 5, 6, 9, 10]])
    assert data.part(split, (1, 2)).labels.tolist() == [0, 0, 1, 1, 1, 1]
    with pytest.raises(data.DataError, match="label 'b' has 2 training images, 3 wanted"):
        data.part(split, (0, 1), 3)
    with pytest.raises(InputError, match="the split has labels 0 to 3, 4 asked for"):
        data.part(split, (0, 4))
    with pytest.raises(InputError, match="each label once; asked for: 1, 1"):
        data.part(split, (1, 1))


@given(st.lists(st.integers(0, 3), min_size=8, max_size=20), st.permutations(range(4)), st.integers(1, 3))
def test_parts_of_labels_in_any_order(labels, chosen, held):
    """Every image is its own number, so that what became of it can be told."""
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    split = data.Split(images, torch.tensor(labels), tuple("abcd"))
    part = data.part(split, tuple(chosen[:3]))
    found = list(zip(part.images[:, 0, 0, 0].tolist(), part.labels.tolist(), strict=True))
    expected = [(place, new) for new, old in enumerate(chosen[:3]) for place, is_ in enumerate(labels) if is_ == old]
    assert found == expected
    if min(labels.count(label) for label in range(4)) > held:
        rest, out = data.hold_out(split, held, seed=1)
        for one in (rest, out):
            assert [labels[place] for place in one.images[:, 0, 0, 0].tolist()] == one.labels.tolist()
        assert torch.bincount(out.labels).tolist() == [held] * 4
        assert len(rest) + len(out) == len(labels)
