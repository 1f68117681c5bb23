"""Tallies of a tile from vectors: what all lanes lose at one time is counted at once.

`old` and `new` (K vectors) say what is undecoded before and after; lanes that are not in use are set in neither. Counts are
those of :mod:`uepgpu_kernels.cpu.tally`, which counts lane by lane.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.cpu.plain_vectors import WORDS
from uepgpu_kernels.cpu.vectors import copy, count_lost, differ, join, less, meet

__all__ = ["class_vectors", "tally_vectors"]

ZERO = np.uint64(0)


@stage
def class_vectors(undecoded: Any, class_of: Any, out: Any) -> None:
    """Write a vector for each class: where any of its sub-products is undecoded."""
    out[:] = ZERO
    for i in range(class_of.shape[0]):
        join(out, class_of[i] * WORDS, undecoded, i * WORDS)


@stage
def tally_vectors(
    old: Any,
    new: Any,
    class_of: Any,
    classes: Any,
    classes_new: Any,
    time: Any,
    changed: Any,
    parts: Any,
    pattern: Any,
    transitions: Any,
    pairs: Any,
    marginals: Any,
) -> None:
    """Count what is decoded at time index `time`, and make `old` and `classes` what `new` says.

    `classes` (L vectors) are those of `old`; `changed` (K,), `classes_new` (L vectors), `parts` (2^L + 1 vectors) and
    `pattern` (2^L,) are scratch.
    """
    k = class_of.shape[0]
    n = 0
    for i in range(k):
        if differ(old, i * WORDS, new, i * WORDS):
            changed[n] = i
            n += 1
    if n == 0:
        return
    if marginals.shape[0] > 0:
        for c in range(n):
            i = changed[c]
            count_lost(marginals[time], i, old, i * WORDS, new, i * WORDS, 0, 1)
    if pairs.shape[0] > 0:
        row = pairs[time]
        c = 0
        for i in range(k):
            at = i * (i + 1) // 2
            if c < n and changed[c] == i:
                count_lost(row, at, old, 0, new, 0, i, i + 1)
                c += 1
            else:
                for other in range(c):
                    j = changed[other]
                    count_lost(row, at + j, old, j * WORDS, new, j * WORDS, i - j, 1)
    class_vectors(new, class_of, classes_new)
    tally_transitions(classes, classes_new, time, parts, pattern, transitions)
    copy(classes, 0, classes_new, 0, classes.shape[0] // WORDS)
    copy(old, 0, new, 0, k)


@stage
def tally_transitions(classes: Any, classes_new: Any, time: Any, parts: Any, pattern: Any, transitions: Any) -> None:
    """Count each class that is decoded under the set of classes decoded before it; of one time, the lower one goes first."""
    n_classes = classes.shape[0] // WORDS
    nothing = parts.shape[0] - WORDS
    for v in range(WORDS):
        parts[nothing + v] = ZERO
    for c in range(n_classes):
        if not less(parts, 0, classes, c * WORDS, classes_new, c * WORDS):
            continue
        # Part the lanes by what else is decoded, class by class; parts without lanes are dropped.
        pattern[0] = 0
        n = 1
        for other in range(n_classes):
            if other == c:
                continue
            undecoded = classes_new if other < c else classes
            for e in range(n):
                at = e * WORDS
                if less(parts, n * WORDS, parts, at, undecoded, other * WORDS):
                    with_other = pattern[e] | (1 << other)
                    if meet(parts, at, parts, at, undecoded, other * WORDS):
                        pattern[n] = with_other
                        n += 1
                    else:
                        pattern[e] = with_other
                        copy(parts, at, parts, n * WORDS, 1)
        for e in range(n):
            at = ((time << n_classes) + pattern[e]) * n_classes + c
            count_lost(transitions, at, parts, e * WORDS, parts, nothing, 0, 1)
