"""``uepgpu sweep``."""

from __future__ import annotations

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Realizations, Seed, Threads

__all__ = ["sweep"]


@app.command
def sweep(
    spec: str,
    /,
    *,
    out: str | None = None,
    realizations: Realizations | None = None,
    seed: Seed | None = None,
    backend: str = "auto",
    threads: Threads | None = None,
) -> int:
    """Simulate loss against deadline for many codes, beside the exact loss; write table.csv and loss.png.

    Ctrl-C ends it early and keeps everything finished so far.

    Parameters
    ----------
    spec
        A TOML file, or a bundled specification: "paper" (the UEP paper's setting), "fair" (all codes under equal total
        work), "backprop" (the same on a real weight gradient), "gradient-coding" (gradient descent by block leverage scores;
        writes convergence.png instead of loss.png). A TOML file may name your own matrices, .npy or .npz.
    out
        Folder for the results, made if needed; files of an earlier run in it are replaced. Default: uepgpu-NAME in the
        current folder, NAME being that of the specification.
    realizations
        Realizations of every point, e.g. 100000, 1e5 or 1_000_000. Default: what the specification says.
    seed
        Seed of all draws: the same seed gives the same results on every machine. Default: what the specification says.
    backend
        What computes: auto (the fastest that runs here) or a name from "uepgpu info". It does not change the results.
    threads
        CPU threads. Default: all cores.
    """
    from uepgpu.sweep.job import run_job

    return run_job(spec, out=out, realizations=realizations, seed=seed, backend=backend, threads=threads)
