"""Which kernel serves a job. No size of a shape is a number of workers, of deadlines or of states: few kernels serve a sweep."""

from __future__ import annotations

from typing import Any

from uepgpu_kernels.automaton import Automaton
from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.bounds import BOUNDS, MOST_BINNED, MOST_COUNTED
from uepgpu_kernels.cuda.layout import MISSING, WARP, layout_of
from uepgpu_kernels.cuda.shape import (
    LEAST_BINS,
    LEAST_LISTED,
    LEAST_TOGETHER,
    MOST_COARSE,
    MOST_ELIMINATED,
    MOST_FIELD,
    MOST_SHARED_BINS,
    MOST_SHARED_STATES,
    MOST_SORTED,
    MOST_SUBPRODUCTS,
    STEPS,
    Maker,
    Shape,
    n_bins,
    state_bits,
)
from uepgpu_kernels.cuda.stage import simulated
from uepgpu_kernels.cuda.tables import states_of
from uepgpu_kernels.cuda.tally import CLASSES
from uepgpu_kernels.job import AT_RANDOM, BY_INDEX, BY_TIME, IN_BLOCKS, IN_ORDER, Job
from uepgpu_kernels.joint import COLUMNS
from uepgpu_kernels.steps import FIELDS, steps_of

__all__ = ["shape_of", "warped_shape"]

MOST_PLACES = 8
"""Columns that a lane has to begin with, where it need not have more."""

SHARED_BYTES = 48 * 1024
"""What a block has without asking for more."""


def shape_of(
    job: Job,
    decoder: Maker,
    kind: str,
    automaton: Automaton | None = None,
    *,
    packed: bool = True,
    by_words: bool = True,
    rounds: bool = False,
) -> Shape:
    """Return the shape of the kernel that serves a job.

    Without `by_words`, of one that takes packets one by one, and counts where the decoder does; without `packed`, of the one that
    would serve any job. With `rounds`, of one that takes realizations through rounds.

    Raises
    ------
    ValueError
        If K is beyond what the device takes: 64, or 256 for elimination without rounds; or workers have states and packets too
        many windows.
    """
    by_warps = decoder is decode.eliminate and job.k >= LEAST_TOGETHER and packed and not rounds and not simulated
    most = MOST_ELIMINATED if by_warps else MOST_SUBPRODUCTS
    if job.k > most:
        raise ValueError(f"backend 'cuda' takes K <= {most} sub-products, got K = {job.k}; use backend='numba'")
    if packed and (fast := _fast_shape(job, decoder, kind, automaton, by_words=by_words, rounds=rounds)) is not None:
        return fast
    most = 1 << 16 - state_bits(job.n_states)
    if job.cell_window.max() >= most:
        raise ValueError(f"backend 'cuda' takes at most {most:,} windows of workers with states; use backend='numba'")
    walked = decoder is decode.match and automaton is not None
    bins = n_bins(job, kind)
    shape = Shape(
        nest="listed",
        decoder=decode.automaton if walked else decoder,
        kind=kind,
        order=job.order,
        k=job.k,
        n_packets=_power(job.n_packets, LEAST_LISTED),
        n_windows=job.capacity.size if decoder is decode.count else 0,
        n_classes=job.n_classes,
        field=job.field,
        drawn=job.degree.size > 0,
        given=job.generator.shape[0] > 0,
        targets=job.target.shape[0],
        grouped=_grouped(job),
        per_word=job.per_word,
        fine=False,
        bins=_power(bins, LEAST_BINS) if kind != "times" and bins <= MOST_SHARED_BINS else 0,
        states=0,
        **_arrivals(job, rounds),
    )
    return warped_shape(shape) if by_warps else shape


def warped_shape(shape: Shape) -> Shape:
    """Return the shape of the kernel whose lanes eliminate together: as few a realization as its columns and memory allow."""
    k, targets = shape.k, shape.targets
    width = 4 if shape.field == 0 else 1
    each = 4 * (2 * k + 2 * (k + targets + MISSING) + k + CLASSES) + 2 * k  # of one realization, besides its rows
    tables = 2048 if shape.field == 2 else 0
    for lanes in (8, 16, 32):
        layout = layout_of(k, targets, lanes, near=True)
        near = layout.bytes(width) + layout.groups * each + tables <= SHARED_BYTES
        if lanes * MOST_PLACES >= k and near:
            return shape._replace(nest="warped", bins=0, lanes=lanes, near=True)
    return shape._replace(nest="warped", bins=0, lanes=WARP, near=False)


