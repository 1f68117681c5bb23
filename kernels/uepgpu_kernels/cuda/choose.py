"""Which kernel serves a job."""

from __future__ import annotations

from uepgpu_kernels.automaton import Automaton
from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.shape import (
    MOST_FIELD,
    MOST_SHARED_BINS,
    MOST_SHARED_STATES,
    MOST_SORTED,
    MOST_SUBPRODUCTS,
    Maker,
    Shape,
    n_bins,
)
from uepgpu_kernels.job import BY_INDEX, BY_TIME, Job

__all__ = ["shape_of"]


def shape_of(job: Job, decoder: Maker, kind: str, automaton: Automaton | None = None, *, packed: bool = True) -> Shape:
    """Return the shape of the kernel that serves a job; without `packed`, of the one that would serve any.

    Raises
    ------
    ValueError
        If K > 64.
    """
    if job.k > MOST_SUBPRODUCTS:
        raise ValueError(f"backend 'cuda' takes K <= {MOST_SUBPRODUCTS} sub-products, got K = {job.k}; use backend='numba'")
    walked = decoder is decode.match and automaton is not None
    if walked:
        decoder = decode.automaton
    counted = decoder is decode.count
    n_windows = job.capacity.size if counted else job.support.shape[0] if walked else 0
    bins = n_bins(job, kind)
    packed = (
        packed
        and kind == "patterns"
        and 0 < bins <= MOST_SHARED_BINS
        and max(job.n_times, job.arrival.shape[0]) <= MOST_FIELD
        and ((counted and n_windows <= 8 and job.class_unit.size > 0) or (walked and n_windows < MOST_FIELD and job.n_classes <= 4))
    )
    grouped = job.threshold.shape[0] > 1
    nest = "listed"
    if packed and job.order == BY_INDEX and not grouped:
        nest = "streamed"
    elif packed and job.order == BY_TIME and job.n_packets <= MOST_SORTED:
        nest = "sorted"
    states = automaton.following.size if walked and automaton is not None else 0
    return Shape(
        nest=nest,
        decoder=decoder,
        kind=kind,
        order=job.order,
        k=job.k,
        n_packets=job.n_packets,
        n_windows=n_windows,
        n_classes=job.n_classes,
        field=job.field,
        drawn=job.degree.size > 0,
        given=job.generator.shape[0] > 0,
        targets=job.target.shape[0],
        grouped=grouped,
        per_word=job.per_word,
        bins=_power(bins, 256) if kind != "times" and bins <= MOST_SHARED_BINS else 0,
        states=_power(states, 64) if 0 < states <= MOST_SHARED_STATES else 0,
        racked=job.n_racks > 0,
        traced=job.arrival.size > 0,
        replay=job.replay,
        shuffled=job.shuffle,
    )


def _power(n: int, least: int) -> int:
    """Return the least power of two >= n and >= least: rounding up keeps the number of kernels small."""
    return max(least, 1 << (n - 1).bit_length())
