"""Cells of workers that send several messages: what each message is, and when the messages of a worker arrive."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import require_memory
from uepgpu.codes.supports import SupportLaw
from uepgpu.latency import Exponential, Staged, Trace
from uepgpu.plan.cells import Cells, pack
from uepgpu.plan.recorded import arrival_times
from uepgpu.workers import Workers
from uepgpu_kernels.job import ERLANG, LINEAR

__all__ = ["Messages", "message_cells"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_STEPS = 2**15 - 1
"""Tables keep twice the work of a message, and whether it is lost, in 16 bits."""


@dataclass(frozen=True, eq=False)
class Messages:
    """The messages of a plan.

    Attributes
    ----------
    cells : Cells
        Tables of packets, then those of arrivals.
    progress : int
        LINEAR or ERLANG.
    most_work : int
        What the messages of a worker may add up to, in units of the work that divides them all.
    due, struck : (W,) int64
        First table of each worker's arrivals, and where its rack is struck; (0,) with a trace, and without racks.
    arrival : (V, R, W) uint16
        When work is done in the rounds of a trace; (0, 0, 0) without one.
    """

    cells: Cells
    progress: int
    most_work: int
    due: Ints
    struck: Ints
    arrival: NDArray[np.uint16]


def message_cells(law: SupportLaw, rank: Ints, workers: Workers, times: Floats) -> Messages:
    """Return the cells of workers that send several messages.

    Raises
    ------
    ValueError
        If packets differ in work and nothing says when the next of a worker is done; or tables do not fit in memory.
    """
    charged = workers.charge(law.occurring_work).astype(np.int64)
    unit = int(np.gcd.reduce(charged))
    steps = np.where(np.isin(law.work, law.occurring_work), workers.charge(law.work).astype(np.int64) // unit, 1)
    most = workers.messages * int(steps.max())
    if most > workers.messages:
        _check_unequal(law, workers, int(steps.max()))
    cumulative, windows, codes, group = _of_packets(law, rank, workers, steps)
    none = np.zeros(0, dtype=np.int64)
    if isinstance(workers.latency, Trace):

        def limit(v: int) -> Floats:
            return workers.unit_time(times[:, None] / (v + 1), law.n_subproducts, unit, workers.speed())

        arrival = arrival_times(workers.latency, most, limit)
        return Messages(pack(cumulative, windows, codes, group), LINEAR, most, none, none, arrival)
    erlang = workers.progress == "erlang"
    kinds, number = workers.kinds()
    racked = workers.racks is not None and workers.racks.probability > 0
    each, size = (times.size, workers.messages) if erlang else (most, times.size)
    count = len(kinds) * each * (2 if racked else 1)
    require_memory(f"times of {workers.messages} messages: {count:,} tables of {size:,} thresholds", 16 * count * max(size, 256))
    first = len(cumulative)
    for struck in (False, True) if racked else (False,):
        for speed, law_number in kinds:
            if erlang:
                rows = _increments(workers, times, law.n_subproducts, unit, speed, law_number, struck=struck)
            else:
                rows = _done(workers, times, law.n_subproducts, unit, most, speed, law_number, struck=struck)
            cumulative += [np.append(row, 1.0) for row in rows]
            windows += [np.zeros(size + 1, dtype=np.int64)] * each
            codes += [np.arange(size + 1)] * each
    due = first + number * each
    struck_due = due + len(kinds) * each if racked else none
    progress = ERLANG if erlang else LINEAR
    return Messages(pack(cumulative, windows, codes, group), progress, most, due, struck_due, np.zeros((0, 0, 0), dtype=np.uint16))


def _check_unequal(law: SupportLaw, workers: Workers, most: int) -> None:
    several = f"messages={workers.messages} per worker of unequal true work (r = {sorted(set(law.occurring_work.tolist()))})"
    if workers.progress == "erlang":
        raise ValueError(f"{several} need progress='linear': times of messages of unequal work are not Erlang")
    if any(isinstance(one, Staged) for one in workers.laws):
        raise ValueError(f"{several} need a law that is not Staged: what is sent between them has no time of its own")
    if most > MOST_STEPS:
        raise ValueError(f"{several}: at most {MOST_STEPS:,} times their common divisor is simulated, got {most:,}")


def _of_packets(law: SupportLaw, rank: Ints, workers: Workers, steps: Ints) -> tuple[list[Floats], list[Ints], list[Ints], Ints]:
    """Return cumulative probabilities, windows and codes of cells: windows of packets that arrive, then works of those lost."""
    lost = workers.loss_probability
    packet, every = np.arange(workers.n_packets), np.arange(rank.size)
    laws: list[tuple[Ints, Floats]]
    if law.window is not None:
        used, group = np.unique(law.window, return_inverse=True)
        laws = [(np.array([s]), np.ones(1)) for s in used.tolist()]
    elif law.by_message is not None:
        laws, group = [(every, row) for row in law.by_message], packet % workers.messages
    else:
        assert law.probabilities is not None
        laws, group = [(every, law.probabilities)], np.zeros_like(packet)
    cumulative, windows, codes = [], [], []
    for chosen, weight in laws:
        works, which = np.unique(steps[chosen], return_inverse=True)
        of_work = np.bincount(which, weights=weight)
        share = np.append(weight * (1.0 - lost), of_work * lost)
        total = np.cumsum(share)
        total[int(np.flatnonzero(share)[-1]) :] = 1.0  # every word means a window, whatever the rounding of the sum
        cumulative.append(total)
        windows.append(np.append(rank[chosen], np.zeros(works.size, dtype=np.int64)))
        codes.append(np.append(2 * steps[chosen], 2 * works + 1))
    return cumulative, windows, codes, group.astype(np.int64)


def _done(workers: Workers, times: Floats, k: int, unit: int, most: int, speed: float, law_number: int, *, struck: bool) -> Floats:
    """Return the chance that a worker has done work c by each time, shape (most, D), c = unit, 2 unit, …, most unit."""
    sure = replace(workers, loss_probability=0.0)  # channels lose messages one by one
    by = times / np.arange(1, most + 1)[:, None]
    share = sure.arrival(by, k, unit, speed, law_number, struck=struck)
    # Whatever the rounding of a law, more work is done later, and by a later time more of it is done.
    return np.asarray(np.maximum.accumulate(np.minimum.accumulate(share, axis=0), axis=1))


def _increments(workers: Workers, times: Floats, k: int, unit: int, speed: float, law_number: int, *, struck: bool) -> Floats:
    """Return the chance that at most n = 0..m - 1 messages come between two deadlines, shape (D, m): a Poisson law."""
    from scipy.special import gammaincc

    chosen = workers.laws[law_number] if not struck or workers.racks is None else workers.racks.latency
    if chosen is None:  # dark
        return np.ones((times.size, workers.messages))
    assert isinstance(chosen, Exponential)
    mean = chosen.rate * workers.unit_time(times, k, unit, speed)
    before = np.append(0.0, mean[:-1])
    between = np.where(np.isinf(before), 0.0, mean - np.where(np.isinf(before), 0.0, before))
    return np.asarray(gammaincc(np.arange(1, workers.messages + 1), between[:, None]))
