"""The sorting network by which packets are put in order of arrival."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["merge_exchange"]


def merge_exchange(n: int) -> NDArray[np.int64]:
    """Return the comparators of Batcher's merge-exchange network for n keys (Knuth vol. 3, algorithm 5.2.2M), shape (m, 2)."""
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    top = 1
    while 2 * top < n:
        top *= 2
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            i = np.arange(max(n - d, 0))
            i = i[(i & p) == r]
            pairs.append(np.stack([i, i + d], axis=1))
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    return np.concatenate(pairs)
