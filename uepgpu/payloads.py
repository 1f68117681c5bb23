"""The faithful path: encoded factors of every packet, multiplied as its worker would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.coefficients import Packets
from uepgpu.partition import Partition
from uepgpu.plan import Plan
from uepgpu.stage_clock import Clock
from uepgpu_kernels import dense

__all__ = ["Blocks", "faithful_payloads"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of both factors, padded with zeros to one size.

    Attributes
    ----------
    left : (N, u, h) or (M, U, h) float64
    right : (P, h, q) or (M, h, Q) float64
    heights, widths : list of int
        True sizes of the tiles of C; one of each for cxr.
    """

    left: Floats
    right: Floats
    heights: list[int]
    widths: list[int]

    @classmethod
    def of(cls, part: Partition) -> Blocks:
        """Cut and pad a partition's matrices."""
        m = part.matrices
        assert m is not None
        rows, cols = np.diff(m.left_bounds).tolist(), np.diff(m.right_bounds).tolist()
        if part.paradigm == "rxc":
            left = _cut(m.left, m.left_bounds)
            right = _cut(m.right.T, m.right_bounds).transpose(0, 2, 1)
            return cls(left, np.ascontiguousarray(right), rows, cols)
        left = _cut(m.left.T, m.left_bounds).transpose(0, 2, 1)
        return cls(np.ascontiguousarray(left), _cut(m.right, m.right_bounds), [m.left.shape[0]], [m.right.shape[1]])


def _cut(matrix: Floats, bounds: Ints) -> Floats:
    """Cut rows at `bounds` and pad every block to the tallest."""
    blocks = np.zeros((bounds.size - 1, int(np.diff(bounds).max()), matrix.shape[1]))
    for block, start, stop in zip(blocks, bounds[:-1], bounds[1:], strict=True):
        block[: stop - start] = matrix[start:stop]
    return blocks


def faithful_payloads(
    part: Partition,
    plan: Plan,
    packets: Packets,
    blocks: Blocks,
    dtype: str,
    noise: float,
    memory: int,
    first: int,
    clock: Clock,
) -> NDArray[Any]:
    """Return the payloads of all packets that arrived, zero for the others, shape (R, W, a, b) in `dtype`.

    Encoding is one matrix product per factor for all packets of a slice; times are added to `clock`.
    """
    count, n, _ = packets.coefficients.shape
    a, b = (blocks.left.shape[1], blocks.right.shape[2])
    payloads = np.zeros((count, n, a, b), dtype=dtype)
    stacked = plan.law.encoding in ("stacked", "windows", "generator") or part.paradigm == "cxr"
    jobs = _stacked_jobs(part, packets) if stacked else _paired_jobs(part, packets)
    for where, left, right, members in jobs:
        each = 8 * (blocks.left[0].size + blocks.right[0].size) * (left.shape[1] if members is None else members[0].size)
        step = max(1, memory // (4 * each))
        for start in range(0, len(where[0]), step):
            cut = slice(start, start + step)
            at = (where[0][cut], where[1][cut])
            payloads[at] = _work(blocks, left[cut], None if right is None else right[cut], members, dtype, clock)
    if noise > 0:
        _add_noise(payloads, packets, noise, int(plan.job.seed), first)
    return payloads


_Job = tuple[tuple[Ints, Ints], Floats, Floats | None, tuple[Ints, Ints] | None]
"""Packets (realization, worker); coefficients of their pairs (F, r, N) and (F, r, P), or of the sub-products (F, n) whose blocks
are the last entry."""


def _which(packets: Packets) -> tuple[Ints, Ints]:
    realization, worker = np.nonzero(packets.arrived)
    return realization.astype(np.int64), worker.astype(np.int64)


def _paired_jobs(part: Partition, packets: Packets) -> list[_Job]:
    """Packets as sums of r products of encoded blocks, grouped by r; a free packet's pairs are the SVD of its coefficients."""
    where = _which(packets)
    if packets.left is not None and packets.right is not None:
        return [(where, packets.left[where][:, None], packets.right[where][:, None], None)]
    u, s, v = np.linalg.svd(packets.coefficients[where].reshape(-1, *part.shape), full_matrices=False)
    rank = (s > 1e-12 * s[:, :1]).sum(axis=1)
    jobs: list[_Job] = []
    for r in sorted(set(rank.tolist())):
        mine = rank == r
        left = (u[mine, :, :r] * s[mine, None, :r]).transpose(0, 2, 1)
        jobs.append(((where[0][mine], where[1][mine]), left, v[mine, :r], None))
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
        jobs.append((at, packets.coefficients[at][:, members], None, of))
    return jobs


def _work(
    blocks: Blocks, left: Floats, right: Floats | None, members: tuple[Ints, Ints] | None, dtype: str, clock: Clock
) -> NDArray[Any]:
    # NumPy multiplies float16 without BLAS and rounds every partial sum; devices sum such products in float32.
    within = np.float32 if dtype == "float16" else dtype
    with np.errstate(over="ignore", invalid="ignore"):
        with clock("encode"):
            if right is None:
                assert members is not None
                wide, tall = dense.stack(np, left, blocks.left[members[0]], blocks.right[members[1]])
            else:
                f, r, _ = left.shape
                wide = dense.encode(np, left.reshape(f * r, -1), blocks.left).reshape(f, r, *blocks.left.shape[1:])
                tall = dense.encode(np, right.reshape(f * r, -1), blocks.right).reshape(f, r, *blocks.right.shape[1:])
            wide, tall = (x.astype(dtype, copy=False).astype(within, copy=False) for x in (wide, tall))
        with clock("multiply"):
            payload: NDArray[Any] = np.matmul(wide, tall) if right is None else dense.multiply(np, wide, tall)
            return payload.astype(dtype, copy=False)


def _add_noise(payloads: NDArray[Any], packets: Packets, noise: float, seed: int, first: int) -> None:
    """Add normal noise relative to each payload's root mean square, from a generator per realization."""
    for r, arrived in enumerate(packets.arrived):
        rng = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, first + r]))
        drawn = rng.standard_normal(payloads.shape[1:])
        scale = noise * np.sqrt(np.mean(payloads[r].astype(np.float64) ** 2, axis=(1, 2), keepdims=True))
        payloads[r] += (drawn * scale * arrived[:, None, None]).astype(payloads.dtype)
