"""The loop nest that walks the matching automaton and tallies its states in vectors of bits."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from uepgpu_kernels.cpu.compile import entry
from uepgpu_kernels.cpu.draw import draw_space
from uepgpu_kernels.cpu.ledger import begin_tile, end_tile, new_ledger, note_packet, tally_lanes
from uepgpu_kernels.cpu.masks import match_one
from uepgpu_kernels.cpu.plain_vectors import WORDS
from uepgpu_kernels.cpu.slices import set_first_lanes
from uepgpu_kernels.cpu.tally import record_times, tally_subproducts
from uepgpu_kernels.cpu.vectors import LANES, meet, slice_bytes
from uepgpu_kernels.cpu.ways import Way, draw_by_window
from uepgpu_kernels.job import BY_TIME

__all__ = ["run_walk"]


@functools.cache
def run_walk(way: Way) -> Any:
    """Return the loop nest for one way."""
    by_time, draw = way.order == BY_TIME, draw_by_window(way)

    def nest(
        job: Any,
        first: Any,
        count: Any,
        stride: Any,
        cells: Any,
        following: Any,
        undecoded: Any,
        transitions: Any,
        pairs: Any,
        marginals: Any,
        record: Any,
    ) -> None:
        """Decode by the automaton; realizations that reach its last state, which stands for all that is missing, by matching.

        `following` (states·S,) uint16 holds the next state by state·S + window, `undecoded` (⌈K/8⌉, states) what is not decoded.
        """
        n, k, n_windows = job.n_packets, job.k, job.support.shape[0]
        missing = np.uint16(undecoded.shape[1] - 1)
        words = draw_space(job, LANES)
        keys = np.empty((n, LANES), dtype=cells.value.dtype)
        window = np.empty((n, LANES), dtype=cells.label.dtype)
        state = np.empty((n, LANES), dtype=np.uint16)
        time = np.empty((n if by_time else 0, LANES), dtype=np.uint16)
        fallen = np.zeros(LANES, dtype=np.uint8)
        row = np.empty(LANES, dtype=np.uint8)
        wide = row.view(np.uint64)
        bits = np.empty(8 * WORDS, dtype=np.uint64)
        used = np.empty(WORDS, dtype=np.uint64)
        walking = np.empty(WORDS, dtype=np.uint64)
        ledger = new_ledger(job, by_time or record.shape[0] > 0)
        packet = np.empty(n, dtype=np.int64)
        for w in range(n):
            packet[w] = w
        support = np.empty(n, dtype=np.uint64)
        lane_time = np.empty(n, dtype=np.int64)
        masks = np.empty(max(n, k), dtype=np.uint64)
        ints = np.empty(k, dtype=np.int64)
        when = np.empty(k, dtype=np.int64)
        class_time = np.empty(job.n_classes, dtype=np.int64)
        for done in range(0, count, LANES):
            start = first + stride * np.uint64(done)
            lanes = min(LANES, count - done)
            draw(job, start, stride, cells, words, keys, window)
            for w in range(time.shape[0]):
                for lane in range(LANES):
                    time[w, lane] = keys[w, lane] >> cells.shift
            for lane in range(LANES):
                state[0, lane] = following[np.intp(window[0, lane])] if not by_time or time[0, lane] < job.n_times else 0
            for w in range(1, n):
                for lane in range(LANES):
                    at = state[w - 1, lane]
                    then = following[np.intp(at) * n_windows + np.intp(window[w, lane])]
                    state[w, lane] = then if not by_time or time[w, lane] < job.n_times else at
            for lane in range(LANES):
                fallen[lane] = state[n - 1, lane] == missing
                row[lane] = fallen[lane]
            slice_bytes(wide, 0, bits, 0)
            set_first_lanes(lanes, used)
            for v in range(WORDS):
                walking[v] = used[v] & ~bits[v]
            begin_tile(ledger, job, walking)
            for w in range(n):
                for r in range(undecoded.shape[0]):
                    for lane in range(LANES):
                        row[lane] = undecoded[r, state[w, lane]]
                    slice_bytes(wide, 0, bits, 0)
                    for p in range(min(8, k - 8 * r)):
                        meet(ledger.open_, (8 * r + p) * WORDS, bits, p * WORDS, walking, 0)
                note_packet(ledger, job, w, by_time, transitions, pairs, marginals)
            end_tile(ledger, job, lanes, fallen, time, by_time, record[done : done + lanes])
            if by_time:
                tally_lanes(ledger, job, lanes, fallen, transitions, pairs, marginals)
            for lane in range(lanes):
                if fallen[lane] != 0:
                    when[:] = job.n_times
                    arrived = 0
                    for w in range(n):
                        support[w] = job.mask[window[w, lane]]
                        lane_time[w] = np.int64(time[w, lane]) if by_time else w + 1
                        arrived += lane_time[w] < job.n_times or not by_time
                    match_one(job, packet[:arrived], support, lane_time, masks, ints, when)
                    tally_subproducts(when, job.class_of, class_time, job.n_classes, job.n_times, transitions, pairs, marginals)
                    record_times(record, done + lane, when)

    return entry(nest, f"walk, {way.name}")
