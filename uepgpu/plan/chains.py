"""Chains of windows: where windows are disjoint or nested, decoding is counting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chains", "find_chains"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chains:
    """Windows in chains: those of one chain are nested, those of different chains disjoint.

    Attributes
    ----------
    order : (S,) int64
        The windows chain by chain, smallest first. The other attributes are in this order.
    capacity : (S,) int64
        Window sizes.
    start : (S,) bool
        Whether a window begins a chain.
    unit_of : (K,) int64
        The increment (window less its predecessor) that holds each sub-product, or -1. An increment is decoded as a whole.
    class_unit : (L,) int64
        The increment that holds each class whole, or -1 where no window does; empty where some class is split.
    """

    order: Ints
    capacity: Ints
    start: NDArray[np.bool_]
    unit_of: Ints
    class_unit: Ints

    @property
    def class_wise(self) -> bool:
        """Whether every class is decoded as a whole."""
        return self.class_unit.size > 0


def find_chains(supports: NDArray[np.bool_], classes: Ints) -> Chains | None:
    """Return the chains of distinct `supports` (S, K), or None where some windows overlap or a window holds two disjoint ones."""
    sizes = supports.sum(axis=1)
    chains: list[list[int]] = []
    for s in np.argsort(sizes, kind="stable"):
        met = [chain for chain in chains if np.any(supports[chain[-1]] & supports[s])]
        if not met:
            chains.append([int(s)])
        elif len(met) == 1 and np.all(supports[s] >= supports[met[0][-1]]):
            met[0].append(int(s))
        else:
            return None
    chains.sort(key=lambda chain: chain[0])
    order = np.array([s for chain in chains for s in chain], dtype=np.int64)
    start = np.array([i == 0 for chain in chains for i in range(len(chain))])
    unit_of = np.full(supports.shape[1], -1, dtype=np.int64)
    for unit in range(order.size - 1, -1, -1):
        unit_of[supports[order[unit]]] = unit
    class_unit = []
    for c in range(1, int(classes.max()) + 1):
        units = set(unit_of[classes == c].tolist())
        class_unit.append(units.pop() if len(units) == 1 else None)
    whole = [u for u in class_unit if u is not None]
    return Chains(
        order,
        sizes[order].astype(np.int64),
        start,
        unit_of,
        np.array(whole if len(whole) == len(class_unit) else [], dtype=np.int64),
    )
