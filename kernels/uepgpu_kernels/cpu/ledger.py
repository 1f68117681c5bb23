"""What a tile of vectors has decoded so far, and how that becomes tallies.

In the count domain a packet's number is its time for every lane, and vectors are tallied as they change. By time lanes
differ: packets are counted for each lane, and its times tallied at the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uepgpu_kernels.bodies.bits import bit
from uepgpu_kernels.cpu.compile import allocation, stage
from uepgpu_kernels.cpu.listed import times_of_lane
from uepgpu_kernels.cpu.plain_vectors import WORDS
from uepgpu_kernels.cpu.tally import record_times, tally_subproducts
from uepgpu_kernels.cpu.vector_tally import class_vectors, tally_vectors
from uepgpu_kernels.cpu.vectors import LANES, copy, count_set, later, meet

__all__ = ["Ledger", "begin_tile", "end_tile", "new_ledger", "note_lane", "note_packet", "tally_lanes"]

ZERO = np.uint64(0)
MOST_COUNTED = 255
"""Packets that a byte can count."""
MOST_TIMES = 1024
"""Up to so many times, vectors are tallied at each of them; beyond, lane by lane."""


class Ledger(NamedTuple):
    """Arrays of one tile; K vectors, L vectors for classes."""

    open_: Any  # what is undecoded
    old: Any  # what was, when it was tallied last
    classes: Any
    classes_new: Any
    parts: Any
    pattern: Any
    changed: Any
    few: Any  # (K, lanes) uint8, or (0, lanes)
    few_wide: Any  # the same as words
    taken: Any  # (K, lanes) uint16: 1 and the packets that left X_k undecoded
    when: Any
    class_time: Any
    times: Any  # (K, lanes) uint16: when, by lane
    used: Any  # a vector


@allocation
def new_ledger(job: Any, counted: Any) -> Any:
    """Return the arrays; packets are counted for each lane if `counted`."""
    k, n_classes = job.k, job.n_classes
    few = np.empty((k if counted else 0, LANES), dtype=np.uint8)
    return Ledger(
        np.empty(k * WORDS, dtype=np.uint64),
        np.empty(k * WORDS, dtype=np.uint64),
        np.empty(n_classes * WORDS, dtype=np.uint64),
        np.empty(n_classes * WORDS, dtype=np.uint64),
        np.empty(((1 << n_classes) + 1) * WORDS, dtype=np.uint64),
        np.empty(1 << n_classes, dtype=np.int64),
        np.empty(k, dtype=np.int64),
        few,
        few.view(np.uint64),
        np.empty((k if counted else 0, LANES), dtype=np.uint16),
        np.empty(k, dtype=np.int64),
        np.empty(n_classes, dtype=np.int64),
        np.empty((k if counted else 0, LANES), dtype=np.uint16),
        np.empty(WORDS, dtype=np.uint64),
    )


@stage
def begin_tile(ledger: Any, job: Any, used: Any) -> None:
    """Begin with nothing decoded in the lanes that `used` (a vector) has."""
    for i in range(job.k):
        copy(ledger.open_, i * WORDS, used, 0, 1)
    copy(ledger.old, 0, ledger.open_, 0, job.k)
    class_vectors(ledger.old, job.class_of, ledger.classes)
    ledger.few[:] = 0
    ledger.taken[:] = 1


@stage
def note_packet(ledger: Any, job: Any, w: Any, by_time: Any, transitions: Any, pairs: Any, marginals: Any) -> None:
    """Note what `open_` has become with packet w, counted from 0."""
    for i in range(ledger.few.shape[0]):
        count_set(ledger.open_, i * WORDS, ledger.few_wide[i], 0)
    if w % MOST_COUNTED == MOST_COUNTED - 1:
        add_counts(ledger.few, ledger.taken)
    if not by_time:
        tally(ledger, job, w + 1, transitions, pairs, marginals)


@stage
def tally(ledger: Any, job: Any, time: Any, transitions: Any, pairs: Any, marginals: Any) -> None:
    """Count what has been decoded since the last time."""
    tally_vectors(
        ledger.old,
        ledger.open_,
        job.class_of,
        ledger.classes,
        ledger.classes_new,
        time,
        ledger.changed,
        ledger.parts,
        ledger.pattern,
        transitions,
        pairs,
        marginals,
    )


@stage
def end_tile(
    ledger: Any,
    job: Any,
    lanes: Any,
    fallen: Any,
    time: Any,
    by_time: Any,
    record: Any,
) -> None:
    """Note times by lane where packets were counted, but for lanes marked in `fallen` (lanes,), which are someone else's."""
    if ledger.few.shape[0] == 0:
        return
    add_counts(ledger.few, ledger.taken)
    for lane in range(lanes):
        if fallen[lane] == 0:
            times_of_lane(ledger.taken, lane, job.n_packets, time, by_time, job.n_times, ledger.when)
            note_lane(ledger, lane)
            record_times(record, lane, ledger.when)


@stage
def note_lane(ledger: Any, lane: Any) -> None:
    """Note the times in `when` as those of a lane."""
    for i in range(ledger.times.shape[0]):
        ledger.times[i, lane] = np.uint16(ledger.when[i])


@stage
def tally_lanes(ledger: Any, job: Any, lanes: Any, fallen: Any, transitions: Any, pairs: Any, marginals: Any) -> None:
    """Tally the noted times of the first lanes but for those marked in `fallen`: time by time unless there are too many times."""
    if job.n_times > MOST_TIMES:
        for lane in range(lanes):
            if fallen[lane] == 0:
                for i in range(job.k):
                    ledger.when[i] = np.int64(ledger.times[i, lane])
                tally_subproducts(
                    ledger.when, job.class_of, ledger.class_time, job.n_classes, job.n_times, transitions, pairs, marginals
                )
        return
    for v in range(WORDS):
        ledger.used[v] = ZERO
    for lane in range(lanes):
        if fallen[lane] == 0:
            ledger.used[lane >> 6] |= bit(lane & 63)
    begin_tile(ledger, job, ledger.used)
    for t in range(job.n_times):
        for i in range(job.k):
            later(ledger.times[i], 0, t, ledger.open_, i * WORDS)
            meet(ledger.open_, i * WORDS, ledger.open_, i * WORDS, ledger.used, 0)
        tally(ledger, job, t, transitions, pairs, marginals)


@stage
def add_counts(few: Any, taken: Any) -> None:
    """Add counts in bytes to those in 16 bits, and begin them anew."""
    for i in range(few.shape[0]):
        for lane in range(few.shape[1]):
            taken[i, lane] += few[i, lane]
            few[i, lane] = 0
