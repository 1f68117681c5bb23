"""Integrals over all times of functions that fall to zero, with what they may be wrong by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uepgpu.latency import Deterministic, Empirical
from uepgpu.latency.quadrature import GAUSS, KRONROD, NODES
from uepgpu.latency.trace import Recorded
from uepgpu.workers import Workers

__all__ = ["Integral", "integral", "least_time", "steps"]

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]

LATEST = 2.0**120
"""What has not fallen to zero by then, in the unit of time, has an infinite integral."""
NEGLIGIBLE = 1e-10
"""Share of an integral that the end of its tail, or what the two rules differ by on one panel, may make up."""
TAIL = 6
"""Octaves by which a tail is followed at once."""
AT_ONCE = 4096
MOST_PANELS = 2048
"""Beyond them what the rules differ by is left, and stated."""
ROUNDS = 40
BISECTIONS = 70
MOST_STEPS = 50_000


@dataclass(frozen=True, eq=False)
class Integral:
    """Integrals of functions f and of 2 t f, over times from 0, shapes (functions,), and what they may be wrong by."""

    first: Floats
    second: Floats
    first_error: Floats
    second_error: Floats


def integral(function: Function, early: float, late: float, edges: Floats) -> Integral:
    """Return the integrals of functions of time.

    Parameters
    ----------
    function : callable
        Times (points,) to values (points, functions); constant, but for rounding, before `early`.
    early, late : float
        > 0; between them the functions change, from `late` on they fall.
    edges : (steps,) float64
        Times at which they may jump.
    """
    at_zero = function(np.array([0.0]))[0]
    first, second = early * at_zero, early**2 * at_zero
    errors = np.zeros_like(first), np.zeros_like(first)
    left, octaves = early, max(int(np.ceil(np.log2(late / early))), 0) + TAIL
    while True:
        ends = np.ldexp(left, np.arange(octaves + 1))
        inside = edges[(edges > left) & (edges < ends[-1])]
        more = _panels(function, np.unique(np.concatenate([ends, inside])), np.abs(first))
        first, second, errors = first + more[0], second + more[1], (errors[0] + more[2], errors[1] + more[3])
        last = _panels(function, ends[-2:], np.abs(first))
        left, octaves = float(ends[-1]), TAIL
        # A tail that falls from octave to octave adds less than a few of its last one.
        if np.abs(last[1]).max() <= NEGLIGIBLE * np.abs(second).max():
            return Integral(first, second, errors[0] + np.abs(last[0]), errors[1] + np.abs(last[1]))
        if left > LATEST:
            # The first may be finite where the second is not.
            finite = np.abs(last[0]).max() <= NEGLIGIBLE * np.abs(first).max()
            unknown = np.full_like(first, np.inf)
            return Integral(first if finite else unknown, unknown, errors[0] if finite else unknown, unknown)


def _panels(function: Function, edges: Floats, so_far: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Integrate between neighbouring edges, halving panels while their two rules differ."""
    left, right = edges[:-1], edges[1:]
    parts: list[tuple[Floats, Floats, Floats, Floats]] = []
    scale = so_far
    for attempt in range(ROUNDS):
        last = attempt == ROUNDS - 1 or (attempt > 0 and left.size > MOST_PANELS)
        split_left, split_right = [], []
        for i in range(0, left.size, AT_ONCE // NODES.size):
            a, b = left[i : i + AT_ONCE // NODES.size], right[i : i + AT_ONCE // NODES.size]
            half = (b - a) / 2
            times = (a + half)[:, None] + half[:, None] * NODES
            values = function(times.ravel()).reshape(*times.shape, -1)
            twice = 2 * times[:, :, None] * values
            whole, rough = (np.einsum("p,pnv,n->pv", half, values, rule) for rule in (KRONROD, GAUSS))
            whole2, rough2 = (np.einsum("p,pnv,n->pv", half, twice, rule) for rule in (KRONROD, GAUSS))
            wrong, wrong2 = np.abs(whole - rough), np.abs(whole2 - rough2)
            scale = np.maximum(scale, np.abs(whole).max(axis=0))
            done = np.all(wrong <= NEGLIGIBLE * scale, axis=1) | last
            parts.append(tuple(x[done].sum(axis=0) for x in (whole, whole2, wrong, wrong2)))
            middle = (a + half)[~done]
            split_left += [a[~done], middle]
            split_right += [middle, b[~done]]
        left, right = np.concatenate(split_left), np.concatenate(split_right)
        if not left.size:
            break
    first, second, first_error, second_error = (np.sum(column, axis=0) for column in zip(*parts, strict=True))
    return first, second, first_error, second_error


def least_time(reached: Callable[[Floats], NDArray[np.bool_]], n: int) -> Floats:
    """Return the least times at which conditions are met, once and for all, shape (n,); infinity where they never are.

    Parameters
    ----------
    reached : callable
        Times (n,), one for each condition, to whether it is met then.
    """
    low, high = np.full(n, 1 / LATEST), np.full(n, LATEST)
    never, at_once = ~reached(high), reached(np.zeros(n))
    for _ in range(BISECTIONS):
        # In logarithms first, which halves the 400 octaves, then between two times of one octave.
        middle = np.where(high > 2 * low, np.sqrt(low) * np.sqrt(high), low + (high - low) / 2)
        met = reached(middle)
        low, high = np.where(met, low, middle), np.where(met, middle, high)
    return np.where(never, np.inf, np.where(at_once, 0.0, high))


def steps(workers: Workers, n_subproducts: int, works: list[int]) -> Floats:
    """Return the times at which laws with steps let packets arrive, ascending, at most 50,000: none if there are more."""
    found = [np.zeros(0)]
    if workers.backup is None:
        for speed, number in workers.kinds()[0]:
            law = workers.laws[number]
            times = (
                np.array([law.time])
                if isinstance(law, Deterministic)
                else np.asarray(law.samples)
                if isinstance(law, Empirical)
                else law.times
                if isinstance(law, Recorded)
                else np.zeros(0)
            )
            found += [np.unique(times) / workers.unit_time(1.0, n_subproducts, work, speed) for work in works]
            if sum(map(len, found)) > MOST_STEPS:
                return np.zeros(0)
    # A message that is the j-th of its worker comes at j times the times of the first.
    every = np.outer(np.arange(1, workers.messages + 1), np.concatenate(found)).ravel()
    return np.unique(every) if every.size <= MOST_STEPS else np.zeros(0)
