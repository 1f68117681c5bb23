"""Runs a range of realizations on one device: tables and counters through CuPy, one launch, tallies from the counters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.automaton import Automaton, automaton_of
from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.choose import shape_of
from uepgpu_kernels.cuda.layout import WARP, at_once, scratch_of
from uepgpu_kernels.cuda.memory import memory_of
from uepgpu_kernels.cuda.shape import Maker, Shape, n_bins
from uepgpu_kernels.cuda.squares import SQUARES_TYPES, n_products, squares_kernel
from uepgpu_kernels.cuda.tables import Tables, make_tables
from uepgpu_kernels.job import SUB_BATCHES, Job, RawTally, RawTrajectories
from uepgpu_kernels.transitions import patterns_of, undecoded

__all__ = ["MOST_AT_ONCE", "Prepared", "prepare"]

Ints = NDArray[np.int64]

MOST_AT_ONCE = 1 << 36
"""Realizations of one launch: no 32-bit counter of a block can overflow."""

MOST_KEPT = 1 << 26
"""Times of classes of one launch of trajectories: 256 MiB."""

THREADS = {"binned": 128, "by_words": 512, "streamed": 256, "sorted": 128, "listed": 128, "warped": WARP}
BLOCKS_PER_PROCESSOR = {"binned": 16, "by_words": 4, "streamed": 8, "sorted": 16, "listed": 16, "warped": 16}
"""Blocks that the grid has for each multiprocessor; they stride over the realizations."""


class Prepared:
    """A job made ready on one device: its kernel, and its tables in device memory.

    Parameters
    ----------
    job : Job
    decoder : callable
        One of :mod:`uepgpu_kernels.cuda.decode`.
    kind : "patterns", "pairs", "marginals" or "times"
    automaton : Automaton, optional
        Lets matching walk a table; the tally does not depend on it.
    device : int
    blocks, threads : int, optional
        Launch geometry; `blocks` is a multiple of 32. The tally does not depend on it.
    packed, by_words : bool
        Which kernels may serve: see :func:`~uepgpu_kernels.cuda.shape_of`. The tally does not depend on it.
    rounds : bool
        Whether realizations are trajectories of rounds; their number is given with every range.

    Raises
    ------
    ValueError
        If K is beyond what the device takes.
    """

    def __init__(
        self,
        job: Job,
        decoder: Maker,
        kind: str,
        automaton: Automaton | None = None,
        *,
        device: int = 0,
        blocks: int | None = None,
        threads: int | None = None,
        packed: bool = True,
        by_words: bool = True,
        rounds: bool = False,
    ) -> None:
        self.job, self.device = job, device
        self.shape: Shape = shape_of(job, decoder, kind, automaton, packed=packed, by_words=by_words, rounds=rounds)
        self.memory = memory_of(device)
        self.kernel = self.memory.kernel(self.shape)
        nest = self.shape.nest
        self.threads = WARP if nest == "warped" else threads or min(THREADS[nest], self.memory.most_threads)
        self.blocks = blocks or self.memory.processors * BLOCKS_PER_PROCESSOR[nest]
        with self.memory.chosen():
            tables = make_tables(job, self.shape, automaton)
            self.tables = Tables._make(self.memory.put(x) if isinstance(x, np.ndarray) else x for x in tables)
            self.flat = self.memory.flat((self.tables,))
        self.squares: Any = None
        if rounds and kind == "patterns":
            self.squares = self.memory.function(squares_kernel(job.n_classes), SQUARES_TYPES)

    def launch(self, first: int, count: int, rounds: int = 1) -> tuple[Any, Any]:
        """Queue realizations first .. first + count - 1; return device arrays, not waited for: of counters, and of times.

        Counters are by round, sub-batch and number; how many rounds there are is how often they are there. Of trajectories that
        class patterns say everything of, the second array has their squares.
        """
        job, kind = self.job, self.shape.kind
        bins = 0 if kind == "times" else n_bins(job, kind)
        with self.memory.chosen():
            out = self.memory.zeros(max(1, rounds * SUB_BATCHES * bins), np.uint64)
            most = -(-count // SUB_BATCHES)
            taken = at_once(self.shape) if self.shape.nest == "warped" else self.threads
            rows = max(1, min(self.blocks, -(-count // taken)) // SUB_BATCHES)
            asked = count * job.k if kind == "times" else 0 if self.squares is None else rounds * job.n_classes * SUB_BATCHES * most
            record = self.memory.zeros(max(1, asked + scratch_of(self.shape, rows * SUB_BATCHES)), np.uint32)
            scalars = job.seed, np.uint64(first), np.uint64(count), np.uint32(job.n_times), np.uint32(bins)
            self.memory.launch(
                self.kernel, rows * SUB_BATCHES, self.threads, (*scalars, *self.flat, *self.memory.flat((out, record)))
            )
            if self.squares is None:
                return out, record
            squares = self.memory.zeros(SUB_BATCHES * job.n_times * n_products(job.n_classes), np.uint64)
            numbers = np.uint64(first), np.uint64(count), np.uint32(job.n_times), np.uint64(rounds), np.uint64(most)
            rows = max(1, min(self.blocks // SUB_BATCHES, most))
            threads = min(32, self.memory.most_threads)
            self.memory.launch(self.squares, rows * SUB_BATCHES, threads, (*numbers, *self.memory.flat((record, squares))))
        return out, squares

    def queue(self, first: int, count: int, rounds: int = 1) -> list[Any]:
        """Queue a range of any length; return the device arrays of its launches."""
        most = MOST_AT_ONCE if self.squares is None else max(1, MOST_KEPT // (rounds * self.job.n_classes))
        starts = range(first, first + count, most)
        return [self.launch(start, min(most, first + count - start), rounds) for start in starts]

    def run(self, first: int, count: int) -> RawTally:
        """Tally realizations first .. first + count - 1."""
        return self.run_rounds(first, count, 1).rounds[0]

    def run_rounds(self, first: int, count: int, rounds: int) -> RawTrajectories:
        """Tally every round of realizations first .. first + count - 1."""
        return self.finished(self.queue(first, count, rounds), first, count, rounds)

    def finished(self, queued: list[Any], first: int, count: int, rounds: int = 1) -> RawTrajectories:
        """Wait for a queued range and return the tally of every round."""
        with self.memory.chosen():
            counters = [self.memory.get(out).astype(np.int64) for out, _ in queued]
            squares = [] if self.squares is None else [self.memory.get(found).astype(np.int64) for _, found in queued]
        tallies = [self._tally(of_round, first, count) for of_round in np.sum(counters, axis=0).reshape(rounds, SUB_BATCHES, -1)]
        if not squares:
            return RawTrajectories(tallies, None)
        return RawTrajectories(tallies, np.sum(squares, axis=0).reshape(SUB_BATCHES, self.job.n_times, -1))

    def _tally(self, counters: Ints, first: int, count: int) -> RawTally:
        job, kind = self.job, self.shape.kind
        t, transitions = job.n_times, (job.n_times + 1) * job.n_classes << job.n_classes
        sizes = [max(0, -(-(count - (b - first) % SUB_BATCHES) // SUB_BATCHES)) for b in range(SUB_BATCHES)]
        patterns = np.stack([patterns_of(row[:transitions], n, t, job.n_classes) for row, n in zip(counters, sizes, strict=True)])
        when = counters[:, transitions:].reshape(SUB_BATCHES, t + 1, -1)
        late = np.stack([undecoded(row[:-1], n) for row, n in zip(when, sizes, strict=True)])
        return RawTally(patterns, late if kind == "pairs" else None, late if kind == "marginals" else None)

    def resources(self) -> dict[str, int]:
        """Return registers and bytes of local memory of a thread, and shared bytes of a block."""
        return self.memory.resources(self.kernel)

    def most_times(self) -> int:
        """Return how many realizations' times fit in half of the free memory."""
        with self.memory.chosen():
            return max(1, self.memory.free() // (8 * self.job.k))

    def release(self) -> None:
        """Release unused device memory."""
        with self.memory.chosen():
            self.memory.release()

    def decode_times(self, first: int, count: int) -> Ints:
        """Return the time index at which each sub-product is decoded, shape (count, K); `kind` must be "times"."""
        _, record = self.launch(first, count)
        with self.memory.chosen():
            return self.memory.get(record[: count * self.job.k]).astype(np.int64).reshape(count, self.job.k)


def prepare(job: Job, decoder: Maker, kind: str, device: int, *, rounds: bool = False) -> Prepared:
    """Make a job ready in the fastest way there is for it."""
    return Prepared(job, decoder, kind, automaton_of(job) if decoder is decode.match else None, device=device, rounds=rounds)
