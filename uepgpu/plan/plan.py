"""From a description to a plan: the only thing that samplers, decoders and backends see."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, instance, word64
from uepgpu.codes import Code
from uepgpu.codes.law import check_code, packets_law
from uepgpu.codes.supports import SupportLaw, residues
from uepgpu.latency import Trace
from uepgpu.partition import Partition
from uepgpu.plan.cells import count_cells, deadline_cells
from uepgpu.plan.chains import Chains, find_chains
from uepgpu.plan.messages import message_cells
from uepgpu.plan.recorded import REPLAYS, arrival_times, trace_cells
from uepgpu.plan.sums import sum_targets
from uepgpu.plan.trajectories import state_cells
from uepgpu.workers import Workers
from uepgpu_kernels.job import BY_INDEX, BY_PERMUTATION, BY_TIME, LINEAR, Job, guide_tables
from uepgpu_kernels.joint import joint_draws
from uepgpu_kernels.streams import LAYOUT

__all__ = ["FOREVER", "MOST_PACKETS", "Domain", "Plan", "count_domain_refusal", "distinct_windows", "make_plan"]

Domain = Literal["count", "deadline"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_PACKETS = 65_000
"""Packets, times and windows are 16-bit numbers in kernels."""

FOREVER = (math.inf,)
"""The deadline of :func:`make_plan` by which everything has arrived that arrives at all."""

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
    def sums(self) -> NDArray[np.bool_]:
        """The sums of sub-products that count as decoded where coefficients are eliminated, shape (T, K)."""
        return self.job.target.astype(np.bool_)

    def counts_sums(self, decoding: str) -> bool:
        """Return whether terms of decoded sums count as decoded, for `decoding` rules."""
        return decoding == BY_COEFFICIENTS and self.job.target.size > 0

    def of_round(self, number: int) -> Plan:
        """Return the plan of another round of trajectories."""
        return replace(self, job=self.job._replace(round=number))

    def digest(self, decoding: str) -> str:
        """Return the SHA-256 of every field that decides a tally, for `decoding` rules."""
        hashed = self._hashed(decoding)
        if self.deadlines is not None:
            hashed.update(self.deadlines.tobytes())
        return hashed.hexdigest()

    def kernel_digest(self, decoding: str) -> str:
        """Return the SHA-256 of what the kernel sees: deadlines enter through their thresholds only."""
        return self._hashed(decoding).hexdigest()

    def _hashed(self, decoding: str) -> hashlib._Hash:
        hashed = hashlib.sha256(f"uepgpu tally 1\0layout {LAYOUT}\0{decoding}\0".encode())
        more = (*(_RACKS if self.job.n_racks else ()), *(_TRACE if self.job.arrival.size else ()))
        more += _MESSAGES if self.job.messages > 1 else ()
        more += ("n_states", "round") if self.job.n_states else ("round",) if self.job.round else ()
        more += ("restart_below",) if self.job.restart_below else ()
        more += ("target",) if self.counts_sums(decoding) else ()
        for name in (*_IDENTITY, *more):
            array = np.ascontiguousarray(getattr(self.job, name))
            hashed.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
            hashed.update(array.reshape(-1).view(np.uint8).data)
        return hashed


_IDENTITY = (
    *("seed", "k", "n_packets", "n_times", "n_classes", "order", "group", "threshold", "n_threshold", "cell_window", "cell_time"),
    *("support", "degree", "class_of", "field", "generator"),
)
"""Fields of the job that decide a tally; the others follow from them. Racks, traces, rounds and several messages do too where there
are any, and sums where there are any and the decoder sees them."""

_RACKS = ("struck", "rack", "rack_below")
_TRACE = ("arrival", "replay", "shuffle")
_MESSAGES = ("messages", "progress", "most_work", "due")

BY_COEFFICIENTS = "eliminate"
"""The rule of decoders that see sums."""


def count_domain_refusal(law: SupportLaw, workers: Workers) -> str | None:
    """Return why contents and arrivals are not independent, so that the count domain does not apply, or None.

    Packets whose contents have one law, whichever worker sends them, may arrive by any joint law: its number decides
    (docs/mathematics.md §4).
    """
    if law.by_message is not None:
        return "messages of a worker have different laws of windows, so that what arrives first depends on which it is"
    if not (workers.alike or law.exchangeable or workers.shuffled):
        how = "differ in speed or law" if workers.independent else "do not answer independently"
        return f"workers {how} and packets are tied to them, so that what arrives first depends on the worker"
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
    rounds: bool = False,
) -> Plan:
    """Resolve a description; with deadlines in the deadline domain, else in the count domain.

    `law` is that of the code for this partition and these workers, if the caller has it already. With `rounds` workers pass
    through states or rounds of a trace: the plan is that of round 0, and :meth:`Plan.of_round` gives the others.

    Raises
    ------
    ValueError
        If the description is inconsistent, or the count domain does not apply.
    """
    check_code(code)
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    word64("seed", seed)
    n = workers.n_packets
    if n > MOST_PACKETS:
        what = "workers" if workers.messages == 1 else "packets of workers"
        raise ValueError(f"{what}: at most {MOST_PACKETS} are simulated, got {n}")
    law = packets_law(code, part, workers) if law is None else law
    times = None if deadlines is None else np.array(FOREVER) if deadlines is FOREVER else deadlines_array(deadlines)
    if times is None and (reason := count_domain_refusal(law, workers)):
        raise ValueError(f"the count domain does not apply: {reason}. Give deadlines to simulate arrival times")
    if times is not None and times.size > MOST_PACKETS:
        raise ValueError(f"deadlines: at most {MOST_PACKETS} are simulated, got {times.size}")
    windows, of_window = distinct_windows(law)
    n_windows = of_window.size if windows is None else len(windows)
    if n_windows > MOST_PACKETS:
        raise ValueError(f"supports: at most {MOST_PACKETS} distinct windows are simulated, got {n_windows}")
    chains = None if law.field != "generic" or windows is None else find_chains(windows, part.classes)
    rank = np.arange(of_window.size) if windows is None else of_window
    if chains is not None:
        assert windows is not None
        windows, rank = windows[chains.order], np.argsort(chains.order)[of_window]
    k = part.n_subproducts
    trace = workers.latency if times is not None and isinstance(workers.latency, Trace) else None
    arrival = np.zeros((0, 0, 0), dtype=np.uint16)
    several = message_cells(law, rank, workers, times) if times is not None and workers.messages > 1 else None
    if several is not None:
        cells, arrival = several.cells, several.arrival
    elif trace is not None:
        assert times is not None
        cells, works = trace_cells(law, rank, workers)
        due = times[:, None]
        arrival = arrival_times(trace, works.size, lambda v: workers.unit_time(due, k, works[v], workers.speed()))
    elif rounds:
        if workers.states is None or times is None:
            raise ValueError("rounds need workers with states, and deadlines")
        cells = state_cells(law, rank, workers, workers.states, times)
    else:
        cells = count_cells(law, rank, n) if times is None else deadline_cells(law, rank, workers, times)
    n_states = len(workers.states.laws) if rounds and workers.states is not None else 0
    threshold, n_threshold, cell_window, cell_time, group = cells
    guide, shift, steps = guide_tables(threshold, n_threshold)
    struck_tables = group + len(threshold) // 2 if several is None else several.struck
    struck, rack, rack_below = _racks(workers, struck_tables) if times is not None else _NO_RACKS
    order = BY_TIME if times is not None else BY_PERMUTATION if law.tied else BY_INDEX
    per_word, alias = joint_draws(threshold[0, : n_threshold[0] if order == BY_INDEX else 0])
    support = np.zeros((0, k), dtype=np.uint8) if windows is None else windows.astype(np.uint8)
    bits = np.uint64(1) << np.arange(min(k, 64), dtype=np.uint64)
    none = np.zeros(0, dtype=np.int64)
    job = Job(
        seed=np.uint64(seed),
        k=k,
        n_packets=n,
        n_times=n + 1 if times is None else int(times.size),
        n_classes=part.n_classes,
        order=order,
        group=group,
        struck=struck,
        rack=rack,
        n_racks=int(rack.max(initial=-1)) + 1,
        rack_below=rack_below,
        arrival=arrival,
        replay=0 if trace is None else REPLAYS[trace.replay],
        restart_below=np.uint64(0 if trace is None or trace.block is None else int(2.0**32 / trace.block)),
        shuffle=trace is not None and trace.shuffle,
        messages=1 if several is None else workers.messages,
        progress=LINEAR if several is None else several.progress,
        most_work=0 if several is None else several.most_work,
        due=none if several is None else several.due,
        n_states=n_states,
        round=0,
        state=np.zeros((0, 0), dtype=np.uint8),
        row=np.zeros(0, dtype=np.uint32),
        state_first=np.uint64(0),
        class_time=np.zeros((0, 0), dtype=np.uint16),
        next_state=(np.arange(threshold.shape[1] if n_states else 0) % max(n_states, 1)).astype(np.uint8),
        threshold=threshold,
        n_threshold=n_threshold,
        guide=guide,
        guide_shift=shift,
        guide_steps=steps,
        per_word=per_word,
        alias=alias,
        cell_window=cell_window,
        cell_time=cell_time,
        mask=(support * bits).sum(axis=1, dtype=np.uint64) if k <= 64 else np.zeros(0, dtype=np.uint64),
        support=support,
        degree=none if law.degrees is None else law.degrees.astype(np.int64),
        class_of=part.classes - 1,
        field=FIELDS[law.field],
        generator=_generator(law),
        target=sum_targets(law, part).astype(np.uint8),
        capacity=none if chains is None else chains.capacity,
        chain_start=np.zeros(0, dtype=np.uint8) if chains is None else chains.start.astype(np.uint8),
        unit_of=none if chains is None else chains.unit_of,
        class_unit=none if chains is None else chains.class_unit,
    )
    return Plan(job, "count" if times is None else "deadline", times, law, chains, chains is not None and chains.class_wise)


def _racks(workers: Workers, struck: Ints) -> tuple[Ints, Ints, np.uint64]:
    """Return the tables where racks are struck, the rack of every worker, and below which word a rack is struck."""
    if workers.racks is None or workers.racks.probability == 0:
        return _NO_RACKS
    rack = np.unique(np.asarray(workers.racks.of), return_inverse=True)[1].astype(np.int64)
    return struck, rack, np.uint64(int(workers.racks.probability * 2.0**32))


_NO_RACKS = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.uint64(0)


def distinct_windows(law: SupportLaw) -> tuple[NDArray[np.bool_] | None, Ints]:
    """Return the distinct supports in order of first occurrence, and which of them each window has."""
    if law.supports is None:
        assert law.degrees is not None
        return None, np.arange(law.degrees.size)
    _, first, inverse = np.unique(law.supports, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.argsort(order)
    return law.supports[first[order]], place[inverse.ravel()]


def _generator(law: SupportLaw) -> NDArray[np.uint64]:
    if law.generator is None:
        return np.zeros((0, law.n_subproducts), dtype=np.uint64)
    return residues(law.generator) if law.field == "real" else law.generator.astype(np.uint64)
