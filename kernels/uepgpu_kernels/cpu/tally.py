"""Tallies of a tile: when classes, or sub-products, were decoded.

A time index of n_times or more means never. Class patterns are tallied as transitions: class l decoded at time t when
the set `before` was decoded already. So a realization costs L increments however many times there are; patterns follow
from the transitions once, at the end (:func:`uepgpu_kernels.transitions.patterns_of`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cpu.compile import entry, stage

__all__ = ["add_squares", "keep_classes", "record_times", "tally_classes", "tally_subproducts", "tally_times"]

CLASS_BITS = np.uint32(3)
CLASS_MASK = np.uint32(7)


@stage
def tally_classes(when: Any, lanes: Any, n_classes: Any, n_times: Any, keys: Any, transitions: Any) -> None:
    """Count transitions of the first `lanes` columns of `when` (class, lane); `keys` is uint32 scratch of one row more."""
    width = keys.shape[1]
    never = np.uint32(n_times)
    for c in range(n_classes):
        label = np.uint32(c)
        for lane in range(width):
            keys[c, lane] = (min(np.uint32(when[c, lane]), never) << CLASS_BITS) | label
    # Odd-even transposition sorts each column by time.
    for i in range(n_classes):
        for c in range(i & 1, n_classes - 1, 2):
            for lane in range(width):
                x = keys[c, lane]
                y = keys[c + 1, lane]
                keys[c, lane] = min(x, y)
                keys[c + 1, lane] = max(x, y)
    patterns = np.uint32(1 << n_classes)
    before = keys[n_classes]
    for lane in range(width):
        before[lane] = 0
    for c in range(n_classes):
        for lane in range(width):
            key = keys[c, lane]
            label = key & CLASS_MASK
            keys[c, lane] = ((key >> CLASS_BITS) * patterns + before[lane]) * np.uint32(n_classes) + label
            before[lane] |= np.uint32(1) << label
    for c in range(n_classes):
        row = keys[c]
        for lane in range(lanes):
            transitions[np.intp(row[lane])] += 1


@stage
def tally_subproducts(
    when: Any, class_of: Any, class_time: Any, n_classes: Any, n_times: Any, transitions: Any, pairs: Any, marginals: Any
) -> None:
    """Count one realization whose sub-products were decoded at `when`, shape (K,); `class_time` (L,) is scratch.

    `pairs` (T, K(K+1)/2) counts the earlier time of each pair, `marginals` (T, K) each time, unless it is never; either may
    have no rows. What a realization costs is what it changes, K²/2 at most.
    """
    k = when.shape[0]
    for c in range(n_classes):
        class_time[c] = 0
    n_decoded = 0
    for i in range(k):
        time = min(when[i], n_times)
        n_decoded += time < n_times
        class_time[class_of[i]] = max(class_time[class_of[i]], time)
    before = 0
    for _ in range(n_classes):
        best = -1
        for c in range(n_classes):
            if (before >> c) & 1 == 0 and (best < 0 or class_time[c] < class_time[best]):
                best = c
        transitions[(class_time[best] * (1 << n_classes) + before) * n_classes + best] += 1
        before |= 1 << best
    if pairs.shape[0] > 0 and 2 * n_decoded > k:
        at = 0
        for i in range(k):
            for j in range(i + 1):
                time = min(when[i], when[j])
                if time < n_times:
                    pairs[time, at] += 1
                at += 1
    elif pairs.shape[0] > 0:
        for i in range(k):
            time = when[i]
            if time < n_times:
                at = i * (i + 1) // 2
                for j in range(i + 1):
                    pairs[time, at + j] += when[j] >= time
                for j in range(i + 1, k):
                    pairs[time, j * (j + 1) // 2 + i] += when[j] > time
    if marginals.shape[0] > 0:
        for i in range(k):
            if when[i] < n_times:
                marginals[when[i], i] += 1


@stage
def keep_classes(when: Any, lanes: Any, first: Any, class_time: Any) -> None:
    """Write the times of classes, the first `lanes` columns of `when`, where `class_time` has columns, from `first` on."""
    if class_time.shape[1] > 0:
        for c in range(when.shape[0]):
            for lane in range(lanes):
                class_time[c, first + lane] = when[c, lane]


@stage
def record_times(record: Any, row: Any, when: Any) -> None:
    """Write the times of one realization, where `record` has rows. An assignment of arrays would compile for two seconds."""
    if record.shape[0] > 0:
        for i in range(when.shape[0]):
            record[row, i] = when[i]


@entry
def tally_times(times: Any, job: Any, transitions: Any, pairs: Any, marginals: Any) -> None:
    """Count realizations whose sub-products were decoded at `times` (n, K)."""
    class_time = np.empty(job.n_classes, dtype=np.int64)
    for r in range(times.shape[0]):
        tally_subproducts(times[r], job.class_of, class_time, job.n_classes, job.n_times, transitions, pairs, marginals)


TOGETHER = 64
"""Trajectories whose counters stay in the caches, side by side in vectors, of which one sum is taken."""
SHORT = 1 << 13
"""Up to so many rounds, the sum of so many squares fits 32 bits: TOGETHER·SHORT² = 2³²."""


@stage
def sum_of_products(a: Any, b: Any) -> Any:
    """Return the sum of a·b, of the type of both."""
    total = a[0] * b[0]
    for lane in range(1, TOGETHER):
        total += a[lane] * b[lane]
    return total


@stage
def add_products(ended: Any, left: Any, n_times: Any, squares: Any) -> None:
    """Add products of the numbers of rounds in which events last, `left` (E, TOGETHER) of them before the first time."""
    for t in range(n_times):
        at = 0
        for e in range(left.shape[0]):
            for lane in range(TOGETHER):
                left[e, lane] -= ended[t, e, lane]
            for f in range(e + 1):
                squares[t, at] += np.int64(sum_of_products(left[e], left[f]))
                at += 1


@entry
def add_squares(class_time: Any, count: Any, n_times: Any, squares: Any) -> None:
    """Add products of numbers of rounds to `squares` (T, E(E+1)/2), as :class:`uepgpu_kernels.job.RawTrajectories` has them.

    `class_time` (R, L, n) says when classes were decoded in every round of the first `count` trajectories.
    """
    rounds, n_classes = class_time.shape[0], class_time.shape[1]
    n_events = n_classes * (n_classes + 1) // 2
    # The last row is of what is never decoded.
    ended = np.empty((n_times + 1, n_events, TOGETHER), dtype=np.uint32)
    short = np.empty((n_events, TOGETHER), dtype=np.uint32)
    wide = np.empty((n_events, TOGETHER), dtype=np.uint64)
    never = np.uint16(n_times)
    for done in range(0, count, TOGETHER):
        lanes = min(TOGETHER, count - done)
        ended[:] = 0
        for r in range(rounds):
            e = 0
            for c in range(n_classes):
                for d in range(c + 1):
                    for lane in range(lanes):
                        time = min(class_time[r, c, done + lane], class_time[r, d, done + lane])
                        ended[np.intp(min(time, never)), e, lane] += np.uint32(1)
                    e += 1
        for e in range(n_events):
            for lane in range(TOGETHER):
                short[e, lane] = wide[e, lane] = rounds if lane < lanes else 0
        if rounds < SHORT:
            add_products(ended, short, n_times, squares)
        else:
            add_products(ended, wide, n_times, squares)
