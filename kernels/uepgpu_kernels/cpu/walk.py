"""Decoders walking a tile packet by packet, all lanes at once: by counting, and by the matching automaton.

Both note after how many packets something is decoded; :func:`times_of` turns that into time indices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.count import rises
from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.joint import COLUMNS

__all__ = ["add_fields", "times_of", "walk_automaton", "walk_chains", "walk_steps"]

HALF, LOW = np.uint32(16), np.uint32(0xFFFF)
COMBINATION = np.uint32(COLUMNS - 1)


@stage
def walk_chains(
    window: Any, n_packets: Any, chain_start: Any, room_full: Any, label: Any, rising: Any, room: Any, taken: Any
) -> None:
    """Count packets along chains of windows; `taken[s]` becomes the number of packets until increment s is decoded.

    All arrays but `chain_start` have the integer type of `window`, which must hold n_packets + 1; a narrow type makes
    the loops fast. `room_full` is the size of each window, `label` its number. Never decoded: n_packets + 1.
    """
    n_windows = room.shape[0]
    lanes = window.shape[1]
    for s in range(n_windows):
        for lane in range(lanes):
            room[s, lane] = room_full[s]
        for lane in range(lanes):
            taken[s, lane] = 1
    for w in range(n_packets):
        row = window[w]
        for s in range(n_windows):
            if chain_start[s]:
                for lane in range(lanes):
                    rising[lane] = False
            own = label[s]
            left = room[s]
            count = taken[s]
            for lane in range(lanes):
                up = rises(rising[lane], row[lane] == own, left[lane])
                rising[lane] = up
                left[lane] -= up
                count[lane] += left[lane] != 0
    # An increment is decoded as soon as its own window or a later one of its chain is full.
    for s in range(n_windows - 2, -1, -1):
        if not chain_start[s + 1]:
            for lane in range(lanes):
                taken[s, lane] = min(taken[s, lane], taken[s + 1, lane])


@stage
def walk_automaton(
    window: Any, n_packets: Any, following: Any, n_windows: Any, open_classes: Any, n_classes: Any, state: Any, taken: Any
) -> None:
    """Follow the automaton; `taken[c]` becomes the number of packets until class c is decoded, or n_packets + 1.

    `following` (states·S,) uint16 holds the next state by state·S + window, `open_classes` (states,) uint8 undecoded classes.
    """
    lanes = window.shape[1]
    for lane in range(lanes):
        state[lane] = 0
    for c in range(n_classes):
        for lane in range(lanes):
            taken[c, lane] = 1
    pattern = taken[n_classes]
    for w in range(n_packets):
        row = window[w]
        for lane in range(lanes):
            at = following[np.intp(state[lane]) * n_windows + np.intp(row[lane])]
            state[lane] = at
            pattern[lane] = open_classes[np.intp(at)]
        for c in range(n_classes):
            count = taken[c]
            for lane in range(lanes):
                count[lane] += (pattern[lane] >> c) & 1


@stage
def walk_steps(combination: Any, steps: Any, row: Any, left: Any) -> None:
    """Take all packets of a word by a table of :mod:`uepgpu_kernels.steps`: the row of the state, and what `left` counts.

    Both are uint16, a lane each; numbers that LLVM knows to be narrow make gathers of 32-bit indices.
    """
    for lane in range(row.shape[0]):
        entry = steps[np.intp(row[lane]) + np.intp(combination[lane] & COMBINATION)]
        row[lane] = entry >> HALF
        left[lane] += entry & LOW


@stage
def add_fields(left: Any, width: Any, taken: Any) -> None:
    """Add field c of `left`, which is `width` bits wide, to ``taken[c]``, and clear all fields."""
    most = np.uint16((1 << width) - 1)
    for c in range(taken.shape[0]):
        count, shift = taken[c], np.uint16(width * c)
        for lane in range(left.shape[0]):
            count[lane] += (left[lane] >> shift) & most
    left[:] = 0


@stage
def times_of(taken: Any, rows: Any, n_packets: Any, keys: Any, shift: Any, when: Any, by_time: Any, n_times: Any) -> None:
    """Turn numbers of packets into time indices: themselves, or the arrival time of the last one of them, from sorted keys."""
    for s in range(rows):
        for lane in range(taken.shape[1]):
            when[s, lane] = taken[s, lane]
        if by_time:
            for lane in range(taken.shape[1]):
                n = np.intp(taken[s, lane])
                when[s, lane] = keys[n - 1, lane] >> shift if n <= n_packets else n_times
