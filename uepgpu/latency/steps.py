"""Laws with steps: one latency, or measured ones."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import positive, real_array, shown
from uepgpu.files import expand, read_array
from uepgpu.files.columns import TABLES, latencies, read_columns
from uepgpu.latency.law import ROUNDING, Floats, as_times
from uepgpu.text.html import Described

__all__ = ["Deterministic", "Empirical"]


@dataclass(frozen=True)
class Deterministic(Described):
    """Every answer takes exactly `time` >= 0 per unit of work.

    Examples
    --------
    >>> Deterministic(0.3).cdf([0.2, 0.3, 0.4]).tolist()
    [0.0, 1.0, 1.0]
    """

    time: float = 1.0

    def __post_init__(self) -> None:
        positive("time", self.time, zero=True)

    def cdf(self, time: ArrayLike) -> Floats:
        """Return F(t), a step."""
        return np.asarray(as_times(time) * ROUNDING >= self.time, dtype=np.float64)

    def sf(self, time: ArrayLike) -> Floats:
        """Return 1 - F(t)."""
        return 1.0 - self.cdf(time)


MOST_SHOWN = 8
"""Samples that are shown one by one."""


@dataclass(frozen=True, eq=False, repr=False)
class Empirical(Described):
    """The empirical law of measured latencies.

    Parameters
    ----------
    samples : array_like of float, shape (n,)
        Measured latencies, finite and >= 0; n >= 1. A table of several workers is refused: give one column, or its
        ``ravel()`` if they are to be pooled.

    Examples
    --------
    >>> Empirical([1.0, 2.0, 4.0, 8.0]).cdf([0.5, 2.0, 9.0]).tolist()
    [0.0, 0.5, 1.0]
    >>> Empirical([4.0, 1.0]), Empirical(range(1, 1001))
    (Empirical([1.0, 4.0]), Empirical(1,000 samples from 1 to 1000, 585faf7b))
    """

    samples: ArrayLike

    def __post_init__(self) -> None:
        samples = real_array("samples", self.samples)
        if samples.ndim != 1:
            raise ValueError(
                f"samples must be one-dimensional, got shape {samples.shape}: give one column of a table, or pool it by ravel()"
            )
        samples = np.sort(samples)
        if samples.size == 0 or not np.all(np.isfinite(samples)) or samples[0] < 0:
            raise ValueError("samples must hold at least one latency, all finite and >= 0")
        samples.setflags(write=False)
        object.__setattr__(self, "samples", samples)

    def __repr__(self) -> str:
        """Return the samples, or of many their number, range and a fingerprint: labels of different laws differ."""
        samples = np.asarray(self.samples, dtype=np.float64)
        if samples.size <= MOST_SHOWN:
            return f"Empirical({samples.tolist()})"
        of = hashlib.sha256(samples.astype("<f8").tobytes()).hexdigest()[:8]
        return f"Empirical({samples.size:,} samples from {samples[0]:g} to {samples[-1]:g}, {of})"

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, column: str | None = None) -> Empirical:
        r"""Read the samples from a file.

        Parameters
        ----------
        path : path
            ``.npy`` with one dimension, or ``.csv`` or ``.parquet`` with a column of latencies.
        column : str
            Its name; not for ``.npy``.

        Raises
        ------
        ValueError
            If the file cannot be read or lacks the column, or a latency is missing, not finite or negative.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        ...     lines = file.write("node,seconds\na,1.5\nb,2\na,0.5\n")
        ...     file.flush()
        ...     law = Empirical.read(file.name, column="seconds")
        >>> law.samples.tolist()
        [0.5, 1.5, 2.0]
        """
        file = Path(expand("path", os.fspath(path)))
        if file.suffix.lower() not in TABLES:
            if column is not None:
                raise ValueError(f"column names one of a .csv or .parquet file, got {shown(str(file))}")
            return cls(read_array("path", file, what="a one-dimensional array of latencies"))
        if not isinstance(column, str):
            raise ValueError(f"column must name the column of latencies in {shown(str(file))}, got {shown(column)}")
        values = latencies(f"column {column!r}", read_columns("path", file, [column])[0])
        missing = int(np.isinf(values).sum())
        if missing:
            raise ValueError(
                f"column {column!r}: {missing} of {values.size} latencies are missing or infinite: leave them out, and give "
                "workers a loss_probability"
            )
        return cls(values)

    def __eq__(self, other: object) -> bool:
        """Whether the samples are the same."""
        return isinstance(other, Empirical) and np.array_equal(np.asarray(self.samples), np.asarray(other.samples))

    def __hash__(self) -> int:
        """Return a number that equal laws share."""
        return hash(np.asarray(self.samples).tobytes())

    def _arrived(self, time: ArrayLike) -> NDArray[np.intp]:
        return np.asarray(np.searchsorted(np.asarray(self.samples), as_times(time) * ROUNDING, side="right"))

    def cdf(self, time: ArrayLike) -> Floats:
        """Return the share of samples <= t."""
        return self._arrived(time) / np.size(self.samples)

    def sf(self, time: ArrayLike) -> Floats:
        """Return the share of samples > t."""
        return (np.size(self.samples) - self._arrived(time)) / np.size(self.samples)
