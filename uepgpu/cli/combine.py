"""``uepgpu combine``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from uepgpu.cli.app import app

__all__ = ["combine"]


@app.command
def combine(*stores: str, output: Annotated[str, Parameter(name=("--output", "-o"))]) -> int:
    """Put several stores into a new one, or save what a damaged one still holds.

    Realizations that are in several stores are counted once, and must agree.

    Parameters
    ----------
    stores
        Files that "uepgpu sweep" wrote. They are not changed.
    output
        The new store; it must not exist.
    """
    from uepgpu.commands.combine import run_combine

    return run_combine(stores, output)
