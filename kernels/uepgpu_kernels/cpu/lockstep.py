"""The loop nests in which all lanes of a tile advance together: counting along chains, and the matching automaton.

Every entry takes the job, the first realization, their number and stride, and its tables, and adds to `transitions` (and,
where they have rows, `pairs` and `marginals`; `record` (n, K) takes the times themselves).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from uepgpu_kernels.cpu.compile import entry
from uepgpu_kernels.cpu.draw import draw_combinations, draw_space
from uepgpu_kernels.cpu.tally import keep_classes, record_times, tally_classes, tally_subproducts
from uepgpu_kernels.cpu.walk import add_fields, times_of, walk_automaton, walk_chains, walk_steps
from uepgpu_kernels.cpu.ways import Way, draw_by_window
from uepgpu_kernels.job import BY_TIME
from uepgpu_kernels.steps import FIELDS

__all__ = ["WIDE_TILE", "run_automaton", "run_chains", "run_steps"]

WIDE_TILE = 256
"""Lanes of a tile: 30 packets of 8 bits stay in the first-level cache."""


@functools.cache
def run_chains(way: Way) -> Any:
    """Return the loop nest that counts along chains, for one way."""
    by_time, draw = way.order == BY_TIME, draw_by_window(way)

    def nest(
        job: Any,
        first: Any,
        count: Any,
        stride: Any,
        cells: Any,
        room_full: Any,
        transitions: Any,
        pairs: Any,
        marginals: Any,
        record: Any,
    ) -> None:
        """Decode by counting. The integer type of `room_full`, the windows' sizes, is that of the walk: it holds n_packets + 1."""
        n, n_windows, lanes = job.n_packets, room_full.shape[0], WIDE_TILE
        rows = max(n_windows, job.n_classes + 1)
        words = draw_space(job, lanes)
        keys = np.empty((n, lanes), dtype=cells.value.dtype)
        order = np.empty((rows, lanes), dtype=np.uint32)
        window = np.empty((n, lanes), dtype=room_full.dtype)
        rising = np.empty(lanes, dtype=np.bool_)
        room = np.empty((n_windows, lanes), dtype=room_full.dtype)
        taken = np.empty((n_windows, lanes), dtype=room_full.dtype)
        when = np.empty((rows, lanes), dtype=np.uint16)
        class_when = np.empty((job.n_classes, lanes), dtype=np.uint16)
        each = np.empty(job.k, dtype=np.int64)
        class_time = np.empty(job.n_classes, dtype=np.int64)
        whole = pairs.shape[0] == 0 and marginals.shape[0] == 0 and record.shape[0] == 0 and job.class_unit.shape[0] > 0
        for done in range(0, count, lanes):
            draw(job, first + stride * np.uint64(done), stride, cells, words, keys, window)
            walk_chains(window, n, job.chain_start, room_full, cells.label, rising, room, taken)
            times_of(taken, n_windows, n, keys, cells.shift, when, by_time, job.n_times)
            used = min(lanes, count - done)
            if whole:
                for c in range(job.n_classes):
                    unit = job.class_unit[c]
                    for lane in range(lanes):
                        class_when[c, lane] = when[unit, lane] if unit >= 0 else job.n_times
                keep_classes(class_when, used, done, job.class_time)
                tally_classes(class_when, used, job.n_classes, job.n_times, order, transitions)
                continue
            for lane in range(used):
                for i in range(job.k):
                    unit = job.unit_of[i]
                    each[i] = np.int64(when[unit, lane]) if unit >= 0 else job.n_times
                tally_subproducts(each, job.class_of, class_time, job.n_classes, job.n_times, transitions, pairs, marginals)
                record_times(record, done + lane, each)

    return entry(nest, f"run_chains, {way.name}")


@functools.cache
def run_automaton(way: Way) -> Any:
    """Return the loop nest that tallies class patterns alone by the matching automaton, for one way."""
    by_time, draw = way.order == BY_TIME, draw_by_window(way)

    def nest(
        job: Any,
        first: Any,
        count: Any,
        stride: Any,
        cells: Any,
        following: Any,
        open_classes: Any,
        narrow: Any,
        transitions: Any,
        pairs: Any,
        marginals: Any,
        record: Any,
    ) -> None:
        """Tally class patterns alone by the matching automaton. `narrow` (any array) has the type of the walk: it holds W + 1."""
        n, lanes = job.n_packets, WIDE_TILE
        words = draw_space(job, lanes)
        keys = np.empty((n, lanes), dtype=cells.value.dtype)
        order = np.empty((job.n_classes + 1, lanes), dtype=np.uint32)
        window = np.empty((n, lanes), dtype=narrow.dtype)
        state = np.empty(lanes, dtype=np.uint16)
        taken = np.empty((job.n_classes + 1, lanes), dtype=narrow.dtype)
        when = np.empty((job.n_classes, lanes), dtype=np.uint16)
        for done in range(0, count, lanes):
            draw(job, first + stride * np.uint64(done), stride, cells, words, keys, window)
            used = min(lanes, count - done)
            walk_automaton(window, n, following, job.support.shape[0], open_classes, job.n_classes, state, taken)
            times_of(taken, job.n_classes, n, keys, cells.shift, when, by_time, job.n_times)
            keep_classes(when, used, done, job.class_time)
            tally_classes(when, used, job.n_classes, job.n_times, order, transitions)

    return entry(nest, f"run_automaton, {way.name}")


@entry
def run_steps(
    job: Any, first: Any, count: Any, stride: Any, steps: Any, transitions: Any, pairs: Any, marginals: Any, record: Any
) -> None:
    """Tally class patterns alone, all packets of a word at once, by a table of :mod:`uepgpu_kernels.steps`."""
    m, n_classes, lanes = job.per_word, job.n_classes, WIDE_TILE
    n_words = (job.n_packets + m - 1) // m
    width = FIELDS // n_classes
    words_of_fields = ((1 << width) - 1) // m
    words = np.empty((4, lanes), dtype=np.uint32)
    order = np.empty((n_classes + 1, lanes), dtype=np.uint32)
    row = np.empty(lanes, dtype=np.uint16)
    left = np.zeros(lanes, dtype=np.uint16)
    taken = np.empty((n_classes, lanes), dtype=np.uint16)
    for done in range(0, count, lanes):
        start = first + stride * np.uint64(done)
        row[:] = 0
        taken[:] = 1
        # The last word may decide packets beyond W: a time that they decide is beyond W too, and never.
        for i in range(n_words):
            draw_combinations(job, start, stride, words, i)
            walk_steps(words[i % 4], steps, row, left)
            if (i + 1) % words_of_fields == 0 or i + 1 == n_words:
                add_fields(left, width, taken)
        tally_classes(taken, min(lanes, count - done), n_classes, job.n_times, order, transitions)
