"""What a design returns."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import shown
from uepgpu.codes import Code
from uepgpu.partition import Partition
from uepgpu.text.html import Described
from uepgpu.text.variables import dataset as labelled
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Design"]


@dataclass(frozen=True, eq=False)
class Design(Described):
    """The best that a search has found.

    Attributes
    ----------
    code, part, workers : Code, Partition, Workers or None
        What was designed is in one of them; the others are those given.
    deadlines : (points,) float64 or None
    what : str
        What was optimised.
    objective : float
        Its value for the design.
    low, high : float
        A 95 % interval of it; both equal it where it is exact.
    baseline : float
        Its value for what was given.
    tried : Dataset
        The candidates with their ``objective``, over ``candidate``, the best one first.

    Examples
    --------
    >>> import uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[9, 4, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> code = uep.codes.NonOverlappingWindow((0.5, 0.5))
    >>> best = uep.design.gamma(code, part, uep.Workers(6, omega="fair"), deadlines=1.0)
    >>> [round(x, 3) for x in best.gamma], round(best.objective, 4), round(best.baseline, 4)
    ([1.0, 0.0], 0.3891, 0.4814)
    """

    code: Code
    part: Partition
    workers: Workers | None
    deadlines: NDArray[np.float64] | None
    what: str
    objective: float
    low: float
    high: float
    baseline: float
    tried: xr.Dataset

    @property
    def gamma(self) -> tuple[float, ...]:
        """Window selection probabilities of the code, which may call them probabilities."""
        found = getattr(self.code, "gamma", None) or getattr(self.code, "probabilities", None)
        if found is None:
            raise AttributeError(f"{type(self.code).__name__} has no window selection probabilities")
        return tuple(found)

    @property
    def exact(self) -> bool:
        """Whether the objective is exact, and no estimate."""
        return self.low == self.high

    def __repr__(self) -> str:
        interval = "" if self.exact else f" ({self.low:.5g} to {self.high:.5g})"
        return (
            f"Design({self.what} {self.objective:.5g}{interval}, baseline {self.baseline:.5g}, "
            f"{self.tried.sizes['candidate']} tried: {short(self.code)})"
        )


def short(code: Any) -> str:
    """Return a code's description: what differs from its defaults, probabilities cut to four digits.

    Examples
    --------
    >>> from uepgpu.codes import ExpandingWindow
    >>> short(ExpandingWindow((1 / 3, 1 / 3, 1 / 3), windows="fixed"))
    "ExpandingWindow(gamma=(0.3333, 0.3333, 0.3333), windows='fixed')"
    """
    if not is_dataclass(code):
        return shown(code)
    parts = []
    for field in fields(code):
        value = getattr(code, field.name)
        if field.default is MISSING or shown(value) != shown(field.default):
            numbers = isinstance(value, tuple) and all(isinstance(x, float) for x in value)
            parts.append(f"{field.name}={shown(tuple(round(x, 4) for x in value) if numbers else value)}")
    return f"{type(code).__name__}({', '.join(parts)})"


def candidates(objective: Any, **columns: Any) -> xr.Dataset:
    """Return what was tried as a Dataset; a column is an array over candidates, or a pair (dimensions behind it, array)."""
    variables: dict[str, Any] = {"objective": (("candidate",), np.asarray(objective, dtype=np.float64))}
    for name, column in columns.items():
        behind, array = column if isinstance(column, tuple) else ((), column)
        variables[name] = (("candidate", *behind), np.asarray(array))
    return labelled(variables)
