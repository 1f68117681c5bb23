"""The structure of a law's windows that closed forms rest on: pairwise disjoint, or a nested chain."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from uepgpu.codes.supports import SupportLaw

__all__ = ["Structure", "code_name", "no_closed_form", "window_structure"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Structure:
    """Distinct windows that occur, and the units of sub-products that are decoded as a whole.

    There is one unit per window: the window itself if windows are disjoint, what it adds to the window before it in
    a chain W_1 ⊂ W_2 ⊂ ….

    Attributes
    ----------
    kind : "disjoint" or "chain"
    unit_of_window : (S,) int64
        Unit of every window of the law; -1 for a window that never occurs.
    unit_of : (K,) int64
        Unit of every sub-product; `n_units` for one in no window, which is never decoded.
    sizes : (n_units,) int64
        Number of sub-products in every unit, each >= 1.
    """

    kind: Literal["disjoint", "chain"]
    unit_of_window: Ints
    unit_of: Ints
    sizes: Ints

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.sizes.size)


def code_name(code: Any) -> str:
    """Return the code's repr, cut to one readable line."""
    return textwrap.shorten(repr(code), 120, placeholder=" …")


def no_closed_form(code: Any, what: str) -> NotImplementedError:
    """Return the error to raise for a code without a closed form; `what` says which part of it has none."""
    return NotImplementedError(f"{what} has no closed form here ({code_name(code)}): use uepgpu.simulate")


def window_structure(law: SupportLaw, code: Any) -> Structure:
    """Return the structure of the law's windows.

    Raises
    ------
    NotImplementedError
        The law has given coefficients or drawn degrees, or its windows are neither disjoint nor nested.
    """
    if law.generator is not None:
        raise no_closed_form(code, "a code with a given generator matrix")
    if law.supports is None:
        raise no_closed_form(code, "a code of drawn degrees (LT)")
    table = law.supports
    if law.window is not None:
        occurs = np.isin(np.arange(len(table)), law.window)
    else:
        assert law.probabilities is not None
        occurs = law.probabilities > 0
    distinct: dict[bytes, list[int]] = {}
    for s in np.flatnonzero(occurs):
        distinct.setdefault(table[s].tobytes(), []).append(int(s))
    members = sorted(distinct.values(), key=lambda found: int(table[found[0]].sum()))
    supports = table[[found[0] for found in members]]
    unit_of_window = np.full(len(table), -1, dtype=np.int64)
    for unit, found in enumerate(members):
        unit_of_window[found] = unit
    covered = supports.any(axis=0)
    unit_of = np.where(covered, supports.argmax(axis=0), len(members)).astype(np.int64)
    kind: Literal["disjoint", "chain"]
    if np.all(supports.sum(axis=0) <= 1):
        kind = "disjoint"
    elif np.all(supports[:-1] <= supports[1:]):
        kind = "chain"
    else:
        raise no_closed_form(
            code, f"a set of {len(members)} windows (encoding {law.encoding!r}) that are neither disjoint nor nested"
        )
    return Structure(kind, unit_of_window, unit_of, np.bincount(unit_of, minlength=len(members) + 1)[: len(members)])
