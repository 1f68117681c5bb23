"""``uepgpu design``."""

from __future__ import annotations

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Realizations, Seed

__all__ = ["design"]


@app.command
def design(
    spec: str,
    /,
    *,
    out: str | None = None,
    realizations: Realizations | None = None,
    seed: Seed | None = None,
    backend: str = "auto",
    force: bool = False,
) -> int:
    """Find what a specification should have used instead, and how far that is from the limit; write design.csv and design.png.

    The best window probabilities of its codes at every deadline, and what its table [design] asks for.

    Parameters
    ----------
    spec
        A TOML file, or a bundled specification, as for "uepgpu sweep". "paper-design": the UEP paper's codes, their best forms
        and the lower bound, at unit and at true cost.
    out
        Folder for the results, made if needed; files of an earlier run in it are replaced. Default: uepgpu-NAME in the
        current folder, NAME being that of the specification.
    realizations
        Realizations by which tuned windows are compared. Default: what the specification says, or 200000.
    seed
        Seed of all draws. Default: what the specification says.
    backend
        What simulates tuned windows: auto (the fastest that runs here) or a name from "uepgpu info".
    force
        Replace files in the folder of the results that are no earlier results. Inputs and stores are never replaced.
    """
    from uepgpu.commands.design import run_design

    return run_design(spec, out=out, realizations=realizations, seed=seed, backend=backend, force=force)
