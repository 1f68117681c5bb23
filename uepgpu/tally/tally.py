"""Tallies: counts of what was undecoded, and what follows from them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from uepgpu.partition import Partition
from uepgpu.tally import estimates
from uepgpu.tally.counts import Counts
from uepgpu.tally.file import read_counts, write_counts
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Tally"]


class Tally(Counts):
    """What a simulation counted, and its estimates; made by :func:`uepgpu.simulate`, fields as for its base class.

    Tallies of one problem over disjoint ranges of realization numbers add with ``+``.
    """

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
        return estimates.loss(self, part, workers, deadlines)

    def decoding_probability(self, *, workers: Workers | None = None, deadlines: ArrayLike | None = None) -> xr.Dataset:
        """Return Pr[all sub-products of a class are decoded].

        Returns
        -------
        xarray.Dataset
            ``probability``, ``stderr``, ``low``, ``high`` (95 %) over (``deadline`` or ``received``, ``class``).
        """
        return estimates.decoding_probability(self, workers, deadlines)

    def subproduct_probability(self, *, workers: Workers | None = None, deadlines: ArrayLike | None = None) -> xr.Dataset:
        """Return Pr[X_k is decoded], as :meth:`decoding_probability` does, over ``subproduct`` (counted from 0)."""
        return estimates.subproduct_probability(self, workers, deadlines)

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
        return estimates.loss_quantile(self, part, q, workers, deadlines)

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file (NumPy's .npz), whole or not at all."""
        write_counts(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tally:
        """Read a file that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is no tally, or of another format.
        """
        return read_counts(path, cls)
