"""What ``uepgpu export`` does: a store becomes a table for other programs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from uepgpu.commands.outcome import Failure, exits, refusing, writing
from uepgpu.files import Kind, Output, check_file

__all__ = ["run_export"]


@dataclass(frozen=True)
class _Way:
    """One kind of file: its option, what writes it, and what is counted."""

    option: str
    kind: Kind
    write: Callable[[Path | str, Output], int]
    unit: str


@exits
def run_export(
    store: str,
    *,
    csv: str | None,
    parquet: str | None,
    netcdf: str | None,
    bound: bool = False,
    rounds: bool = False,
    force: bool = False,
) -> int:
    """Export a store, say what was written, and return the exit code.

    Parameters
    ----------
    store : str
        Its file.
    csv, parquet, netcdf : str or None
        Files to write; ``"-"`` for `csv` prints it.
    bound : bool
        With the lower bound of the loss and the distance from it; not for netCDF.
    rounds : bool
        Of trajectories every round instead of the mean; not for netCDF.
    force : bool
        Replace files that are no earlier exports.
    """
    from uepgpu.results import export
    from uepgpu.results.table import TABLE
    from uepgpu.store.errors import StoreError

    if csv == "-":
        if parquet is not None or netcdf is not None:
            raise Failure("--csv - prints the table, so that it goes without --parquet and --netcdf")
        with refusing():
            export.print_csv(store, sys.stdout, bound=bound, by_round=rounds)
        return 0
    ways = (
        (csv, _Way("--csv", TABLE, partial(export.write_csv, bound=bound, by_round=rounds), "rows")),
        (parquet, _Way("--parquet", export.PARQUET, partial(export.write_parquet, bound=bound, by_round=rounds), "rows")),
        (netcdf, _Way("--netcdf", export.NETCDF, export.write_netcdf, "points")),
    )
    if not any(name for name, _ in ways):
        raise Failure("export needs --csv FILE, --parquet FILE or --netcdf FILE")
    for option, given in (("--bound", bound), ("--rounds", rounds)):
        if given and netcdf is not None:
            raise Failure(f"{option} is for --csv and --parquet")
    with refusing():
        outputs = [
            (check_file(way.option, name, (way.kind,), force=force, inputs=(store,)), way) for name, way in ways if name is not None
        ]
    for output, way in outputs:
        with writing("the export", output.path):
            try:
                count = way.write(store, output)
            except StoreError as error:
                raise Failure(error) from error
        print(f"{output.path}: {count:,} {way.unit}")
    return 0
