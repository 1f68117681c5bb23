"""``uepgpu replay``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from uepgpu.cli.app import app
from uepgpu.cli.arguments import word64

__all__ = ["replay"]

Realization = Annotated[int, Parameter(converter=word64("REALIZATION"), allow_leading_hyphen=True)]


@app.command
def replay(store: str, point: str, realization: Realization, /, *, round: int | None = None, json: bool = False) -> int:
    """Print one realization of a stored point in full: draws, packets, order of arrival, every decoding step, loss.

    The steps are told by plain code that is not the kernels', and compared with a kernel; exit code 1 if they differ.

    Parameters
    ----------
    store
        The file that "uepgpu sweep --store" wrote.
    point
        The beginning of the point's id, or its label where only one point has it.
    realization
        The realization's number; also one that the store does not hold, as seed and number decide it.
    round
        Of a point with rounds: tell this round in full, counted from 0. Default: a line for every round of the trajectory.
    json
        Print JSON, with everything that the tables leave out.
    """
    from uepgpu.commands.replay import run_replay

    return run_replay(store, point, realization, number=round, as_json=json)
