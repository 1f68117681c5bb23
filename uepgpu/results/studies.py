"""Studies of gradient coding from Python: a specification is run, and its curves are returned."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uepgpu.checks import closest, integer, shown, word64
from uepgpu.console import progress as shown_progress
from uepgpu.gradient_coding.study import Convergence, Study, run_point
from uepgpu.specification.fields import SpecError
from uepgpu.specification.load import load_spec
from uepgpu.specification.study import parse_study, read_study
from uepgpu.specification.written import plain
from uepgpu.text.html import html_table

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["StudyResults", "run_study"]

MOST_LISTED = 30
"""Curves that a notebook lists."""
MOST_REALIZATIONS = 2**64 - 1


@dataclass(frozen=True, eq=False, repr=False)
class StudyResults:
    """Curves of gradient descent; made by :func:`uepgpu.run_study`.

    A sequence of curves: ``len``, iteration, ``results[0]``, ``results["leverage"]`` by label. Each has ``.point`` (series, data,
    problem, scheme, workers, …) and ``.run``, the Dataset of :func:`uepgpu.gradient_coding.descend`.

    Attributes
    ----------
    name, title : str
    curves : tuple
        In the order of the specification.

    Examples
    --------
    >>> import uepgpu as uep
    >>> results = uep.run_study("gradient-coding", realizations=2, backend="numpy")
    >>> len(results), results[4].point.series
    (18, 'leverage, fresh sketch')
    """

    name: str
    title: str
    curves: tuple[Convergence, ...]

    def dataset(self) -> xr.Dataset:
        """Return all curves as one Dataset.

        Returns
        -------
        xarray.Dataset
            ``error``, ``residual``, ``gradient_error`` and ``time`` with ``_stderr`` over (``point``, ``iteration``);
            ``error_at_deadline`` with ``_stderr`` over (``point``, ``deadline``). ``series``, ``data``, ``scheme`` and ``workers``
            are coordinates over ``point``.

        Examples
        --------
        >>> import uepgpu as uep
        >>> found = uep.run_study("gradient-coding", realizations=2, backend="numpy").dataset()
        >>> found.error.dims, str(found.data.values[0])
        (('point', 'iteration'), 'coherent')
        """
        import xarray as xr

        found = xr.concat([c.run for c in self.curves], "point", combine_attrs="override")  # that of variables, which is one
        found.attrs = {"title": self.title}
        coords = {
            "series": [c.point.series for c in self.curves],
            "data": [c.point.data for c in self.curves],
            "scheme": [c.run.attrs["scheme"] for c in self.curves],
            "workers": [c.point.workers.count for c in self.curves],
        }
        return found.assign_coords({name: ("point", values) for name, values in coords.items()})

    def __len__(self) -> int:
        return len(self.curves)

    def __iter__(self) -> Iterator[Convergence]:
        return iter(self.curves)

    def __getitem__(self, which: int | str) -> Convergence:
        if not isinstance(which, str):
            return self.curves[which]
        found = [c for c in self.curves if c.point.series == which]
        if len(found) == 1:
            return found[0]
        labels = list(dict.fromkeys(c.point.series for c in self.curves))
        if not found:
            raise KeyError(f"no curve has the label {shown(which)}{closest(which, labels)}; there are {', '.join(labels[:20])}")
        raise KeyError(f"{len(found)} curves are called {shown(which)}: {', '.join(c.point.describe() for c in found[:8])}")

    def __repr__(self) -> str:
        labels = list(dict.fromkeys(c.point.series for c in self.curves))
        more = ", …" if len(labels) > 8 else ""
        return f"StudyResults({len(self)} curves of {shown(self.name)}: {', '.join(labels[:8])}{more})"

    def _repr_html_(self) -> str:
        rows = [
            (c.point.describe(), f"error {float(c.run.error[-1]):.3g} after {c.point.iterations} iterations")
            for c in self.curves[:MOST_LISTED]
        ]
        more = len(self) - len(rows)
        return html_table(f"{self.title}: {len(self)} curves", rows, f"and {more} more" if more else "")


def run_study(
    spec: str | os.PathLike[str] | Mapping[str, Any],
    *,
    realizations: int | None = None,
    seed: int | None = None,
    backend: str = "auto",
    threads: int | None = None,
    name: str = "study",
    progress: bool = True,
) -> StudyResults:
    """Run every point of a specification of gradient coding, and return its curves.

    Descents have no tallies that add, no store and no stop rule, so that this is a function beside :func:`uepgpu.run_sweep`.

    Parameters
    ----------
    spec : str, path or mapping
        ``"gradient-coding"``, a TOML file, or the tables of one as a dict (docs/specification.md). Paths in a dict are relative to
        the current folder.
    realizations, seed : int, optional
        Override those of the specification.
    backend, threads
        As for :func:`uepgpu.gradient_coding.descend`.
    name : str
        What a study is called that is given as a dict.
    progress : bool
        Show a progress bar, on a terminal and in notebooks.

    Returns
    -------
    StudyResults

    Raises
    ------
    ValueError
        With one line that says which key is wrong, what was given and what is allowed.
    BackendUnavailable
        If a named backend cannot run.

    Examples
    --------
    >>> import uepgpu as uep
    >>> spec = {
    ...     "kind": "gradient-coding",
    ...     "iterations": 20,
    ...     "deadlines": [5, 10],
    ...     "blocks": 6,
    ...     "workers": {"count": 12},
    ...     "data": {"mine": {"source": "gaussian", "rows": 60, "columns": 3, "seed": 1}},
    ...     "series": [{"label": "exact", "scheme": "exact-gradient"}],
    ... }
    >>> found = uep.run_study(spec, realizations=4, backend="numpy").dataset()
    >>> bool(found.error.sel(point=0)[20] < found.error.sel(point=0)[0])
    True

    References
    ----------
    docs/gradient-coding.md.
    """
    realizations = None if realizations is None else integer("realizations", realizations, 1, MOST_REALIZATIONS)
    study = _read(spec, name, realizations, None if seed is None else word64("seed", seed))
    total = sum(p.realizations for p in study.points)
    with shown_progress(f"{len(study.points)} points", total, quiet=not progress) as advance:
        curves = tuple(run_point(point, backend=backend, threads=threads, advance=advance) for point in study.points)
    return StudyResults(study.name, study.title, curves)


def _read(spec: Any, name: str, realizations: int | None, seed: int | None) -> Study:
    """Return the study that a name, a file or a mapping describes."""
    if isinstance(spec, Mapping):
        data = plain(spec)
        _refuse_other_kinds(data)
        return parse_study(data, name=name, folder=Path(), realizations=realizations, seed=seed)
    if not isinstance(spec, str | os.PathLike):
        raise SpecError(f"spec must be a bundled name, a TOML file or a dict, got {shown(spec)}")
    _refuse_other_kinds(load_spec(os.fspath(spec))[2])
    return read_study(os.fspath(spec), realizations=realizations, seed=seed)


def _refuse_other_kinds(data: Mapping[str, Any]) -> None:
    if data.get("kind") != "gradient-coding":
        raise SpecError("run_study runs specifications of kind = 'gradient-coding'; use run_sweep for sweeps of coded products")
