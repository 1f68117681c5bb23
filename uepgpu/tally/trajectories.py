"""Tallies of trajectories: one of every round, and means over rounds, which depend on each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uepgpu.checks import instance
from uepgpu.partition import Partition
from uepgpu.tally.estimates import check_partition, loss_events
from uepgpu.tally.intervals import batch_stderr
from uepgpu.tally.tally import Tally

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Trajectories"]


@dataclass(frozen=True)
class Trajectories:
    """What a simulation of trajectories counted; made by :func:`uepgpu.simulate` with `rounds`.

    Those of one problem over disjoint ranges add with ``+``.

    Attributes
    ----------
    tallies : tuple of Tally
        That of every round, each over the same realizations.

    Examples
    --------
    >>> import uepgpu as uep
    >>> states = uep.Markov([[0.9, 0.1], [0.3, 0.7]], [uep.latency.Exponential(1.0), uep.latency.Exponential(0.1)])
    >>> workers = uep.Workers(12, states=states, omega=1.0, work="unit")
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> code = uep.codes.ExpandingWindow((0.5, 0.5))
    >>> found = uep.simulate(code, part, workers, deadlines=[0.6], rounds=5, realizations=2000, seed=7)
    >>> found.loss(part).normalized_loss.shape, found.tallies[0].realizations
    ((5, 1), 2000)
    >>> bool(abs(found.mean_loss(part).normalized_loss.item() - found.loss(part).normalized_loss.mean().item()) < 1e-12)
    True
    """

    tallies: tuple[Tally, ...]

    def __iter__(self) -> Iterator[Tally]:
        """Iterate over the tallies of rounds."""
        return iter(self.tallies)

    def __len__(self) -> int:
        """Return the number of rounds."""
        return len(self.tallies)

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
        return Trajectories(tuple(a + b for a, b in zip(self, other, strict=True)))

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
            Over ``deadline``: ``loss`` and ``normalized_loss``, their means over trajectories; ``loss_stderr`` and
            ``normalized_loss_stderr``, from the spread of 32 sub-batches, so that it counts how rounds depend on each other; and
            ``loss_sd`` and ``normalized_loss_sd``, the standard deviation of one trajectory that follows, to about 13 %.

        Raises
        ------
        ValueError
            As :meth:`Tally.loss`.
        """
        import xarray as xr

        sums = np.zeros((32, self.tallies[0].patterns.shape[1]))
        for tally in self:
            check_partition(tally, part, None)
            events, _, _, weight = loss_events(tally, part)
            sums += events.counts @ weight / len(self)
        first = self.tallies[0]
        n = first.realizations
        mean, (stderr, _) = sums.sum(axis=0) / n, batch_stderr(sums, first.sub_batch_sizes)
        values = {"loss": mean, "loss_stderr": stderr, "loss_sd": stderr * np.sqrt(n)}
        scale = 1.0 / part.norm2 if part.norm2 > 0 else 0.0
        values |= {f"normalized_{name}": value * scale for name, value in values.items()}
        return xr.Dataset({name: ("deadline", value) for name, value in values.items()}, {"deadline": first.deadlines})
