"""A store as a table for other programs, or as one xarray Dataset."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from uepgpu.files import Kind, Output
from uepgpu.results.curve import curve_of
from uepgpu.results.limits import Limits
from uepgpu.results.setting import latency_of, time_unit
from uepgpu.results.simulated import Simulated, every_round
from uepgpu.results.table import COLUMNS, OF_THE_LAW, rows
from uepgpu.store.errors import StoreError
from uepgpu.store.stored import StoredPoint, iterate_points
from uepgpu.text import write_table
from uepgpu.text.variables import dataset as labelled

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NETCDF", "PARQUET", "dataset", "print_csv", "write_csv", "write_netcdf", "write_parquet"]

TITLE = "uepgpu sweep"
PARQUET = Kind(("parquet",), b"PAR1", TITLE.encode())
NETCDF = Kind(("nc", "netcdf"), b"\x89HDF", TITLE.encode())

EXTRA = ("point", "tally", "sweep", "stop_reason", "seconds", "devices", "versions", "latency", "time_unit")
"""Columns that a store adds to those of ``table.csv``."""
OF_THE_ROUND = ("round",)
"""Column of ``--rounds``: the round, from 0; empty for single rounds."""
OF_THE_BOUND = ("lower_bound", "distance")
"""Columns of ``--bound``: the lower bound of the normalized loss, and how many times that the loss is, exact where it is known."""
LOSSES = ("loss", "loss_stderr", "loss_low", "loss_high")
VALUES = (*LOSSES, *(f"normalized_{name}" for name in LOSSES), "normalized_loss_exact", *OF_THE_LAW)


def _extra(stored: StoredPoint) -> dict[str, Any]:
    return {
        "point": stored.id,
        "tally": stored.tally_id,
        "sweep": stored.sweep,
        "stop_reason": stored.stop_reason,
        "seconds": stored.seconds,
        "devices": "; ".join(stored.devices),
        "versions": "; ".join(stored.versions),
        "latency": latency_of(stored.point.workers),
        "time_unit": stored.point.workers.time_unit or "",
    }


def _rows(path: Path | str, bound: bool, by_round: bool) -> Iterator[dict[str, Any]]:
    limits = Limits()
    for stored in iterate_points(path):
        extra = _extra(stored)
        least = limits.bound(stored.point) if bound else ()
        rounds: Sequence[Simulated] = every_round(stored) if by_round else ()
        for r, curve in enumerate(curve_of(s) for s in rounds or [stored]):
            number = {"round": r if rounds else ""} if by_round else {}
            for d, row in enumerate(rows([curve])):
                yield row | extra | (_distance(row, float(least[d])) if bound else {}) | number


def _distance(row: dict[str, Any], least: float) -> dict[str, Any]:
    value = row["normalized_loss"] if row["normalized_loss_exact"] == "" else row["normalized_loss_exact"]
    known = least > 0
    return dict(zip(OF_THE_BOUND, (least, value / least) if known else ("", ""), strict=True))


def write_csv(path: Path | str, target: Output, *, bound: bool = False, by_round: bool = False) -> int:
    """Write a row per point (and round) and deadline, and return how many; floats keep all digits, and no label is a formula."""
    with target.new() as part, part.open("w", newline="", encoding="utf-8") as file:
        return print_csv(path, file, bound=bound, by_round=by_round)


def print_csv(path: Path | str, file: IO[str], *, bound: bool = False, by_round: bool = False) -> int:
    """Write the same rows to an open text file; nothing if the store cannot be read."""
    found = _rows(path, bound, by_round)
    first = list(itertools.islice(found, 1))
    more = (*(OF_THE_BOUND if bound else ()), *(OF_THE_ROUND if by_round else ()))
    return write_table(file, (*COLUMNS, *EXTRA, *more), itertools.chain(first, found))


def write_parquet(path: Path | str, target: Output, *, bound: bool = False, by_round: bool = False) -> int:
    """Write the same rows as Parquet; a missing exact loss, standard deviation or quantile is null.

    Raises
    ------
    StoreError
        If pyarrow is not installed.
    """
    pa, parquet = _optional("pyarrow", "--parquet"), _optional("pyarrow.parquet", "--parquet")
    table = list(_rows(path, bound, by_round))
    may_lack = ("rounds", "normalized_loss_exact", *OF_THE_LAW)
    may_lack += (*(OF_THE_BOUND if bound else ()), *(OF_THE_ROUND if by_round else ()))
    for row in table:
        row |= {name: None for name in may_lack if row[name] == ""}
        row["seed"] = str(row["seed"])  # up to 2^64 - 1, which no signed column holds
    with target.new() as part:
        parquet.write_table(pa.Table.from_pylist(table).replace_schema_metadata({"title": TITLE}), part)
    return len(table)


def dataset(points: Sequence[StoredPoint]) -> xr.Dataset:
    """Return the points as one Dataset.

    Parameters
    ----------
    points : sequence of StoredPoint

    Returns
    -------
    xarray.Dataset
        ``loss``, ``normalized_loss`` and their ``_stderr``, ``_low``, ``_high``, and ``normalized_loss_exact``, standard
        deviation and quantiles of the loss of one realization (NaN where there are none) over (``point``, ``step``).
        ``deadline`` is a coordinate over both, as points may have different ones; shorter lists end in NaN. What describes a point
        is a coordinate over ``point``; ``rounds`` is 0 for single rounds, else losses are means over so many.
    """
    curves = [curve_of(stored) for stored in points]
    steps = max((len(c.point.deadlines) for c in curves), default=0)
    tables = [list(rows([curve])) for curve in curves]

    def over_steps(name: str) -> Any:
        values = np.full((len(tables), steps), np.nan)
        for i, table in enumerate(tables):
            values[i, : len(table)] = [np.nan if row[name] == "" else row[name] for row in table]
        return values

    one_each = [name for name in COLUMNS if name not in (*VALUES, "deadline", "seed", "rounds")]
    coords: dict[str, Any] = {name: ("point", [table[0][name] for table in tables]) for name in one_each}
    coords |= {name: ("point", [_extra(stored)[name] for stored in points]) for name in EXTRA if name != "point"}
    coords |= {"point": [stored.id for stored in points], "deadline": (("point", "step"), over_steps("deadline"))}
    coords["rounds"] = ("point", np.array([stored.point.rounds or 0 for stored in points]))
    coords["seed"] = ("point", np.array([stored.point.seed for stored in points], dtype=np.uint64))
    data = {name: (("point", "step"), over_steps(name)) for name in VALUES}
    return labelled(data, coords, {"title": TITLE, "interval": "95 %"}, time_unit([stored.point for stored in points]))


def write_netcdf(path: Path | str, target: Output) -> int:
    """Write :func:`dataset` of a store as netCDF, and return the number of points.

    Raises
    ------
    StoreError
        If h5netcdf is not installed.
    """
    _optional("h5netcdf", "--netcdf")
    _optional("h5py", "--netcdf")
    points = list(iterate_points(path))
    with target.new() as part:
        dataset(points).to_netcdf(part, engine="h5netcdf")
    return len(points)


def _optional(module: str, option: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise StoreError(f'{option} needs {module.partition(".")[0]} ({error}): pip install "uepgpu[export]"') from None
