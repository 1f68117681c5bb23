"""A warning where the cost of packets is left to the default, and that default makes a code hopeless."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from uepgpu.checks import shown
from uepgpu.codes.baselines import MDS
from uepgpu.codes.uep import ExpandingWindow, NonOverlappingWindow
from uepgpu.workers.work import LeftOpen

if TYPE_CHECKING:
    from uepgpu.codes.law import Code
    from uepgpu.codes.supports import SupportLaw
    from uepgpu.workers import Workers

__all__ = ["CostWarning", "costly_packets", "warn_of_default", "warn_of_stacked"]

WINDOWED = (NonOverlappingWindow, ExpandingWindow, MDS)
"""Codes for which another encoding makes packets that cost 1."""


class CostWarning(UserWarning):
    """The cost model makes a code hopeless, and nothing says that this is meant: ``work`` was left to its default.

    Examples
    --------
    >>> import warnings, uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[1] * 3, right_variances=[1] * 3, classes=(3,))
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     found = uep.theory.loss(uep.codes.MDS(), part, uep.Workers(9), deadlines=[0.5])
    ...     found = uep.theory.loss(uep.codes.MDS(), part, uep.Workers(9, work="true"), deadlines=[0.5])
    >>> [w.category.__name__ for w in caught]
    ['CostWarning']
    """


def costly_packets(code: Code, law: SupportLaw) -> int:
    """Return how many block products the largest packet of a code stacks, where another encoding would take one; else 1."""
    return int(law.occurring_work.max()) if isinstance(code, WINDOWED) and law.encoding == "stacked" else 1


def warn_of_stacked(found: Sequence[tuple[str, int]], n_subproducts: int) -> None:
    """Warn once of codes whose packets stack several block products that their workers are charged for.

    Parameters
    ----------
    found : sequence of (str, int)
        What people call a point, and the block products that its largest packet takes. Empty: no warning.
    n_subproducts : int
        K.
    """
    if found:
        name, work = max(found, key=lambda pair: pair[1])
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        _warn(f"{name}{others}", work, n_subproducts, " = ")


def warn_of_default(code: Code, law: SupportLaw, workers: Workers) -> None:
    """Warn of a code whose packets stack several block products, if it was left open what workers are charged for them.

    Python shows such a warning once for each line of a program.
    """
    work = costly_packets(code, law)
    if work > 1 and isinstance(workers.work, LeftOpen):
        _warn(shown(code), work, law.n_subproducts, "=")


def _warn(name: str, work: int, n_subproducts: int, equals: str) -> None:
    warnings.warn(
        f"{name}: a stacked packet takes up to {work} of {n_subproducts} block products, and by default all are charged. Write "
        f'work{equals}"true" if that is meant, work{equals}"unit" to charge one, or use rxc with encoding{equals}"factored", whose '
        "packets take one (docs/cost-models.md)",
        CostWarning,
        stacklevel=_level_of_caller(),
    )


def _level_of_caller() -> int:
    """Return the stack level of whoever called this library, as seen by the function that called this one."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "uepgpu":
        level, frame = level + 1, frame.f_back
    return level
