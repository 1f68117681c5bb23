"""Decoding by counting, for windows that are disjoint or nested, with generic coefficients.

Ranks of a chain of windows of sizes K_1 < K_2 < … obey R_i = min(R_(i-1) + n_i, K_i). So a packet of window s raises
R_s if that is not full, and then R_(s+1), and so on while they are not full: one rising bit runs up the chain.
"""

from __future__ import annotations

from typing import Any

from uepgpu_kernels.bodies.body import body

__all__ = ["rises"]


@body
def rises(rising: Any, hit: Any, room: Any) -> Any:
    """Return whether a window's rank rises: the one before it rose or the packet is its own, and there is room."""
    return (rising | hit) & (room != 0)
