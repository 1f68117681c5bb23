"""Peeling of tiles, all realizations at once and each by itself: steps, draws, decoded sets, and faults that must show."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from tests.cases import problems
from tests.oracles import naive
from uepgpu import codes
from uepgpu.monte_carlo import decode_times
from uepgpu.plan import make_plan
from uepgpu_kernels.bodies.sample import draw_subset
from uepgpu_kernels.cpu import peeled, plain_vectors, slices, vectors
from uepgpu_kernels.cpu.nests import _cells
from uepgpu_kernels.cpu.supports import draw_masks, new_draws, supports_of
from uepgpu_kernels.cpu.vectors import LANES, WORDS
from uepgpu_kernels.cpu.ways import way_of


@pytest.mark.parametrize("n", [1, 2, 5])
def test_steps_do_what_their_twins_and_loops_do(n):
    rng = np.random.default_rng(n)
    row, open_ = (rng.integers(0, 2**64, size=n * WORDS, dtype=np.uint64) for _ in range(2))
    fast, slow = vectors.lone, plain_vectors.lone
    mine, its = np.zeros((2, 2 * WORDS), dtype=np.uint64)
    some = njit(lambda f, r, o: fast(f, 0, r, 0, o, 0, n))(mine, row, open_)
    assert some == slow(its, 0, row, 0, open_, 0, n)
    assert np.array_equal(mine, its)
    bits = np.unpackbits((row & open_).view(np.uint8).reshape(n, -1), axis=1).sum(axis=0)
    of = np.unpackbits(mine.view(np.uint8).reshape(2, -1), axis=1)
    assert np.array_equal(of[0], bits == 1)
    assert np.array_equal(of[1], bits >= 2)
    close, slowly = vectors.reveal, plain_vectors.reveal
    left, its = open_.copy(), open_.copy()
    njit(lambda o, r, v: close(o, 0, r, 0, v, 0, n))(left, row, mine)
    slowly(its, 0, row, 0, mine, 0, n)
    assert np.array_equal(left, its)
    assert np.array_equal(left, open_ & ~(row & np.tile(mine[:WORDS], n)))


@pytest.mark.parametrize("k", [9, 12, 13, 31, 64])
def test_masks_of_a_tile_are_the_subsets_of_its_realizations(k):
    n = 6
    part = problems.line(1, k - 1)
    plan = make_plan(codes.LT(0.5, 0.5), part, problems.unit(n), seed=11)
    job, lanes, first, stride = plan.job, 70, np.uint64(2**32 - 40), np.uint64(3)
    words, window = np.empty((4, lanes), np.uint32), np.empty((n, lanes), np.uint16)
    masks, marks = np.empty((n, lanes), np.uint64), np.empty(k + 3, np.uint64)
    way_of(job).draw(job, first, stride, words, _cells(job, np.dtype(np.uint32)), window)
    # Every degree is there, the largest too.
    window[:, :k] = np.arange(k)
    draws = new_draws(lanes)
    for w in range(n):
        draw_masks(job, first, stride, supports_of(job), words, draws, w, window[w], masks[w])
    for w in range(n):
        for lane in range(lanes):
            degree = job.degree[window[w, lane]]
            mask = draw_subset(marks, job.seed, first + stride * np.uint64(lane), w, degree, k)
            assert masks[w, lane] == mask
            assert int(mask).bit_count() == degree


@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("k, w", [(9, 14), (peeled.FEW, 33), (peeled.FEW + 1, 34), (64, 90)])
def test_backends_agree_on_both_ways(k, w, domain):
    for code in (codes.LT(0.1, 0.5), problems.random_windows(k, 20, k)):
        problem = problems.Problem(code, problems.line(2, k - 2), problems.unit(w, omega=1.0), deadlines=(0.3, 0.9, 3.0))
        common = {"deadlines": problem.times(domain), "seed": 4, "decoder": "peel"}

        def of(backend, first, n, problem=problem, common=common):
            where = {"first_realization": first, "realizations": n, "backend": backend}
            return decode_times(problem.code, problem.part, problem.workers, **where, **common)

        fast, slow = of("numba", 0, 520), of("numpy", 0, 520)
        assert np.array_equal(fast, slow)
        # Packets leave the waiting ones of a tile where no realization of it needs them: where there are few.
        for first in range(0, 518, 3):
            assert np.array_equal(of("numba", first, 1 + first % 2), slow[first : first + 1 + first % 2])
        assert fast.min() < fast.max() or not isinstance(code, codes.LT)


def supports(k, n):
    rng = np.random.default_rng(k * n)
    found = rng.random((n, LANES, k)) < rng.choice([0.15, 0.3], size=(n, LANES, 1))
    return found.astype(np.uint8)


def decoded_by_take(k, packets):
    """Yield what the steps of a tile have decoded after each of n packets (n, LANES, K)."""
    n = len(packets)
    rows = np.zeros(n * k * WORDS, np.uint64)
    bits, open_ = np.zeros(8 * WORDS, np.uint64), np.full(k * WORDS, 2**64 - 1, np.uint64)
    waiting, found, n_waiting = np.zeros(n, np.int64), np.zeros(2 * WORDS, np.uint64), 0
    for w, packet in enumerate(packets):
        for i in range(k):
            plain_vectors.slice_bytes(np.ascontiguousarray(packet[:, i]).view(np.uint64), 0, bits, 0)
            rows[(w * k + i) * WORDS : (w * k + i + 1) * WORDS] = bits[:WORDS]
        n_waiting = peeled.take.py_func(w * k * WORDS, k, rows, waiting, n_waiting, open_, found)
        yield [{i for i in range(k) if not slices.lane_bit(open_, i * WORDS, lane)} for lane in range(LANES)]


def stale(found, at, row, rat, open_, oat, n):
    """Say of lanes with several unknown members that they have none, in one word."""
    some = plain_vectors.lone(found, at, row, rat, open_, oat, n)
    found[at + WORDS : at + 2 * WORDS] = 0
    return some


def wrong_lane(open_, at, row, rat, vector, vat, n):
    """Reveal in a lane that was not asked for."""
    plain_vectors.reveal(open_, at, row, rat, vector | np.uint64(1), vat, n)


@pytest.mark.parametrize("fault", ["none", "stale", "wrong lane"])
def test_lanes_decode_what_loops_do_and_planted_faults_show(fault, monkeypatch):
    monkeypatch.setattr(peeled, "lone", stale if fault == "stale" else plain_vectors.lone)
    monkeypatch.setattr(peeled, "reveal", wrong_lane if fault == "wrong lane" else plain_vectors.reveal)
    monkeypatch.setattr(peeled, "meet", plain_vectors.meet)
    k, n = 7, 12
    packets = supports(k, n)
    held = [[np.flatnonzero(packet[lane]).tolist() for packet in packets] for lane in range(LANES)]
    loops = [[naive.peel_decoded(h[: w + 1], k) for h in held] for w in range(n)]
    assert (list(decoded_by_take(k, packets)) == loops) == (fault == "none")
    assert len({len(s) for s in loops[-1]}) > 1
