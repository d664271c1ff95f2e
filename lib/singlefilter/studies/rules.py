"""What the claims of all studies share: a rule, a decided claim, and the trend over layers.

Every study has its rules in its own `claims`, written down before any result is looked at.
"""

from dataclasses import dataclass

import numpy as np

TAU = 0.5  # three of four pairs of layers in the claimed order
FEWEST_LAYERS = 3


@dataclass(frozen=True)
class Rule:
    """What is claimed and how it is decided. `direction`: +1 where the quantity should rise with the layer,
    -1 where it should fall; `resampled`: what the bootstrap draws with replacement."""

    claim: str
    statement: str
    quantity: str
    direction: int
    resampled: str
    source: str


@dataclass(frozen=True)
class Claim:
    """A decided claim: `value` is tau with its own sign, `low` and `high` its interval, `n` how many were
    resampled (test images for C1, filters of all layers for C2 and C3); `bar` is what the interval has to clear."""

    claim: str
    statement: str
    statistic: str
    value: float
    low: float
    high: float
    n: int
    verdict: str
    bar: float


def kendall_tau(quantities: np.ndarray) -> np.ndarray:
    """Kendall's tau-a between the order of layers and a quantity: (pairs rising - pairs falling) / pairs.

    `quantities[..., layers]`, real, layers ascending. Returns float64 `[...]` in -1..1. A tie counts as
    neither, two infinities of one sign are a tie; NaN where a layer has no value or there are fewer than two
    layers.
    """
    quantities = np.asarray(quantities, np.float64)
    layers = quantities.shape[-1]
    if layers < 2:
        return np.full(quantities.shape[:-1], np.nan)
    first, second = np.triu_indices(layers, 1)
    earlier, later = quantities[..., first], quantities[..., second]
    tau = ((later > earlier).mean(-1)) - ((later < earlier).mean(-1))
    return np.where(np.isnan(quantities).any(-1), np.nan, tau)
