"""Philox4x32-10 in words of 32 bits: the body's arithmetic, with products as a device has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.philox import M0, M1, MASK, SHIFT, W0, W1
from uepgpu_kernels.cuda.product import wide_product
from uepgpu_kernels.cuda.stage import stage

__all__ = ["philox"]

FIRST, SECOND = np.uint32(M0), np.uint32(M1)


@stage
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Return the four words of one block; counter, key and words are uint32."""
    for _ in range(10):
        p0 = wide_product(FIRST, c0)
        p1 = wide_product(SECOND, c2)
        c0 = np.uint32(np.uint32(np.uint32(p1 >> SHIFT) ^ c1) ^ k0)
        c2 = np.uint32(np.uint32(np.uint32(p0 >> SHIFT) ^ c3) ^ k1)
        c1 = np.uint32(p1 & MASK)
        c3 = np.uint32(p0 & MASK)
        k0 = np.uint32((np.uint64(k0) + W0) & MASK)
        k1 = np.uint32((np.uint64(k1) + W1) & MASK)
    return c0, c1, c2, c3
