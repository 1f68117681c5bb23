"""The faithful path: encoded factors of every packet, multiplied as its worker would."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import Place
from uepgpu.partition import Partition
from uepgpu.products.coefficients import Packets
from uepgpu.products.stage_clock import Clock
from uepgpu_kernels.dense import products as dense

__all__ = ["FactorBlocks", "faithful_payloads"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLICE_BYTES = 16 * 2**20
"""Encoded factors that the host forms at once. Larger arrays are mapped anew by the allocator every time, and page faults then
cost as much as encoding."""


@dataclass(frozen=True, eq=False)
class FactorBlocks:
    """The blocks of both factors, padded with zeros to one size; arrays of the namespace that they were put in.

    Attributes
    ----------
    left : (N, h, u) or (M, h, U) float64
        Transposed: contiguous, so that encoded pairs lie one after the other along the axis that is summed over.
    right : (P, h, q) or (M, h, Q) float64
    heights, widths : list of int
        True sizes of the tiles of C; one of each for cxr.
    """

    left: Any
    right: Any
    heights: list[int]
    widths: list[int]

    @classmethod
    def of(cls, part: Partition, xp: Any) -> FactorBlocks:
        """Cut and pad a partition's matrices."""
        m = part.matrices
        assert m is not None
        if part.paradigm == "rxc":
            left = _cut(m.left, m.left_bounds).transpose(0, 2, 1)
            right = _cut(m.right.T, m.right_bounds).transpose(0, 2, 1)
            heights, widths = np.diff(m.left_bounds).tolist(), np.diff(m.right_bounds).tolist()
        else:
            left, right = _cut(m.left.T, m.left_bounds), _cut(m.right, m.right_bounds)
            heights, widths = [m.left.shape[0]], [m.right.shape[1]]
        return cls(xp.asarray(np.ascontiguousarray(left)), xp.asarray(np.ascontiguousarray(right)), heights, widths)

    def crops(self) -> list[tuple[Ints, int, int]]:
        """Return the tiles of each true size with that size, the padded size first; for cxr the whole of C as one tile.

        What stands in the padding of a tile is no part of Ĉ: noise falls there, and estimates from larger tiles.
        """
        of_size: dict[tuple[int, int], list[int]] = {}
        for tile, size in enumerate(itertools.product(self.heights, self.widths)):
            of_size.setdefault(size, []).append(tile)
        return [(np.array(tiles), *size) for size, tiles in of_size.items()]


def _cut(matrix: Floats, bounds: Ints) -> Floats:
    """Cut rows at `bounds` and pad every block to the tallest."""
    blocks = np.zeros((bounds.size - 1, int(np.diff(bounds).max()), matrix.shape[1]))
    for block, start, stop in zip(blocks, bounds[:-1], bounds[1:], strict=True):
        block[: stop - start] = matrix[start:stop]
    return blocks


@dataclass(frozen=True, eq=False)
class _Job:
    """Packets whose workers do the same amount of work.

    Attributes
    ----------
    realization, worker : (F,) int64
    left : (F, r, N), coefficients of the left blocks in each of r pairs; or (F, n), those of the sub-products.
    right : (F, r, P), or None for stacked packets.
    members : the left and the right block of each of the n sub-products, or None.
    """

    realization: Ints
    worker: Ints
    left: Floats
    right: Floats | None
    members: tuple[Ints, Ints] | None

    def cut(self, some: slice) -> _Job:
        """Return some of the packets."""
        right = None if self.right is None else self.right[some]
        return _Job(self.realization[some], self.worker[some], self.left[some], right, self.members)


