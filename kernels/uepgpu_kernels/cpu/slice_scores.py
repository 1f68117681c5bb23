"""Scores of the rows and columns of matrices, and the blocks that they fall into when sorted by score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from uepgpu_kernels.cpu.compile import allocation, stage

__all__ = ["NORM", "label_slices", "score_columns", "score_rows", "select"]

UNSORTED, NORM, MEAN_ABS = 0, 1, 2


@njit(nogil=True, fastmath={"reassoc", "contract"})
def score_rows(matrix: Any, order: int, score: Any) -> None:
    """Write Σ x² (or Σ |x|) of every row. Sums are reassociated, so that they vectorise."""
    for i in range(matrix.shape[0]):
        total = matrix.dtype.type(0)
        row = matrix[i]
        if order == NORM:
            for j in range(row.size):
                total += row[j] * row[j]
        else:
            for j in range(row.size):
                total += abs(row[j])
        score[i] = total


@stage
def score_columns(matrix: Any, order: int, score: Any) -> None:
    """Write Σ x² (or Σ |x|) of every column."""
    score[:] = 0
    for i in range(matrix.shape[0]):
        row = matrix[i]
        if order == NORM:
            for j in range(row.size):
                score[j] += row[j] * row[j]
        else:
            for j in range(row.size):
                score[j] += abs(row[j])


@allocation
def label_slices(score: Any, order: int, blocks: int, label: Any) -> None:
    """Write the block of every slice, by falling score, ties by index; without an order, by index.

    Blocks are nearly equal, the first ones one longer; where there are more blocks than slices, the last are empty.
    """
    n = label.size
    size, longer = n // blocks, n % blocks
    label[:] = 0
    before = 0
    for b in range(blocks - 1):
        before += size + (1 if b < longer else 0)
        if before >= n:
            break
        if order == UNSORTED:
            label[before:] += 1
            continue
        # The `before` highest scores fall into block b or an earlier one: selection finds them without sorting.
        least = np.partition(score, n - before)[n - before]
        above = 0
        for i in range(n):
            above += 1 if score[i] > least else 0
        ties = before - above
        for i in range(n):
            if score[i] > least:
                continue
            if score[i] == least and ties > 0:
                ties -= 1
                continue
            label[i] += 1


@stage
def select(label: Any, wanted: Any, index: Any) -> int:
    """Write the numbers of the slices whose block is wanted, in order of index; return how many."""
    count = 0
    for i in range(label.size):
        if wanted[label[i]]:
            index[count] = i
            count += 1
    return count
