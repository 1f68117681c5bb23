"""A self-test of a backend: known answers, and tallies equal to NumPy's on every decoder and domain."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uepgpu import codes
from uepgpu.backends import Backend, get_backend
from uepgpu.codes import Code
from uepgpu.latency import Exponential, Trace
from uepgpu.partition import Partition
from uepgpu.plan import Plan, make_plan, resolve_decoder, resolve_tally
from uepgpu.workers import Markov, Workers
from uepgpu_kernels.job import RawTrajectories

__all__ = ["Check", "cases", "run_selftest"]

GAMMA = (0.40, 0.35, 0.25)
DEADLINES = tuple(0.05 * i for i in range(22))
REALIZATIONS = 3001
"""No multiple of a tile, a warp or a block."""

BEYOND_32_BITS = 2**32 - 1500
"""Realization numbers from here on cross 2^32."""


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes
    ----------
    name : str
    passed : bool
    seconds : float
        Of the tested backend, compilation included.
    """

    name: str
    passed: bool
    seconds: float


@dataclass(frozen=True, eq=False)
class Case:
    """A problem to run on both backends."""

    name: str
    code: Code
    part: Partition
    workers: Workers
    deadlines: tuple[float, ...] | None
    decoder: str
    tally: str = "auto"
    first: bool = False
    rounds: int | None = None


def cases(backend: str = "numba") -> list[Case]:
    """Return problems that together reach every decoder, both domains, all arrival orders and all kinds of tally.

    A device compiles a kernel for each shape of problem, which takes minutes: there, those that come first.
    """
    return [case for case in _cases() if case.first or backend != "cuda"]


def _cases() -> Iterator[Case]:
    v = (10, 1, 0.1)
    nine = Partition.model("rxc", left_variances=v, right_variances=v, classes=(3, 3, 3))
    summands = Partition.model("cxr", left_variances=np.arange(9, 0, -1), right_variances=np.ones(9), classes=(2, 3, 4))
    many = Partition.model("cxr", left_variances=np.arange(40, 0, -1), right_variances=np.ones(40), classes=(10, 10, 20))
    twenty = Partition.model("cxr", left_variances=np.arange(20, 0, -1), right_variances=np.ones(20), classes=(5, 5, 10))
    thirty = Workers(30, Exponential(1.0), omega=1.0, work="unit")
    ew, now = codes.ExpandingWindow(GAMMA), codes.NonOverlappingWindow(GAMMA)
    nested = codes.ExpandingWindow(GAMMA, encoding="factored", window="nested")
    for deadlines, domain in ((None, "count domain"), (DEADLINES, "22 deadlines")):
        counted = deadlines is None
        for decoder in ("count", "match", "peel", "eliminate"):
            yield Case(f"EW-30, {decoder}, {domain}", ew, nine, thirty, deadlines, decoder, first=decoder in ("count", "match"))
        yield Case(f"EW, eliminate, K = 20, {domain}", ew, twenty, thirty, deadlines, "eliminate", first=counted)
        yield Case(f"NOW-30 marginals, match, {domain}", now, nine, thirty, deadlines, "match", "marginals")
        yield Case(f"factored EW, match, {domain}", nested, nine, thirty, deadlines, "match", first=not counted)
        yield Case(f"LT, peel, {domain}", codes.LT(), nine, thirty, deadlines, "peel", first=not counted)
        yield Case(f"LT, match, K = 40, {domain}", codes.LT(), many, Workers(60, omega=1.0, work="unit"), deadlines, "match")
        yield Case(f"EW, count, K = 40, {domain}", ew, many, Workers(80, omega=1.0, work="unit"), deadlines, "count")
        yield Case(
            f"GF(2) NOW, eliminate, {domain}",
            codes.NonOverlappingWindow(GAMMA, coefficients="gf2"),
            nine,
            thirty,
            deadlines,
            "eliminate",
            "marginals",
            first=counted,
        )
        yield Case(
            f"GF(256) EW, eliminate, {domain}", codes.ExpandingWindow(GAMMA, coefficients="gf256"), nine, thirty, deadlines, "auto"
        )
        yield Case(
            f"sums of summands, eliminate, {domain}",
            codes.Generator(np.tri(9) + np.eye(9)[::-1]),
            summands,
            Workers(9, work="unit"),
            deadlines,
            "auto",
        )
        fair = Workers(18, omega="fair")
        yield Case(f"2-fold repetition, {domain}", codes.Repetition(2), nine, fair, deadlines, "auto", first=counted)
    speeds = Workers(30, omega=1.0, speeds=[1.0 + w % 3 for w in range(30)], loss_probability=0.1)
    yield Case("EW-30 at three speeds, true work, lossy", ew, nine, speeds, DEADLINES, "count")
    states = Markov([[0.9, 0.1], [0.3, 0.7]], [Exponential(1.0), Exponential(0.1)])
    slow = Workers(30, states=states, omega=1.0, work="unit")
    yield Case("EW-30 of two states, 3 rounds", ew, nine, slow, DEADLINES, "count", first=True, rounds=3)
    recorded = Trace((7 * np.arange(30) + 11 * np.arange(4)[:, None]) % 30 / 20, "blocks", True, 3.0)
    again = Workers(30, recorded, omega=1.0, work="unit")
    yield Case("EW-30 of a trace in blocks, 3 rounds", ew, nine, again, DEADLINES, "count", rounds=3)


def run_selftest(backend: str) -> Iterator[Check]:
    """Compare a backend with NumPy, case by case; a check passes iff every integer is equal.

    Raises
    ------
    BackendUnavailable
        If it cannot run here.
    """
    tested, reference = get_backend(backend), get_backend("numpy")
    for case in cases(tested.name):
        for first in (0, BEYOND_32_BITS):
            plan = make_plan(case.code, case.part, case.workers, seed=7, deadlines=case.deadlines, rounds=case.rounds is not None)
            decoder = resolve_decoder(plan, case.decoder)
            kind = resolve_tally(plan, decoder, case.tally)
            began = time.perf_counter()
            ours = _tallied(tested, plan, decoder, kind, first, case.rounds)
            seconds = time.perf_counter() - began
            theirs = _tallied(reference, plan, decoder, kind, first, case.rounds)
            equal = all(
                (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))
                for a, b in zip(
                    itertools.chain(*ours.rounds, [ours.squares]), itertools.chain(*theirs.rounds, [theirs.squares]), strict=True
                )
            )
            yield Check(case.name + (", realizations beyond 2^32" if first else ""), equal, seconds)


def _tallied(backend: Backend, plan: Plan, decoder: str, kind: str, first: int, rounds: int | None) -> RawTrajectories:
    """Return the tally of every round; of realizations without rounds, one."""
    if rounds is None:
        return RawTrajectories([backend.sampler(plan, decoder, kind, None).run(first, REALIZATIONS)], None)
    return backend.round_sampler(plan, decoder, kind, None).run_rounds(first, REALIZATIONS, rounds)
