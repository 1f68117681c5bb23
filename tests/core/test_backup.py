"""Backup and relaunch: second tries at packets that have not come by an age (docs/mathematics.md §4)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import CXR, EW, RXC
from uepgpu import Backup, Relaunch, Workers, codes, theory
from uepgpu.latency import Deterministic, Empirical, Exponential, Pareto, Staged, Weibull

PARETO = Pareto(1.5, 0.2)
TIMES = np.array([0.0, 0.1, 0.3, 0.45, 0.6, 1.0, 5.0])


def pool(law=PARETO, count=30, **more):
    return Workers(count, law, **({"omega": 1.0, "work": "unit"} | more))


TABLE = [
    (None, (0.807550, 0.910557), 1.0),
    (Backup(0.3), (0.895243, 0.986340), 1.54433),
    (Backup(0.5), (0.807550, 0.977373), 1.25298),
    (Relaunch(0.3), (0.703704, 0.916869), 1.54433),
    (Relaunch(0.5), (0.747018, 0.936000), 1.25298),
]
"""Second try, F(.6) and F(1), copies launched a packet; the launches at age .5 are 1 + (.2/.5)^1.5."""


@pytest.mark.parametrize("backup, expected, launched", TABLE)
def test_second_tries_are_those_of_the_table(backup, expected, launched):
    workers = pool(backup=backup)
    assert workers.arrival([0.6, 1.0], 9, 1).round(6).tolist() == list(expected)
    assert round(float(workers.launched(9, 1)), 5) == launched
    assert theory.launched_packets(EW, RXC, workers) == pytest.approx(30 * workers.launched(9, 1))


@pytest.mark.parametrize("kind", [Backup, Relaunch])
def test_simulated_copies_arrive_and_are_launched_as_often(kind):
    rng = np.random.default_rng(8)
    n, after, lost, load = 200_000, 0.7, 0.2, 1.5
    first, second = (np.where(rng.random(n) < lost, np.inf, load * 0.4 * rng.weibull(0.8, n)) for _ in range(2))
    again = first > after
    came = np.where(again, after + second, np.inf)
    arrival = np.minimum(first, came) if kind is Backup else np.where(again, came, first)
    workers = pool(Weibull(0.8, 0.4), omega=1 / load, loss_probability=lost, backup=kind(after))
    for t in (0.3, 0.7, 1.0, 2.0):
        exact = float(workers.arrival(t, 9, 1))
        assert abs(np.mean(arrival <= t) - exact) <= 4 * math.sqrt(exact * (1 - exact) / n)
    exact = float(workers.launched(9, 1)) - 1
    assert abs(np.mean(again) - exact) <= 4 * math.sqrt(exact * (1 - exact) / n)


@pytest.mark.parametrize("after", [0.2, 1.0])
@pytest.mark.parametrize("speed", [1.0, 2.5])
def test_relaunch_of_an_exponential_changes_nothing(after, speed):
    plain, again = pool(Exponential(2.0)), pool(Exponential(2.0), backup=Relaunch(after))
    np.testing.assert_allclose(again.arrival(TIMES, 9, 1, speed), plain.arrival(TIMES, 9, 1, speed), rtol=1e-13, atol=0)
    np.testing.assert_allclose(again.absence(TIMES, 9, 1, speed), plain.absence(TIMES, 9, 1, speed), rtol=1e-13, atol=0)


@pytest.mark.parametrize("law", [PARETO, Exponential(), Empirical([0.1, 0.4, 0.9]), Staged(Exponential(), Exponential(5.0), 0.1)])
@pytest.mark.parametrize("backup", [Backup(0.3), Relaunch(0.3)])
def test_arrival_and_absence_are_complementary_and_begin_as_without(law, backup):
    workers = pool(law, backup=backup, loss_probability=0.1)
    got, absent = workers.arrival(TIMES, 9, 1), workers.absence(TIMES, 9, 1)
    np.testing.assert_allclose(got + absent, 1, rtol=0, atol=4e-16)
    plain = pool(law, loss_probability=0.1)
    early = TIMES < 0.3
    np.testing.assert_array_equal(got[early], plain.arrival(TIMES, 9, 1)[early])
    assert np.all(np.diff(got) >= 0)
    # In the end every copy has come or is lost, those that were never launched aside.
    late = float(plain.absence(0.3, 9, 1))
    ever = 1 - 0.1 * 0.1 if isinstance(backup, Backup) else 1 - late * 0.1
    assert workers.arrival(math.inf, 9, 1) == pytest.approx(ever, rel=1e-14)


def test_backups_keep_their_digits_in_the_tail():
    workers = pool(Exponential(), backup=Backup(1.0))
    assert workers.absence(200.0, 9, 1) == pytest.approx(math.exp(-399), rel=1e-12, abs=0)


def test_a_second_copy_due_exactly_at_the_deadline_has_arrived():
    # After a long wait the difference of the two is rounded more than the latency itself.
    for cents in (*range(5, 300, 7), *range(10_000, 12_000, 70)):
        for kind in (Backup, Relaunch):
            workers = pool(Empirical([0.3, 500.0]), backup=kind(cents / 100))
            # The second copy, if it is one of the fast ones, comes .3 after its launch.
            if cents > 30:
                assert workers.arrival(round(cents / 100 + 0.3, 2), 9, 1) == 0.75


def test_deadline_domain_and_count_domain_take_second_tries():
    workers = pool(backup=Backup(0.3))
    exact = theory.loss(EW, RXC, workers, deadlines=[0.3, 0.4]).loss.values
    timed = uep.simulate(EW, RXC, workers, deadlines=[0.3, 0.4], realizations=20_000, seed=2).loss(RXC)
    counted = uep.simulate(EW, RXC, workers, realizations=20_000, seed=2).loss(RXC, workers=workers, deadlines=[0.3, 0.4])
    for found in (timed, counted):
        assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)


def test_launches_are_summed_over_windows_speeds_and_ties():
    speeds = [1.0, 2.0, 0.5]
    workers = Workers(3, Exponential(), omega=1.0, speeds=speeds, backup=Backup(0.5))
    expected = 0.0
    law = EW.law(CXR, 3)
    for work, p in zip(law.work, law.probabilities, strict=True):
        expected += sum(p * (1 + math.exp(-0.5 * s / work)) for s in speeds)
    assert theory.launched_packets(EW, CXR, workers) == pytest.approx(expected, rel=1e-13)
    nine = Workers(9, Deterministic(1.0), omega=1.0, speeds=[0.5] * 3 + [4.0] * 6, backup=Relaunch(0.5))
    assert theory.launched_packets(codes.Uncoded(), RXC, nine) == 12
    assert theory.launched_packets(codes.Uncoded(), RXC, Workers(9, omega="fair")) == 9
