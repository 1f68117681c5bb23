"""What ``uepgpu export`` does: a store becomes a table for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uepgpu.commands.outcome import Failure, exits, refusing, writing
from uepgpu.files import check_file

__all__ = ["run_export"]


@dataclass(frozen=True)
class _Way:
    """One kind of file: its option, how its files may be called, who writes it, and what is counted."""

    option: str
    suffixes: tuple[str, ...]
    write: Callable[[Path | str, Path], int]
    unit: str


@exits
def run_export(store: str, *, csv: str | None, parquet: str | None, netcdf: str | None) -> int:
    """Export a store, say what was written, and return the exit code.

    Parameters
    ----------
    store : str
        Its file.
    csv, parquet, netcdf : str or None
        Files to write.
    """
    from uepgpu.results import export
    from uepgpu.store.errors import StoreError
    from uepgpu.store.opening import is_sqlite

    wanted = [
        (target, _Way(option, suffixes, write, unit))
        for target, option, suffixes, write, unit in (
            (csv, "--csv", ("csv",), export.write_csv, "rows"),
            (parquet, "--parquet", ("parquet",), export.write_parquet, "rows"),
            (netcdf, "--netcdf", ("nc", "netcdf"), export.write_netcdf, "points"),
        )
        if target is not None
    ]
    if not wanted:
        raise Failure("export needs --csv FILE, --parquet FILE or --netcdf FILE")
    with refusing():
        files = [(check_file(way.option, target, way.suffixes), way) for target, way in wanted]
        for file, way in files:
            if is_sqlite(file):
                raise ValueError(f"{way.option} must not replace a store or another SQLite file, but {str(file)!r} is one")
    for file, way in files:
        with writing("the export", file):
            try:
                print(f"{file}: {way.write(store, file):,} {way.unit}")
            except StoreError as error:
                raise Failure(error) from error
    return 0
