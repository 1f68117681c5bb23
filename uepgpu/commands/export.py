"""What ``uepgpu export`` does: a store becomes a table for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
def run_export(store: str, *, csv: str | None, parquet: str | None, netcdf: str | None, force: bool = False) -> int:
    """Export a store, say what was written, and return the exit code.

    Parameters
    ----------
    store : str
        Its file.
    csv, parquet, netcdf : str or None
        Files to write.
    force : bool
        Replace files that are no earlier exports.
    """
    from uepgpu.results import export
    from uepgpu.results.table import TABLE
    from uepgpu.store.errors import StoreError

    ways = (
        (csv, _Way("--csv", TABLE, export.write_csv, "rows")),
        (parquet, _Way("--parquet", export.PARQUET, export.write_parquet, "rows")),
        (netcdf, _Way("--netcdf", export.NETCDF, export.write_netcdf, "points")),
    )
    if not any(name for name, _ in ways):
        raise Failure("export needs --csv FILE, --parquet FILE or --netcdf FILE")
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
