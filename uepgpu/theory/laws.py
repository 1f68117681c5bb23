"""From a code's law of supports to the joint law of counts, by deadline or by received packets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.latency import Trace
from uepgpu.theory.count_laws import (
    MOST_MIXED,
    CountLaw,
    DrawnCounts,
    DrawnUnequalWorkers,
    MixedCounts,
    ReceivedTiedCounts,
    TiedCounts,
)
from uepgpu.theory.in_turn import MOST_CELLS, JointCounts, add_worker, messages_of_a_worker
from uepgpu.theory.received import received_law, sent_by_worker
from uepgpu.theory.structure import Structure, no_closed_form

if TYPE_CHECKING:
    from uepgpu.codes.supports import SupportLaw
    from uepgpu.workers import Workers

__all__ = ["MOST_DIFFERENT", "deadline_counts", "received_counts"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_DIFFERENT = 10_000
"""Workers that are not all alike: the time that their closed forms take grows with the square of their number."""


def _membership(law: SupportLaw, structure: Structure) -> Floats:
    """Pr[a drawn packet has window s], as a matrix (S, units) that sorts it into units."""
    assert law.probabilities is not None
    # Probabilities are accepted if they sum to 1 within 1e-9; what is left over belongs to no cell.
    share = law.probabilities / law.probabilities.sum()
    return np.where(structure.unit_of_window[:, None] == np.arange(structure.n_units), share[:, None], 0.0)


def received_counts(law: SupportLaw, structure: Structure, received: Ints) -> CountLaw:
    """Return the law of counts among N received packets: N drawn ones, or those of N workers chosen uniformly."""
    if law.window is not None:
        return ReceivedTiedCounts(np.bincount(structure.unit_of_window[law.window], minlength=structure.n_units), received)
    cells = np.broadcast_to(_membership(law, structure).sum(axis=0), (received.size, structure.n_units))
    return DrawnCounts(cells, np.zeros(received.size), received)


def deadline_counts(law: SupportLaw, structure: Structure, workers: Workers, deadlines: Floats, code: Any) -> CountLaw:
    """Return the law of counts by every deadline, packets of window s having arrived with probability F(Ω t speed / r_s)."""
    k = law.n_subproducts
    charged_alike = workers.work == "unit" or law.equal_work
    if law.by_message is not None:
        return _in_turn(law, structure, workers, deadlines, code)
    if not workers.independent and not (law.exchangeable and charged_alike):
        what = "packets of unequal work" if law.exchangeable else "packets tied to workers"
        raise no_closed_form(code, f"a set of {what} whose arrivals are not independent")
    if not workers.independent and workers.n_packets > MOST_MIXED:
        what = "workers" if workers.messages == 1 else "packets"
        raise no_closed_form(code, f"a set of {workers.n_packets:,} {what} (at most {MOST_MIXED:,}) that are not independent")
    if law.window is None and not workers.alike and workers.count > MOST_DIFFERENT:
        raise no_closed_form(code, f"a set of {workers.count:,} workers, of which at most {MOST_DIFFERENT:,} may differ,")
    if (law.window is None or not workers.independent) and not workers.alike and charged_alike:
        chance = received_law(workers, deadlines, k, int(law.occurring_work[0]))
        # Tied packets are all alike here, so there is one unit.
        return MixedCounts(np.ones(1) if law.window is not None else _membership(law, structure).sum(axis=0), chance)
    if law.window is not None:
        return _tied_counts(law.window, law.work, structure, workers, deadlines, k)
    share = _membership(law, structure)
    kinds, number = workers.kinds()
    arrived = [workers.arrival(deadlines[:, None], k, law.work, *kind) for kind in kinds]
    late = [workers.absence(deadlines[:, None], k, law.work, *kind) for kind in kinds]
    if workers.identical:
        total = np.full(deadlines.size, workers.count)
        return DrawnCounts(arrived[0] @ share, late[0] @ share.sum(axis=1), total)
    if structure.kind != "disjoint":
        raise no_closed_form(code, "a chain of drawn windows of unequal work at workers of different speeds or laws")
    cells = np.stack([a @ share for a in arrived], axis=1)[:, number]
    absent = np.stack([a @ share.sum(axis=1) for a in late], axis=1)[:, number]
    return DrawnUnequalWorkers(cells, absent)


def _in_turn(law: SupportLaw, structure: Structure, workers: Workers, deadlines: Floats, code: Any) -> CountLaw:
    """Return the joint law of counts, as far as decoding can use them, where messages differ in their law of windows."""
    if isinstance(workers.latency, Trace) or (workers.racks is not None and workers.racks.probability > 0):
        raise no_closed_form(code, "a set of messages in turn of workers that do not answer independently")
    if workers.work == "true" and not law.equal_work:
        raise no_closed_form(code, "a set of messages in turn of unequal work")
    caps = structure.sizes if structure.kind == "disjoint" else np.cumsum(structure.sizes)
    cells = int(np.prod(caps + 1.0))
    if law.field != "generic" or cells > MOST_CELLS:
        raise no_closed_form(
            code, f"a set of messages in turn over {law.field} coefficients, with {cells:,} combinations of counts"
        )
    assert law.by_message is not None
    member = structure.unit_of_window[:, None] == np.arange(structure.n_units)
    share = law.by_message @ member
    share /= share.sum(axis=1, keepdims=True)
    kinds, number = workers.kinds()
    sure = replace(workers, loss_probability=0.0)
    joint = np.zeros((deadlines.size, *(caps + 1).tolist()))
    joint.reshape(deadlines.size, -1)[:, 0] = 1.0
    for kind, count in zip(kinds, np.bincount(number).tolist(), strict=True):
        sent = sent_by_worker(sure, kind, deadlines, law.n_subproducts, int(law.occurring_work[0]))
        of_one = messages_of_a_worker(sent, share, workers.loss_probability)
        for _ in range(count):
            joint = add_worker(joint, of_one)
    return JointCounts(joint)


def _tied_counts(window: Ints, work: Ints, structure: Structure, workers: Workers, deadlines: Floats, k: int) -> CountLaw:
    unit = structure.unit_of_window[window]
    kinds, number = workers.kinds()
    alike, size = np.unique(np.stack([unit, work[window], number], axis=1), axis=0, return_counts=True)
    groups: list[list[tuple[int, Floats, Floats]]] = [[] for _ in range(structure.n_units)]
    for (u, r, kind), count in zip(alike.tolist(), size.tolist(), strict=True):
        arrived = workers.arrival(deadlines, k, r, *kinds[kind])
        late = workers.absence(deadlines, k, r, *kinds[kind])
        groups[u].append((count, arrived, late))
    return TiedCounts(groups)
