"""Decoding by counting, for windows that are disjoint or nested, with generic coefficients.

Ranks of a chain of windows of sizes K_1 < K_2 < … obey R_i = min(R_(i-1) + n_i, K_i). So a packet of window s raises
R_s if that is not full, then R_(s+1), and so on while they are not full: one carry bit runs up the chain.

Packed, an integer holds 127 + room of every window in 8-bit fields, so that bit 7 of a field says that there is room. There
the carry bit is that of one addition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.body import body

__all__ = ["packed_open", "packed_take", "rises"]

FLAGS = np.uint64(0x8080808080808080)
SEVEN = np.uint64(7)


@body
def rises(rising: Any, hit: Any, room: Any) -> Any:
    """Return whether a window's rank rises: the one before it rose or the packet is its own, and there is room."""
    return (rising | hit) & (room != 0)


@body
def packed_open(fields: Any, word: Any) -> Any:
    """Return 1 in the field of every window with room; `word`, np.uint32 or np.uint64, is the type of `fields`."""
    return word((fields & word(FLAGS)) >> word(SEVEN))


@body
def packed_take(fields: Any, hit: Any, inner: Any, word: Any) -> Any:
    """Return the fields after a packet of the window that has 1 in `hit`.

    `inner` has bit 7 of every window that another one of its chain follows.
    """
    flags = word(fields & word(FLAGS))
    # A carry from the packet's window passes fields of ones: those with room, up to the end of the chain.
    ones = word(word(flags - word(flags >> word(SEVEN))) | word(flags & inner))
    risen = word(word(word(word(ones + hit) ^ ones) & flags) >> word(SEVEN))
    return word(fields - risen)
