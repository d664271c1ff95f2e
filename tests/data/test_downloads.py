"""Downloads through torchvision's own code, of archives that are made here and served by this machine to itself, and
the real CIFAR-100 where it is there."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from tests.data.written import RNG

from singlefilter import data, profiles, store
from singlefilter.data import downloads

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
