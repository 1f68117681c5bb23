"""The loop nest of matching on masks of up to 64 sub-products: one realization is decoded after the other."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from uepgpu_kernels.bodies.bits import bit, lowest
from uepgpu_kernels.bodies.match import match_decoded, match_take
from uepgpu_kernels.cpu.compile import entry, stage
from uepgpu_kernels.cpu.draw import draw_space
from uepgpu_kernels.cpu.ledger import new_ledger, note_lane, tally_lanes
from uepgpu_kernels.cpu.listed import FEW_LANES, MOST_PACKETS
from uepgpu_kernels.cpu.supports import draw_masks, new_draws
from uepgpu_kernels.cpu.tally import record_times
from uepgpu_kernels.cpu.vectors import LANES
from uepgpu_kernels.cpu.ways import Way, draw_by_packet
from uepgpu_kernels.job import BY_TIME

__all__ = ["match_one", "run_match"]


ZERO = np.uint64(0)


@stage
def note(fresh: Any, time: Any, when: Any) -> None:
    """Write the time of newly decoded sub-products."""
    while fresh != ZERO:
        i = lowest(fresh)
        fresh ^= bit(i)
        when[i] = np.int64(time)


@stage
def match_one(job: Any, packet: Any, support_of: Any, time: Any, masks: Any, ints: Any, when: Any) -> None:
    """Decode one realization by matching; K <= 64."""
    full = ~ZERO >> np.uint64(64 - job.k)
    matched = ZERO
    decoded = ZERO
    for w in range(packet.shape[0]):
        if decoded == full:
            break
        support = support_of[np.intp(packet[w])]
        if support & ~decoded != ZERO:
            matched = match_take(support, masks, ints, matched)
            after = match_decoded(masks, matched, decoded, full)
            note(after & ~decoded, time[w], when)
            decoded = after


@functools.cache
def run_match(way: Way) -> Any:
    """Return the loop nest for one way."""
    by_time, draw = way.order == BY_TIME, draw_by_packet(way)

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
        """Draw tiles, and match and tally their realizations."""
        n, k = job.n_packets, job.k
        width = LANES if n <= MOST_PACKETS else FEW_LANES
        words = draw_space(job, width)
        keys = np.empty((n, width), dtype=np.uint32)
        time = np.empty((n, width), dtype=np.uint16)
        packet = np.empty((n, width), dtype=np.uint16)
        window = np.empty((n, width), dtype=np.uint16)
        support = np.empty((n, width), dtype=np.uint64)
        fallen = np.zeros(width, dtype=np.uint8)
        ledger = new_ledger(job, True)
        draws = new_draws(width)
        masks = np.empty(max(n, k), dtype=np.uint64)
        ints = np.empty(k, dtype=np.int64)
        for done in range(0, count, width):
            start = first + stride * np.uint64(done)
            draw(job, start, stride, cells, words, window, keys, packet, time)
            for w in range(n):
                draw_masks(job, start, stride, tables, words, draws, w, window[w], support[w])
            lanes = min(width, count - done)
            for lane in range(lanes):
                ledger.when[:] = job.n_times
                arrived = n
                if by_time:
                    arrived = 0
                    while arrived < n and time[arrived, lane] < job.n_times:
                        arrived += 1
                match_one(job, packet[:arrived, lane], support[:, lane], time[:, lane], masks, ints, ledger.when)
                note_lane(ledger, lane)
                record_times(record, done + lane, ledger.when)
            tally_lanes(ledger, job, lanes, fallen, transitions, pairs, marginals)

    return entry(nest, f"run_match, {way.name}")
