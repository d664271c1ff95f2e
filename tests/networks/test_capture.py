"""Attention heads are read before they are joined."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from singlefilter.networks.capture import capture
from singlefilter.networks.cuts import cut_points_at


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_heads_by_hand(batch_first):
    torch.manual_seed(0)

    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(12, 3, batch_first=batch_first)

        def forward(self, images):
            tokens = images.flatten(2).transpose(1, 2)
            tokens = tokens if batch_first else tokens.transpose(0, 1)
            return self.attention(tokens, tokens, tokens, need_weights=False)[0]

    model, images = Attending().eval(), torch.randn(3, 12, 2, 4)
    (cut,) = cut_points_at(model, ["attention:head"], (2, 4), channels=12)
    assert (cut.filters, cut.size, cut.layout) == (3, (8, 4), "NTHD")
    with capture(model, [cut]) as maps:
        model(images)
    seen = cut.view(maps["attention:head"])
    tokens, attention = images.flatten(2).transpose(1, 2), model.attention
    queries, keys, values = functional.linear(tokens, attention.in_proj_weight, attention.in_proj_bias).chunk(3, 2)
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = (queries[..., part] @ keys[..., part].transpose(1, 2)) / 4**0.5
        torch.testing.assert_close(seen[:, head], scores.softmax(2) @ values[..., part], atol=1e-5, rtol=1e-5)


def test_heads_of_an_attention_with_a_projection_of_its_own():
    class Attention(nn.Module):
        num_heads = 2

        def __init__(self):
            super().__init__()
            self.proj = nn.Linear(6, 6)

        def forward(self, tokens):
            return self.proj(tokens * 2)

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = Attention()

        def forward(self, images):
            return self.attn(images.flatten(2).transpose(1, 2))

    model, images = Tokens(), torch.randn(3, 6, 2, 2)
    (cut,) = cut_points_at(model, ["attn:head"], 2, channels=6)
    with capture(model, [cut]) as maps:
        model(images)
    expected = (images.flatten(2).transpose(1, 2) * 2).unflatten(2, (2, 3)).permute(0, 2, 1, 3)
    assert torch.equal(cut.view(maps["attn:head"]), expected)
