"""The matching decoder of a window table as a finite automaton.

With generic coefficients the row space matters only through which packets added rank, so decoding is a walk over finitely
many states: what is decoded, and how many packets of each window (less what is decoded) wait. Built once per set of
windows, on the host; a walk costs one table look-up a packet.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.job import Job

__all__ = ["MOST_STATES", "Automaton", "automaton_of", "build_automaton", "undecoded_classes"]

MOST_STATES = 1024
"""Larger automata are not built: the table would not fit the cache, and building it would take longer than it saves."""


class Automaton(NamedTuple):
    """States are numbered from 0, where nothing has been received."""

    following: NDArray[np.int64]  # (states, S): next state by window
    decoded: NDArray[np.uint64]  # (states,): mask of decoded sub-products


def automaton_of(job: Job) -> Automaton | None:
    """Return the automaton of a job's windows; None where supports are drawn, K > 64, or there are too many states."""
    return build_automaton(job.mask) if job.mask.size else None


def undecoded_classes(automaton: Automaton, job: Job) -> NDArray[np.bool_]:
    """Return which classes are not wholly decoded in each state, shape (states, L)."""
    members = np.zeros(job.n_classes, dtype=np.uint64)
    for i, c in enumerate(job.class_of):
        members[c] |= np.uint64(1) << np.uint64(i)
    undecoded: NDArray[np.bool_] = (automaton.decoded[:, None] & members) != members
    return undecoded


def build_automaton(masks: NDArray[np.uint64], most_states: int = MOST_STATES) -> Automaton | None:
    """Build the automaton of windows with supports `masks` (S,) on at most 64 sub-products; None where it has too many states."""
    return _build(tuple(int(m) for m in masks), most_states)


@functools.lru_cache(maxsize=64)
def _build(supports: tuple[int, ...], most_states: int) -> Automaton | None:
    start: _State = (0, ())
    number = {start: 0}
    states = [start]
    following: list[list[int]] = []
    for state in states:  # grows while it is walked
        row = []
        for support in supports:
            after = _take(state, support)
            if after not in number:
                if len(states) == most_states:
                    return None
                number[after] = len(states)
                states.append(after)
            row.append(number[after])
        following.append(row)
    automaton = Automaton(np.array(following, dtype=np.int64), np.array([s[0] for s in states], dtype=np.uint64))
    for table in automaton:
        table.setflags(write=False)
    return automaton


_State = tuple[int, tuple[int, ...]]
"""Mask of what is decoded, and the sorted open supports of the packets that wait (independent, none decodable)."""


def _take(state: _State, support: int) -> _State:
    decoded, waiting = state
    fresh = support & ~decoded
    if fresh == 0:
        return state
    packets = [*waiting, fresh]
    # A new tight set must contain the new packet. The least one is where its alternating paths lead: match all packets but
    # the new one, then see whether any packet set is as large as the union of its supports.
    owner: dict[int, int] = {}
    for index in range(len(packets)):
        _augment(index, packets, owner, set())
    open_ = 0
    for support_ in packets:
        open_ |= support_
    for k in owner:
        open_ &= ~(1 << k)
    grew = True
    while grew:
        grew = False
        for k, index in owner.items():
            if not (open_ >> k) & 1 and packets[index] & open_:
                open_ |= 1 << k
                grew = True
    tight = 0
    for k in owner:
        if not (open_ >> k) & 1:
            tight |= 1 << k
    decoded |= tight
    return decoded, tuple(sorted(rest for p in packets if (rest := p & ~tight)))


def _augment(index: int, packets: list[int], owner: dict[int, int], seen: set[int]) -> bool:
    support = packets[index]
    while support:
        low = support & -support
        support ^= low
        k = low.bit_length() - 1
        if k in seen:
            continue
        seen.add(k)
        if k not in owner or _augment(owner[k], packets, owner, seen):
            owner[k] = index
            return True
    return False
