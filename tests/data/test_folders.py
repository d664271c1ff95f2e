"""Image folders: pixel by pixel, labels and their words, with every mistake, and samples of them."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.written import config, write_folders, write_image

from singlefilter import data, profiles


@pytest.mark.parametrize("ending", [".png", ".webp", ".PNG"])
def test_image_folders_pixel_by_pixel(home, tmp_path, ending):
    written = write_folders(tmp_path / "imagenet", ending=ending)
    (tmp_path / "imagenet" / "train" / "ant" / "notes.txt").write_text("no image", encoding="utf-8")
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
    assert (images[2] == 201).all()  # 77 * 77/255 + 255 * (255 - 77)/255
    assert [record.message for record in caplog.records] == [
        "train: 3 of 9 images were converted to RGB, 16 pixels wide",
        "train: 1 of 9 images are transparent: laid over white",
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
