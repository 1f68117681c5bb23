"""What tallies are made of once realizations are counted: class patterns from transitions, undecoded from decoding times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["patterns_of", "undecoded"]

Ints = NDArray[np.int64]


def patterns_of(transitions: Ints, size: int, n_times: int, n_classes: int) -> Ints:
    """Return class patterns (…, T, 2^L) from the transitions (…, (T + 1)·2^L·L) of `size` realizations."""
    moves = transitions.reshape(*transitions.shape[:-1], n_times + 1, 1 << n_classes, n_classes)[..., :n_times, :, :]
    change = -moves.sum(axis=-1)
    patterns = np.arange(1 << n_classes)
    for c in range(n_classes):
        without = patterns[patterns >> c & 1 == 0]
        change[..., without | (1 << c)] += moves[..., without, c]
    change[..., 0, 0] += size
    return np.cumsum(change, axis=-2)


def undecoded(earliest: Ints, size: int) -> Ints:
    """Return how many of `size` realizations were undecoded at each time (T, P), from how many were decoded at it (T, P)."""
    np.cumsum(earliest, axis=0, out=earliest)
    np.subtract(size, earliest, out=earliest)
    return earliest
