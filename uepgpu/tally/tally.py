"""Tallies: integer counts of what was undecoded, over disjoint ranges of realization numbers. They add."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import xarray as xr

    from uepgpu.partition import Partition
    from uepgpu.workers import Workers

__all__ = ["ARRAYS", "Tally"]

Ints = NDArray[np.int64]
Ranges = tuple[tuple[int, int], ...]

ARRAYS = ("patterns", "pairs", "marginals", "deadlines", "classes")
"""Names of the fields that are arrays, or None."""


@dataclass(frozen=True, eq=False)
class Tally:
    """What a simulation counted; made by :func:`uepgpu.simulate`.

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

    # --- what is in it --------------------------------------------------------------------------------------------

    @property
    def realizations(self) -> int:
        """Number of realizations."""
        return sum(stop - start for start, stop in self.ranges)

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
        """What is tallied besides class patterns."""
        return "class patterns alone" if self.class_wise else "marginals" if self.pairs is None else "pairs"

    def finished(self, ranges: Ranges, seconds: float) -> Tally:
        """Return this tally with its ranges and time filled in."""
        return replace(self, ranges=ranges, seconds=seconds)

    def __repr__(self) -> str:
        axis = f"{self.patterns.shape[1]} deadlines" if self.domain == "deadline" else f"0..{self.n_packets} received"
        return f"Tally({self.code}, {self.realizations:,} realizations over {axis}, seed={self.seed}, backend={self.backend!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tally):
            return NotImplemented
        same = (self.problem, self.packet_work, self.ranges) == (other.problem, other.packet_work, other.ranges)
        return same and all(_equal(getattr(self, name), getattr(other, name)) for name in ARRAYS)

    __hash__ = None  # type: ignore[assignment]  # arrays are compared, so there is nothing to hash

    # --- adding ---------------------------------------------------------------------------------------------------

    def __add__(self, other: Tally) -> Tally:
        """Merge two tallies of one problem over disjoint ranges.

        Raises
        ------
        ValueError
            If they are of different problems or share realizations.
        """
        if not isinstance(other, Tally):
            return NotImplemented
        if self.problem != other.problem or self._holds != other._holds or self.packet_work != other.packet_work:
            raise ValueError(f"tallies of different problems do not add: {self._difference(other)}")
        return replace(
            self,
            backend="+".join(sorted({*self.backend.split("+"), *other.backend.split("+")})),
            patterns=self.patterns + other.patterns,
            pairs=None if self.pairs is None or other.pairs is None else self.pairs + other.pairs,
            marginals=None if self.marginals is None or other.marginals is None else self.marginals + other.marginals,
            ranges=_merge(self.ranges, other.ranges),
            seconds=self.seconds + other.seconds,
        )

    def _difference(self, other: Tally) -> str:
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

    # --- what follows from it -------------------------------------------------------------------------------------

    def loss(self, part: Partition, *, workers: Workers | None = None, deadlines: ArrayLike | None = None) -> xr.Dataset:
        """Return the mean loss of a partition with these classes.

        Parameters
        ----------
        part : Partition
            Any with the same classes; its Gram matrix turns counts into losses.
        workers, deadlines
            Count domain only: evaluate at deadlines under a latency law, by the law of the number of packets received.
            W' <= W workers are allowed where packets are not tied to workers.

        Returns
        -------
        xarray.Dataset
            ``loss``, ``loss_stderr``, ``loss_low``, ``loss_high`` (95 %) and ``normalized_`` of each, over ``deadline`` or
            ``received``.

        Raises
        ------
        ValueError
            If the classes differ, the workers do not fit (docs/mathematics.md §4), or true work is asked for and the packets of
            this partition's paradigm have another. In the deadline domain true work is in the arrivals already: a tally at
            true work is for partitions of its own paradigm.
        """
        from uepgpu.tally.estimates import loss

        return loss(self, part, workers, deadlines)

    def decoding_probability(self, *, workers: Workers | None = None, deadlines: ArrayLike | None = None) -> xr.Dataset:
        """Return Pr[all sub-products of a class are decoded].

        Returns
        -------
        xarray.Dataset
            ``probability``, ``stderr``, ``low``, ``high`` (95 %) over (``deadline`` or ``received``, ``class``).
        """
        from uepgpu.tally.estimates import decoding_probability

        return decoding_probability(self, workers, deadlines)

    def subproduct_probability(self, *, workers: Workers | None = None, deadlines: ArrayLike | None = None) -> xr.Dataset:
        """Return Pr[X_k is decoded], as :meth:`decoding_probability` does, over ``subproduct`` (counted from 0)."""
        from uepgpu.tally.estimates import subproduct_probability

        return subproduct_probability(self, workers, deadlines)

    def loss_quantile(
        self, part: Partition, q: float | Sequence[float], *, workers: Workers | None = None, deadlines: ArrayLike | None = None
    ) -> xr.Dataset:
        """Return quantiles of the loss of one realization, for codes that decode class by class.

        Returns
        -------
        xarray.Dataset
            ``loss`` and ``normalized_loss`` over (``deadline`` or ``received``, ``quantile``).

        Raises
        ------
        ValueError
            If the code does not decode class by class: pairs do not determine a distribution.
        """
        from uepgpu.tally.estimates import loss_quantile

        return loss_quantile(self, part, q, workers, deadlines)

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file (NumPy's .npz), whole or not at all."""
        from uepgpu.tally.file import write_tally

        write_tally(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tally:
        """Read a file that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is no tally, or of another format.
        """
        from uepgpu.tally.file import read_tally

        return read_tally(path)


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
