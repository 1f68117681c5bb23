"""Several messages per worker (docs/mathematics.md §4)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import descents
from tests.cases.paper import CXR, EW, MDS, RXC, close
from tests.cases.refusals import cases, refused
from tests.oracles import brute_force as brute
from uepgpu import Workers, codes, theory
from uepgpu import gradient_coding as gc
from uepgpu.latency import Deterministic, Exponential, Pareto
from uepgpu.theory.integrals import steps
from uepgpu.theory.received import received_law

TIMES = [1.0, 2.0]


def pool(count=30, messages=3, progress="linear", **more):
    return Workers(count, **({"omega": 0.3, "work": "unit"} | more), messages=messages, progress=progress)


POOLS = {"one": pool(messages=1), "linear": pool(), "erlang": pool(progress="erlang")}
TABLE = {
    "one": (("7.7755", "13.5357"), (".63000", ".03031"), (".28409", ".00992")),
    "linear": (("14.8091", "26.7492"), (".10821", ".00065"), (".04631", ".00032")),
    "erlang": (("8.9915", "17.8862"), (".45622", ".00709"), (".19971", ".00267")),
}
"""Mean number received, losses of MDS and EW at t = 1 and 2: W = 30, m = 3, Ω = .3."""


@pytest.mark.parametrize("name", TABLE)
def test_numbers_and_losses_are_those_of_the_table(name):
    workers, (mean, *losses) = POOLS[name], TABLE[name]
    law = received_law(workers, np.array(TIMES), 9, 1)
    assert law.shape == (2, workers.n_packets + 1)
    assert tuple(f"{x:.4f}" for x in law @ np.arange(workers.n_packets + 1)) == mean
    for code, loss in zip((MDS, EW), losses, strict=True):
        found = theory.loss(code, RXC, workers, deadlines=TIMES).normalized_loss.values
        assert tuple(f"{x:.5f}"[1:] for x in found) == loss


# --- against enumeration ----------------------------------------------------------------------------------------------

RATES, SPEEDS = (1.0, 3.0, 0.5), (1.0, 0.5, 2.0)


def at_least(progress, rate, per_unit, j):
    """Pr[the j-th message has come], written down from the definitions."""
    if progress == "linear":
        return 1 - math.exp(-rate * per_unit / j)
    x = rate * per_unit
    return 1 - sum(math.exp(-x) * x**i / math.factorial(i) for i in range(j))


def law_of_number(progress, times_per_unit, lost, m=2):
    """Pr[N = n] from every number of messages that each worker has sent, and every set of them that was lost."""
    law = np.zeros(m * len(times_per_unit) + 1)
    for sent in itertools.product(range(m + 1), repeat=len(times_per_unit)):
        p = 1.0
        for j, rate, per_unit in zip(sent, RATES, times_per_unit, strict=True):
            more = at_least(progress, rate, per_unit, j + 1) if j < m else 0.0
            p *= (at_least(progress, rate, per_unit, j) if j else 1.0) - more
        for kept in itertools.product((0, 1), repeat=sum(sent)):
            law[sum(kept)] += p * math.prod(1 - lost if k else lost for k in kept)
    return law


@pytest.mark.parametrize("progress", ["linear", "erlang"])
@pytest.mark.parametrize("lost", [0.0, 0.2])
def test_number_and_loss_are_those_of_every_outcome(progress, lost):
    part = brute.matrices_partition("rxc", **brute.RXC4)
    code = codes.ExpandingWindow((0.5, 0.3, 0.2))
    laws = [Exponential(rate) for rate in RATES]
    workers = Workers(3, laws, 0.8, "unit", loss_probability=lost, speeds=SPEEDS, messages=2, progress=progress)
    drawn = code.law(part, 6)
    by_number = [brute.loss(brute.drawn_by_received(drawn.supports, drawn.probabilities, n), part.gram) for n in range(7)]
    times = [0.0, 0.4, 1.7]
    for row, t in enumerate(times):
        expected = law_of_number(progress, [0.8 * s * t for s in SPEEDS], lost)
        np.testing.assert_allclose(received_law(workers, np.array(times), 4, 1)[row], expected, **brute.ENUMERATION)
        found = theory.loss(code, part, workers, deadlines=times).loss.values[row]
        assert found == pytest.approx(expected @ by_number, rel=1e-11)


@pytest.mark.parametrize("progress", ["linear", "erlang"])
def test_packets_of_equal_true_work_are_messages_of_that_work(progress):
    code = codes.MDS("stacked")
    assert set(code.law(RXC, 9).work.tolist()) == {9}
    true, unit = pool(work="true", progress=progress, omega=0.9), pool(progress=progress, omega=0.1)
    found, expected = (theory.loss(code, RXC, w, deadlines=[3.0, 4.0]).normalized_loss.values for w in (true, unit))
    close(found, expected)
    assert 0.01 < found[1] < found[0] < 0.99


@pytest.mark.parametrize("progress", ["linear", "erlang"])
def test_number_is_that_of_times_drawn_one_by_one(progress):
    rng = np.random.default_rng(5)
    first = rng.exponential(size=(40_000, 30, 1 if progress == "linear" else 3))
    times = first * np.arange(1, 4) if progress == "linear" else first.cumsum(axis=2)
    number = (times <= 0.3).sum(axis=(1, 2))
    law = received_law(POOLS[progress], np.array([1.0]), 9, 1)[0]
    error = np.sqrt(law * (1 - law) / len(number))
    share = np.bincount(number, minlength=91) / len(number)
    likely = law > 1e-3
    assert likely.sum() > 15
    assert np.all(np.abs(share - law)[likely] <= 4 * error[likely])


def test_both_tails_keep_their_digits():
    early, late = 1e-9, 80.0
    law = received_law(pool(1, omega=1.0), np.array([early, late]), 9, 1)
    np.testing.assert_allclose(law[0, 1], math.exp(-early) * math.expm1(early / 2), rtol=1e-12)  # F(t) - F(t/2)
    np.testing.assert_allclose(law[1, :2], [math.exp(-80), math.exp(-80) * math.expm1(40)], rtol=1e-12)
    np.testing.assert_allclose(law[1, 2], math.exp(-40) * math.expm1(40 / 3), rtol=1e-12)  # F(t/2) - F(t/3)
    law = received_law(pool(1, omega=1.0, progress="erlang"), np.array([early, late]), 9, 1)
    np.testing.assert_allclose(law[0, 3], early**3 / 6, rtol=1e-8)  # up to a relative 3/4 of x
    np.testing.assert_allclose(law[1, :3], math.exp(-80) * np.array([1, 80, 3200]), rtol=1e-12)
    for progress in ("linear", "erlang"):
        all_of_it = received_law(pool(2, progress=progress, loss_probability=0.1), np.array([0.0, np.inf]), 9, 1)
        assert all_of_it[0].tolist() == [1, 0, 0, 0, 0, 0, 0]
        close(all_of_it[1], [math.comb(6, n) * 0.9**n * 0.1 ** (6 - n) for n in range(7)])


# --- one message ------------------------------------------------------------------------------------------------------


def test_one_message_is_what_workers_return_by_default():
    for progress in ("linear", "erlang"):
        same = Workers(30, Pareto(2.0), omega=0.3, messages=1, progress=progress)
        assert same == Workers(30, Pareto(2.0), omega=0.3)
        assert same.progress == "linear"
        assert same.alike
    assert not pool().alike
    assert pool().first(4).n_packets == 12


def test_tallies_are_those_of_as_many_workers():
    several = uep.simulate(EW, RXC, pool(), realizations=500, seed=3)
    alone = uep.simulate(EW, RXC, pool(90, 1), realizations=500, seed=3)
    assert several.problem == alone.problem
    assert np.array_equal(several.counts, alone.counts)
    assert several.n_packets == 90


# --- what follows from the law of the number --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tally():
    return uep.simulate(EW, RXC, pool(), realizations=20_000, seed=4)


SERVED = POOLS | {
    "fewer": pool(20, 4, "erlang"),
    "lossy": pool(10, loss_probability=0.3),
    "heavy tails": pool(messages=2, latency=Pareto(1.5, 0.2)),
}


@pytest.mark.parametrize("workers", SERVED.values(), ids=SERVED)
def test_tallies_agree_with_closed_forms(tally, workers):
    exact = theory.loss(EW, RXC, workers, deadlines=TIMES).loss.values
    found = tally.loss(RXC, workers=workers, deadlines=TIMES)
    assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)
    time, seen = theory.completion_time(EW, RXC, workers), tally.completion_time(workers=workers)
    assert abs(seen["mean"].item() - time["mean"].item()) <= 4 * seen.mean_stderr.item()


def test_one_worker_does_all():
    part = uep.Partition.model("cxr", left_variances=[1] * 9, right_variances=[1] * 9, classes=(9,))
    times = [theory.completion_time(MDS, part, pool(1, 9, p, omega=1.0)) for p in ("linear", "erlang")]
    assert [x["mean"].item() for x in times] == pytest.approx([9, 9], rel=1e-9)  # 9 T, and a sum of nine
    assert [x["sd"].item() for x in times] == pytest.approx([9, 3], rel=1e-6)
    steady = theory.completion_time(MDS, part, pool(3, 4, latency=Deterministic(0.5), omega=1.0))
    assert (steady["mean"].item(), steady["sd"].item()) == pytest.approx((1.5, 0), abs=1e-7)
    assert steady.quantile_time.values == pytest.approx([1.5] * 3, rel=1e-9)


def test_every_message_has_its_steps():
    workers = Workers(3, Deterministic(0.5), omega=2.0, speeds=[1, 1, 2], messages=3)
    assert steps(workers, 9, [4]).tolist() == [0.5, 1.0, 1.5, 2.0, 3.0]  # 4 · .5 / 2 and half of it, once, twice, three times


def test_designs_and_bounds_take_the_law_of_the_number():
    best = uep.design.gamma(EW, RXC, pool(10), deadlines=1.0)
    expected = [theory.loss(c, RXC, pool(10), deadlines=[1.0]).normalized_loss.item() for c in (best.code, EW)]
    assert [best.objective, best.baseline] == pytest.approx(expected, rel=1e-9)
    assert best.objective < 0.9 * best.baseline
    energy = np.sort(RXC.energy)[::-1] / RXC.norm2
    left = 1 - np.append(0, energy.cumsum())[np.minimum(np.arange(31), 9)]
    bound = theory.lower_bound(RXC, pool(10), deadlines=[1.0])
    assert bound.bound_tail.item() == pytest.approx(received_law(pool(10), np.array([1.0]), 9, 1)[0] @ left, rel=1e-9)
    assert bound.bound_exchangeable.item() <= best.objective


def test_the_least_number_of_workers_is_the_first_that_will_do(tally):
    found = theory.workers_for(EW, RXC, pool(), loss=[0.2], deadline=1.0)
    count = int(found.workers.item())
    losses = [theory.loss(EW, RXC, pool(n), deadlines=[1.0]).normalized_loss.item() for n in (count - 1, count)]
    assert losses[1] <= 0.2 < losses[0]
    assert found.normalized_loss.item() == pytest.approx(losses[1])
    seen = tally.workers_for(RXC, loss=[0.2], workers=pool(), deadline=1.0)
    assert seen.workers_low.item() <= count <= seen.workers_high.item() <= 30
    assert theory.launched_packets(EW, RXC, pool()) == pytest.approx(90)


# --- refusals ---------------------------------------------------------------------------------------------------------

FIXED = codes.ExpandingWindow((0.4, 0.35, 0.25), windows="fixed")
STAGED = uep.latency.Staged(Exponential(), Exponential(5.0))
TRACE = uep.latency.Trace(np.ones((2, 3)))
STATES = uep.Markov([[1.0]], [Exponential()])


def real():
    return uep.Partition.rxc(np.eye(6), np.eye(6), rows=3, cols=3, classes=(3, 3, 3))


REFUSED = {
    "no message": (lambda: Workers(3, messages=0), "messages", "1", "got 0"),
    "half a message": (lambda: Workers(3, messages=1.5), "messages", "integer", "1.5"),
    "a thousand and one": (lambda: Workers(3, messages=1001), "messages", "1,000", "1001"),
    "unknown progress": (lambda: Workers(3, messages=2, progress="quadratic"), "progress", "'linear', 'erlang'", "'quadratic'"),
    "progress of one": (lambda: Workers(3, progress="lineal"), "progress", "'lineal'"),
    "a sum of Paretos": (lambda: pool(progress="erlang", latency=Pareto(2.0)), "progress='erlang'", "exponential", "Pareto"),
    "a trace of sums": (lambda: Workers(3, TRACE, messages=2, progress="erlang"), "progress='erlang'", "exponential", "Trace"),
    "slow racks of Paretos": (
        lambda: Workers(3, messages=2, progress="erlang", racks=uep.Racks([0, 0, 1], 0.1, Pareto(2.0))),
        "progress='erlang'",
        "exponential",
        "Pareto",
    ),
    "backup": (lambda: Workers(3, messages=2, backup=uep.Backup(1.0)), "messages", "got 2 with backup"),
    "states": (lambda: Workers(3, messages=2, states=STATES), "messages", "got 2 with states"),
}
USES = {
    "simulated tied packets": (lambda: uep.simulate(FIXED, RXC, pool(), realizations=9, seed=1), "tied to them", "Give deadlines"),
    "uncoded": (lambda: theory.loss(codes.Uncoded(), RXC, pool(9), deadlines=[1.0]), "messages=3", "27 packets"),
    "unequal work": (
        lambda: uep.simulate(EW, CXR, pool(work="true"), realizations=9, seed=1),
        "count domain does not apply",
        "true work",
        "Give deadlines",
    ),
    "Erlang times of unequal work": (
        lambda: uep.simulate(EW, CXR, pool(work="true", progress="erlang"), deadlines=[1.0], realizations=9, seed=1),
        "messages=3",
        "r = [3, 6, 9]",
        "progress='linear'",
    ),
    "stages of unequal work": (
        lambda: uep.simulate(EW, CXR, pool(work="true", latency=STAGED), deadlines=[1.0], realizations=9, seed=1),
        "messages=3",
        "r = [3, 6, 9]",
        "Staged",
    ),
    "too few packets": (
        lambda: uep.simulate(EW, RXC, pool(29, 1), realizations=9, seed=1).loss(RXC, workers=pool(10), deadlines=[1.0]),
        "W m = 30",
        "W = 29",
    ),
    "products": (lambda: uep.multiply(real(), EW, pool(), deadline=1.0, seed=1), "one packet each", "products", "messages=3"),
    "conditions": (
        lambda: uep.condition(EW, real(), pool(), received=9, realizations=9, seed=1),
        "one packet each",
        "products",
        "messages=3",
    ),
    "gradient coding": (
        lambda: gc.descend(descents.PROBLEM, gc.ExactGradient(), pool(8), iterations=1, realizations=1, seed=1),
        "one packet each",
        "gradient coding",
        "messages=3",
    ),
    "prices": (
        lambda: uep.design.redundancy(EW, RXC, pool(), deadlines=1.0, counts=[3]),
        "one packet each",
        "work",
        "messages=3",
    ),
}


@pytest.mark.parametrize("call, pieces", cases(workers=REFUSED, uses=USES))
def test_what_has_no_answer_is_refused_in_one_line(call, pieces):
    refused(call, pieces)


def test_what_has_no_closed_form_is_named():
    with pytest.raises(NotImplementedError, match="packets of unequal work whose arrivals are not independent"):
        theory.loss(EW, CXR, pool(work="true"), deadlines=[1.0])
    for code, workers in ((FIXED, pool()), (codes.Uncoded(), pool(3))):
        with pytest.raises(NotImplementedError, match="packets tied to workers whose arrivals are not independent"):
            theory.loss(code, RXC, workers, deadlines=[1.0])
    with pytest.raises(NotImplementedError, match=r"1,002 packets \(at most 1,000\)"):
        theory.loss(EW, RXC, pool(334), deadlines=[1.0])
    with pytest.raises(NotImplementedError, match="alike and independent only"):
        uep.design.fixed_windows(EW, RXC, pool(), deadlines=1.0)
