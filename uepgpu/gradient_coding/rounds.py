"""What the iterations of many realizations receive, and how long they take, where latencies decide it; else the kernels draw it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import require_memory
from uepgpu.gradient_coding.device import weigh_blocks
from uepgpu.gradient_coding.engines import Kernels
from uepgpu.gradient_coding.plan import DescentPlan
from uepgpu.gradient_coding.servers import Servers
from uepgpu.gradient_coding.waiting import heard
from uepgpu_kernels.descent_job import DUAL, FASTEST, chunk_size

__all__ = ["descents", "sketches"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ARRAYS = 8
"""Arrays over realizations, iterations and servers or blocks that exist at once."""


def descents(plan: DescentPlan, kernels: Kernels, first: int, count: int, threads: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield, for chunks of realizations in order, their records and the times of their iterations, shape (chunk, T)."""
    servers, job = plan.servers, plan.job
    if servers is None:
        for record, last in kernels.descend(job, first, count, threads):
            yield record, plan.times(last)
        return
    size = chunk_size(job.steps.size)
    _check_memory(servers, job.n_blocks, job.steps.size * size * threads)
    if job.draw != FASTEST:
        # Blocks are drawn, and all servers waited for: latencies decide the time alone.
        at = first
        for record, _ in kernels.descend(job, first, count, threads):
            yield record, _answers(plan, servers, at, len(record), job.steps.size)[1]
            at += len(record)
        return

    def one(at: int) -> tuple[Floats, Floats]:
        answered, times = _answers(plan, servers, at, min(size, first + count - at), job.steps.size)
        return kernels.follow(job, _weights(plan, answered, kernels)), times

    starts = range(first, first + count, size)
    if threads == 1:
        yield from map(one, starts)
        return
    from uepgpu_kernels.cpu.threads import in_threads

    with in_threads(threads) as run_all:
        # A few rounds at a time, so that few records wait to be taken.
        for at in range(0, len(starts), 4 * threads):
            yield from run_all(one, starts[at : at + 4 * threads])


def sketches(plan: DescentPlan, kernels: Kernels, first: int, count: int, iterations: int) -> tuple[Ints, Floats]:
    """Return the copies of blocks that iterations receive, shape (count, iterations, K), and their times, (count, iterations)."""
    servers = plan.servers
    if servers is not None:
        _check_memory(servers, plan.job.n_blocks, count * iterations)
    if servers is None or plan.job.draw != FASTEST:
        copies, last = kernels.sketch(plan.job, first, count, iterations)
        return copies, plan.times(last) if servers is None else _answers(plan, servers, first, count, iterations)[1]
    answered, times = _answers(plan, servers, first, count, iterations)
    return _copies(plan, answered), times


def _check_memory(servers: Servers, n_blocks: int, iterations: int) -> None:
    require_memory(
        f"{iterations:,} iterations of {servers.count:,} servers and {n_blocks:,} blocks",
        8 * ARRAYS * iterations * (servers.count + n_blocks),
    )


def _answers(plan: DescentPlan, servers: Servers, first: int, count: int, iterations: int) -> tuple[Ints, Floats]:
    """Return which servers are heard, shape (count, iterations, R), and how long iterations take, shape (count, iterations)."""
    place = plan.placement
    latency, word = servers.draw(first, count, iterations)
    answered, times = heard(latency, word, place.wait, place.until, place.factor)
    if place.fixed and plan.job.draw == FASTEST:
        answered[:, 1:] = answered[:, :1]
        times[:, 1:] = np.where(answered != 0, latency, 0.0).max(axis=2)[:, 1:]
    return answered, times


def _copies(plan: DescentPlan, answered: Ints) -> Ints:
    holds = np.zeros((answered.shape[2], plan.job.n_blocks))
    holds[np.arange(len(holds)), plan.job.block_of] = 1.0
    return np.asarray(answered.astype(np.float64) @ holds, dtype=np.int64)


def _weights(plan: DescentPlan, answered: Ints, kernels: Any) -> Floats:
    """Return the weights of blocks, shape (count, iterations, K)."""
    weight = weigh_blocks(plan.job, answered if plan.job.decode == DUAL else _copies(plan, answered), kernels)
    if not plan.placement.rescaled:
        return weight
    # Weights are those of `wait` answers.
    return np.asarray(weight * (plan.job.wait / np.maximum(answered.sum(axis=2), 1))[:, :, None])
