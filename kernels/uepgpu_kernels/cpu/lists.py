"""Peeling of one realization from the members of its packets, for any K, in time linear in them."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from uepgpu_kernels.cpu.compile import allocation, entry, stage
from uepgpu_kernels.cpu.draw import draw_space
from uepgpu_kernels.cpu.ledger import new_ledger, note_lane, tally_lanes
from uepgpu_kernels.cpu.listed import FEW_LANES, MOST_PACKETS
from uepgpu_kernels.cpu.supports import list_members
from uepgpu_kernels.cpu.tally import record_times
from uepgpu_kernels.cpu.vectors import LANES
from uepgpu_kernels.cpu.ways import Way, draw_by_packet
from uepgpu_kernels.job import BY_TIME

__all__ = ["run_peel_lists"]

ZERO = np.uint64(0)


@allocation
def grown(array: Any) -> Any:
    """Return a copy of twice the length."""
    longer = np.empty(2 * array.shape[0], dtype=array.dtype)
    for i in range(array.shape[0]):
        longer[i] = array[i]
    return longer


class Peeling(NamedTuple):
    """Of a waiting packet only the number of its unknown members and their sum (xor) are held.

    Sub-products hold lists of the packets that wait for them: `head`, then `link` from entry to entry.
    """

    unknown: Any  # (W,)
    total: Any  # (W,)
    head: Any  # (K,)
    stack: Any  # (W + 1,)


@stage
def peel_one(
    job: Any,
    realization: Any,
    tables: Any,
    packet: Any,
    window: Any,
    time: Any,
    members: Any,
    drawn: Any,
    stamp: Any,
    peeling: Any,
    link: Any,
    waits: Any,
    when: Any,
) -> Any:
    """Decode one realization; return False where `link` and `waits` are too short. Packets are drawn with marks from `stamp` on."""
    n, k, n_times = packet.shape[0], job.k, job.n_times
    by_time = job.order == BY_TIME
    when[:] = n_times
    peeling.head[:] = -1
    n_links = 0
    n_known = 0
    for w in range(n):
        if n_known == k or (by_time and time[w] >= n_times):
            break
        p = np.intp(packet[w])
        size = list_members(job, realization, tables, p, np.intp(window[p]), drawn, stamp + w, members)
        left = 0
        total = 0
        for i in range(size):
            if when[members[i]] == n_times:
                left += 1
                total ^= members[i]
        if left > 1:
            if n_links + left > link.shape[0]:
                return False
            peeling.unknown[p] = left
            peeling.total[p] = total
            for i in range(size):
                m = members[i]
                if when[m] == n_times:
                    link[n_links] = peeling.head[m]
                    waits[n_links] = p
                    peeling.head[m] = n_links
                    n_links += 1
        elif left == 1:
            peeling.stack[0] = total
            top = 1
            while top > 0:
                top -= 1
                m = peeling.stack[top]
                if when[m] != n_times:
                    continue
                when[m] = np.int64(time[w])
                n_known += 1
                at = peeling.head[m]
                while at >= 0:
                    q = waits[at]
                    peeling.unknown[q] -= 1
                    peeling.total[q] ^= m
                    if peeling.unknown[q] == 1:
                        peeling.stack[top] = peeling.total[q]
                        top += 1
                    at = link[at]
    return True


@functools.cache
def run_peel_lists(way: Way) -> Any:
    """Return the loop nest of peeling for one way."""
    draw = draw_by_packet(way)

    def nest(
        job: Any,
        first: Any,
        count: Any,
        stride: Any,
        cells: Any,
        tables: Any,
        transitions: Any,
        pairs: Any,
        marginals: Any,
        record: Any,
    ) -> None:
        """Peel, in time linear in the members of packets."""
        n, k = job.n_packets, job.k
        width = LANES if n <= MOST_PACKETS else FEW_LANES
        words = draw_space(job, width)
        keys = np.empty((n, width), dtype=np.uint32)
        time = np.empty((n, width), dtype=np.uint16)
        packet = np.empty((n, width), dtype=np.uint16)
        window = np.empty((n, width), dtype=np.uint16)
        members = np.empty(k, dtype=np.int64)
        drawn = np.full(k, -1, dtype=np.int64)
        peeling = Peeling(
            np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(k, dtype=np.int64), np.empty(n + 1, dtype=np.int64)
        )
        link = np.empty(4 * (n + k), dtype=np.int64)
        waits = np.empty(4 * (n + k), dtype=np.int64)
        fallen = np.zeros(width, dtype=np.uint8)
        ledger = new_ledger(job, True)
        stamp = 0
        for done in range(0, count, width):
            start = first + stride * np.uint64(done)
            draw(job, start, stride, cells, words, window, keys, packet, time)
            lanes = min(width, count - done)
            for lane in range(lanes):
                realization = start + stride * np.uint64(lane)
                while not peel_one(
                    job,
                    realization,
                    tables,
                    packet[:, lane],
                    window[:, lane],
                    time[:, lane],
                    members,
                    drawn,
                    stamp,
                    peeling,
                    link,
                    waits,
                    ledger.when,
                ):
                    link = grown(link)
                    waits = grown(waits)
                    stamp += n
                stamp += n
                note_lane(ledger, lane)
                record_times(record, done + lane, ledger.when)
            tally_lanes(ledger, job, lanes, fallen, transitions, pairs, marginals)

    return entry(nest, f"run_peel_lists, {way.name}")
