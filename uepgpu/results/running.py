"""Sweeps from Python: a specification is run, and what came of it is returned."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uepgpu.checks import integer, shown, word64
from uepgpu.console import progress as shown_progress
from uepgpu.files import expand
from uepgpu.points.stop import MOST_REALIZATIONS
from uepgpu.results.opened import Results, in_words_of_python
from uepgpu.specification.fields import SpecError
from uepgpu.specification.load import load_spec
from uepgpu.specification.written import plain, to_toml
from uepgpu.store.sections import Section
from uepgpu.store.store import Store
from uepgpu.store.stored import read_points, read_sweeps
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.run import identify_all
from uepgpu.sweep.spec import parse_spec, read_spec

if TYPE_CHECKING:
    from uepgpu.points.point import Point, Sweep
    from uepgpu.sweep.collect import Runner

__all__ = ["run_sweep"]


def run_sweep(
    spec: str | os.PathLike[str] | Mapping[str, Any],
    *,
    store: str | os.PathLike[str] | None = None,
    realizations: int | None = None,
    seed: int | None = None,
    backend: str = "auto",
    threads: int | None = None,
    dask: str | None = None,
    name: str = "sweep",
    progress: bool | Callable[[Point, int], None] = True,
) -> Results:
    """Simulate every point of a specification until its stop rule is met, and return all of them.

    Parameters
    ----------
    spec : str, path or mapping
        The name of a bundled specification (``"paper"``), a TOML file, or the tables of one as a dict (docs/specification.md).
        Partitions, codes and latency laws in a dict may be objects of this library: ``{"partitions": {"mine": part}, …}``. Paths
        in a dict are relative to the current folder.
    store : path, optional
        The file that keeps every finished range; the same call again resumes where it was, and Ctrl-C keeps what is finished.
        Default: nothing is kept but what is returned.
    realizations, seed : int, optional
        Override those of the specification.
    backend, threads
        As for :func:`uepgpu.simulate`. They cannot change a result.
    dask : str, optional
        Address of a dask scheduler, ``tcp://HOST:PORT``, or ``"local"`` for processes of this machine.
    name : str
        What a sweep is called that is given as a dict; a store tells its sweeps apart by their names.
    progress : bool or callable
        Show a progress bar, on a terminal and in notebooks; or a function of your own, called with the point and the number of
        realizations whenever some are finished. What it raises ends the sweep, and ``store`` keeps what is finished.

    Returns
    -------
    Results

    Raises
    ------
    ValueError
        With one line that says which key is wrong, what was given and what is allowed; or that the store cannot be used.
    BackendUnavailable
        If a named backend cannot run.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = [10, 1, 0.1]
    >>> spec = {
    ...     "deadlines": [0.3, 0.6],
    ...     "realizations": 10_000,
    ...     "workers": {"count": 30, "work": "unit"},
    ...     "partitions": {"tiles": uep.Partition.model("rxc", left_variances=v, right_variances=v, classes=(3, 3, 3))},
    ...     "series": [{"code": {"name": "ew", "gamma": [0.4, 0.35, 0.25]}, "label": "EW"}, {"code": "mds"}],
    ... }
    >>> uep.run_sweep(spec).dataset().normalized_loss.values.round(2).tolist()
    [[0.28, 0.01], [0.63, 0.03]]

    References
    ----------
    docs/sweeps.md.
    """
    if not isinstance(progress, bool) and not callable(progress):
        raise ValueError(f"progress must be True, False or a function, got {shown(progress)}")
    realizations = None if realizations is None else integer("realizations", realizations, 1, MOST_REALIZATIONS)
    seed = None if seed is None else word64("seed", seed)
    sweep = _read(spec, name, realizations, seed)
    identities = identify_all(sweep.points)
    options: dict[str, object] = {
        key: value for key, value in (("realizations", realizations), ("seed", seed)) if value is not None
    }
    with _runner(backend, threads, dask) as runner, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db" if store is None else Path(expand("store", store))
        if path.is_dir():
            raise ValueError(f"store must be a file, {shown(str(path))} is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with Store(path) as kept:
            collection = Collection(kept, sweep, identities, options)
            left = sum(max(s.point.realizations - s.realizations, 0) for s in collection.status)
            with shown_progress(f"{len(sweep.points)} points", left, quiet=progress is not True or not left) as advance:
                tell = progress if callable(progress) else lambda point, count: advance(count, point.describe())
                collection.run(runner, progress=tell)
        section = _section(path, sweep, tuple(identity.point for identity in identities))
    return Results(sweep.name if store is None else path.name, (section,))


def _section(path: Path, sweep: Sweep, ids: tuple[str, ...]) -> Section:
    """Return the points of this specification, called what it calls them, whatever else the store holds."""
    rows = [s for s in reversed(read_sweeps(path)) if s.points == ids]
    row = max(rows, key=lambda s: (s.name, s.time_unit) == (sweep.name, sweep.time_unit))
    stored = {p.id: p for p in read_points(path)}
    points = tuple(stored[i].called(row.name, p) for i, p in zip(ids, sweep.points, strict=True))
    return Section(sweep.title, row, points, 0)


def _runner(backend: str, threads: int | None, dask: str | None) -> AbstractContextManager[Runner]:
    if dask is None:
        from uepgpu.backends import get_backend
        from uepgpu.sweep.local import Local

        get_backend(backend)  # refused before anything is written
        return nullcontext(Local(backend, threads))
    from uepgpu.sweep.dask_cluster import DaskCluster

    with in_words_of_python():
        return DaskCluster(dask, backend, threads)


def _read(spec: Any, name: str, realizations: int | None, seed: int | None) -> Sweep:
    """Return the sweep that a name, a file or a mapping describes."""
    if isinstance(spec, Mapping):
        data = plain(spec)
        _refuse_other_kinds(data)
        return replace(parse_spec(data, name=name, folder=Path(), realizations=realizations, seed=seed), text=to_toml(data))
    if not isinstance(spec, str | os.PathLike):
        raise SpecError(f"spec must be a bundled name, a TOML file or a dict, got {shown(spec)}")
    _refuse_other_kinds(load_spec(os.fspath(spec))[2])
    return read_spec(os.fspath(spec), realizations=realizations, seed=seed)


def _refuse_other_kinds(data: dict[str, Any]) -> None:
    if data.get("kind") == "gradient-coding":
        raise SpecError("run_sweep runs sweeps of coded products, got kind = 'gradient-coding'; use run_study")
