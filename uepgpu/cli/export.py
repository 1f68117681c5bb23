"""``uepgpu export``."""

from __future__ import annotations

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Piped

__all__ = ["export"]


@app.command
def export(
    store: str,
    /,
    *,
    csv: Piped | None = None,
    parquet: str | None = None,
    netcdf: str | None = None,
    bound: bool = False,
    rounds: bool = False,
    force: bool = False,
) -> int:
    """Write what a store holds, with intervals and exact losses, for other programs.

    Parameters
    ----------
    store
        A file that "uepgpu sweep" wrote; it may be read-only or in use.
    csv
        A .csv file: one row per point and deadline; all digits. "-" prints it.
    parquet
        The same as a .parquet file. Needs pip install "uepgpu[export]".
    netcdf
        An xarray Dataset over (point, step) as a .nc file. Needs pip install "uepgpu[export]".
    bound
        With two columns more: the lower bound of the loss of any code, and how many times that the loss is (csv and parquet).
    rounds
        Of trajectories a row for every round, with a column that numbers it, instead of the mean (csv and parquet).
    force
        Replace files that are no earlier exports. Inputs and stores are never replaced.
    """
    from uepgpu.commands.export import run_export

    return run_export(store, csv=csv, parquet=parquet, netcdf=netcdf, bound=bound, rounds=rounds, force=force)
