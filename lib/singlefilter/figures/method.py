"""Pictures of the method itself, which belong to no run: drawn by code into `figures/method/`.

`python -m singlefilter.figures.method` draws them again.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from singlefilter import drawing as look
from singlefilter import store
from singlefilter.studies.layers import architectures, procedure
from singlefilter.studies.pruning import schematic


@dataclass(frozen=True)
class Picture:
    """What draws it, and what one sees in it, for who cannot."""

    draw: Callable[[], Figure]
    alt: str


PICTURES = {
    "procedure": Picture(
        procedure.procedure,
        "Eight steps: train the network, cut it after layer m, freeze the trunk, train a linear head on its maps, "
        "silence all filters but one, average each output over the images of each label, keep what is above 0.3, "
        "and gather labels into clusters.",
    ),
    "vgg16": Picture(
        architectures.vgg16,
        "The 13 convolutions of VGG-16 as blocks, as high as the side of their map and as wide as their number of "
        "filters, red lines where the map has just become smaller, and three fully connected layers.",
    ),
    "efficientnet_b0": Picture(
        architectures.efficientnet_b0,
        "The nine layers of EfficientNet-B0, a convolution, seven stages and a convolution, as blocks as high as the "
        "side of their map and as wide as their number of filters, with red lines where the map became smaller.",
    ),
    "afcc": Picture(
        schematic.afcc,
        "Four panels of connections: all of a head, those that AFCC keeps of it, all kernels between two layers, and "
        "those that AFCC keeps of these.",
    ),
}


def write(folder: Path | str) -> list[Path]:
    """Draw every picture as .png (200 dpi) and .svg into a folder; their paths. The bytes are always the same."""
    written = []
    for name, picture in PICTURES.items():
        fig = picture.draw()
        for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
            drawing = io.BytesIO()
            with look.style():
                fig.savefig(drawing, format=ending[1:], dpi=200, metadata=metadata)
            with store.atomic_file(path := Path(folder) / f"{name}{ending}") as temporary:
                temporary.write_bytes(drawing.getvalue())
            written.append(path)
    return written


if __name__ == "__main__":
    print(*write(store.project_root() / "figures" / "method"), sep="\n")
