"""One coded product of tensors: the exact one without its undecoded sub-products, and without the work for them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uepgpu.train.blocks import block_labels, bounds, labels_of_order, scaling, slice_order, widened
from uepgpu.train.draws import Draws, Factors
from uepgpu.train.faithful import faithful_product
from uepgpu.train.importance import step_classes
from uepgpu.train.lmmse import lmmse_product
from uepgpu.train.packed import add_scaled_products, fits
from uepgpu.train.scheme import Scheme

__all__ = ["coded_product", "scaled_product", "sparsify"]

Floats = NDArray[np.float64]


def sparsify(delta: Tensor, threshold: float) -> Tensor:
    """Return δ with entries of magnitude below `threshold` set to zero."""
    return torch.where(widened(delta).abs() < threshold, 0.0, delta) if threshold > 0 else delta


def coded_product(left: Tensor, right: Tensor, draws: Draws, slot: int, step: int, *, flip: bool = False) -> Tensor:
    """Return a parameter server's estimate of left·right at the deadline, or its transpose with `flip`.

    Parameters
    ----------
    left, right : Tensor
        Shapes (U, H) and (H, Q).
    draws : Draws
        Of the scheme and replica at hand.
    slot, step : int
        Which product of the network, and which call of it (:func:`~uepgpu.train.draws.realization_number`).
    flip : bool
        Return the (Q, U) transpose, computed as such.
    """
    scheme = draws.scheme
    if draws.scales:
        return scaled_product(left, right, draws.weights(slot, step), scheme, flip=flip)
    orders = product_orders(left, right, scheme)
    table = step_classes(left, right, orders, scheme) if scheme.importance == "step" else None
    if scheme.faithful:
        product = faithful_product(left, right, orders, draws, slot, step, table)
    elif scheme.estimator == "lmmse":
        product = lmmse_product(left, right, orders, draws, slot, step, table)
    else:
        assert table is not None
        return scaled_product(left, right, draws.weights_of(slot, step, table), scheme, flip=flip, orders=orders)
    return product.mT if flip else product


Orders = tuple[Tensor | None, Tensor | None]


def product_orders(left: Tensor, right: Tensor, scheme: Scheme) -> Orders:
    """Return the orders of rows of `left` and columns of `right` (rxc), or that of the inner dimension, twice (cxr)."""
    if scheme.paradigm == "rxc":
        return slice_order(scheme.order, (left, -1)), slice_order(scheme.order, (right, -2))
    inner = slice_order(scheme.order, (left, -2), (right, -1))
    return inner, inner


def scaled_product(
    left: Tensor, right: Tensor, factors: Factors, scheme: Scheme, *, flip: bool = False, orders: Orders | None = None
) -> Tensor:
    """Return Σ_k w_k X_k; sub-products of factor zero cost little or nothing."""
    if flip:
        left, right = right.mT, left.mT
    if not factors.some:
        return left.new_zeros((left.shape[0], right.shape[1]))
    if factors.whole:
        return left @ right
    weights = factors.values
    if orders is None:
        if fits(left, right):
            return _packed(left, right, weights, scheme, flip=flip)
        orders = product_orders(left, right, scheme)  # sorting and flipping factors commute
    elif flip:
        orders = orders[1], orders[0]
    if scheme.paradigm == "cxr":
        return _inner(left, right, weights, orders[0])
    table = weights.reshape(scheme.shape)
    return _tiles(left, right, table.T if flip else table, *orders)


def _packed(left: Tensor, right: Tensor, weights: Floats, scheme: Scheme, *, flip: bool) -> Tensor:
    """Let compiled kernels find what to multiply; factors of a flipped product are passed transposed."""
    result = left.new_zeros((left.shape[0], right.shape[1]))
    weights = weights.reshape(1, *scheme.shape)
    if flip and scheme.paradigm == "rxc":
        weights = np.ascontiguousarray(weights.transpose(0, 2, 1))
    add_scaled_products(result[None], (left.mT if flip else left)[None], right[None], weights, scheme, transposed=flip, alpha=1.0)
    return result


def _inner(left: Tensor, right: Tensor, weights: Floats, order: Tensor | None) -> Tensor:
    """Multiply only the inner blocks of non-zero weight."""
    edge = bounds(left.shape[1], weights.size)
    kept = np.flatnonzero(weights)
    which = _slices(order, edge, kept, left)
    few_left, few_right = left.index_select(1, which), right.index_select(0, which)
    if not (weights[kept] == 1).all():
        labels = block_labels(left.shape[1], weights.size, left.device)
        factor = scaling(weights, right)[labels]
        few_right = (few_right * _places(factor, edge, kept)[:, None]).to(right.dtype)
    return few_left @ few_right


def _tiles(left: Tensor, right: Tensor, table: Floats, row: Tensor | None, column: Tensor | None) -> Tensor:
    """Multiply only row blocks with a tile of non-zero weight, and scale their columns."""
    (u, q), (n, p) = (left.shape[0], right.shape[1]), table.shape
    edge = bounds(u, n)
    kept = np.flatnonzero(table.any(axis=1))
    rows = _slices(row, edge, kept, left)
    some = left.index_select(0, rows) @ right
    labels = labels_of_order(column, q, p, left.device)
    factors = scaling(table[kept], left).index_select(1, labels)
    start = 0
    for i, block in enumerate(kept):
        stop = start + edge[block + 1] - edge[block]
        if not (table[block] == 1).all():
            some[start:stop].mul_(factors[i])
        start = stop
    whole = some.new_empty((u, q)) if kept.size == n else some.new_zeros((u, q))
    return whole.index_copy_(0, rows, some)


def _slices(order: Tensor | None, edge: tuple[int, ...], kept: NDArray[np.int64], like: Tensor) -> Tensor:
    """Return the numbers of the slices in the blocks that are kept, most important first."""
    places = torch.arange(edge[-1], device=like.device) if order is None else order
    return _places(places, edge, kept)


def _places(values: Tensor, edge: tuple[int, ...], kept: NDArray[np.int64]) -> Tensor:
    """Return the entries at the positions of the blocks that are kept."""
    if kept.size == kept[-1] + 1:  # the first ones: a view
        return values[: edge[kept[-1] + 1]]
    return torch.cat([values[edge[b] : edge[b + 1]] for b in kept])
