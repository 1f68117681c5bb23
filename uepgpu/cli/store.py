"""``uepgpu combine`` and ``uepgpu export``: stores into one, and a store for other programs."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from uepgpu.cli.app import app

__all__ = ["combine", "export"]


@app.command
def combine(*stores: str, output: Annotated[str, Parameter(name=("--output", "-o"))]) -> int:
    """Put several stores into a new one, or save what a damaged one still holds.

    Realizations that are in several stores are counted once, and must agree.

    Parameters
    ----------
    stores
        Files that "uepgpu sweep" wrote. They are not changed.
    output
        The new store; it must not exist.
    """
    from uepgpu.commands.store import run_combine

    return run_combine(stores, output)


@app.command
def export(store: str, /, *, csv: str | None = None, parquet: str | None = None, netcdf: str | None = None) -> int:
    """Write what a store holds, with intervals and exact losses, for other programs.

    Parameters
    ----------
    store
        A file that "uepgpu sweep" wrote; it may be read-only or in use.
    csv
        A .csv file: one row per point and deadline; all digits.
    parquet
        The same as a .parquet file. Needs pip install "uepgpu[export]".
    netcdf
        An xarray Dataset over (point, step) as a .nc file. Needs pip install "uepgpu[export]".
    """
    from uepgpu.commands.store import run_export

    return run_export(store, csv=csv, parquet=parquet, netcdf=netcdf)
