"""Sorting the slices of tensors by importance and cutting them into blocks."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["block_labels", "block_norms", "bounds", "labels_of_order", "slice_order", "squared_norms"]


@functools.cache
def bounds(length: int, blocks: int) -> tuple[int, ...]:
    """Return the bounds of `blocks` nearly equal blocks of `length`; where there are more blocks than slices, the last are empty.

    Examples
    --------
    >>> bounds(10, 4), bounds(2, 3)
    ((0, 3, 6, 8, 10), (0, 1, 2, 2))
    """
    size, longer = divmod(length, blocks)
    return tuple(int(x) for x in np.concatenate([[0], np.cumsum([size + (i < longer) for i in range(blocks)])]))


@functools.cache
def block_labels(length: int, blocks: int, device: torch.device) -> Tensor:
    """Return the block of every place in the sorted order, shape (length,) int64."""
    sizes = np.diff(bounds(length, blocks))
    return torch.as_tensor(np.repeat(np.arange(blocks), sizes), device=device)


def squared_norms(matrix: Tensor, dim: int) -> Tensor:
    """Return ‖·‖² of slices, summed along `dim` of (..., rows, columns)."""
    if matrix.dtype in (torch.float16, torch.bfloat16):
        matrix = matrix.float()  # squares are beyond float16, and sums of them beyond bfloat16's eight bits
    result: Tensor = torch.linalg.vecdot(matrix, matrix, dim=dim)
    return result


def slice_order(order: str | None, *factors: tuple[Tensor, int]) -> Tensor | None:
    """Return the order of slices by falling importance, (..., n) int64, ties by index; None leaves them as they are.

    Each factor is a tensor with the dimension that its slices extend along; their importance is multiplied.
    """
    if order is None:
        return None
    score: Tensor | None = None
    for matrix, dim in factors:
        # Squares sort like their roots.
        part = squared_norms(matrix, dim) if order == "norm" else matrix.abs().mean(dim)
        score = part if score is None else score * part
    assert score is not None
    return torch.argsort(score, dim=-1, descending=True, stable=True)


def labels_of_order(order: Tensor | None, length: int, blocks: int, device: torch.device) -> Tensor:
    """Return the block that each slice falls into, shape of `order`, or (length,) without one."""
    sorted_labels = block_labels(length, blocks, device)
    if order is None:
        return sorted_labels
    return torch.empty_like(order).scatter_(-1, order, sorted_labels.expand_as(order))


def block_norms(squared: Tensor, order: Tensor | None, blocks: int) -> NDArray[np.float64]:
    """Return the Frobenius norms of blocks from those of their slices, squared, (n,); on the host, shape (blocks,)."""
    sorted_squares = squared if order is None else squared[order]
    host = sorted_squares.detach().double().cpu().numpy()
    edge = bounds(host.size, blocks)
    return np.asarray(np.sqrt([host[a:b].sum() for a, b in itertools.pairwise(edge)]), dtype=np.float64)
