"""``uepgpu sweep``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Realizations, Seed, Threads

__all__ = ["sweep"]


@app.command
def sweep(
    spec: str,
    /,
    *,
    out: str | None = None,
    store: str | None = None,
    realizations: Realizations | None = None,
    seed: Seed | None = None,
    backend: str = "auto",
    threads: Threads | None = None,
    dask: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    quiet: bool = False,
    force: bool = False,
    dry_run: bool = False,
) -> int:
    """Simulate loss against deadline for many codes, beside the exact loss; write a store, table.csv and loss.png.

    Every finished range of realizations is safe in the store. The same command again resumes where it was; Ctrl-C finishes the
    ranges that run and prints that command.

    Parameters
    ----------
    spec
        A TOML file, or a bundled specification: "paper" (the UEP paper's setting), "fair" (all codes under equal total
        work), "backprop" (the same on a real weight gradient), "gradient-coding" (gradient descent by block leverage scores;
        writes convergence.png instead of loss.png). A TOML file may name your own matrices, .npy or .npz.
    out
        Folder for the results, made if needed; files of an earlier run in it are replaced. Default: uepgpu-NAME in the
        current folder, NAME being that of the specification.
    store
        The file that keeps every finished range; several sweeps may share one. Default: store.db in the folder of the results.
    realizations
        Realizations of every point at most, e.g. 100000, 1e5 or 1_000_000. Default: what the specification says.
    seed
        Seed of all draws: the same seed gives the same results on every machine. Default: what the specification says.
    backend
        What computes: auto (the fastest that runs here) or a name from "uepgpu info". It does not change the results.
    threads
        CPU threads. Default: all cores.
    dask
        Run on a dask cluster: the address of its scheduler, tcp://HOST:PORT, or nothing for processes of this machine.
    quiet
        Show no progress and print nothing but errors.
    force
        Replace files in the folder of the results that are no earlier results. Inputs and stores are never replaced.
    dry_run
        Show the points, what each will cost and what is stored already, and do nothing.
    """
    from uepgpu.commands.sweep import SweepOptions, run_sweep

    options = SweepOptions(
        out=out,
        store=store,
        realizations=realizations,
        seed=seed,
        backend=backend,
        threads=threads,
        dask=None if dask is None else " ".join(dask) or "local",
        quiet=quiet,
        force=force,
        dry_run=dry_run,
    )
    return run_sweep(spec, options)
