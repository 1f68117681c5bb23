"""What ``uepgpu combine`` and ``uepgpu export`` do: check, do, say what was done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["run_combine", "run_export"]


SUFFIXES = {"csv": (".csv",), "parquet": (".parquet",), "netcdf": (".nc", ".netcdf")}
"""How files are called that an export may replace: no store, no specification, and no two of one call."""


def _fail(message: object, code: int) -> int:
    print(f"uepgpu: {' '.join(str(message).split())}", file=sys.stderr)
    return code


def run_combine(stores: Sequence[str], output: str) -> int:
    """Combine stores for the command line, and return the exit code."""
    from uepgpu.store.combine import combine
    from uepgpu.store.errors import StoreError

    if not stores:
        return _fail("combine needs at least one store", 2)
    try:
        done = combine(stores, output)
    except StoreError as error:
        return _fail(error, 2)
    except OSError as error:
        return _fail(f"{output!r} could not be written: {error}", 1)
    print(f"{output}: {done.points} points, {done.realizations:,} realizations in {done.ranges:,} ranges")
    if done.doubled:
        print(f"{done.doubled:,} realizations were there several times, and are counted once")
    if done.unreadable:
        print(f"{done.unreadable} rows could not be read and are left out; run the sweep on {output} to simulate what is missing")
    return 0


def run_export(store: str, *, csv: str | None, parquet: str | None, netcdf: str | None) -> int:
    """Export a store for the command line, and return the exit code."""
    from uepgpu.results import export
    from uepgpu.store.errors import StoreError
    from uepgpu.store.opening import is_sqlite

    ways: dict[str, tuple[str | None, Callable[[Path | str, Path], int], str]] = {
        "csv": (csv, export.write_csv, "rows"),
        "parquet": (parquet, export.write_parquet, "rows"),
        "netcdf": (netcdf, export.write_netcdf, "points"),
    }
    wanted = [(name, target) for name, (target, _, _) in ways.items() if target is not None]
    if not wanted:
        return _fail("export needs --csv FILE, --parquet FILE or --netcdf FILE", 2)
    for name, target in wanted:
        if not target.strip() or Path(target).is_dir() or not Path(target).parent.is_dir():
            return _fail(f"--{name} must be a file in a folder that exists, got {target!r}", 2)
        if Path(target).suffix.lower() not in SUFFIXES[name]:
            return _fail(f"--{name} must end in {' or '.join(SUFFIXES[name])}, got {target!r}", 2)
        if is_sqlite(target):
            return _fail(f"--{name} must not replace a store or another SQLite file, but {target!r} is one", 2)
    try:
        for name, target in wanted:
            _, write, what = ways[name]
            print(f"{target}: {write(store, Path(target)):,} {what}")
    except StoreError as error:
        return _fail(error, 2)
    except OSError as error:
        return _fail(f"could not be written: {error}", 1)
    return 0
