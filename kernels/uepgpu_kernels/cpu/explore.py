"""The matching automaton of a job's windows, discovered while it is walked.

:mod:`uepgpu_kernels.automaton` says what states are. Here only those are found that realizations meet, as many as fit a
cache; a realization that leaves them is decoded without the automaton.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.automaton import Automaton
from uepgpu_kernels.bodies.match import match_decoded, match_take
from uepgpu_kernels.cpu.compile import entry, stage
from uepgpu_kernels.cpu.draw import Cells, draw_space
from uepgpu_kernels.cpu.lockstep import WIDE_TILE
from uepgpu_kernels.cpu.vectors import PLAIN
from uepgpu_kernels.cpu.ways import Way, draw_by_window, way_of
from uepgpu_kernels.job import Job

__all__ = ["MOST_ENTRIES", "explore"]

ZERO = np.uint64(0)
UNKNOWN = -1
MOST_ENTRIES = 500 if PLAIN else 65_000
"""Entries of the table, states times windows: 16-bit numbers, 127 KiB, which a second-level cache holds; few where Python walks."""
MOST_BYTES = 32 * 2**20
"""What the supports of waiting packets of all states may take."""
WALKS = WIDE_TILE if PLAIN else 64 * WIDE_TILE
"""Realizations that are walked to discover states."""
MOST_FALLEN = 0.2
"""If more of the last tile's realizations leave the states that were found, the automaton is not worth walking."""
A, B, C, HALF = np.uint64(13), np.uint64(7), np.uint64(17), np.uint64(32)
"""Shifts of Marsaglia's xorshift64, which leaves 0 as it is."""


@stage
def find_state(decoded: Any, waiting: Any, n_waiting: Any, new: Any, n_new: Any, tight: Any, slot: Any, n_states: Any) -> Any:
    """Return the number of the state with packets new[:n_new] (sorted) waiting and `tight` decoded; n_states if there is none.

    `slot` is a hash table of numbers, -1 where free; a new state's slot is filled.
    """
    key = tight
    for i in range(n_new + 1):
        # Shifts alone: Python's own integers would warn of products that overflow.
        key ^= key << A
        key ^= key >> B
        key ^= key << C
        if i < n_new:
            key ^= new[i]
    at = np.intp((key ^ (key >> HALF)) & np.uint64(slot.shape[0] - 1))
    while slot[at] >= 0:
        s = slot[at]
        same = decoded[s] == tight and n_waiting[s] == n_new
        if same:
            for i in range(n_new):
                same = same and waiting[s, i] == new[i]
        if same:
            return s
        at = (at + 1) & (slot.shape[0] - 1)
    slot[at] = n_states
    return n_states


@stage
def take_window(
    job: Any,
    at: Any,
    s: Any,
    following: Any,
    decoded: Any,
    waiting: Any,
    n_waiting: Any,
    slot: Any,
    found: Any,
    owner: Any,
    parent: Any,
    new: Any,
) -> Any:
    """Return the state after a packet of window s in state `at`, adding it if it is new; UNKNOWN where there is no room for it."""
    if following[at, s] != UNKNOWN:
        return np.intp(following[at, s])
    fresh = job.mask[s] & ~decoded[at]
    then = at
    if fresh != ZERO:
        # A new tight set must contain the new packet: match all that wait, and see what every maximum matching covers.
        matched = ZERO
        for i in range(n_waiting[at]):
            matched = match_take(waiting[at, i], owner, parent, matched)
        matched = match_take(fresh, owner, parent, matched)
        tight = match_decoded(owner, matched, ZERO, ~ZERO >> np.uint64(64 - job.k))
        m = 0
        for i in range(n_waiting[at] + 1):
            rest = (fresh if i == n_waiting[at] else waiting[at, i]) & ~tight
            if rest != ZERO:
                j = m
                while j > 0 and new[j - 1] > rest:
                    new[j] = new[j - 1]
                    j -= 1
                new[j] = rest
                m += 1
        if found[0] == following.shape[0]:
            return UNKNOWN
        then = np.intp(find_state(decoded, waiting, n_waiting, new, m, tight | decoded[at], slot, found[0]))
        if then == found[0]:
            decoded[then] = tight | decoded[at]
            n_waiting[then] = m
            for i in range(m):
                waiting[then, i] = new[i]
            found[0] += 1
    following[at, s] = then
    return then


