"""Several messages per worker, simulated by deadline."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from tests.cases.paper import CXR, EW, MDS, RXC
from tests.cases.refusals import cases, refused
from tests.oracles import brute_force as brute
from uepgpu import Racks, Workers, codes, latency, theory
from uepgpu.monte_carlo import decode_times
from uepgpu.plan import make_plan
from uepgpu_kernels.reference.sample import arrivals

TIMES = [1.0, 2.0]
TABLE = {
    ("linear", "MDS"): (0.10821, 6.5e-4),
    ("linear", "EW"): (0.04631, 3.2e-4),
    ("erlang", "MDS"): (0.45622, 0.00709),
    ("erlang", "EW"): (0.19971, 0.00267),
}
"""Losses at t = 1 and 2: W = 30, m = 3, Ω = .3."""


def pool(count=30, messages=3, progress="linear", **more):
    return Workers(count, **({"omega": 0.3, "work": "unit"} | more), messages=messages, progress=progress)


def near(found, exact, errors=4):
    """Whether losses lie within so many standard errors of exact ones, which for a loss that is rare may be a little more."""
    return np.all(np.abs(found.normalized_loss.values - exact) <= errors * found.normalized_loss_stderr.values)


# --- against closed forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("progress, name", TABLE)
def test_simulated_losses_are_those_of_the_table_and_of_the_count_domain(progress, name):
    code, workers = {"MDS": MDS, "EW": EW}[name], pool(progress=progress)
    tally = uep.simulate(code, RXC, workers, deadlines=[0.5, *TIMES], realizations=100_000, seed=6)
    assert (tally.domain, tally.n_packets) == ("deadline", 90)
    found = tally.loss(RXC).isel(deadline=[1, 2])
    assert near(found, np.array(TABLE[progress, name]))
    other = uep.simulate(code, RXC, workers, realizations=30_000, seed=7).loss(RXC, workers=workers, deadlines=TIMES)
    difference = found.normalized_loss.values - other.normalized_loss.values
    assert np.all(np.abs(difference) <= 4 * np.hypot(found.normalized_loss_stderr, other.normalized_loss_stderr).values)


SLOW = latency.Exponential(0.2)
RACKS = [w // 5 for w in range(30)]
TRACE = latency.Trace(problems.recorded(6, 30), "order")
POOLS = {
    "lossy": pool(loss_probability=0.3),
    "lossy erlang": pool(20, 4, "erlang", loss_probability=0.3),
    "heavy tails, speeds": pool(latency=latency.Pareto(1.5, 0.2), speeds=[1, 2] * 15),
    "dark racks": pool(racks=Racks(RACKS, 0.3)),
    "slow racks, erlang": pool(progress="erlang", racks=Racks(RACKS, 0.3, SLOW), omega=0.6),
    "dark racks, erlang, lossy": pool(progress="erlang", racks=Racks(RACKS, 0.3), loss_probability=0.1, omega=0.6),
    "a trace": pool(latency=TRACE, speeds=[1, 2] * 15),
    "a lossy trace": pool(latency=latency.Trace(problems.recorded(6, 30), shuffle=True), loss_probability=0.4),
}


@pytest.mark.parametrize("workers", POOLS.values(), ids=POOLS)
def test_losses_by_deadline_agree_with_closed_forms(workers):
    tally = uep.simulate(EW, RXC, workers, deadlines=TIMES, realizations=24_000, seed=5)
    assert near(tally.loss(RXC), theory.loss(EW, RXC, workers, deadlines=TIMES).normalized_loss.values)


# --- against enumeration ------------------------------------------------------------------------------------------------

PART = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
CODE = codes.ExpandingWindow((0.4, 0.6))
SUPPORTS, WORK, SHARE = [[1, 0, 0], [1, 1, 1]], (1, 3), (0.4, 0.6)
TURNS = ((0.9, 0.1), (0.3, 0.7))
IN_TURN = codes.InTurn([codes.ExpandingWindow(gamma) for gamma in TURNS])


def enumerated(rates, m, t, *, true_work, lost, shares=()):
    """Return the expected loss at t of workers whose messages come one after the other, by all windows, arrivals and losses."""
    decoder, law = brute.Decoder(SUPPORTS), defaultdict(list)
    outcomes = []
    for rate in rates:
        mine = []
        for windows in itertools.product((0, 1), repeat=m):
            due = np.cumsum([WORK[s] if true_work else 1 for s in windows])
            by = [1.0, *(-math.expm1(-rate * t / c) for c in due), 0.0]
            for sent in range(m + 1):
                for kept in itertools.product((0, 1), repeat=sent):
                    chance = math.prod((shares[j] if shares else SHARE)[s] for j, s in enumerate(windows)) * (
                        by[sent] - by[sent + 1]
                    )
                    chance *= math.prod(1 - lost if x else lost for x in kept)
                    mine.append((chance, [s for s, x in zip(windows, kept, strict=False) if x]))
        outcomes.append(mine)
    for chosen in itertools.product(*outcomes):
        law[decoder.undecoded([s for _, mine in chosen for s in mine])].append(math.prod(p for p, _ in chosen))
    return brute.loss({pattern: math.fsum(ps) for pattern, ps in law.items()}, PART.gram)


@pytest.mark.parametrize("true_work", [False, True])
@pytest.mark.parametrize("rates, m, lost", [((1.0, 2.0), 2, 0.0), ((1.0,), 4, 0.2), ((0.5, 0.5, 2.0), 2, 0.2)])
def test_losses_of_few_workers_are_those_of_all_outcomes(rates, m, lost, true_work):
    laws = [latency.Exponential(r) for r in rates]
    workers = Workers(len(rates), laws, 1.0, "true" if true_work else "unit", lost, messages=m)
    times = [0.5, 1.5, 4.0]
    exact = [enumerated(rates, m, t, true_work=true_work, lost=lost) for t in times]
    found = uep.simulate(CODE, PART, workers, deadlines=times, realizations=40_000, seed=8, backend="numpy").loss(PART)
    assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)


@pytest.mark.parametrize("true_work", [False, True])
def test_losses_of_messages_in_turn_are_those_of_all_outcomes(true_work):
    rates, times = (1.0, 2.0, 1.0), [0.5, 1.5, 4.0]
    laws = [latency.Exponential(r) for r in rates]
    workers = Workers(3, laws, 1.0, "true" if true_work else "unit", 0.2, messages=2)
    exact = [enumerated(rates, 2, t, true_work=true_work, lost=0.2, shares=TURNS) for t in times]
    found = uep.simulate(IN_TURN, PART, workers, deadlines=times, realizations=40_000, seed=8, backend="numpy").loss(PART)
    assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)
    if true_work:
        with pytest.raises(NotImplementedError, match="messages in turn of unequal work"):
            theory.loss(IN_TURN, PART, workers, deadlines=times)
    else:
        assert theory.loss(IN_TURN, PART, workers, deadlines=times).loss.values == pytest.approx(exact, rel=1e-12)


# --- windows in turn ----------------------------------------------------------------------------------------------------

GAMMAS = ((0.8, 0.2, 0.0), (0.3, 0.5, 0.2), (0.0, 0.3, 0.7))


@pytest.mark.parametrize("progress", ["linear", "erlang"])
@pytest.mark.parametrize("kind", [codes.ExpandingWindow, codes.NonOverlappingWindow])
def test_messages_in_turn_lose_what_their_closed_form_says(kind, progress):
    workers = pool(20, progress=progress, loss_probability=0.1, speeds=[1, 2] * 10)
    code, mean = codes.InTurn([kind(g) for g in GAMMAS]), kind(np.mean(GAMMAS, axis=0))
    exact = theory.loss(code, RXC, workers, deadlines=TIMES).normalized_loss.values
    assert near(uep.simulate(code, RXC, workers, deadlines=TIMES, realizations=24_000, seed=2).loss(RXC), exact)
    drawn = theory.loss(mean, RXC, workers, deadlines=TIMES).normalized_loss.values
    assert np.all(exact < 0.85 * drawn), "important windows first lose less"
    alike = theory.loss(codes.InTurn([mean] * 3), RXC, workers, deadlines=TIMES).normalized_loss.values
    assert alike == pytest.approx(drawn, rel=1e-12)


def test_one_code_in_turn_is_the_code():
    assert codes.InTurn([EW]).law(RXC, 30).by_message is None
    plans = [make_plan(c, RXC, Workers(30), seed=1, deadlines=TIMES).digest("generic") for c in (codes.InTurn([EW]), EW)]
    assert plans[0] == plans[1]


TURN = codes.InTurn([EW, codes.ExpandingWindow((0.2, 0.3, 0.5))])
REFUSED = {
    "no code": (lambda: codes.InTurn([]), "codes", "at least one", "[]"),
    "no codes": (lambda: codes.InTurn("ew"), "codes", "'ew'"),
    "what is no code": (lambda: codes.InTurn([EW, 3]), "code", "law(partition, n_workers)", "3"),
}
USES = {
    "tied packets": (lambda: codes.InTurn([EW, codes.Uncoded()]).law(RXC, 9), "draw a window for every packet", "Uncoded()"),
    "other coefficients": (
        lambda: codes.InTurn([EW, codes.ExpandingWindow((0.2, 0.3, 0.5), coefficients="gf2")]).law(RXC, 9),
        "same coefficients",
        "'gf2'",
    ),
    "one message": (
        lambda: uep.simulate(TURN, RXC, pool(messages=1), deadlines=TIMES, realizations=9, seed=1),
        "messages=2",
        "got messages=1",
    ),
    "the count domain": (
        lambda: uep.simulate(TURN, RXC, pool(messages=2), realizations=9, seed=1),
        "different laws of windows",
        "Give deadlines",
    ),
}


@pytest.mark.parametrize("call, pieces", cases(codes=REFUSED, uses=USES))
def test_what_does_not_fit_messages_in_turn_is_refused_in_one_line(call, pieces):
    refused(call, pieces)


def test_closed_forms_that_messages_in_turn_have_not_are_named():
    for workers, what in (
        (pool(messages=2, racks=Racks(RACKS, 0.1)), "do not answer independently"),
        (pool(messages=2, latency=TRACE), "do not answer independently"),
    ):
        with pytest.raises(NotImplementedError, match=what):
            theory.loss(TURN, RXC, workers, deadlines=TIMES)
    with pytest.raises(NotImplementedError, match="number of messages in turn"):
        theory.loss(TURN, RXC, pool(messages=2), received=[3])
    many = codes.InTurn([codes.MDS(coefficients="gf2")] * 2)
    with pytest.raises(NotImplementedError, match="over gf2"):
        theory.loss(many, RXC, pool(messages=2), deadlines=TIMES)


# --- draws --------------------------------------------------------------------------------------------------------------


def times_of(code, part, workers, deadlines, count=2000):
    """Return when packets arrive, shape (count, W, m)."""
    job = make_plan(code, part, workers, seed=4, deadlines=deadlines).job
    _, packet, time = arrivals(job, np.arange(count, dtype=np.uint64))
    by_packet = np.empty_like(time)
    np.put_along_axis(by_packet, packet, time, axis=1)
    return by_packet.reshape(count, workers.count, -1)


@pytest.mark.parametrize("progress", ["linear", "erlang"])
def test_messages_of_a_worker_come_in_turn_and_as_often_as_their_law_says(progress):
    from scipy import stats

    deadlines = np.array([0.4, 1.0, 1.0, 3.0])
    time = times_of(EW, RXC, pool(10, 4, progress), deadlines, 20_000)
    assert np.all(np.diff(time, axis=2) >= 0)
    j = np.arange(1, 5)
    mean = 0.3 * deadlines[:, None]
    share = -np.expm1(-mean / j) if progress == "linear" else stats.gamma(j).cdf(mean)
    for d, expected in enumerate(share):
        found = (time <= d).mean(axis=(0, 1))
        assert np.all(np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / (20_000 * 10)))


def test_times_that_are_certain_are_multiples_of_the_first():
    steady = pool(3, 4, latency=latency.Deterministic(0.5), omega=1.0, speeds=[1, 2, 4])
    time = times_of(EW, RXC, steady, [0.25, 0.5, 1.0, 1.5, 2.0], 50)
    assert np.all(time == [[1, 2, 3, 4], [0, 1, 2, 2], [0, 0, 1, 1]])
    # True work 3, 6 and 9: the second message of a worker is due after both works.
    due = times_of(EW, CXR, Workers(2, latency.Deterministic(1.0), messages=2), np.arange(1.0, 19.0), 300) + 1
    assert set(due[:, :, 0].ravel().tolist()) == {3, 6, 9}
    assert set((due[:, :, 1] - due[:, :, 0]).ravel().tolist()) == {3, 6, 9}


def test_one_message_is_what_it_was():
    plan = make_plan(EW, RXC, Workers(30, omega=1.0, work="unit", messages=1), seed=3, deadlines=[0.3, 0.6])
    assert plan.digest("generic") == "04c6296c9a4ea92589e36c27401c209cea6e2fd21b27d9d96bd168cdfb171c68"
    tally = uep.simulate(EW, RXC, Workers(30, omega=1.0, work="unit", messages=1), deadlines=[0.3, 0.6], realizations=1000, seed=3)
    assert tally.counts.sum(axis=0).tolist() == [[283, 299, 0, 280, 0, 0, 0, 138], [8, 68, 0, 298, 0, 0, 0, 626]]


def test_problems_tell_messages_apart():
    same = [pool(messages=3), pool(messages=3, racks=Racks(RACKS, 0.0))]
    different = [*same[:1], pool(progress="erlang"), pool(45, 2), pool(racks=Racks(RACKS, 0.1)), pool(latency=TRACE), pool(90, 1)]
    digests = [make_plan(EW, RXC, w, seed=1, deadlines=TIMES).digest("generic") for w in (*same, *different)]
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == len(different)


@pytest.mark.parametrize("progress", ["linear", "erlang"])
def test_tallies_do_not_depend_on_ranges_batches_and_threads(progress):
    def run(count, first=0, **options):
        more = {"deadlines": TIMES, "realizations": count, "first_realization": first, "seed": 2, "backend": "numba"}
        return uep.simulate(EW, RXC, pool(progress=progress), **more, **options)

    whole = run(3000)
    assert np.array_equal((run(1234) + run(1766, 1234)).counts, whole.counts)
    assert np.array_equal(run(3000, threads=1, batch=1100).counts, whole.counts)
    assert np.array_equal(run(3000, threads=3).counts, whole.counts)


def test_rounds_of_a_trace_are_met_one_after_the_other():
    several = pool(latency=TRACE)

    def run(count, rounds, backend):
        return uep.simulate(EW, RXC, several, deadlines=TIMES, realizations=count, seed=2, rounds=rounds, backend=backend)

    fast, plain, single = run(60, 2, "numba"), run(60, 2, "numpy"), run(60, None, "numpy")
    assert [np.array_equal(a.counts, b.counts) for a, b in zip(fast, plain, strict=True)] == [True, True]
    assert np.array_equal(fast.tallies[0].counts, single.counts)
    exact = theory.loss(EW, RXC, several, deadlines=TIMES).normalized_loss.values
    assert near(run(24_000, 2, "numba").tallies[1].loss(RXC), exact)


def test_shuffled_traces_do_not_hide_which_message_comes_first():
    workers = Workers(3, latency.Trace([[1.0, 2.0, 4.0]], shuffle=True), work="unit", messages=3)
    when = decode_times(codes.Uncoded(), RXC, workers, deadlines=[1.0], realizations=300, seed=1)
    assert np.all((when == 0).sum(axis=1) == 1)  # by 1 the fastest has sent its first message, packet 0, 3 or 6, and nothing else
    assert set(np.nonzero(when == 0)[1].tolist()) == {0, 3, 6}
    with pytest.raises(ValueError, match="packets are tied to them"):
        uep.simulate(codes.Uncoded(), RXC, workers, realizations=10, seed=1)
    one = uep.simulate(codes.Uncoded(), RXC, Workers(9), realizations=10, seed=1)
    with pytest.raises(ValueError, match="packets are tied to them"):
        one.loss(RXC, workers=workers, deadlines=[1.0])
