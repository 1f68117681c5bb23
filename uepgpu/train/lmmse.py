"""Linear estimates of undecoded sub-products with least mean square error."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uepgpu.products.coefficients import draw_packets
from uepgpu.products.decoding_weights import lmmse_weights
from uepgpu.train.blocks import block_labels, bounds, scaling
from uepgpu.train.draws import Draws, realization_number
from uepgpu.train.importance import block_scores

__all__ = ["lmmse_product"]

Floats = NDArray[np.float64]


def lmmse_product(
    left: Tensor,
    right: Tensor,
    orders: tuple[Tensor | None, Tensor | None],
    draws: Draws,
    slot: int,
    step: int,
    table: NDArray[np.int64] | None,
) -> Tensor:
    """Return the product with every sub-product replaced by its estimate, shape (U, Q).

    The prior is what the server knows: sub-products uncorrelated, of energy (‖A_n‖·‖B_p‖)² (docs/mathematics.md §5).
    """
    scheme = draws.scheme
    plan, part = draws.plan_of(table, step)
    packets = draw_packets(plan, part, realization_number(draws.replica, step, slot), 1)
    energy = block_scores(left, right, orders, scheme) ** 2
    top = float(energy.max())
    if top == 0:
        return left.new_zeros((left.shape[0], right.shape[1]))
    decoded = draws.decoded(slot, step, table)[None]
    weights = lmmse_weights(packets.coefficients, packets.arrived, np.diag(energy / top), decoded)[0]
    effect = weights[0] @ packets.coefficients[0]  # X̂ = effect · X
    if scheme.paradigm == "cxr":
        return _sum(left, right, effect.sum(axis=0), orders[0])
    return _mixed_tiles(left, right, effect, orders, (scheme.shape[0], scheme.shape[1]))


def _sum(left: Tensor, right: Tensor, weights: Floats, order: Tensor | None) -> Tensor:
    """Return Σ_m w_m X_m."""
    sorted_factor = scaling(weights, left)[block_labels(left.shape[1], weights.size, left.device)]
    factor = sorted_factor if order is None else torch.empty_like(sorted_factor).index_copy_(0, order, sorted_factor)
    return left @ (factor[:, None] * right).to(right.dtype)


def _mixed_tiles(
    left: Tensor, right: Tensor, effect: Floats, orders: tuple[Tensor | None, Tensor | None], shape: tuple[int, int]
) -> Tensor:
    """Return the product made of the tiles Σ_j e_kj X_j, tiles being padded to one size."""
    row, column = orders
    product = (left if row is None else left[row]) @ (right if column is None else right[:, column])
    (u, q), (n, p) = product.shape, shape
    rows, columns = bounds(u, n), bounds(q, p)
    height, width = -(-u // n), -(-q // p)
    mixing = scaling(effect, product)
    tiles = mixing.new_zeros((n, p, height, width))
    places = [(i, j, rows[i], rows[i + 1], columns[j], columns[j + 1]) for i in range(n) for j in range(p)]
    for i, j, top, bottom, first, last in places:
        tiles[i, j, : bottom - top, : last - first] = product[top:bottom, first:last]
    mixed = (mixing @ tiles.reshape(n * p, -1)).reshape(n, p, height, width)
    estimate = torch.empty_like(product)
    for i, j, top, bottom, first, last in places:
        estimate[top:bottom, first:last] = mixed[i, j, : bottom - top, : last - first]
    if row is not None:
        estimate = torch.empty_like(estimate).index_copy_(0, row, estimate)
    return estimate if column is None else torch.empty_like(estimate).index_copy_(1, column, estimate)
