"""``uepgpu report``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from uepgpu.cli.app import app
from uepgpu.cli.arguments import numbers

__all__ = ["report"]


@app.command
def report(
    store: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=("--output", "-o"))] = None,
    sweep: str | None = None,
    series: list[str] | None = None,
    at: str | None = None,
    force: bool = False,
) -> int:
    """Write one HTML file about a store: parameters, results, interactive plots, stop reasons, provenance.

    The file needs no network and no other file. It takes plotly: pip install "uepgpu[report]".

    Parameters
    ----------
    store
        The file that "uepgpu sweep --store" wrote.
    output
        File to write, .html; an earlier report is replaced. Default: the store's name with .html, in the current folder.
    sweep
        Only this sweep of the store.
    series
        Only series of this label, in which * stands for anything. May be given several times.
    at
        Deadlines that plots at a few of them show, e.g. 0.5,1. Default: those that the specification
        shows, or three.
    force
        Replace a file that is no earlier report. Inputs and stores are never replaced.
    """
    from uepgpu.commands.report import run_report

    times = () if at is None else numbers("--at", at)
    return run_report(store, output=output, sweep=sweep, series=series or (), at=times, force=force)
