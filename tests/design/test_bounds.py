"""Lower bounds: published values, never violated, and met where a code is known to be the best."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import CXR, RXC
from uepgpu.theory.bounds import _certified, _programs
from uepgpu.theory.received import received_law

TIMES = (0.15, 0.30, 0.45, 0.60, 0.90)
WORKERS = uep.Workers(30, omega=1.0)


@pytest.mark.parametrize(
    "part, classes, tail, exchangeable",
    [
        (RXC, False, ".045554 .0038312 3.386e-4 2.618e-5 1.07e-7", ".083356 .015874 .0027728 4.1095e-4 4.50e-6"),
        (RXC, True, None, ".11298 .019860 .0033452 7.174e-4 6.21e-6"),
        (CXR, False, ".094201 .0041219 1.675e-4 7.59e-6 2.1e-8", ".098359 .013144 .0013776 1.6303e-4 2.65e-6"),
        (CXR, True, None, ".098359 .013144 .0013776 1.6303e-4 2.65e-6"),
    ],
)
def test_bounds_of_the_papers_setting(part, classes, tail, exchangeable):
    found = uep.theory.lower_bound(part, WORKERS, deadlines=TIMES, classes=classes)
    for values, written in ((found.bound_tail.values, tail), (found.bound_exchangeable.values, exchangeable)):
        for value, text in zip(values, (written or "").split(), strict=written is not None):
            digits = len(text.split("e")[0].replace(".", "").lstrip("0"))
            assert f"{value:.{digits - 1}e}" == f"{float(text):.{digits - 1}e}"
    assert found.attrs["cross_terms"] == 1.0


@pytest.mark.parametrize("part", [RXC, CXR])
@pytest.mark.parametrize("classes", [False, True])
def test_losses_below_the_accuracy_of_a_linear_program_have_bounds_too(part, classes):
    times = np.array([0.3, 1.0, 1.5, 2.0, 3.0, 6.0])
    for law in (uep.latency.Exponential(1.0), uep.latency.ShiftedExponential(1.0, 0.2)):
        workers = uep.Workers(36, latency=law, work="unit")
        found = uep.theory.lower_bound(part, workers, deadlines=times, classes=classes).bound_exchangeable.values
        for code in (uep.codes.MDS(), uep.codes.ExpandingWindow((0.6, 0.3, 0.1))):
            loss = uep.theory.loss(code, part, workers, deadlines=times).normalized_loss.values
            assert np.all(found <= loss)
        assert np.all(found > 0)


@pytest.mark.parametrize("seed", range(20))
def test_any_dual_gives_a_bound_and_the_best_one_the_optimum(seed):
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 7))
    matrix, limit = rng.normal(size=(rows, columns)), rng.random(rows)
    objective, upper = rng.normal(size=columns), 3 * rng.random(columns)
    found = linprog(objective, A_ub=matrix, b_ub=limit, bounds=np.stack([np.zeros(columns), upper], axis=1), method="highs")
    for dual in (*rng.exponential(size=(20, rows)), np.zeros(rows)):
        assert _certified(objective, csr_array(matrix), limit, upper, dual) <= found.fun + 1e-9
    best = _certified(objective, csr_array(matrix), limit, upper, -found.ineqlin.marginals)
    assert best == pytest.approx(found.fun, abs=1e-9)
    assert best < found.fun + 1e-12


def test_the_work_model_does_not_matter_and_speeds_do():
    unit = uep.theory.lower_bound(RXC, uep.Workers(30, omega=1.0, work="unit"), deadlines=TIMES)
    assert unit.identical(uep.theory.lower_bound(RXC, WORKERS, deadlines=TIMES))
    halves = uep.Workers(4, omega=1.0, speeds=[1, 1, 0.5, 2.0], loss_probability=0.1)
    law = np.zeros(5)
    chance = 0.9 * -np.expm1(-0.7 * np.array([1, 1, 0.5, 2.0]))
    for pattern in itertools.product((0, 1), repeat=4):
        law[sum(pattern)] += np.prod(np.where(pattern, chance, 1 - chance))
    np.testing.assert_allclose(received_law(halves, np.array([0.7]), 4, 1)[0], law, rtol=1e-12)


def problems(n, seed):
    """Yield random codes with a partition, workers and deadlines, and whether they decode class by class."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        levels = int(rng.integers(1, 4))
        sizes = rng.integers(1, 3, levels).tolist()
        k, workers = sum(sizes), int(rng.integers(3, 13))
        if i % 3:
            scale = rng.lognormal(sigma=1.5, size=k)  # in any order
            part = uep.Partition.model("cxr", left_variances=scale, right_variances=np.ones(k), classes=sizes)
        else:  # real matrices, with cross terms
            A, B = rng.normal(size=(5, 4 * k)), rng.normal(size=(4 * k, 6)) + rng.choice([0.0, 0.3])
            part = uep.Partition.cxr(A, B, blocks=k, classes=sizes)
        gamma = rng.dirichlet(np.ones(levels)).tolist()
        windows = ("drawn", "fixed")[int(rng.integers(2))]
        copies = np.bincount(rng.integers(0, k, workers), minlength=k)
        code, class_wise = (
            (uep.codes.ExpandingWindow(gamma, windows=windows), True),
            (uep.codes.NonOverlappingWindow(gamma, windows=windows), True),
            (uep.codes.MDS(), True),
            (uep.codes.Repetition(copies), False),
            (uep.codes.Windows([[j] for j in range(k)], rng.dirichlet(np.ones(k))), False),
        )[int(rng.integers(5))]
        work = ("unit", "true")[int(rng.integers(2))]
        pool = uep.Workers(workers, omega=1.0, work=work, loss_probability=float(rng.choice([0.0, 0.2])))
        yield code, part, pool, np.sort(rng.uniform(0.05, 2.0, 2)), class_wise


