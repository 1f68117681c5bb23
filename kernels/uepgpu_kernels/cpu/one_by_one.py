"""The loop nest of elimination modulo 2^31-1, or of given coefficients: one realization is decoded after the other.

It takes and adds to the same arrays as those of :mod:`uepgpu_kernels.cpu.lockstep`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from uepgpu_kernels.bodies.eliminate import eliminate_decoded, eliminate_nothing, eliminate_reduce, eliminate_take
from uepgpu_kernels.bodies.sample import draw_coefficients, draw_subset
from uepgpu_kernels.cpu.compile import entry, stage
from uepgpu_kernels.cpu.draw import draw_space
from uepgpu_kernels.cpu.tally import record_times, tally_subproducts
from uepgpu_kernels.cpu.ways import Way, draw_by_packet
from uepgpu_kernels.job import BY_TIME

__all__ = ["run_eliminate"]

TILE = 64
"""Realizations that are drawn together."""

ZERO = np.uint64(0)


@stage
def note_rows(rows: Any, pivot: Any, k: Any, never: Any, time: Any, when: Any) -> None:
    """Write the time of sub-products whose row has just become a unit row."""
    for i in range(k):
        if when[i] >= never and eliminate_decoded(rows, pivot, i, k):
            when[i] = np.int64(time)


@stage
def note_sums(job: Any, rows: Any, pivot: Any, left: Any, time: Any, when: Any) -> None:
    """Reduce what was left of the sums by the newest row, and write the time of the terms of those that are decoded."""
    for s in range(job.target.shape[0]):
        eliminate_reduce(left[s], rows, pivot, job.k, job.field)
        if eliminate_nothing(left[s], job.k):
            for i in range(job.k):
                if job.target[s, i] != 0 and when[i] >= job.n_times:
                    when[i] = np.int64(time)


@stage
def eliminate_one(
    job: Any,
    realization: Any,
    packet: Any,
    window: Any,
    time: Any,
    marks: Any,
    pivot: Any,
    rows: Any,
    left: Any,
    words: Any,
    when: Any,
) -> None:
    """Decode one realization by elimination over a finite field."""
    k = job.k
    pivot[:k] = 0
    for target in range(job.target.shape[0]):
        for i in range(k):
            left[target, i] = job.target[target, i]
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
                draw_subset(marks, job.seed, realization, number, job.degree[s], k)
            draw_coefficients(words, job.seed, realization, number, k, job.field)
            for i in range(k):
                inside = marks[i] != ZERO if drawn else job.support[s, i] != 0
                if not inside:
                    words[i] = ZERO
        if eliminate_take(words, rows, pivot, k, job.field):
            rank += 1
            note_rows(rows, pivot, k, job.n_times, time[w], when)
            note_sums(job, rows, pivot, left, time[w], when)


@functools.cache
def run_eliminate(way: Way) -> Any:
    """Return the loop nest for one way."""
    by_time, draw = way.order == BY_TIME, draw_by_packet(way)

    def nest(
        job: Any, first: Any, count: Any, stride: Any, cells: Any, transitions: Any, pairs: Any, marginals: Any, record: Any
    ) -> None:
        """Draw tiles, and decode and tally their realizations."""
        n, k = job.n_packets, job.k
        words = draw_space(job, TILE)
        keys = np.empty((n, TILE), dtype=np.uint32)
        time = np.empty((n, TILE), dtype=np.uint16)
        packet = np.empty((n, TILE), dtype=np.uint16)
        window = np.empty((n, TILE), dtype=np.uint16)
        marks = np.empty(k + 3, dtype=np.uint64)
        pivot = np.empty(k, dtype=np.int64)
        rows = np.empty((k, k), dtype=np.uint64)
        left = np.empty(job.target.shape, dtype=np.uint64)
        stream = np.empty(k + 3, dtype=np.uint64)
        when = np.empty(k, dtype=np.int64)
        class_time = np.empty(job.n_classes, dtype=np.int64)
        for done in range(0, count, TILE):
            draw(job, first + stride * np.uint64(done), stride, cells, words, window, keys, packet, time)
            for lane in range(min(TILE, count - done)):
                when[:] = job.n_times
                arrived = n
                if by_time:
                    arrived = 0
                    while arrived < n and time[arrived, lane] < job.n_times:
                        arrived += 1
                realization = first + stride * np.uint64(done + lane)
                eliminate_one(
                    job, realization, packet[:arrived, lane], window[:, lane], time[:, lane], marks, pivot, rows, left, stream, when
                )
                tally_subproducts(when, job.class_of, class_time, job.n_classes, job.n_times, transitions, pairs, marginals)
                record_times(record, done + lane, when)

    return entry(nest, f"run_eliminate, {way.name}")
