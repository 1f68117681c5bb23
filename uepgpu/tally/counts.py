"""Counts: integers over disjoint ranges of realization numbers, and the problem that they belong to. They add."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, deadlines_array, integer, positive, shown, word64
from uepgpu.workers.laws import checked_time_unit
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["ARRAYS", "Counts", "Ranges"]

Ints = NDArray[np.int64]
Ranges = tuple[tuple[int, int], ...]

COMPARED = ("patterns", "pairs", "marginals", "deadlines", "classes")
ARRAYS = (*COMPARED, "possible")
"""Names of the fields that are arrays, or None: those that tell counts of one problem apart, and what follows from the problem."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of what was undecoded in the realizations of some ranges; checked on creation. Arrays are read-only.

    The time axis has T entries: the deadlines, or the numbers of packets received 0..W. Counters are kept apart in 32
    sub-batches by realization number mod 32.

    Attributes
    ----------
    problem : str
        SHA-256 of every field that decides the numbers. Tallies of one problem add.
    code, decoder, backend, domain, seed
        What was simulated, how and where (``"numba"``; several names after merging).
    deadlines : (T,) float64 or None
        None in the count domain.
    n_packets : int
        W.
    tied : bool
        Whether packets belong to workers, so that a count-domain tally serves no other W.
    packet_work : int or None
        The true work of every packet, where it is one number.
    paradigm : "rxc" or "cxr"
        Of the partition that was simulated: with the encoding it decides what packets cost.
    classes : (K,) int64
        Class of each sub-product, counted from 1.
    class_wise : bool
        Whether the code decodes class by class; then `patterns` says everything.
    patterns : (32, T, 2^L) int64
        Realizations by the set of decoded classes, class l at bit l - 1.
    pairs : (32, T, K(K+1)/2) int64 or None
        Realizations in which X_k and X_k' were both undecoded, k' <= k, row by row.
    marginals : (32, T, K) int64 or None
        Realizations in which X_k was undecoded.
    ranges : tuple of (start, stop)
        The realization numbers that are in, disjoint and ascending.
    seconds : float
        Time spent simulating.
    possible : (counters, 2) int64 or None
        Numbers of received packets between which chance decides what is counted, as
        :func:`uepgpu.plan.possible.possible_counts` returns them; None where that is not known.
    sums : bool
        Whether terms of decoded sums count as decoded, so that the tally serves cxr alone (docs/mathematics.md §3).
    time_unit : str or None
        What `deadlines` are measured in: a label, no part of the problem.

    Raises
    ------
    ValueError
        If the fields contradict each other.
    """

    problem: str
    code: str
    decoder: str
    backend: str
    domain: str
    seed: int
    deadlines: NDArray[np.float64] | None
    n_packets: int
    tied: bool
    packet_work: int | None
    paradigm: str
    classes: Ints
    class_wise: bool
    patterns: Ints
    pairs: Ints | None
    marginals: Ints | None
    ranges: Ranges
    seconds: float
    possible: Ints | None = None
    sums: bool = False
    time_unit: str | None = None

    def __post_init__(self) -> None:
        if self.domain not in ("count", "deadline") or (self.domain == "deadline") != (self.deadlines is not None):
            given = "missing" if self.deadlines is None else "there"
            raise ValueError(f"domain must be 'count', or 'deadline' with deadlines: it is {self.domain!r}, those are {given}")
        self._check_facts()
        if not np.array_equal(np.unique(self.classes), np.arange(1, self.n_classes + 1)):
            raise ValueError(f"classes must be 1..L without gaps, not {np.unique(self.classes).tolist()}")
        bounds = [bound for span in self.ranges for bound in span]
        if not bounds or bounds[0] < 0 or bounds[-1] > 2**64 or any(b <= a for a, b in self.ranges) or sorted(bounds) != bounds:
            raise ValueError(f"ranges must be ascending and disjoint within 0..2^64, not {self.ranges}")
        self._check_counters()
        for name in ARRAYS:
            if getattr(self, name) is not None:
                view = getattr(self, name).view()
                view.setflags(write=False)
                object.__setattr__(self, name, view)

    def _check_facts(self) -> None:
        """Check what is no array: a file may say anything."""
        if not isinstance(self.problem, str) or not re.fullmatch("[0-9a-f]{64}", self.problem):
            raise ValueError(f"problem must be a SHA-256 in 64 hexadecimal digits, got {shown(self.problem)}")
        for name in ("code", "decoder", "backend"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a text, got {shown(getattr(self, name))}")
        checked_time_unit(self.time_unit)
        for name in ("tied", "class_wise", "sums"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {shown(getattr(self, name))}")
        choice("paradigm", self.paradigm, ("rxc", "cxr"))
        word64("seed", self.seed)
        integer("n_packets", self.n_packets, 1)
        if self.packet_work is not None:
            integer("packet_work", self.packet_work, 1)
        positive("seconds", self.seconds, zero=True)
        if self.deadlines is not None:
            deadlines_array(self.deadlines)

    def _check_counters(self) -> None:
        k = self.classes.size
        t = self.n_packets + 1 if self.deadlines is None else self.deadlines.size
        shapes = {
            "patterns": (SUB_BATCHES, t, 1 << self.n_classes),
            "pairs": (SUB_BATCHES, t, k * (k + 1) // 2),
            "marginals": (SUB_BATCHES, t, k),
        }
        held = [name for name in shapes if getattr(self, name) is not None]
        if "patterns" not in held or len(held) != (1 if self.class_wise else 2):
            what = "patterns alone" if self.class_wise else "patterns and either pairs or marginals"
            raise ValueError(f"it must hold {what} where class_wise is {self.class_wise}, and holds {held}")
        for name in held:
            array = getattr(self, name)
            if array.shape != shapes[name] or array.dtype != np.int64:
                raise ValueError(f"{name} must be int64 of shape {shapes[name]}, not {array.dtype} of {array.shape}")
            if np.any(array < 0):
                raise ValueError(f"{name} must not be negative")
        counters = shapes[held[-1]][2]
        if self.possible is not None and (self.possible.shape != (counters, 2) or self.possible.dtype != np.int64):
            raise ValueError(f"possible must be int64 of shape {(counters, 2)}, not {self.possible.dtype} of {self.possible.shape}")
        if np.any(self.patterns.sum(axis=2) != self.sub_batch_sizes[:, None]):
            raise ValueError("the counts do not add up to the realizations")

    # --- contents -------------------------------------------------------------------------------------------------

    @property
    def realizations(self) -> int:
        """Number of realizations."""
        return sum(stop - start for start, stop in self.ranges)

    @property
    def sub_batch_sizes(self) -> Ints:
        """How many realizations each sub-batch has, shape (32,)."""
        return np.array([sum(_below(stop, b) - _below(start, b) for start, stop in self.ranges) for b in range(SUB_BATCHES)])

    @property
    def counts(self) -> Ints:
        """The histogram of class patterns, shape (32, T, 2^L)."""
        return self.patterns

    @property
    def n_classes(self) -> int:
        """Number of classes L."""
        return int(self.classes.max())

    @property
    def _holds(self) -> str:
        """What is counted besides class patterns."""
        return "class patterns alone" if self.class_wise else "marginals" if self.pairs is None else "pairs"

    def __repr__(self) -> str:
        axis = f"{self.patterns.shape[1]} deadlines" if self.domain == "deadline" else f"0..{self.n_packets} received"
        what = f"{self.code}, {self.realizations:,} realizations over {axis}, seed={self.seed}, backend={self.backend!r}"
        return f"{type(self).__name__}({what})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        same = (self.problem, self.packet_work, self.ranges) == (other.problem, other.packet_work, other.ranges)
        return same and all(_equal(getattr(self, name), getattr(other, name)) for name in COMPARED)

    __hash__ = None  # type: ignore[assignment]  # arrays are compared, so there is nothing to hash

    # --- adding ---------------------------------------------------------------------------------------------------

    def __add__(self, other: Counts) -> Self:
        """Merge two tallies of one problem over disjoint ranges.

        Raises
        ------
        ValueError
            If they are of different problems or share realizations.
        """
        if not isinstance(other, Counts):
            return NotImplemented
        if self.problem != other.problem or self._holds != other._holds or self.packet_work != other.packet_work:
            raise ValueError(f"tallies of different problems do not add: {self._difference(other)}")
        if None not in (self.time_unit, other.time_unit) and self.time_unit != other.time_unit:
            raise ValueError(
                f"tallies do not add: deadlines are in {shown(self.time_unit)} in one and {shown(other.time_unit)} in the other"
            )
        return replace(
            self,
            backend="+".join(sorted({*self.backend.split("+"), *other.backend.split("+")})),
            patterns=self.patterns + other.patterns,
            pairs=None if self.pairs is None or other.pairs is None else self.pairs + other.pairs,
            marginals=None if self.marginals is None or other.marginals is None else self.marginals + other.marginals,
            ranges=_merge(self.ranges, other.ranges),
            seconds=self.seconds + other.seconds,
            possible=other.possible if self.possible is None else self.possible,
            time_unit=other.time_unit if self.time_unit is None else self.time_unit,
        )

    def _difference(self, other: Counts) -> str:
        for name in ("domain", "seed", "n_packets", "packet_work", "decoder", "code"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{name} is {mine!r} in one and {theirs!r} in the other"
        for name in ("classes", "deadlines"):
            if not _equal(getattr(self, name), getattr(other, name)):
                return f"their {name} differ"
        if self._holds != other._holds:
            return f"one holds {self._holds} and the other {other._holds}"
        return "their windows, thresholds, latencies or coefficients differ"


def _below(number: int, sub_batch: int) -> int:
    """Return how many realization numbers below `number` belong to a sub-batch."""
    return -(-(number - sub_batch) // SUB_BATCHES)


def _equal(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.array_equal(a, b))


def _merge(a: Ranges, b: Ranges) -> Ranges:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted((*a, *b)):
        if merged and start < merged[-1][1]:
            raise ValueError(
                f"tallies overlap: realizations {start}..{min(stop, merged[-1][1]) - 1} are in both, and would be counted twice"
            )
        if merged and start == merged[-1][1]:
            merged[-1] = (merged[-1][0], stop)
        else:
            merged.append((start, stop))
    return tuple(merged)
