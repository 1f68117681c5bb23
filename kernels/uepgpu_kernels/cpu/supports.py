"""Supports of the packets of a tile: as masks where K <= 64, as lists of members for any K."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.bodies.bits import bit
from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32
from uepgpu_kernels.bodies.sample import below, draw_subset
from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.cpu.draw import draw_block
from uepgpu_kernels.job import Job
from uepgpu_kernels.streams import NUMBERED, SUPPORTS

__all__ = ["Supports", "draw_masks", "list_members", "supports_of"]

ZERO = np.uint64(0)


class Supports(NamedTuple):
    """Tables of supports."""

    mask: NDArray[np.uint64]  # by window; where numbered supports are drawn, by size and number; empty above K = 64
    start: NDArray[np.int64]  # (S + 1,) where windows' members begin; where numbered supports are drawn, where degrees' masks do
    member: NDArray[np.int32]  # members of windows, one window after the other


def supports_of(job: Job) -> Supports:
    """Return the tables of a job."""
    if not job.degree.size:
        start = np.append(0, np.cumsum(job.support.sum(axis=1, dtype=np.int64)))
        return Supports(job.mask, start, np.nonzero(job.support)[1].astype(np.int32))
    none = np.zeros(0, dtype=np.int32)
    if job.k > NUMBERED:
        return Supports(np.zeros(0, dtype=np.uint64), np.zeros(1, dtype=np.int64), none)
    by_size = [[sum(1 << i for i in chosen) for chosen in itertools.combinations(range(job.k), d)] for d in range(job.k + 1)]
    begins = np.append(0, np.cumsum([math.comb(job.k, d) for d in range(job.k + 1)]))
    start = np.stack([begins[job.degree], begins[job.degree + 1]], axis=1).ravel().astype(np.int64)
    return Supports(np.array(list(itertools.chain.from_iterable(by_size)), dtype=np.uint64), start, none)


@stage
def draw_masks(job: Any, first: Any, stride: Any, tables: Any, words: Any, marks: Any, window: Any, out: Any) -> None:
    """Write the mask of every packet (W, lanes) uint64, K <= 64; `marks` (K + 3,) uint64 is scratch."""
    lanes = out.shape[1]
    drawn = job.degree.shape[0] > 0
    for w in range(job.n_packets):
        if not drawn:
            for lane in range(lanes):
                out[w, lane] = tables.mask[window[w, lane]]
        elif job.k <= NUMBERED:
            if w % 4 == 0:
                draw_block(words, job.seed, first, stride, w // 4, SUPPORTS)
            for lane in range(lanes):
                s = np.intp(window[w, lane])
                begin = tables.start[2 * s]
                size = np.uint64(tables.start[2 * s + 1] - begin)
                out[w, lane] = tables.mask[begin + np.intp(below(np.uint64(words[w % 4, lane]), size))]
        else:
            for lane in range(lanes):
                realization = first + stride * np.uint64(lane)
                out[w, lane] = draw_subset(marks, job.seed, realization, w, job.degree[window[w, lane]], job.k)


@stage
def list_members(job: Any, realization: Any, tables: Any, packet: Any, window: Any, drawn: Any, stamp: Any, members: Any) -> Any:
    """Write the members of a packet's support and return their number.

    `drawn` (K,) int64 marks with `stamp`, which no other packet has, what Floyd's method has drawn.
    """
    if job.degree.shape[0] == 0:
        begin = tables.start[window]
        n = tables.start[window + 1] - begin
        for i in range(n):
            members[i] = tables.member[begin + i]
        return n
    n = job.degree[window]
    if job.k <= NUMBERED:
        begin = tables.start[2 * window]
        low, high = realization & MASK, realization >> SHIFT
        w0, w1, w2, w3 = philox4x32(low, high, np.uint64(packet >> 2), SUPPORTS, job.seed & MASK, job.seed >> SHIFT)
        place = packet & 3
        word = w0 if place == 0 else w1 if place == 1 else w2 if place == 2 else w3
        mask = tables.mask[begin + np.intp(below(word, np.uint64(tables.start[2 * window + 1] - begin)))]
        found = 0
        for i in range(job.k):
            if mask & bit(i) != ZERO:
                members[found] = i
                found += 1
        return found
    blocks = (job.k + 3) // 4
    w0, w1, w2, w3 = ZERO, ZERO, ZERO, ZERO
    for i in range(n):
        place = i & 3
        if place == 0:
            block = np.uint64(packet * blocks + i // 4)
            w0, w1, w2, w3 = philox4x32(
                realization & MASK, realization >> SHIFT, block, SUPPORTS, job.seed & MASK, job.seed >> SHIFT
            )
        word = w0 if place == 0 else w1 if place == 1 else w2 if place == 2 else w3
        last = job.k - n + i
        pick = np.int64(below(word, np.uint64(last + 1)))
        if drawn[pick] == stamp:
            pick = np.int64(last)
        drawn[pick] = stamp
        members[i] = pick
    return n
