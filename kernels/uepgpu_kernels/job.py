"""The arrays of a plan as kernels take them, and what kernels give back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AT_RANDOM",
    "BY_INDEX",
    "BY_PERMUTATION",
    "BY_TIME",
    "ERLANG",
    "IN_BLOCKS",
    "IN_ORDER",
    "LINEAR",
    "SUB_BATCHES",
    "Job",
    "RawTally",
    "RawTrajectories",
    "guide_tables",
]

BY_INDEX, BY_PERMUTATION, BY_TIME = 0, 1, 2
"""Arrival orders: packet 0 first; a random permutation; by the drawn arrival time."""

IN_ORDER, AT_RANDOM, IN_BLOCKS = 0, 1, 2
"""Which round of a trace a realization meets: that of its number mod R; a drawn one; of a trajectory, the one after the last."""

LINEAR, ERLANG = 0, 1
"""How the messages of a worker follow each other: as its work adds up at one pace, or each after a fresh exponential time."""

SUB_BATCHES = 32
"""Tallies are kept apart by realization number mod 32, for standard errors by batch means."""


class Job(NamedTuple):
    """Everything that a kernel sees besides the range of realizations. G tables, C thresholds, S windows.

    A packet w draws one 32-bit word and compares it with table ``group[w]``: its cell is the number of thresholds <= word,
    and the cell says which window it has and at which time index it arrives (``n_times``: never). Where there are racks, the table
    of a packet whose rack is struck is ``struck[w]`` instead. Where there is a trace, cells do not say when a packet arrives but
    which of V works it is charged, and V that it is lost: `arrival` has the time index of that work. Where there are S states,
    tables come in 1 + S equal parts, for round 0 and for later ones by the state of the worker; `group` is of the first part, and
    cell c leads to state c mod S. Where workers send m messages, packet wm + j is the j-th of worker w, and tables of packets say
    its window and, in the place of a time, twice its work and 1 more where it is lost. When it arrives is in tables of the worker,
    ``due[w]`` and on, those of a struck rack from ``struck[w]`` on: of linear progress table c - 1 says when work c is done; of
    Erlang table d says how many messages come between deadlines d - 1 and d. With a trace `arrival` says when work c is done.
    In the count domain the time index is the number of packets received, so the cell gives the window alone, and where
    ``per_word`` is more than 1, one word draws the cells of so many packets by `alias`.
    """

    seed: np.uint64
    k: int
    n_packets: int
    n_times: int
    n_classes: int
    order: int
    group: NDArray[np.int64]  # (W,)
    struck: NDArray[np.int64]  # (W,) tables of packets, or of arrivals of workers, whose rack is struck; (0,) without racks
    rack: NDArray[np.int64]  # (W,) numbers of racks from 0, or (0,)
    n_racks: int
    rack_below: np.uint64  # a rack is struck where its word is less
    threshold: NDArray[np.uint32]  # (G, C + 1), ascending; only the first n_threshold count
    n_threshold: NDArray[np.int64]  # (G,)
    arrival: NDArray[np.uint16]  # (V, R, W) time index by work, round and worker of a trace; (0, 0, 0) without one
    replay: int
    restart_below: np.uint64  # in blocks: a trajectory starts anew at a drawn round where its word is less
    shuffle: bool  # whether latencies of a round are given to workers at random
    messages: int  # that a worker sends; 1 where their number alone matters
    progress: int
    most_work: int  # C that the messages of a worker may add up to; as many as messages where all are of equal work
    due: NDArray[np.int64]  # (W,) first table of every worker's arrivals; (0,) where it sends one message, or with a trace
    n_states: int  # that workers pass through from round to round; 0: there are no rounds
    round: int
    state: NDArray[np.uint8]  # (W, n) states of realizations state_first + i·stride, which rounds leave to the next; or (0, 0)
    row: NDArray[np.uint32]  # (n,) rounds of a trace in blocks that those realizations met last, likewise; or (0,)
    state_first: np.uint64
    class_time: NDArray[np.uint16]  # (L, n) where nests of class patterns leave when classes were decoded; or (0, 0)
    next_state: NDArray[np.uint8]  # (C + 1,) where there are states, else (0,)
    guide: NDArray[np.uint16] | NDArray[np.uint32]  # (G, 2^b): cell of the least word of each bucket
    guide_shift: np.uint32
    guide_steps: int  # thresholds that one bucket may hold
    per_word: int  # packets that a word decides
    alias: NDArray[np.uint32]  # (128,) table of :mod:`uepgpu_kernels.joint`; (0,) where per_word is 1
    cell_window: NDArray[np.uint16]  # (G, C + 1)
    cell_time: NDArray[np.uint16]  # (G, C + 1)
    mask: NDArray[np.uint64]  # (S,) supports as bit masks where K <= 64, else (0,)
    support: NDArray[np.uint8]  # (S, K) supports; (0, K) where they are drawn
    degree: NDArray[np.int64]  # (S,) sizes of drawn supports, else (0,)
    class_of: NDArray[np.int64]  # (K,) counted from 0
    field: int
    generator: NDArray[np.uint64]  # (W, K) given coefficients, elements of the field; else (0, K)
    target: NDArray[np.uint8]  # (T, K) sums that count as decoded, by their terms, nested or disjoint; else (0, K)
    capacity: NDArray[np.int64]  # (S,) size of each window, in chain order; (0,) where windows are no chains
    chain_start: NDArray[np.uint8]  # (S,) whether a window begins a chain
    unit_of: NDArray[np.int64]  # (K,) the chain increment that holds X_k, or -1; (0,) where windows are no chains
    class_unit: NDArray[np.int64]  # (L,) the increment that holds each class whole; (0,) where some class is split


class RawTally(NamedTuple):
    """Integer tallies of a range of realizations, by sub-batch and time index."""

    patterns: NDArray[np.int64]  # (32, T, 2^L): bit l set where class l+1 is decoded
    pairs: NDArray[np.int64] | None  # (32, T, K(K+1)/2): X_k and X_k' both undecoded, k' <= k, row by row
    marginals: NDArray[np.int64] | None  # (32, T, K): X_k undecoded


class RawTrajectories(NamedTuple):
    """Integer tallies of a range of trajectories: of every round, and of how rounds depend on each other.

    Where class patterns say everything, c_e is the number of rounds of a trajectory in which both classes of pair e were undecoded
    (pairs l' <= l, row by row, E = L(L + 1)/2 of them). `squares` has the sums of c_e·c_f over trajectories, f <= e, row by row.
    """

    rounds: list[RawTally]
    squares: NDArray[np.int64] | None  # (32, T, E(E+1)/2)


def guide_tables(
    threshold: NDArray[np.uint32], n_threshold: NDArray[np.int64]
) -> tuple[NDArray[np.uint16] | NDArray[np.uint32], np.uint32, int]:
    """Return the guide of every table, by how much a word is shifted to index it, and the steps a search from it takes."""
    bits = int(np.clip(np.ceil(np.log2(16 * threshold.shape[1])), 4, 12))
    shift = 32 - bits
    least = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(shift)
    used = [t[:n].astype(np.uint64) for t, n in zip(threshold, n_threshold, strict=True)]
    guide = np.stack([np.searchsorted(t, least[:-1], side="right") for t in used])
    # A bucket's thresholds above its least word are still to be passed.
    last = np.stack([np.searchsorted(t, least[1:] - np.uint64(1), side="right") for t in used])
    narrow = guide.astype(np.uint16) if threshold.shape[1] <= 2**16 else guide.astype(np.uint32)
    return narrow, np.uint32(shift), int((last - guide).max())
