"""Monte Carlo: realizations in batches, tallied as integers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.backends import Backend, Devices, get_backend, parse_devices
from uepgpu.checks import instance, integer, realization_range, require_memory, shown, thread_count
from uepgpu.codes import Code
from uepgpu.codes.cost import warn_of_default
from uepgpu.partition import Partition
from uepgpu.plan import (
    Plan,
    check_rounds,
    decoding_rule,
    make_plan,
    possible_counts,
    problem_of_round,
    resolve_decoder,
    resolve_tally,
)
from uepgpu.tally import Tally, Trajectories
from uepgpu.workers import Workers
from uepgpu_kernels.job import RawTrajectories

if TYPE_CHECKING:
    from uepgpu_kernels.job import RawTally

__all__ = ["decode_times", "simulate"]

FIRST_BATCH = 1 << 14
TARGET_SECONDS = 0.2
"""Batches are grown until they take about this long, so that progress and Ctrl-C stay responsive."""


@overload
def simulate(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike | None = None,
    realizations: int,
    seed: int,
    backend: str = "auto",
    decoder: str = "auto",
    tally: str = "auto",
    first_realization: int = 0,
    batch: int | None = None,
    threads: int | None = None,
    devices: Devices = None,
    progress: Callable[[int], None] | None = None,
    rounds: None = None,
) -> Tally: ...


@overload
def simulate(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike,
    realizations: int,
    seed: int,
    backend: str = "auto",
    decoder: str = "auto",
    tally: str = "auto",
    first_realization: int = 0,
    batch: int | None = None,
    threads: int | None = None,
    devices: Devices = None,
    progress: Callable[[int], None] | None = None,
    rounds: int,
) -> Trajectories: ...


def simulate(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike | None = None,
    realizations: int,
    seed: int,
    backend: str = "auto",
    decoder: str = "auto",
    tally: str = "auto",
    first_realization: int = 0,
    batch: int | None = None,
    threads: int | None = None,
    devices: Devices = None,
    progress: Callable[[int], None] | None = None,
    rounds: int | None = None,
) -> Tally | Trajectories:
    """Simulate stragglers and tally what is undecoded.

    Realization i is a pure function of (seed, i): the tally depends neither on the batch, the threads and the backend nor
    on how ranges of realizations are split and merged.

    Parameters
    ----------
    code : Code
        From :mod:`uepgpu.codes`, or your own.
    part : Partition
        Its classes and K matter here; its matrices only in :meth:`Tally.loss`.
    workers : Workers
    deadlines : array_like of float, optional
        Non-decreasing times >= 0: the deadline domain. Without them the count domain: decoding is recorded against
        the number of packets received, and any latency law and deadlines may be asked for afterwards.
    realizations : int
        How many, >= 1.
    seed : int
        0..2^64-1. Equal seeds share random numbers, whatever else differs.
    backend : "auto", "numba", "numpy" or "cuda"
        ``"auto"`` takes CUDA where a device answers and there are a million realizations or `devices` is given, else Numba.
        ``tally.backend`` says which ran.
    decoder : "auto", "count", "match", "eliminate" or "peel"
        ``"auto"`` is the cheapest exact one. Elimination of given real coefficients in cxr decodes sums of sub-products too,
        whose terms then count as decoded (docs/mathematics.md §3).
    tally : "auto", "pairs" or "marginals"
        For codes that do not decode class by class: pairs of undecoded sub-products (any loss), or single ones
        (rxc losses only; less memory).
    first_realization : int
        Number of the first realization; the range must stay below 2^64.
    batch : int, optional
        Realizations per call of the kernel. Default: grown to about 0.2 s.
    threads : int, optional
        Default: all cores.
    devices : "all", int or sequence of int, optional
        Which CUDA devices share the range. Default: the first. Other backends have none.
    progress : callable, optional
        Called with the number of realizations finished since the last call.
    rounds : int, optional
        With :class:`uepgpu.Markov` states or a trace: a realization is a trajectory of so many rounds, 1..100,000, each by all
        deadlines. Not on CUDA, which ``"auto"`` passes over.

    Returns
    -------
    Tally, or Trajectories with `rounds`

    Raises
    ------
    ValueError
        Bad arguments, named; or packets that are not exchangeable and no deadlines.
    BackendUnavailable
        A named backend cannot run.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25))
    >>> tally = uep.simulate(code, part, uep.Workers(30, omega=1.0, work="unit"), realizations=1000, seed=7)
    >>> tally.realizations, tally.counts.shape
    (1000, (32, 31, 8))
    """
    first, n = realization_range(first_realization, realizations)
    size = None if batch is None else integer("batch", batch, 1)
    if threads is not None:
        thread_count(threads)
    if devices is not None:
        if backend not in ("auto", "cuda"):
            raise ValueError(f"devices={shown(devices)} needs backend='cuda' or 'auto', got backend={shown(backend)}")
        parse_devices(devices)
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be callable, got {shown(progress)}")
    if rounds is not None:
        instance("workers", workers, Workers)
        check_rounds(rounds, workers)
        if deadlines is None:
            raise ValueError(f"rounds={shown(rounds)} needs deadlines: rounds depend on each other through arrivals")
    plan = make_plan(code, part, workers, seed=seed, deadlines=deadlines, rounds=rounds is not None)
    if deadlines is not None:
        warn_of_default(code, plan.law, workers)
    rule = resolve_decoder(plan, decoder)
    size_decides = n if devices is None else None
    chosen: Backend = get_backend(
        backend, part.n_subproducts, decoder=rule, without=() if rounds is None else ("cuda",), realizations=size_decides
    )
    kind = resolve_tally(plan, rule, tally)
    if rounds is not None:
        job = plan.job
        each = 32 * job.n_times * {"patterns": 1 << job.n_classes, "pairs": job.k * (job.k + 1) // 2, "marginals": job.k}[kind]
        require_memory(f"{rounds:,} rounds of {job.n_times:,} deadlines", 3 * 8 * rounds * each)
    run = _runner(chosen, plan, rule, kind, threads, devices, rounds)
    began = time.perf_counter()
    raw: RawTrajectories | None = None
    done = 0
    step = size or FIRST_BATCH
    while done < n:
        count = min(step, n - done)
        started = time.perf_counter()
        more = run(first + done, count)
        took = time.perf_counter() - started
        if raw is None:
            raw = more
        else:
            for held, new in zip(_arrays(raw), _arrays(more), strict=True):
                if held is not None and new is not None:
                    np.add(held, new, out=held)
        done += count
        if progress is not None:
            progress(count)
        if size is None:
            step = int(np.clip(step * TARGET_SECONDS / max(took, 1e-9), step // 4 + 1, step * 4))
    assert raw is not None
    took = time.perf_counter() - began
    problem = plan.digest(decoding_rule(rule))
    found = []
    for r, counted in enumerate(raw.rounds):
        seconds = took / len(raw.rounds)
        of_round = _tally(
            repr(code), part, plan, rule, chosen.name, kind, counted, (first, first + n), seconds, problem_of_round(problem, r)
        )
        found.append(of_round.measured_in(workers.time_unit))
    return found[0] if rounds is None else Trajectories(tuple(found), raw.squares)


def _runner(
    chosen: Backend, plan: Plan, rule: str, kind: str, threads: int | None, devices: Devices, rounds: int | None
) -> Callable[[int, int], RawTrajectories]:
    """Return what tallies every round of a range, or the only one."""
    if rounds is None:
        sampler = chosen.sampler(plan, rule, kind, threads, devices)
        return lambda first, count: RawTrajectories([sampler.run(first, count)], None)
    trajectories = chosen.round_sampler(plan, rule, kind, threads)
    return lambda first, count: trajectories.run_rounds(first, count, rounds)


def _arrays(raw: RawTrajectories) -> Iterator[NDArray[np.int64] | None]:
    """Yield all counters."""
    return itertools.chain(*raw.rounds, [raw.squares])


def _tally(
    code: str,
    part: Partition,
    plan: Plan,
    rule: str,
    backend: str,
    kind: str,
    raw: RawTally,
    span: tuple[int, int],
    seconds: float,
    problem: str,
) -> Tally:
    law = plan.law
    return Tally(
        problem=problem,
        code=code,
        decoder=rule,
        backend=backend,
        domain=plan.domain,
        seed=int(plan.job.seed),
        deadlines=plan.deadlines,
        n_packets=plan.job.n_packets,
        tied=not law.exchangeable,
        packet_work=law.packet_work,
        paradigm=part.paradigm,
        classes=plan.job.class_of + 1,
        class_wise=kind == "patterns",
        patterns=raw.patterns,
        pairs=raw.pairs,
        marginals=raw.marginals,
        ranges=(span,),
        seconds=seconds,
        possible=possible_counts(law, part.classes, plan.job.n_packets, kind, rule),
        sums=plan.counts_sums(decoding_rule(rule)),
    )


def decode_times(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike | None = None,
    realizations: int,
    seed: int,
    backend: str = "auto",
    decoder: str = "auto",
    first_realization: int = 0,
    round: int | None = None,
) -> NDArray[np.int64]:
    """Return when each sub-product of each realization is decoded: the realizations that :func:`simulate` tallies.

    With `round`, in that round of trajectories, from 0; on NumPy, which alone begins in the middle of one.

    Returns
    -------
    (realizations, K) int64
        Deadline domain: index of the first deadline by which X_k is decoded, D if none. Count domain: number of packets
        received by then, W + 1 if it never is. A term of a decoded sum counts as decoded.
    """
    if round is not None:
        check_rounds(integer("round", round, 0) + 1, workers)
        if backend not in ("auto", "numpy"):
            raise ValueError(f"round={round} needs backend='numpy', got backend={shown(backend)}")
        backend = "numpy"
    plan = make_plan(code, part, workers, seed=seed, deadlines=deadlines, rounds=round is not None).of_round(round or 0)
    rule = resolve_decoder(plan, decoder)
    span = realization_range(first_realization, realizations)
    chosen = get_backend(backend, part.n_subproducts, decoder=rule, realizations=span[1])
    return chosen.sampler(plan, rule, "patterns", 1).decode_times(*span)
