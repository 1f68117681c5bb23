"""Distributed gradient descent with NumPy, all realizations of a slice at once, one iteration after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.descent_job import BY_GRAM, DUAL, FASTEST, GRADIENT_NORM, GROUPS, LOGISTIC, QUANTITIES, DescentJob, chunk_size
from uepgpu_kernels.reference.sample import words
from uepgpu_kernels.streams import BLOCKS, SERVERS

__all__ = ["decode", "descend", "follow", "sketch"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLICE_ELEMENTS = 2_000_000


def descend(job: DescentJob, first: int, count: int, threads: int) -> Iterator[tuple[Floats, NDArray[np.uint32]]]:
    """Yield records of chunks in order; as :func:`uepgpu_kernels.cpu.descent.descend`, on one thread."""
    chunk = chunk_size(job.steps.size)
    size = chunk * max(1, SLICE_ELEMENTS // (chunk * (job.n_servers + job.n_blocks + job.start.size + QUANTITIES * job.steps.size)))
    for start in range(first, first + count, size):
        record, last = _slice(job, start, min(size, first + count - start))
        for at in range(0, len(record), chunk):
            yield record[at : at + chunk], last[at : at + chunk]


def _slice(job: DescentJob, first: int, count: int) -> tuple[Floats, NDArray[np.uint32]]:
    realizations = np.uint64(first) + np.arange(count, dtype=np.uint64)
    x = np.tile(job.start, (count, 1))
    record = np.full((count, job.steps.size + 1, QUANTITIES), np.nan)
    last = np.empty((count, job.steps.size), dtype=np.uint32)
    held = None
    # A descent that diverges runs into infinities: that is its result.
    with np.errstate(over="ignore", invalid="ignore"):
        for t, step in enumerate(job.steps):
            heard, last[:, t] = _answers(job, realizations, t, held)
            held = heard if job.fixed else None
            x = _next(job, x, _weights(job, heard, x), step, record[:, t])
        _measure(job, x, record[:, -1], None)
    return record, last


def _next(job: DescentJob, x: Floats, weight: Floats, step: float, row: Floats) -> Floats:
    """Return the next iterates, having received blocks with weights (realizations, K), and write a row of the record."""
    estimate = np.zeros_like(x)
    for k in range(job.n_blocks):
        of = np.flatnonzero(weight[:, k])
        estimate[of] += weight[of, k, None] * _block_gradients(job, k, x[of])
    _measure(job, x, row, estimate)
    return np.asarray(x - step * (estimate + job.ridge * x))


def follow(job: DescentJob, weight: Floats) -> Floats:
    """Return the record for given weights of blocks; as :func:`uepgpu_kernels.cpu.descent.follow`."""
    x = np.tile(job.start, (len(weight), 1))
    record = np.full((len(weight), job.steps.size + 1, QUANTITIES), np.nan)
    # A descent that diverges runs into infinities: that is its result.
    with np.errstate(over="ignore", invalid="ignore"):
        for t, step in enumerate(job.steps):
            x = _next(job, x, weight[:, t], step, record[:, t])
        _measure(job, x, record[:, -1], None)
    return record


def _answers(job: DescentJob, realizations: NDArray[np.uint64], t: int, held: Ints | None) -> tuple[Ints, NDArray[np.uint64]]:
    """Return who answers in iteration t (R columns), or which blocks are drawn (q columns), and the last words waited for."""
    n = job.n_servers
    drawn = words(int(job.seed), realizations, SERVERS, 4 * t * ((n + 3) // 4), n)
    if job.draw != FASTEST:
        word = drawn.max(axis=1)
        if held is not None:
            return held, word
        return _drawn_words(job, realizations, t), word
    if held is not None:
        return held, np.where(held != 0, drawn, np.uint64(0)).max(axis=1)
    order = np.argsort(drawn, axis=1, kind="stable")[:, : job.wait]
    answered = np.zeros(drawn.shape, dtype=np.int64)
    np.put_along_axis(answered, order, 1, axis=1)
    return answered, np.take_along_axis(drawn, order[:, -1:], axis=1)[:, 0]


def _drawn_words(job: DescentJob, realizations: NDArray[np.uint64], t: int) -> Ints:
    q = job.wait
    return words(int(job.seed), realizations, BLOCKS, 4 * t * ((q + 3) // 4), q).astype(np.int64)


def _copies(job: DescentJob, heard: Ints) -> Ints:
    """Return how many answers each block has, shape (realizations, K)."""
    if job.draw == FASTEST:
        holds = np.zeros((job.n_servers, job.n_blocks), dtype=np.int64)
        holds[np.arange(job.n_servers), job.block_of] = 1
        return heard @ holds
    block = np.searchsorted(job.threshold, heard.astype(np.uint64).ravel(), side="right").reshape(heard.shape)
    return _count(block, job.n_blocks)


def _count(block: Ints, n: int) -> Ints:
    rows = np.arange(len(block))[:, None] * n
    counted: Ints = np.bincount((rows + block).ravel(), minlength=len(block) * n).reshape(len(block), n)
    return counted


def _weights(job: DescentJob, heard: Ints, x: Floats) -> Floats:
    """Return the weight of each block's gradient, shape (realizations, K)."""
    if job.draw == GRADIENT_NORM:
        norm = np.stack([np.linalg.norm(_block_gradients(job, k, x), axis=1) for k in range(job.n_blocks)], axis=1)
        sums = np.cumsum(norm, axis=1)
        total = sums[:, -1:]
        block = ((heard + 0.5) * 2.0**-32 * total)[:, :, None] >= sums[:, None, :]
        copies = _count(np.minimum(block.sum(axis=2), job.n_blocks - 1), job.n_blocks)
        drawn = (copies > 0) & (total > 0)
        return np.asarray(np.divide(copies * total, job.wait * norm, out=np.zeros_like(norm), where=drawn))
    copies = _copies(job, heard)
    if job.decode == GROUPS:
        return np.asarray((copies > 0) * job.copy_weight)
    if job.decode == DUAL:
        return np.asarray(decode(heard, job.left_null, job.particular) @ job.code)
    return np.asarray(copies * job.copy_weight)


