"""Curves of gradient descent as figures take them: from runs, or from the table that a study wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import shown
from uepgpu.files import expand
from uepgpu.files.columns import read_columns
from uepgpu.gradient_coding.study import Convergence
from uepgpu.results.setting import latency_of, setting_line
from uepgpu.text import printable
from uepgpu.text.variables import TIME

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Descent", "descents_of", "read_descents", "runs_of"]

Floats = NDArray[np.float64]
NOTHING: Floats = np.zeros(0)
SHARED = ("series", "data", "rows", "columns", "workers", "latency", "omega", "work", "time_unit")
MEASURED = ("axis", "iteration", "time", "error", "error_stderr")


@dataclass(frozen=True, eq=False)
class Descent:
    """Mean error of gradient descent by one scheme on one data set, over iterations and over simulated time.

    Attributes
    ----------
    series, data : str
        What the scheme and the data are called.
    size : str
        Of the data; empty where it is not known.
    setting : str
        Number of servers, latency, load and work in one line; empty where they are not known.
    time_unit : str or None
        What times are measured in.
    error, error_stderr, time : (iterations + 1,) float64
        After every iteration, from 0 on, and the mean time of that.
    deadlines, at_deadline, at_deadline_stderr : (D,) float64
        Times, and the error of the latest iterate; nan where some realization has run out of iterations.
    """

    series: str
    data: str
    size: str
    setting: str
    time_unit: str | None
    error: Floats
    error_stderr: Floats
    time: Floats
    deadlines: Floats
    at_deadline: Floats
    at_deadline_stderr: Floats


def descents_of(curves: Sequence[Convergence]) -> list[Descent]:
    """Return the curves of a study."""
    found = []
    for curve in curves:
        point, run = curve.point, curve.run
        n, d = point.problem.shape
        workers = point.workers
        setting = setting_line(
            workers.count,
            latency_of(workers),
            f"{workers.resolved_omega(point.problem.blocks):g}",
            workers.work,
            workers.time_unit,
        )
        found.append(_of_run(point.series, run, point.data, f"A {n} × {d}", setting))
    return found


def runs_of(runs: Mapping[str, xr.Dataset] | xr.Dataset) -> list[Descent]:
    """Return the curves of results of :func:`uepgpu.gradient_coding.descend`, by what they are called, or of one by its scheme.

    Raises
    ------
    ValueError
        If there is none, or one is no such result.
    """
    import xarray as xr

    if isinstance(runs, xr.Dataset):  # which is a mapping too
        runs = {str(runs.attrs.get("scheme", "descent")): runs}
    if not runs:
        raise ValueError("results must have at least one run, got an empty mapping")
    for label, run in runs.items():
        if not isinstance(label, str) or not isinstance(run, xr.Dataset) or "error_stderr" not in run:
            raise ValueError(f"results must map labels to what gradient_coding.descend returned, got {shown(label)}: {shown(run)}")
    return [_of_run(label, run, "", "", "") for label, run in runs.items()]


def _of_run(series: str, run: xr.Dataset, data: str, size: str, setting: str) -> Descent:
    timed = "deadline" in run.coords
    unit = run["time"].attrs.get("units", TIME)
    return Descent(
        series,
        data,
        size,
        setting,
        None if unit == TIME else unit,
        *(np.asarray(run[name].values, dtype=np.float64) for name in ("error", "error_stderr", "time")),
        *(
            np.asarray(run[name].values, dtype=np.float64) if timed else NOTHING
            for name in ("deadline", "error_at_deadline", "error_at_deadline_stderr")
        ),
    )


def read_descents(path: str | os.PathLike[str]) -> list[Descent]:
    """Return the curves of the ``table.csv`` that ``uepgpu sweep`` wrote for a specification of gradient coding.

    Raises
    ------
    ValueError
        If it is no such table.
    FileNotFoundError
        If there is no such file.
    """
    file = Path(expand("results", path))
    columns = dict(zip((*SHARED, *MEASURED), read_columns("results", file, (*SHARED, *MEASURED)), strict=True))
    table = {name: [printable(str(value)) for value in column] for name, column in columns.items()}
    groups: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(table["series"], table["data"], strict=True)):
        groups.setdefault(key, []).append(row)
    if not groups:
        raise ValueError(f"results: {shown(str(file))} has no rows")
    return [_of_rows(file, table, key, rows) for key, rows in groups.items()]


def _of_rows(file: Path, table: dict[str, list[str]], key: tuple[str, str], rows: Sequence[int]) -> Descent:
    def numbers(name: str, axis: str) -> Floats:
        return np.array(list(_numbers(file, table, name, [row for row in rows if table["axis"][row] == axis])))

    first = {name: table[name][rows[0]] for name in SHARED}
    unit = first["time_unit"] or None
    steps = numbers("iteration", "iteration")
    if not np.array_equal(steps, np.arange(steps.size)) or not steps.size:
        raise ValueError(f"results: {shown(str(file))} must have every iteration of {shown(key[0])} once, from 0 on")
    return Descent(
        *key,
        f"A {first['rows']} × {first['columns']}",
        setting_line(first["workers"], first["latency"], first["omega"], first["work"], unit),
        unit,
        numbers("error", "iteration"),
        numbers("error_stderr", "iteration"),
        numbers("time", "iteration"),
        numbers("time", "deadline"),
        numbers("error", "deadline"),
        numbers("error_stderr", "deadline"),
    )


def _numbers(file: Path, table: dict[str, list[str]], name: str, rows: Sequence[int]) -> Iterator[float]:
    for row in rows:
        text = table[name][row]
        try:
            yield float(text) if text else np.nan
        except ValueError:
            raise ValueError(f"results: {shown(str(file))} must have numbers in column {name!r}, got {shown(text)}") from None
