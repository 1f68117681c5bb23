"""What a store holds, for Python: points, tallies and Datasets of one or several sweeps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uepgpu.checks import closest, shown
from uepgpu.files import expand
from uepgpu.results.export import dataset
from uepgpu.store.sections import Section, names_of, read_sections
from uepgpu.text.html import html_table

if TYPE_CHECKING:
    import xarray as xr

    from uepgpu.store.stored import StoredPoint
    from uepgpu.tally import Tally, Trajectories

__all__ = ["Results", "chosen", "chosen_all", "in_words_of_python", "open_store"]

MOST_LISTED = 30
"""Points that a notebook lists."""


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """Points with what has been counted of them; made by :func:`uepgpu.run_sweep` and :func:`uepgpu.open_store`.

    A sequence of points: ``len``, iteration, ``results[0]``, ``results["EW"]`` by label or by the beginning of an id. Each has
    ``.point`` (series, code, part, workers, deadlines), ``.tally``, ``.id``, ``.stop_reason`` and ``.seconds``.

    Attributes
    ----------
    name : str
        What the store is called.
    sections : tuple of Section
        One for every sweep; points of an earlier specification of a sweep are a section of their own.

    Examples
    --------
    >>> import uepgpu as uep
    >>> results = uep.run_sweep("paper", realizations=1000)
    >>> results
    Results(6 points of 'paper': NOW, EW, MDS)
    >>> results[1].point.series, results[1].tally.realizations
    ('NOW', 1000)
    >>> float(results.dataset().normalized_loss.sel(point=results[1].id)[0])
    1.0
    """

    name: str
    sections: tuple[Section, ...]

    @property
    def points(self) -> tuple[StoredPoint, ...]:
        """The points that have a finished range, in the order of their specifications."""
        return tuple(p for section in self.sections for p in section.points)

    @property
    def tallies(self) -> dict[str, Tally | Trajectories]:
        """The tally, or trajectories, of every point, by the point's id."""
        return {p.id: p.tally for p in self.points}

    def dataset(self) -> xr.Dataset:
        """Return all points as one Dataset.

        Returns
        -------
        xarray.Dataset
            ``loss`` and ``normalized_loss`` with ``_stderr``, ``_low``, ``_high`` (95 %), ``normalized_loss_exact`` (NaN without a
            closed form), standard deviation and quantiles of the loss of one realization, over (``point``, ``step``); ``deadline``
            is a coordinate over both. What describes a point (``series``, ``code``, ``workers``, ``omega``, ``gamma``, …) is a
            coordinate over ``point``.

        Examples
        --------
        >>> import uepgpu as uep
        >>> found = uep.run_sweep("paper", realizations=1000).dataset()
        >>> found.normalized_loss.dims, found.series.values[:3].tolist()
        (('point', 'step'), ['NOW', 'NOW', 'EW'])
        """
        return dataset(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[StoredPoint]:
        return iter(self.points)

    def __getitem__(self, which: int | str) -> StoredPoint:
        points = self.points
        if not isinstance(which, str):
            return points[which]
        found = [p for p in points if p.point.series == which] or [p for p in points if which and p.id.startswith(which.lower())]
        if len(found) == 1:
            return found[0]
        labels = list(dict.fromkeys(p.point.series for p in points))
        if not found:
            raise KeyError(
                f"no point has the label or id {shown(which)}{closest(which, labels)}; there are {', '.join(labels[:20])}"
            )
        several = ", ".join(f"{p.short_id} {p.point.describe()}" for p in found[:8])
        raise KeyError(f"{len(found)} points are called {shown(which)}, choose one by its id: {several}")

    def __repr__(self) -> str:
        labels = list(dict.fromkeys(p.point.series for p in self.points))
        more = ", …" if len(labels) > 8 else ""
        return f"Results({len(self)} points of {shown(self.name)}: {', '.join(labels[:8])}{more})"

    def _repr_html_(self) -> str:
        rows = [
            (
                p.point.describe(),
                f"{p.tally.realizations:,} realizations, {p.stop_reason or p.progress or 'begun'}, id {p.short_id}",
            )
            for p in self.points[:MOST_LISTED]
        ]
        more = len(self) - len(rows)
        return html_table(f"{self.name}: {len(self)} points", rows, f"and {more} more" if more else "")

    def only(self, sweep: str | None) -> Section:
        """Return the section of a sweep; of the only one where None is given.

        Raises
        ------
        ValueError
            If there is no such sweep, or several.
        """
        names = list(dict.fromkeys(s.sweep.name for s in self.sections))
        if sweep is None and len(names) > 1:
            raise ValueError(f"the store has several sweeps, choose one by sweep=: {', '.join(names)}")
        if sweep is not None and sweep not in names:
            raise ValueError(f"sweep must be one of {', '.join(names)}, got {shown(sweep)}{closest(sweep, names)}")
        return next(s for s in self.sections if sweep in (None, s.sweep.name))


def open_store(path: str | os.PathLike[str], *, sweep: str | None = None) -> Results:
    """Return what a store holds: everything is read, and the file is closed again.

    Parameters
    ----------
    path : path
        A file that ``uepgpu sweep`` or :func:`uepgpu.run_sweep` wrote; it may be read-only or in use.
    sweep : str, optional
        Only the sweep of that name.

    Raises
    ------
    ValueError
        If the file is no store that can be read, has no such sweep, or no finished range.

    Examples
    --------
    >>> import tempfile, uepgpu as uep
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = uep.run_sweep("paper", store=f"{folder}/store.db", realizations=1000)
    ...     again = uep.open_store(f"{folder}/store.db")
    >>> again.tallies == done.tallies, again.dataset().identical(done.dataset())
    (True, True)
    """
    place = expand("path", path)
    return Results(Path(place).name, tuple(read_sections(place, sweep=sweep)))


def chosen(results: Results | str | os.PathLike[str]) -> Results:
    """Return results, or what the store of that name holds."""
    if isinstance(results, Results):
        return results
    if isinstance(results, str | os.PathLike):
        return open_store(results)
    raise ValueError(f"results must be what run_sweep or open_store returned, or the path of a store, got {shown(results)}")


def chosen_all(results: Results | str | os.PathLike[str] | Sequence[Results | str | os.PathLike[str]]) -> dict[str, Results]:
    """Return one or several results by name, each given as it is or by its store; at least one."""
    several = [results] if isinstance(results, str | os.PathLike | Results) or not isinstance(results, Sequence) else results
    if not several:
        raise ValueError("results must be at least one, got an empty sequence")
    found = [chosen(one) for one in several]
    names = names_of([one.name if isinstance(one, Results) else one for one in several])
    return dict(zip(names, found, strict=True))


@contextmanager
def in_words_of_python() -> Iterator[None]:
    """Call options of commands in errors what they are as arguments."""
    try:
        yield
    except ValueError as error:
        if "--" not in str(error):
            raise
        # What stands in backticks is a command to type.
        raise type(error)(re.sub(r"(`[^`]*`)|--", lambda found: found[1] or "", str(error))) from None
