"""Scaled products on the CPU for a stack of matrices: gather what has weight, multiply, add the result in its place."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uepgpu.train.scheme import Scheme

__all__ = ["ORDERS", "add_scaled_products", "fits"]

DTYPES = {torch.float32: np.float32, torch.float64: np.float64}
ORDERS = {None: 0, "norm": 1, "mean_abs": 2}


def fits(*tensors: Tensor) -> bool:
    """Whether the packed path takes these tensors."""
    return all(t.device.type == "cpu" and t.dtype in DTYPES for t in tensors)


def add_scaled_products(
    target: Tensor, left: Tensor, right: Tensor, weights: NDArray[np.float64], scheme: Scheme, *, transposed: bool, alpha: float
) -> None:
    """Add α Σ_k w_rk X_rk to `target` (R, U, Q), in place.

    Parameters
    ----------
    target, left, right : Tensor
        Of one dtype on the CPU. X are the sub-products of left·right, or of leftᵀ·right with `transposed`.
    weights : (R, N, P) or (R, M) float64
        Of the tiles or summands of that product, N blocks of its rows and P of its columns.
    """
    from uepgpu_kernels.cpu.masked_products import add_tiles, pick_summands, pick_tiles

    left, right = left.contiguous(), right.contiguous()
    a, b = _shared(left), _shared(right)
    order = ORDERS[scheme.order]
    if scheme.paradigm == "cxr":
        picked = pick_summands(a, b, transposed=transposed, weights=weights, order=order)
        for r, (h, _) in enumerate(picked.count):
            if h:
                few_left = torch.from_numpy(picked.a[r, : h * a.shape[2 if transposed else 1]])
                few_right = torch.from_numpy(picked.b[r, : h * b.shape[2]]).view(h, -1)
                few_left = few_left.view(h, -1).mT if transposed else few_left.view(-1, h)
                target[r].addmm_(few_left, few_right, alpha=alpha)
        return
    picked = pick_tiles(a, b, transposed=transposed, table=weights, order=order)
    u, q = target.shape[1:]
    product = np.empty((len(a), u * q), dtype=a.dtype)
    for r, (rows, cols) in enumerate(picked.count):
        if rows and cols:  # decoded tiles may all lie in empty blocks of columns
            some = left[r] if rows == u else torch.from_numpy(picked.a[r, : rows * right.shape[1]])
            some = some.view(-1, rows).mT if transposed else some.view(rows, -1)
            others = right[r] if cols == q else torch.from_numpy(picked.b[r, : right.shape[1] * cols]).view(-1, cols)
            torch.mm(some, others, out=torch.from_numpy(product[r, : rows * cols]).view(rows, cols))
    add_tiles(_shared(target), product, weights, picked, alpha)


def _shared(tensor: Tensor) -> NDArray[Any]:
    """Return the memory of a contiguous tensor, to be used while the tensor is held.

    ``Tensor.numpy()`` would forbid for ever that the memory is resized, as FSDP does with weights.
    """
    if not tensor.numel():
        return np.empty(tuple(tensor.shape), dtype=DTYPES[tensor.dtype])
    assert tensor.is_contiguous()
    memory = (ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr())
    return np.frombuffer(memoryview(memory), np.dtype(DTYPES[tensor.dtype])).reshape(tuple(tensor.shape))
