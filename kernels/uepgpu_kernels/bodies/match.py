"""Decoding by matching: exact for generic coefficients on any supports of up to 64 sub-products.

The state is a maximum matching between packets and sub-products: `matched` (mask) and `owner[k]`, the support of the
packet matched to X_k. X_k is decoded iff no alternating path from an unmatched sub-product reaches it. A packet whose
support is decoded already adds no rank; any other one can be matched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.bits import bit, lowest
from uepgpu_kernels.bodies.body import body

__all__ = ["match_decoded", "match_take"]

ZERO = np.uint64(0)


@body
def match_take(support: Any, owner: Any, parent: Any, matched: Any) -> Any:
    """Match a packet whose support is not wholly decoded; return the new mask of matched sub-products.

    `owner` (uint64) is the state, `parent` (int64) scratch; both of one entry per sub-product.
    """
    seen = support
    fresh = support
    pending = ZERO
    via = -1
    while True:
        # Note how each sub-product was reached: from the packet itself (-1) or by freeing sub-product `via`.
        rest = fresh
        while rest != ZERO:
            k = lowest(rest)
            rest ^= bit(k)
            parent[k] = via
        if seen & ~matched != ZERO:
            break
        pending |= fresh
        via = lowest(pending)
        pending ^= bit(via)
        fresh = owner[via] & ~seen
        seen |= fresh
    k = lowest(seen & ~matched)
    matched |= bit(k)
    while parent[k] >= 0:
        owner[k] = owner[parent[k]]
        k = parent[k]
    owner[k] = support
    return matched


@body
def match_decoded(owner: Any, matched: Any, decoded: Any, everything: Any) -> Any:
    """Return the mask of decoded sub-products, given the mask before the last packet."""
    open_ = everything & ~matched
    rest = matched & ~decoded
    grew = True
    while grew and rest != ZERO:
        grew = False
        look = rest
        while look != ZERO:
            k = lowest(look)
            look ^= bit(k)
            if owner[k] & open_ != ZERO:
                open_ |= bit(k)
                rest ^= bit(k)
                grew = True
    return decoded | rest
