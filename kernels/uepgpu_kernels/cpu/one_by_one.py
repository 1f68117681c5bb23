"""The loop nests in which one realization is decoded after the other: matching, peeling, elimination.

Entries take and add to the same arrays as those of :mod:`uepgpu_kernels.cpu.lockstep`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from uepgpu_kernels.bodies.bits import bit, lowest
from uepgpu_kernels.bodies.eliminate import eliminate_decoded, eliminate_take
from uepgpu_kernels.bodies.match import match_decoded, match_take
from uepgpu_kernels.bodies.peel import peel_take
from uepgpu_kernels.bodies.sample import draw_coefficients, draw_subset
from uepgpu_kernels.cpu.compile import entry, stage
from uepgpu_kernels.cpu.draw import draw_cells, permute, sort_columns
from uepgpu_kernels.cpu.tally import tally_subproducts
from uepgpu_kernels.job import BY_PERMUTATION, BY_TIME

__all__ = ["run_eliminate", "run_match", "run_peel"]

TILE = 64
"""Realizations that are drawn together."""

ZERO = np.uint64(0)
PACKET_BITS = 16


@stage
def draw_by_packet(
    job: Any, first: Any, stride: Any, cells: Any, words: Any, window: Any, keys: Any, packet: Any, time: Any
) -> None:
    """Fill `packet` and `time` in order of arrival, and `window` by packet. `keys` is uint32 scratch."""
    n, lanes = job.n_packets, keys.shape[1]
    draw_cells(job, first, stride, words, cells.value, keys)
    by_time = job.order == BY_TIME
    for w in range(n):
        for lane in range(lanes):
            window[w, lane] = keys[w, lane] & cells.low if by_time else keys[w, lane]
        for lane in range(lanes):
            keys[w, lane] = ((keys[w, lane] >> cells.shift) << PACKET_BITS) | w if by_time else w
    if by_time:
        sort_columns(keys, cells.network)
    if job.order == BY_PERMUTATION:
        permute(job, first, stride, words, keys, packet)
    else:
        for w in range(n):
            for lane in range(lanes):
                packet[w, lane] = keys[w, lane]
    for w in range(n):
        for lane in range(lanes):
            time[w, lane] = keys[w, lane] >> PACKET_BITS if by_time else w + 1


@stage
def support_of(job: Any, realization: Any, packet: Any, window: Any, words: Any) -> Any:
    """Return the support of a packet as a mask: its window's, or drawn."""
    if job.degree.shape[0] > 0:
        return draw_subset(words, job.seed, realization, packet, job.degree[window], job.k)
    return job.mask[window]


@stage
def note(fresh: Any, time: Any, when: Any) -> None:
    """Write the time of newly decoded sub-products."""
    while fresh != ZERO:
        i = lowest(fresh)
        fresh ^= bit(i)
        when[i] = np.int64(time)


@stage
def match_one(
    job: Any, realization: Any, packet: Any, window: Any, time: Any, masks: Any, ints: Any, rows: Any, words: Any, when: Any
) -> None:
    """Decode one realization by matching; K <= 64."""
    full = ~ZERO >> np.uint64(64 - job.k)
    matched = ZERO
    decoded = ZERO
    for w in range(packet.shape[0]):
        if decoded == full:
            break
        number = np.intp(packet[w])
        support = support_of(job, realization, number, np.intp(window[number]), words)
        if support & ~decoded != ZERO:
            matched = match_take(support, masks, ints, matched)
            after = match_decoded(masks, matched, decoded, full)
            note(after & ~decoded, time[w], when)
            decoded = after


@stage
def peel_one(
    job: Any, realization: Any, packet: Any, window: Any, time: Any, masks: Any, ints: Any, rows: Any, words: Any, when: Any
) -> None:
    """Decode one realization by peeling; K <= 64."""
    full = ~ZERO >> np.uint64(64 - job.k)
    known = ZERO
    n_waiting = 0
    for w in range(packet.shape[0]):
        if known == full:
            break
        number = np.intp(packet[w])
        support = support_of(job, realization, number, np.intp(window[number]), words)
        after, n_waiting = peel_take(support, masks, n_waiting, known)
        note(after & ~known, time[w], when)
        known = after


@stage
def note_rows(rows: Any, pivot: Any, k: Any, never: Any, time: Any, when: Any) -> None:
    """Write the time of sub-products whose row has just become a unit row."""
    for i in range(k):
        if when[i] >= never and eliminate_decoded(rows, pivot, i, k):
            when[i] = np.int64(time)


@stage
def eliminate_one(
    job: Any, realization: Any, packet: Any, window: Any, time: Any, masks: Any, ints: Any, rows: Any, words: Any, when: Any
) -> None:
    """Decode one realization by elimination over a finite field."""
    k = job.k
    ints[:k] = 0
    rank = 0
    for w in range(packet.shape[0]):
        if rank == k:
            break
        number = np.intp(packet[w])
        if job.generator.shape[0] > 0:
            for i in range(k):
                words[i] = job.generator[number, i]
        else:
            s = np.intp(window[number])
            drawn = job.degree.shape[0] > 0
            if drawn:
                draw_subset(masks, job.seed, realization, number, job.degree[s], k)
            draw_coefficients(words, job.seed, realization, number, k, job.field)
            for i in range(k):
                inside = masks[i] != ZERO if drawn else job.support[s, i] != 0
                if not inside:
                    words[i] = ZERO
        if eliminate_take(words, rows, ints, k, job.field):
            rank += 1
            note_rows(rows, ints, k, job.n_times, time[w], when)


def single(name: str, decode_one: Callable[..., None]) -> Any:
    """Return the loop nest around a decoder of one realization."""

    def nest(
        job: Any, first: Any, count: Any, stride: Any, cells: Any, transitions: Any, pairs: Any, marginals: Any, record: Any
    ) -> None:
        n, k = job.n_packets, job.k
        words = np.empty((4, TILE), dtype=np.uint32)
        keys = np.empty((n, TILE), dtype=np.uint32)
        time = np.empty((n, TILE), dtype=np.uint16)
        packet = np.empty((n, TILE), dtype=np.uint16)
        window = np.empty((n, TILE), dtype=np.uint16)
        masks = np.empty(max(n, k + 3), dtype=np.uint64)
        ints = np.empty(k, dtype=np.int64)
        rows = np.empty((k, k), dtype=np.uint64)
        stream = np.empty(k + 3, dtype=np.uint64)
        when = np.empty(k, dtype=np.int64)
        class_time = np.empty(job.n_classes, dtype=np.int64)
        for done in range(0, count, TILE):
            draw_by_packet(job, first + stride * np.uint64(done), stride, cells, words, window, keys, packet, time)
            for lane in range(min(TILE, count - done)):
                when[:] = job.n_times
                arrived = n
                if job.order == BY_TIME:
                    arrived = 0
                    while arrived < n and time[arrived, lane] < job.n_times:
                        arrived += 1
                decode_one(
                    job,
                    first + stride * np.uint64(done + lane),
                    packet[:arrived, lane],
                    window[:, lane],
                    time[:, lane],
                    masks,
                    ints,
                    rows,
                    stream,
                    when,
                )
                tally_subproducts(when, job.class_of, class_time, job.n_classes, job.n_times, transitions, pairs, marginals)
                if record.shape[0] > 0:
                    record[done + lane] = when

    return entry(nest, name)


run_match = single("match", match_one)
run_peel = single("peel", peel_one)
run_eliminate = single("eliminate", eliminate_one)
