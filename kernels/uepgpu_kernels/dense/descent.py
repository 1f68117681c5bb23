"""Distributed gradient descent by array work in one namespace: NumPy, CuPy, or any other of the array API standard.

All realizations of a batch take an iteration at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uepgpu_kernels.descent_job import BY_GRAM, LOGISTIC, DescentJob

__all__ = ["RowBlocks", "descend", "iterate_values", "make_blocks"]


class RowBlocks(NamedTuple):
    """The data of a job in the namespace that computes, laid out for one matrix product over all blocks.

    `h` is the height of the tallest block; others are padded with zeros.
    """

    gram: Any  # (K d, d), the matrices one below the other, or None
    moment: Any  # (K, d) or None
    rows: Any  # (K h, d) or None
    target: Any  # (1, K h) or None
    full_gram: Any  # (d, d)
    star: Any  # (d,)
    star_gradient: Any  # (d,)


def make_blocks(xp: Any, job: DescentJob) -> RowBlocks:
    """Copy the data of a job to where `xp` keeps arrays."""
    gram = moment = rows = target = None
    d = job.start.size
    if job.form == BY_GRAM:
        gram, moment = xp.asarray(job.gram.reshape(-1, d)), xp.asarray(job.moment)
    else:
        height = int(np.diff(job.bounds).max())
        padded, b = np.zeros((job.n_blocks, height, d)), np.zeros((job.n_blocks, height))
        for k in range(job.n_blocks):
            cut = slice(job.bounds[k], job.bounds[k + 1])
            padded[k, : cut.stop - cut.start], b[k, : cut.stop - cut.start] = job.rows[cut], job.target[cut]
        rows, target = xp.asarray(padded.reshape(-1, d)), xp.asarray(b.reshape(1, -1))
    return RowBlocks(gram, moment, rows, target, *(xp.asarray(a) for a in (job.full_gram, job.star, job.star_gradient)))


def iterate_values(job: DescentJob) -> int:
    """Return how many numbers a realization has at once in an iteration: what a batch must have room for."""
    width = job.start.size if job.form == BY_GRAM else int(np.diff(job.bounds).max())
    return (2 if job.form == BY_GRAM else 4) * job.n_blocks * width


def descend(xp: Any, job: DescentJob, blocks: RowBlocks, weight: Any) -> Any:
    """Return the record of a batch, shape (realizations, T + 1, 3), where `xp` keeps arrays.

    Every block's gradient is formed and weighed, also where the weight is zero: one product of large matrices, instead of many
    small ones with blocks that would have to be gathered first.

    Parameters
    ----------
    weight : (realizations, T, K) float64, where `xp` keeps arrays
        Of the blocks in each iteration; zero where nothing is received.
    """
    count, iterations, _ = weight.shape
    x = xp.broadcast_to(xp.asarray(job.start), (count, job.start.size))
    record = []
    for t in range(iterations):
        z = None if job.form == BY_GRAM else _rows_times(xp, blocks, x)
        estimate = _estimate(xp, job, blocks, weight[:, t, :], x, z)
        record.append(_measure(xp, job, blocks, x, z, estimate))
        x = x - float(job.steps[t]) * (estimate + job.ridge * x)
    record.append(_measure(xp, job, blocks, x, _rows_times(xp, blocks, x) if job.form == LOGISTIC else None, None))
    return xp.stack(record, axis=1)


def _rows_times(xp: Any, blocks: RowBlocks, x: Any) -> Any:
    """Return z = a·x of the rows of all blocks, shape (realizations, K h)."""
    return xp.matmul(x, xp.permute_dims(blocks.rows, (1, 0)))


def _estimate(xp: Any, job: DescentJob, blocks: RowBlocks, weight: Any, x: Any, z: Any) -> Any:
    """Return Σ weight · block gradient, shape (realizations, d)."""
    count, k = weight.shape
    weights = xp.reshape(weight, (count, k, 1))
    if job.form == BY_GRAM:
        # Σ w G x - h: the weighted iterates side by side, times the matrices one below the other.
        each = xp.reshape(weights * xp.reshape(x, (count, 1, x.shape[1])), (count, -1))
        return xp.matmul(each, blocks.gram) - xp.matmul(weight, blocks.moment)
    each = xp.reshape(_slope(xp, job, z, blocks.target), (count, k, -1)) * weights
    return xp.matmul(xp.reshape(each, (count, -1)), blocks.rows)


def _slope(xp: Any, job: DescentJob, z: Any, target: Any) -> Any:
    """Return the derivative of each row's loss by z = a·x; rows of padding have target zero, and their value has no effect."""
    if job.form == LOGISTIC:
        return target * (0.5 * xp.tanh(0.5 * target * z) - 0.5)  # -y / (1 + exp(y z)), without overflow
    return z - target


def _measure(xp: Any, job: DescentJob, blocks: RowBlocks, x: Any, z: Any, estimate: Any) -> Any:
    """Return error, residual and gradient error of iterates, shape (realizations, 3); `z` is read where the loss is logistic."""
    difference = x - blocks.star
    error = xp.sqrt(xp.sum(difference * difference, axis=1)) / job.star_norm
    if job.form == LOGISTIC:
        target = blocks.target
        # Rows of padding have target zero.
        loss = (xp.maximum(-z * target, xp.zeros_like(z)) + xp.log1p(xp.exp(-xp.abs(z)))) * xp.abs(target)
        residual = xp.sum(loss, axis=1) / job.residual_scale
        gradient = xp.matmul(_slope(xp, job, z, target), blocks.rows)
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
