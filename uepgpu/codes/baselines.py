"""The codes that unequal error protection is compared with: MDS, repetition, uncoded and LT."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uepgpu.checks import integer, integer_array, positive, probability, shown
from uepgpu.codes.law import Coefficients, Encoding, check_options, resolve_encoding, windows_law
from uepgpu.codes.supports import SupportLaw
from uepgpu.text.html import Described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from uepgpu.partition import Partition

__all__ = ["LT", "MDS", "Repetition", "Uncoded"]


@dataclass(frozen=True)
class MDS(Described):
    """Maximum distance separable: every packet combines everything; any K packets decode all, fewer decode nothing.

    Parameters
    ----------
    encoding, coefficients
        As for :class:`NonOverlappingWindow`.

    Examples
    --------
    >>> from uepgpu import Partition, theory
    >>> part = Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> theory.loss(MDS(), part, received=[2, 3]).normalized_loss.values.tolist()
    [1.0, 0.0]
    """

    encoding: Encoding = "auto"
    coefficients: Coefficients = "generic"

    def __post_init__(self) -> None:
        check_options(self.encoding, "drawn", self.coefficients)

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        everything = [np.ones(partition.n_subproducts, dtype=np.bool_)]
        encoding = resolve_encoding(self.encoding, partition)
        return windows_law(everything, [1.0], partition, n_workers, encoding, "drawn", self.coefficients)


@dataclass(frozen=True)
class Repetition(Described):
    """Every sub-product is computed by several workers.

    Parameters
    ----------
    copies : int or sequence of int
        A number: worker w returns X_(w mod K), and W = copies·K. One number >= 0 per sub-product: the first copies[0] workers
        return X_0, the next copies[1] return X_1, and so on; they sum to W.

    Examples
    --------
    >>> from uepgpu import Partition
    >>> part = Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> Repetition(copies=2).law(part, 6).window.tolist()
    [0, 1, 2, 0, 1, 2]
    >>> Repetition(copies=(3, 2, 0)).law(part, 5).window.tolist()
    [0, 0, 0, 1, 1]
    """

    copies: int | Sequence[int] = 2

    def __post_init__(self) -> None:
        if isinstance(self.copies, str) or not np.iterable(self.copies):
            integer("copies", self.copies, 1)
            return
        copies = integer_array("copies", self.copies)
        if copies.ndim != 1 or np.any(copies < 0) or not copies.any():
            raise ValueError(f"copies must be integers >= 0, one per sub-product and not all 0, got {shown(self.copies)}")
        object.__setattr__(self, "copies", tuple(copies.tolist()))

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        k = partition.n_subproducts
        if isinstance(self.copies, tuple):
            if len(self.copies) != k or sum(self.copies) != n_workers:
                raise ValueError(
                    f"copies must be K = {k} numbers that sum to W = {n_workers}, got {len(self.copies)} that sum to "
                    f"{sum(self.copies)}: {shown(self.copies)}"
                )
            window = np.repeat(np.arange(k), self.copies)
        else:
            copies = integer("copies", self.copies, 1)
            if n_workers != copies * k:
                raise ValueError(
                    f"repetition with copies={copies} needs W = copies·K = {copies * k} workers for K = {k}, got W = {n_workers}"
                )
            window = np.arange(n_workers) % k
        return SupportLaw(k, np.ones(k, dtype=np.int64), "generic", "copies", supports=np.eye(k, dtype=np.bool_), window=window)


@dataclass(frozen=True)
class Uncoded(Described):
    """Worker w returns X_w. Needs W = K.

    Examples
    --------
    >>> from uepgpu import Partition, theory
    >>> part = Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> theory.decoding_probability(Uncoded(), part, received=range(4)).probability.values.round(4).tolist()
    [[0.0, 0.0], [0.3333, 0.0], [0.6667, 0.3333], [1.0, 1.0]]
    """

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        k = partition.n_subproducts
        if n_workers != k:
            raise ValueError(f"the uncoded scheme needs W = K = {k} workers, got W = {n_workers}")
        return SupportLaw(
            k, np.ones(k, dtype=np.int64), "generic", "copies", supports=np.eye(k, dtype=np.bool_), window=np.arange(k)
        )


@dataclass(frozen=True)
class LT(Described):
    """Luby transform code: a degree from the robust soliton law, then a uniform set of that many sub-products.

    The true work of a packet is its degree.

    Parameters
    ----------
    c : float
        > 0; scales the expected ripple size R = c ln(K/delta) √K.
    delta : float
        In (0, 1): the failure probability that the soliton is designed for.

    Examples
    --------
    >>> LT(c=0.1, delta=0.5).degree_law(4).round(3).tolist()
    [0.297, 0.464, 0.169, 0.07]

    References
    ----------
    Luby, *LT codes*, FOCS 2002.
    """

    c: float = 0.1
    delta: float = 0.5

    def __post_init__(self) -> None:
        positive("c", self.c)
        probability("delta", self.delta, zero=False, one=False)

    def degree_law(self, k: int) -> NDArray[np.float64]:
        """Return the robust soliton probabilities of degrees 1..K, shape (K,)."""
        degree = np.arange(1, k + 1, dtype=np.float64)
        ideal = np.append(1.0 / k, 1.0 / (degree[1:] * (degree[1:] - 1)))
        log_delta = math.log(self.delta)
        # Beyond 1e300 every packet has degree 1; an infinite ripple would leave that to inf / inf.
        ripple = min(self.c * (math.log(k) - log_delta) * math.sqrt(k), 1e300)
        # Any ripple up to 1 has its spike at K; a tiny one would overflow the quotient.
        spike = max(round(k / ripple), 1) if ripple > 1 else k
        extra = np.zeros(k)
        extra[: spike - 1] = ripple / (degree[: spike - 1] * k)
        extra[spike - 1] = ripple * (math.log(ripple) - log_delta) / k if ripple > self.delta else 0.0
        return np.asarray((ideal + extra) / (ideal + extra).sum())

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        k = partition.n_subproducts
        degrees = np.arange(1, k + 1)
        return SupportLaw(k, degrees, "generic", "stacked", degrees=degrees, probabilities=self.degree_law(k))
