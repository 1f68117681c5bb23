"""Runs a range of realizations in NumPy, and tallies straight from the definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.job import SUB_BATCHES, Job, RawTally, RawTrajectories
from uepgpu_kernels.reference.received import Received
from uepgpu_kernels.reference.sample import arrivals

__all__ = ["Decoder", "decode_times", "run", "run_rounds"]

Ints = NDArray[np.int64]
Decoder = Callable[[Received], Ints]
"""One of :mod:`uepgpu_kernels.reference.decode`."""

SLICE_ELEMENTS = 1 << 21
"""Realizations are taken in slices whose largest array has about so many elements."""


def run(job: Job, decoder: Decoder, kind: str, first: int, count: int) -> RawTally:
    """Tally realizations first .. first + count - 1; parameters as for :func:`uepgpu_kernels.cpu.run`, but for the decoder."""
    t, k = job.n_times, job.k
    patterns = np.zeros((SUB_BATCHES, t, 1 << job.n_classes), dtype=np.int64)
    i, j = np.tril_indices(k)
    pairs = np.zeros((SUB_BATCHES, t, i.size), dtype=np.int64) if kind == "pairs" else None
    marginals = np.zeros((SUB_BATCHES, t, k), dtype=np.int64) if kind == "marginals" else None
    for start in range(first, first + count, _slice(job)):
        n = min(_slice(job), first + count - start)
        when = decode_times(job, decoder, start, n)
        batch = (np.arange(n) + start % SUB_BATCHES) % SUB_BATCHES
        class_when = np.stack([when[:, job.class_of == c].max(axis=1) for c in range(job.n_classes)], axis=1)
        for at in range(t):
            pattern = ((class_when <= at) << np.arange(job.n_classes)).sum(axis=1)
            joint = batch * (1 << job.n_classes) + pattern
            patterns[:, at] += np.bincount(joint, minlength=patterns[:, at].size).reshape(SUB_BATCHES, -1)
            if pairs is None and marginals is None:
                continue
            undecoded = (when > at).astype(np.int64)
            for b in range(SUB_BATCHES):
                mine = undecoded[batch == b]
                if pairs is not None:
                    pairs[b, at] += (mine.T @ mine)[i, j]
                if marginals is not None:
                    marginals[b, at] += mine.sum(axis=0)
    return RawTally(patterns, pairs, marginals)


def run_rounds(job: Job, decoder: Decoder, kind: str, first: int, count: int, rounds: int) -> RawTrajectories:
    """Tally every round of trajectories first .. first + count - 1; parameters as for :func:`run`."""
    tallies = [run(job._replace(round=r), decoder, kind, first, count) for r in range(rounds)]
    if kind != "patterns":
        return RawTrajectories(tallies, None)
    left, right = np.tril_indices(job.n_classes)
    e, f = np.tril_indices(left.size)
    squares = np.zeros((SUB_BATCHES, job.n_times, e.size), dtype=np.int64)
    for start in range(first, first + count, _slice(job)):
        n = min(_slice(job), first + count - start)
        number = np.zeros((n, job.n_times, left.size), dtype=np.int64)
        for r in range(rounds):
            when = decode_times(job._replace(round=r), decoder, start, n)
            undecoded = np.stack([when[:, job.class_of == c].max(axis=1) for c in range(job.n_classes)], axis=1)
            undecoded = undecoded[:, None, :] > np.arange(job.n_times)[None, :, None]
            number += undecoded[:, :, left] & undecoded[:, :, right]
        batch = (np.arange(n) + start % SUB_BATCHES) % SUB_BATCHES
        np.add.at(squares, batch, number[:, :, e] * number[:, :, f])
    return RawTrajectories(tallies, squares)


def _slice(job: Job) -> int:
    return max(1, SLICE_ELEMENTS // (job.n_packets * max(job.k, 8)))


def decode_times(job: Job, decoder: Decoder, first: int, count: int) -> Ints:
    """Return the time index at which each sub-product of each realization is decoded, shape (count, K); n_times means never."""
    # Realization numbers beyond 2^63 do not fit numpy's integer arange.
    realizations = np.uint64(first) + np.arange(count, dtype=np.uint64)
    window, packet, time = arrivals(job, realizations)
    position = decoder(Received(job, realizations, window, packet))
    padded = np.append(time, np.full((count, 1), job.n_times), axis=1)
    when: Ints = np.take_along_axis(padded, position, axis=1)
    return np.minimum(when, job.n_times)
