"""Codes: unequal error protection (NOW, EW), the baselines, and codes of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import choice, integer, positive, probability_vector
from uepgpu.partition import Partition
from uepgpu.supports import COEFFICIENTS, Field, SupportLaw, largest_remainders, maximal_rectangles, term_rank

__all__ = ["LT", "MDS", "Code", "ExpandingWindow", "Generator", "NonOverlappingWindow", "Repetition", "Uncoded", "Windows"]

Bools = NDArray[np.bool_]
Encoding = Literal["auto", "free", "factored", "stacked"]
Coefficients = Literal["generic", "gf2", "gf256"]
ENCODINGS = ("auto", "free", "factored", "stacked")


@runtime_checkable
class Code(Protocol):
    """Whatever can say which supports its packets have."""

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports for this partition and number of workers W."""
        ...


def resolve_encoding(encoding: str, partition: Partition) -> str:
    """Return the encoding that ``"auto"`` stands for, or the given one if the paradigm allows it."""
    if encoding == "auto":
        return "free" if partition.paradigm == "rxc" else "stacked"
    if partition.paradigm == "cxr" and encoding != "stacked":
        raise ValueError(f"encoding must be 'stacked' or 'auto' for a cxr partition, got {encoding!r}")
    return encoding


def window_work(support: Bools, encoding: str, partition: Partition) -> int:
    """Return the true work r of a packet over `support`, shape (K,)."""
    if encoding == "factored":
        return 1
    if encoding == "free":
        return term_rank(support.reshape(partition.shape))
    return int(np.count_nonzero(support))


def _windows_law(
    supports: Sequence[Bools],
    probabilities: Sequence[float],
    partition: Partition,
    n_workers: int,
    *,
    encoding: str,
    windows: str,
    coefficients: Field,
) -> SupportLaw:
    array = np.array(supports, dtype=np.bool_)
    work = np.array([window_work(s, encoding, partition) for s in array], dtype=np.int64)
    law = np.array(probabilities, dtype=np.float64)
    if windows == "drawn":
        return SupportLaw(partition.n_subproducts, work, coefficients, encoding, supports=array, probabilities=law)
    window = np.repeat(np.arange(law.size), largest_remainders(law, n_workers))
    return SupportLaw(partition.n_subproducts, work, coefficients, encoding, supports=array, window=window)


def _check_options(encoding: str, windows: str, coefficients: str) -> None:
    choice("encoding", encoding, ENCODINGS)
    choice("windows", windows, ("drawn", "fixed"))
    choice("coefficients", coefficients, COEFFICIENTS)
    if encoding == "factored" and coefficients != "generic":
        raise ValueError(
            f"coefficients must be 'generic' for encoding='factored', got {coefficients!r}: products of finite-field factors "
            "are not uniform coefficients"
        )


def _check_gamma_length(name: str, gamma: Sequence[float], n: int, what: str) -> None:
    if len(gamma) != n:
        raise ValueError(f"{name} must give one probability per {what}: {n} expected, got {len(gamma)} ({tuple(gamma)})")


def _level_classes(partition: Partition) -> NDArray[np.int64]:
    """Class of every level pair, shape (row levels, column levels)."""
    assert partition.row_level is not None
    assert partition.col_level is not None
    table = partition.classes.reshape(partition.shape)
    result = np.zeros((partition.row_level.max(), partition.col_level.max()), dtype=np.int64)
    for s in range(result.shape[0]):
        for t in range(result.shape[1]):
            found = set(table[np.ix_(partition.row_level == s + 1, partition.col_level == t + 1)].ravel().tolist())
            if len(found) != 1:
                raise ValueError(
                    f"classes must be constant on every pair of block levels for encoding='factored', but levels ({s + 1}, {t + 1}) "
                    f"hold classes {sorted(found)}: change classes, row_levels or col_levels"
                )
            result[s, t] = found.pop()
    return result


def _rectangle(partition: Partition, rows: Bools, cols: Bools) -> Bools:
    """Support of all sub-products whose row level and column level are chosen, shape (K,)."""
    assert partition.row_level is not None
    assert partition.col_level is not None
    return np.outer(rows[partition.row_level - 1], cols[partition.col_level - 1]).ravel()


