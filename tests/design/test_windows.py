"""Tuned windows of one product: likelihood ratios say what a simulation would, and designs reach what is known."""

from __future__ import annotations

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import RXC
from uepgpu.design.likelihood import draw
from uepgpu.design.rectangles import _rectangles
from uepgpu.theory.arrays import binomial

WORKERS = uep.Workers(30, omega=1.0)
SUPPORTS = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 1, 0]], dtype=bool)
PART = uep.Partition.model("rxc", left_variances=(10, 1), right_variances=(5, 1), classes=(1, 1, 2))
POOL = uep.Workers(8, omega=1.0)
SHARES = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
CHANCE = binomial(8, np.array([-np.expm1(-0.7)]), np.array([np.exp(-0.7)]), 8)[0]


def drawn(n=4000, seed=3):
    return draw(SUPPORTS, SHARES, PART, POOL, CHANCE, n, seed, "auto")


def simulated(shares, n, seed):
    code = uep.codes.Windows([np.flatnonzero(s).tolist() for s in SUPPORTS], shares, work=1)
    found = uep.simulate(code, PART, POOL, realizations=n, seed=seed).loss(PART, workers=POOL, deadlines=0.7)
    return found.normalized_loss.item(), found.normalized_loss_stderr.item()


def test_the_loss_of_what_was_drawn_is_that_of_the_tally():
    assert drawn().value_and_gradient(np.log(SHARES))[0] == pytest.approx(simulated(SHARES, 4000, 3)[0], rel=1e-12)
    assert drawn().effective(np.log(SHARES)) == pytest.approx(1.0)


def test_likelihood_ratios_foretell_other_probabilities():
    other = np.array([0.2, 0.2, 0.3, 0.2, 0.1])
    sample = drawn(40_000)
    share = sample.effective(np.log(other))
    assert 0.3 < share < 0.95
    value, error = simulated(other, 400_000, 77)
    own = simulated(other, 4000, 78)[1] * np.sqrt(4000 / (40_000 * share))
    assert sample.value_and_gradient(np.log(other))[0] == pytest.approx(value, abs=4 * np.hypot(error, own))


def test_derivatives_of_likelihood_ratios_equal_differences():
    sample, at = drawn(), np.log([0.25, 0.2, 0.25, 0.2, 0.1])
    slope = sample.value_and_gradient(at)[1]
    for s, direction in enumerate(np.eye(5)):
        ends = [sample.value_and_gradient(at + h * direction)[0] for h in (1e-4, -1e-4)]
        assert slope[s] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-6, abs=1e-9)


def test_windows_are_rectangles_of_important_blocks_and_single_subproducts():
    supports, group = _rectangles(RXC)
    assert len(supports) == 9 + 8
    tables = supports.reshape(-1, 3, 3)
    assert all(np.array_equal(np.outer(t.any(axis=1), t.any(axis=0)), t) for t in tables)
    for g in range(group.max() + 1):  # what a symmetric partition does not tell apart: a window and its transpose
        own = {t.tobytes() for t in tables[group == g]}
        assert {np.ascontiguousarray(t.T).tobytes() for t in tables[group == g]} == own
        assert len(own) <= 2
    skew = uep.Partition.model("rxc", left_variances=(1, 10), right_variances=(3, 2), classes=(1, 3))
    supports, group = _rectangles(skew)
    assert np.unique(group).size == group.size == 4 + 3
    assert supports[0].reshape(2, 2).tolist() == [[False, False], [True, False]]  # the heaviest row comes first


TABLE = {0.15: (0.13028, 1e-4), 0.30: (0.036504, 3e-5), 0.45: (0.010119, 1e-5), 0.60: (0.0026485, 4e-6), 0.90: (1.4264e-4, 5e-7)}


@pytest.mark.parametrize("t", [0.30, *(pytest.param(t, marks=pytest.mark.slow) for t in (0.15, 0.45, 0.60, 0.90))])
def test_tuned_windows_reach_what_is_known(t):
    best = uep.design.windows(RXC, WORKERS, deadlines=t, realizations=50_000)
    value, error = TABLE[t]
    again = uep.simulate(best.code, RXC, WORKERS, realizations=200_000, seed=99, tally="marginals")
    loss = again.loss(RXC, workers=WORKERS, deadlines=t)
    fresh, own = loss.normalized_loss.item(), loss.normalized_loss_stderr.item()
    assert fresh < 1.01 * value + 4 * np.hypot(own, error)
    assert best.objective == pytest.approx(fresh, abs=5 * own)
    assert best.low < best.objective < best.high
    assert best.objective < best.baseline
    bound = uep.theory.lower_bound(RXC, WORKERS, deadlines=t).bound_exchangeable.item()
    assert best.high > bound
    np.testing.assert_allclose(best.tried.share.sum("window"), 1.0)


def test_a_seed_decides_the_design(monkeypatch):
    monkeypatch.setattr("uepgpu.design.rectangles.ROUNDS", (1000, 1000))
    workers = uep.Workers(6, omega=1.0)
    one, again = (uep.design.windows(PART, workers, deadlines=(0.5, 1.0), realizations=2000, seed=5) for _ in range(2))
    assert (one.gamma, one.objective) == (again.gamma, again.objective)
    assert one.objective != uep.design.windows(PART, workers, deadlines=(0.5, 1.0), realizations=2000, seed=6).objective
