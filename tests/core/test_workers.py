"""Workers: arrival, absence and load against the scaled law of docs/mathematics.md §4."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import close
from uepgpu.specification.workers import worker_grid


def test_arrival_is_the_scaled_law():
    law = uep.latency.Exponential(2.0)
    times, work, speed = np.array([0.0, 0.5, 1.0])[:, None, None], np.array([1, 3])[:, None], np.array([1.0, 2.0])
    for omega, number in [("fair", 9 / 2), (0.8, 0.8)]:
        for kind, charged in [("true", work), ("unit", np.ones_like(work))]:
            pool = uep.Workers(2, latency=law, omega=omega, work=kind, loss_probability=0.1, speeds=(1.0, 2.0))
            arrival, absence = pool.arrival(times, 9, work, speed), pool.absence(times, 9, work, speed)
            close(arrival, 0.9 * -np.expm1(-2.0 * number * speed * times / charged))
            np.testing.assert_allclose(arrival + absence, 1, rtol=0, atol=2e-16)


def test_absence_keeps_its_digits_in_the_tail():
    pool = uep.Workers(9, latency=uep.latency.Exponential(1.0), omega=1.0)
    assert pool.absence(100.0, 9, 1) == pytest.approx(math.exp(-100), rel=1e-12, abs=0)


def test_fair_load_is_k_over_w():
    assert uep.Workers(30, omega="fair").resolved_omega(9) == 0.3
    assert uep.Workers(9, omega="fair").resolved_omega(9) == 1
    assert uep.Workers(9, omega=2).resolved_omega(9) == 2


def test_defaults_charge_true_work_at_the_latencies_given_without_loss():
    pool = uep.Workers(4)
    assert (pool.omega, pool.work, pool.loss_probability, pool.speeds) == (1.0, "true", 0.0, None)
    assert pool.identical
    assert pool.speed().tolist() == [1, 1, 1, 1]
    assert uep.Workers(2, speeds=[3, 3]).identical
    assert not uep.Workers(2, speeds=np.array([3, 4])).identical
    assert uep.Workers(2, speeds=[3, 4]).speed().tolist() == [3, 4]


def test_latencies_are_not_rescaled_unless_that_is_asked_for():
    law = uep.latency.ShiftedExponential(rate=2.0, shift=0.2)
    times = np.array([0.1, 0.2, 0.21, 0.89, 2.0])
    assert uep.Workers(40, latency=law).arrival(times, 9, 1).tolist() == law.cdf(times).tolist()
    ((_, read),) = worker_grid(
        "[workers]", {"count": 40, "latency": {"law": "shifted-exponential", "rate": 2.0, "shift": 0.2}}, Path()
    )
    assert read == uep.Workers(40, latency=law)


def test_r_fold_repetition_under_fair_load_is_uncoded():
    law = uep.latency.Exponential(1.3)
    t = np.linspace(0, 3, 7)
    uncoded, twice = uep.Workers(9, latency=law, omega="fair"), uep.Workers(18, latency=law, omega="fair")
    close(twice.absence(t, 9, 1) ** 2, uncoded.absence(t, 9, 1))


@pytest.mark.parametrize(
    "count, work, deadline, time",
    [(30, 3, 10.0, 1.0), (15, 3, 5.0, 1.0), (30, 1, 0.1, 0.03), (18, 2, 0.4, 0.1), (7, 9, 7.0, 1.0), (9, 1, 0.3, 0.3)],
)
def test_a_packet_due_exactly_at_the_deadline_has_arrived(count, work, deadline, time):
    # t·K/(W·r) is the time of the law in exact arithmetic: a rounding must not put it before the step.
    for law in (uep.latency.Deterministic(time), uep.latency.Empirical([time])):
        assert uep.Workers(count, latency=law, omega="fair").arrival(deadline, 9, work) == 1
        assert uep.Workers(count, latency=law, omega="fair").absence(deadline, 9, work) == 0


def test_a_law_of_ones_own_needs_just_two_methods():
    class Uniform:
        def cdf(self, time):
            return np.clip(time, 0, 1)

        def sf(self, time):
            return 1 - self.cdf(time)

    pool = uep.Workers(4, latency=Uniform(), omega=1.0)
    assert pool.arrival([0.25, 2.0], 4, 1).tolist() == [0.25, 1.0]


@pytest.mark.parametrize("count, speed", [(30, 1.0), (18, 1.0), (15, 0.5), (7, 1.0), (30, 0.3)])
def test_packets_due_at_decimal_deadlines_have_arrived_and_those_due_later_have_not(count, speed):
    for cents, work in itertools.product(range(5, 500, 5), (1, 2, 3, 9)):
        due = Fraction(cents, 100) * 9 * Fraction(str(speed)) / (count * work)
        pool = uep.Workers(count, latency=uep.latency.Deterministic(float(due)), omega="fair")
        late = uep.Workers(count, latency=uep.latency.Deterministic(float(due) * (1 + 1e-14)), omega="fair")
        assert pool.arrival(cents / 100, 9, work, speed) == 1
        assert late.arrival(cents / 100, 9, work, speed) == 0
