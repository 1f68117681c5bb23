"""Supports of the packets of a tile: as masks where K <= 64, as lists of members for any K."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.bodies.bits import bit
from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32
from uepgpu_kernels.bodies.sample import below
from uepgpu_kernels.cpu.compile import allocation, stage
from uepgpu_kernels.cpu.draw import draw_block
from uepgpu_kernels.job import Job
from uepgpu_kernels.streams import NUMBERED, SUPPORTS

__all__ = ["Supports", "draw_masks", "list_members", "new_draws", "supports_of"]

ZERO = np.uint64(0)
ONE, FOUR, SIX_BITS = np.uint64(1), np.uint64(4), np.uint64(63)


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


class Draws(NamedTuple):
    """Scratch of :func:`draw_masks`: the lanes that draw more members than one block has words for."""

    lane: Any  # (lanes,) uint64
    degree: Any  # (lanes,) uint64
    mask: Any  # (lanes,) uint64


@allocation
def new_draws(lanes: Any) -> Any:
    """Return scratch for so many lanes."""
    return Draws(np.empty(lanes, dtype=np.uint64), np.empty(lanes, dtype=np.uint64), np.empty(lanes, dtype=np.uint64))


@stage
def draw_masks(job: Any, first: Any, stride: Any, tables: Any, words: Any, draws: Any, w: Any, window: Any, out: Any) -> None:
    """Write the mask of packet w of every lane, of window `window[lane]`, K <= 64; packets are asked for from 0 on, in order."""
    lanes = out.shape[0]
    if job.degree.shape[0] == 0:
        for lane in range(lanes):
            out[lane] = tables.mask[window[lane]]
    elif job.k <= NUMBERED:
        if w % 4 == 0:
            draw_block(words, job.seed, first, stride, w // 4, SUPPORTS)
        for lane in range(lanes):
            s = np.intp(window[lane])
            begin = tables.start[2 * s]
            size = np.uint64(tables.start[2 * s + 1] - begin)
            out[lane] = tables.mask[begin + np.intp(below(np.uint64(words[w % 4, lane]), size))]
    else:
        for lane in range(lanes):
            draws.degree[lane] = np.uint64(job.degree[window[lane]])
        draw_floyd(job, first, stride, words, draws, np.uint64(w), out)


@stage
def draw_floyd(job: Any, first: Any, stride: Any, words: Any, draws: Any, w: Any, out: Any) -> None:
    """Draw `degree` members by Floyd's method: four of each lane, then four more of those that lack some, and so on."""
    k = np.uint64(job.k)
    blocks = (k + np.uint64(3)) // np.uint64(4)
    draw_block(words, job.seed, first, stride, blocks * w, SUPPORTS)
    out[:] = ZERO
    take_four(words, draws.degree, k, ZERO, out.shape[0], out)
    n = 0
    for lane in range(out.shape[0]):
        draws.lane[n] = np.uint64(lane)
        draws.mask[n] = out[lane]
        degree = draws.degree[lane]
        draws.degree[n] = degree
        n += degree > FOUR
    done = FOUR
    while n > 0:
        block = blocks * w + done // FOUR
        for c in range(n):
            realization = first + stride * draws.lane[c]
            low, high = realization & MASK, realization >> SHIFT
            w0, w1, w2, w3 = philox4x32(low, high, block, SUPPORTS, job.seed & MASK, job.seed >> SHIFT)
            words[0, c] = w0
            words[1, c] = w1
            words[2, c] = w2
            words[3, c] = w3
        take_four(words, draws.degree, k, done, n, draws.mask)
        done += FOUR
        left = 0
        for c in range(n):
            out[draws.lane[c]] = draws.mask[c]
            draws.lane[left] = draws.lane[c]
            draws.mask[left] = draws.mask[c]
            degree = draws.degree[c]
            draws.degree[left] = degree
            left += degree > done
        n = left


@stage
def take_four(words: Any, degree: Any, k: Any, done: Any, n: Any, mask: Any) -> None:
    """Add to the first n masks members number done .. done + 3, as far as their degree goes."""
    for i in range(4):
        number = done + np.uint64(i)
        row = words[i]
        for c in range(n):
            last = (k - degree[c] + number) & SIX_BITS
            pick = ((np.uint64(row[c]) * (last + ONE)) >> SHIFT) & SIX_BITS
            hit = (mask[c] >> pick) & ONE
            place = pick if hit == ZERO else last
            mask[c] |= np.uint64(number < degree[c]) << place


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
