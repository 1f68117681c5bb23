"""The counts of a tally, or of trajectories, as a small blob with a checksum, and back.

Of trajectories the tallies of all rounds stand one after another along the time axis, round by round.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu.partition.importance import MAX_CLASSES
from uepgpu.tally import Tally, Trajectories
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["Counters", "CountsError", "counters_of", "kind_of", "pack", "unpack"]

Ints = NDArray[np.int64]
WIDTHS = (1, 2, 4, 8)
"""Bytes of a counter."""
MOST_SIZE = 2**20
"""Times and sub-products are no more than this."""


class CountsError(ValueError):
    """A blob that is not what was stored."""


ROUNDS = "squares of rounds "


class Counters(NamedTuple):
    """The arrays of a tally or of trajectories."""

    patterns: Ints  # (32, T, 2^L)
    pairs: Ints | None = None  # (32, T, K(K+1)/2)
    squares: Ints | None = None  # (32, T / rounds, E(E+1)/2)

    def plus(self, other: Counters) -> Counters:
        """Return the sums of arrays."""
        more = [None if a is None or b is None else a + b for a, b in zip(self[1:], other[1:], strict=True)]
        return Counters(self.patterns + other.patterns, *more)


def kind_of(kind: str, rounds: int | None) -> str:
    """Return what a store calls what is counted: `kind` of a tally, or how many rounds have squares besides patterns."""
    return f"{ROUNDS}{rounds}" if rounds is not None and kind == "patterns" else kind


def counters_of(tally: Tally | Trajectories) -> Counters:
    """Return the arrays of what was simulated.

    Raises
    ------
    ValueError
        Trajectories of a code that decodes class by class lack squares.
    """
    if isinstance(tally, Tally):
        return Counters(tally.patterns, tally.pairs)
    if tally.class_wise and tally.squares is None:
        raise ValueError(
            f"backend={tally.backend!r} does not count squares of rounds, which a store keeps: give 'numba' or 'numpy'"
        )
    pairs = [one.pairs for one in tally if one.pairs is not None]
    patterns = np.concatenate([one.patterns for one in tally], axis=1)
    return Counters(patterns, np.concatenate(pairs, axis=1) if pairs else None, tally.squares)


def sizes(kind: str, times: int, classes: int, subproducts: int) -> dict[str, tuple[int, int]]:
    """Return how many times and counters each array has: class patterns, then what `kind` adds."""
    found = {"patterns": (times, 1 << classes)}
    if kind.startswith(ROUNDS):
        events, rounds = classes * (classes + 1) // 2, kind.removeprefix(ROUNDS)
        if not rounds.isdigit() or not 0 < int(rounds) <= times or times % int(rounds):
            raise CountsError("its counts have an impossible shape")
        return found | {"squares": (times // int(rounds), events * (events + 1) // 2)}
    return found if kind == "patterns" else found | {"pairs": (times, subproducts * (subproducts + 1) // 2)}


def pack(counters: Counters) -> tuple[bytes, int]:
    """Return counts as a blob, and its checksum.

    A blob is a byte that says the width of the integers and then, compressed, the counters of all arrays.
    """
    flat = np.concatenate([a.ravel() for a in counters if a is not None])
    width = next(w for w in WIDTHS if int(flat.max()) < 1 << (8 * w - (w == 8)))
    blob = bytes([width]) + zlib.compress(flat.astype(f"<u{width}").tobytes(), 1)
    return blob, zlib.crc32(blob)


def unpack(blob: bytes, checksum: int, kind: str, shape: tuple[int, int, int], realizations: int) -> Counters:
    """Return the arrays of a blob; `shape` is (T, L, K).

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
    shapes = {name: (SUB_BATCHES, *size) for name, size in sizes(kind, *shape).items()}
    total = sum(a * b * c for a, b, c in shapes.values())
    try:
        # No more than is expected: a few bytes may unpack to more than the memory holds.
        raw = zlib.decompressobj().decompress(blob[1:], total * blob[0] + 1)
        flat = np.frombuffer(raw, dtype=f"<u{blob[0]}").astype(np.int64)
    except (zlib.error, ValueError):
        raise CountsError("its counts cannot be unpacked") from None
    if flat.size != total:
        raise CountsError(f"it has {flat.size} counters instead of {total}")
    ends = np.cumsum([a * b * c for a, b, c in shapes.values()])[:-1]
    counters = Counters(**{name: part.reshape(shapes[name]) for name, part in zip(shapes, np.split(flat, ends), strict=True)})
    if np.any(counters.patterns.sum(axis=(0, 2)) != realizations):
        raise CountsError("its counts do not add up to its realizations")
    return counters
