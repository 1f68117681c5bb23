"""``uepgpu replay``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from uepgpu.checks import WORD64, word64
from uepgpu.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

__all__ = ["replay"]


def _realization(type_: Any, tokens: Sequence[Token]) -> int:
    try:
        return word64("REALIZATION", int(tokens[0].value))
    except ValueError:
        raise ValueError(f"REALIZATION must be {WORD64}, got {tokens[0].value!r}") from None


Realization = Annotated[int, Parameter(converter=_realization, allow_leading_hyphen=True)]


@app.command
def replay(store: str, point: str, realization: Realization, /, *, json: bool = False) -> int:
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
    json
        Print JSON, with everything that the tables leave out.
    """
    from uepgpu.commands.replay import run_replay

    return run_replay(store, point, realization, as_json=json)
