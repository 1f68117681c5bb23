"""Increments of one realization, made with atomics: class transitions as in :mod:`uepgpu_kernels.cpu.tally`, pairs, marginals.

A realization takes one increment per class, and where asked for one per pair or sub-product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import cuda, stage

__all__ = ["CLASSES", "packed_tally", "shared_tally", "subproduct_tally"]

BYTE = np.uint32(0xFF)
ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
THREE = np.uint32(3)
ONE = np.uint64(1)
ALL = np.int32(-1)
CLASSES = 8
"""Classes at most."""


def packed_tally(shape: Shape) -> Any:
    """Return the step that counts the transitions of packed class times: ``(hist, base, one, times, n_times)``, 8 bits a class.

    Where packets are taken by whole blocks of words, also those that the job does not have, what these decode is never decoded.
    """
    n_classes = shape.n_classes
    late = shape.nest != "sorted"
    patterns = np.uint32(1 << n_classes)
    factor = np.uint32(n_classes)

    @stage
    def count_packed(hist: Any, base: Any, one: Any, times: Any, n_times: Any) -> None:
        for c in range(n_classes):
            time = np.uint32(np.uint32(times >> np.uint32(8 * c)) & BYTE)
            if late:
                time = min(time, n_times)
            key = np.uint32(np.uint32(time << THREE) | np.uint32(c))
            before = ZERO32
            for d in range(n_classes):
                other = np.uint32(np.uint32(times >> np.uint32(8 * d)) & BYTE)
                if late:
                    other = min(other, n_times)
                earlier = np.uint32(np.uint32(other << THREE) | np.uint32(d)) < key
                before = np.uint32(before | (np.uint32(1 << d) if earlier else ZERO32))
            at = np.uint32(np.uint32(np.uint32(time * patterns) + before) * factor + np.uint32(c))
            cuda.atomic.add(hist, base + at, one)

    return count_packed


def subproduct_tally(shape: Shape) -> Any:
    """Return the step that counts the times of sub-products: ``(t, hist, base, one, n_times, when)``."""
    k, n_classes = shape.k, shape.n_classes
    transitions = n_classes << n_classes
    width = k * (k + 1) // 2
    pairs, marginals = shape.kind == "pairs", shape.kind == "marginals"

    @stage
    def count_subproducts(t: Any, hist: Any, base: Any, one: Any, n_times: Any, when: Any) -> None:
        class_time = cuda.local.array(n_classes, np.uint32)
        for c in range(n_classes):
            class_time[c] = ZERO32
        for i in range(k):
            c = t.class_of[i]
            class_time[c] = max(class_time[c], when[i])
        for c in range(n_classes):
            key = np.uint32((class_time[c] << THREE) | np.uint32(c))
            before = ZERO32
            for d in range(n_classes):
                earlier = np.uint32((class_time[d] << THREE) | np.uint32(d)) < key
                before = np.uint32(before | (np.uint32(1 << d) if earlier else ZERO32))
            at = np.uint32(np.uint32(class_time[c] << np.uint32(n_classes)) + before) * np.uint32(n_classes) + np.uint32(c)
            cuda.atomic.add(hist, base + np.uint32(at), one)
        after = base + np.uint32((n_times + ONE32) * np.uint32(transitions))
        if pairs:
            pair = ZERO32
            for i in range(k):
                for j in range(i + 1):
                    cuda.atomic.add(hist, after + np.uint32(np.uint32(min(when[i], when[j]) * np.uint32(width)) + pair), one)
                    pair = np.uint32(pair + ONE32)
        if marginals:
            for i in range(k):
                cuda.atomic.add(hist, after + np.uint32(np.uint32(when[i] * np.uint32(k)) + np.uint32(i)), one)

    return count_subproducts


def shared_tally(shape: Shape) -> Any:
    """Return the step of lanes that share a realization.

    It is ``(t, out, counters, n_times, when, columns, class_time, group, me, active)``.

    `when` has the times of its K sub-products from `columns` on; `class_time` is scratch for 8 classes of each `group` of lanes.
    """
    k, n_classes = shape.k, shape.n_classes
    lanes = np.uint32(shape.lanes)
    transitions = n_classes << n_classes
    width = k * (k + 1) // 2
    pairs, marginals = shape.kind == "pairs", shape.kind == "marginals"

    @stage
    def tally(
        t: Any, out: Any, counters: Any, n_times: Any, when: Any, columns: Any, class_time: Any, group: Any, me: Any, active: Any
    ) -> None:
        classes = np.uint32(group * np.uint32(CLASSES))
        if me < np.uint32(CLASSES):
            class_time[np.uint32(classes + me)] = ZERO32
        cuda.syncwarp(ALL)
        j = me
        while j < k:
            cuda.atomic.max(class_time, np.uint32(classes + np.uint32(t.class_of[j])), when[np.uint32(columns + j)])
            j = np.uint32(j + lanes)
        cuda.syncwarp(ALL)
        if active:
            if me < np.uint32(n_classes):
                time = class_time[np.uint32(classes + me)]
                key = np.uint32(np.uint32(time << THREE) | me)
                before = ZERO32
                for d in range(n_classes):
                    other = np.uint32(np.uint32(class_time[np.uint32(classes + np.uint32(d))] << THREE) | np.uint32(d))
                    before = np.uint32(before | (np.uint32(1 << d) if other < key else ZERO32))
                at = np.uint32(np.uint32(np.uint32(time << np.uint32(n_classes)) + before) * np.uint32(n_classes)) + me
                cuda.atomic.add(out, counters + np.uint64(at), ONE)
            after = counters + np.uint64(np.uint32(np.uint32(n_times + ONE32) * np.uint32(transitions)))
            if pairs:
                for i in range(k):
                    own = when[np.uint32(columns + np.uint32(i))]
                    j = me
                    while j <= np.uint32(i):
                        time = min(own, when[np.uint32(columns + j)])
                        pair = np.uint32(np.uint32(i * (i + 1) // 2) + j)
                        cuda.atomic.add(out, after + np.uint64(np.uint32(np.uint32(time * np.uint32(width)) + pair)), ONE)
                        j = np.uint32(j + lanes)
            if marginals:
                j = me
                while j < k:
                    time = when[np.uint32(columns + j)]
                    cuda.atomic.add(out, after + np.uint64(np.uint32(np.uint32(time * np.uint32(k)) + j)), ONE)
                    j = np.uint32(j + lanes)

    return tally
