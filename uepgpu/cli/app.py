"""The application that every command registers with."""

from __future__ import annotations

from cyclopts import App, Parameter

from uepgpu import __version__

__all__ = ["app"]

DESCRIPTION = """Straggler mitigation by unequal error protection codes in distributed approximate matrix multiplication.

How much of a matrix product is lost when slow workers miss the deadline? uepgpu answers by exact formulas where there
are any, and by simulation with error bars everywhere.

Start with: uepgpu sweep paper
"""

app = App(
    name="uepgpu",
    help=DESCRIPTION,
    help_format="markdown",
    version=__version__,
    # A flag is given or not: no --no-FLAG, no --empty-LIST beside it, and no word on what it is when it is not given.
    default_parameter=Parameter(negative=(), show_default=lambda value: None if value is False else value),
)
