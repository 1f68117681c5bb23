"""The time axis of estimates: that of a tally, or deadlines, by the law of the number of packets received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, instance
from uepgpu.tally.counts import Counts
from uepgpu.theory.received import received_law
from uepgpu.workers import Workers

__all__ = ["View", "received_weight", "view"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class View:
    """The time axis of estimates: that of a tally, or deadlines, by the law of the number of packets received.

    Attributes
    ----------
    dimension, coordinate
        Name and values of the resulting axis, D of them.
    weight : (D, T) float64 or None
        Pr[N(t) = N]; None where the axis is taken as it is.
    time_unit : str or None
        What times are measured in.
    """

    dimension: str
    coordinate: Floats | NDArray[np.int64]
    weight: Floats | None
    time_unit: str | None = None

    def __call__(self, counts: NDArray[Any]) -> Floats:
        """Return counts (..., T, U) on the resulting axis, (..., D, U)."""
        values = counts.astype(np.float64)
        return values if self.weight is None else np.asarray(np.einsum("dt,...tu->...du", self.weight, values))

    def second_moments(self, undecoded: Floats, n: int, open_at: NDArray[np.bool_], width: Floats) -> tuple[Floats, Floats]:
        """Return the sums of v² and (1-v)² over realizations, v what of the open weight finds each undecoded, as a share of it.

        `undecoded` (T, U) counts realizations by time, `open_at` (T, U) says when chance decides, `width` (D, U) is the weight of
        those times; both results (D, U).
        """
        if self.weight is None:
            return np.where(open_at, undecoded, 0.0), np.where(open_at, n - undecoded, 0.0)
        decoded_at = np.diff(np.vstack([np.full((1, undecoded.shape[1]), float(n)), undecoded]), axis=0, append=0.0) * -1.0
        decoded_at[-1] = undecoded[-1]  # never decoded
        failing, succeeding = np.zeros(width.shape), np.zeros(width.shape)
        for d, weight in enumerate(self.weight):
            late = np.vstack([np.zeros((1, open_at.shape[1])), np.cumsum(weight[:, None] * open_at, axis=0)])
            share = np.divide(late, width[d], out=np.zeros_like(late), where=width[d] > 0)
            failing[d], succeeding[d] = (share**2 * decoded_at).sum(axis=0), ((1 - share) ** 2 * decoded_at).sum(axis=0)
        return failing, succeeding


def view(counts: Counts, workers: Workers | None, deadlines: ArrayLike | None) -> View:
    """Return the time axis for these arguments, checked."""
    if counts.domain == "deadline":
        if workers is not None or deadlines is not None:
            raise ValueError("workers and deadlines are for count-domain tallies: this one was simulated at fixed deadlines")
        assert counts.deadlines is not None
        return View("deadline", counts.deadlines, None, counts.time_unit)
    if workers is None and deadlines is None:
        return View("received", np.arange(counts.n_packets + 1), None)
    if workers is None or deadlines is None:
        raise ValueError("workers and deadlines belong together: give both, or neither for losses by received packets")
    instance("workers", workers, Workers)
    times = deadlines_array(deadlines)
    n = workers.n_packets
    if n > counts.n_packets or (n < counts.n_packets and counts.tied):
        why = (
            f"packets are tied to workers, so only W = {counts.n_packets} is served"
            if counts.tied
            else f"at most the W = {counts.n_packets} that were simulated are served"
        )
        packets = f"W = {n}" if workers.messages == 1 else f"W m = {n}"
        raise ValueError(f"workers: {packets} does not fit this tally: {why}")
    if counts.tied and not (workers.alike or workers.shuffled):
        how = "differ in speed or law" if workers.independent else "do not answer independently"
        raise ValueError(f"workers {how}, and packets are tied to them: what arrives first depends on the worker")
    if workers.work == "true" and counts.packet_work is None:
        raise ValueError("workers.work='true', but packets differ in true work: simulate with deadlines")
    return View("deadline", times, received_weight(counts, workers, times), workers.time_unit)


def received_weight(counts: Counts, workers: Workers, times: Floats) -> Floats:
    """Return Pr[N(t) = N] for N = 0..W of the tally, by workers that it serves, shape (D, W + 1)."""
    work = 1 if counts.packet_work is None else counts.packet_work  # any number at unit work
    weight = np.zeros((times.size, counts.n_packets + 1))
    weight[:, : workers.n_packets + 1] = received_law(workers, times, counts.classes.size, work)
    return weight
