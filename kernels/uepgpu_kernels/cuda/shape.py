"""What a kernel is specialised on: everything that decides its loops and the sizes of its scratch, and no value of a plan."""

from __future__ import annotations

from typing import NamedTuple

from uepgpu_kernels.automaton import Automaton
from uepgpu_kernels.job import BY_INDEX, BY_TIME, Job

__all__ = ["MOST_SUBPRODUCTS", "Shape", "n_bins", "shape_of"]

MOST_SUBPRODUCTS = 64
"""Supports are 64-bit masks on the device."""

MOST_SHARED_BINS = 8192
"""A block's tally is kept in shared memory up to so many 32-bit counters (32 KiB); above, it goes to global memory."""

MOST_SHARED_STATES = 1024
"""Entries of an automaton that are kept in shared memory (8 KiB)."""

MOST_FIELD = 255
"""Packed times are 8-bit fields."""

MOST_SORTED = 32
"""Up to so many packets are sorted in registers."""

MOST_COMPARED = 8
"""Up to so many cells are found by comparing with each threshold."""

BUCKET_BITS = 10
"""Finer buckets than these 8 KiB would be read from slower memory or crowd out blocks."""


class Shape(NamedTuple):
    """Compile-time sizes and choices of one kernel."""

    nest: str  # "streamed", "sorted" or "listed"
    decoder: str  # "count", "automaton", "match", "peel", "eliminate" or "real"
    kind: str  # "patterns", "pairs", "marginals" or "times"
    order: int
    k: int
    n_packets: int
    n_windows: int  # in chains or the automaton, else 0
    n_classes: int
    field: int
    drawn: bool  # supports are drawn
    given: bool  # coefficients are given
    grouped: bool  # packets have tables of their own
    cells: int  # compared with all thresholds; 0: looked up
    bins: int  # counters of the tally in shared memory, a power of two; 0: in global memory
    states: int  # entries of the automaton in shared memory, a power of two; 0: in global memory


def n_bins(job: Job, kind: str) -> int:
    """Return the number of counters of one sub-batch: class transitions, then pairs or marginals."""
    width = {"pairs": job.k * (job.k + 1) // 2, "marginals": job.k}.get(kind, 0)
    return (job.n_times + 1) * ((job.n_classes << job.n_classes) + width)


def shape_of(job: Job, decoder: str, kind: str, automaton: Automaton | None = None, *, packed: bool = True) -> Shape:
    """Return the shape of the kernel that serves a job; without `packed`, of the one that would serve any.

    Raises
    ------
    ValueError
        If K > 64.
    """
    if job.k > MOST_SUBPRODUCTS:
        raise ValueError(f"backend 'cuda' takes K <= {MOST_SUBPRODUCTS} sub-products, got K = {job.k}; use backend='numba'")
    if decoder == "match" and automaton is not None:
        decoder = "automaton"
    n_windows = {"count": job.capacity.size, "automaton": job.support.shape[0]}.get(decoder, 0)
    bins = n_bins(job, kind)
    packed = (
        packed
        and kind == "patterns"
        and 0 < bins <= MOST_SHARED_BINS
        and job.n_times <= MOST_FIELD
        and (
            (decoder == "count" and n_windows <= 8 and job.class_unit.size > 0)
            or (decoder == "automaton" and n_windows < MOST_FIELD and job.n_classes <= 4)
        )
    )
    grouped = job.threshold.shape[0] > 1
    nest = "listed"
    if packed and job.order == BY_INDEX and not grouped:
        nest = "streamed"
    elif packed and job.order == BY_TIME and job.n_packets <= MOST_SORTED:
        nest = "sorted"
    cells = job.threshold.shape[1] if nest == "streamed" and job.threshold.shape[1] <= MOST_COMPARED else 0
    states = 0 if automaton is None or decoder != "automaton" else automaton.following.size
    return Shape(
        nest=nest,
        decoder=decoder,
        kind=kind,
        order=job.order,
        k=job.k,
        n_packets=job.n_packets,
        n_windows=n_windows,
        n_classes=job.n_classes,
        field=job.field if decoder == "eliminate" else 0,
        drawn=job.degree.size > 0,
        given=job.generator.shape[0] > 0,
        grouped=grouped,
        cells=cells,
        bins=_power(bins, 256) if kind != "times" and bins <= MOST_SHARED_BINS else 0,
        states=_power(states, 64) if 0 < states <= MOST_SHARED_STATES else 0,
    )


def _power(n: int, least: int) -> int:
    """Return the least power of two >= n and >= least: rounding up keeps the number of kernels small."""
    return max(least, 1 << (n - 1).bit_length())
