"""The loop nest of peeling up to 64 sub-products, packet by packet of 512 realizations.

Few sub-products are peeled for all realizations at once, a bit each in vectors: a waiting packet is looked at for all of them
as often as any needs. With many that is too often, and each realization has its own waiting packets.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from uepgpu_kernels.bodies.peel import peel_take
from uepgpu_kernels.cpu.compile import entry, stage
from uepgpu_kernels.cpu.draw import draw_space
from uepgpu_kernels.cpu.ledger import begin_tile, end_tile, new_ledger, note_packet, tally_lanes
from uepgpu_kernels.cpu.plain_vectors import WORDS
from uepgpu_kernels.cpu.slices import is_any_set, set_first_lanes
from uepgpu_kernels.cpu.supports import draw_masks, new_draws
from uepgpu_kernels.cpu.vectors import LANES, copy, lone, meet, reveal, slice_bytes
from uepgpu_kernels.cpu.ways import Way, draw_by_packet
from uepgpu_kernels.job import BY_INDEX, BY_TIME

__all__ = ["run_peel"]

FEW = 24
"""Up to so many sub-products, a tile is peeled at once."""

ZERO = np.uint64(0)
BYTE = np.uint64(0xFF)


@stage
def slice_masks(mask: Any, k: Any, row: Any, wide: Any, bits: Any, out: Any, at: Any) -> None:
    """Write the k vectors of the lanes' masks from word `at` of `out` on; `row` (lanes,) uint8 is scratch, `wide` its words."""
    for r in range((k + 7) // 8):
        shift = np.uint64(8 * r)
        for lane in range(LANES):
            row[lane] = np.uint8((mask[lane] >> shift) & BYTE)
        slice_bytes(wide, 0, bits, 0)
        copy(out, at + 8 * r * WORDS, bits, 0, min(8, k - 8 * r))


@stage
def take(packet: Any, k: Any, supports: Any, waiting: Any, n_waiting: Any, open_: Any, found: Any) -> Any:
    """Take the packet of all lanes in whose support begins at word `packet`; return how many packets wait.

    A packet waits while it has several unknown sub-products in some lane.
    """
    grew = lone(found, 0, supports, packet, open_, 0, k)
    if grew:
        reveal(open_, 0, supports, packet, found, 0, k)
    if meet(found, WORDS, found, WORDS, found, WORDS):
        waiting[n_waiting] = packet
        n_waiting += 1
    if not grew:
        return n_waiting
    at = 0
    quiet = 0  # packets in a row that reveal nothing and keep their place
    while quiet < n_waiting:
        if at == n_waiting:
            at = 0
        other = waiting[at]
        quiet += 1
        if lone(found, 0, supports, other, open_, 0, k):
            reveal(open_, 0, supports, other, found, 0, k)
            quiet = 0
        if meet(found, WORDS, found, WORDS, found, WORDS):
            at += 1
        else:
            n_waiting -= 1
            waiting[at] = waiting[n_waiting]
            quiet = 0
    return n_waiting


@stage
def take_each(mask: Any, known: Any, waiting: Any, n_waiting: Any) -> None:
    """Take a packet of every lane in, each by itself."""
    for lane in range(LANES):
        known[lane], n_waiting[lane] = peel_take(mask[lane], waiting[lane], n_waiting[lane], known[lane])


@functools.cache
def run_peel(way: Way) -> Any:
    """Return the loop nest for one way."""
    in_step, by_time = way.order == BY_INDEX, way.order == BY_TIME
    draw, draw_listed = way.draw, draw_by_packet(way)

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
        """Draw tiles, peel them packet by packet, and tally."""
        n, k = job.n_packets, job.k
        words = draw_space(job, LANES)
        keys = np.empty((n, LANES), dtype=np.uint32)
        time = np.empty((0 if in_step else n, LANES), dtype=np.uint16)
        numbers = np.empty((0 if in_step else n, LANES), dtype=np.uint16)
        window = np.empty((n, LANES), dtype=np.uint16)
        masks = np.empty((1 if in_step else n, LANES), dtype=np.uint64)
        mask = np.empty(LANES, dtype=np.uint64)
        draws = new_draws(LANES)
        row = np.empty(LANES, dtype=np.uint8)
        wide = row.view(np.uint64)
        bits = np.empty(8 * WORDS, dtype=np.uint64)
        together = k <= FEW
        supports = np.empty((n if together else 0) * k * WORDS, dtype=np.uint64)
        places = np.empty(n, dtype=np.int64)
        found = np.empty(2 * WORDS, dtype=np.uint64)
        waiting = np.empty((LANES, 0 if together else n), dtype=np.uint64)
        n_waiting = np.empty(LANES, dtype=np.int64)
        known = np.empty(LANES, dtype=np.uint64)
        used = np.empty(WORDS, dtype=np.uint64)
        ledger = new_ledger(job, by_time or record.shape[0] > 0)
        fallen = np.zeros(LANES, dtype=np.uint8)
        for done in range(0, count, LANES):
            start = first + stride * np.uint64(done)
            lanes = min(LANES, count - done)
            if in_step:
                draw(job, start, stride, words, cells, window)
            else:
                draw_listed(job, start, stride, cells, words, window, keys, numbers, time)
                for w in range(n):
                    draw_masks(job, start, stride, tables, words, draws, w, window[w], masks[w])
            set_first_lanes(lanes, used)
            begin_tile(ledger, job, used)
            n_places = 0
            n_waiting[:] = 0
            known[:] = ZERO
            for w in range(n):
                if not is_any_set(ledger.open_):
                    break
                if in_step:
                    draw_masks(job, start, stride, tables, words, draws, w, window[w], mask)
                else:
                    for lane in range(LANES):
                        late = by_time and time[w, lane] >= job.n_times
                        mask[lane] = ZERO if late else masks[numbers[w, lane], lane]
                if together:
                    at = w * k * WORDS
                    slice_masks(mask, k, row, wide, bits, supports, at)
                    n_places = take(at, k, supports, places, n_places, ledger.open_, found)
                else:
                    take_each(mask, known, waiting, n_waiting)
                    for lane in range(LANES):
                        mask[lane] = ~known[lane]
                    slice_masks(mask, k, row, wide, bits, ledger.open_, 0)
                    for i in range(k):
                        meet(ledger.open_, i * WORDS, ledger.open_, i * WORDS, used, 0)
                note_packet(ledger, job, w, by_time, transitions, pairs, marginals)
            end_tile(ledger, job, lanes, fallen, time, by_time, record[done : done + lanes])
            if by_time:
                tally_lanes(ledger, job, lanes, fallen, transitions, pairs, marginals)

    return entry(nest, f"peel, {way.name}")
