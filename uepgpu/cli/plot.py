"""``uepgpu plot``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from uepgpu.cli.app import app
from uepgpu.cli.arguments import numbers

__all__ = ["plot"]


@app.command
def plot(
    store: str,
    /,
    *,
    kind: str = "loss",
    output: Annotated[str | None, Parameter(name=("--output", "-o"))] = None,
    sweep: str | None = None,
    series: list[str] | None = None,
    at: str | None = None,
    x: str | None = None,
    y: str | None = None,
    bound: bool = False,
    force: bool = False,
) -> int:
    """Draw a figure from a store: marks with 95 % intervals, exact values as lines where there is a formula.

    Where nothing was observed, an arrow stands at the upper bound.

    Parameters
    ----------
    store
        The file that "uepgpu sweep --store" wrote.
    kind
        loss (against deadline), packets (loss against packets received), workers (loss against number of workers),
        probability (that a class is decoded, against deadline), distribution (quantiles of the loss by code) or exceedance
        (how often the loss of one realization exceeds x).
    output
        File to write, .png, .svg or .pdf; an earlier figure is replaced. Default: SWEEP-KIND.png in the current folder.
    sweep
        Which sweep of the store; needed where it has several.
    series
        Only series of this label, in which * stands for anything. May be given several times.
    at
        Deadlines that workers, distribution and exceedance show, e.g. 0.5,1. Default: those that the specification
        shows, or three. With --x of every kind; of packets numbers of them.
    x
        An axis of the grid on the x axis: gamma (its first component; gamma_2 its second), workers, omega, code, classes,
        copies, ... Kinds: loss, packets, probability, distribution.
    y
        A second axis: a heat map of the loss at each deadline.
    bound
        Show the lower bound of the loss of any code too (kind loss, without x).
    force
        Replace a file that is no earlier figure. Inputs and stores are never replaced.
    """
    from uepgpu.commands.plot import run_plot

    times = () if at is None else numbers("--at", at)
    return run_plot(store, kind=kind, output=output, sweep=sweep, series=series or (), at=times, x=x, y=y, bound=bound, force=force)
