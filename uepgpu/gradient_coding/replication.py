"""How many servers hold each block: replication numbers, the law that they induce, and its distance from the wanted one."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import flag, integer, integer_array, probability_vector, shown

__all__ = ["distortion", "induced_law", "replication_numbers"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIGITS = 9
MOST_REPLICAS = 2**40
"""Sums of so many blocks stay within 64 bits."""
"""Gains are compared to so many digits, so that the last bit of a score does not decide who gets a server."""


def replication_numbers(law: Any, servers: int, *, every_block: bool = True) -> Ints:
    """Return integers r that sum to R and minimise ‖Π − r/R‖₁ (docs/mathematics.md §8).

    Servers go one by one to the block that gains most, which is optimal because the distance is a sum of convex functions of
    one r_ι each. Ties go to the lower block number.

    Parameters
    ----------
    law : array_like of float, shape (K,)
        Π.
    servers : int
        R >= 1, and >= K where every block is to be held.
    every_block : bool
        Whether each block is to be held at least once. If not, a block may get no server, and its gradient is never received.

    Returns
    -------
    (K,) int64

    Examples
    --------
    >>> replication_numbers([0.7, 0.2, 0.1], 10).tolist()
    [7, 2, 1]
    >>> replication_numbers([0.98, 0.01, 0.01], 5).tolist(), replication_numbers([0.98, 0.01, 0.01], 5, every_block=False).tolist()
    ([3, 1, 1], [5, 0, 0])
    """
    wanted = np.asarray(probability_vector("law", law))
    total = integer("servers", servers, 1)
    least = 1 if flag("every_block", every_block) else 0
    if total < least * wanted.size:
        raise ValueError(
            f"servers must be at least the {wanted.size} blocks where every block is to be held once, got {total}: "
            "use more servers, fewer blocks or every_block=False"
        )
    r = np.full(wanted.size, least, dtype=np.int64)
    share = wanted / wanted.sum() * total

    def loss(k: int) -> float:
        """Return how much the distance grows with one more server for block k, the negative of the gain."""
        return round(abs(float(share[k] - r[k] - 1)) - abs(float(share[k] - r[k])), DIGITS)

    heap = [(loss(k), k) for k in range(wanted.size)]
    heapq.heapify(heap)
    for _ in range(total - int(r.sum())):
        _, k = heap[0]
        r[k] += 1
        heapq.heapreplace(heap, (loss(k), k))
    return r


def induced_law(replicas: Any) -> Floats:
    """Return Π̃ = r/R, the law of the block of a uniformly chosen server.

    Examples
    --------
    >>> induced_law([3, 1]).tolist()
    [0.75, 0.25]
    """
    r = integer_array("replicas", replicas)
    if r.ndim != 1 or np.any(r < 0) or r.max() == 0 or r.max() > MOST_REPLICAS:
        raise ValueError(f"replicas must be one number of servers >= 0 for each block, not all 0, got {shown(replicas)}")
    return np.asarray(r / r.sum())


def distortion(law: Any, replicas: Any) -> float:
    """Return ‖Π − r/R‖₁.

    Examples
    --------
    >>> round(distortion([0.7, 0.3], [3, 1]), 3)
    0.1
    """
    wanted, induced = np.array(probability_vector("law", law)), induced_law(replicas)
    if wanted.shape != induced.shape:
        raise ValueError(f"law and replicas must be of the same blocks, got {wanted.size} and {induced.size} of them")
    return float(np.abs(wanted - induced).sum())
