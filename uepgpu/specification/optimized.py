"""What a series of a sweep leaves to be found: ``optimize = {gamma = ...}``, the best Γ of every point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from uepgpu.checks import choice
from uepgpu.codes import Code, ExpandingWindow, NonOverlappingWindow
from uepgpu.design import gamma
from uepgpu.design.objective import ACROSS, OBJECTIVES, check_choices
from uepgpu.partition import Partition
from uepgpu.specification.describe import located
from uepgpu.specification.fields import SpecError, TomlTable, deadlines, number, text
from uepgpu.specification.keys import names
from uepgpu.specification.sweep_keys import OPTIMIZE
from uepgpu.workers import Workers

__all__ = ["Optimized", "parse_optimized"]

DIGITS = 4
"""Decimals of the Γ that is taken: more change the loss by nothing that can be seen, and might differ between machines."""


@dataclass(frozen=True)
class Optimized:
    """How the Γ of every point is found; fields as the arguments of :func:`uepgpu.design.gamma`.

    Attributes
    ----------
    deadlines : tuple of float
    objective, q, x, across
    """

    deadlines: tuple[float, ...]
    objective: str = "loss"
    q: float | None = None
    x: float | None = None
    across: str = "mean"

    def best(self, code: Code, part: Partition, workers: Workers, where: str) -> Code:
        """Return the code with its best Γ for this partition and these workers, to four decimals."""
        options: dict[str, Any] = {"objective": self.objective, "q": self.q, "x": self.x, "across": self.across}
        with located(where):
            try:
                found = gamma(code, part, workers, deadlines=self.deadlines, **options)
            except NotImplementedError as error:
                raise SpecError(f"{where}: {error}") from None
        shares = np.round(np.asarray(found.gamma), DIGITS)
        shares[np.argmax(shares)] += 1.0 - shares.sum()
        assert isinstance(code, ExpandingWindow | NonOverlappingWindow)
        return replace(code, gamma=tuple(shares.round(DIGITS).tolist()))


def parse_optimized(where: str, data: Any) -> Optimized:
    """Return what a table ``optimize`` asks for.

    Raises
    ------
    SpecError
        With one line that says which key is wrong, what was given and what is allowed.

    Examples
    --------
    >>> parse_optimized("series 'EW': optimize", {"gamma": [0.3, 0.6], "across": "minimax"})
    Optimized(deadlines=(0.3, 0.6), objective='loss', q=None, x=None, across='minimax')
    """
    table = TomlTable(where, data, names(OPTIMIZE))
    times = table.get("gamma", _times)
    objective, across = table.get("objective", text, "loss"), table.get("across", text, "mean")
    q, x = table.get("q", number, None), table.get("x", number, None)
    with located(where):
        choice("objective", objective, OBJECTIVES)
        choice("across", across, ACROSS)
        check_choices(objective, across, q, x)
    return Optimized(times, objective, q, x, across)


def _times(key: str, value: Any) -> tuple[float, ...]:
    """Return a deadline, or several, at which Γ is to be best."""
    return deadlines(key, value if isinstance(value, list | dict) else [number(key, value)])
