"""Tallies: counts of what was undecoded, and what follows from them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from uepgpu.partition import Partition
from uepgpu.tally import estimates
from uepgpu.tally.answers import Answers
from uepgpu.tally.file import read_counts, write_counts
from uepgpu.text.html import html_table
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Tally"]


class Tally(Answers):
    """What a simulation counted, and its estimates; made by :func:`uepgpu.simulate`, fields as for its base class.

    Tallies of one problem over disjoint ranges of realization numbers add with ``+``.

    Examples
    --------
    >>> import uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> problem = uep.codes.ExpandingWindow((0.5, 0.5)), part, uep.Workers(6, omega=1.0, work="unit")
    >>> one = uep.simulate(*problem, realizations=600, seed=7)
    >>> two = uep.simulate(*problem, realizations=400, seed=7, first_realization=600)
    >>> one + two == uep.simulate(*problem, realizations=1000, seed=7)
    True
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
            If the classes differ, the workers do not fit (docs/mathematics.md §4), or true work is asked for and packets have
            another work in this partition's paradigm; or if sums of sub-products are counted and the partition is rxc. In the
            deadline domain true work is part of the arrivals: a tally at true work serves partitions of its own paradigm only.

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, realizations=1000, seed=7)
        >>> tally.loss(part).normalized_loss.values.round(3).tolist()
        [1.0, 0.673, 0.499, 0.174, 0.107, 0.067, 0.04]
        >>> found = tally.loss(part, workers=workers, deadlines=[0.5, 1.0])
        >>> found.normalized_loss.values.round(3).tolist(), found.normalized_loss_stderr.values.round(3).tolist()
        ([0.401, 0.17], [0.003, 0.003])
        """
        return estimates.loss(self, part, workers, deadlines)

    def decoding_probability(self, *, workers: Workers | None = None, deadlines: ArrayLike | None = None) -> xr.Dataset:
        """Return Pr[all sub-products of a class are decoded].

        Returns
        -------
        xarray.Dataset
            ``probability``, ``stderr``, ``low``, ``high`` (95 %) over (``deadline`` or ``received``, ``class``).

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, deadlines=[0.5, 1.0], realizations=1000, seed=7)
        >>> tally.decoding_probability().probability.values.round(3).tolist()
        [[0.774, 0.246], [0.954, 0.58]]
        """
        return estimates.decoding_probability(self, workers, deadlines)

    def subproduct_probability(self, *, workers: Workers | None = None, deadlines: ArrayLike | None = None) -> xr.Dataset:
        """Return Pr[X_k is decoded], as :meth:`decoding_probability` does, over ``subproduct`` (counted from 0).

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, deadlines=[1.0], realizations=1000, seed=7)
        >>> tally.subproduct_probability().probability.values.round(3).tolist()
        [[0.951, 0.589, 0.589]]
        """
        return estimates.subproduct_probability(self, workers, deadlines)

    def measured_in(self, time_unit: str | None) -> Tally:
        """Return the same counts with another label of what deadlines are measured in; where there are no deadlines, the tally.

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> tally = uep.simulate(uep.codes.MDS(), part, uep.Workers(6), deadlines=[1.0], realizations=1000, seed=7)
        >>> tally.measured_in("ms").time_unit, tally.measured_in("ms") == tally
        ('ms', True)
        """
        return self if self.deadlines is None else replace(self, time_unit=time_unit)

    def _repr_html_(self) -> str:
        rows = [(name, str(getattr(self, name))) for name in ("code", "domain", "decoder", "n_packets", "seed", "backend")]
        return html_table("Tally", [("realizations", f"{self.realizations:,}"), *rows, ("seconds", f"{self.seconds:.3g}")])

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file (NumPy's .npz), whole or not at all.

        Examples
        --------
        >>> import os, tempfile, uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> tally = uep.simulate(uep.codes.MDS(), part, uep.Workers(6), realizations=1000, seed=7)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "mds.npz")
        ...     tally.save(path)
        ...     Tally.load(path) == tally
        True
        """
        write_counts(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tally:
        """Read a file that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is no tally, or of another format.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        ...     Tally.load(file.name)
        Traceback (most recent call last):
            ...
        ValueError: ... is no tally written by Tally.save: BadZipFile: File is not a zip file
        """
        return read_counts(path, cls)
