"""Decoders of one realization from a list of its packets, one thread each: when each sub-product is decoded.

Each public function makes the step ``(t, seed, realization, window, keys, arrived, when)`` of one decoder for a shape; `when` (K,)
uint32 holds n_times before. An entry of the table of decoders names one of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.bits import bit, lowest
from uepgpu_kernels.bodies.count import rises
from uepgpu_kernels.bodies.eliminate import eliminate_decoded, eliminate_nothing, eliminate_reduce, eliminate_take
from uepgpu_kernels.bodies.match import match_decoded, match_take
from uepgpu_kernels.bodies.peel import peel_take
from uepgpu_kernels.bodies.sample import draw_coefficients, draw_subset
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import cuda, stage

__all__ = ["automaton", "count", "eliminate", "match", "peel"]

ZERO = np.uint64(0)
ZERO32 = np.uint32(0)
HALF = np.uint32(16)
LOW16 = np.uint32(0xFFFF)
LOW32 = np.uint64(0xFFFFFFFF)
ELEMENT = (np.uint32, np.uint8, np.uint8)
"""What holds an element of each field: rows stay as narrow as they can."""


@stage
def note(fresh: Any, time: Any, when: Any) -> None:
    """Write the time of newly decoded sub-products."""
    while fresh != ZERO:
        i = lowest(fresh)
        fresh ^= bit(i)
        when[i] = time


def count(shape: Shape) -> Any:
    """Count packets along chains of windows."""
    k, n_windows = shape.k, max(shape.n_windows, 1)

    @stage
    def step(t: Any, seed: Any, realization: Any, window: Any, keys: Any, arrived: Any, when: Any) -> None:
        room = cuda.local.array(n_windows, np.uint8)
        time = cuda.local.array(n_windows, np.uint32)
        never = when[0]
        for s in range(n_windows):
            room[s] = np.uint8(t.capacity[s])
            time[s] = never
        for w in range(arrived):
            key = keys[w]
            s = int(window[key & LOW16])
            rising = True
            while rising:
                left = room[s]
                rising = rises(False, True, left)
                if rising:
                    room[s] = np.uint8(left - 1)
                    if left == 1:
                        time[s] = np.uint32(key >> HALF)
                    s += 1
                    rising = s < n_windows and t.chain_start[s] == ZERO32
        # An increment is decoded as soon as its own window or a later one of its chain is full.
        for back in range(n_windows - 1):
            s = n_windows - 2 - back
            if t.chain_start[s + 1] == ZERO32:
                time[s] = min(time[s], time[s + 1])
        for i in range(k):
            unit = t.unit_of[i]
            when[i] = time[unit] if unit >= 0 else never

    return step


def automaton(shape: Shape) -> Any:
    """Walk the matching automaton."""

    @stage
    def step(t: Any, seed: Any, realization: Any, window: Any, keys: Any, arrived: Any, when: Any) -> None:
        at = ZERO
        decoded = ZERO
        for w in range(arrived):
            key = keys[w]
            at = t.walk[at + np.uint64(window[key & LOW16])] & LOW32
            after = t.decoded[at]
            note(after & ~decoded, np.uint32(key >> HALF), when)
            decoded = after

    return step


def _support_of(shape: Shape) -> Any:
    k, drawn, size = shape.k, shape.drawn, shape.k + 3

    @stage
    def support_of(t: Any, seed: Any, realization: Any, packet: Any, window: Any) -> Any:
        if drawn:
            words = cuda.local.array(size, np.uint64)
            return draw_subset(words, seed, realization, packet, t.degree[window], k)
        return t.mask[window]

    return support_of


def match(shape: Shape) -> Any:
    """Match packets to sub-products by alternating paths."""
    k, support_of = shape.k, _support_of(shape)
    full = ~ZERO >> np.uint64(64 - shape.k)

    @stage
    def step(t: Any, seed: Any, realization: Any, window: Any, keys: Any, arrived: Any, when: Any) -> None:
        owner = cuda.local.array(k, np.uint64)
        parent = cuda.local.array(k, np.int8)
        matched = ZERO
        decoded = ZERO
        w = 0
        while w < arrived and decoded != full:
            number = int(keys[w] & LOW16)
            support = support_of(t, seed, realization, number, window[number])
            if support & ~decoded != ZERO:
                matched = match_take(support, owner, parent, matched)
                after = match_decoded(owner, matched, decoded, full)
                note(after & ~decoded, np.uint32(keys[w] >> HALF), when)
                decoded = after
            w += 1

    return step


def peel(shape: Shape) -> Any:
    """Reveal sub-products from packets with one unknown."""
    support_of = _support_of(shape)
    n = shape.n_packets
    full = ~ZERO >> np.uint64(64 - shape.k)

    @stage
    def step(t: Any, seed: Any, realization: Any, window: Any, keys: Any, arrived: Any, when: Any) -> None:
        waiting = cuda.local.array(n, np.uint64)
        n_waiting = 0
        known = ZERO
        w = 0
        while w < arrived and known != full:
            number = int(keys[w] & LOW16)
            support = support_of(t, seed, realization, number, window[number])
            after, n_waiting = peel_take(support, waiting, n_waiting, known)
            note(after & ~known, np.uint32(keys[w] >> HALF), when)
            known = after
            w += 1

    return step


@stage
def note_rows(rows: Any, pivot: Any, k: Any, never: Any, time: Any, when: Any) -> None:
    """Write the time of sub-products whose row has just become a unit row."""
    for i in range(k):
        if when[i] >= never and eliminate_decoded(rows, pivot, i, k):
            when[i] = time


def eliminate(shape: Shape) -> Any:
    """Eliminate coefficients of a finite field, given or drawn."""
    k, field, drawn, given = shape.k, shape.field, shape.drawn, shape.given
    size, element, one = k + 3, ELEMENT[field], np.uint64(1)
    n_targets = shape.targets
    n_left = max(n_targets, 1)

    @stage
    def step(t: Any, seed: Any, realization: Any, window: Any, keys: Any, arrived: Any, when: Any) -> None:
        rows = cuda.local.array((k, k), element)
        pivot = cuda.local.array(k, np.int8)
        words = cuda.local.array(size, np.uint64)
        left = cuda.local.array((n_left, k), element)
        first_target = t.n_packets * k
        for i in range(k):
            pivot[i] = 0
        for s in range(n_targets):
            for i in range(k):
                left[s, i] = t.generator[first_target + s * k + i]
        rank = 0
        w = 0
        never = when[0]
        while w < arrived and rank < k:
            number = int(keys[w] & LOW16)
            if given:
                for i in range(k):
                    words[i] = t.generator[number * k + i]
            else:
                s = window[number]
                support = draw_subset(words, seed, realization, number, t.degree[s], k) if drawn else t.mask[s]
                draw_coefficients(words, seed, realization, number, k, field)
                for i in range(k):
                    words[i] = words[i] * ((support >> np.uint64(i)) & one)
            if eliminate_take(words, rows, pivot, k, field):
                rank += 1
                time = np.uint32(keys[w] >> HALF)
                note_rows(rows, pivot, k, never, time, when)
                for s in range(n_targets):
                    eliminate_reduce(left[s], rows, pivot, k, field)
                    if eliminate_nothing(left[s], k):
                        for i in range(k):
                            if t.generator[first_target + s * k + i] != ZERO and when[i] >= never:
                                when[i] = time
            w += 1

    return step
