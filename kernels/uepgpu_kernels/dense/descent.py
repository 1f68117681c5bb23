"""Distributed gradient descent by array work in one namespace: NumPy, CuPy, or any other of the array API standard.

All realizations of a batch take an iteration at once. The blocks that they receive, and their weights, come from the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.descent_job import BY_GRAM, LOGISTIC, DescentJob

__all__ = ["RowBlocks", "block_values", "descend", "make_blocks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class RowBlocks(NamedTuple):
    """The data of a job in the namespace that computes; `h` is the height of the tallest block, others are padded with zeros."""

    gram: Any  # (K, d, d) or None
    moment: Any  # (K, d) or None
    rows: Any  # (K, h, d) or None
    target: Any  # (K, h) or None
    full_gram: Any  # (d, d)
    star: Any  # (d,)
    star_gradient: Any  # (d,)


def make_blocks(xp: Any, job: DescentJob) -> RowBlocks:
    """Copy the data of a job to where `xp` keeps arrays."""
    gram = moment = rows = target = None
    if job.form == BY_GRAM:
        gram, moment = xp.asarray(job.gram), xp.asarray(job.moment)
    else:
        height = int(np.diff(job.bounds).max())
        padded, b = np.zeros((job.n_blocks, height, job.start.size)), np.zeros((job.n_blocks, height))
        for k in range(job.n_blocks):
            cut = slice(job.bounds[k], job.bounds[k + 1])
            padded[k, : cut.stop - cut.start], b[k, : cut.stop - cut.start] = job.rows[cut], job.target[cut]
        rows, target = xp.asarray(padded), xp.asarray(b)
    return RowBlocks(gram, moment, rows, target, *(xp.asarray(a) for a in (job.full_gram, job.star, job.star_gradient)))


def block_values(job: DescentJob) -> int:
    """Return how many numbers a block holds, padding included: the memory that one answer needs."""
    d = job.start.size
    return d * d if job.form == BY_GRAM else int(np.diff(job.bounds).max()) * d


def descend(xp: Any, job: DescentJob, blocks: RowBlocks, active: Ints, weight: Floats) -> Any:
    """Return the record of a batch, shape (realizations, T + 1, 3), where `xp` keeps arrays.

    Parameters
    ----------
    active : (realizations, T, m) int64
        The blocks that each iteration receives.
    weight : (realizations, T, m) float64
        Their weights; zero where there are fewer than m.
    """
    count, iterations, m = active.shape
    numbers, weights = xp.asarray(active), xp.asarray(weight)
    x = xp.broadcast_to(xp.asarray(job.start), (count, job.start.size))
    record = []
    for t in range(iterations):
        estimate = _estimate(xp, job, blocks, xp.reshape(numbers[:, t, :], (count * m,)), weights[:, t, :], x)
        record.append(_measure(xp, job, blocks, x, estimate))
        x = x - float(job.steps[t]) * (estimate + job.ridge * x)
    record.append(_measure(xp, job, blocks, x, None))
    return xp.stack(record, axis=1)


def _estimate(xp: Any, job: DescentJob, blocks: RowBlocks, active: Any, weight: Any, x: Any) -> Any:
    """Return Σ weight · block gradient, shape (realizations, d)."""
    count, m = weight.shape
    d = x.shape[1]
    row = xp.reshape(weight, (count, 1, m))
    if job.form == BY_GRAM:
        gram = xp.reshape(xp.take(blocks.gram, active, axis=0), (count, m * d, d))
        slopes = xp.reshape(xp.matmul(gram, xp.reshape(x, (count, d, 1))), (count, m, d))
        slopes = slopes - xp.reshape(xp.take(blocks.moment, active, axis=0), (count, m, d))
        return xp.reshape(xp.matmul(row, slopes), (count, d))
    height = blocks.target.shape[1]
    rows = xp.reshape(xp.take(blocks.rows, active, axis=0), (count, m * height, d))
    target = xp.reshape(xp.take(blocks.target, active, axis=0), (count, m * height))
    z = xp.reshape(xp.matmul(rows, xp.reshape(x, (count, d, 1))), (count, m * height))
    slope = xp.reshape(_slope(xp, job, z, target), (count, m, height)) * xp.reshape(weight, (count, m, 1))
    return xp.reshape(xp.matmul(xp.reshape(slope, (count, 1, m * height)), rows), (count, d))


def _slope(xp: Any, job: DescentJob, z: Any, target: Any) -> Any:
    """Return the derivative of each row's loss by z = a·x; rows of padding have target zero, and their value has no effect."""
    if job.form == LOGISTIC:
        return target * (0.5 * xp.tanh(0.5 * target * z) - 0.5)  # -y / (1 + exp(y z)), without overflow
    return z - target


def _measure(xp: Any, job: DescentJob, blocks: RowBlocks, x: Any, estimate: Any) -> Any:
    """Return error, residual and gradient error of iterates, shape (realizations, 3)."""
    difference = x - blocks.star
    error = xp.sqrt(xp.sum(difference * difference, axis=1)) / job.star_norm
    if job.form == LOGISTIC:
        k, h, d = blocks.rows.shape
        rows, target = xp.reshape(blocks.rows, (k * h, d)), xp.reshape(blocks.target, (1, k * h))
        z = xp.matmul(x, xp.permute_dims(rows, (1, 0)))
        # Rows of padding have target zero.
        loss = (xp.maximum(-z * target, xp.zeros_like(z)) + xp.log1p(xp.exp(-xp.abs(z)))) * xp.abs(target)
        residual = xp.sum(loss, axis=1) / job.residual_scale
        gradient = xp.matmul(_slope(xp, job, z, target), rows)
    else:
        slope = xp.matmul(difference, blocks.full_gram)
        square = xp.sum(difference * (slope + 2.0 * blocks.star_gradient), axis=1) + job.star_residual2
        residual = xp.sqrt(xp.maximum(square, xp.zeros_like(square))) / job.residual_scale
        gradient = slope + blocks.star_gradient
    if estimate is None:
        apart = xp.full_like(error, float("nan"))
    else:
        apart = xp.sqrt(xp.sum((estimate - gradient) ** 2, axis=1)) / job.gradient_scale
    return xp.stack([error, residual, apart], axis=1)
