"""Gradient descent on a device: blocks are drawn and codes decoded on the host, products run through CuPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import Place
from uepgpu_kernels.dense import descent as dense_descent
from uepgpu_kernels.descent_job import DUAL, GRADIENT_NORM, GROUPS, LOGISTIC, DescentJob, chunk_size

__all__ = ["DeviceKernels", "weigh_blocks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARE = 4
"""A batch may take one part in so many of the free memory; the rest is for intermediate arrays."""
MOST_BATCH = 4096


def weigh_blocks(job: DescentJob, copies: Ints, host: ModuleType) -> tuple[Ints, Floats]:
    """Return the blocks that iterations receive, and their weights, both (realizations, T, m), m being the largest number.

    `copies` (realizations, T, K) is what ``sketch`` of the host's kernels returns.
    """
    if job.decode == DUAL:
        # Every server has a block number of its own, so that copies say who answered.
        answered = copies.reshape(-1, job.n_blocks)
        weight = (host.decode(answered, job.left_null, job.particular) @ job.code).reshape(copies.shape)
    elif job.decode == GROUPS:
        weight = (copies > 0) * job.copy_weight
    else:
        weight = copies * job.copy_weight
    most = max(1, int((copies > 0).sum(axis=2).max())) if job.decode != DUAL else job.n_blocks
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
            active, weight = weigh_blocks(job, copies, self.host)
            # A descent that diverges runs into infinities: that is its result.
            with np.errstate(over="ignore", invalid="ignore"):
                record = self.place.to_host(dense_descent.descend(self.place.xp, job, blocks, active, weight))
            for at in range(0, len(record), chunk):
                yield record[at : at + chunk], last[at : at + chunk]

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