def _block_gradients(job: DescentJob, k: int, x: Floats) -> Floats:
    if job.form == BY_GRAM:
        return np.asarray(x @ job.gram[k] - job.moment[k])
    cut = slice(job.bounds[k], job.bounds[k + 1])
    return _row_gradients(job, cut, x)


def _row_gradients(job: DescentJob, cut: slice, x: Floats) -> Floats:
    a, b = job.rows[cut], job.target[cut]
    z = x @ a.T
    if job.form == LOGISTIC:
        # 1 / (1 + e^z) without overflow
        gradient: Floats = (-b * (0.5 - 0.5 * np.tanh(0.5 * z * b))) @ a
        return gradient
    return (z - b) @ a


def _measure(job: DescentJob, x: Floats, row: Floats, estimate: Floats | None) -> None:
    """Write error, residual and gradient error of iterates (realizations, d) into `row` (realizations, 3)."""
    difference = x - job.star
    row[:, 0] = np.linalg.norm(difference, axis=1) / job.star_norm
    if job.form == LOGISTIC:
        row[:, 1] = np.logaddexp(0.0, -(x @ job.rows.T) * job.target).sum(axis=1) / job.residual_scale
        gradient = _row_gradients(job, slice(None), x)
    else:
        ascent = difference @ job.full_gram
        square = np.einsum("rd,rd->r", difference, ascent + 2 * job.star_gradient) + job.star_residual2
        row[:, 1] = np.sqrt(np.maximum(square, 0.0)) / job.residual_scale
        gradient = ascent + job.star_gradient
    if estimate is not None:
        row[:, 2] = np.linalg.norm(estimate - gradient, axis=1) / job.gradient_scale


def sketch(job: DescentJob, first: int, count: int, iterations: int) -> tuple[Ints, NDArray[np.uint32]]:
    """Return copies and last words; as :func:`uepgpu_kernels.cpu.descent.sketch`, for draws that do not depend on iterates."""
    realizations = np.uint64(first) + np.arange(count, dtype=np.uint64)
    copies = np.empty((count, iterations, job.n_blocks), dtype=np.int64)
    last = np.empty((count, iterations), dtype=np.uint32)
    held = None
    for t in range(iterations):
        heard, last[:, t] = _answers(job, realizations, t, held)
        held = heard if job.fixed else None
        copies[:, t] = _copies(job, heard)
    return copies, last


def decode(answered: Ints, left_null: Floats, particular: Floats) -> Floats:
    """Return decoding weights of patterns (P, R) that have all but s servers at least."""
    s = left_null.shape[1]
    # Stragglers first; then, where there are fewer than s, the first servers that answered.
    out = np.argsort(answered != 0, axis=1, kind="stable")[:, :s]
    z = np.linalg.solve(left_null[out], -particular[out][:, :, None])[:, :, 0]
    weights = particular + z @ left_null.T
    np.put_along_axis(weights, out, 0.0, axis=1)
    return weights
