"""Applying filter's cluster connections (AFCC): masks from clusters, and the smaller networks they allow.

In the order of use: `masks` say which connections stay, `enforcement` holds them through training, `retraining` and
`masked_heads` train under them, `pruning` does it for a network of one's own (`prune`), `smaller`, `groups`,
`compact_head` and `truncation` make networks that are really smaller, `baselines` are what to compare with, `costs`
counts, `export` writes.  `chain` follows filters from layer to layer, `axes` through what makes maps flat, and
`ownership` says whose weights are a layer's own.  Source: section 8.
"""

from singlefilter.afcc.baselines import at_random, by_group_norm, by_l1, by_score
from singlefilter.afcc.chain import ChainError, convolution_in, convolutions, follow
from singlefilter.afcc.compact_head import CompactHead, compacted
from singlefilter.afcc.costs import Costs, costs
from singlefilter.afcc.enforcement import apply, enforced
from singlefilter.afcc.export import exported, load_state, save_state, to_onnx
from singlefilter.afcc.groups import GroupedConvolution, group_convolutions
from singlefilter.afcc.masked_heads import MaskedHead, correct_answers, retrain_heads
from singlefilter.afcc.masks import (
    CutThrough,
    MaskError,
    convolution_mask,
    covered,
    fresh_weights,
    head_mask,
    kept_fraction,
    kernel_norms,
    magnitude_mask,
    over_positions,
    random_afcc,
    random_mask,
)
from singlefilter.afcc.pruning import Pruned, prune
from singlefilter.afcc.retraining import Diverged, retrain, shortened
from singlefilter.afcc.smaller import compact, remove_filters, without_clusters
from singlefilter.afcc.truncation import truncate

__all__ = [
    "ChainError",
    "CompactHead",
    "Costs",
    "CutThrough",
    "Diverged",
    "GroupedConvolution",
    "MaskError",
    "MaskedHead",
    "Pruned",
    "apply",
    "at_random",
    "by_group_norm",
    "by_l1",
    "by_score",
    "compact",
    "compacted",
    "convolution_in",
    "convolution_mask",
    "convolutions",
    "correct_answers",
    "costs",
    "covered",
    "enforced",
    "exported",
    "follow",
    "fresh_weights",
    "group_convolutions",
    "head_mask",
    "kept_fraction",
    "kernel_norms",
    "load_state",
    "magnitude_mask",
    "over_positions",
    "prune",
    "random_afcc",
    "random_mask",
    "remove_filters",
    "retrain",
    "retrain_heads",
    "save_state",
    "shortened",
    "to_onnx",
    "truncate",
    "without_clusters",
]
