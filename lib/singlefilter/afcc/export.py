"""Networks on their way out: state as safetensors, programs of torch.export, ONNX where its packages are there."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from singlefilter import store
from singlefilter.afcc.optional import optional
from singlefilter.afcc.ownership import copied

_SIZES = {  # of a module, as its weights [outputs, inputs, ...] have them
    nn.Conv2d: ("out_channels", "in_channels"),
    nn.Linear: ("out_features", "in_features"),
    nn.BatchNorm1d: ("num_features",),
    nn.BatchNorm2d: ("num_features",),
    nn.PReLU: ("num_parameters",),
}


def save_state(model: nn.Module, path: Path) -> None:
    """Write the state of a network as safetensors, whole or not at all; tied weights once for each of their names."""
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    with store.atomic_file(Path(path)) as temporary:
        save_file(state, temporary)


def load_state(model: nn.Module, path: Path) -> nn.Module:
    """Read a state into a network in place, whose layers become as small as those of the state; returns the network.

    model: the network as it was before filters were removed, with any weights.  Its convolutions, batch norms, PReLUs
    and linear layers take the sizes of the state.  Raises `ValueError` when the state has other layers than it.
    """
    state = load_file(path)
    own = model.state_dict()
    if different := sorted(set(state) ^ set(own)):
        raise ValueError(f"{path} is the state of another network: {different[0]} is in one of the two only")
    for prefix, module in model.named_modules():
        if type(module) not in _SIZES:
            continue
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            wanted = state[f"{prefix}.{name}" if prefix else name].shape
            if tensor.shape != wanted:
                fresh = tensor.new_empty(wanted)
                wishes = tensor.requires_grad
                setattr(module, name, nn.Parameter(fresh, wishes) if isinstance(tensor, nn.Parameter) else fresh)
        groups = (1, getattr(module, "groups", 1))
        sized = module.weight if module.weight is not None else module.running_mean  # a batch norm may have no slopes
        for size, count, times in zip(
            _SIZES[type(module)], () if sized is None else sized.shape, groups, strict=False
        ):
            setattr(module, size, count * times)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit this network: {error}") from error
    return model


def exported(model: nn.Module, images: torch.Tensor) -> torch.export.ExportedProgram:
    """The network in eval mode as a program of torch.export, for any number of images of this size.

    images: float `[images, channels, height, width]`.  `torch.export.save` writes the program to a file.
    """
    still, two = copied(model).eval(), images[:1].repeat(2, 1, 1, 1)  # one image would make the number fixed
    return torch.export.export(still, (two,), dynamic_shapes=({0: torch.export.Dim("images")},))


def to_onnx(model: nn.Module, images: torch.Tensor, path: Path) -> None:
    """Write the network in eval mode as ONNX, input `images`, output `logits`, for any number of images of this size.

    Raises `ImportError`, which says what to install, without the packages of the extra `onnx`.
    """
    optional("onnxscript", "onnx", "export to ONNX")
    program = torch.onnx.export(
        exported(model, images), dynamo=True, input_names=["images"], output_names=["logits"], verbose=False
    )
    with store.atomic_file(Path(path)) as temporary:
        program.save(temporary)
