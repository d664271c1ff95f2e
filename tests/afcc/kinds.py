"""Small networks of each kind that filters are followed through: how maps become flat, slopes, a residual block."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from singlefilter.afcc import chain

SIZE = (12, 10)  # not square: places that are counted wrongly show
LABELS = 5
LAYERS = ["a", "b", "c"]


def unpacked(maps: torch.Tensor) -> torch.Tensor:
    images, filters, height, width = maps.shape
    return maps.view(images, filters * height * width)


FLAT = {  # each filter keeps its places
    "flatten": lambda x: torch.flatten(x, 1),
    "flatten by name": lambda x: x.flatten(start_dim=1, end_dim=-1),
    "flatten twice": lambda x: x.flatten(2).flatten(1),
    "view": lambda x: x.view(x.size(0), -1),
    "view of a shape": lambda x: x.contiguous().view((x.shape[0], -1)),
    "view of a product": unpacked,
    "reshape": lambda x: torch.reshape(x, (x.size()[0], -1)),
    "reshape by sizes": lambda x: x.reshape(x.size(0), x.size(1) * x.size(2) * x.size(3)),
}
POOLED = {  # one number a filter
    "mean": lambda x: x.mean((2, 3)),
    "mean from behind": lambda x: torch.mean(x, dim=[-2, -1]),
    "mean, axes kept": lambda x: x.mean((-1, -2), keepdim=True).flatten(1),
    "mean of mean": lambda x: x.mean(-1).mean(2),
    "mean of places": lambda x: x.view(x.size(0), x.size(1), -1).mean(2),
    "largest": lambda x: x.amax((2, 3)),
    "squeeze": lambda x: functional.adaptive_avg_pool2d(x, 1).squeeze(),
    "squeeze by axes": lambda x: functional.adaptive_avg_pool2d(x, (1, 1)).squeeze(-1).squeeze(2),
    "squeeze of a tuple": lambda x: torch.squeeze(x.mean([2, 3], True), (2, 3)),
    "all places pooled": lambda x: functional.avg_pool2d(x, x.shape[2:]).view(x.size(0), -1),
    "one by one again": lambda x: x.mean((2, 3)).view(x.size(0), -1, 1, 1).flatten(1),
}
ROWS = {"mean over width": lambda x: x.mean(3).flatten(1), "mean over height": lambda x: x.mean(2).flatten(1)}
BETWEEN = {  # modules behind b, and what they make flat
    "one slope": (lambda filters, _: nn.PReLU(), None),
    "a slope a filter": (lambda filters, _: nn.PReLU(filters), None),
    "a slope a place": (lambda filters, places: nn.PReLU(filters * places), FLAT["view"]),
    "a norm a place": (lambda filters, places: nn.BatchNorm1d(filters * places), FLAT["view"]),
    "a norm a filter": (lambda filters, _: nn.BatchNorm1d(filters), POOLED["mean"]),
    "a norm without slopes": (lambda filters, _: nn.BatchNorm2d(filters, affine=False), None),
}


class Net(nn.Module):
    """Three convolutions in a chain and a linear layer: what makes maps flat is given, and what is behind b or c."""

    def __init__(self, flat: Callable, places: int, between: Callable | None = None, behind_flat: bool = False):
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.b, self.c = nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(8, 7, 3, padding=1)
        self.behind_b = between(8, 1) if between and not behind_flat else nn.Tanh()
        self.behind_flat = between(7, places) if behind_flat else nn.Identity()
        self.flat, self.linear = flat, nn.Linear(7 * places, LABELS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = functional.leaky_relu(self.norm(self.a(images)), 0.2)
        maps = torch.relu(self.c(self.behind_b(self.b(maps))))
        return self.linear(self.behind_flat(self.flat(maps)))


class Residual(nn.Module):
    """A stem, one residual block of convolutions b and c, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, padding=1)
        self.b, self.norm_b, self.slopes = nn.Conv2d(8, 9, 3, padding=1), nn.BatchNorm2d(9), nn.PReLU(9)
        self.c, self.norm_c = nn.Conv2d(9, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.linear = nn.Linear(8, LABELS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        stem = torch.relu(self.a(images))
        block = self.norm_c(self.c(self.slopes(self.norm_b(self.b(stem)))))
        return self.linear(torch.relu(block + stem).mean((2, 3)))


def settled(model: nn.Module, seed: int = 0) -> nn.Module:
    """The network in eval mode with every parameter and statistic drawn anew, biases and slopes of all signs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 1.0 if parameter.ndim == 1 else (2 / parameter[0].numel()) ** 0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return model.eval()


def kinds() -> dict[str, Callable[[], nn.Module]]:
    """What makes a network of each kind, by the kind's name."""
    height, width = SIZE
    made = {name: lambda flat=flat: Net(flat, height * width) for name, flat in FLAT.items()}
    made |= {name: lambda flat=flat: Net(flat, 1) for name, flat in POOLED.items()}
    made |= {
        name: lambda flat=flat, rows=rows: Net(flat, rows)
        for (name, flat), rows in zip(ROWS.items(), SIZE, strict=True)
    }
    for name, (between, flat) in BETWEEN.items():
        places = 1 if flat is POOLED["mean"] else height * width
        made[name] = lambda between=between, flat=flat, places=places: Net(
            flat or FLAT["flatten"], places, between, flat is not None
        )
    return {name: lambda make=make: settled(make()) for name, make in made.items()}


def images(count: int = 4, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(9))


def outputs(model: nn.Module, inputs: torch.Tensor | None = None) -> torch.Tensor:
    """What the network gives in eval mode; it is left in the mode it is in."""
    modes = {module: module.training for module in model.modules()}
    with torch.no_grad():
        found = model.eval()(images() if inputs is None else inputs)
    for module, mode in modes.items():
        module.training = mode
    return found


def clusters_of(model: nn.Module, layers: list[str], seed: int = 0) -> dict[str, np.ndarray]:
    """Random clusters: about a third of each layer's filters know no label."""
    rng = np.random.default_rng(seed)
    found = {}
    for layer in layers:
        count = model.get_submodule(chain.convolution_in(model, layer)).out_channels
        found[layer] = np.where(rng.random((count, LABELS)) < 0.3, 0, -1)
        found[layer][rng.permutation(count)[: count // 3]] = -1
        found[layer][:2, 0] = 0  # a way through
    return found


def state(model: nn.Module) -> dict[str, object]:
    """All that a network has to have again afterwards: where and how tensors lie, values, gradients, modes, hooks."""
    kept: dict[str, object] = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        kept[name] = (tensor.data_ptr(), tensor.stride(), tensor.requires_grad, tensor.detach().numpy().tobytes())
        grad = tensor.grad
        kept[f"{name}, gradient"] = None if grad is None else (grad.data_ptr(), grad.numpy().tobytes())
    for name, module in model.named_modules():
        attributes = {key: id(value) for key, value in vars(module).items() if not key.startswith("_")}
        hooks = [
            list(vars(module)[key].values()) for key in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
        ]
        kept[f"{name}, module"] = (module.training, attributes, hooks)
    return kept


def used(model: nn.Module) -> nn.Module:
    """The network as one that was trained: gradients, some modules in train mode, hooks, strides of its own."""
    functional.cross_entropy(model(images()), torch.arange(4)).backward()
    model.zero_grad(set_to_none=False)
    for parameter in model.parameters():
        parameter.grad += 0.5
    model.train()
    model.a.eval()
    model.linear.weight.data = model.linear.weight.data.T.contiguous().T
    model.b.register_forward_hook(lambda *_: None)
    model.linear.requires_grad_(False)
    return model
