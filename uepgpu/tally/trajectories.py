"""Tallies of trajectories: one of every round, and means over rounds, which depend on each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import instance
from uepgpu.partition import Partition
from uepgpu.tally.estimates import check_partition, loss_events
from uepgpu.tally.events import classes_undecoded
from uepgpu.tally.intervals import ENOUGH, batch_stderr, t_factor
from uepgpu.tally.inverse import deadline_on_grid
from uepgpu.tally.tally import Tally
from uepgpu.text.variables import dataset as labelled
from uepgpu.theory.distribution import losses_array
from uepgpu_kernels.job import SUB_BATCHES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Trajectories"]

SHARED = (
    *("problem", "code", "decoder", "backend", "domain", "seed", "deadlines", "n_packets", "tied", "packet_work", "paradigm"),
    *("classes", "time_unit", "n_classes", "class_wise", "ranges", "sub_batch_sizes"),
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What a simulation of trajectories counted; made by :func:`uepgpu.simulate` with `rounds`.

    Those of one problem over disjoint ranges add with ``+``.

    Attributes
    ----------
    tallies : tuple of Tally
        That of every round, each over the same realizations.
    squares : (32, D, E(E+1)/2) int64 or None
        Of codes that decode class by class: with c_e the number of rounds of a trajectory in which both classes of pair e were
        undecoded (pairs l' <= l row by row, E = L(L+1)/2), the sums of c_e·c_f over trajectories, f <= e row by row. The second
        moments of means over rounds, for any matrices, follow from them exactly.

    Examples
    --------
    >>> import uepgpu as uep
    >>> states = uep.Markov([[0.9, 0.1], [0.3, 0.7]], [uep.latency.Exponential(1.0), uep.latency.Exponential(0.1)])
    >>> workers = uep.Workers(12, states=states, omega=1.0, work="unit")
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> code = uep.codes.ExpandingWindow((0.5, 0.5))
    >>> found = uep.simulate(code, part, workers, deadlines=[0.6], rounds=5, realizations=2000, seed=7)
    >>> found.loss(part).normalized_loss.shape, found.realizations
    ((5, 1), 2000)
    >>> bool(abs(found.mean_loss(part).normalized_loss.item() - found.loss(part).normalized_loss.mean().item()) < 1e-12)
    True
    """

    tallies: tuple[Tally, ...]
    squares: Ints | None = None

    def __post_init__(self) -> None:
        """Check that every round is of the same realizations, and the sums of products of these."""
        if not self.tallies or any(tally.ranges != self.tallies[0].ranges for tally in self.tallies):
            raise ValueError("trajectories must have a tally of every round, each over the same realizations")
        if self.squares is None:
            return
        first, events = self.tallies[0], self.tallies[0].n_classes * (self.tallies[0].n_classes + 1) // 2
        shape = (SUB_BATCHES, first.patterns.shape[1], events * (events + 1) // 2)
        if self.squares.shape != shape or self.squares.dtype != np.int64 or not first.class_wise:
            what = f"{self.squares.dtype} of {self.squares.shape}"
            raise ValueError(f"squares must be int64 of shape {shape}, of a code that decodes class by class, not {what}")
        if first.realizations * len(self) ** 2 >= 2**63:
            raise ValueError(f"{first.realizations:,} trajectories of {len(self):,} rounds: sums of squares would exceed 2^63")
        view = self.squares.view()
        view.setflags(write=False)
        object.__setattr__(self, "squares", view)

    # --- contents -------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Tally]:
        """Iterate over the tallies of rounds."""
        return iter(self.tallies)

    def __len__(self) -> int:
        """Return the number of rounds."""
        return len(self.tallies)

    def __eq__(self, other: object) -> bool:
        """Whether all counts are the same; squares where both have them."""
        if not isinstance(other, Trajectories):
            return NotImplemented
        squares = self.squares is None or other.squares is None or np.array_equal(self.squares, other.squares)
        return self.tallies == other.tallies and squares

    __hash__ = None  # type: ignore[assignment]  # arrays are compared, so there is nothing to hash

    @property
    def realizations(self) -> int:
        """Number of trajectories."""
        return self.tallies[0].realizations

    @property
    def seconds(self) -> float:
        """Time spent simulating."""
        return sum(tally.seconds for tally in self)

    def __getattr__(self, name: str) -> Any:
        """Return what the tallies of all rounds share, such as ``code``, ``seed``, ``deadlines``, ``ranges`` and ``class_wise``.

        ``problem`` is that of round 0.
        """
        if name not in SHARED:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.tallies[0], name)

    def __repr__(self) -> str:
        return f"Trajectories({len(self)} rounds of {self.tallies[0]!r})"

    def measured_in(self, time_unit: str | None) -> Trajectories:
        """Return the same counts with another label of what deadlines are measured in, as :meth:`Tally.measured_in`."""
        return Trajectories(tuple(tally.measured_in(time_unit) for tally in self), self.squares)

    # --- adding ---------------------------------------------------------------------------------------------------

    def __add__(self, other: Trajectories) -> Trajectories:
        """Return the trajectories of both.

        Raises
        ------
        ValueError
            They are of different problems or numbers of rounds, or overlap.
        """
        instance("other", other, Trajectories)
        if len(self) != len(other):
            raise ValueError(f"trajectories must have as many rounds to be added, got {len(self)} and {len(other)}")
        squares = None if self.squares is None or other.squares is None else self.squares + other.squares
        return Trajectories(tuple(a + b for a, b in zip(self, other, strict=True)), squares)

    # --- estimates ------------------------------------------------------------------------------------------------

    def loss(self, part: Partition) -> xr.Dataset:
        """Return the mean loss in every round, as :meth:`Tally.loss`, over ``round`` and ``deadline``."""
        import xarray as xr

        return xr.concat([tally.loss(part) for tally in self], "round")

    def decoding_probability(self) -> xr.Dataset:
        """Return the decoding probability of classes in every round, over ``round``, ``deadline`` and ``class``."""
        import xarray as xr

        return xr.concat([tally.decoding_probability() for tally in self], "round")

    def mean_loss(self, part: Partition) -> xr.Dataset:
        """Return the loss of a whole trajectory, the mean over its rounds.

        Returns
        -------
        xarray.Dataset
            Over ``deadline``: ``loss``, ``loss_stderr``, ``loss_low``, ``loss_high``, the mean over trajectories with its
            standard error and 95 % interval; ``loss_sd``, the standard deviation of one trajectory; and ``normalized_`` of each.
            All count how rounds depend on each other: from `squares`, or without them from the spread of 32 sub-batches, to
            about 13 %. Intervals are Student's t where pairs of classes (or sub-products) that the loss weighs were undecoded,
            and not, in 30 trajectories a round; else, wider, the mean of those of rounds.

        Raises
        ------
        ValueError
            As :meth:`Tally.loss`.
        """
        first, n = self.tallies[0], self.realizations
        sums = np.zeros((SUB_BATCHES, first.patterns.shape[1]))
        seen = 0.0
        for tally in self:
            check_partition(tally, part, None)
            events, left, right, weight = loss_events(tally, part)
            sums += events.counts @ weight / len(self)
            seen = seen + events.counts.sum(axis=0) / len(self)
        mean, (stderr, freedom) = sums.sum(axis=0) / n, batch_stderr(sums, first.sub_batch_sizes)
        if self.squares is not None:
            chosen = left * (left + 1) // 2 + right  # of the pairs of classes
            e, f = np.maximum.outer(chosen, chosen), np.minimum.outer(chosen, chosen)
            second = np.einsum("tef,e,f->t", self.squares.sum(axis=0)[:, e * (e + 1) // 2 + f], weight, weight) / n / len(self) ** 2
            variance = np.maximum(second - mean**2, 0.0) / max(n - 1, 1)
            stderr, freedom = np.where(n > 1, np.sqrt(variance), np.nan), n - 1
        half = t_factor(max(freedom, 1)) * stderr
        low, high = np.maximum(mean - half, 0.0), mean + half
        rare = np.any(events.open & (np.minimum(seen, n - seen) < ENOUGH), axis=1) | np.isnan(half)
        if rare.any():
            of_rounds = [tally.loss(part) for tally in self]
            low, high = (
                np.where(rare, np.mean([found[name].values for found in of_rounds], axis=0), normal)
                for name, normal in (("loss_low", low), ("loss_high", high))
            )
        values = {"loss": mean, "loss_stderr": stderr, "loss_low": low, "loss_high": high, "loss_sd": stderr * np.sqrt(n)}
        scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
        values |= {f"normalized_{name}": value * scale for name, value in values.items()}
        return labelled(
            {name: ("deadline", value) for name, value in values.items()}, {"deadline": first.deadlines}, time_unit=first.time_unit
        )

    def deadline_for(self, part: Partition, *, loss: ArrayLike, workers: object = None) -> xr.Dataset:
        """Return the first deadline by which the mean over rounds is at most `loss`, as :meth:`Tally.deadline_for` does."""
        return deadline_on_grid(self.tallies[0], self.mean_loss(part), losses_array("loss", loss))

    def mean_decoding_probability(self) -> xr.Dataset:
        """Return the share of rounds in which a class is decoded, the mean over rounds.

        Returns
        -------
        xarray.Dataset
            ``probability``, ``stderr``, ``low``, ``high`` (95 %) over (``deadline``, ``class``). The error is from the spread of
            sub-batches, so that it counts how rounds depend on each other; intervals as those of :meth:`mean_loss`.
        """
        first, n = self.tallies[0], self.realizations
        each = [classes_undecoded(tally) for tally in self]
        counts = np.sum([events.counts for events in each], axis=0) / len(self)
        share = counts.sum(axis=0) / n
        stderr, freedom = batch_stderr(counts, first.sub_batch_sizes)
        half = t_factor(max(freedom, 1)) * stderr
        rare = (np.minimum(share, 1 - share) * n < ENOUGH) | np.isnan(half)
        found = [tally.decoding_probability() for tally in self]
        low, high = (np.mean([f[name].values for f in found], axis=0) for name in ("low", "high"))
        decoded = 1.0 - share
        low, high = np.where(rare, low, np.maximum(decoded - half, 0.0)), np.where(rare, high, np.minimum(decoded + half, 1.0))
        dims = ("deadline", "class")
        values = {"probability": decoded, "stderr": stderr, "low": low, "high": high}
        coords = {"deadline": first.deadlines, "class": np.arange(1, first.n_classes + 1)}
        return labelled({name: (dims, value) for name, value in values.items()}, coords, time_unit=first.time_unit)
