"""Data sets in the layouts that people have them in, with what computers leave behind in between."""

import os
import unicodedata

import numpy as np
import pytest
import torch
from tests.data.written import config, write_folders, write_image

from singlefilter import data
from singlefilter.data import decoding, folders

GREY = np.full((16, 16, 3), 9, np.uint8)


def loaded(tmp_path, **keys):
    return data.load(config(**keys), 1, tmp_path)


def test_what_computers_leave_behind_is_passed_over(home, tmp_path, caplog):
    written = write_folders(tmp_path / "imagenet")
    ant = tmp_path / "imagenet" / "train" / "ant"
    for path in ("._0.png", ".hidden.png", "Thumbs.db", ".DS_Store", "desktop.ini"):
        (ant / path).write_bytes(b"\0\5\x16\7")
    for folder in ("__MACOSX", ".ipynb_checkpoints", "@eaDir"):
        write_image(tmp_path / "imagenet" / "train" / folder / "0.png", GREY)
        write_image(ant / folder / "0.png", GREY)
    os.mkfifo(ant / "pipe.png")
    splits = loaded(tmp_path)
    assert splits["train"].names == ("ant", "bee", "cat")
    expected = np.stack([written["train", "ant", f"{n}.png"].transpose(2, 0, 1) for n in range(3)])
    np.testing.assert_array_equal(splits["train"].images[:3].numpy(), expected)
    assert not caplog.text


def test_other_files_are_left_out_and_named(home, tmp_path, caplog):
    write_folders(tmp_path / "imagenet")
    for label in ("ant", "bee"):
        (tmp_path / "imagenet" / "train" / label / "photo.heic").write_bytes(b"x")
    (tmp_path / "imagenet" / "train" / "ant" / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "imagenet" / "train" / "ant" / "gone.png").symlink_to("nothing")
    assert len(loaded(tmp_path)["train"]) == 9
    assert (
        "train: left out, since not images of a kind that is read: 2 .heic, 1 .txt, 1 links to nothing" in caplog.text
    )
    other = tmp_path / "imagenet" / "train" / "dog"
    other.mkdir()
    (other / "photo.heic").write_bytes(b"x")
    with pytest.raises(data.DataError, match="train/dog: 0 images, .*others are left out: 1 .heic"):
        loaded(tmp_path)


def test_formats_beside_png(home, tmp_path):
    write_folders(tmp_path / "imagenet", ending=".bmp")
    write_image(tmp_path / "imagenet" / "train" / "ant" / "0.png", GREY)
    splits = loaded(tmp_path)
    assert (len(splits["train"]), len(splits["test"])) == (10, 6)
    assert (splits["train"].images[1] == 9).all()  # after 0.bmp


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train", "val"), ""),
        (("Train", "validation"), ""),
        (("TRAIN", "Valid"), ""),
        (("training", "testing"), ""),
        (("train", "test", "val"), "test/ is read as test images, not val/"),
        (("train", "Test", "Validation", "training"), "Test/ is read as test images, not Validation/"),
    ],
)
def test_names_of_splits(home, tmp_path, caplog, names, said):
    root = tmp_path / "imagenet"
    write_folders(root)
    (root / "train").rename(root / "moved")
    (root / "test").rename(root / "also moved")
    (root / "moved").rename(root / names[0])
    (root / "also moved").rename(root / names[1])
    for more in names[2:]:
        write_image(root / more / "ant" / "0.png", GREY)
    splits = loaded(tmp_path)
    assert (len(splits["train"]), len(splits["test"])) == (9, 6)
    assert said in caplog.text if said else not caplog.text


def test_a_flat_test_folder_beside_labels_in_val(home, tmp_path, caplog):
    """ImageNet, whose test images have no labels."""
    root = tmp_path / "imagenet"
    write_folders(root)
    (root / "test").rename(root / "val")
    write_image(root / "test" / "0.png", GREY)
    assert len(loaded(tmp_path)["test"]) == 6
    assert "val/ is read as test images, not test/" in caplog.text
    assert len(data.sample("imagenet", 3, 0, tmp_path)) == 3


