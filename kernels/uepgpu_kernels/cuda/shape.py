"""What a kernel is specialised on: everything that decides its loops and the sizes of its scratch, and no value of a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from uepgpu_kernels.job import Job

__all__ = ["MOST_ELIMINATED", "MOST_SUBPRODUCTS", "Maker", "Shape", "n_bins", "state_bits"]

MOST_SUBPRODUCTS = 64
"""Supports are 64-bit masks where a thread decodes alone."""

LEAST_TOGETHER, MOST_ELIMINATED = 17, 256
"""Lanes of a warp eliminate together from so many sub-products on, and up to so many."""

MOST_SHARED_BINS = 8192
"""A block's tally is kept in shared memory up to so many 32-bit counters (32 KiB); above, it goes to global memory."""

MOST_SHARED_STATES = 1024
"""Entries of an automaton that are kept in shared memory (8 KiB)."""

MOST_FIELD = 255
"""Packed times are 8-bit fields."""

MOST_SORTED = 32
"""Up to so many packets are sorted in registers, all by one network: those that a job lacks come last."""

LISTING = ("listed", "warped")
"""Nests that list packets in order of arrival first."""

LEAST_BINS, LEAST_LISTED = 1024, 64
"""Sizes grow from these by powers of two, so that few kernels serve jobs of all numbers of workers and deadlines."""

STEPS = (1024, 4096, 10000)
"""Entries of a table that takes all packets of a word at once; the largest leaves room for 2048 bins in 48 KiB."""

BUCKET_BITS, FINE_BITS = 10, 12
"""A word's leading bits are its bucket: 8 KiB in shared memory, or fine ones, in global memory, which a cache holds."""

MOST_COARSE = 128
"""Thresholds of a table above which buckets are fine: of 600, 7 % of the coarse ones would hold several, and be searched."""


Maker = Callable[["Shape"], Any]
"""What makes a decoder's step for a shape: a function of :mod:`uepgpu_kernels.cuda.decode`."""


class Shape(NamedTuple):
    """Compile-time sizes and choices of one kernel."""

    nest: str  # "by_words", "streamed", "sorted", "listed" or "warped"
    decoder: Maker
    kind: str  # "patterns", "pairs", "marginals" or "times"
    order: int
    k: int
    n_packets: int  # how many a thread has room for; 0: it keeps none
    n_windows: int  # in chains or the automaton, else 0
    n_classes: int
    field: int
    drawn: bool  # supports are drawn
    given: bool  # coefficients are given
    targets: int  # sums that count as decoded
    grouped: bool  # packets have tables of their own
    per_word: int  # packets that a word decides
    fine: bool  # buckets are fine
    bins: int  # counters of the tally in shared memory, a power of two; 0: in global memory
    states: int  # entries of the automaton in shared memory, or of the table of all packets of a word; 0: in global memory
    racked: bool = False  # packets have two tables each, of which their rack's state chooses
    traced: bool = False  # tables give works, and a trace when they are done
    replay: int = 0
    shuffled: bool = False
    rounds: bool = False  # a thread takes a realization through rounds
    state_bits: int = 0  # of a worker's state, which it has from the last round; 0: workers have none
    lanes: int = 0  # of a warp that decode one realization together
    near: bool = False  # their rows lie in shared memory
    several: bool = False  # workers send several messages
    progress: int = 0


def state_bits(n_states: int) -> int:
    """Return how many bits of a value are the next state: few kernels serve all numbers of states."""
    return 0 if n_states == 0 else 2 if n_states <= 4 else 4


def n_bins(job: Job, kind: str) -> int:
    """Return the number of counters of one sub-batch: class transitions, then pairs or marginals."""
    width = {"pairs": job.k * (job.k + 1) // 2, "marginals": job.k}.get(kind, 0)
    return (job.n_times + 1) * ((job.n_classes << job.n_classes) + width)
