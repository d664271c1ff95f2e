"""What ranks need, tried in one process that pretends to be one of them; `test_torchrun` starts real ones."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from singlefilter import data, distributed, profiles, run
from singlefilter.method import features
from singlefilter.networks import training


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
    whole = whole[: 3 if world > 2 else 4]  # two images leave nothing for one of three
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        for kind in (0, 1):
            assert torch.equal(torch.cat([part[kind] for part in parts]), batch[kind])


def test_kept_features_are_shared_too(monkeypatch):
    """Whole batches on every rank would give the same heads, later; the last one leaves nothing for one of three."""
    recipe = profiles.Heads(batch=14, views=1)

    def labels() -> list[torch.Tensor]:
        batches = features.by_epoch(lambda images: [images.flatten(1)], [192], split(), recipe, 5)
        return [truth for _, truth in batches(1)]

    whole, shares = labels(), []
    for rank in range(3):
        pretend(monkeypatch, rank, 3)
        shares.append(labels())
    assert [len(truth) for truth in whole] == [14, 14, 14, 2]
    for parts, truth in zip(zip(*shares, strict=True), whole[:3], strict=True):
        assert torch.equal(torch.cat(parts), truth)


def test_alone_nothing_is_done():
    loss, model = torch.ones(()), network()
    assert (distributed.world(), distributed.rank()) == (1, 0)
    assert distributed.weighted(loss, 3) is loss
    assert distributed.over_ranks(model) is model
    assert distributed.share_of_batch(1) == slice(0, 1)
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
        assert [type(model[0][1]), type(model[1][1])] == [distributed._BatchNormOnCPUs] * 2
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


def test_more_ranks_than_images_of_a_batch_are_refused(monkeypatch):
    pretend(monkeypatch, 0, 3)
    monkeypatch.setattr(distributed, "over_ranks", lambda model: model)
    recipe = profiles.Recipe(epochs=1, batch=2)
    with pytest.raises(distributed.RankError, match="training: batches of 2 leave nothing for some of 3 ranks"):
        training.fit(network(), split(), split(1), recipe, seed=3)


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


def test_a_fault_of_ones_own_is_not_blamed_on_another(monkeypatch):
    """In a backward pass, where both may come up."""

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(context, loss, error):
            context.error = error
            return loss.clone()

        @staticmethod
        def backward(context, gradient):
            raise context.error

    pretend(monkeypatch, 0, 2)
    monkeypatch.setattr(distributed, "all_sum", lambda values: values)
    with pytest.raises(RuntimeError, match="shapes differ") as own:
        distributed.backward(Fails.apply(torch.ones((), requires_grad=True), RuntimeError("shapes differ")), 3)
    assert not isinstance(own.value, distributed.RankError)
    for error in (RuntimeError("[gloo/pair.cc:1] Read error. And more"), distributed.ranks.DistBackendError("lost")):
        with pytest.raises(distributed.RankError, match="failed or cannot be reached"):
            distributed.backward(Fails.apply(torch.ones((), requires_grad=True), error), 3)


@pytest.mark.parametrize("command", [("all",), ("sweep", "quick")])
def test_torchrun_is_for_stages_alone(home, monkeypatch, capsys, command):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a test")
    assert run.main(list(command)) == 2
    assert "torchrun is for `run`" in capsys.readouterr().err
