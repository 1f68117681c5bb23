"""Matching of one realization from the members of its packets, for any K, with sets of several words."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from uepgpu_kernels.bodies.bits import bit, lowest
from uepgpu_kernels.cpu.compile import entry, stage
from uepgpu_kernels.cpu.draw import draw_space
from uepgpu_kernels.cpu.ledger import new_ledger, note_lane, tally_lanes
from uepgpu_kernels.cpu.listed import FEW_LANES, MOST_PACKETS
from uepgpu_kernels.cpu.supports import list_members
from uepgpu_kernels.cpu.tally import record_times
from uepgpu_kernels.cpu.vectors import LANES
from uepgpu_kernels.cpu.ways import Way, draw_by_packet
from uepgpu_kernels.job import BY_TIME

__all__ = ["run_match_lists"]

ZERO = np.uint64(0)


@stage
def match_wide(support: Any, owner: Any, parent: Any, matched: Any, seen: Any, fresh: Any, pending: Any) -> None:
    """Match a packet whose support is not wholly decoded, as :func:`uepgpu_kernels.bodies.match.match_take` does; sets of words."""
    n = support.shape[0]
    for v in range(n):
        seen[v] = support[v]
        fresh[v] = support[v]
        pending[v] = ZERO
    via = -1
    found = -1
    while found < 0:
        for v in range(n):
            rest = fresh[v]
            pending[v] |= rest
            while rest != ZERO:
                i = lowest(rest)
                rest ^= bit(i)
                parent[64 * v + i] = via
            if found < 0 and seen[v] & ~matched[v] != ZERO:
                found = 64 * v + lowest(seen[v] & ~matched[v])
        if found < 0:
            v = 0
            while pending[v] == ZERO:
                v += 1
            i = lowest(pending[v])
            pending[v] ^= bit(i)
            via = 64 * v + i
            for v in range(n):
                fresh[v] = owner[via, v] & ~seen[v]
                seen[v] |= fresh[v]
    k = found
    matched[k >> 6] |= bit(k & 63)
    while parent[k] >= 0:
        for v in range(n):
            owner[k, v] = owner[parent[k], v]
        k = parent[k]
    for v in range(n):
        owner[k, v] = support[v]


@stage
def open_wide(owner: Any, matched: Any, when: Any, n_times: Any, open_: Any) -> None:
    """Write in `open_` what alternating paths from unmatched sub-products reach."""
    k, n = owner.shape
    for v in range(n):
        open_[v] = ~matched[v]
    grew = True
    while grew:
        grew = False
        for i in range(k):
            if when[i] == n_times and (open_[i >> 6] & bit(i & 63)) == ZERO:
                reached = ZERO
                for v in range(n):
                    reached |= owner[i, v] & open_[v]
                if reached != ZERO:
                    open_[i >> 6] |= bit(i & 63)
                    grew = True


class Matching(NamedTuple):
    """A maximum matching, and sets of ⌈K/64⌉ words for a search."""

    owner: Any  # (K, words): the support of the packet matched to X_k
    parent: Any
    support: Any
    matched: Any
    seen: Any
    fresh: Any
    pending: Any
    open_: Any


@stage
def match_one_wide(
    job: Any,
    realization: Any,
    tables: Any,
    packet: Any,
    window: Any,
    time: Any,
    members: Any,
    drawn: Any,
    stamp: Any,
    m: Any,
    when: Any,
) -> None:
    """Decode one realization. Packets are drawn with marks from `stamp` on."""
    n_times = job.n_times
    by_time = job.order == BY_TIME
    when[:] = n_times
    m.matched[:] = ZERO
    n_known = 0
    for w in range(packet.shape[0]):
        if n_known == job.k or (by_time and time[w] >= n_times):
            break
        p = np.intp(packet[w])
        size = list_members(job, realization, tables, p, np.intp(window[p]), drawn, stamp + w, members)
        useful = False
        m.support[:] = ZERO
        for i in range(size):
            member = members[i]
            m.support[member >> 6] |= bit(member & 63)
            useful = useful or when[member] == n_times
        if useful:
            match_wide(m.support, m.owner, m.parent, m.matched, m.seen, m.fresh, m.pending)
            open_wide(m.owner, m.matched, when, n_times, m.open_)
            for i in range(job.k):
                if when[i] == n_times and (m.open_[i >> 6] & bit(i & 63)) == ZERO:
                    when[i] = np.int64(time[w])
                    n_known += 1


@functools.cache
def run_match_lists(way: Way) -> Any:
    """Return the loop nest of matching for one way."""
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
        """Match with sets of ⌈K/64⌉ words."""
        n, k, n_words = job.n_packets, job.k, (job.k + 63) // 64
        width = LANES if n <= MOST_PACKETS else FEW_LANES
        words = draw_space(job, width)
        keys = np.empty((n, width), dtype=np.uint32)
        time = np.empty((n, width), dtype=np.uint16)
        packet = np.empty((n, width), dtype=np.uint16)
        window = np.empty((n, width), dtype=np.uint16)
        members = np.empty(k, dtype=np.int64)
        drawn = np.full(k, -1, dtype=np.int64)
        matching = Matching(
            np.empty((k, n_words), dtype=np.uint64),
            np.empty(64 * n_words, dtype=np.int64),
            np.empty(n_words, dtype=np.uint64),
            np.empty(n_words, dtype=np.uint64),
            np.empty(n_words, dtype=np.uint64),
            np.empty(n_words, dtype=np.uint64),
            np.empty(n_words, dtype=np.uint64),
            np.empty(n_words, dtype=np.uint64),
        )
        fallen = np.zeros(width, dtype=np.uint8)
        ledger = new_ledger(job, True)
        stamp = 0
        for done in range(0, count, width):
            start = first + stride * np.uint64(done)
            draw(job, start, stride, cells, words, window, keys, packet, time)
            lanes = min(width, count - done)
            for lane in range(lanes):
                realization = start + stride * np.uint64(lane)
                match_one_wide(
                    job,
                    realization,
                    tables,
                    packet[:, lane],
                    window[:, lane],
                    time[:, lane],
                    members,
                    drawn,
                    stamp,
                    matching,
                    ledger.when,
                )
                stamp += n
                note_lane(ledger, lane)
                record_times(record, done + lane, ledger.when)
            tally_lanes(ledger, job, lanes, fallen, transitions, pairs, marginals)

    return entry(nest, f"run_match_lists, {way.name}")
