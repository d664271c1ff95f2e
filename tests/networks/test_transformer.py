"""The compact transformer: its parts and its cuts, at nodes and at attention heads, against loops written out."""

import numpy as np
import pytest
import torch
from torch import nn

from singlefilter import data, networks, profiles
from singlefilter.errors import CutError
from singlefilter.method import fields, heads

LABELS = 4
CONFIG = profiles.Network(name="cct", depth=3, width=8, attention_heads=2, halvings=3)
BOTH = profiles.Heads(epochs=1, batch=8, kinds=("flat", profiles.ATTENTION), flip=False, shift=0)


def network(**changed) -> networks.CCT:
    return networks.build(profiles.Network(**{**vars(CONFIG), **changed}), LABELS, 32, seed=1).eval()


def split(per_label: int = 3) -> data.Split:
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(LABELS).repeat(per_label)
    images = torch.randint(0, 256, (len(truth), 3, 32, 32), dtype=torch.uint8, generator=generator)
    return data.Split(images, truth, tuple("abcd"))


def points(model: nn.Module, config: profiles.Heads = BOTH) -> tuple[heads.HeadPoint, ...]:
    inside = {"attention": networks.cut_points(model, 32, "attention")}
    return heads.head_points(networks.cut_points(model, 32), config, inside)


@pytest.mark.parametrize(("depth", "width", "halvings", "side"), [(1, 4, 1, 32), (3, 8, 3, 32), (2, 12, 2, 28)])
def test_it_has_the_blocks_and_parameters_of_its_name(depth, width, halvings, side):
    model = networks.CCT(depth, width, 2, 5, side, halvings)
    tokens = (side // 2**halvings) ** 2
    channels = [3, *(width // 2**later for later in reversed(range(halvings)))]
    tokenizer = sum(9 * before * after + 2 * after for before, after in zip(channels[:-1], channels[1:], strict=True))
    attention = 4 * width * width + 4 * width
    block = attention + 2 * 2 * width * width + 3 * width + 4 * width  # two linear layers with bias, two norms
    rest = tokens * width + 2 * width + width + 5 * width + 5
    assert sum(parameter.numel() for parameter in model.parameters()) == tokenizer + depth * block + rest
    assert model.blocks(torch.zeros(2, tokens, width)).shape == (2, tokens, width)
    assert model(torch.zeros(2, 3, side, side)).shape == (2, 5)
    assert not [module for module in model.modules() if isinstance(module, nn.Dropout) and module.p]


def test_all_of_it_learns():
    model = network().train()
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    still = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().max() > 0]
    assert still == []


def test_it_refuses_what_it_cannot_be():
    with pytest.raises(ValueError, match="3 attention heads do not divide 8 nodes"):
        networks.CCT(1, 8, 3, 5)
    with pytest.raises(ValueError, match="5 halvings of 32 pixels leave fewer than 2 x 2 tokens"):
        networks.CCT(1, 8, 2, 5, halvings=5)


def test_nodes_and_attention_heads_have_the_number_of_their_block():
    model = network()
    nodes, attention = (networks.cut_points(model, 32, of) for of in ("", "attention"))
    assert [(cut.layer, cut.module, cut.filters, cut.size) for cut in nodes] == [
        (block, f"blocks.{block - 1}", 8, (16,)) for block in (1, 2, 3)
    ]
    assert [(cut.layer, cut.module, cut.filters, cut.size) for cut in attention] == [
        (block, f"blocks.{block - 1}.self_attn:head", 2, (16, 4)) for block in (1, 2, 3)
    ]
    names = [f"layer{block}_{kind}" for block in (1, 2, 3) for kind in ("flat", "attention")]
    assert [point.name for point in points(model)] == names
    assert len({point.fan_in for point in points(model)}) == 1


def test_as_many_tokens_as_nodes_are_told_apart():
    """The shape alone does not say which axis is which."""
    model = network(width=16)
    assert {(cut.layout, cut.filters, cut.size) for cut in networks.cut_points(model, 32)} == {("NTC", 16, (16,))}


def test_scaled_images_lie_behind_the_scaling():
    model = network(input_size=64)
    cuts = networks.cut_points(model, 32) + networks.cut_points(model, 32, "attention")
    assert {cut.module.split(".")[0] for cut in cuts} == {"model"}
    assert {cut.positions for cut in cuts} == {64, 64 * 4}


def test_a_network_without_such_a_place_has_no_such_heads():
    with pytest.raises(CutError, match="CCT has no layers that end in a pool"):
        networks.cut_points(network(), 32, "unpooled")
    with pytest.raises(CutError, match="VGG has no attention heads"):
        networks.cut_points(networks.VGG(11, 2, 5), 32, "attention")
    cuts = networks.cut_points(networks.VGG(11, 2, 5), 32)
    with pytest.raises(ValueError, match="heads.kinds: attention"):
        heads.head_points(cuts, BOTH)


def by_hand(model: networks.CCT, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of every block its tokens `[images, tokens, nodes]`, and its attention heads `[images, tokens, heads, inside]`,
    head by head."""
    tokens, found = model.tokenizer(images).transpose(1, 2) + model.place, []
    for block in model.blocks:
        attention, normed = block.self_attn, block.norm1(tokens)
        query, key, value = nn.functional.linear(normed, attention.in_proj_weight, attention.in_proj_bias).chunk(3, 2)
        width = query.shape[2] // attention.num_heads
        parts = []
        for head in range(attention.num_heads):
            own = slice(head * width, (head + 1) * width)
            shares = (query[:, :, own] @ key[:, :, own].transpose(1, 2) / width**0.5).softmax(2)
            parts.append(shares @ value[:, :, own])
        tokens = tokens + attention.out_proj(torch.cat(parts, 2))
        tokens = tokens + block.linear2(nn.functional.gelu(block.linear1(block.norm2(tokens))))
        found.append((tokens, torch.stack(parts, 2)))
    return found


def test_fields_of_nodes_and_attention_heads_are_those_of_the_loop():
    model, images = network(), split()
    weights, _ = heads.fit(model, points(model), images, BOTH, seed=1)
    measured = fields.measure(model, points(model), weights, images)
    with torch.no_grad():
        blocks = by_hand(model, data.to_input(images.images))
    for block, (tokens, attention) in enumerate(blocks, start=1):
        of_kind = {"flat": tokens.transpose(1, 2), "attention": attention.permute(0, 2, 1, 3).flatten(2)}
        for kind, maps in of_kind.items():
            name = f"layer{block}_{kind}"
            found = fields.field_matrices(measured.class_means[name], weights[name]).numpy()
            expected = np.zeros_like(found, dtype=np.float64)
            for image, truth in enumerate(images.labels.tolist()):
                for unit in range(maps.shape[1]):
                    for out in range(LABELS):
                        field = weights[name][out, unit].double() @ maps[image, unit].double()
                        expected[unit, truth, out] += field.item() / 3
            np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
            logits = torch.einsum("nfp,kfp->nk", maps, weights[name])
            assert (logits.argmax(1) == images.labels).tolist() == measured.correct[name].tolist()


def test_it_is_left_as_it_was_found():
    model, images = network().train(), split()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fields.measure(model, points(model), heads.fit(model, points(model), images, BOTH, seed=1)[0], images)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not [module for module in model.modules() if module._forward_hooks or module._forward_pre_hooks]
