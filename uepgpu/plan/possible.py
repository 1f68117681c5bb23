"""What N received packets can decode, whatever their windows: the counts that are certain, and those that chance decides."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from uepgpu.codes.supports import SupportLaw
from uepgpu.plan.chains import Chains, find_chains
from uepgpu.plan.decoders import decoding_rule
from uepgpu.plan.plan import distinct_windows

__all__ = ["possible_counts"]

Ints = NDArray[np.int64]

NEVER = 2**62
"""More packets than there are."""


def possible_counts(law: SupportLaw, classes: Ints, n_packets: int, kind: str, decoder: str) -> Ints | None:
    """Return for every counter of a tally the numbers N of received packets between which chance decides it.

    Parameters
    ----------
    law : SupportLaw
    classes : (K,) int64
    n_packets : int
        W.
    kind : "patterns", "pairs" or "marginals"
        What is counted.
    decoder : str
        The kernel's decoder, as :func:`uepgpu.plan.resolve_decoder` returns it.

    Returns
    -------
    (counters, 2) int64 or None
        For a class pattern the first and the last N with which it can occur (first > last: it never does). For a pair or a
        single sub-product the first N with which it may not be undecoded any more, and the last one with which it may still be.
        None for codes whose windows are not nested or disjoint, over finite fields, and for decoders that may miss something.

    Notes
    -----
    In a chain of windows of sizes K_1 < K_2 < …, of which at most m_i packets can arrive, increments 1..j are all that is decoded
    with the numbers from K_j to m_1 + … + m_j plus the most that windows j + 1.. can have without decoding more, and with none
    else (docs/mathematics.md §3). Chains add up.

    Examples
    --------
    >>> from uepgpu import Partition, codes
    >>> part = Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> possible_counts(codes.MDS().law(part, 9), part.classes, 9, "patterns", "count").tolist()  # nothing, or all from K = 3 on
    [[0, 2], [0, -1], [0, -1], [3, 9]]
    """
    windows, of_window = distinct_windows(law)
    if law.field != "generic" or windows is None or decoding_rule(decoder) != "generic":
        return None
    chains = find_chains(windows, classes)
    if chains is None:
        return None
    if law.window is not None:
        most = np.bincount(of_window[law.window], minlength=len(windows))
    else:
        assert law.probabilities is not None
        most = np.where(np.bincount(of_window, law.probabilities, len(windows)) > 0, n_packets, 0)
    parts = np.split(np.arange(chains.order.size), np.flatnonzero(chains.start)[1:])
    limits = [most[chains.order[own]] for own in parts]
    states = [_states(chains.capacity[own], limit) for own, limit in zip(parts, limits, strict=True)]
    if kind == "patterns":
        return _patterns(chains, parts, states, n_packets)
    totals = np.array([int(limit.sum()) for limit in limits])
    found = _pairs(chains, parts, states, totals)
    return found if kind == "pairs" else found[np.cumsum(np.arange(1, classes.size + 1)) - 1]


def _states(capacity: Ints, limit: Ints) -> list[tuple[int, int]]:
    """Return the first and the last number of a chain's packets with which increments 1..j are all that is decoded, j = 0.."""
    ends, most = [0, *capacity.tolist()], limit.tolist()
    found = []
    for j in range(len(ends)):
        more = 0
        for i in range(j, len(most)):
            more = min(more + most[i], ends[i + 1] - ends[j] - 1)
        enough = all(sum(most[i:j]) >= ends[j] - ends[i] for i in range(j))
        found.append((ends[j], sum(most[:j]) + more) if enough else (NEVER, -1))
    return found


def _patterns(chains: Chains, parts: list[Ints], states: list[list[tuple[int, int]]], n_packets: int) -> Ints:
    found = np.tile(np.array([NEVER, -1]), (1 << chains.class_unit.size, 1))
    for reached in itertools.product(*(range(len(own)) for own in states)):
        spans = [own[j] for own, j in zip(states, reached, strict=True)]
        if any(first > last for first, last in spans):
            continue
        decoded = {unit for own, j in zip(parts, reached, strict=True) for unit in own[:j].tolist()}
        pattern = sum(1 << label for label, unit in enumerate(chains.class_unit.tolist()) if unit in decoded)
        first, last = sum(span[0] for span in spans), min(sum(span[1] for span in spans), n_packets)
        found[pattern] = min(found[pattern, 0], first), max(found[pattern, 1], last)
    return np.where(found[:, :1] <= found[:, 1:], found, [[0, -1]])


def _pairs(chains: Chains, parts: list[Ints], states: list[list[tuple[int, int]]], totals: Ints) -> Ints:
    """Return the spans of pairs k' <= k, row by row; a sub-product in no window is a chain of its own that never decodes."""
    k = chains.unit_of.size
    chain = np.full(k, -1)
    undecoded, decoded = np.zeros(k, dtype=np.int64), np.full(k, NEVER)
    for c, (own, spans) in enumerate(zip(parts, states, strict=True)):
        for place, unit in enumerate(own.tolist(), start=1):
            members = chains.unit_of == unit
            chain[members] = c
            undecoded[members] = max(last for _, last in spans[:place])
            decoded[members] = min(first for first, _ in spans[place:])
    own_total = np.where(chain >= 0, totals[chain], 0)
    left, right = np.tril_indices(k)
    # The increments of a chain are decoded in order, so of two of one chain the earlier one decides.
    same = chain[left] == chain[right]
    others = totals.sum() - own_total[left] - np.where(same, 0, own_total[right])
    both = np.where(same, np.minimum(undecoded[left], undecoded[right]), undecoded[left] + undecoded[right])
    return np.stack([np.minimum(decoded[left], decoded[right]), both + others], axis=1)
