"""What ``uepgpu sweep`` does: a specification is run by what its kind takes."""

from __future__ import annotations

from uepgpu.commands.options import SweepOptions
from uepgpu.commands.outcome import exits, refusing

__all__ = ["SweepOptions", "run_sweep"]


@exits
def run_sweep(spec: str, options: SweepOptions) -> int:
    """Run a specification, and return the exit code.

    Parameters
    ----------
    spec : str
        TOML file or bundled name.
    options : SweepOptions
    """
    from uepgpu.specification.load import load_spec

    with refusing():
        kind = load_spec(spec)[2].get("kind")
    if kind == "gradient-coding":
        from uepgpu.commands.study import run_study

        return run_study(spec, options)
    from uepgpu.commands.sweep_points import run_sweep_points

    return run_sweep_points(spec, options)
