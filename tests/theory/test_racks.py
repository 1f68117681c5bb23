"""Racks: workers that are struck together (docs/mathematics.md §4)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import CXR, EW, GAMMA, MDS, NOW, RXC, close
from tests.oracles import brute_force as brute
from uepgpu import Backup, Racks, Relaunch, Workers, codes, theory
from uepgpu.latency import Deterministic, Exponential, Pareto
from uepgpu.replay import replay
from uepgpu.theory.received import received_law

TIMES = [0.3, 0.6]


def racks(size, probability=0.1, latency=None, count=30):
    return Racks([w // size for w in range(count)], probability, latency)


def unit(count=30, **more):
    return Workers(count, omega=1.0, work="unit", **more)


TABLE = [
    (5, (0.38062, 0.04130), (0.73577, 0.11619), 9.4339),
    (10, (0.38366, 0.06372), (0.71797, 0.14963), 12.1821),
    (1, (0.37527, 0.02653), (0.74867, 0.08328), 7.2353),
]
"""Size of racks that are dark with probability .1, loss of EW and of MDS at .3 and .6, variance of N(.6)."""


@pytest.mark.parametrize("size, ew, mds, variance", TABLE)
def test_losses_and_variances_are_those_of_the_table(size, ew, mds, variance):
    workers = unit(racks=racks(size))
    for code, expected in ((EW, ew), (MDS, mds)):
        found = theory.loss(code, RXC, workers, deadlines=TIMES).normalized_loss.values
        assert found.round(5).tolist() == list(expected)
    law, n = received_law(workers, np.array([0.6]), 9, 1)[0], np.arange(31)
    assert round(float(law @ n**2 - (law @ n) ** 2), 4) == variance


def test_racks_of_one_are_a_loss_probability_in_law():
    dark, lossy = unit(racks=racks(1, 0.2)), unit(loss_probability=0.2)
    times = np.array([0.0, 0.01, 0.5, 3.0, 60.0])
    close(received_law(dark, times, 9, 1), received_law(lossy, times, 9, 1))
    for code in (EW, NOW):
        probability = [theory.decoding_probability(code, RXC, w, deadlines=times).failure.values for w in (dark, lossy)]
        np.testing.assert_allclose(*probability, rtol=1e-9, atol=0)
    np.testing.assert_allclose(dark.arrival(times, 9, 1), lossy.arrival(times, 9, 1), rtol=1e-14)
    np.testing.assert_allclose(dark.absence(times, 9, 1), lossy.absence(times, 9, 1), rtol=1e-14)


SLOW = Exponential(0.2)
LAWS = (Exponential(1.0), Pareto(1.5, 0.2), Deterministic(0.4), Exponential(1.0), Exponential(3.0))
OF = (7, 2, 7, 2, 2)
SPEEDS = (1.0, 2.0, 0.7, 1.0, 0.5)


@pytest.mark.parametrize("slow", [None, SLOW], ids=["dark", "slow"])
@pytest.mark.parametrize("backup", [None, Backup(0.3), Relaunch(0.2)], ids=["plain", "backup", "relaunch"])
def test_the_number_received_is_that_of_every_state_and_outcome(slow, backup):
    workers = Workers(5, LAWS, 0.9, "true", loss_probability=0.2, speeds=SPEEDS, racks=Racks(OF, 0.3, slow), backup=backup)
    times = np.array([0.0, 0.2, 0.5, 1.0, 9.0])
    alone = [
        {
            False: Workers(1, law, 0.9, "true", loss_probability=0.2, backup=backup),
            True: slow and Workers(1, slow, 0.9, "true", loss_probability=0.2, backup=backup),
        }
        for law in LAWS
    ]
    expected = np.zeros((5, 6))
    marginal = np.zeros(5)
    for d, t in enumerate(times):
        for states in itertools.product((False, True), repeat=2):
            weight = math.prod(0.3 if struck else 0.7 for struck in states)
            struck = [states[0] if rack == 2 else states[1] for rack in OF]
            pools = [alone[w][struck[w]] for w in range(5)]
            p = [0.0 if pool is None else float(pool.arrival(t, 9, 3, s)) for pool, s in zip(pools, SPEEDS, strict=True)]
            marginal[d] += weight * p[1]
            for outcome in itertools.product((0, 1), repeat=5):
                chance = math.prod(x if got else 1 - x for x, got in zip(p, outcome, strict=True))
                expected[d, sum(outcome)] += weight * chance
    close(received_law(workers, times, 9, 3), expected)
    law = workers.law_of()[1]
    close(workers.arrival(times, 9, 3, SPEEDS[1], law), marginal)
    close(workers.absence(times, 9, 3, SPEEDS[1], law), 1 - marginal)


@pytest.mark.parametrize("code", [EW, NOW, MDS], ids=["EW", "NOW", "MDS"])
def test_losses_equal_enumeration(code):
    part = brute.matrices_partition("cxr", **brute.CXR4)
    workers = Workers(4, Exponential(1.0), 1.0, "unit", racks=Racks([0, 0, 1, 1], 0.25, Exponential(0.3)))
    law = code.law(part, 4)
    expected = 0.0
    for states in itertools.product((1.0, 0.3), repeat=2):
        weight = math.prod(0.75 if rate == 1 else 0.25 for rate in states)
        arrived = [[1 - math.exp(-0.8 * states[w // 2])] * len(law.probabilities) for w in range(4)]
        expected += weight * brute.loss(brute.drawn_by_deadline(law.supports, law.probabilities, arrived), part.gram)
    assert theory.loss(code, part, workers, deadlines=[0.8]).loss.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("code", [EW, NOW], ids=["EW", "NOW"])
def test_a_count_domain_tally_serves_racks(code):
    workers = unit(racks=racks(5, 0.2, Exponential(0.1)))
    tally = uep.simulate(code, RXC, workers, realizations=20_000, seed=3)
    assert tally == uep.simulate(code, RXC, unit(), realizations=20_000, seed=3)
    found = tally.loss(RXC, workers=workers, deadlines=TIMES)
    exact = theory.loss(code, RXC, workers, deadlines=TIMES).loss.values
    assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)
    probability = tally.decoding_probability(workers=workers, deadlines=TIMES)
    exact = theory.decoding_probability(code, RXC, workers, deadlines=TIMES).probability.values
    assert np.all(np.abs(probability.probability.values - exact) <= 4 * probability.stderr.values)


def test_racks_that_are_never_struck_are_independent_workers_integer_for_integer():
    safe = unit(racks=racks(5, 0.0))
    assert safe.independent
    options = {"realizations": 500, "seed": 9}
    fixed = codes.ExpandingWindow(GAMMA, windows="fixed")
    for code in (EW, fixed):
        for deadlines in (None, TIMES):
            one, other = (uep.simulate(code, RXC, w, deadlines=deadlines, **options) for w in (safe, unit()))
            assert one == other
    assert theory.loss(fixed, RXC, safe, deadlines=TIMES).equals(theory.loss(fixed, RXC, unit(), deadlines=TIMES))


@pytest.mark.parametrize(
    "code, workers, reason",
    [
        (codes.ExpandingWindow(GAMMA, windows="fixed"), unit(racks=racks(5)), "do not answer independently and packets are tied"),
        (EW, Workers(30, racks=racks(5), omega="fair"), "differ in true work"),
    ],
)
def test_what_the_count_domain_cannot_serve_is_refused(code, workers, reason):
    with pytest.raises(ValueError, match=reason):
        uep.simulate(code, CXR, workers, realizations=10, seed=1)
    with pytest.raises(NotImplementedError, match=r"whose arrivals are not independent .*uepgpu\.simulate"):
        theory.loss(code, CXR, workers, deadlines=TIMES)


@pytest.mark.parametrize("code, column", [(EW, 1), (MDS, 2)], ids=["EW", "MDS"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"racks of {row[0]}")
def test_simulated_arrivals_lose_what_the_table_says(row, code, column):
    # Racks of one are a loss probability: the row is that of lossy workers too.
    tally = uep.simulate(code, RXC, unit(racks=racks(row[0])), deadlines=TIMES, realizations=60_000, seed=12)
    loss = tally.loss(RXC)
    assert np.all(np.abs(loss.normalized_loss.values - row[column]) <= 4 * loss.normalized_loss_stderr.values)


@pytest.mark.parametrize("slow", [None, SLOW], ids=["dark", "slow"])
@pytest.mark.parametrize("windows", ["drawn", "fixed"])
def test_simulated_losses_at_unequal_work_equal_enumeration(windows, slow):
    part = brute.matrices_partition("cxr", **brute.CXR4)
    code = codes.ExpandingWindow(GAMMA, windows=windows)
    workers = Workers(
        4, LAWS[0], 2.0, "true", loss_probability=0.1, speeds=(1.0, 2.0, 0.7, 1.0), racks=Racks([5, 2, 5, 2], 0.4, slow)
    )
    law = code.law(part, 4)
    rates = {False: 1.0, True: 0.0 if slow is None else 0.2}
    expected = 0.0
    for states in itertools.product((False, True), repeat=2):
        struck = [states[1], states[0], states[1], states[0]]
        arrived = [
            [0.9 * -math.expm1(-2.0 * 0.8 * s * rates[one] / r) for r in law.work.tolist()]
            for s, one in zip(workers.speeds, struck, strict=True)
        ]
        if windows == "drawn":
            outcomes = brute.drawn_by_deadline(law.supports, law.probabilities, arrived)
        else:
            own = law.window.tolist()
            outcomes = brute.tied_by_deadline(law.supports, own, [arrived[w][own[w]] for w in range(4)])
        expected += math.prod(0.4 if one else 0.6 for one in states) * brute.loss(outcomes, part.gram)
    loss = uep.simulate(code, part, workers, deadlines=[0.8], realizations=60_000, seed=4).loss(part)
    assert abs(loss.loss.item() - expected) <= 4 * loss.loss_stderr.item()


def test_which_workers_share_a_rack_is_part_of_the_problem():
    one, other = (unit(4, racks=Racks(of, 0.3)) for of in ([0, 0, 1, 1], [0, 1, 0, 1]))
    options = {"deadlines": TIMES, "realizations": 300, "seed": 5}
    part = brute.matrices_partition("cxr", **brute.CXR4)
    tallies = [uep.simulate(EW, part, w, **options) for w in (one, other)]
    assert tallies[0].problem != tallies[1].problem
    # Names of racks are names only.
    assert uep.simulate(EW, part, unit(4, racks=Racks([7, 7, 9, 9], 0.3)), **options) == tallies[0]


def test_products_meet_racks():
    rng = np.random.default_rng(1)
    part = uep.Partition.rxc(rng.normal(size=(6, 4)), rng.normal(size=(4, 6)), rows=3, cols=3, classes=(3, 3, 3))
    workers = unit(racks=racks(10, 0.3))
    result = uep.multiply(part, EW, workers, deadline=0.6, realizations=400, seed=3)
    tally = uep.simulate(EW, part, workers, deadlines=[0.6], realizations=400, seed=3)
    assert float(np.mean(result.loss)) == pytest.approx(tally.loss(part).loss.item(), rel=1e-6)


def test_a_replay_names_the_racks_that_are_struck():
    workers = unit(9, racks=Racks([w // 3 for w in range(9)], 0.5))
    part = brute.matrices_partition("cxr", **brute.CXR4)
    seen = set()
    for i in range(20):
        told = replay(EW, part, workers, deadlines=[50.0], realization=i, seed=3)
        dark = {w // 3 for w in range(9) if told.packets[w].time is None}
        assert told.shared == (f"racks struck: {', '.join(map(str, sorted(dark))) or 'none'}",)
        seen |= dark
        assert all(told.packets[3 * rack + w].time is None for rack in dark for w in range(3))
    assert seen == {0, 1, 2}


def test_a_tally_of_tied_packets_does_not_serve_racks():
    tally = uep.simulate(codes.ExpandingWindow(GAMMA, windows="fixed"), RXC, unit(), realizations=50, seed=1)
    with pytest.raises(ValueError, match="do not answer independently, and packets are tied"):
        tally.loss(RXC, workers=unit(racks=racks(5)), deadlines=TIMES)


def test_alike_packets_may_be_tied_to_workers_in_racks():
    part = uep.Partition.model("cxr", left_variances=[3, 2, 1], right_variances=[1, 1, 1], classes=(3,))
    tied, drawn = (codes.ExpandingWindow((1.0,), windows=w) for w in ("fixed", "drawn"))
    workers = unit(6, racks=racks(2, count=6))
    found = uep.simulate(tied, part, workers, realizations=50, seed=1).loss(part, workers=workers, deadlines=TIMES).loss.values
    close(found, theory.loss(drawn, part, workers, deadlines=TIMES).loss.values)
    close(found, theory.loss(tied, part, workers, deadlines=TIMES).loss.values)


def test_many_workers_in_few_racks_keep_their_digits():
    # One rack of all: the mixture of two binomial laws, of a thousand workers or none.
    part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    for count, t in ((1000, 0.5), (1000, 1e-5), (1000, 5.0), (60, 0.05)):
        struck = Workers(count, omega=1.0, work="unit", racks=Racks([0] * count, 0.25))
        found = theory.decoding_probability(EW2, part, struck, deadlines=[t])
        plain = theory.decoding_probability(EW2, part, Workers(count, omega=1.0, work="unit"), deadlines=[t])
        np.testing.assert_allclose(found.probability, 0.75 * plain.probability, rtol=1e-9)
        np.testing.assert_allclose(found.failure, 0.25 + 0.75 * plain.failure, rtol=1e-9)
    with pytest.raises(NotImplementedError, match=r"1,001 workers \(at most 1,000\)"):
        theory.loss(EW2, part, Workers(1001, omega=1.0, work="unit", racks=Racks([0] * 1001, 0.25)), deadlines=[1.0])


EW2 = codes.ExpandingWindow((0.5, 0.5))


def test_the_first_workers_keep_their_racks():
    assert unit(racks=racks(5)).first(7).racks == Racks([0, 0, 0, 0, 0, 1, 1], 0.1)
