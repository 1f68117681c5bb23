"""Sorting the slices of tensors by importance and cutting them into blocks."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["block_labels", "block_norms", "bounds", "labels_of_order", "scaling", "slice_order", "squared_norms", "widened"]


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


def widened(values: Tensor) -> Tensor:
    """Return values of half precision in float32, others as they are.

    Squares are beyond float16, and sums, products and comparisons with a given number are beyond bfloat16's eight bits.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def scaling(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """Return factors to multiply tensors like this one with: where its dtype is float32 or better, in that, else in float32.

    In half precision the factors of debiasing would be off by up to 1/256, the same way in every step: a bias.
    """
    held = torch.as_tensor(values, dtype=torch.promote_types(like.dtype, torch.float32))
    if like.device.type == "cuda":
        return held.pin_memory().to(like.device, non_blocking=True)  # from other memory a copy would wait for the device
    return held.to(like.device)


def squared_norms(matrix: Tensor, dim: int) -> Tensor:
    """Return ‖·‖² of slices, summed along `dim` of (..., rows, columns), in float32 or better."""
    matrix = widened(matrix)
    result: Tensor = torch.linalg.vecdot(matrix, matrix, dim=dim)
    return result


def slice_order(order: str | None, *factors: tuple[Tensor, int]) -> Tensor | None:
    """Return the order of slices by falling importance, (..., n) int64, ties by index; None leaves them as they are.

    Each factor is a tensor with the dimension that its slices extend along; their importance is multiplied. Scores are formed in
    float32 or better, products of scores, whose range is the square of theirs, in float64.
    """
    if order is None:
        return None
    score: Tensor | None = None
    for matrix, dim in factors:
        # Squares sort like their roots.
        part = squared_norms(matrix, dim) if order == "norm" else widened(matrix).abs().sum(dim)
        score = part if score is None else score.double() * part
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
