"""Recorded latencies: rounds in which every worker answered after some time, or never."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import choice, flag, positive, real_array, shown
from uepgpu.files import expand, map_array
from uepgpu.files.columns import TABLES, labels, latencies, read_columns
from uepgpu.latency.law import ROUNDING, Floats, as_times

__all__ = ["Recorded", "Trace"]

ROWS = 2**18
"""Latencies that are looked at together: 2 MB, and as much again for what is made of them."""


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Recorded latencies of workers in rounds, replayed as they were: workers that are late together stay late together.

    A realization meets one round, drawn uniformly (``replay="random"``) or each in its turn (``replay="order"``); expectations
    are means over all rounds, which for ``"order"`` are those of full passes (docs/mathematics.md §4).

    Parameters
    ----------
    latencies : array_like of float, shape (rounds, workers)
        Time that one unit of work took each worker, >= 0; NaN and infinity: it never answered. A ``numpy.memmap`` of float32 or
        float64 stays in its file, which must not change; anything else is copied.
    replay : "random", "order" or "blocks"
        Single realizations meet a drawn round with ``"blocks"`` too; the rounds of a trajectory (:func:`uepgpu.simulate` with
        `rounds`) then follow each other as recorded, in blocks of geometric length (stationary bootstrap).
    shuffle : bool
        Whether the latencies of a round are given to workers at random, so that it does not matter who sends a packet.
    block : float, optional
        Mean length of a block in rounds, >= 1; with ``"blocks"`` only, and always.

    Raises
    ------
    ValueError
        If the table is ragged, empty, holds a negative latency, or has a worker who never answers.

    Examples
    --------
    >>> import uepgpu as uep
    >>> r, w = np.arange(4)[:, None], np.arange(30)
    >>> trace = Trace(((7 * w + 11 * r) % 30 + 1) / 20 * (1 + r / 4))
    >>> trace
    Trace(4 rounds of 30 workers, c554c329, replay='random')
    >>> workers = uep.Workers(30, latency=trace, omega=1.0, work="unit")
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
    >>> uep.theory.loss(code, part, workers, deadlines=[0.3, 0.6]).normalized_loss.values.round(6).tolist()
    [0.773272, 0.173711]
    """

    latencies: ArrayLike
    replay: Literal["random", "order", "blocks"] = "random"
    shuffle: bool = False
    block: float | None = None

    def __post_init__(self) -> None:
        mapped = isinstance(self.latencies, np.memmap) and self.latencies.dtype in (np.float32, np.float64)
        array = np.asanyarray(self.latencies) if mapped else real_array("latencies", self.latencies)
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"latencies must be a table of rounds × workers, got shape {array.shape}")
        if not mapped:
            array[np.isnan(array)] = np.inf
            array.setflags(write=False)
        object.__setattr__(self, "latencies", array)
        answers = np.zeros(array.shape[1], dtype=np.bool_)
        for at, rows in self.slices():
            if np.any(rows < 0):
                r, w = np.argwhere(rows < 0)[0].tolist()
                raise ValueError(f"latencies must be >= 0, got {shown(rows[r, w])} of worker {w} in round {at.start + r}")
            answers |= np.isfinite(rows).any(axis=0)
        never = np.flatnonzero(~answers)
        if never.size:
            raise ValueError(f"latencies: worker {never[0]} never answers, in none of {len(array)} rounds: leave its column out")
        choice("replay", self.replay, ("random", "order", "blocks"))
        flag("shuffle", self.shuffle)
        if (self.replay == "blocks") != (self.block is not None):
            raise ValueError(f"block must be given with replay='blocks', and with it alone, got block={shown(self.block)}")
        if self.block is not None and not positive("block", self.block) >= 1:
            raise ValueError(f"block must be a number of rounds >= 1, got {shown(self.block)}")

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        *,
        round: str | None = None,
        worker: str | None = None,
        latency: str | None = None,
        replay: Literal["random", "order", "blocks"] = "random",
        shuffle: bool = False,
        block: float | None = None,
    ) -> Trace:
        r"""Read a trace from a file.

        Parameters
        ----------
        path : path
            ``.npy`` with rounds × workers, which stay in the file if they are float32 or float64; or ``.csv`` or ``.parquet``
            with one row per round and worker.
        round, worker, latency : str
            Names of the columns of a table; not for ``.npy``. Rounds and workers are put in order, of number if all are numbers;
            a pair without a row, or with an empty or NaN latency, never answered.
        replay, shuffle, block
            As for the class.

        Raises
        ------
        ValueError
            If the file cannot be read, lacks a column, has two rows of one round and worker, or whatever the class refuses.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        ...     lines = file.write("step,node,seconds\n0,a,1.5\n0,b,2\n1,a,\n1,b,0.5\n")
        ...     file.flush()
        ...     trace = Trace.read(file.name, round="step", worker="node", latency="seconds")
        >>> trace.latencies.tolist()
        [[1.5, 2.0], [inf, 0.5]]
        """
        file = Path(expand("path", os.fspath(path)))
        columns = {"round": round, "worker": worker, "latency": latency}
        if file.suffix.lower() not in TABLES:
            if any(name is not None for name in columns.values()):
                raise ValueError(f"round, worker and latency name columns of .csv and .parquet files, got {shown(str(file))}")
            return cls(map_array("path", file, what="a table of rounds × workers"), replay, shuffle, block)
        for key, name in columns.items():
            if not isinstance(name, str):
                raise ValueError(f"{key} must name the column of {shown(str(file))} that holds it, got {shown(name)}")
        rounds, workers, values = read_columns("path", file, [str(name) for name in columns.values()])
        if not values.size:
            raise ValueError(f"path: {shown(str(file))} has no rows")
        at = labels(f"round {round!r}", rounds), labels(f"worker {worker!r}", workers)
        array = np.full((at[0].max() + 1, at[1].max() + 1), np.inf)
        times = np.zeros(array.shape, dtype=np.int64)
        np.add.at(times, at, 1)
        if times.max() > 1:
            first = np.flatnonzero(times[at] > 1)[0]
            raise ValueError(f"path: round {rounds[first]} has {times[at][first]} rows of worker {workers[first]}, must be one")
        array[at] = latencies(f"latency {latency!r}", values)
        return cls(array, replay, shuffle, block)

    @property
    def n_rounds(self) -> int:
        """Number of rounds R."""
        return int(np.shape(self.latencies)[0])

    @property
    def n_workers(self) -> int:
        """Number of workers W."""
        return int(np.shape(self.latencies)[1])

    def slices(self) -> Iterator[tuple[slice, Floats]]:
        """Yield rounds, a few MB at a time: which they are, and their latencies as float64, infinite for never.

        Examples
        --------
        >>> [rows.tolist() for _, rows in Trace([[1.0, 2.0], [np.nan, 0.5]]).slices()]
        [[[1.0, 2.0], [inf, 0.5]]]
        """
        step = max(ROWS // self.n_workers, 1)
        for start in range(0, self.n_rounds, step):
            at = slice(start, min(start + step, self.n_rounds))
            rows = np.array(np.asarray(self.latencies)[at], dtype=np.float64)
            rows[np.isnan(rows)] = np.inf
            yield at, rows

    def at(self, rounds: ArrayLike) -> Floats:
        """Return the latencies of given rounds as float64, infinite for never: the shape of `rounds`, and workers.

        Examples
        --------
        >>> Trace([[1.0, 2.0], [np.nan, 0.5]]).at([1, 0, 1]).tolist()
        [[inf, 0.5], [1.0, 2.0], [inf, 0.5]]
        """
        rows = np.asarray(self.latencies)[np.asarray(rounds)].astype(np.float64)
        return np.where(np.isnan(rows), np.inf, rows)

    def restarts(self, word: ArrayLike) -> NDArray[np.bool_]:
        """Return whether a word has a round be drawn anew, instead of being the one after that of the round before.

        Always with ``"random"``, never with ``"order"``, and with ``"blocks"`` for words below floor(2³² / block).

        Examples
        --------
        >>> Trace([[1.0], [2.0]], "blocks", block=4.0).restarts([0, 2**30 - 1, 2**30]).tolist()
        [True, True, False]
        """
        below = {"random": 1.0, "order": 0.0}.get(self.replay, 1.0 / (self.block or 1.0))
        return np.asarray(np.asarray(word, dtype=np.uint64) < np.uint64(np.floor(below * 2.0**32)))

    def first(self, count: int) -> Trace:
        """Return the trace of the first workers.

        Examples
        --------
        >>> Trace([[1.0, 2.0, 3.0]]).first(2).latencies.tolist()
        [[1.0, 2.0]]
        """
        return replace(self, latencies=np.asanyarray(self.latencies)[:, :count])

    def columns(self) -> tuple[Recorded, ...]:
        """Return the law of each worker taken for itself.

        Examples
        --------
        >>> [law.cdf(1.5).item() for law in Trace([[1.0, 2.0], [np.inf, 1.0]]).columns()]
        [0.5, 0.5]
        """
        table = np.concatenate([rows for _, rows in self.slices()])
        return tuple(Recorded(column) for column in table.T)

    def answered(self, time: Floats) -> NDArray[np.int64]:
        """Return how many workers have answered in each round once each may have taken `time` (W,) for a unit of work, shape (R,).

        Examples
        --------
        >>> Trace([[1.0, 2.0], [3.0, 1.0]]).answered(np.array([1.0, 2.0])).tolist()
        [2, 1]
        """
        limit = time * ROUNDING
        # At time infinity too, infinite latencies have not answered.
        return np.concatenate([(np.isfinite(rows) & (rows <= limit)).sum(axis=1) for _, rows in self.slices()])

    def bins(self, limit: Floats, out: NDArray[np.uint16]) -> None:
        """Write which of ascending limits a latency meets first into `out`, shape (R, W); D for none.

        Parameters
        ----------
        limit : (D, W) float64
            How long each worker may take for a unit of work by each of D deadlines.
        out : (R, W) uint16

        Examples
        --------
        >>> found = np.empty((2, 2), dtype=np.uint16)
        >>> Trace([[1.0, 2.0], [3.0, np.inf]]).bins(np.array([[1.0, 1.0], [2.0, 2.0]]), found)
        >>> found.tolist()
        [[0, 1], [2, 2]]
        """
        late = limit * ROUNDING
        alike = bool(np.all(late == late[:, :1]))
        for at, rows in self.slices():
            if alike:
                out[at] = np.searchsorted(late[:, 0], rows, side="left")
            else:
                for w in range(self.n_workers):
                    out[at, w] = np.searchsorted(late[:, w], rows[:, w], side="left")
            # By time infinity too, infinite latencies have not answered.
            out[at][np.isinf(rows)] = len(limit)

    def __repr__(self) -> str:
        """Return its size, a fingerprint of its latencies and how it is replayed: labels of different traces differ."""
        of = self._digest[:8]
        how = f"replay={self.replay!r}{', shuffle=True' * self.shuffle}{'' if self.block is None else f', block={self.block:g}'}"
        return f"Trace({self.n_rounds} rounds of {self.n_workers} workers, {of}, {how})"

    def __eq__(self, other: object) -> bool:
        """Whether latencies and replay are the same."""
        if not isinstance(other, Trace) or self._how != other._how:
            return False
        return np.shape(self.latencies) == np.shape(other.latencies) and self._digest == other._digest

    def __hash__(self) -> int:
        """Return a number that equal traces share."""
        return hash((self._digest, *self._how))

    @property
    def _how(self) -> tuple[object, ...]:
        return self.replay, self.shuffle, self.block

    @cached_property
    def _digest(self) -> str:
        """What latencies of the same values share, however they are kept."""
        hashed = hashlib.sha256()
        for _, rows in self.slices():
            hashed.update(rows.reshape(-1).view(np.uint8).data)
        return hashed.hexdigest()


class Recorded:
    """The law of one worker of a trace, which may never answer.

    Parameters
    ----------
    latencies : (R,) float64
        Of which infinite ones never come.
    """

    def __init__(self, latencies: Floats) -> None:
        self._came = np.sort(latencies[np.isfinite(latencies)])
        self._rounds = latencies.size

    @property
    def times(self) -> Floats:
        """The latencies of rounds in which it answers, ascending."""
        return self._came

    @property
    def ever(self) -> float:
        """The share of rounds in which it answers at all."""
        return self._came.size / self._rounds

    def _arrived(self, time: ArrayLike) -> NDArray[np.intp]:
        return np.asarray(np.searchsorted(self._came, as_times(time) * ROUNDING, side="right"))

    def cdf(self, time: ArrayLike) -> Floats:
        """Return the share of rounds in which it has answered by then."""
        return self._arrived(time) / self._rounds

    def sf(self, time: ArrayLike) -> Floats:
        """Return the share of rounds in which it has not."""
        return (self._rounds - self._arrived(time)) / self._rounds
