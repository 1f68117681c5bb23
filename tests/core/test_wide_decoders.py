"""Decoders of more sub-products than a word has bits: backends agree, and peeling finds what loops find."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import problems
from tests.oracles import naive
from uepgpu import codes, simulate
from uepgpu.monte_carlo import decode_times
from uepgpu.plan import make_plan
from uepgpu_kernels.reference.sample import arrivals, subsets

SIZES = (65, 128, 129)


def sparse(k, **options):
    return problems.random_windows(k, 40, k, **options)


@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize(
    "code, decoder",
    [("gf2", "eliminate"), ("gf256", "eliminate"), ("windows", "match"), ("windows", "peel"), ("lt", "peel"), ("lt", "match")],
)
def test_backends_agree_beyond_a_word(code, decoder, k, domain):
    made = codes.LT(0.1, 0.5) if code == "lt" else sparse(k) if code == "windows" else sparse(k, coefficients=code)
    problem = problems.Problem(made, problems.line(3, k - 3), problems.unit(k + 9, omega=1.0), deadlines=(0.4, 3.0))
    common = {"deadlines": problem.times(domain), "realizations": 3, "seed": 8, "decoder": decoder, "tally": "marginals"}
    fast, slow = (simulate(problem.code, problem.part, problem.workers, backend=b, **common) for b in ("numba", "numpy"))
    assert fast == slow
    # Something is decoded, but where no window is small enough for peeling to begin.
    assert (fast.marginals[:, -1].sum() < 3 * k) or (code, decoder) == ("windows", "peel")


@pytest.mark.parametrize("k, w", [(1000, 1300), (10_000, 4000)])
def test_peeling_of_a_thousand_and_ten_thousand(k, w):
    code, part, workers = codes.LT(0.05, 0.5), problems.line(1, k - 1), problems.unit(w, omega=1.0)
    when = decode_times(code, part, workers, deadlines=[50.0], realizations=1, seed=6, decoder="peel", backend="numba")[0]
    job = make_plan(code, part, workers, seed=6, deadlines=[50.0]).job
    realization = np.array([0], dtype=np.uint64)
    window, packet, time = arrivals(job, realization)
    support = subsets(job, realization, window)[0][packet[0][time[0] < job.n_times]]
    decoded = naive.peel_decoded([np.flatnonzero(row).tolist() for row in support], k)
    assert set(np.flatnonzero(when == 0).tolist()) == decoded
    assert len(decoded) == k if k == 1000 else decoded


def test_gf2_of_a_thousand_sub_products_decodes_narrow_windows():
    # Windows of one and of two sub-products: X_0 is known where a packet has its bit, X_1 and X_2 follow the rank of three bits.
    k = 1000
    table = np.zeros((2, k), dtype=bool)
    table[0, 0] = table[1, 998:] = True
    code, part = codes.Windows(table, [0.5, 0.5], coefficients="gf2"), problems.line(1, k - 1)
    n = 2000
    tally = simulate(code, part, problems.unit(6), realizations=n, seed=3, deadlines=None, tally="marginals")
    late = tally.marginals.sum(axis=0)
    assert np.all(late[:, 1:998] == n)
    expected = (3 / 4) ** 6 * n  # drawn with probability 1/2, and then a bit of 1 with probability 1/2
    assert abs(late[6, 0] - expected) < 4 * (expected * (1 - expected / n)) ** 0.5
    assert 0 < late[6, 998] < n