@dataclass(frozen=True)
class NonOverlappingWindow:
    """NOW-UEP: every packet draws a class l with probability Γ_l and combines that class.

    Parameters
    ----------
    gamma : sequence of float
        Window selection probabilities Γ_1..Γ_L, summing to 1.
    encoding : "auto", "free", "factored" or "stacked"
        ``"auto"``: free for rxc, stacked for cxr. See MATH.md §1 on what each costs.
    window : "level-pair" or None
        With ``"factored"``: the packet combines one pair of block levels of the class, drawn uniformly.
    windows : "drawn" or "fixed"
        ``"fixed"`` gives each window to a fixed number of workers (largest remainders of Γ_l W).
    coefficients : "generic", "gf2" or "gf256"
        Real coefficients from a continuous law, or uniform ones over a finite field.

    References
    ----------
    Vukobratovic and Stankovic, IEEE Trans. Commun. 2012; Tegin et al., arXiv 2103.02928.
    """

    gamma: Sequence[float]
    encoding: Encoding = "auto"
    window: Literal["level-pair"] | None = None
    windows: Literal["drawn", "fixed"] = "drawn"
    coefficients: Coefficients = "generic"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", probability_vector("gamma", self.gamma))
        _check_options(self.encoding, self.windows, self.coefficients)
        if self.window is not None:
            choice("window", self.window, ("level-pair",))
            if self.encoding != "factored":
                raise ValueError(f"window is for encoding='factored', got window={self.window!r} with encoding={self.encoding!r}")

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        _check_gamma_length("gamma", self.gamma, partition.n_classes, "class")
        encoding = resolve_encoding(self.encoding, partition)
        supports: list[Bools] = []
        probabilities: list[float] = []
        if encoding == "factored":
            table = _level_classes(partition)
            for label, share in enumerate(self.gamma, start=1):
                pairs = np.argwhere(table == label)
                for s, t in pairs:
                    supports.append(_rectangle(partition, np.arange(table.shape[0]) == s, np.arange(table.shape[1]) == t))
                    probabilities.append(share / len(pairs))
        else:
            supports = [partition.classes == label for label in range(1, partition.n_classes + 1)]
            probabilities = list(self.gamma)
        return _windows_law(
            supports,
            probabilities,
            partition,
            n_workers,
            encoding=encoding,
            windows=self.windows,
            coefficients=self.coefficients,
        )


