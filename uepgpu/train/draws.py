"""Which sub-products are decoded in every step: realizations of the simulator, drawn many steps at a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import Sampler, get_backend
from uepgpu.partition import Partition
from uepgpu.plan import Plan, make_plan, resolve_decoder
from uepgpu.train.probability import decoding_scale
from uepgpu.train.scheme import Scheme

__all__ = [
    "CHUNK",
    "MOST_LAYERS",
    "MOST_REPLICAS",
    "Draws",
    "Factors",
    "StackDraws",
    "draws_of",
    "realization_number",
    "seed_of_layer",
]

Floats = NDArray[np.float64]

REPLICA_SHIFT, SLOT_SHIFT = 48, 40
MOST_REPLICAS, MOST_SLOTS, MOST_STEPS = 1 << 16, 1 << 8, 1 << SLOT_SHIFT
MOST_LAYERS = MOST_SLOTS // 2
"""Dense layers whose products one seed tells apart."""
CHUNK = 512
"""Steps that are drawn at once. Realizations are functions of their number alone, so this changes no result."""

MOST_TABLES = 256
"""Plans that are kept, of about 10 kB each: classes that follow the data may change in every step."""


def realization_number(replica: int, step: int, slot: int) -> int:
    """Return replica·2⁴⁸ + slot·2⁴⁰ + step, the number of a product's realization: a frozen layout.

    `slot` is 2·layer for δ·Wᵀ and 2·layer + 1 for Xᵀ·δ, dense layers being counted from 0 from the input, coded or not. Of layers
    beyond 127, layer mod 128 counts, under another seed (:func:`seed_of_layer`).

    Examples
    --------
    >>> realization_number(1, 5, 2) == 2**48 + 2 * 2**40 + 5
    True
    """
    for name, value, most in (("replica", replica, MOST_REPLICAS), ("slot", slot, MOST_SLOTS), ("step", step, MOST_STEPS)):
        if not 0 <= value < most:
            raise ValueError(f"{name} must be in 0..{most - 1}, got {value}")
    return (replica << REPLICA_SHIFT) + (slot << SLOT_SHIFT) + step


def seed_of_layer(seed: int, layer: int) -> int:
    """Return seed + ⌊layer/128⌋·φ mod 2⁶⁴, φ = 2⁶⁴ over the golden ratio: the seed of a layer's draws, a frozen layout.

    Examples
    --------
    >>> seed_of_layer(7, 127), hex(seed_of_layer(7, 128))
    (7, '0x9e3779b97f4a7c1c')
    """
    return (seed + layer // MOST_LAYERS * 0x9E3779B97F4A7C15) % 2**64


class Factors(NamedTuple):
    """Factors of the sub-products in the estimate, (K,): 0 where not decoded; whether any is not 0, and whether all are 1."""

    values: Floats
    some: bool
    whole: bool


@dataclass(frozen=True, eq=False)
class _Drawn:
    plan: Plan
    part: Partition
    sampler: Sampler


@dataclass(eq=False)
class Draws:
    """The realizations of one scheme and replica.

    Attributes
    ----------
    scheme : Scheme
    replica : int
    handle : int
        What :func:`draws_of` knows it by, in this process; of copies, others.
    """

    scheme: Scheme
    replica: int = 0
    _chunks: dict[int, tuple[int, list[Factors]]] = field(default_factory=dict, repr=False)
    _tables: dict[bytes, _Drawn] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        realization_number(self.replica, 0, 0)
        self.scale = decoding_scale(self.scheme)
        self.by_position = self._drawn(None)
        self.scales = self.scheme.scales
        self.handle = next(_HANDLES)
        _HELD[self.handle] = self

    def __reduce__(self) -> tuple[type[Draws], tuple[Scheme, int]]:
        """Let copies and pickles make plans and samplers anew: these hold compiled functions and no state."""
        return Draws, (self.scheme, self.replica)

    def _drawn(self, table: NDArray[np.int64] | None) -> _Drawn:
        """Return the plan for classes by position, or those of a table."""
        key = b"" if table is None else table.tobytes()
        drawn = self._tables.pop(key, None)
        if drawn is None:
            scheme = self.scheme
            part = scheme.partition if table is None else scheme.partition_of(table)
            plan = make_plan(scheme.code, part, scheme.workers, seed=scheme.seed, deadlines=[scheme.time])
            chosen = get_backend("auto", part.n_subproducts, realizations=1)  # a few a step
            sampler = chosen.sampler(plan, resolve_decoder(plan, "auto"), "patterns", 1)
            drawn = _Drawn(plan, part, sampler)
            if len(self._tables) >= MOST_TABLES:
                del self._tables[next(iter(self._tables))]
        self._tables[key] = drawn  # put last: the first is then the least recently used
        return drawn

    def plan_of(self, table: NDArray[np.int64] | None) -> tuple[Plan, Partition]:
        """Return the plan and the partition of classes by position, or of a table of class numbers."""
        drawn = self._drawn(table)
        return drawn.plan, drawn.part

    def decoded(self, slot: int, step: int, table: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Return which sub-products of a step's product are decoded, shape (K,), for classes by position or those of `table`."""
        drawn = self._drawn(table)
        times = drawn.sampler.decode_times(realization_number(self.replica, step, slot), 1)
        return np.asarray(times[0] < drawn.plan.job.n_times)

    def chunk(self, slot: int, number: int) -> Floats:
        """Return the factors of sub-products in steps number·CHUNK and following, shape (CHUNK, K)."""
        drawn = self.by_position
        first = realization_number(self.replica, number * CHUNK, slot)
        result: Floats = (drawn.sampler.decode_times(first, CHUNK) < drawn.plan.job.n_times) * self.scale
        return result

    def weights(self, slot: int, step: int) -> Factors:
        """Return the factors of a step's sub-products in the estimate, for classes by position."""
        held = self._chunks.get(slot)
        if held is None or held[0] != step // CHUNK:
            rows = self.chunk(slot, step // CHUNK)
            which = zip(rows, (rows != 0).any(axis=1).tolist(), (rows == 1).all(axis=1).tolist(), strict=True)
            held = self._chunks[slot] = (step // CHUNK, [Factors(*row) for row in which])
        return held[1][step % CHUNK]

    def weights_of(self, slot: int, step: int, table: NDArray[np.int64]) -> Factors:
        """Return the factors of a step's sub-products in the estimate, for the classes of a table."""
        row: Floats = self.decoded(slot, step, table) * self.scale
        return Factors(row, bool(row.any()), bool((row == 1).all()))


_HANDLES = itertools.count()
_HELD: WeakValueDictionary[int, Draws] = WeakValueDictionary()
"""Operators of compiled graphs take tensors and numbers, no objects: a number stands for the draws, as long as a layer has them."""


def draws_of(handle: int) -> Draws:
    """Return the draws with this handle.

    Raises
    ------
    RuntimeError
        Their layer is gone.
    """
    draws = _HELD.get(handle)
    if draws is None:
        raise RuntimeError("uepgpu: the coded layer behind this graph is gone: keep the model that was compiled or traced")
    return draws


class StackDraws:
    """The factors of all members of a stack, by slot and step; None is a member with exact products."""

    def __init__(self, members: Sequence[Draws | None], n_subproducts: int) -> None:
        self.members, self.exact = list(members), np.ones((CHUNK, n_subproducts))
        self._chunks: dict[int, tuple[int, Floats]] = {}

    def weights(self, slot: int, step: int) -> Floats:
        """Return the factors of every member's sub-products, shape (members, K)."""
        at, rows = self._chunks.get(slot, (-1, np.zeros(0)))
        if at != step // CHUNK:
            at = step // CHUNK
            rows = np.stack([self.exact if draws is None else draws.chunk(slot, at) for draws in self.members], axis=1)
            self._chunks[slot] = (at, rows)
        result: Floats = rows[step % CHUNK]
        return result
