"""The counts of a tally as a small blob with a checksum, and back."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from uepgpu.partition.importance import MAX_CLASSES
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["CountsError", "pack", "unpack"]

Ints = NDArray[np.int64]
WIDTHS = (1, 2, 4, 8)
"""Bytes of a counter."""
MOST_SIZE = 2**20
"""Times and sub-products are no more than this."""


class CountsError(ValueError):
    """A blob that is not what was stored."""


def widths(kind: str, classes: int, subproducts: int) -> tuple[int, ...]:
    """Return how many counters each array has per sub-batch and time: class patterns, then what `kind` adds."""
    return (1 << classes,) if kind == "patterns" else (1 << classes, subproducts * (subproducts + 1) // 2)


def pack(patterns: Ints, pairs: Ints | None) -> tuple[bytes, int]:
    """Return the counts of a tally as a blob, and its checksum.

    A blob is a byte that says the width of the integers and then, compressed, the counters of all arrays.
    """
    arrays = [patterns] if pairs is None else [patterns, pairs]
    flat = np.concatenate([a.ravel() for a in arrays])
    width = next(w for w in WIDTHS if int(flat.max()) < 1 << (8 * w - (w == 8)))
    blob = bytes([width]) + zlib.compress(flat.astype(f"<u{width}").tobytes(), 1)
    return blob, zlib.crc32(blob)


def unpack(blob: bytes, checksum: int, kind: str, shape: tuple[int, int, int], realizations: int) -> tuple[Ints, Ints | None]:
    """Return class patterns (32, T, 2^L) and pairs (32, T, K(K+1)/2), None where there are none.

    Raises
    ------
    CountsError
        If the checksum, the size or the number of realizations is not right.
    """
    times, classes, subproducts = shape
    if zlib.crc32(blob) != checksum:
        raise CountsError("the checksum of its counts is wrong")
    if not (blob and blob[0] in WIDTHS and 0 < times <= MOST_SIZE and 0 < classes <= MAX_CLASSES and 0 < subproducts <= MOST_SIZE):
        raise CountsError("its counts have an impossible shape")
    sizes = [SUB_BATCHES * times * w for w in widths(kind, classes, subproducts)]
    try:
        # No more than is expected: a few bytes may unpack to more than the memory holds.
        raw = zlib.decompressobj().decompress(blob[1:], sum(sizes) * blob[0] + 1)
        flat = np.frombuffer(raw, dtype=f"<u{blob[0]}").astype(np.int64)
    except (zlib.error, ValueError):
        raise CountsError("its counts cannot be unpacked") from None
    if flat.size != sum(sizes):
        raise CountsError(f"it has {flat.size} counters instead of {sum(sizes)}")
    patterns = flat[: sizes[0]].reshape(SUB_BATCHES, times, -1)
    if np.any(patterns.sum(axis=(0, 2)) != realizations):
        raise CountsError("its counts do not add up to its realizations")
    return patterns, flat[sizes[0] :].reshape(SUB_BATCHES, times, -1) if len(sizes) > 1 else None
