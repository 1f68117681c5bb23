"""Scaled products of a stack of matrices by array operations alone, for devices, at the cost of the exact product."""

from __future__ import annotations

import torch
from torch import Tensor

from uepgpu.train.blocks import labels_of_order, slice_order
from uepgpu.train.scheme import Scheme

__all__ = ["scaled_products"]


def scaled_products(left: Tensor, right: Tensor, factors: Tensor, scheme: Scheme) -> Tensor:
    """Return Σ_k w_rk X_rk, shape (R, U, Q), of products left·right, (R, U, H) and (R, H, Q).

    Factors w, (R, N, P) or (R, M), are on their device already, in a dtype of :func:`~uepgpu.train.blocks.scaling`.
    """
    device = left.device
    if scheme.paradigm == "cxr":
        order = slice_order(scheme.order, (left, -2), (right, -1))
        labels = labels_of_order(order, left.shape[-1], factors.shape[1], device).expand(len(left), -1)
        return (left * factors.gather(1, labels)[:, None, :]).to(left.dtype) @ right
    (r, n, p), u, q = factors.shape, left.shape[1], right.shape[2]
    rows = labels_of_order(slice_order(scheme.order, (left, -1)), u, n, device).expand(r, u)
    columns = labels_of_order(slice_order(scheme.order, (right, -2)), q, p, device).expand(r, q)
    wide = factors.gather(2, columns[:, None, :].expand(r, n, q))
    # Whole rows of the mask are copied, by their number in the stack of r·n of them.
    start = n * torch.arange(r, device=device)[:, None]
    mask = wide.reshape(r * n, q).index_select(0, (rows + start).reshape(-1)).view(r, u, q)
    return (left @ right).mul_(mask)
