"""Clipped matrices to try a rule on."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def clipped_matrices(draw, most_filters: int = 6, most_labels: int = 12) -> np.ndarray:
    """Random matrices with their own density and diagonal density a filter, cliques planted in some."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    filters, labels = draw(st.integers(0, most_filters)), draw(st.integers(1, most_labels))
    density = rng.choice([0, 0.1, 0.5, 0.8, 0.95, 1], size=(filters, 1, 1))
    clipped = rng.random((filters, labels, labels)) < density
    diagonal = np.arange(labels)
    kept = rng.random((filters, labels)) < rng.choice([0, 0.3, 0.7, 1], size=(filters, 1))
    clipped[:, diagonal, diagonal] = kept
    for matrix in clipped[::2]:
        members = rng.permutation(labels)[: rng.integers(labels + 1)]
        matrix[np.ix_(members, members)] = True
    return clipped
