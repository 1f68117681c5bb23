"""Importance classes that follow the data of a step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from uepgpu.partition import assign_classes
from uepgpu.train.blocks import block_norms, squared_norms
from uepgpu.train.scheme import Scheme

__all__ = ["block_scores", "step_classes"]


def block_scores(left: Tensor, right: Tensor, orders: tuple[Tensor | None, Tensor | None], scheme: Scheme) -> NDArray[np.float64]:
    """Return ‖A_n‖·‖B_p‖ of every sub-product, what a server knows before multiplying; shape (K,)."""
    row, column = orders
    if scheme.paradigm == "rxc":
        rows = block_norms(squared_norms(left, -1), row, scheme.shape[0])
        columns = block_norms(squared_norms(right, -2), column, scheme.shape[1])
        return np.outer(rows, columns).ravel()
    blocks = scheme.shape[0]
    return block_norms(squared_norms(left, -2), row, blocks) * block_norms(squared_norms(right, -1), column, blocks)


def step_classes(left: Tensor, right: Tensor, orders: tuple[Tensor | None, Tensor | None], scheme: Scheme) -> NDArray[np.int64]:
    """Return the class of every sub-product by its score, as a table of shape (N, P), for cxr (M, 1)."""
    labels = assign_classes(scheme.classes, block_scores(left, right, orders, scheme), scheme.shape)
    return labels.reshape(scheme.shape if scheme.paradigm == "rxc" else (-1, 1))
