"""Workers that are not alike: only how many packets arrive matters where they carry equal work (docs/mathematics.md §4)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import CXR, EW, GAMMA, MDS, NOW, PAPER, RXC, close
from tests.oracles import brute_force as brute
from uepgpu import Workers, codes, latency, theory
from uepgpu.theory.laws import MOST_DIFFERENT
from uepgpu.theory.received import received_law

TIMES = [0.3, 0.6]


def unit(count, **more):
    return Workers(count, omega=1.0, work="unit", **more)


HALF_SLOW = [1.0] * 15 + [0.5] * 15
THIRD_FAST = [2.0] * 10 + [0.5] * 20
TABLE = [
    (HALF_SLOW, (0.50941, 0.06766), (0.87629, 0.20212)),
    (THIRD_FAST, (0.33197, 0.01926), (0.71458, 0.06286)),
]
"""Speeds, loss of EW and of MDS at .3 and .6: docs/mathematics.md §4, computed apart from the project."""


@pytest.mark.parametrize("speeds, ew, mds", TABLE)
def test_losses_of_unequal_workers_are_those_of_the_table(speeds, ew, mds):
    by_speed = unit(30, speeds=speeds)
    by_law = unit(30, latency=[latency.Exponential(s) for s in speeds])
    for workers, (code, expected) in itertools.product((by_speed, by_law), ((EW, ew), (MDS, mds))):
        found = theory.loss(code, RXC, workers, deadlines=TIMES).normalized_loss.values
        assert found.round(5).tolist() == list(expected)


LAWS = (latency.Exponential(1.0), latency.Pareto(1.5, 0.2), latency.Deterministic(0.4), latency.Weibull(0.6, 0.5))


def test_the_law_of_the_number_received_is_that_of_every_outcome():
    workers = Workers(5, latency=[*LAWS, LAWS[0]], omega=0.9, loss_probability=0.2, speeds=(1.0, 2.0, 0.7, 1.0, 0.5))
    times = np.array([0.0, 0.2, 0.5, 1.0, 9.0])
    expected = np.zeros((5, 6))
    for d, t in enumerate(times):
        p = [0.8 * float(law.cdf(t * 0.9 * s / 3)) for law, s in zip(workers.latency, workers.speed(), strict=True)]
        for outcome in itertools.product((0, 1), repeat=5):
            expected[d, sum(outcome)] += math.prod(x if got else 1 - x for x, got in zip(p, outcome, strict=True))
    close(received_law(workers, times, 9, 3), expected)


def test_both_tails_of_the_number_received_keep_their_digits():
    # All or none of 40 workers: products of probabilities that are known to the last digits.
    workers = unit(40, latency=[latency.Exponential(1.0 + w / 40) for w in range(40)])
    law = received_law(workers, np.array([1e-6, 10.0]), 9, 1)
    rates = 1 + np.arange(40) / 40
    assert law[0, 40] == pytest.approx(np.prod(-np.expm1(-1e-6 * rates)), rel=1e-11, abs=0)
    assert law[1, 0] == pytest.approx(math.exp(-10.0 * rates.sum()), rel=1e-11, abs=0) != 0


def test_a_list_of_equal_laws_is_one_law():
    one, listed = unit(9, latency=latency.Empirical([0.5, 1.0])), unit(9, latency=[latency.Empirical([0.5, 1.0]) for _ in range(9)])
    assert listed.identical
    options = {"realizations": 300, "seed": 3}
    assert uep.simulate(EW, RXC, one, deadlines=TIMES, **options) == uep.simulate(EW, RXC, listed, deadlines=TIMES, **options)
    assert uep.simulate(EW, RXC, one, **options) == uep.simulate(EW, RXC, listed, **options)
    assert theory.loss(EW, RXC, one, deadlines=TIMES).loss.equals(theory.loss(EW, RXC, listed, deadlines=TIMES).loss)


@pytest.mark.parametrize("code", [EW, NOW, MDS], ids=["EW", "NOW", "MDS"])
def test_drawn_packets_at_workers_of_different_laws_equal_enumeration(code):
    part = brute.matrices_partition("rxc", **brute.RXC4)
    workers = Workers(4, latency=LAWS, omega=1.0, work="unit", speeds=(1.0, 2.0, 0.7, 1.0))
    law = code.law(part, 4)
    times = [0.1, 0.5, 1.5]
    arrived = [[[float(f.cdf(t * s))] * len(law.probabilities) for f, s in zip(LAWS, workers.speed(), strict=True)] for t in times]
    laws = [brute.drawn_by_deadline(law.supports, law.probabilities, a) for a in arrived]
    found = theory.loss(code, part, workers, deadlines=times).loss.values
    np.testing.assert_allclose(found, [brute.loss(x, part.gram) for x in laws], **brute.ENUMERATION)


def test_packets_tied_to_workers_of_different_laws_equal_enumeration():
    part = brute.matrices_partition("cxr", **brute.CXR4)
    workers = Workers(4, latency=LAWS, omega=0.8)
    arrived = [float(law.cdf(0.8)) for law in LAWS]
    code = codes.Uncoded()
    law = brute.tied_by_deadline(code.law(part, 4).supports, code.law(part, 4).window, arrived)
    assert theory.loss(code, part, workers, deadlines=[1.0]).loss.item() == pytest.approx(brute.loss(law, part.gram), abs=1e-12)


@pytest.mark.parametrize("code", [EW, NOW], ids=["EW", "NOW"])
def test_simulated_packets_of_workers_that_differ_agree_with_theory_in_both_domains(code):
    workers = unit(30, latency=[latency.Exponential(1.0)] * 20 + [latency.Pareto(2.0, 0.2)] * 10, speeds=HALF_SLOW)
    exact = theory.loss(code, RXC, workers, deadlines=TIMES).loss.values
    counted = uep.simulate(code, RXC, workers, realizations=20_000, seed=5).loss(RXC, workers=workers, deadlines=TIMES)
    timed = uep.simulate(code, RXC, workers, deadlines=TIMES, realizations=20_000, seed=5).loss(RXC)
    for found in (counted, timed):
        assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)
    assert np.all(counted.loss_stderr.values < timed.loss_stderr.values)


def test_packets_that_are_tied_but_all_alike_are_exchangeable():
    part = uep.Partition.model("cxr", left_variances=[3, 2, 1], right_variances=[1, 1, 1], classes=(3,))
    tied, drawn = (codes.ExpandingWindow((1.0,), windows=w) for w in ("fixed", "drawn"))
    workers = unit(6, speeds=[1, 1, 1, 2, 2, 2])
    tally = uep.simulate(tied, part, workers, realizations=200, seed=1)
    assert not tally.tied
    found = tally.loss(part, workers=workers, deadlines=TIMES).loss.values
    close(found, theory.loss(drawn, part, workers, deadlines=TIMES).loss.values)
    close(found, theory.loss(tied, part, workers, deadlines=TIMES).loss.values)


@pytest.mark.parametrize(
    "code, workers, reason",
    [
        (
            codes.ExpandingWindow(GAMMA, windows="fixed"),
            Workers(30, speeds=HALF_SLOW, work="unit", omega="fair"),
            "packets are tied to them",
        ),
        (
            codes.Uncoded(),
            Workers(9, latency=[latency.Exponential(1.0 + w) for w in range(9)], omega="fair"),
            "packets are tied to them",
        ),
        (EW, Workers(30, speeds=HALF_SLOW, omega="fair"), "differ in true work"),
    ],
)
def test_the_count_domain_is_refused_where_contents_depend_on_who_sends_them(code, workers, reason):
    part = CXR if isinstance(code, codes.ExpandingWindow) else RXC
    with pytest.raises(ValueError, match=reason):
        uep.simulate(code, part, workers, realizations=10, seed=1)


def test_too_many_workers_that_differ_are_refused_before_they_take_hours():
    many = Workers(MOST_DIFFERENT + 1, speeds=[1.0, 2.0] + [1.0] * (MOST_DIFFERENT - 1), work="unit", omega="fair")
    with pytest.raises(NotImplementedError, match="may differ"):
        theory.loss(EW, RXC, many, deadlines=TIMES)
    assert theory.loss(EW, RXC, Workers(MOST_DIFFERENT + 1, work="unit", omega="fair"), deadlines=TIMES).loss.shape == (2,)


def test_first_workers_keep_their_laws_and_speeds():
    workers = unit(4, latency=LAWS, speeds=[1, 2, 3, 4])
    fewer = workers.first(3)
    assert (fewer.count, fewer.latency, fewer.speeds) == (3, LAWS[:3], (1, 2, 3))
    assert PAPER.first(5).latency == PAPER.latency
