"""``uepgpu plot``."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Dots, numbers
from uepgpu.commands.outcome import Failure

__all__ = ["plot"]


@app.command
def plot(
    stores: Annotated[list[str], Parameter(name="STORE", negative=())],
    /,
    *,
    kind: str = "loss",
    output: Annotated[str | None, Parameter(name=("--output", "-o"))] = None,
    sweep: str | None = None,
    series: list[str] | None = None,
    where: list[str] | None = None,
    at: str | None = None,
    x: str | None = None,
    y: str | None = None,
    bound: bool = False,
    width: str | None = None,
    height: str | None = None,
    font: float | None = None,
    panel: list[int] | None = None,
    title: str | None = None,
    no_title: bool = False,
    rename: list[tuple[str, str]] | None = None,
    x_limits: str | None = None,
    y_limits: str | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
    x_scale: Literal["linear", "sqrt", "log"] | None = None,
    y_scale: Literal["linear", "sqrt", "log"] | None = None,
    style: str | None = None,
    dpi: Dots | None = None,
    show: bool = False,
    force: bool = False,
) -> int:
    """Draw a figure: of a store marks with 95 % intervals, and exact values as lines where there is a formula.

    Where nothing was observed, an arrow stands at the upper bound.

    Parameters
    ----------
    stores
        The file that "uepgpu sweep --store" wrote, or several, whose series are shown together; for descent the table.csv of
        "uepgpu sweep gradient-coding", for training the curves.csv of "uepgpu train".
    kind
        loss (against deadline), packets (loss against packets received), workers (loss against number of workers),
        probability (that a class is decoded, against deadline), decoding (that, against packets received), distribution
        (quantiles of the loss by code), exceedance (how often the loss of one realization exceeds x), rounds (loss against
        the round of trajectories), descent (error of gradient descent, over iterations and over time) or training (accuracy
        against steps; with --x time against time).
    output
        File to write, .png, .svg or .pdf; an earlier figure is replaced. Default: SWEEP-KIND.png, or KIND.png, in the current
        folder.
    sweep
        Which sweep of the store; needed where it has several.
    series
        Only series of this label, in which * stands for anything. May be given several times; their order is that of the
        legend.
    where
        Only points with this on an axis of the grid: workers>=20, code=ew,now, gamma=0.4/*. May be given several times.
    at
        Deadlines that workers, distribution, exceedance and rounds show, e.g. 0.5,1. Default: those that the specification
        shows, or three. With --x of every kind; of packets numbers of them.
    x
        An axis of the grid on the x axis: gamma (its first component; gamma_2 its second), workers, omega, code, classes,
        copies, ... Kinds: loss, packets, probability, distribution.
    y
        A second axis: a heat map of the loss at each deadline.
    bound
        Show the lower bound of the loss of any code too (kind loss, without x).
    width
        Width of the figure: column (3.5 inches), page (7.16 inches), or a length such as 88mm, 8.8cm, 3.5in. Panels that
        would be too narrow stand one below the other, and the legend below them. Default: 4.4 inches a panel, and the legend.
    height
        Height of the figure, a length. Default: what panels and legend take.
    font
        Points of all text. Default: 8 with --width, else 8 to 11.
    panel
        Only this panel, counted from 1 row by row. May be given several times.
    title
        Another title.
    no_title
        No title.
    rename
        A series' label and the name that the legend shows for it. May be given several times.
    x_limits
        Ends of the x axis, e.g. 0,1.5.
    y_limits
        Ends of the y axis, e.g. 1e-3,1.
    x_label
        What stands below every x axis.
    y_label
        What stands beside every y axis.
    x_scale
        Scale of the x axis. Default: what suits the values.
    y_scale
        Scale of the y axis.
    style
        A style sheet of matplotlib: a file, or a name such as grayscale.
    dpi
        Dots per inch of a .png. Default: 150.
    show
        Open the figure afterwards.
    force
        Replace a file that is no earlier figure. Inputs and stores are never replaced.
    """
    from uepgpu.charts.arrange import Arrangement
    from uepgpu.commands.plot import run_plot
    from uepgpu.figures.layout import layout_of

    along = None if x_limits is None else numbers("--x-limits", x_limits)
    up = None if y_limits is None else numbers("--y-limits", y_limits)
    try:
        layout = layout_of(width, height, font, along, up, (x_scale, y_scale), dash="--", between="-")
    except ValueError as error:
        raise Failure(str(error)) from None
    return run_plot(
        stores,
        kind=kind,
        output=output,
        sweep=sweep,
        series=series or (),
        where=where or (),
        at=() if at is None else numbers("--at", at),
        x=x,
        y=y,
        bound=bound,
        arrangement=Arrangement(
            tuple(panel or ()), (), dict(rename or ()), "" if no_title else title, x_scale, y_scale, x_label, y_label
        ),
        layout=layout,
        style=style,
        dots_per_inch=dpi,
        show=show,
        force=force,
    )
