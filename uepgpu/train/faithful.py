"""The faithful path: encode factors, multiply and decode packets, as a parameter server and its workers would."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uepgpu.partition import Partition
from uepgpu.products import multiply
from uepgpu.train.blocks import block_labels
from uepgpu.train.draws import Draws, realization_number

__all__ = ["faithful_product"]

Floats = NDArray[np.float64]


def faithful_product(
    left: Tensor,
    right: Tensor,
    orders: tuple[Tensor | None, Tensor | None],
    draws: Draws,
    slot: int,
    step: int,
    table: NDArray[np.int64] | None,
) -> Tensor:
    """Return the decoded product, shape (U, Q): :func:`uepgpu.multiply` in float64 on the host, in the step's realization.

    With the LMMSE estimator the prior is the true energies of the sub-products, not the server's scores.

    Raises
    ------
    ValueError
        If a side has fewer slices than blocks.
    """
    scheme = draws.scheme
    sides = (left.shape[0], right.shape[1]) if scheme.paradigm == "rxc" else (left.shape[1],)
    if any(slices < blocks for slices, blocks in zip(sides, scheme.shape, strict=True)):
        raise ValueError(
            f"faithful=True needs at least as many slices as blocks, got {_by(sides)} slices for {_by(scheme.shape)} blocks of a "
            f"{scheme.paradigm} product: use larger batches (or layers), fewer blocks, or faithful=False"
        )
    _, model = draws.plan_of(table, step)
    row, column = (None if order is None else order.cpu().numpy() for order in orders)
    a, b = (x.detach().to("cpu", torch.float64, copy=True).numpy() for x in (left, right))
    scale = draws.scale
    classes = model.classes.reshape(scheme.shape if scheme.paradigm == "rxc" else (-1, 1))
    if scheme.paradigm == "rxc":
        n, p = scheme.shape
        a, b = a if row is None else a[row], b if column is None else b[:, column]
        part = Partition.rxc(a, b, rows=n, cols=p, classes=classes, order=None)
        # Levels of factored windows are positions in the sorted order, as everywhere here, not norms of these blocks.
        part = dataclasses.replace(part, row_level=model.row_level, col_level=model.col_level)
    else:
        labels = block_labels(a.shape[1], scheme.shape[0], torch.device("cpu")).numpy()
        a, b = a if row is None else a[:, row], b if row is None else b[row]
        # A sum cannot be scaled term by term once it is decoded, so the terms are scaled before they are sent.
        part = Partition.cxr(a * scale[labels], b, blocks=scheme.shape[0], classes=classes, order=None)
    product: Floats = multiply(
        part,
        scheme.code,
        draws.workers_of(step),
        deadline=scheme.deadline,
        seed=scheme.seed,
        first_realization=realization_number(draws.replica, step, slot),
        decoder="lmmse" if scheme.estimator == "lmmse" else "linear",
        prior="energy",
        faithful=True,
        keep="product",
        threads=1,
    ).product[0]
    if scheme.paradigm == "rxc":
        rows = block_labels(a.shape[0], n, torch.device("cpu")).numpy()
        columns = block_labels(b.shape[1], p, torch.device("cpu")).numpy()
        product = product * scale.reshape(n, p)[rows[:, None], columns[None, :]]
        unsorted = np.empty_like(product)
        unsorted[np.ix_(np.arange(rows.size) if row is None else row, np.arange(columns.size) if column is None else column)] = (
            product
        )
        product = unsorted
    return torch.as_tensor(product, dtype=left.dtype, device=left.device)


def _by(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))
