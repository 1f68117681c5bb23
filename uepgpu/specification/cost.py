"""A warning where a specification leaves the cost of packets to the default, and that default makes its codes hopeless."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

__all__ = ["CostWarning", "warn_of_stacked"]


class CostWarning(UserWarning):
    """The cost model makes a code hopeless, and nothing in the specification says that this is meant."""


def warn_of_stacked(found: Sequence[tuple[str, int]], n_subproducts: int) -> None:
    """Warn once of codes whose packets stack several block products that their workers are charged for.

    Parameters
    ----------
    found : sequence of (str, int)
        What people call a point, and the block products that its largest packet takes. Empty: no warning.
    n_subproducts : int
        K.
    """
    if not found:
        return
    name, work = max(found, key=lambda pair: pair[1])
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    warnings.warn(
        f"{name}{others}: a stacked packet takes up to {work} of {n_subproducts} block products, and by default all are charged. "
        'Write work = "true" if that is meant, work = "unit" to charge one, or use rxc with encoding = "factored", whose packets '
        "take one (docs/cost-models.md)",
        CostWarning,
        stacklevel=4,
    )
