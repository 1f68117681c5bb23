"""Peers of the decoders that have no closed form: plain Numba, one realization after the other, in the count domain.

Draws by splitmix64; GF(2) by rows in bit masks, GF(256) by log and exp tables, rank-one packets in floating point, peeling by
bit masks, and beyond 64 sub-products by lists. Each stops when everything is decoded and adds to `when[k, n]` realizations in
which X_k is decoded after n packets.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bench.peers import _uniform

ONE = np.uint64(1)
EXP, LOG = np.zeros(512, np.uint8), np.zeros(256, np.int64)
_element = 1
for _power in range(255):
    EXP[_power] = EXP[_power + 255] = _element
    LOG[_element] = _power
    # Times x + 1, which generates the field; x does not.
    _element ^= (_element << 1) ^ (0x11B if _element & 0x80 else 0)
    _element &= 0xFF


@njit(inline="always")
def _cell(state, cdf):
    state, u = _uniform(state)
    c = 0
    while u > cdf[c]:
        c += 1
    return state, c


@njit(inline="always")
def _word(state):
    state += np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, z ^ (z >> np.uint64(31))


@njit
def gf2(realizations, n_packets, k, ends, cdf, when):
    """Expanding windows that end at `ends`, coefficients of GF(2), K <= 64."""
    rows = np.zeros(k, np.uint64)
    state = ONE
    for _ in range(realizations):
        rows[:] = 0
        known, rank = np.uint64(0), 0
        for w in range(n_packets):
            state, c = _cell(state, cdf)
            state, z = _word(state)
            packet = z & ((ONE << np.uint64(ends[c])) - ONE)
            for i in range(k):
                if (packet >> np.uint64(i)) & ONE and rows[i] != 0:
                    packet ^= rows[i]
            if packet == 0:
                continue
            j = 0
            while not (packet >> np.uint64(j)) & ONE:
                j += 1
            for i in range(k):
                if (rows[i] >> np.uint64(j)) & ONE:
                    rows[i] ^= packet
            rows[j] = packet
            rank += 1
            for i in range(k):
                if rows[i] == ONE << np.uint64(i) and not (known >> np.uint64(i)) & ONE:
                    known |= ONE << np.uint64(i)
                    when[i, w + 1] += 1
            if rank == k:
                break


@njit
def gf2_words(realizations, n_packets, k, ends, cdf, when):
    """As :func:`gf2` for any K: rows are bits in several words."""
    n_words = (k + 63) // 64
    rows, packet = np.zeros((k, n_words), np.uint64), np.zeros(n_words, np.uint64)
    has, known = np.zeros(k, np.bool_), np.zeros(k, np.bool_)
    state = ONE
    for _ in range(realizations):
        has[:] = False
        known[:] = False
        rank = 0
        for w in range(n_packets):
            state, c = _cell(state, cdf)
            packet[:] = 0
            for v in range((ends[c] + 63) // 64):
                state, packet[v] = _word(state)
            if ends[c] & 63:
                packet[ends[c] >> 6] &= (ONE << np.uint64(ends[c] & 63)) - ONE
            for i in range(k):
                if has[i] and (packet[i >> 6] >> np.uint64(i & 63)) & ONE:
                    for v in range(i >> 6, n_words):
                        packet[v] ^= rows[i, v]
            v = 0
            while v < n_words and packet[v] == 0:
                v += 1
            if v == n_words:
                continue
            j = 64 * v
            while not (packet[v] >> np.uint64(j & 63)) & ONE:
                j += 1
            for i in range(k):
                if has[i] and (rows[i, j >> 6] >> np.uint64(j & 63)) & ONE:
                    for v in range(n_words):
                        rows[i, v] ^= packet[v]
            rows[j] = packet
            has[j] = True
            rank += 1
            for i in range(k):
                if has[i] and not known[i]:
                    alone = rows[i, i >> 6] == ONE << np.uint64(i & 63)
                    for v in range(n_words):
                        alone = alone and (v == i >> 6 or rows[i, v] == 0)
                    if alone:
                        known[i] = True
                        when[i, w + 1] += 1
            if rank == k:
                break


@njit
def gf256(realizations, n_packets, k, ends, cdf, when):
    """Expanding windows, coefficients of GF(256)."""
    rows, packet = np.zeros((k, k), np.uint8), np.zeros(k, np.uint8)
    has, known = np.zeros(k, np.bool_), np.zeros(k, np.bool_)
    state = ONE
    for _ in range(realizations):
        has[:] = False
        known[:] = False
        rank = 0
        for w in range(n_packets):
            state, c = _cell(state, cdf)
            packet[:] = 0
            z = np.uint64(0)
            for j in range(ends[c]):
                if j & 7 == 0:
                    state, z = _word(state)
                packet[j] = np.uint8(z >> np.uint64(8 * (j & 7)))
            for i in range(k):
                if packet[i] and has[i]:
                    f = LOG[packet[i]]
                    for j in range(k):
                        if rows[i, j]:
                            packet[j] ^= EXP[f + LOG[rows[i, j]]]
            q = 0
            while q < k and packet[q] == 0:
                q += 1
            if q == k:
                continue
            inverse = 255 - LOG[packet[q]]
            for j in range(k):
                rows[q, j] = EXP[inverse + LOG[packet[j]]] if packet[j] else 0
            for i in range(k):
                if has[i] and rows[i, q]:
                    f = LOG[rows[i, q]]
                    for j in range(k):
                        if rows[q, j]:
                            rows[i, j] ^= EXP[f + LOG[rows[q, j]]]
            has[q] = True
            rank += 1
            for i in range(k):
                if has[i] and not known[i]:
                    alone = True
                    for j in range(k):
                        alone = alone and (j == i or rows[i, j] == 0)
                    if alone:
                        known[i] = True
                        when[i, w + 1] += 1
            if rank == k:
                break


@njit(fastmath=True)
def nested(realizations, n_packets, n, cdf, when):
    """Factored packets of nested windows on n x n blocks, real elimination."""
    k = n * n
    rows, packet, right = np.zeros((k, k)), np.zeros(k), np.zeros(n)
    has, known = np.zeros(k, np.bool_), np.zeros(k, np.bool_)
    state = ONE
    for _ in range(realizations):
        has[:] = False
        known[:] = False
        rank = 0
        for w in range(n_packets):
            state, ci = _cell(state, cdf)
            state, cj = _cell(state, cdf)
            for j in range(cj + 1):
                state, u = _uniform(state)
                right[j] = 2 * u - 1
            packet[:] = 0.0
            for i in range(ci + 1):
                state, u = _uniform(state)
                for j in range(cj + 1):
                    packet[n * i + j] = (2 * u - 1) * right[j]
            for i in range(k):
                f = packet[i]
                if has[i] and f != 0.0:
                    for j in range(k):
                        packet[j] -= f * rows[i, j]
                    packet[i] = 0.0
            q, best = -1, 1e-9
            for j in range(k):
                if not has[j] and abs(packet[j]) > best:
                    q, best = j, abs(packet[j])
            if q < 0:
                continue
            for j in range(k):
                rows[q, j] = packet[j] / packet[q]
            for i in range(k):
                f = rows[i, q]
                if has[i] and f != 0.0:
                    for j in range(k):
                        rows[i, j] -= f * rows[q, j]
                    rows[i, q] = 0.0
            has[q] = True
            rank += 1
            for i in range(k):
                if has[i] and not known[i]:
                    alone = True
                    for j in range(k):
                        alone = alone and (j == i or abs(rows[i, j]) <= 1e-9)
                    if alone:
                        known[i] = True
                        when[i, w + 1] += 1
            if rank == k:
                break


@njit
def peel(realizations, n_packets, k, degree_cdf, when):
    """LT packets, K <= 64."""
    waiting, order = np.zeros(n_packets, np.uint64), np.arange(k)
    state = ONE
    for _ in range(realizations):
        known, n_waiting, count = np.uint64(0), 0, 0
        for w in range(n_packets):
            state, d = _cell(state, degree_cdf)
            support = np.uint64(0)
            for j in range(d + 1):
                state, z = _word(state)
                other = j + np.int64(z % np.uint64(k - j))
                order[j], order[other] = order[other], order[j]
                support |= ONE << np.uint64(order[j])
            support &= ~known
            if support == 0:
                continue
            waiting[n_waiting] = support
            n_waiting += 1
            grew = support & (support - ONE) == 0
            while grew:
                grew = False
                kept = 0
                for i in range(n_waiting):
                    left = waiting[i] & ~known
                    if left != 0 and left & (left - ONE) == 0:
                        known |= left
                        grew = True
                        j = 0
                        while not (left >> np.uint64(j)) & ONE:
                            j += 1
                        when[j, w + 1] += 1
                        count += 1
                    elif left != 0:
                        waiting[kept] = left
                        kept += 1
                n_waiting = kept
            if count == k:
                break


@njit
def peel_lists(realizations, n_packets, k, degree_cdf, when):
    """LT packets for any K: of each packet the number and the sum of unknowns, of each unknown the packets that wait for it."""
    order, stack = np.arange(k), np.zeros(k, np.int64)
    missing, total = np.zeros(n_packets, np.int64), np.zeros(n_packets, np.int64)
    head, n_links = np.full(k, -1), 0
    link_packet, link_next = np.zeros(n_packets * 64, np.int64), np.zeros(n_packets * 64, np.int64)
    known = np.zeros(k, np.bool_)
    state = ONE
    for _ in range(realizations):
        known[:] = False
        head[:] = -1
        n_links, count = 0, 0
        for w in range(n_packets):
            state, d = _cell(state, degree_cdf)
            missing[w], total[w] = 0, 0
            for j in range(d + 1):
                state, z = _word(state)
                other = j + np.int64(z % np.uint64(k - j))
                order[j], order[other] = order[other], order[j]
                i = order[j]
                if not known[i]:
                    if n_links == link_packet.shape[0]:
                        link_packet, link_next = np.append(link_packet, link_packet), np.append(link_next, link_next)
                    missing[w] += 1
                    total[w] += i
                    link_packet[n_links], link_next[n_links] = w, head[i]
                    head[i] = n_links
                    n_links += 1
            if missing[w] != 1:
                continue
            n_stack = 1
            stack[0] = total[w]
            while n_stack > 0:
                n_stack -= 1
                i = stack[n_stack]
                if known[i]:
                    continue
                known[i] = True
                when[i, w + 1] += 1
                count += 1
                at = head[i]
                while at >= 0:
                    p = link_packet[at]
                    missing[p] -= 1
                    total[p] -= i
                    if missing[p] == 1 and not known[total[p]]:
                        stack[n_stack] = total[p]
                        n_stack += 1
                    at = link_next[at]
            if count == k:
                break
