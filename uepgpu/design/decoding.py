"""What a code decodes from given counts of its windows: the outcomes of decoding, and the loss of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import instance, shown
from uepgpu.codes import Code, ExpandingWindow, NonOverlappingWindow
from uepgpu.codes.law import support_law
from uepgpu.partition import Partition
from uepgpu.theory.structure import window_structure

__all__ = ["Decoding", "UEPCode", "decoding_of", "uep_code"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
UEPCode = ExpandingWindow | NonOverlappingWindow

MOST_UNITS = 10
"""Disjoint windows have 2^units outcomes."""


@dataclass(frozen=True, eq=False)
class Decoding:
    """Outcomes o of decoding: which units are decoded. Chain: o units, for o = 0..U. Disjoint: those whose bit is set in o.

    A unit is what is decoded as a whole: a window, or what it adds to the window before (docs/mathematics.md §3).

    Attributes
    ----------
    kind : "disjoint" or "chain"
    sizes : (U,) int64
        Sub-products in every unit.
    unit_of_window : (L,) int64
        Unit of the window that Γ_l selects.
    work : (L,) int64
        True work r_l of its packets.
    gram : (U + 1, U + 1) float64
        Gram matrix summed over units, divided by ‖C‖²; last what is in no window.
    undecoded : (O, U + 1) bool
        Which units every outcome leaves undecoded.
    """

    kind: Literal["disjoint", "chain"]
    sizes: Ints
    unit_of_window: Ints
    work: Ints
    gram: Floats
    undecoded: Bools

    @property
    def loss(self) -> Floats:
        """Normalised loss of every outcome, shape (O,)."""
        missing = self.undecoded.astype(np.float64)
        return np.asarray(np.maximum(np.einsum("ou,uv,ov->o", missing, self.gram, missing), 0.0))

    def outcome(self, counts: Ints) -> Ints:
        """Return the outcome of counts of the L windows, shapes (…, L) and (…)."""
        unit = np.zeros((*counts.shape[:-1], self.sizes.size), dtype=np.int64)
        for window, target in enumerate(self.unit_of_window.tolist()):
            unit[..., target] += counts[..., window]
        result = np.zeros(counts.shape[:-1], dtype=np.int64)
        if self.kind == "disjoint":
            return np.asarray(((unit >= self.sizes) << np.arange(self.sizes.size)).sum(axis=-1))
        rank, end = result.copy(), 0
        for i, size in enumerate(self.sizes.tolist()):
            end += size
            rank = np.minimum(rank + unit[..., i], end)
            result[rank == end] = i + 1
        return result


def uep_code(code: Code) -> UEPCode:
    """Return the code if its Γ can be designed, else raise ``ValueError``."""
    if not isinstance(code, UEPCode):
        raise ValueError(f"code must be an ExpandingWindow or a NonOverlappingWindow, whose Γ is designed, got {shown(code)}")
    return code


def decoding_of(code: UEPCode, part: Partition, n_workers: int) -> Decoding:
    """Return what the code decodes, whatever its Γ.

    Raises
    ------
    ValueError
        A code that does not fit the partition, or a product of norm 0, whose loss is nothing to be designed.
    NotImplementedError
        Decoding that counts alone do not decide: finite fields, factored windows.
    """
    instance("part", part, Partition)
    if not part.norm2 > 0:
        raise ValueError(f"part must have a product other than 0, got ‖C‖² = {part.norm2:g}")
    support_law(code, part, n_workers)  # refuses a Γ of the wrong length
    n = len(code.gamma)
    law = support_law(replace(code, gamma=(1 / n,) * n, windows="drawn"), part, n_workers)
    if law.field != "generic":
        raise NotImplementedError(f"designs assume generic coefficients, got coefficients={law.field!r}")
    if law.supports is None or len(law.supports) != n:
        raise NotImplementedError(
            f"a class of several factored windows (window={code.window!r}) has no closed form here: use uepgpu.design.windows"
        )
    structure = window_structure(law, code)
    units = structure.n_units
    member = (structure.unit_of[:, None] == np.arange(units + 1)).astype(np.float64)
    if structure.kind == "chain":
        undecoded = np.arange(units) >= np.arange(units + 1)[:, None]
    elif units > MOST_UNITS:
        raise NotImplementedError(f"at most {MOST_UNITS} disjoint windows are designed here, got {units}")
    else:
        undecoded = (np.arange(1 << units)[:, None] >> np.arange(units)) & 1 == 0
    rest = np.ones((len(undecoded), 1), dtype=np.bool_)
    return Decoding(
        structure.kind,
        structure.sizes,
        structure.unit_of_window,
        law.work,
        member.T @ part.gram @ member / part.norm2,
        np.append(undecoded, rest, axis=1),
    )