def test_no_code_is_better_than_the_bounds():
    nearest = np.inf
    for code, part, workers, times, class_wise in problems(200, seed=11):
        exact = uep.theory.loss(code, part, workers, deadlines=times).normalized_loss.values
        for classes in (False, True)[: 1 + class_wise]:
            bound = uep.theory.lower_bound(part, workers, deadlines=times, classes=classes)
            assert np.all(bound.bound_tail <= bound.bound_exchangeable)
            # The program is solved to 1e-10 per constraint, of which a few hundred add up.
            assert np.all(bound.bound_exchangeable.values <= exact * (1 + 1e-9) + 1e-8)
            nearest = min(nearest, float((exact / np.maximum(bound.bound_exchangeable.values, 1e-12)).min()))
    assert nearest < 1.0 + 1e-6  # so the bound is met somewhere, and a larger one would be wrong


def test_one_class_is_bounded_by_the_code_that_attains_it():
    part = uep.Partition.model("cxr", left_variances=[1] * 4, right_variances=[1] * 4, classes=(4,))
    one = uep.Partition.model("cxr", left_variances=[1], right_variances=[1], classes=(1,))
    workers = uep.Workers(6, omega=1.0, work="unit")
    single = uep.theory.lower_bound(one, workers, deadlines=[0.3])
    assert single.bound_exchangeable.item() == pytest.approx(np.exp(-1.8), rel=1e-9)  # lost iff nothing arrives
    assert uep.theory.lower_bound(part, workers, deadlines=[0.3]).bound_tail.item() == pytest.approx(
        sum(max(1 - n / 4, 0) * p for n, p in enumerate(received_law(workers, np.array([0.3]), 4, 1)[0])), rel=1e-12
    )


def test_cross_terms_weaken_the_bound_as_far_as_they_must():
    part = uep.Partition.cxr(
        np.array([[1.0, 0.0, -0.9, np.sqrt(1 - 0.81)]]).reshape(1, 4), np.eye(2)[[0, 1, 0, 1]], blocks=2, classes=(1, 1), order=None
    )
    assert part.gram == pytest.approx(np.array([[1, -0.9], [-0.9, 1]]))
    bound = uep.theory.lower_bound(part, uep.Workers(2, omega="fair"), deadlines=[0.0])
    assert bound.attrs["cross_terms"] == pytest.approx(0.1)
    assert bound.bound_tail.item() == pytest.approx(1.0)  # nothing has arrived: the loss is 1


def test_falling_energies_are_the_best_order():
    counts = received_law(WORKERS, np.array([0.3]), 9, 1)
    energy = np.sort(RXC.energy)[::-1] / RXC.norm2
    ones = np.ones(9, dtype=np.int64)
    falling, rising = (float(_programs(counts, ones, e)[0]) for e in (energy, energy[::-1]))
    assert (round(falling, 6), round(rising, 6)) == (0.015874, 0.003831)
