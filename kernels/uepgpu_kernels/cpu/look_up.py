"""From words to the cells of tables, a row of lanes at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cpu.compile import stage

__all__ = ["FEW", "count_each", "find_cells", "give_values", "look_up_each"]

ZERO, ONE = np.uint64(0), np.uint64(1)
FEW = 8
"""Up to this number of thresholds, comparing with all of them is faster than a guide table."""
FEW_STEPS = 4
"""Up to so many thresholds in a bucket of the guide, passing them one by one beats halving."""


@stage
def find_cells(job: Any, word: Any, g: Any, value: Any, out: Any) -> None:
    """Find the cells of one row of words in table g."""
    n = job.n_threshold[g]
    if n == 0:
        for lane in range(out.shape[0]):
            out[lane] = value[g, 0]
    elif n <= FEW:
        compare_all(word, job.threshold[g], n, value[g, : n + 1], out)
    else:
        look_up(word, job.threshold[g], n, job.guide[g], job.guide_shift, job.guide_steps, value[g], out)


@stage
def give_values(value: Any, out: Any) -> None:
    """Put what `value` has for a cell in the cell's place."""
    plain = True
    for c in range(value.shape[0]):
        plain = plain and value[c] == c
    if not plain:
        for lane in range(out.shape[0]):
            out[lane] = value[out[lane]]


@stage
def compare_all(word: Any, threshold: Any, n: Any, value: Any, out: Any) -> None:
    """Find the cells of one row of words by comparing with each threshold."""
    lanes = word.shape[0]
    for lane in range(lanes):
        out[lane] = 0
    for c in range(n):
        least = threshold[c]
        for lane in range(lanes):
            out[lane] += word[lane] >= least
    give_values(value, out)


@stage
def look_up(word: Any, threshold: Any, n: Any, guide: Any, shift: Any, steps: Any, value: Any, out: Any) -> None:
    """Find the cells of one row of words by a guide table and a fixed number of steps.

    A search with a variable number of steps would cause branch mispredictions.
    """
    most = np.uint64(n)
    if steps > FEW_STEPS:
        search(word, threshold, n, guide, shift, steps, value, out)
        return
    for lane in range(word.shape[0]):
        x = word[lane]
        c = np.uint64(guide[x >> shift])
        for _ in range(steps):
            c += np.uint64((x >= threshold[c]) & (c < most))
        out[lane] = value[c]


@stage
def search(word: Any, threshold: Any, n: Any, guide: Any, shift: Any, steps: Any, value: Any, out: Any) -> None:
    """Find the cells of one row of words by halving, where a bucket of the guide may hold many thresholds."""
    halvings = 0
    while steps >> halvings > 0:
        halvings += 1
    last = guide.shape[0] - 1
    for lane in range(word.shape[0]):
        x = word[lane]
        bucket = np.intp(x >> shift)
        low = np.intp(guide[bucket])
        rest = np.intp(guide[bucket + 1] if bucket < last else n) - low
        for _ in range(halvings):
            half = rest >> 1
            passed = rest > 0 and x >= threshold[low + half]
            low = low + half + 1 if passed else low
            rest = rest - half - 1 if passed else half
        out[lane] = value[low]


@stage
def count_each(word: Any, table: Any, g: Any, tables: Any, states: Any, threshold: Any, n: Any, other: Any, out: Any) -> None:
    """Find the cells of a row of words, each in a table of its own, by all thresholds of table g or of every state."""
    lanes = word.shape[0]
    for s in range(max(states, ONE)):
        at = g + tables * (ONE + np.uint64(s)) if states > ZERO else g
        found = out if s == 0 else other
        for lane in range(lanes):
            found[lane] = 0
        for c in range(n[at]):
            least = threshold[at, c]
            for lane in range(lanes):
                found[lane] += word[lane] >= least
        if s > 0:
            mine = np.uint32(at)
            for lane in range(lanes):
                out[lane] = other[lane] if table[lane] == mine else out[lane]


@stage
def look_up_each(word: Any, table: Any, threshold: Any, n: Any, guide: Any, shift: Any, steps: Any, out: Any) -> None:
    """Find the cells of one row of words, each in a table of its own, by a guide table, as :func:`look_up` does."""
    if steps > FEW_STEPS:
        search_each(word, table, threshold, n, guide, shift, steps, out)
        return
    for lane in range(word.shape[0]):
        x, g = word[lane], np.uint64(table[lane])
        c, most = np.uint64(guide[g, np.uint64(x >> shift)]), np.uint64(n[g])
        c += np.uint64((x >= threshold[g, c]) & (c < most))
        if steps > 1:  # in few buckets, so that it is foreseen where this ends
            while (x >= threshold[g, c]) & (c < most):
                c += ONE
        out[lane] = c


@stage
def search_each(word: Any, table: Any, threshold: Any, n: Any, guide: Any, shift: Any, steps: Any, out: Any) -> None:
    """Find the cells of one row of words, each in a table of its own, by halving, as :func:`search` does."""
    halvings = 0
    while steps >> halvings > 0:
        halvings += 1
    last = np.uint64(guide.shape[1] - 1)
    for lane in range(word.shape[0]):
        x, g = word[lane], np.uint64(table[lane])
        bucket = np.uint64(x >> shift)
        low = np.uint64(guide[g, bucket])
        rest = (np.uint64(guide[g, bucket + ONE]) if bucket < last else np.uint64(n[g])) - low
        for _ in range(halvings):
            half = rest >> ONE
            passed = rest > ZERO and x >= threshold[g, low + half]
            low = low + half + ONE if passed else low
            rest = rest - half - ONE if passed else half
        out[lane] = low
