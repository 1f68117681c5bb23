"""Gradient descent on a device: a kernel draws and decodes, products run through CuPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import Place
from uepgpu_kernels.dense import descent as dense_descent
from uepgpu_kernels.descent_job import DUAL, GRADIENT_NORM, GROUPS, QUANTITIES, DescentJob, chunk_size

__all__ = ["DeviceKernels", "Draws", "weigh_blocks"]

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


class Draws(Protocol):
    """What draws and decodes a job where arrays live: :class:`uepgpu_kernels.cuda.DescentDraws` says what its functions do."""

    def weigh(self, first: int, count: int, iterations: int, /) -> tuple[Any, NDArray[np.uint32]]:
        """Return the weights of blocks, where arrays live, and the words of the last servers, on the host."""
        ...

    def count(self, first: int, count: int, iterations: int, /) -> tuple[Ints, NDArray[np.uint32]]:
        """Return the copies of blocks, and the words of the last servers, on the host."""
        ...


@dataclass(frozen=True, eq=False)
class DeviceKernels:
    """What :mod:`uepgpu_kernels.cpu.descent` offers, at `place`.

    `draw` makes a job's draws ready there; `host` has the kernels that decode where latencies are no draws of theirs.
    """

    place: Place
    host: ModuleType
    draw: Callable[[DescentJob], Draws]

    def descend(self, job: DescentJob, first: int, count: int, threads: int) -> Iterator[tuple[Floats, NDArray[np.uint32]]]:
        """Yield records of chunks in order; as :func:`uepgpu_kernels.cpu.descent.descend`.

        Raises
        ------
        ValueError
            For gradient-norm sampling, whose draws depend on iterates.
        """
        blocks, draws = dense_descent.make_blocks(self.place.xp, job), self._draws(job)
        chunk = chunk_size(job.steps.size)
        size = self._batch(job, chunk)
        for start in range(first, first + count, size):
            weight, last = draws.weigh(start, min(size, first + count - start), job.steps.size)
            record = self._record(job, blocks, weight)
            for at in range(0, len(record), chunk):
                yield record[at : at + chunk], last[at : at + chunk]

    def follow(self, job: DescentJob, weight: Floats) -> Floats:
        """Return the record for given weights of blocks; as :func:`uepgpu_kernels.cpu.descent.follow`."""
        xp = self.place.xp
        blocks = dense_descent.make_blocks(xp, job)
        size = self._batch(job, chunk_size(job.steps.size))
        starts = range(0, len(weight), size)
        return np.concatenate([self._record(job, blocks, xp.asarray(weight[at : at + size])) for at in starts])

    def decode(self, answered: Ints, left_null: Floats, particular: Floats) -> Floats:
        """Decode on the host."""
        weights: Floats = self.host.decode(answered, left_null, particular)
        return weights

    def _record(self, job: DescentJob, blocks: dense_descent.RowBlocks, weight: Any) -> Floats:
        # A descent that diverges runs into infinities: that is its result.
        with np.errstate(over="ignore", invalid="ignore"):
            record: Floats = self.place.to_host(dense_descent.descend(self.place.xp, job, blocks, weight))
        return record

    def sketch(self, job: DescentJob, first: int, count: int, iterations: int) -> tuple[Ints, NDArray[np.uint32]]:
        """Return the copies of blocks received, and the last words; as :func:`uepgpu_kernels.cpu.descent.sketch`."""
        return self._draws(job).count(first, count, iterations)

    def _draws(self, job: DescentJob) -> Draws:
        if job.draw == GRADIENT_NORM:
            raise ValueError("law='gradient-norm' draws by iterates, which backend='cuda' does not: use backend='numba'")
        return self.draw(job)

    def _batch(self, job: DescentJob, chunk: int) -> int:
        """Return how many realizations, a multiple of the chunk, fit the memory."""
        each = 8 * (dense_descent.iterate_values(job) + 2 * job.steps.size * (job.n_blocks + QUANTITIES))
        fitting = int(self.place.free_memory()) // SHARE // max(each, 1)
        return chunk * max(1, min(fitting, MOST_BATCH) // chunk)
