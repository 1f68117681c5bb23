"""Draws and decoding of distributed gradient descent: a thread for each iteration of each realization.

An iteration's words are functions of its number, and so are the weights that its blocks have, unless blocks are drawn by the
gradients at an iterate. One kernel serves all schemes: which is theirs is a value, and so are all sizes. What a thread keeps is
a column of arrays in global memory, beside those of its neighbours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.bodies.answers import block_of_word, greatest_word, mark_fastest
from uepgpu_kernels.bodies.dual import avoid_stragglers
from uepgpu_kernels.cuda.cubin import Kept, function_cubin
from uepgpu_kernels.cuda.draw import block_of
from uepgpu_kernels.cuda.memory import Memory, memory_of
from uepgpu_kernels.cuda.stage import cuda, stage
from uepgpu_kernels.descent_job import DUAL, FASTEST, GROUPS, DescentJob
from uepgpu_kernels.streams import BLOCKS, SERVERS

__all__ = ["TYPES", "DescentDraws", "draw_iterations", "draws_cubin"]

Floats = NDArray[np.float64]

COUNTED = 3
"""Beside COPIES, GROUPS and DUAL: blocks are not weighted, but counted."""

THREADS = 128
THREADS_PER_PROCESSOR = 1024
SHARE = 8
"""Columns of threads may take one part in so many of the free memory."""


class _Given(NamedTuple):
    """Those fields of a job that decide draws, and s, the number of stragglers that a code takes."""

    seed: np.uint64
    fastest: np.int64
    fixed: np.int64
    n_servers: np.int64
    wait: np.int64
    n_left_out: np.int64
    block_of: NDArray[np.int64]
    copy_weight: Floats
    threshold: NDArray[np.uint64]
    code: Floats
    left_null: Floats
    particular: Floats


class _Columns(NamedTuple):
    """Scratch; the last axis is over threads."""

    words: NDArray[np.uint32]
    answered: NDArray[np.int32]
    server_weight: Floats
    system: Floats


def _given(job: DescentJob) -> _Given:
    n = np.int64
    sizes = n(job.n_servers), n(job.wait), n(job.left_null.shape[1])
    numbers = job.seed, n(job.draw == FASTEST), n(job.fixed), *sizes
    return _Given(*numbers, job.block_of, job.copy_weight, job.threshold, job.code, job.left_null, job.particular)


def _columns(job: DescentJob) -> list[tuple[tuple[int, ...], Any]]:
    """Return shape and dtype of each of the columns of one thread."""
    n, s = job.n_servers, job.left_null.shape[1]
    return [((4 * (n // 4 + 1),), np.uint32), ((n,), np.int32), ((n,), np.float64), ((s, s + 1), np.float64)]


@stage
def _fill(words: Any, seed: Any, realization: Any, t: Any, n: Any) -> None:
    """Write the words of the servers in iteration t."""
    blocks = (n + 3) // 4
    for b in range(blocks):
        w0, w1, w2, w3 = block_of(seed, realization, t * blocks + b, SERVERS)
        words[4 * b] = w0
        words[4 * b + 1] = w1
        words[4 * b + 2] = w2
        words[4 * b + 3] = w3


@stage
def _count_drawn(given: Any, realization: Any, t: Any, weight: Any) -> None:
    """Add to each block how often it is drawn in iteration t."""
    blocks = (given.wait + 3) // 4
    for b in range(blocks):
        four = block_of(given.seed, realization, t * blocks + b, BLOCKS)
        for i in range(4):
            if 4 * b + i < given.wait:
                word = four[0] if i == 0 else four[1] if i == 1 else four[2] if i == 2 else four[3]
                weight[block_of_word(np.uint64(word), given.threshold, weight.shape[0])] += 1.0


def draw_iterations(first: Any, count: Any, iterations: Any, decode: Any, given: Any, columns: Any, weight: Any, last: Any) -> None:
    """Add to `weight` (iterations of all realizations, K), and write the words of the last servers into `last` (iterations,)."""
    thread = cuda.grid(1)
    n_threads = columns.words.shape[1]
    i = thread
    while i < count * iterations and thread < n_threads:
        r = i // iterations
        t = i - r * iterations
        realization = first + np.uint64(r)
        drawn_in = 0 if given.fixed != 0 else t
        n = given.n_servers
        words, answered, row = columns.words[:, thread], columns.answered[:, thread], weight[i]
        _fill(words, given.seed, realization, drawn_in, n)
        word = np.uint64(0)
        if given.fastest != 0:
            word = mark_fastest(words, n, given.wait, answered)
        else:
            for w in range(n):
                answered[w] = 1
            _count_drawn(given, realization, drawn_in, row)
        if given.fastest == 0 or drawn_in != t:
            if drawn_in != t:
                _fill(words, given.seed, realization, t, n)
            word = np.uint64(greatest_word(words, n, answered))
        last[i] = np.uint32(word)
        if decode == DUAL:
            server_weight = columns.server_weight[:, thread]
            left_null, system = given.left_null[:, : given.n_left_out], columns.system[:, :, thread]
            avoid_stragglers(answered, left_null, given.particular, system, server_weight)
            for w in range(n):
                f = server_weight[w]
                if f != 0.0:
                    for k in range(row.shape[0]):
                        row[k] += f * given.code[w, k]
        else:
            if given.fastest != 0:
                for w in range(n):
                    if answered[w] != 0:
                        row[given.block_of[w]] += 1.0
            if decode != COUNTED:
                for k in range(row.shape[0]):
                    copies = min(row[k], 1.0) if decode == GROUPS else row[k]
                    row[k] = copies * given.copy_weight[k]
        i += n_threads


typeof: Any = numba.typeof
_one, _two = np.zeros(1), np.zeros((1, 1))
_integers = np.zeros(1, np.int64)
_five = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
TYPES = tuple(
    typeof(x)
    for x in (
        *(np.uint64(0), np.int64(0), np.int64(0), np.int64(0)),
        _Given(np.uint64(0), *_five, _integers, _one, np.zeros(1, np.uint64), _two, _two, _one),
        _Columns(np.zeros((1, 1), np.uint32), np.zeros((1, 1), np.int32), _two, np.zeros((1, 1, 1))),
        *(_two, np.zeros(1, np.uint32)),
    )
)


def draws_cubin(capability: tuple[int, int]) -> Kept:
    """Return the machine code of the kernel."""
    return function_cubin(draw_iterations, TYPES, capability)


class DescentDraws:
    """The draws of a job on the first device.

    Parameters
    ----------
    job : DescentJob
        Whose blocks are not drawn by gradients at iterates.
    memory : Memory, optional
        Default: that of the first device.
    """

    def __init__(self, job: DescentJob, memory: Memory | None = None) -> None:
        self.job, self.memory = job, memory_of(0) if memory is None else memory
        self.kernel = self.memory.function(draw_iterations, TYPES)
        with self.memory.chosen():
            self.given = _Given._make(self.memory.put(x) if isinstance(x, np.ndarray) else x for x in _given(job))

    def weigh(self, first: int, count: int, iterations: int) -> tuple[Any, NDArray[np.uint32]]:
        """Return the weights of blocks (count, iterations, K), on the device, and the words of the last servers, on the host."""
        return self._drawn(first, count, iterations, self.job.decode)

    def count(self, first: int, count: int, iterations: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Return how often each block is received (count, iterations, K), and the words of the last servers, on the host."""
        copies, last = self._drawn(first, count, iterations, COUNTED)
        with self.memory.chosen():
            return self.memory.get(copies).astype(np.int64), last

    def _drawn(self, first: int, count: int, iterations: int, decode: int) -> tuple[Any, NDArray[np.uint32]]:
        memory, columns = self.memory, _columns(self.job)
        with memory.chosen():
            each = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in columns)
            fitting = max(1, memory.free() // (SHARE * each))
            n_threads = min(count * iterations, fitting, memory.processors * THREADS_PER_PROCESSOR)
            threads = min(THREADS, memory.most_threads)
            scratch = _Columns._make(_array(memory, (*shape, n_threads), dtype) for shape, dtype in columns)
            weight = _array(memory, (count * iterations, self.job.n_blocks), np.float64)
            last = memory.zeros(count * iterations, np.uint32)
            scalars = np.uint64(first), np.int64(count), np.int64(iterations), np.int64(decode)
            memory.launch(
                self.kernel, -(-n_threads // threads), threads, (*scalars, *memory.flat((self.given, scratch, weight, last)))
            )
            # Read on the stream of the launch: whoever takes the weights after that, on any stream, finds them written.
            words = memory.get(last).reshape(count, iterations)
            return weight.reshape(count, iterations, self.job.n_blocks), words


def _array(memory: Memory, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return zeros on the device; where there are none, an axis has one entry, so that there is an address."""
    shape = tuple(max(1, n) for n in shape)
    return memory.zeros(int(np.prod(shape)), dtype).reshape(shape)