LISTS = {
    "val_annotations.txt": "{name}\t{label}\t0\t0\t62\t62\n",  # Tiny-ImageNet
    "LOC_val_solution.csv": "{stem},{label} 85 1 499 272\n",  # Kaggle's ImageNet
    "labels.csv": '"{name}","{label}"\n',
    "labels.txt": "val/{name} {label}\n",
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("inside", ["", "images"])
def test_labels_in_a_file(home, tmp_path, kind, inside):
    """Tiny-ImageNet, whose training images lie one folder deeper, too; and ImageNet as Kaggle has it."""
    root = tmp_path / "imagenet"
    written = write_folders(root)
    lines, number = ["ImageId,PredictionString\n"] if kind.startswith("LOC") else [], 0
    expected = {}
    for label in ("cat", "ant", "bee"):
        (root / "train" / label / "images").mkdir()
        for path in list((root / "train" / label).glob("*.png")):
            path.rename(path.parent / "images" / path.name)
        (root / "train" / label / f"{label}_boxes.txt").write_text("0.png 0 0 1 1\n", encoding="utf-8")
        for path in sorted((root / "test" / label).iterdir()):
            number += 1
            new = root / "val" / inside / f"val_{number}.png"
            new.parent.mkdir(parents=True, exist_ok=True)
            expected.setdefault(label, []).append(written["test", label, path.name].transpose(2, 0, 1))
            path.rename(new)
            lines.append(LISTS[kind].format(name=new.name, stem=new.stem, label=label))
        (root / "test" / label).rmdir()
    (root / "test").rmdir()
    (root / "val" / kind).write_text("".join(lines), encoding="utf-8")
    splits = loaded(tmp_path)
    assert splits["test"].names == splits["train"].names == ("ant", "bee", "cat")
    images = np.stack([image for label in ("ant", "bee", "cat") for image in expected[label]])
    np.testing.assert_array_equal(splits["test"].images.numpy(), images)
    assert len(splits["train"]) == 9


def test_a_folder_of_images_alone_says_what_to_do(home, tmp_path):
    root = tmp_path / "imagenet"
    write_folders(root)
    for number, path in enumerate(sorted((root / "test").glob("*/*.png"))):
        path.rename(root / "test" / f"{number}.png")
    for folder in (root / "test").glob("*/"):
        folder.rmdir()
    with pytest.raises(
        data.DataError, match=r"test holds 6 images, such as 0.png, and no folder for each label: move"
    ):
        loaded(tmp_path)
    (root / "test" / "labels.csv").write_text("0.png,ant\n", encoding="utf-8")  # not of all
    with pytest.raises(data.DataError, match="put a file labels.csv into .*such as 0.png,ant$"):
        loaded(tmp_path)
    (root / "test" / "labels.csv").write_text(
        "".join(f"{n}.png,{['ant', 'bee', 'cat'][n % 3]}\n" for n in range(6)), encoding="utf-8"
    )
    assert loaded(tmp_path)["test"].labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_what_is_there_instead_of_a_data_set_is_named(home, tmp_path):
    write_folders(tmp_path / "mine" / "mine")
    with pytest.raises(data.DataError, match=r"mine is not in .*/mine \(there is: mine/\): a data set of your own"):
        loaded(tmp_path, name="mine")


def test_composed_and_decomposed_names_are_one_label(home, tmp_path):
    one, other = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert one != other
    write_folders(tmp_path / "imagenet", labels=(one, "a", "b"), train=2)
    (tmp_path / "imagenet" / "test" / one).rename(tmp_path / "imagenet" / "test" / other)
    write_image(tmp_path / "imagenet" / "train" / other / "9.png", GREY)
    splits = loaded(tmp_path)
    assert splits["train"].names == ("a", "b", one)
    assert torch.bincount(splits["train"].labels).tolist() == [2, 2, 3]
    assert len(loaded(tmp_path, train_per_label=2)["train"]) == 6


NAMES = (
    "a\nb",
    "c\rd",
    "e\r\nf",
    'quo"ted',
    "'",
    "-dash",
    "--x=1",
    "a,b",
    "nan",
    " blank ",
    "\\n",
    "$x_1$",
    "a",
    "z\t",
)


def test_any_name_of_a_label_survives_what_is_written(home, tmp_path):
    for split in ("train", "test"):
        for label in NAMES:
            write_image(tmp_path / "imagenet" / split / label / "0.png", GREY)
    splits = loaded(tmp_path)
    assert splits["train"].names == splits["test"].names == tuple(sorted(NAMES))
    assert set(label for label, _, _ in data.sample("imagenet", len(NAMES), 0, tmp_path)) == set(NAMES)


def test_names_as_text():
    assert decoding.names_as_text(("a", "b")) == "a\nb"  # as ever: keys hang on it
    for names in (("a", "b"), ("a\nb", "c"), ("\n",), ("a\r", "b"), ("", "x")):
        assert decoding.names_from(decoding.names_as_text(names)) == names


def test_a_name_that_is_no_text_is_written_out(home, tmp_path):
    write_folders(tmp_path / "imagenet", labels=("a", "b", os.fsdecode(b"caf\xe9")))
    assert loaded(tmp_path)["train"].names == ("a", "b", "caf\\xe9")


def test_the_key_of_a_listing_is_as_it_ever_was(tmp_path):
    """What was decoded is found by names, sizes and times."""
    root = tmp_path / "imagenet"
    write_folders(root)
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.write_bytes(bytes(number))
        os.utime(path, ns=(0, number))
    digest = folders.hashlib.sha256(str(root).encode())
    number = {path: place for place, path in enumerate(sorted(root.rglob("*.png")))}
    for split in ("train", "test"):
        for path in sorted((root / split).rglob("*.png")):
            place = number[path]
            digest.update(f"{path.parent.name}\0{path.name}\0{place}\0{place}\n".encode())
    assert folders.listing_digest(folders.list_images(root, config()), root) == digest.hexdigest()


def test_a_name_of_two_lines_is_one_in_a_message(home, tmp_path):
    write_folders(tmp_path / "imagenet", labels=("a\nb", "c", "d"))
    write_image(tmp_path / "imagenet" / "train" / "x\ny" / "0.png", GREY)
    with pytest.raises(data.DataError, match=r"one of train and test only: 'x\\ny'$"):
        loaded(tmp_path)
