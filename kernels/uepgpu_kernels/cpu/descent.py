"""Loop nests of distributed gradient descent on the CPU: one realization after the other, chunks of them on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.bodies.answers import block_of_word, greatest_word, mark_fastest
from uepgpu_kernels.bodies.dual import avoid_stragglers
from uepgpu_kernels.bodies.gradient import add_gram, add_least_squares, add_logistic, logistic_loss, multiply_symmetric
from uepgpu_kernels.bodies.sample import fill_words
from uepgpu_kernels.cpu.compile import allocation, entry, stage
from uepgpu_kernels.cpu.threads import in_threads
from uepgpu_kernels.descent_job import (
    BY_GRAM,
    BY_ROWS,
    DUAL,
    FASTEST,
    GRADIENT_NORM,
    GROUPS,
    LOGISTIC,
    QUANTITIES,
    DescentJob,
    chunk_size,
)
from uepgpu_kernels.streams import BLOCKS, SERVERS

__all__ = ["decode", "descend", "follow", "sketch"]

Floats = NDArray[np.float64]


NONE = np.int64(0)
"""No active block; typed, so that no stage is compiled for a literal too."""


class Scratch(NamedTuple):
    """Memory of one realization. `active` lists the blocks that an iteration receives; elsewhere, arrays over blocks are zero."""

    words: Any  # (n,) uint64, one per server
    drawn: Any  # (n,) uint64, one per drawn block
    answered: Any  # (R,) int64
    copies: Any  # (K,) int64: answers with that block
    active: Any  # (K,) int64
    weight: Any  # (K,)
    server_weight: Any  # (R,)
    system: Any  # (s, s + 1)
    norm: Any  # (K,)
    x: Any  # (d,)
    gradient: Any  # (d,)
    other: Any  # (d,)


def scratch(job: DescentJob) -> Scratch:
    """Return the memory that one realization needs."""
    k, s, d = job.n_blocks, job.left_null.shape[1], job.start.size
    integers = [np.zeros(n, dtype=np.int64) for n in (max(job.n_servers, job.block_of.size), k, k)]
    words = [np.zeros(4 * (n // 4 + 1), dtype=np.uint64) for n in (job.n_servers, job.wait)]
    return Scratch(
        words=words[0],
        drawn=words[1],
        answered=integers[0],
        copies=integers[1],
        active=integers[2],
        weight=np.zeros(k),
        server_weight=np.zeros(job.block_of.size),
        system=np.zeros((s, s + 1)),
        norm=np.zeros(k),
        x=np.zeros(d),
        gradient=np.zeros(d),
        other=np.zeros(d),
    )


@stage
def hear(own: Any, block: Any, n_active: Any) -> Any:
    """Count one answer with `block`; return how many blocks are active."""
    if own.copies[block] == 0:
        own.active[n_active] = block
        n_active += 1
    own.copies[block] += 1
    return n_active


@stage
def clear(own: Any, n_active: Any) -> None:
    """Reset the active blocks and touch no others."""
    for i in range(n_active):
        own.copies[own.active[i]] = 0
        own.weight[own.active[i]] = 0.0


@stage
def add_block(job: Any, block: Any, x: Any, weight: Any, out: Any) -> None:
    """Add a weighted block gradient to out."""
    if job.form == BY_GRAM:
        add_gram(job.gram[block], job.moment[block], x, weight, out)
    elif job.form == BY_ROWS:
        add_least_squares(job.rows, job.target, job.bounds[block], job.bounds[block + 1], x, weight, out)
    else:
        add_logistic(job.rows, job.target, job.bounds[block], job.bounds[block + 1], x, weight, out)


@stage
def draw_by_norm(job: Any, own: Any) -> Any:
    """Draw q blocks in proportion to the norms of their gradients at x, and weight them; return how many are active."""
    total = 0.0
    for k in range(job.n_blocks):
        for j in range(own.other.shape[0]):
            own.other[j] = 0.0
        add_block(job, k, own.x, 1.0, own.other)
        square = 0.0
        for j in range(own.other.shape[0]):
            square += own.other[j] ** 2
        total += np.sqrt(square)
        own.norm[k] = total
    n_active = NONE
    if total > 0.0:
        for i in range(job.wait):
            place = (np.float64(own.drawn[i]) + 0.5) * 2.0**-32 * total
            block = min(block_of_word(place, own.norm, job.n_blocks), job.n_blocks - 1)
            n_active = hear(own, block, n_active)
        for i in range(n_active):
            k = own.active[i]
            mine = own.norm[k] - (own.norm[k - 1] if k > 0 else 0.0)
            own.weight[k] = own.copies[k] * total / (job.wait * mine)
    return n_active


@stage
def weigh(job: Any, own: Any) -> Any:
    """Turn the servers that answered into weights of blocks; return how many are active."""
    n_active = NONE
    for w in range(job.n_servers):
        if own.answered[w] != 0:
            n_active = hear(own, job.block_of[w], n_active)
    if job.decode != DUAL:
        for i in range(n_active):
            k = own.active[i]
            own.weight[k] = job.copy_weight[k] * (own.copies[k] if job.decode != GROUPS else 1)
        return n_active
    avoid_stragglers(own.answered, job.left_null, job.particular, own.system, own.server_weight)
    for w in range(job.n_servers):
        if own.server_weight[w] != 0.0:
            for k in range(job.n_blocks):
                own.weight[k] += own.server_weight[w] * job.code[w, k]
    # Everything is decoded, whoever answered.
    for k in range(job.n_blocks):
        own.active[k] = k
    return job.n_blocks


@stage
def draw_iteration(job: Any, realization: Any, t: Any, n_active: Any, own: Any) -> Any:
    """Draw iteration t: who answers, which blocks count and how much; return (active blocks, word of the last server)."""
    n = job.n_servers
    blocks = (n + 3) // 4
    fill_words(own.words, job.seed, realization, SERVERS, t * blocks, blocks)
    again = t == 0 or job.fixed == 0
    if again:
        clear(own, n_active)
    if job.draw == FASTEST:
        if again:
            last = mark_fastest(own.words, n, job.wait, own.answered)
            n_active = weigh(job, own)
        else:
            last = greatest_word(own.words, n, own.answered)
        return n_active, last
    for w in range(n):
        own.answered[w] = 1
    last = greatest_word(own.words, n, own.answered)
    if again:
        blocks = (job.wait + 3) // 4
        fill_words(own.drawn, job.seed, realization, BLOCKS, t * blocks, blocks)
        if job.draw == GRADIENT_NORM:
            return draw_by_norm(job, own), last
        n_active = NONE
        for i in range(job.wait):
            n_active = hear(own, block_of_word(own.drawn[i], job.threshold, job.n_blocks), n_active)
        for i in range(n_active):
            own.weight[own.active[i]] = own.copies[own.active[i]] * job.copy_weight[own.active[i]]
    return n_active, last


@allocation
def measure(job: Any, own: Any, row: Any, with_gradient: Any) -> None:
    """Write error, residual and gradient error of the iterate into a row of the record."""
    d = own.x.shape[0]
    square = 0.0
    for j in range(d):
        square += (own.x[j] - job.star[j]) ** 2
    row[0] = np.sqrt(square) / job.star_norm
    if job.form == LOGISTIC:
        row[1] = logistic_loss(job.rows, job.target, own.x) / job.residual_scale
        for j in range(d):
            own.other[j] = 0.0
        if with_gradient:
            add_logistic(job.rows, job.target, 0, job.rows.shape[0], own.x, 1.0, own.other)
    else:
        difference = own.x - job.star
        multiply_symmetric(job.full_gram, difference, own.other)
        more = job.star_residual2
        for j in range(d):
            more += difference[j] * (own.other[j] + 2.0 * job.star_gradient[j])
            own.other[j] += job.star_gradient[j]
        row[1] = np.sqrt(max(more, 0.0)) / job.residual_scale
    row[2] = np.nan
    if with_gradient:
        square = 0.0
        for j in range(d):
            square += (own.gradient[j] - own.other[j]) ** 2
        row[2] = np.sqrt(square) / job.gradient_scale


@allocation
def finish_iteration(job: Any, own: Any, t: Any, going: Any, row: Any) -> None:
    """Write the quality of the iterate into a row of the record, and step along the estimated gradient if it is `going` on."""
    measure(job, own, row, going)
    if going:
        for j in range(own.x.shape[0]):
            own.x[j] -= job.steps[t] * (own.gradient[j] + job.ridge * own.x[j])


def _descend(job: Any, first: Any, own: Any, record: Any, last: Any) -> None:
    d = own.x.shape[0]
    for r in range(record.shape[0]):
        realization = first + np.uint64(r)
        n_active = NONE
        for j in range(d):
            own.x[j] = job.start[j]
        for t in range(job.steps.shape[0] + 1):
            going = t < job.steps.shape[0]
            if going:
                n_active, word = draw_iteration(job, realization, t, n_active, own)
                last[r, t] = word
                for j in range(d):
                    own.gradient[j] = 0.0
                for i in range(n_active):
                    add_block(job, own.active[i], own.x, own.weight[own.active[i]], own.gradient)
            finish_iteration(job, own, t, going, record[r, t])
        clear(own, n_active)


def _follow(job: Any, own: Any, weight: Any, record: Any) -> None:
    for r in range(record.shape[0]):
        for j in range(own.x.shape[0]):
            own.x[j] = job.start[j]
        for t in range(job.steps.shape[0] + 1):
            going = t < job.steps.shape[0]
            if going:
                for j in range(own.x.shape[0]):
                    own.gradient[j] = 0.0
                for k in range(job.n_blocks):
                    if weight[r, t, k] != 0.0:
                        add_block(job, k, own.x, weight[r, t, k], own.gradient)
            finish_iteration(job, own, t, going, record[r, t])


def _sketch(job: Any, first: Any, own: Any, copies: Any, last: Any) -> None:
    for r in range(copies.shape[0]):
        n_active = NONE
        for j in range(own.x.shape[0]):
            own.x[j] = job.start[j]
        for t in range(copies.shape[1]):
            n_active, word = draw_iteration(job, first + np.uint64(r), t, n_active, own)
            last[r, t] = word
            for k in range(job.n_blocks):
                copies[r, t, k] = own.copies[k]
        clear(own, n_active)


def _decode(answered: Any, left_null: Any, particular: Any, weights: Any) -> None:
    s = left_null.shape[1]
    system = np.zeros((s, s + 1))
    for p in range(answered.shape[0]):
        avoid_stragglers(answered[p], left_null, particular, system, weights[p])


descend_entry = entry(_descend, "descend")
follow_entry = entry(_follow, "follow")
sketch_entry = entry(_sketch, "sketch")
decode_entry = entry(_decode, "decode")


def descend(job: DescentJob, first: int, count: int, threads: int) -> Iterator[tuple[Floats, NDArray[np.uint32]]]:
    """Yield, for chunks of realizations first .. first + count - 1 in order, their record and the words of their last servers.

    A record has shape (chunk, T + 1, 3): error, residual and gradient error of each iterate (the last has no gradient).
    Words have shape (chunk, T): the latency word of the last server that each iteration waited for.
    """
    size = chunk_size(job.steps.size)

    def one(start: int) -> tuple[Floats, NDArray[np.uint32]]:
        n = min(size, first + count - start)
        record = np.empty((n, job.steps.size + 1, QUANTITIES))
        last = np.empty((n, job.steps.size), dtype=np.uint32)
        descend_entry(job, np.uint64(start), scratch(job), record, last)
        return record, last

    yield from _in_order(one, range(first, first + count, size), threads)


def follow(job: DescentJob, weight: Floats) -> Floats:
    """Return the record, as of `descend`, of iterations that receive blocks with given weights (realizations, T, K)."""
    record = np.empty((len(weight), job.steps.size + 1, QUANTITIES))
    follow_entry(job, scratch(job), weight, record)
    return record


def _in_order(one: Callable[[int], Any], starts: range, threads: int) -> Iterator[Any]:
    if threads == 1:
        yield from map(one, starts)
        return
    with in_threads(threads) as run_all:
        # A few rounds at a time, so that few records wait to be taken.
        for at in range(0, len(starts), 4 * threads):
            yield from run_all(one, starts[at : at + 4 * threads])


def sketch(job: DescentJob, first: int, count: int, iterations: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Return the copies of blocks received, shape (count, iterations, K), and the last words, shape (count, iterations)."""
    copies = np.zeros((count, iterations, job.n_blocks), dtype=np.int64)
    last = np.empty((count, iterations), dtype=np.uint32)
    sketch_entry(job, np.uint64(first), scratch(job), copies, last)
    return copies, last


def decode(answered: NDArray[np.int64], left_null: Floats, particular: Floats) -> Floats:
    """Return decoding weights of patterns of answers, both shape (P, R)."""
    weights = np.empty(answered.shape)
    decode_entry(answered, left_null, particular, weights)
    return weights
