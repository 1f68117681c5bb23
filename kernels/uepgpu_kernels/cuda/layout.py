"""Where entries of rows lie for lanes of a warp that eliminate together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import stage

__all__ = ["MISSING", "TOGETHER", "WARP", "Layout", "at_once", "layout_of", "place_start", "scratch_of"]

WARP = 32
TOGETHER = 4
"""Rows that a loop takes at a time."""
MISSING = TOGETHER - 1
ZERO32 = np.uint32(0)


class Layout(NamedTuple):
    """Where the entries of one realization's rows lie: entry r of place p at ``start(p) + r·step``."""

    groups: int  # realizations that a warp decodes at once
    pitch: int  # distance between places whose entries lie in one line
    step: int  # distance between rows
    size: int  # of one realization

    def bytes(self, width: int) -> int:
        """Return the bytes of a block's rows, of elements so wide."""
        return self.groups * self.size * width


def layout_of(k: int, targets: int, lanes: int, near: bool) -> Layout:
    """Return the layout of K columns, and sums that are rows without a pivot.

    A place p has entries of rows until it is a pivot's or moves away, K - 1 - p at most, and one for each sum. Rows are taken four
    at a time, so there is room for the three that may be missing. In shared memory places p and K - 1 - p share a line; an odd
    pitch, and realizations that lie apart by as much as their lanes, let no two lanes meet in one bank. In global memory lanes lie
    side by side.
    """
    if not near:
        return Layout(WARP // lanes, 0, k, (targets + k + MISSING) * k)
    pitch = (k - 1 + 2 * (targets + MISSING)) | 1
    size = -(-k // 2) * pitch
    return Layout(WARP // lanes, pitch, 1, size + (lanes * pitch - size) % WARP)


def place_start(layout: Layout, k: int, n_targets: int) -> Any:
    """Return the step ``(p) -> where the entries of place p begin`` among those of a realization."""
    halves = np.uint32(-(-k // 2))
    last, pitch = np.uint32(k - 1), np.uint32(layout.pitch)
    room = np.uint32(n_targets + MISSING)
    folded = layout.step == 1

    @stage
    def start(p: Any) -> Any:
        if folded:
            line = p if p < halves else np.uint32(last - p)
            return np.uint32(np.uint32(line * pitch) + (ZERO32 if p < halves else np.uint32(p + room)))
        return p

    return start


def at_once(shape: Shape) -> int:
    """Return how many realizations a block decodes at once."""
    return WARP // shape.lanes


def scratch_of(shape: Shape, blocks: int) -> int:
    """Return how many entries of `record` so many blocks need for rows that do not lie in shared memory."""
    if shape.nest != "warped" or shape.near:
        return 0
    layout = layout_of(shape.k, shape.targets, shape.lanes, near=False)
    return blocks * layout.groups * layout.size