def faithful_payloads(
    part: Partition, packets: Packets, encoding: str, blocks: FactorBlocks, dtype: str, memory: int, place: Place, clock: Clock
) -> tuple[Any, Floats]:
    """Return the payloads of the packets that arrived, in order of workers, shape (R, M, a, b) in `dtype`, where blocks live.

    M is the most that arrived in a realization; what others have less of is zero and comes last. Also what a realization's
    packet lost at most when its factors were put into `dtype`, relative to itself, (R,): rounding, or more where they underflow.
    Encoding is one matrix product per factor for all packets of a slice; times are added to `clock`.
    """
    xp = place.xp
    stacked = encoding in ("stacked", "windows", "generator") or part.paradigm == "cxr"
    jobs = _stacked_jobs(part, packets) if stacked else _paired_jobs(part, packets)
    place_of = np.cumsum(packets.arrived, axis=1) - 1
    payloads = xp.zeros((len(place_of), int(place_of.max()) + 1, blocks.left.shape[2], blocks.right.shape[2]), dtype=dtype)
    lost = np.zeros(len(place_of))
    most = memory // 4 if place.on_device else min(memory // 4, SLICE_BYTES)
    for job in jobs:
        # A stacked packet encodes its left factor only; pairs take both, the larger of which is to fit in a slice.
        largest = blocks.left[0].size if job.right is None else max(blocks.left[0].size, blocks.right[0].size)
        each = 8 * largest * job.left.shape[1]
        step = max(1, most // each)
        for start in range(0, job.realization.size, step):
            some = job.cut(slice(start, start + step))
            at = (xp.asarray(some.realization), xp.asarray(place_of[some.realization, some.worker]))
            payloads[at], share = _work(some, blocks, dtype, place, clock)
            np.maximum.at(lost, some.realization, share)
    return payloads, lost


def _which(packets: Packets) -> tuple[Ints, Ints]:
    realization, worker = np.nonzero(packets.arrived)
    return realization.astype(np.int64), worker.astype(np.int64)


def _paired_jobs(part: Partition, packets: Packets) -> list[_Job]:
    """Packets as sums of r products of encoded blocks, grouped by r; a free packet's pairs are the SVD of its coefficients."""
    at = _which(packets)
    if packets.left is not None and packets.right is not None:
        return [_Job(*at, packets.left[at][:, None], packets.right[at][:, None], None)]
    u, s, v = np.linalg.svd(packets.coefficients[at].reshape(-1, *part.shape), full_matrices=False)
    rank = (s > 1e-12 * s[:, :1]).sum(axis=1)
    jobs: list[_Job] = []
    for r in sorted(set(rank.tolist())):
        mine = rank == r
        left = (u[mine, :, :r] * s[mine, None, :r]).transpose(0, 2, 1)
        jobs.append(_Job(at[0][mine], at[1][mine], left, v[mine, :r], None))
    return jobs


def _stacked_jobs(part: Partition, packets: Packets) -> list[_Job]:
    """Packets as one product of concatenated blocks, grouped by support."""
    where = _which(packets)
    supports, group = np.unique(packets.support[where], axis=0, return_inverse=True)
    jobs: list[_Job] = []
    for s, support in enumerate(supports):
        mine = group.ravel() == s
        members = np.flatnonzero(support)
        of = (members // part.shape[1], members % part.shape[1]) if part.paradigm == "rxc" else (members, members)
        at = (where[0][mine], where[1][mine])
        jobs.append(_Job(*at, packets.coefficients[at][:, members], None, of))
    return jobs


def _work(job: _Job, blocks: FactorBlocks, dtype: str, place: Place, clock: Clock) -> tuple[Any, Floats]:
    """Encode and multiply packets: their payloads (F, a, b), and what factors lost when they were put into `dtype` (F,)."""
    xp = place.xp
    # NumPy multiplies float16 without BLAS and rounds every partial sum; devices sum such products in float32.
    within = np.float32 if dtype == "float16" and not place.on_device else dtype
    with np.errstate(over="ignore", invalid="ignore"):
        with clock("encode"):
            left = xp.asarray(np.ascontiguousarray(job.left))
            if job.members is not None:
                of_left, of_right = (xp.asarray(x) for x in job.members)
                exact = dense.stack(xp, left, blocks.left[of_left], blocks.right[of_right])
            else:
                right = xp.asarray(np.ascontiguousarray(job.right))
                exact = _pairs(xp, left, blocks.left), _pairs(xp, right, blocks.right)
            held = [x.astype(dtype, copy=False) for x in exact]
            lost = np.zeros(len(job.left)) if dtype == "float64" else place.to_host(_lost(xp, *exact, *held))
            wide, tall = (x.astype(within, copy=False) for x in held)
        with clock("multiply"):
            return dense.multiply(xp, wide, tall).astype(dtype, copy=False), lost


def _lost(xp: Any, wide: Any, tall: Any, held_wide: Any, held_tall: Any) -> Any:
    """Return how far the products of held factors can be from those of exact ones, relative to these, (F,).

    Norms of the rows along the axis that is summed over: a row that is lost matters by what its partner would have made of it.
    An overflow counts as 0: payloads show it.
    """
    sides = []
    for exact, held in ((wide, held_wide), (tall, held_tall)):
        largest = xp.max(xp.abs(exact), axis=(-2, -1), keepdims=True)
        largest = xp.where(largest > 0, largest, 1.0)  # squares of entries near the ends of float64 would leave it
        sides.append([xp.sum((x / largest) ** 2, axis=-1) for x in (exact, exact - held)])
    (left, left_lost), (right, right_lost) = sides
    whole = xp.sum(left * right, axis=-1)
    share = xp.sum(left_lost * right + left * right_lost, axis=-1) / xp.where(whole > 0, whole, 1.0)
    return xp.sqrt(xp.where(xp.isfinite(share), share, 0.0))


def _pairs(xp: Any, coefficients: Any, blocks: Any) -> Any:
    """Encode the r factors of each packet, (F, r, n) coefficients, and lay them one after the other: (F, r h, a)."""
    f, r, n = coefficients.shape
    return dense.encode(xp, coefficients.reshape(f * r, n), blocks).reshape(f, r * blocks.shape[1], blocks.shape[2])
