"""``uepgpu best``."""

from __future__ import annotations

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Count, Piped, number

__all__ = ["best"]


@app.command
def best(
    store: str,
    /,
    *,
    at: str | None = None,
    loss: str | None = None,
    by: str | None = None,
    top: Count = 10,
    sweep: str | None = None,
    series: list[str] | None = None,
    where: list[str] | None = None,
    csv: Piped | None = None,
    force: bool = False,
) -> int:
    """Say which point is best: the least loss at a deadline, or the earliest deadline for a loss.

    Points of one partition and work model are compared with each other. Each answer has its 95 % interval, and those
    that are within error of the best say so.

    Parameters
    ----------
    store
        The file that "uepgpu sweep --store" wrote.
    at
        Rank by the normalized loss at this deadline. Points simulated by the number of packets received answer for any
        deadline, others for those of their own.
    loss
        Rank by the deadline at which the normalized loss falls to this. Points simulated by deadline answer with one of
        theirs.
    by
        The best point for each value of an axis of the grid: gamma, workers, omega, code, classes, copies, ...
    top
        How many points of each ranking to print.
    sweep
        Which sweep of the store; needed where it has several.
    series
        Only series of this label, in which * stands for anything. May be given several times.
    where
        Only points with this on an axis of the grid: workers>=20, code=ew,now, gamma=0.4/*. May be given several times.
    csv
        A .csv file for the whole ranking; "-" prints it instead of the tables.
    force
        Replace a file that is no earlier ranking. Inputs and stores are never replaced.
    """
    from uepgpu.commands.best import run_best

    return run_best(
        store,
        at=None if at is None else number("--at", at, "a number"),
        loss=None if loss is None else number("--loss", loss, "a number"),
        by=by,
        top=top,
        sweep=sweep,
        series=series or (),
        where=where or (),
        csv=csv,
        force=force,
    )
