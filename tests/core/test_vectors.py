"""Vectors of bits of 512 realizations: steps against their twins, elimination against loops, and faults that must show."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from tests.oracles import naive
from uepgpu_kernels.cpu import echelon, plain_vectors, slices, vectors
from uepgpu_kernels.cpu.vectors import LANES, WORDS, Steps

FIELD = {1: naive.ModP(2), 8: naive.GF256()}


def random_words(rng, n):
    return rng.integers(0, 2**64, size=n, dtype=np.uint64)


def agree(fast, slow, *arguments):
    """Assert that a compiled step and its twin do the same to copies of the arguments; return these."""
    mine, its = ([a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2))
    assert njit(fast)(*mine) == slow(*its)
    assert all(np.array_equal(a, b) for a, b in zip(mine, its, strict=True))
    return mine


def all_steps(of):
    """Return a function that takes every step once; `of` are compiled or plain ones."""
    add_multiple, scale, select, invert, split, first, enter, undecoded = of[1]
    size = of[0] * WORDS

    def go(row, factor, other, mask, element, vector, found):
        add_multiple(row, size, factor, 0, other, 0, 3)
        scale(row, 0, factor, 0, 2)
        select(element, 0, mask, 0, row, 0, 4)
        invert(factor, 0)
        some = split(row, size, mask, 8, element, 0)
        new = first(vector, 0, row, 0, found, 0)
        entered = enter(element, 0, vector, 0, found, 0)
        undecoded(vector, 0, row, 0, found, 0, mask, 0, 2)
        return some, new, entered

    return go


@pytest.mark.parametrize("planes", [1, 8])
def test_compiled_steps_do_what_their_twins_do(planes):
    rng = np.random.default_rng(planes)
    size = planes * WORDS
    sparse = random_words(rng, 8) & random_words(rng, 8) & random_words(rng, 8)
    arrays = [random_words(rng, n) for n in (4 * size, size, 3 * size, 4 * WORDS, size, WORDS)]
    fast, slow = all_steps((planes, vectors.steps_of(planes))), all_steps((planes, plain_vectors.plain_steps(planes)))
    agree(fast, slow, *arrays, sparse)


@pytest.mark.parametrize("n", [1, 6, 8, 17])
def test_lost_pairs_are_counted_eight_at_once_and_one_by_one(n):
    rng = np.random.default_rng(n)
    count, old = vectors.count_lost, random_words(rng, 18 * WORDS)
    new = old & random_words(rng, 18 * WORDS)
    counts, *_ = agree(
        lambda c, o, w: count(c, 1, o, 0, w, 0, 5, n),
        lambda c, o, w: plain_vectors.count_lost(c, 1, o, 0, w, 0, 5, n),
        np.arange(20),
        old,
        new,
    )
    both = [bin(int.from_bytes((old[40:48] & old[8 * j : 8 * j + 8]).tobytes())).count("1") for j in range(n)]
    left = [bin(int.from_bytes((new[40:48] & new[8 * j : 8 * j + 8]).tobytes())).count("1") for j in range(n)]
    assert counts[1 : n + 1].tolist() == [1 + j + both[j] - left[j] for j in range(n)]


def test_a_slice_has_every_lane_at_its_place():
    row = np.random.default_rng(3).integers(0, 256, size=LANES).astype(np.uint8)
    fast, slow = vectors.slice_bytes, plain_vectors.slice_bytes
    _, out = agree(lambda r, o: fast(r, 0, o, 0), lambda r, o: slow(r, 0, o, 0), row.view(np.uint64), np.zeros(64, np.uint64))
    found = [[int(slices.lane_bit(out, 8 * p, lane)) for p in range(8)] for lane in range(LANES)]
    assert found == [[int(b) >> p & 1 for p in range(8)] for b in row]


def test_set_lanes_are_counted():
    row = np.random.default_rng(4).integers(0, 255, size=LANES).astype(np.uint8)
    vector = random_words(np.random.default_rng(5), 2 * WORDS)
    fast, slow = vectors.count_set, plain_vectors.count_set
    counts = agree(lambda v, r: fast(v, 8, r, 0), lambda v, r: slow(v, 8, r, 0), vector, row.view(np.uint64))[1]
    assert counts.view(np.uint8).tolist() == [int(row[i]) + int(slices.lane_bit(vector, 8, i)) for i in range(LANES)]


def test_later_lanes_are_set():
    times = np.random.default_rng(6).integers(0, 9, size=LANES).astype(np.uint16)
    times[:9] = 65_000
    fast, slow = vectors.later, plain_vectors.later
    word = agree(lambda r, o: fast(r, 0, 4, o, 0), lambda r, o: slow(r, 0, 4, o, 0), times, np.zeros(8, np.uint64))[1]
    assert [int(word[lane // 64]) >> lane % 64 & 1 for lane in range(LANES)] == [int(t > 4) for t in times]


def decoded_sets(planes, take, k, packets):
    """Return what `take` decodes from packets (n, LANES, K) of each lane."""
    size = planes * WORDS
    rows, pivot = np.zeros(k * (k - 1) // 2 * size, np.uint64), np.zeros(k * WORDS, np.uint64)
    chosen, scratch = np.zeros(k * WORDS, np.uint64), np.zeros(size + WORDS, np.uint64)
    used = np.full(WORDS, 2**64 - 1, dtype=np.uint64)
    open_ = np.tile(used, k)
    for packet in packets:
        flat, bits = np.zeros(k * size, np.uint64), np.zeros(64, np.uint64)
        for i in range(k):
            plain_vectors.slice_bytes(np.ascontiguousarray(packet[:, i]).view(np.uint64), 0, bits, 0)
            flat[i * size : (i + 1) * size] = bits[:size]
        take(rows, pivot, flat, chosen, used, open_, scratch, k)
    return [{i for i in range(k) if not slices.lane_bit(open_, i * WORDS, lane)} for lane in range(LANES)]


def received(planes, k, n):
    rng = np.random.default_rng(k + n)
    packets = rng.integers(0, 2**planes, size=(n, LANES, k)).astype(np.uint8)
    return packets * (rng.random(packets.shape) < 0.5)


@pytest.mark.parametrize("planes", [1, 8])
def test_every_lane_decodes_what_loops_do(planes):
    take = njit(echelon.echelon(planes).take.py_func)
    for k, n in ((1, 1), (4, 3), (5, 6)):
        packets = received(planes, k, n)
        found = decoded_sets(planes, take, k, packets)
        for lane in range(0, LANES, 3):
            assert found[lane] == naive.decoded_by_rank(packets[:, lane].tolist(), k, FIELD[planes]), lane


def faulty(kind, steps):
    """Return steps of GF(2) or GF(256) with a fault."""
    good = steps

    def first(vector, at, element, eat, found, fat):
        if kind == "wrong pivot lane":
            found[fat] &= ~np.uint64(1)
        return good[5](vector, at, element, eat, found, fat)

    def split(element, at, mask, mat, out, oat):
        some = good[4](element, at, mask, mat, out, oat)
        if kind == "stale mask":
            out[oat + 3] |= mask[mat + 3]
        return some

    return Steps(*good[:4], split, first, *good[6:])


@pytest.mark.parametrize("kind, planes", [("none", 1), ("wrong pivot lane", 1), ("stale mask", 1), ("table entry", 8)])
def test_planted_faults_show(kind, planes, monkeypatch):
    good = Steps(*plain_vectors.plain_steps(planes))
    if kind == "table entry":
        # The square of x^5 is 0x6C; an inverse that takes a neighbour of it is none.
        monkeypatch.setattr(vectors, "SQUARES", (*vectors.SQUARES[:5], 0x6D, *vectors.SQUARES[6:]))
        broken = vectors.steps_of(planes)
        take = njit(echelon.echelon_of(planes, broken).take.py_func)
    else:
        take = echelon.echelon_of(planes, faulty(kind, good)).take.py_func
    packets = received(planes, 4, 5)
    found = decoded_sets(planes, take, 4, packets)
    wrong = [lane for lane in range(LANES) if found[lane] != naive.decoded_by_rank(packets[:, lane].tolist(), 4, FIELD[planes])]
    assert bool(wrong) == (kind != "none")
