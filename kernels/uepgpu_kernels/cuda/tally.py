"""Increments of one realization, made with atomics: class transitions as in :mod:`uepgpu_kernels.cpu.tally`, pairs, marginals.

A realization takes one increment per class, and where asked for one per pair or sub-product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import cuda, stage

__all__ = ["packed_tally", "subproduct_tally"]

BYTE = np.uint32(0xFF)
ZERO32 = np.uint32(0)
ONE32 = np.uint32(1)
THREE = np.uint32(3)


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
