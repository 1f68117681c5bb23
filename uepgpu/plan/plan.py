"""From a description to a plan: the only thing that samplers, decoders and backends see."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, instance, integer, shown
from uepgpu.codes import Code
from uepgpu.codes.supports import PRIME, SupportLaw, is_whole
from uepgpu.partition import Partition
from uepgpu.plan.chains import Chains, find_chains
from uepgpu.workers import Workers
from uepgpu_kernels.job import BY_INDEX, BY_PERMUTATION, BY_TIME, Job, guide_tables

__all__ = ["FOREVER", "MOST_PACKETS", "Domain", "Plan", "count_domain_refusal", "make_plan"]

Domain = Literal["count", "deadline"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_PACKETS = 65_000
"""Packets, times and windows are 16-bit numbers in kernels."""

FOREVER = (math.inf,)
"""What :func:`make_plan` takes for a deadline by which everything has arrived that ever will."""

FIELDS = {"generic": 0, "real": 0, "gf2": 1, "gf256": 2}


@dataclass(frozen=True, eq=False)
class Plan:
    """A problem resolved to arrays.

    Attributes
    ----------
    job : Job
        What kernels see.
    domain : "count" or "deadline"
    deadlines : (D,) float64 or None
    law : SupportLaw
    chains : Chains or None
        The chain structure of the windows, where they have one.
    class_wise : bool
        Whether all sub-products of a class are always decoded together, so that class patterns say everything.
    """

    job: Job
    domain: Domain
    deadlines: Floats | None
    law: SupportLaw
    chains: Chains | None
    class_wise: bool

    @property
    def float_elimination(self) -> bool:
        """Whether coefficients are given real numbers that only float64 can hold."""
        return self.job.generator.dtype == np.float64 and self.job.generator.shape[0] > 0

    def digest(self, decoding: str) -> str:
        """Return the SHA-256 of every field that decides a tally, for `decoding` rules."""
        hashed = self._hashed(decoding)
        if self.deadlines is not None:
            hashed.update(self.deadlines.tobytes())
        return hashed.hexdigest()

    def kernel_digest(self, decoding: str) -> str:
        """Return the SHA-256 of what the kernel sees: deadlines count through their thresholds alone."""
        return self._hashed(decoding).hexdigest()

    def _hashed(self, decoding: str) -> hashlib._Hash:
        hashed = hashlib.sha256(f"uepgpu tally 1\0{decoding}\0".encode())
        for name in _IDENTITY:
            array = np.ascontiguousarray(getattr(self.job, name))
            hashed.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode() + array.tobytes())
        return hashed


_IDENTITY = (
    *("seed", "k", "n_packets", "n_times", "n_classes", "order", "group", "threshold", "n_threshold", "cell_window", "cell_time"),
    *("support", "degree", "class_of", "field", "generator"),
)
"""Fields of the job that decide a tally; the others follow from them."""


def count_domain_refusal(code: Code, part: Partition, workers: Workers) -> str | None:
    """Return why the count domain does not apply, or None where it does (docs/mathematics.md §4)."""
    return refusal(code.law(part, workers.count), workers)


def refusal(law: SupportLaw, workers: Workers) -> str | None:
    """Return why packets are not exchangeable, or None."""
    if not workers.identical:
        return "workers differ in speed, so that arrival order depends on the worker"
    if workers.work == "true" and not law.equal_work:
        return f"packets differ in true work (r = {sorted(set(law.work.tolist()))}), so that arrival order depends on the window"
    return None


def make_plan(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    seed: int,
    deadlines: ArrayLike | None = None,
    law: SupportLaw | None = None,
) -> Plan:
    """Resolve a description; with deadlines in the deadline domain, else in the count domain.

    `law` is what ``code.law`` returns, where the caller has asked for it.

    Raises
    ------
    ValueError
        If the description is inconsistent, or the count domain does not apply.
    """
    if isinstance(code, type) or not isinstance(code, Code):
        raise ValueError(f"code must be one from uepgpu.codes or have a method law, got {shown(code)}")
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    if not 0 <= integer("seed", seed, 0) < 2**64:
        raise ValueError(f"seed must be an integer in 0..2^64-1, got {seed!r}")
    n = workers.count
    if n > MOST_PACKETS:
        raise ValueError(f"workers: at most {MOST_PACKETS} are simulated, got {n}")
    law = code.law(part, n) if law is None else law
    times = None if deadlines is None else np.array(FOREVER) if deadlines is FOREVER else deadlines_array(deadlines)
    if times is None and (reason := refusal(law, workers)):
        raise ValueError(f"the count domain does not apply: {reason}. Give deadlines to simulate arrival times")
    if times is not None and times.size > MOST_PACKETS:
        raise ValueError(f"deadlines: at most {MOST_PACKETS} are simulated, got {times.size}")
    windows, of_window = _distinct_windows(law)
    n_windows = of_window.size if windows is None else len(windows)
    if n_windows > MOST_PACKETS:
        raise ValueError(f"supports: at most {MOST_PACKETS} distinct windows are simulated, got {n_windows}")
    chains = None if law.field != "generic" or windows is None else find_chains(windows, part.classes)
    rank = np.arange(of_window.size) if windows is None else of_window
    if chains is not None:
        assert windows is not None
        windows, rank = windows[chains.order], np.argsort(chains.order)[of_window]
    cells = _count_cells(law, rank, n) if times is None else _deadline_cells(law, rank, workers, times)
    threshold, n_threshold, cell_window, cell_time, group = cells
    guide, shift, steps = guide_tables(threshold, n_threshold)
    k = part.n_subproducts
    support = np.zeros((0, k), dtype=np.uint8) if windows is None else windows.astype(np.uint8)
    bits = np.uint64(1) << np.arange(min(k, 64), dtype=np.uint64)
    none = np.zeros(0, dtype=np.int64)
    job = Job(
        seed=np.uint64(seed),
        k=k,
        n_packets=n,
        n_times=n + 1 if times is None else int(times.size),
        n_classes=part.n_classes,
        order=BY_TIME if times is not None else BY_PERMUTATION if law.tied else BY_INDEX,
        group=group,
        threshold=threshold,
        n_threshold=n_threshold,
        guide=guide,
        guide_shift=shift,
        guide_steps=steps,
        cell_window=cell_window,
        cell_time=cell_time,
        mask=(support * bits).sum(axis=1, dtype=np.uint64) if k <= 64 else np.zeros(0, dtype=np.uint64),
        support=support,
        degree=none if law.degrees is None else law.degrees.astype(np.int64),
        class_of=part.classes - 1,
        field=FIELDS[law.field],
        generator=_generator(law),
        capacity=none if chains is None else chains.capacity,
        chain_start=np.zeros(0, dtype=np.uint8) if chains is None else chains.start.astype(np.uint8),
        unit_of=none if chains is None else chains.unit_of,
        class_unit=none if chains is None else chains.class_unit,
    )
    return Plan(job, "count" if times is None else "deadline", times, law, chains, chains is not None and chains.class_wise)


def _distinct_windows(law: SupportLaw) -> tuple[NDArray[np.bool_] | None, Ints]:
    """Return the distinct supports in order of first occurrence, and which of them each window has."""
    if law.supports is None:
        assert law.degrees is not None
        return None, np.arange(law.degrees.size)
    _, first, inverse = np.unique(law.supports, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.argsort(order)
    return law.supports[first[order]], place[inverse.ravel()]


_Cells = tuple[NDArray[np.uint32], Ints, NDArray[np.uint16], NDArray[np.uint16], Ints]


def _count_cells(law: SupportLaw, rank: Ints, n: int) -> _Cells:
    """Cells are windows."""
    if law.window is None:
        assert law.probabilities is not None
        total = np.cumsum(law.probabilities)
        # The last window that can be drawn closes at 1, whatever rounding the sum has; those behind it have probability 0.
        total[int(np.flatnonzero(law.probabilities)[-1]) :] = 1.0
        cumulative = [total]
        return _pack(cumulative, [rank], [np.zeros(rank.size, dtype=np.int64)], np.zeros(n, dtype=np.int64))
    used, group = np.unique(law.window, return_inverse=True)
    one = np.ones(1)
    at_once = [np.zeros(1, dtype=np.int64)] * used.size
    return _pack([one] * used.size, [rank[s : s + 1] for s in used], at_once, group.astype(np.int64))


def _deadline_cells(law: SupportLaw, rank: Ints, workers: Workers, times: Floats) -> _Cells:
    """Cells are (time, window) in order of time; the last one, never, stands for all that arrive after the last deadline."""
    speeds, speed_of = np.unique(workers.speed(), return_inverse=True)
    window = np.full(workers.count, -1) if law.window is None else law.window
    kinds, group = np.unique(np.stack([window, speed_of.ravel()]), axis=1, return_inverse=True)
    cumulative, windows, arrivals = [], [], []
    for s, v in kinds.T:
        chosen = np.arange(rank.size) if s < 0 else np.array([s])
        assert s >= 0 or law.probabilities is not None
        weight = np.ones(1) if law.probabilities is None else law.probabilities
        share = workers.arrival(times[:, None], law.n_subproducts, law.work[chosen], speeds[v])  # (D, windows)
        arrived = weight * share
        before = np.vstack([np.zeros(chosen.size), arrived[:-1]])
        # Up to window s at time d: windows <= s have F(t_d), later ones F(t_(d-1)). No sum of differences, so no drift.
        total = np.cumsum(arrived, axis=1) + (before.sum(axis=1, keepdims=True) - np.cumsum(before, axis=1))
        # Where everything has arrived, nothing is left for "never", whatever rounding the sum has.
        total[np.all((share == 1) | (weight == 0), axis=1), int(np.flatnonzero(weight)[-1]) :] = 1.0
        cumulative.append(np.append(np.maximum.accumulate(total.ravel()), 1.0))
        windows.append(np.append(np.tile(rank[chosen], times.size), 0))
        arrivals.append(np.append(np.repeat(np.arange(times.size), chosen.size), times.size))
    return _pack(cumulative, windows, arrivals, group.ravel().astype(np.int64))


def _pack(cumulative: list[Floats], windows: list[Ints], arrivals: list[Ints], group: Ints) -> _Cells:
    """Turn cumulative probabilities into 32-bit thresholds, floor(p 2^32); cells beyond 2^32 cannot be reached."""
    edges = [np.floor(np.minimum(c[:-1], 1.0) * 2.0**32) for c in cumulative]
    n_threshold = np.array([int(np.count_nonzero(e < 2.0**32)) for e in edges], dtype=np.int64)
    width = int(n_threshold.max())
    threshold = np.full((len(edges), width + 1), 2**32 - 1, dtype=np.uint32)
    cell_window = np.zeros((len(edges), width + 1), dtype=np.uint16)
    cell_time = np.zeros((len(edges), width + 1), dtype=np.uint16)
    for g, (edge, count) in enumerate(zip(edges, n_threshold, strict=True)):
        threshold[g, :count] = edge[:count]
        cell_window[g, : count + 1] = windows[g][: count + 1]
        cell_time[g, : count + 1] = arrivals[g][: count + 1]
    return threshold, n_threshold, cell_window, cell_time, group


def _generator(law: SupportLaw) -> NDArray[np.float64] | NDArray[np.uint64]:
    if law.generator is None:
        return np.zeros((0, law.n_subproducts), dtype=np.uint64)
    if is_whole(law.generator):
        # Python's integers: float64 may hold whole numbers far beyond int64.
        return np.array([[int(x) % PRIME for x in row] for row in law.generator.tolist()], dtype=np.uint64)
    # What is decodable does not depend on the scale of a row; tolerances do. A power of two rounds nothing.
    _, exponent = np.frexp(np.abs(law.generator).max(axis=1, keepdims=True))
    scaled: Floats = np.ldexp(law.generator, -exponent)
    return scaled
