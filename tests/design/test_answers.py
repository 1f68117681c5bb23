"""Fixed windows, class sizes, copies, numbers of workers and deadlines: known optima, and exhaustive search on small problems."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import CXR, EW, NOW, PAPER, RXC
from uepgpu.design.expectation import compositions

TRUE = uep.Workers(30, omega=1.0)
SMALL = uep.Partition.model("cxr", left_variances=[9, 5, 2, 1, 0.5], right_variances=[1] * 5, classes=(1, 2, 2))


def loss(code, part, workers, t):
    return uep.theory.loss(code, part, workers, deadlines=t).normalized_loss.values


# --- fixed windows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, part, t, workers, value",
    [
        (EW, RXC, 0.15, (30, 0, 0), 0.21267),
        (EW, RXC, 0.30, (30, 0, 0), 0.033835),
        (EW, RXC, 0.45, (18, 12, 0), 0.011478),
        (EW, RXC, 0.60, (14, 16, 0), 0.0024993),
        (NOW, RXC, 0.60, (19, 11, 0), 0.0047098),
        (EW, CXR, 0.60, (16, 14, 0), 7.735e-4),
    ],
)
def test_the_best_fixed_windows_of_the_papers_setting(code, part, t, workers, value):
    best = uep.design.fixed_windows(code, part, PAPER, deadlines=t)
    assert tuple(best.tried.workers[0].values.tolist()) == workers
    assert best.objective == pytest.approx(value, rel=6e-5)
    assert best.tried.sizes["candidate"] == 496
    assert loss(best.code, part, PAPER, t) == pytest.approx(best.objective, rel=1e-10)


@pytest.mark.parametrize("kind", [uep.codes.ExpandingWindow, uep.codes.NonOverlappingWindow])
@pytest.mark.parametrize("across", ["mean", "geometric", "minimax"])
def test_fixed_windows_are_the_best_of_all_allocations(kind, across):
    code, times = kind((0.5, 0.25, 0.25), windows="fixed"), (0.3, 0.9)
    workers = uep.Workers(7, omega=1.0, loss_probability=0.05)
    best = uep.design.fixed_windows(code, SMALL, workers, deadlines=times, across=across, weights=(1, 3))
    every = np.array([loss(kind((c / 7).tolist(), windows="fixed"), SMALL, workers, times) for c in compositions(7, 3)])
    every = np.append(every, loss(code, SMALL, workers, times)[None], axis=0)  # last, the given allocation (4, 2, 1)
    scores = {"mean": every @ [0.25, 0.75], "geometric": np.exp(np.log(every) @ [0.25, 0.75])}
    score = scores[across] if across in scores else (every / every.min(axis=0)).max(axis=1)
    assert best.objective == pytest.approx(score.min(), rel=1e-10)
    assert best.baseline == pytest.approx(score[-1], rel=1e-10)
    np.testing.assert_allclose(np.sort(best.tried.objective), np.sort(score[:-1]), rtol=1e-10)


def test_quantiles_of_fixed_windows():
    workers = uep.Workers(7, omega=1.0)
    best = uep.design.fixed_windows(NOW, SMALL, workers, deadlines=0.9, objective="quantile", q=0.8)
    below = []
    for counts in compositions(7, 3):
        chances = [
            [1 - uep.theory.decoding_probability(MDS_OF[k], part, uep.Workers(c, omega=1.0), deadlines=0.9).probability.item(), 1]
            if c
            else [1.0, 1]
            for c, k, part in zip(counts.tolist(), (1, 2, 3), PARTS, strict=True)
        ]
        law = {}
        for lost in itertools.product((0, 1), repeat=3):
            chance = np.prod([p[0] if gone else 1 - p[0] for p, gone in zip(chances, lost, strict=True)])
            law[float(np.dot(lost, ENERGY))] = law.get(float(np.dot(lost, ENERGY)), 0) + chance
        total = 0.0
        for value in sorted(law):
            total += law[value]
            if total >= 0.8:
                below.append(value)
                break
    assert best.objective == pytest.approx(min(below), rel=1e-9)


# Class l of SMALL alone, coded over its own workers at its own work.
PARTS = [uep.Partition.model("cxr", left_variances=[1] * k, right_variances=[1] * k, classes=(k,)) for k in (1, 2, 2)]
MDS_OF = {label: uep.codes.MDS() for label in (1, 2, 3)}
ENERGY = np.array([9, 7, 1.5]) / 17.5


# --- class sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, t, sizes, gamma, most",
    [
        (EW, 0.15, (1, 2, 6), (0.478, 0.522, 0), 0.14805),
        (EW, 0.30, (1, 2, 6), (0.1995, 0.8005, 0), 0.032445),
        pytest.param(EW, 0.60, (1, 5, 3), (0.094, 0.906, 0), 0.0025375, marks=pytest.mark.slow),
        pytest.param(NOW, 0.60, (6, 3), (1, 0), 0.0027485, marks=pytest.mark.slow),
    ],
)
def test_the_best_class_sizes_of_the_papers_setting(code, t, sizes, gamma, most):
    best = uep.design.classes(code, RXC, PAPER, deadlines=t)
    assert best.part.class_sizes == sizes
    assert best.gamma == pytest.approx(gamma, abs=6e-4)
    assert best.objective < most
    assert loss(best.code, best.part, PAPER, t) == pytest.approx(best.objective)
    assert best.baseline == pytest.approx(loss(code, RXC, PAPER, t).item())
    assert best.tried.sizes["candidate"] == 1 + 8 + 28


def test_classes_follow_falling_energies():
    part = uep.Partition.model("cxr", left_variances=[1, 9, 0.5, 5], right_variances=[1] * 4, classes=[[1], [1], [1], [1]])
    best = uep.design.classes(NOW_ONE, part, uep.Workers(6, omega=1.0), deadlines=0.5, most=2)
    label = best.part.classes[np.argsort(-part.energy)]
    assert np.all(np.diff(label) >= 0)
    for sizes in ((1, 3), (2, 2), (3, 1)):
        other = uep.Partition.model("cxr", left_variances=[9, 5, 1, 0.5], right_variances=[1] * 4, classes=sizes)
        rival = uep.design.gamma(uep.codes.NonOverlappingWindow((0.5, 0.5)), other, uep.Workers(6, omega=1.0), deadlines=0.5)
        assert best.objective <= rival.objective * (1 + 1e-9)


NOW_ONE = uep.codes.NonOverlappingWindow((1.0,))


# --- repetition --------------------------------------------------------------------------------------------------------

DRAWN = {0.15: 0.14954, 0.30: 0.060238, 0.45: 0.034875, 0.60: 0.022304}
FIXED = {
    ("rxc", 0.15): (0.14314, (20, 5, 0, 5, 0, 0, 0, 0, 0)),
    ("rxc", 0.30): (0.052371, (15, 8, 0, 7, 0, 0, 0, 0, 0)),
    ("rxc", 0.45): (0.025976, (12, 7, 2, 7, 1, 0, 1, 0, 0)),
    ("rxc", 0.60): (0.013279, (10, 6, 3, 6, 3, 0, 2, 0, 0)),
    ("cxr", 0.15): (0.23090, (10, 10, 10, 0, 0, 0, 0, 0, 0)),
    ("cxr", 0.30): (0.059288, (10, 10, 10, 0, 0, 0, 0, 0, 0)),
    ("cxr", 0.45): (0.020997, (10, 10, 10, 0, 0, 0, 0, 0, 0)),
    ("cxr", 0.60): (0.010004, (9, 9, 9, 1, 1, 1, 0, 0, 0)),
}


@pytest.mark.parametrize("t", DRAWN)
def test_the_best_drawn_repetition_of_the_papers_setting(t):
    best = uep.design.repetition(RXC, TRUE, deadlines=t)
    assert f"{best.objective:.5g}" == f"{DRAWN[t]:.5g}"
    assert loss(best.code, RXC, TRUE, t) == pytest.approx(best.objective)
    gain = RXC.energy * (1 - np.array(best.gamma) * -np.expm1(-t)) ** 29  # equal where it is drawn, less elsewhere
    used = np.array(best.gamma) > 0
    assert np.ptp(gain[used]) < 1e-9 * gain[used].max()
    assert np.all(gain[~used] <= gain[used].max())


@pytest.mark.parametrize("paradigm, t", FIXED)
def test_the_best_copies_of_the_papers_setting(paradigm, t):
    part = {"rxc": RXC, "cxr": CXR}[paradigm]
    best = uep.design.repetition(part, TRUE, deadlines=t, copies="fixed")
    value, copies = FIXED[paradigm, t]
    assert best.code.copies == copies
    assert f"{best.objective:.5g}" == f"{value:.5g}"
    assert loss(best.code, part, TRUE, t) == pytest.approx(best.objective)


def test_repetition_without_bias():
    for t, drawn, fixed in ((0.3, 0.13048, 0.11219), (0.6, 0.03581, 0.02081)):
        best = {c: uep.design.repetition(RXC, TRUE, deadlines=t, copies=c, objective="debiased") for c in ("drawn", "fixed")}
        assert (round(best["drawn"].objective, 5), round(best["fixed"].objective, 5)) == (drawn, fixed)
    assert (
        uep.design.repetition(RXC, uep.Workers(5, omega="fair"), deadlines=1.0, copies="fixed", objective="debiased").objective
        == np.inf
    )


@pytest.mark.parametrize("t", [0.0, 1e-300, 1e-9, 50.0, 1e9])
@pytest.mark.parametrize("objective", ["loss", "debiased"])
@pytest.mark.parametrize("copies", ["drawn", "fixed"])
def test_repetition_at_extreme_deadlines(t, objective, copies):
    best = uep.design.repetition(RXC, TRUE, deadlines=t, objective=objective, copies=copies)
    assert best.objective <= best.baseline * (1 + 1e-9)
    assert sum(best.code.copies if copies == "fixed" else best.gamma) == pytest.approx(30 if copies == "fixed" else 1)


@pytest.mark.parametrize("objective", ["loss", "debiased"])
def test_copies_are_the_best_of_all(objective):
    energy, late = SMALL.energy / SMALL.norm2, np.exp(-np.array([0.4, 0.8]))
    best = uep.design.repetition(
        SMALL, uep.Workers(8, omega=1.0), deadlines=(0.4, 0.8), copies="fixed", objective=objective, weights=(2, 1)
    )
    q = late ** compositions(8, 5)[:, :, None]
    with np.errstate(divide="ignore"):
        q = q if objective == "loss" else q / (1 - q)
    assert best.objective == pytest.approx((np.einsum("ckd,k->cd", q, energy) @ [2 / 3, 1 / 3]).min())


def test_drawn_repetition_over_several_deadlines_equals_the_best_gamma_of_single_windows():
    part = uep.Partition.model("cxr", left_variances=[9, 5, 2], right_variances=[1] * 3, classes=(1, 1, 1))
    workers = uep.Workers(12, omega=1.0)
    code = uep.codes.NonOverlappingWindow((1 / 3, 1 / 3, 1 / 3))
    for objective in ("loss", "debiased"):
        one = uep.design.repetition(part, workers, deadlines=(0.2, 0.7), objective=objective)
        other = uep.design.gamma(code, part, workers, deadlines=(0.2, 0.7), objective=objective)
        assert one.objective == pytest.approx(other.objective, rel=1e-9)
        assert one.gamma == pytest.approx(other.gamma, abs=1e-5)


# --- numbers of workers and deadlines ----------------------------------------------------------------------------------


def test_redundancy_at_equal_load():
    code = uep.codes.MDS("factored")
    for t, expected in ((1.0, {9: 0.98389, 30: 0.63000, 120: 0.49633}), (2.0, {9: 0.72983, 30: 0.03031, 120: 0.01008})):
        best = uep.design.redundancy(code, RXC, uep.Workers(30, omega="fair"), deadlines=t, counts=list(expected))
        assert best.workers.count == 120
        assert {int(c): round(float(v), 5) for c, v in zip(best.tried["count"], best.tried.loss, strict=True)} == expected
        assert round(best.baseline, 5) == expected[30]
        assert set(best.tried.work.values.tolist()) == {9.0, 30.0, 120.0}
    shifted = uep.Workers(30, latency=uep.latency.ShiftedExponential(rate=2.0, shift=0.5), omega="fair")
    for t, count, value in ((1.0, 10, 0.97651), (1.5, 12, 0.46555)):
        best = uep.design.redundancy(code, RXC, shifted, deadlines=t, counts=range(9, 31))
        assert (best.workers.count, round(best.objective, 5)) == (count, value)


def test_redundancy_at_a_price():
    counts, price = (5, 10, 20, 30), 0.001
    best = uep.design.redundancy(EW, RXC, TRUE, deadlines=0.6, counts=counts, price=price)
    for count in counts:
        for gamma in compositions(10, 3) / 10:
            code = uep.codes.ExpandingWindow(gamma.tolist())
            work = count * code.law(RXC, count).work @ gamma
            assert best.objective <= loss(code, RXC, uep.Workers(count, omega=1.0), 0.6).item() + price * work + 1e-12
    assert best.objective == pytest.approx(float(best.tried.loss[0] + price * best.tried.work[0]))
    assert loss(best.code, RXC, best.workers, 0.6).item() == pytest.approx(float(best.tried.loss[0]))
    plain = uep.design.redundancy(EW, RXC, TRUE, deadlines=0.6, counts=[30], tune=False)
    assert plain.objective == plain.baseline == pytest.approx(0.35745, abs=6e-6)


@pytest.mark.parametrize(
    "code, t, rate", [(EW, 0.30, 2.3866), (uep.codes.ExpandingWindow((1, 0, 0)), 0.1167, 5.4810), (uep.codes.MDS(), 0.46, 1.8122)]
)
def test_the_best_deadline(code, t, rate):
    best = uep.design.deadline(code, RXC, PAPER, startup=0.0, latest=2.0)
    assert best.deadlines.item() == pytest.approx(t, abs=6e-3)
    assert best.objective == pytest.approx(rate, abs=6e-5)
    times = np.linspace(0.01, 2.0, 997)
    assert best.objective >= ((1 - loss(code, RXC, PAPER, times)) / times).max()
    assert best.baseline == pytest.approx((1 - loss(code, RXC, PAPER, 2.0).item()) / 2.0)


def test_a_startup_time_makes_waiting_worth_while():
    water = uep.design.repetition(RXC, TRUE, deadlines=0.02).code
    with pytest.raises(ValueError, match="startup must be larger: with 0 the rate"):
        uep.design.deadline(water, RXC, TRUE, startup=0.0, latest=2.0)
    best = [uep.design.deadline(water, RXC, TRUE, startup=tau, latest=4.0).deadlines.item() for tau in (0.05, 0.2, 0.8)]
    assert best == sorted(best)
    assert best[0] > 0.01


def test_the_deadline_of_a_law_with_steps_is_a_step():
    workers = uep.Workers(30, latency=uep.latency.Deterministic(0.7), omega=1.0)
    best = uep.design.deadline(uep.codes.MDS("factored"), RXC, workers, startup=0.1)
    assert best.deadlines.item() == pytest.approx(0.7, rel=1e-6)
