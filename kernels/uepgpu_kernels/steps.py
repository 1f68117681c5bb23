"""Tables that take a walk over all packets of a word at once: by state and combination, the next state and what is undecoded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.job import Job

__all__ = ["FIELDS", "MOST_ENTRIES", "chain_states", "steps_of"]

MOST_ENTRIES = 1 << 16
"""Entries of a table, 256 KiB: a second-level cache holds it, and half an entry holds a place in it."""
FIELDS = 16
"""Bits of an entry that count, a field for each class."""


def steps_of(job: Job, following: NDArray[Any], undecoded: NDArray[np.bool_]) -> NDArray[np.uint32] | None:
    """Return the table (states·S^m,) of an automaton; None where it is too large or a word decides one packet.

    `following` (states, windows) has the next state, `undecoded` (states, L) which classes are undecoded in a state. An entry
    has the place of the next state's row in its upper half; below, a field of ⌊16/L⌋ bits for each class counts after how many
    of the word's packets it is undecoded.
    """
    m, cells = job.per_word, job.cell_window.shape[1]
    n_states, n_classes = undecoded.shape
    width, n = FIELDS // n_classes, cells**m
    if m == 1 or n_states * n > MOST_ENTRIES or m >> width > 0:
        return None
    combination = np.arange(n)
    state = np.repeat(np.arange(n_states)[:, None], n, axis=1)
    entry = np.zeros((n_states, n), dtype=np.uint32)
    for i in range(m):
        state = following[state, job.cell_window[0, combination // cells**i % cells]]
        for c in range(n_classes):
            entry += undecoded[state, c].astype(np.uint32) << np.uint32(width * c)
    table: NDArray[np.uint32] = (entry | (state * n).astype(np.uint32) << np.uint32(FIELDS)).ravel()
    return table


def chain_states(job: Job) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | None:
    """Return the automaton of counting along chains, as :func:`steps_of` takes it; None where it is too large.

    A state is the room left in each window (:mod:`uepgpu_kernels.bodies.count`), or in a later one of its chain if less: a
    packet of a window takes room from both, so that the later one is full first, and decodes this one too.
    """
    n_windows = job.capacity.size
    end = [next((e for e in range(s + 1, n_windows) if job.chain_start[e]), n_windows) for s in range(n_windows)]
    most = MOST_ENTRIES // (job.cell_window.shape[1] ** job.per_word)
    start = tuple(job.capacity.tolist())
    number, rooms, following = {start: 0}, [start], []
    for room in rooms:  # grows while it is walked
        row = []
        for s in range(n_windows):
            after = list(room)
            i = s
            while i < end[s] and after[i] > 0:
                after[i] -= 1
                i += 1
            for i in range(end[s] - 2, -1, -1):
                if end[i] == end[s]:
                    after[i] = min(after[i], after[i + 1])
            then = tuple(after)
            if then not in number:
                if len(rooms) == most:
                    return None
                number[then] = len(rooms)
                rooms.append(then)
            row.append(number[then])
        following.append(row)
    undecoded = [[unit < 0 or room[unit] > 0 for unit in job.class_unit.tolist()] for room in rooms]  # -1: in no window
    return np.array(following, dtype=np.int64), np.array(undecoded, dtype=np.bool_)