@dataclass(frozen=True)
class ExpandingWindow:
    """EW-UEP: every packet draws a class l with probability Γ_l and combines classes 1..l.

    Parameters
    ----------
    gamma : sequence of float
        Window selection probabilities Γ_1..Γ_L, summing to 1; with ``window="nested"`` those of the row levels.
    encoding, windows, coefficients
        As for :class:`NonOverlappingWindow`.
    window : "max-rectangle", "nested", "bounding-box" or None
        With ``"factored"`` (default max-rectangle), what stands for the staircase window l: one of its maximal
        rectangles, drawn uniformly; {1..i}×{1..j} with i ~ Γ and j ~ `gamma_b`; or all blocks that occur in it.
    gamma_b : sequence of float, optional
        Probabilities of the column levels for ``window="nested"``. Default: `gamma`.
    """

    gamma: Sequence[float]
    encoding: Encoding = "auto"
    window: Literal["max-rectangle", "nested", "bounding-box"] | None = None
    windows: Literal["drawn", "fixed"] = "drawn"
    coefficients: Coefficients = "generic"
    gamma_b: Sequence[float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", probability_vector("gamma", self.gamma))
        _check_options(self.encoding, self.windows, self.coefficients)
        if self.window is not None:
            choice("window", self.window, ("max-rectangle", "nested", "bounding-box"))
            if self.encoding != "factored":
                raise ValueError(f"window is for encoding='factored', got window={self.window!r} with encoding={self.encoding!r}")
        if self.gamma_b is not None:
            if self.window != "nested":
                raise ValueError(f"gamma_b is for window='nested', got window={self.window!r}")
            object.__setattr__(self, "gamma_b", probability_vector("gamma_b", self.gamma_b))

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        encoding = resolve_encoding(self.encoding, partition)
        window = (self.window or "max-rectangle") if encoding == "factored" else None
        if window != "nested":
            _check_gamma_length("gamma", self.gamma, partition.n_classes, "class")
        if window is None:
            supports = [partition.classes <= label for label in range(1, partition.n_classes + 1)]
            probabilities = list(self.gamma)
        elif window == "nested":
            supports, probabilities = self._nested(partition)
        else:
            supports, probabilities = self._rectangles(partition, window)
        return _windows_law(
            supports,
            probabilities,
            partition,
            n_workers,
            encoding=encoding,
            windows=self.windows,
            coefficients=self.coefficients,
        )

    def _nested(self, partition: Partition) -> tuple[list[Bools], list[float]]:
        assert partition.row_level is not None
        assert partition.col_level is not None
        rows, cols = int(partition.row_level.max()), int(partition.col_level.max())
        gamma_b = self.gamma if self.gamma_b is None else self.gamma_b
        _check_gamma_length("gamma", self.gamma, rows, "row level")
        _check_gamma_length("gamma_b", gamma_b, cols, "column level")
        pairs = [(i, j) for i in range(rows) for j in range(cols)]
        supports = [_rectangle(partition, np.arange(rows) <= i, np.arange(cols) <= j) for i, j in pairs]
        return supports, [self.gamma[i] * gamma_b[j] for i, j in pairs]

    def _rectangles(self, partition: Partition, window: str) -> tuple[list[Bools], list[float]]:
        supports: list[Bools] = []
        probabilities: list[float] = []
        if window == "bounding-box":
            for label, share in enumerate(self.gamma, start=1):
                inside = (partition.classes <= label).reshape(partition.shape)
                supports.append(np.outer(inside.any(axis=1), inside.any(axis=0)).ravel())
                probabilities.append(share)
            return supports, probabilities
        table = _level_classes(partition)
        for label, share in enumerate(self.gamma, start=1):
            corners = maximal_rectangles(table <= label)
            for i, j in corners:
                supports.append(_rectangle(partition, np.arange(table.shape[0]) < i, np.arange(table.shape[1]) < j))
                probabilities.append(share / len(corners))
        return supports, probabilities


@dataclass(frozen=True)
class MDS:
    """Every packet combines everything: any K packets decode all, fewer decode nothing."""

    encoding: Encoding = "auto"
    coefficients: Coefficients = "generic"

    def __post_init__(self) -> None:
        _check_options(self.encoding, "drawn", self.coefficients)

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        everything = [np.ones(partition.n_subproducts, dtype=np.bool_)]
        encoding = resolve_encoding(self.encoding, partition)
        return _windows_law(
            everything, [1.0], partition, n_workers, encoding=encoding, windows="drawn", coefficients=self.coefficients
        )


@dataclass(frozen=True)
class Repetition:
    """Every sub-product is computed by `copies` workers: worker w returns X_(w mod K). Needs W = copies·K."""

    copies: int = 2

    def __post_init__(self) -> None:
        integer("copies", self.copies, 1)

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        k = partition.n_subproducts
        if n_workers != self.copies * k:
            raise ValueError(
                f"repetition with copies={self.copies} needs W = copies·K = {self.copies * k} workers for K = {k}, got W = {n_workers}"
            )
        return SupportLaw(
            k,
            np.ones(k, dtype=np.int64),
            "generic",
            "copies",
            supports=np.eye(k, dtype=np.bool_),
            window=np.arange(n_workers) % k,
        )


@dataclass(frozen=True)
class Uncoded:
    """Worker w returns X_w. Needs W = K."""

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        k = partition.n_subproducts
        if n_workers != k:
            raise ValueError(f"the uncoded scheme needs W = K = {k} workers, got W = {n_workers}")
        return SupportLaw(
            k, np.ones(k, dtype=np.int64), "generic", "copies", supports=np.eye(k, dtype=np.bool_), window=np.arange(k)
        )


@dataclass(frozen=True)
class LT:
    """Luby transform code: a degree from the robust soliton law, then a uniform set of that many sub-products.

    The true work of a packet is its degree.

    Parameters
    ----------
    c : float
        > 0; scales the expected ripple size R = c ln(K/delta) √K.
    delta : float
        In (0, 1): the failure probability that the soliton is designed for.

    References
    ----------
    Luby, *LT codes*, FOCS 2002.
    """

    c: float = 0.1
    delta: float = 0.5

    def __post_init__(self) -> None:
        positive("c", self.c)
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must lie in (0, 1), got {self.delta!r}")

    def degree_law(self, k: int) -> NDArray[np.float64]:
        """Return the robust soliton probabilities of degrees 1..K, shape (K,)."""
        degree = np.arange(1, k + 1, dtype=np.float64)
        ideal = np.append(1.0 / k, 1.0 / (degree[1:] * (degree[1:] - 1)))
        ripple = self.c * np.log(k / self.delta) * np.sqrt(k)
        spike = min(max(round(k / ripple), 1), k)
        extra = np.zeros(k)
        extra[: spike - 1] = ripple / (degree[: spike - 1] * k)
        extra[spike - 1] = max(ripple * np.log(ripple / self.delta) / k, 0.0)
        return (ideal + extra) / (ideal + extra).sum()

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        k = partition.n_subproducts
        degrees = np.arange(1, k + 1)
        return SupportLaw(k, degrees, "generic", "stacked", degrees=degrees, probabilities=self.degree_law(k))


@dataclass(frozen=True, eq=False)
class Windows:
    """A code of one's own by its windows.

    Parameters
    ----------
    supports : sequence of index sets, or (S, K) bool array
        Sub-products (counted from 0) that each window combines; none may be empty.
    probabilities : sequence of float
        Window selection probabilities, summing to 1.
    work : int or sequence of int, optional
        True work of a packet of each window, >= 1. Default: the size of its support.
    coefficients : "generic", "gf2" or "gf256"

    Examples
    --------
    >>> part = Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> Windows([[0], [0, 1, 2]], [0.5, 0.5]).law(part, 10).work.tolist()
    [1, 3]
    """

    supports: Any
    probabilities: Sequence[float]
    work: int | Sequence[int] | None = None
    coefficients: Coefficients = "generic"

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", probability_vector("probabilities", self.probabilities))
        choice("coefficients", self.coefficients, COEFFICIENTS)
        if len(self.supports) != len(self.probabilities):
            raise ValueError(
                f"probabilities must give one number per support: {len(self.supports)} supports, got {len(self.probabilities)}"
            )

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        k = partition.n_subproducts
        supports = _support_matrix(self.supports, k)
        sizes = supports.sum(axis=1)
        work = sizes if self.work is None else np.broadcast_to(np.asarray(self.work), (len(supports),))
        if work.dtype.kind not in "iu" or np.any(work < 1):
            raise ValueError(f"work must be integers >= 1, got {self.work!r}")
        probabilities = np.array(self.probabilities)
        return SupportLaw(
            k, work.astype(np.int64), self.coefficients, "windows", supports=supports, probabilities=probabilities
        )


def _support_matrix(supports: Any, k: int) -> Bools:
    if isinstance(supports, np.ndarray) and supports.dtype == np.bool_:
        matrix = supports
        if matrix.ndim != 2 or matrix.shape[1] != k:
            raise ValueError(f"supports as a bool array must have shape (windows, K = {k}), got {matrix.shape}")
    else:
        matrix = np.zeros((len(supports), k), dtype=np.bool_)
        for row, members in zip(matrix, supports, strict=True):
            for member in members:
                if not 0 <= integer("supports", member, 0) < k:
                    raise ValueError(f"supports must name sub-products 0..{k - 1} (K = {k}), got {member}")
                row[member] = True
    if not np.all(matrix.any(axis=1)):
        raise ValueError("supports must not be empty: every window combines at least one sub-product")
    return matrix


@dataclass(frozen=True, eq=False)
class Generator:
    """A code of one's own by its generator matrix: worker w returns Σ_k matrix[w, k] X_k.

    Integer matrices are eliminated exactly, modulo the prime 2³¹−1; others in float64.

    Parameters
    ----------
    matrix : array_like of float, shape (W, K)
        Finite; no row may be zero.
    work : int or sequence of int, optional
        True work of every worker's packet. Default: the number of its nonzero coefficients.
    """

    matrix: ArrayLike
    work: int | Sequence[int] | None = None

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.ndim != 2 or not np.all(np.isfinite(matrix)):
            raise ValueError(f"matrix must be a finite two-dimensional array (W, K), got shape {matrix.shape}")
        if not np.all((matrix != 0).any(axis=1)):
            raise ValueError("matrix must have no zero row: every worker combines at least one sub-product")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        matrix = np.asarray(self.matrix)
        if matrix.shape != (n_workers, partition.n_subproducts):
            raise ValueError(
                f"matrix must have shape (W, K) = ({n_workers}, {partition.n_subproducts}) for these workers and this partition, "
                f"got {matrix.shape}"
            )
        support = matrix != 0
        work = support.sum(axis=1) if self.work is None else np.broadcast_to(np.asarray(self.work), (n_workers,))
        if work.dtype.kind not in "iu" or np.any(work < 1):
            raise ValueError(f"work must be integers >= 1, got {self.work!r}")
        return SupportLaw(
            partition.n_subproducts,
            work.astype(np.int64),
            "real",
            "generator",
            supports=support,
            window=np.arange(n_workers),
            generator=matrix,
        )