def _fast_shape(job: Job, decoder: Maker, kind: str, automaton: Automaton | None, *, by_words: bool, rounds: bool) -> Shape | None:
    """Return the shape of a kernel that keeps nothing but a state and times in registers; None where there is none for the job."""
    counted, walked = decoder is decode.count and job.class_unit.size > 0, decoder is decode.match and automaton is not None
    grouped, bins = _grouped(job), n_bins(job, kind)
    most = max(job.n_times, job.arrival.shape[0])
    if job.messages > 1 or kind != "patterns" or not (counted or walked) or bins > MOST_SHARED_BINS or most > MOST_FIELD:
        return None
    taken = -(-job.n_packets // (4 * job.per_word)) * 4 * job.per_word  # by whole blocks, of which the first times count
    by_index, by_time = job.order == BY_INDEX and not grouped and taken < MOST_FIELD, job.order == BY_TIME
    if not by_index and not (by_time and job.n_packets <= MOST_SORTED):
        return None
    shape = Shape(
        nest="streamed" if by_index else "sorted",
        decoder=decode.automaton,
        kind=kind,
        order=job.order,
        k=0,
        n_packets=0 if by_index else MOST_SORTED,
        n_windows=0,
        n_classes=job.n_classes,
        field=0,
        drawn=False,
        given=False,
        targets=0,
        grouped=grouped,
        per_word=job.per_word,
        fine=by_time and job.threshold.shape[1] > MOST_COARSE,
        bins=_power(bins, LEAST_BINS),
        states=0,
        **_arrivals(job, rounds),
    )
    if job.n_states and job.cell_window.max() >= 1 << 8 - shape.state_bits:
        return None
    states = states_of(job, automaton) if job.n_classes <= 4 and (walked or by_words) else None
    if states is not None and states[0].shape[1] < MOST_FIELD:
        room = (SHARED_BYTES - 4 * (shape.bins + COLUMNS)) // 4
        fits = by_words and by_index and 4 * job.per_word < 1 << FIELDS // job.n_classes
        steps = steps_of(job, *states) if fits else None
        entries = next((n for n in STEPS if steps is not None and steps.size <= n <= room), 0)
        if entries:
            return shape._replace(nest="by_words", per_word=0, states=entries)
        if by_words and not rounds and not job.n_states and _counts_packets(job, states[0].shape[1]):
            return shape._replace(nest="binned", states=job.n_classes * BOUNDS)
        shared = states[0].size <= MOST_SHARED_STATES
        if walked or shared:
            return shape._replace(states=MOST_SHARED_STATES if shared else 0)
    if counted and not rounds and job.capacity.size <= 8:
        return shape._replace(decoder=decode.count, n_windows=job.capacity.size)
    return None


def _counts_packets(job: Job, n_windows: int) -> bool:
    """Return whether packets can be counted by time and window."""
    few = job.n_packets <= MOST_COUNTED and job.n_times <= MOST_BINNED and n_windows <= 3
    return job.order == BY_TIME and few and job.arrival.size == 0


def _arrivals(job: Job, rounds: bool) -> dict[str, Any]:
    """Return what a shape says of racks, traces, rounds, states and messages."""
    blocks = rounds and job.replay == IN_BLOCKS and job.restart_below < 2**32
    replay = job.replay if blocks or job.replay == IN_ORDER else AT_RANDOM  # each realization or round begins a block
    trace = {"traced": job.arrival.size > 0, "replay": replay, "shuffled": job.shuffle}
    past = {"rounds": rounds, "state_bits": state_bits(job.n_states)}
    return {"racked": job.n_racks > 0, **trace, **past, "several": job.messages > 1, "progress": job.progress}


def _grouped(job: Job) -> bool:
    """Return whether packets have tables of their own, of every state."""
    return len(job.threshold) > job.n_states + 1


def _power(n: int, least: int) -> int:
    """Return the least power of two >= n and >= least: rounding up keeps the number of kernels small."""
    return max(least, 1 << (n - 1).bit_length())
