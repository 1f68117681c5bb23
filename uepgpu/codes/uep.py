"""Codes with unequal error protection: NOW and EW, with free, stacked and factored encodings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from uepgpu.checks import choice, probability_vector, shown
from uepgpu.codes.law import Bools, Coefficients, Encoding, check_options, resolve_encoding, windows_law
from uepgpu.codes.supports import SupportLaw, maximal_rectangles
from uepgpu.text.html import Described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from uepgpu.partition import Partition

__all__ = ["ExpandingWindow", "NonOverlappingWindow"]


def _check_options(code: NonOverlappingWindow | ExpandingWindow, windows: Sequence[str]) -> None:
    """Check what both codes are given; Γ becomes a tuple of floats."""
    object.__setattr__(code, "gamma", probability_vector("gamma", code.gamma))
    check_options(code.encoding, code.windows, code.coefficients)
    if code.window is not None:
        choice("window", code.window, windows)
        if code.encoding != "factored":
            raise ValueError(f"window is for encoding='factored', got window={code.window!r} with encoding={code.encoding!r}")


def _check_gamma_length(name: str, gamma: Sequence[float], n: int, what: str) -> None:
    if len(gamma) != n:
        raise ValueError(f"{name} must give one probability per {what}: {n} expected, got {len(gamma)} ({shown(tuple(gamma))})")


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
                    f"classes must be constant on every pair of block levels for encoding='factored', but levels "
                    f"({s + 1}, {t + 1}) hold classes {sorted(found)}: change classes, row_levels or col_levels"
                )
            result[s, t] = found.pop()
    return result


def _rectangle(partition: Partition, rows: Bools, cols: Bools) -> Bools:
    """Support of all sub-products whose row level and column level are chosen, shape (K,)."""
    assert partition.row_level is not None
    assert partition.col_level is not None
    return np.outer(rows[partition.row_level - 1], cols[partition.col_level - 1]).ravel()


@dataclass(frozen=True)
class NonOverlappingWindow(Described):
    """NOW-UEP: every packet draws a class l with probability Γ_l and combines that class.

    Parameters
    ----------
    gamma : sequence of float
        Window selection probabilities Γ_1..Γ_L, summing to 1.
    encoding : "auto", "free", "factored" or "stacked"
        ``"auto"``: free for rxc, stacked for cxr. docs/mathematics.md §1 says what each costs.
    window : "level-pair" or None
        With ``"factored"``: the packet combines one pair of block levels of the class, drawn uniformly.
    windows : "drawn" or "fixed"
        ``"fixed"`` gives each window to a fixed number of workers (largest remainders of Γ_l W).
    coefficients : "generic", "gf2" or "gf256"
        Real coefficients from a continuous law, or uniform ones over a finite field.

    Examples
    --------
    >>> from uepgpu import Partition
    >>> part = Partition.model("rxc", left_variances=(10, 1), right_variances=(10, 1), classes=(1, 2, 1))
    >>> NonOverlappingWindow((0.5, 0.3, 0.2)).law(part, 30).supports.astype(int).tolist()
    [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]

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
        _check_options(self, ("level-pair",))

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
        return windows_law(supports, probabilities, partition, n_workers, encoding, self.windows, self.coefficients)


@dataclass(frozen=True)
class ExpandingWindow(Described):
    """EW-UEP: every packet draws a class l with probability Γ_l and combines classes 1..l.

    Parameters
    ----------
    gamma : sequence of float
        Window selection probabilities Γ_1..Γ_L, summing to 1; with ``window="nested"`` those of the row levels.
    encoding, windows, coefficients
        As for :class:`NonOverlappingWindow`.
    window : "max-rectangle", "nested", "bounding-box" or None
        With ``"factored"`` (default max-rectangle), what replaces the staircase window l: one of its maximal
        rectangles, drawn uniformly; {1..i}×{1..j} with i ~ Γ and j ~ `gamma_b`; or all blocks that occur in it.
    gamma_b : sequence of float, optional
        Probabilities of the column levels for ``window="nested"``. Default: `gamma`.

    Examples
    --------
    >>> from uepgpu import Partition
    >>> part = Partition.model("rxc", left_variances=(10, 1), right_variances=(10, 1), classes=(1, 2, 1))
    >>> ExpandingWindow((0.5, 0.3, 0.2)).law(part, 30).supports.astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]

    References
    ----------
    As for :class:`NonOverlappingWindow`.
    """

    gamma: Sequence[float]
    encoding: Encoding = "auto"
    window: Literal["max-rectangle", "nested", "bounding-box"] | None = None
    windows: Literal["drawn", "fixed"] = "drawn"
    coefficients: Coefficients = "generic"
    gamma_b: Sequence[float] | None = None

    def __post_init__(self) -> None:
        _check_options(self, ("max-rectangle", "nested", "bounding-box"))
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
        return windows_law(supports, probabilities, partition, n_workers, encoding, self.windows, self.coefficients)

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
