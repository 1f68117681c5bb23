"""Which sub-products are decoded in every step: realizations of the simulator, drawn many steps at a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from uepgpu.backends import Sampler, get_backend
from uepgpu.codes.law import support_law
from uepgpu.partition import Partition
from uepgpu.plan import Plan, make_plan, resolve_decoder
from uepgpu.train.blocks import scaling
from uepgpu.train.probability import decoding_scale
from uepgpu.train.rounds import Rounds, State
from uepgpu.train.scheme import Scheme
from uepgpu.workers import Workers

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

MOST_TABLES = 2 * CHUNK
"""Plans that are kept, of about 10 kB each: classes that follow the data, racks and rows of a trace may change in every step."""


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
    _tables: dict[tuple[bytes, State], _Drawn] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        realization_number(self.replica, 0, 0)
        self.scale = decoding_scale(self.scheme)
        self.rounds = Rounds(self.scheme.workers, self.scheme.seed, self.replica, _limits(self.scheme))
        self._drawn(None, self.state(0))  # what the plan refuses is refused here
        self.scales = self.scheme.scales
        self.handle = next(_HANDLES)
        _HELD[self.handle] = self

    def __reduce__(self) -> tuple[type[Draws], tuple[Scheme, int]]:
        """Let copies and pickles make plans and samplers anew: these hold compiled functions and no state."""
        return Draws, (self.scheme, self.replica)

    def state(self, step: int) -> State:
        """Return the round that all products of a step meet."""
        return self.rounds.states(np.array([step], dtype=np.uint64), realization_number(self.replica, 0, 0))[0]

    def workers_of(self, step: int) -> Workers:
        """Return the workers of a step, who are independent."""
        return self.rounds.of(self.state(step))

    def _drawn(self, table: NDArray[np.int64] | None, state: State) -> _Drawn:
        """Return the plan for classes by position, or those of a table, and the workers of a round."""
        key = b"" if table is None else table.tobytes(), state
        drawn = self._tables.pop(key, None)
        if drawn is None:
            scheme = self.scheme
            part = scheme.partition if table is None else scheme.partition_of(table)
            plan = make_plan(scheme.code, part, self.rounds.of(state), seed=scheme.seed, deadlines=[scheme.time])
            chosen = get_backend("auto", part.n_subproducts, realizations=1)  # a few a step
            sampler = chosen.sampler(plan, resolve_decoder(plan, "auto"), "patterns", 1)
            drawn = _Drawn(plan, part, sampler)
            if len(self._tables) >= MOST_TABLES:
                del self._tables[next(iter(self._tables))]
        self._tables[key] = drawn  # put last: the first is then the least recently used
        return drawn

    def plan_of(self, table: NDArray[np.int64] | None, step: int) -> tuple[Plan, Partition]:
        """Return the plan of a step and its partition, for classes by position or of a table of class numbers."""
        drawn = self._drawn(table, self.state(step))
        return drawn.plan, drawn.part

    def decoded(self, slot: int, step: int, table: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Return which sub-products of a step's product are decoded, shape (K,), for classes by position or those of `table`."""
        drawn = self._drawn(table, self.state(step))
        times = drawn.sampler.decode_times(realization_number(self.replica, step, slot), 1)
        return np.asarray(times[0] < drawn.plan.job.n_times)

    def chunk(self, slot: int, number: int) -> Floats:
        """Return the factors of sub-products in steps number·CHUNK and following, shape (CHUNK, K)."""
        first = number * CHUNK
        steps = np.arange(first, first + CHUNK, dtype=np.uint64)
        decoded = []
        for state, run in itertools.groupby(self.rounds.states(steps, realization_number(self.replica, 0, 0))):
            count, drawn = len(list(run)), self._drawn(None, state)
            decoded.append(
                drawn.sampler.decode_times(realization_number(self.replica, first, slot), count) < drawn.plan.job.n_times
            )
            first += count
        result: Floats = np.concatenate(decoded) * self.scale
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


def _limits(scheme: Scheme) -> Floats:
    """Return how long a unit of work may take for packets of the works that occur to meet the deadline, ascending."""
    part, workers = scheme.partition, scheme.workers
    works = np.unique(support_law(scheme.code, part, workers.count).occurring_work)
    return np.unique(workers.unit_time(scheme.time, part.n_subproducts, works, 1.0))


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
        self._sent: dict[int, tuple[object, Tensor]] = {}

    def weights(self, slot: int, step: int) -> Floats:
        """Return the factors of every member's sub-products, shape (members, K)."""
        at, rows = self._chunks.get(slot, (-1, np.zeros(0)))
        if at != step // CHUNK:
            at = step // CHUNK
            rows = np.stack([self.exact if draws is None else draws.chunk(slot, at) for draws in self.members], axis=1)
            self._chunks[slot] = (at, rows)
        result: Floats = rows[step % CHUNK]
        return result

    def factors(self, slot: int, step: int, like: Tensor) -> Tensor:
        """Return the same to multiply tensors like this one with, where it is: many steps are sent there at once."""
        key = step // CHUNK, like.device, like.dtype
        known, sent = self._sent.get(slot, (None, like))
        if known != key:
            self.weights(slot, step)  # draws the chunk
            sent = scaling(self._chunks[slot][1], like)
            self._sent[slot] = key, sent
        return sent[step % CHUNK]
