"""Gradient descent on a device: blocks are drawn and codes decoded on the host, products run through CuPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import Place
from uepgpu_kernels.dense import descent as dense_descent
from uepgpu_kernels.descent_job import DUAL, GRADIENT_NORM, GROUPS, LOGISTIC, DescentJob, chunk_size

__all__ = ["DeviceKernels", "list_blocks", "weigh_blocks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARE = 4
"""A batch may take one part in so many of the free memory; the rest is for intermediate arrays."""
MOST_BATCH = 4096


def weigh_blocks(job: DescentJob, copies: Ints, host: Any) -> Floats:
    """Return the weights of blocks of which `copies` are heard, both (realizations, T, K); `host` has kernels that decode."""
    if job.decode == DUAL:
        # Every server has a block number of its own, so that copies say who answered.
        answered = copies.reshape(-1, job.n_blocks)
        return np.asarray((host.decode(answered, job.left_null, job.particular) @ job.code).reshape(copies.shape))
    if job.decode == GROUPS:
        return np.asarray((copies > 0) * job.copy_weight)
    return np.asarray(copies * job.copy_weight)


def list_blocks(weight: Floats) -> tuple[Ints, Floats]:
    """Return the blocks whose weights are not zero, and these weights, both (realizations, T, m), m being the largest number."""
    most = max(1, int((weight != 0).sum(axis=2).max(initial=0)))
    active = np.argsort(weight == 0, axis=2, kind="stable")[:, :, :most]
    return active, np.take_along_axis(weight, active, axis=2)


@dataclass(frozen=True, eq=False)
class DeviceKernels:
    """What :mod:`uepgpu_kernels.cpu.descent` offers, with products at `place`; `host` has the kernels that draw."""

    place: Place
    host: ModuleType

    def descend(self, job: DescentJob, first: int, count: int, threads: int) -> Iterator[tuple[Floats, NDArray[np.uint32]]]:
        """Yield records of chunks in order; as :func:`uepgpu_kernels.cpu.descent.descend`.

        Raises
        ------
        ValueError
            For gradient-norm sampling, whose draws depend on iterates and are the host's.
        """
        if job.draw == GRADIENT_NORM:
            raise ValueError("law='gradient-norm' draws by iterates, which backend='cuda' does not: use backend='numba'")
        blocks = dense_descent.make_blocks(self.place.xp, job)
        chunk = chunk_size(job.steps.size)
        size = self._batch(job, chunk)
        for start in range(first, first + count, size):
            copies, last = self.host.sketch(job, start, min(size, first + count - start), job.steps.size)
            record = self._record(job, blocks, weigh_blocks(job, copies, self.host))
            for at in range(0, len(record), chunk):
                yield record[at : at + chunk], last[at : at + chunk]

    def follow(self, job: DescentJob, weight: Floats) -> Floats:
        """Return the record for given weights of blocks; as :func:`uepgpu_kernels.cpu.descent.follow`."""
        blocks = dense_descent.make_blocks(self.place.xp, job)
        size = self._batch(job, chunk_size(job.steps.size))
        return np.concatenate([self._record(job, blocks, weight[at : at + size]) for at in range(0, len(weight), size)])

    def decode(self, answered: Ints, left_null: Floats, particular: Floats) -> Floats:
        """Decode on the host."""
        weights: Floats = self.host.decode(answered, left_null, particular)
        return weights

    def _record(self, job: DescentJob, blocks: dense_descent.RowBlocks, weight: Floats) -> Floats:
        # A descent that diverges runs into infinities: that is its result.
        with np.errstate(over="ignore", invalid="ignore"):
            record: Floats = self.place.to_host(dense_descent.descend(self.place.xp, job, blocks, *list_blocks(weight)))
        return record

    def sketch(self, job: DescentJob, first: int, count: int, iterations: int) -> tuple[Ints, NDArray[np.uint32]]:
        """Draw on the host."""
        copies, last = self.host.sketch(job, first, count, iterations)
        return copies, last

    def _batch(self, job: DescentJob, chunk: int) -> int:
        """Return how many realizations, a multiple of the chunk, fit the memory."""
        heard = min(job.wait, job.n_blocks) if job.decode != DUAL else job.n_blocks
        rows = job.rows.shape[0] if job.form == LOGISTIC else 0
        each = 8 * (heard * dense_descent.block_values(job) + 3 * rows + job.steps.size * (job.n_blocks + 4 * heard))
        fitting = int(self.place.free_memory()) // SHARE // max(each, 1)
        return chunk * max(1, min(fitting, MOST_BATCH) // chunk)
