"""Decoders of many realizations at once. Each gives the position in arrival order after which X_k is decoded.

Positions count from 0; W means never. An entry of the table of decoders names one of these.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.reference.received import Received

__all__ = ["count", "eliminate", "match", "peel"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
U64 = NDArray[np.uint64]
PRIME = np.uint64(2**31 - 1)


def count(received: Received) -> Ints:
    """Count packets along chains: R_i = min(R_(i-1) + n_i, K_i)."""
    job, window = received.job, received.windows()
    n = window.shape[1]
    decoded = np.zeros((job.capacity.size, *window.shape), dtype=np.bool_)
    rank = np.zeros(window.shape, dtype=np.int64)
    for s, capacity in enumerate(job.capacity):
        before = np.zeros_like(rank) if job.chain_start[s] else rank
        rank = np.minimum(before + np.cumsum(window == s, axis=1), capacity)
        decoded[s] = rank == capacity
    for s in range(job.capacity.size - 2, -1, -1):
        if not job.chain_start[s + 1]:
            decoded[s] |= decoded[s + 1]
    position = np.append(n - np.count_nonzero(decoded, axis=2), np.full((1, window.shape[0]), n), axis=0)
    when: Ints = position[job.unit_of].T  # unit -1 is the appended row: never
    return when


def match(received: Received) -> Ints:
    """Decode generic coefficients by a maximum matching; X_k is decoded iff every maximum matching covers it."""
    supports = received.supports()
    r, n, k = supports.shape
    owner = np.zeros((r, k, k), dtype=np.bool_)  # owner[:, i] is the support of the packet matched to X_i
    matched = np.zeros((r, k), dtype=np.bool_)
    decoded = np.zeros((r, k), dtype=np.bool_)
    position = np.full((r, k), n, dtype=np.int64)
    for w in range(n):
        useful = np.flatnonzero((supports[:, w] & ~decoded).any(axis=1))
        if useful.size == 0:
            continue
        packet, own, has, done = supports[useful, w], owner[useful], matched[useful], decoded[useful]
        _augment(packet, own, has)
        # What alternating paths from unmatched sub-products reach is not covered by every maximum matching.
        open_ = ~has
        while True:
            reached = open_ | (has & (own & open_[:, None, :]).any(axis=2))
            if np.array_equal(reached, open_):
                break
            open_ = reached
        position[useful] = np.where(~open_ & ~done, w, position[useful])
        owner[useful], matched[useful], decoded[useful] = own, has, ~open_
    return position


def _augment(packet: Bools, owner: Bools, matched: Bools) -> None:
    """Match one more packet in each realization, in place, along a shortest augmenting path (breadth first)."""
    r, k = matched.shape
    each = np.arange(r)
    seen = packet.copy()
    via = np.full((r, k), -1, dtype=np.int64)
    frontier = packet.copy()
    while True:
        searching = ~(seen & ~matched).any(axis=1)
        if not searching.any():
            break
        fresh = np.zeros_like(seen)
        for i in range(k):
            step = owner[:, i] & ~seen & ~fresh & (frontier[:, i] & searching)[:, None]
            via[step] = i
            fresh |= step
        seen |= fresh
        frontier = fresh
    at = np.argmax(seen & ~matched, axis=1)
    matched[each, at] = True
    moving = np.ones(r, dtype=np.bool_)
    while moving.any():
        source = via[each, at]
        last = moving & (source < 0)
        owner[last, at[last]] = packet[last]
        moving &= source >= 0
        owner[moving, at[moving]] = owner[moving, source[moving]]
        at = np.where(moving, source, at)


def peel(received: Received) -> Ints:
    """Reveal sub-products from packets with one unknown, until there is none."""
    supports = received.supports()
    r, n, k = supports.shape
    known = np.zeros((r, k), dtype=np.bool_)
    position = np.full((r, k), n, dtype=np.int64)
    for w in range(n):
        while True:
            unknown = supports[:, : w + 1] & ~known[:, None, :]
            fresh = (unknown & (unknown.sum(axis=2) == 1)[:, :, None]).any(axis=1)
            if not fresh.any():
                break
            position[fresh] = w
            known |= fresh
    return position


def _product(a: U64, b: U64, field: int) -> U64:
    if field == 0:
        return a * b % PRIME
    if field == 1:
        return a & b
    result = np.zeros(np.broadcast(a, b).shape, dtype=np.uint64)
    for power in range(8):  # schoolbook: shift a by each set bit of b, then reduce from the top
        result ^= (a << np.uint64(power)) * ((b >> np.uint64(power)) & np.uint64(1))
    for power in range(14, 7, -1):
        result ^= (np.uint64(0x11B) << np.uint64(power - 8)) * ((result >> np.uint64(power)) & np.uint64(1))
    return result


def _inverse(a: U64, field: int) -> U64:
    exponent = (2**31 - 3, 0, 254)[field]
    result, square = np.ones_like(a), a
    while exponent:
        if exponent & 1:
            result = _product(result, square, field)
        square = _product(square, square, field)
        exponent >>= 1
    return result


def _less(a: U64, b: U64, field: int) -> U64:
    return (a + (PRIME - b)) % PRIME if field == 0 else a ^ b


def eliminate(received: Received) -> Ints:
    """Decode over a finite field by the reduced row echelon form; a term of a decoded sum counts as decoded."""
    coefficients, field, target = received.coefficients(), received.job.field, received.job.target.astype(np.uint64)
    r, n, k = coefficients.shape
    rows = np.zeros((r, k, k), dtype=np.uint64)
    pivot = np.zeros((r, k), dtype=np.bool_)
    position = np.full((r, k), n, dtype=np.int64)
    each = np.arange(r)
    for w in range(n):
        packet = coefficients[:, w].copy()
        for i in range(k):
            packet = _less(packet, _product(packet[:, i : i + 1] * pivot[:, i : i + 1], rows[:, i], field), field)
        column = np.argmax(packet != 0, axis=1)
        lead = packet[each, column]
        new = lead != 0
        packet = _product(packet, _inverse(np.where(new, lead, np.uint64(1)), field)[:, None], field)
        factor = rows[each, :, column] * (pivot & new[:, None])
        rows = _less(rows, _product(factor[:, :, None], packet[:, None, :], field), field)
        rows[each[new], column[new]] = packet[new]
        pivot[each[new], column[new]] = True
        decoded = pivot & ((rows != 0).sum(axis=2) == 1)
        for row in target:
            # Pivot columns leave one combination of the rows that can give a sum.
            combination = (row[:, None] * rows).sum(axis=1) % PRIME
            decoded |= (combination == row).all(axis=1)[:, None] & (row != 0)
        position[decoded & (position > w)] = w
    return position
