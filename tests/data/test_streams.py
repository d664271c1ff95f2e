"""Images that stay in the host's memory: the same batches, on the device that computes, a few of them ahead."""

import itertools
import threading
from concurrent.futures import Executor, Future

import pytest
import torch
from tests.networks.small import RECIPE, network, split
from torch._subclasses.fake_tensor import FakeTensorMode

from singlefilter import afcc, data, networks, profiles
from singlefilter.data import streams
from singlefilter.method import fields, heads
from singlefilter.networks import training
from singlefilter.studies.pruning import answers, tails

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def apart(monkeypatch) -> list[int]:
    """Images count as elsewhere; how many each fetch took."""
    fetched, whole = [], streams._fetched

    def counted(images, part, pinned):
        assert not pinned  # there is no GPU
        copy = whole(images, part, pinned)
        fetched.append(len(copy))
        return copy

    monkeypatch.setattr(streams, "_apart", lambda images, device: True)
    monkeypatch.setattr(streams, "_fetched", counted)
    return fetched


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [slice(0, 3), slice(3, 6), slice(6, 9)],
        [slice(8, 12), slice(4, 4)],  # past the end, and the share of a rank that has none
        [torch.tensor([5, 0, 5]), torch.tensor([], dtype=torch.int64), torch.tensor([8])],
        [slice(start, start + 1) for start in range(9)] * 3,  # more than are fetched ahead
    ],
)
def test_images_fetched_ahead_are_those_at_their_places(apart, parts):
    images = torch.randint(0, 256, (9, 3, 5, 5), dtype=torch.uint8)
    taken = list(streams.taken(images, parts, CPU))
    assert len(taken) == len(apart) == len(parts)
    for part, found in zip(parts, taken, strict=True):
        assert torch.equal(found, images[part])
        found.fill_(0)  # a copy of its own
    assert images.any()


def test_only_a_few_batches_are_fetched_ahead(apart):
    images, asked = torch.zeros(4, 3, 2, 2, dtype=torch.uint8), itertools.count()
    endless = streams.taken(images, (slice(0, 1) for _ in asked), CPU)
    for number in range(20):
        next(endless)
        assert next(asked) <= 2 * number + streams.AHEAD + 1  # each look counts, too
    before = threading.active_count()
    endless.close()
    assert threading.active_count() < before


def test_a_fetch_that_fails_is_heard_of(apart, monkeypatch):
    def broken(images, part, pinned):
        raise OSError("the disk is gone")

    monkeypatch.setattr(streams, "_fetched", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        list(split().in_batches(10))


def test_memory_decides_what_lies_on_a_gpu(monkeypatch):
    images = torch.zeros(10, 3, 10, 10, dtype=torch.uint8)
    free = iter([6000, 5999])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (next(free), 10**9))
    assert streams.fits(images, GPU)
    assert not streams.fits(images, GPU)
    assert streams.fits(images, CPU)  # not asked


class AtOnce(Executor):
    """Threads that are none."""

    def __init__(self, _: int): ...

    def submit(self, work, *arguments) -> Future:
        done = Future()
        done.set_result(work(*arguments))
        return done


def test_batches_of_images_apart_come_to_the_device_that_computes(monkeypatch):
    """On a GPU that is only made believe: operations on tensors of two devices fail there as on a real one."""
    monkeypatch.setattr(streams, "fits", lambda images, device: False)
    monkeypatch.setattr(streams, "_fetched", lambda images, part, pinned: images[part])  # no memory to pin
    monkeypatch.setattr(streams, "ThreadPoolExecutor", AtOnce)  # made-believe tensors know one thread only
    here = split()
    with FakeTensorMode(allow_non_fake_inputs=True):
        there = here.to(GPU)
        assert (there.images.device, there.device.type) == (CPU, "cuda")
        kinds = there.in_batches(12), data.batches(there, 12, seed=1, epoch=0, shift=1, flip=True)
        for batch, truth in itertools.chain(*kinds):
            assert batch.device == truth.device == there.device
            assert len(batch) == len(truth)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gets_the_right_images_while_it_computes(monkeypatch):
    monkeypatch.setattr(streams, "fits", lambda images, device: False)
    images = torch.randint(0, 256, (300, 3, 64, 64), dtype=torch.uint8)
    there = data.Split(images, torch.arange(300) % 4, tuple("abcd")).to(GPU)
    order, work = torch.randperm(300), torch.randn(2000, 2000, device=GPU)
    parts = [slice(start, start + 40) for start in range(0, 300, 6)] + [slice(4, 4)]
    taken = []
    for batch, labels in there.taken(parts, order):
        for _ in range(20):
            work = torch.tanh(work @ work)  # the copies wait for this
        taken.append((batch + 0, labels))
        del batch
    for part, (batch, labels) in zip(parts, taken, strict=True):
        assert torch.equal(batch.cpu(), images[order[part]])
        assert torch.equal(labels.cpu(), order[part] % 4)


POINTS = heads.head_points(networks.cut_points_at(network(), ["2", "3"], 8), profiles.Heads(kinds=("flat",)))
WEIGHTS = {name: weight.view(4, 6, -1) for name, weight in heads.initial_weights(POINTS, labels=4, seed=0).items()}
HEADS = profiles.Heads(epochs=2, batch=12, kinds=("flat",))
MASKED = {point.name: afcc.MaskedHead(point, WEIGHTS[point.name]) for point in POINTS}


def fit() -> tuple:
    model = network()
    curves = training.fit(model, split(), split(seed=1), RECIPE, seed=1)
    return *model.state_dict().values(), curves.drop(columns="seconds").to_numpy().tolist()


def retrain_tails() -> tuple:
    model = network()
    several = tails.masked_tails(model, "2", {"all": {}})
    tails.retrain_tails(model[:3], several, {"all": {}}, ["5"], split(), RECIPE, seed=1)
    return tuple(several.state_dict().values())


def retrain() -> tuple:
    model = network()
    afcc.retrain(model, ["5"], {}, split(), RECIPE, seed=1)
    return tuple(model.state_dict().values())


def measure() -> tuple:
    found = fields.measure(network(), POINTS, WEIGHTS, split(), batch=12)
    return tuple(itertools.chain(*(part.values() for part in (found.class_means, found.correct, found.dprime))))


USES = {  # everything that computes with images, and how many it takes
    fit: 3 * 2 * 40,
    lambda: tuple(training.evaluate(network(), split(), batch=12).values()): 40,
    lambda: tuple(heads.fit(network(), POINTS, split(), HEADS, seed=1)[0].values()): 2 * 40,
    lambda: (heads.logits(network(), POINTS[0], WEIGHTS[POINTS[0].name], split(), batch=12),): 40,
    measure: 40,
    retrain: 3 * 40,
    retrain_tails: 3 * 40,
    lambda: tuple(afcc.retrain_heads(network(), MASKED, split(), HEADS, seed=1)[0].values()): 2 * 40,
    lambda: tuple(afcc.correct_answers(network(), MASKED, split(), batch=12).values()): 40,
    lambda: tuple(answers.right_answers({"it": network()}, split(), batch=12).values()): 40,
}


@pytest.mark.parametrize("use", USES)
def test_where_images_lie_changes_nothing(request, use):
    here = use()
    fetched = request.getfixturevalue("apart")
    elsewhere = use()
    assert sum(fetched) == USES[use]
    for one, other in zip(here, elsewhere, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