@functools.cache
def discover(way: Way) -> Any:
    """Return the entry that discovers states, for one way."""
    draw = draw_by_window(way)

    def nest(
        job: Any,
        first: Any,
        count: Any,
        cells: Any,
        following: Any,
        decoded: Any,
        waiting: Any,
        n_waiting: Any,
        slot: Any,
        found: Any,
    ) -> None:
        """Add the states that realizations meet, or all that follow from those there are if `count` is 0.

        ``found[0]`` counts states, ``found[1]`` realizations that met one for which there was no room.
        """
        n, k, lanes = job.n_packets, job.k, WIDE_TILE
        words = draw_space(job, lanes)
        keys = np.empty((n, lanes), dtype=cells.value.dtype)
        window = np.empty((n, lanes), dtype=cells.label.dtype)
        owner = np.empty(k, dtype=np.uint64)
        parent = np.empty(k, dtype=np.int64)
        new = np.empty(k + 1, dtype=np.uint64)
        for done in range(0, count, lanes):
            draw(job, first + np.uint64(done), np.uint64(1), cells, words, keys, window)
            for lane in range(min(lanes, count - done)):
                at = np.intp(0)
                for w in range(n):
                    s = np.intp(window[w, lane])
                    at = take_window(job, at, s, following, decoded, waiting, n_waiting, slot, found, owner, parent, new)
                    if at == UNKNOWN:
                        found[1] += 1
                        break
        if count == 0:
            at = np.intp(0)
            while at < found[0]:
                for each in range(following.shape[1]):
                    take_window(job, at, np.intp(each), following, decoded, waiting, n_waiting, slot, found, owner, parent, new)
                at += np.intp(1)

    return entry(nest, f"discover, {way.name}")


class _Windows:
    """A job, told apart by its windows alone."""

    def __init__(self, job: Job, cells: Cells) -> None:
        self.job, self.cells = job, cells
        self.key = (job.k, job.mask.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Windows) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


def explore(job: Job, cells: Cells, most_entries: int = MOST_ENTRIES) -> Automaton | None:
    """Return the automaton of a job's windows, K <= 64, or what realizations meet of it; None where they leave that too often.

    Transitions into states that are missing lead into the last state, which nothing leaves.
    """
    return _explore(_Windows(job, cells), most_entries)


@functools.lru_cache(maxsize=64)
def _explore(windows: _Windows, most_entries: int) -> Automaton | None:
    job, cells, way = windows.job, windows.cells, way_of(windows.job)
    n_windows = job.support.shape[0]
    most = min(most_entries // n_windows - 1, MOST_BYTES // (8 * job.k))
    if most < 2:
        return None
    following = np.full((most, n_windows), UNKNOWN, dtype=np.int32)
    decoded = np.zeros(most, dtype=np.uint64)
    waiting = np.zeros((most, job.k), dtype=np.uint64)
    n_waiting = np.zeros(most, dtype=np.int64)
    slot = np.full(1 << (2 * most).bit_length(), -1, dtype=np.int32)
    slot[0] = 0  # the state of nothing decoded and nothing waiting, whose key is 0
    found = np.array([1, 0])
    arrays = (cells, following, decoded, waiting, n_waiting, slot, found)
    for start in range(0, WALKS, WIDE_TILE):
        found[1], before = 0, int(found[0])
        discover(way)(job, np.uint64(start), WIDE_TILE, *arrays)
        if found[1] or found[0] == before:
            break
    if found[1] > MOST_FALLEN * WIDE_TILE:
        return None
    if found[1] == 0:
        discover(way)(job, np.uint64(0), 0, *arrays)
    n = int(found[0])
    table: NDArray[np.int64] = np.where(following[:n] == UNKNOWN, n, following[:n]).astype(np.int64)
    automaton = Automaton(np.append(table, np.full((1, n_windows), n), axis=0), np.append(decoded[:n], ZERO))
    for array in automaton:
        array.setflags(write=False)
    return automaton
