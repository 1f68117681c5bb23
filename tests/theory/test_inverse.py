"""Deadlines and numbers of workers for a loss: roots of the exact loss, the first of them, and what is never reached."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.cases.paper import CXR, EW, GAMMA, LEVEL_PAIR, MDS, NOW, PAPER, RXC
from tests.cases.refusals import cases, refused
from uepgpu import Partition, Workers, codes, latency, theory

TARGETS = (0.9, 0.5, 0.05, 1e-3, 1e-4)
LAWS = [
    latency.Exponential(1.0),
    latency.Exponential(1e-12),
    latency.ShiftedExponential(3e9, 1e-9),
    latency.Weibull(0.4, 2.0),
    latency.Pareto(0.3, 0.5),
    latency.LogNormal(1.0, 2.0),
]


def loss_at(code, part, workers, t):
    return theory.loss(code, part, workers, deadlines=[t]).normalized_loss.item()


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_loss_at_the_deadline_is_the_target_and_not_before(law):
    workers = Workers(30, latency=law, omega=0.7, work="unit")
    for code, part in ((EW, RXC), (NOW, CXR), (MDS, RXC)):
        found = theory.deadline_for(code, part, workers, loss=TARGETS)
        assert found.sizes == {"target": 5}
        for t, target, reached in zip(found.deadline.values, TARGETS, found.normalized_loss.values, strict=True):
            assert loss_at(code, part, workers, t) == reached
            assert abs(reached - target) < 1e-9
            assert loss_at(code, part, workers, t * (1 - 1e-7)) > target
        assert np.all(np.diff(found.deadline) > 0)


@pytest.mark.parametrize(
    "code, workers",
    [
        (EW, Workers(30, omega="fair")),  # true work
        (LEVEL_PAIR, Workers(20, speeds=(1.0, 3.0) * 10, omega="fair")),
        (codes.Uncoded(), Workers(9, omega=1.0)),
        (codes.Repetition(2), Workers(18, omega="fair")),
        (codes.ExpandingWindow(GAMMA, windows="fixed"), Workers(30, omega="fair")),
    ],
    ids=["true work", "speeds", "uncoded", "repetition", "fixed"],
)
def test_every_closed_form_has_deadlines(code, workers):
    found = theory.deadline_for(code, RXC, workers, loss=[0.3, 0.1])
    for t, target in zip(found.deadline.values, (0.3, 0.1), strict=True):
        assert abs(loss_at(code, RXC, workers, t) - target) < 1e-9


def test_two_fold_repetition_needs_the_deadline_of_uncoded_workers():
    one = theory.deadline_for(codes.Uncoded(), RXC, Workers(9, omega=1.0), loss=0.1).deadline.item()
    two = theory.deadline_for(codes.Repetition(2), RXC, Workers(18, omega=0.5), loss=0.1).deadline.item()
    assert one == pytest.approx(-math.log(0.1), rel=1e-12)
    assert two == pytest.approx(one, rel=1e-12)


def test_a_step_is_reached_where_it_is():
    fixed = Workers(9, latency=latency.Deterministic(2.5), omega=1.0)
    found = theory.deadline_for(codes.Uncoded(), RXC, fixed, loss=[0.5, 0.0])
    np.testing.assert_allclose(found.deadline, 2.5, rtol=1e-14)
    assert found.normalized_loss.values.tolist() == [0.0, 0.0]
    empirical = Workers(9, latency=latency.Empirical([1.0, 2.0, 4.0, 8.0]), omega=1.0)
    found = theory.deadline_for(codes.Uncoded(), RXC, empirical, loss=[0.75, 0.6, 0.5, 0.1])
    np.testing.assert_allclose(found.deadline, [1.0, 2.0, 2.0, 8.0], rtol=1e-14)


def test_a_loss_that_is_never_reached_has_no_deadline():
    lossy = Workers(9, omega=1.0, loss_probability=0.1)
    found = theory.deadline_for(codes.Uncoded(), RXC, lossy, loss=[0.2, 0.0999, 1.0, 7.0])
    assert found.deadline.values[1] == math.inf
    assert found.normalized_loss.values[1] == pytest.approx(0.1, rel=1e-12)
    assert found.deadline.values[2:].tolist() == [0.0, 0.0]
    half = codes.Windows([[0, 1, 2]], (1.0,))
    found = theory.deadline_for(half, RXC, PAPER, loss=[0.5, 0.01])
    assert math.isfinite(found.deadline.values[0])
    assert found.deadline.values[1] == math.inf


def test_where_summands_cancel_the_first_crossing_is_found():
    gram = np.array([[1.0, -0.95], [-0.95, 1.0]])
    part = Partition("cxr", (2,), np.array([1, 2]), gram)
    code, workers = codes.ExpandingWindow((0.7, 0.3)), Workers(12, omega=1.0, work="unit")
    times = np.linspace(0, 12, 2000)
    curve = theory.loss(code, part, workers, deadlines=times).normalized_loss.values
    assert np.any(np.diff(curve) > 0.001)  # it rises at first: half of the product is worse than none of it
    for target in (1.5, 0.5):
        t = theory.deadline_for(code, part, workers, loss=target).deadline.item()
        assert np.all(curve[times < t * (1 - 1e-9)] > target) if t else curve[0] <= target
        assert loss_at(code, part, workers, t) <= target * (1 + 1e-12)


def test_workers_for_a_loss_are_the_fewest():
    found = theory.workers_for(EW, RXC, PAPER, loss=[0.5, 0.05, 1e-3], deadline=0.6)
    for count, target, reached in zip(found.workers.values, (0.5, 0.05, 1e-3), found.normalized_loss.values, strict=True):
        at = [loss_at(EW, RXC, Workers(int(count) - less, omega=1.0, work="unit"), 0.6) for less in (0, 1)]
        assert at[0] == reached <= target < at[1]
    assert theory.workers_for(EW, RXC, PAPER, loss=1e-3, deadline=0.6, most=30).workers.item() == math.inf
    assert np.isnan(theory.workers_for(EW, RXC, PAPER, loss=1e-3, deadline=0.6, most=30).normalized_loss.item())


def test_workers_who_share_the_work_may_be_too_many():
    # Ω = K/W and a start-up time: ten workers decode most by t = 1 (shift .5, rate 2), thirty nothing.
    workers = Workers(1, latency=latency.ShiftedExponential(2.0, 0.5), work="unit", omega="fair")
    losses = [loss_at(MDS, RXC, Workers(n, latency=workers.latency, work="unit", omega="fair"), 1.5) for n in range(1, 31)]
    fewest = 1 + next(i for i, x in enumerate(losses) if x <= 0.7)
    assert losses[-1] > 0.99
    assert theory.workers_for(MDS, RXC, workers, loss=0.7, deadline=1.5).workers.item() == fewest


def test_codes_that_fit_one_number_of_workers():
    found = theory.workers_for(codes.Repetition(2), RXC, Workers(1, omega=1.0), loss=[0.5, 0.01], deadline=1.0)
    assert found.workers.values.tolist() == [18, math.inf]
    with pytest.raises(ValueError, match=r"code fits no number of workers up to most=17: repetition.*18"):
        theory.workers_for(codes.Repetition(2), RXC, Workers(1, omega="fair"), loss=0.5, deadline=1.0, most=17)


def test_what_has_no_closed_form_is_named():
    with pytest.raises(NotImplementedError, match=r"LT.*uepgpu\.simulate"):
        theory.deadline_for(codes.LT(), RXC, PAPER, loss=0.1)
    with pytest.raises(NotImplementedError, match=r"LT.*uepgpu\.simulate"):
        theory.workers_for(codes.LT(), RXC, PAPER, loss=0.1, deadline=1.0)


BAD = cases(
    deadline={
        "negative": (lambda: theory.deadline_for(EW, RXC, PAPER, loss=-0.1), "loss must be finite normalized losses >= 0", "-0.1"),
        "nan": (lambda: theory.deadline_for(EW, RXC, PAPER, loss=math.nan), "loss must be finite normalized losses >= 0", "nan"),
        "part": (lambda: theory.deadline_for(EW, None, PAPER, loss=0.1), "part must be a uepgpu.Partition", "None"),
        "workers": (lambda: theory.deadline_for(EW, RXC, 30, loss=0.1), "workers must be a uepgpu.Workers", "30"),
    },
    workers={
        "deadline": (
            lambda: theory.workers_for(EW, RXC, PAPER, loss=0.1, deadline=-1),
            "deadline must be a finite number >= 0",
            "-1",
        ),
        "most": (lambda: theory.workers_for(EW, RXC, PAPER, loss=0.1, deadline=1, most=0), "most must be an integer", "0"),
        "speeds": (
            lambda: theory.workers_for(EW, RXC, Workers(2, speeds=(1, 2), omega="fair"), loss=0.1, deadline=1),
            "workers must be equal for their number to be asked for",
            "speeds=(1.0, 2.0)",
        ),
        "laws": (
            lambda: theory.workers_for(
                EW,
                RXC,
                Workers(2, latency=[latency.Exponential(1.0), latency.Exponential(2.0)], omega="fair"),
                loss=0.1,
                deadline=1,
            ),
            "workers must be equal for their number to be asked for",
            "latency=",
        ),
    },
)


@pytest.mark.parametrize("call, pieces", BAD)
def test_bad_values_are_refused(call, pieces):
    refused(call, pieces)


def test_deadlines_far_from_the_typical_time_are_found():
    # F(t) = 1 - t^-.01: a loss of .2 takes t = 5^100. F(t) = 1 - exp(-t^.01): a loss of .9 takes t = (-ln .9)^100.
    late = Workers(9, latency=latency.Pareto(0.01, 1.0), omega=1.0)
    assert theory.deadline_for(codes.Uncoded(), RXC, late, loss=0.2).deadline.item() == pytest.approx(5.0**100, rel=1e-9)
    early = Workers(9, latency=latency.Weibull(0.01, 1.0), omega=1.0)
    expected = (-math.log(0.9)) ** 100
    assert theory.deadline_for(codes.Uncoded(), RXC, early, loss=0.9).deadline.item() == pytest.approx(expected, rel=1e-9)
