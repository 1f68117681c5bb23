"""Workers that pass through states from round to round (docs/mathematics.md §4)."""

from __future__ import annotations

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from tests.cases.paper import EW, GAMMA, MDS, RXC
from tests.oracles import naive
from uepgpu import Markov, Workers, codes, theory
from uepgpu.backends import BACKENDS, get_backend
from uepgpu.latency import Exponential, Staged, Trace
from uepgpu.plan import DECODERS, make_plan, resolve_decoder
from uepgpu.tally import Trajectories
from uepgpu_kernels import cpu, reference
from uepgpu_kernels.reference.sample import arrivals

GOOD, BAD = Exponential(1.0), Exponential(0.1)
GILBERT = Markov([[0.9, 0.1], [0.3, 0.7]], [GOOD, BAD])
THREE = Markov([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.6, 0.0, 0.4]], [GOOD, BAD, Exponential(5.0)])
TIMES = [0.3, 0.6, 0.6, 2.0]
F = 0.352950
"""Chance to arrive by .6 in a round of GILBERT."""


def unit(states=GILBERT, count=30, **more):
    return Workers(count, states=states, **({"omega": 1.0, "work": "unit"} | more))


CASES = {
    "EW": (EW, RXC, unit()),
    "MDS of three states": (MDS, RXC, unit(THREE)),
    "rectangles at true cost": (problems.LEVEL_PAIR, RXC, Workers(30, states=THREE, speeds=problems.SLOW_HALF)),
    "tied": (codes.ExpandingWindow(GAMMA, windows="fixed"), RXC, unit(loss_probability=0.2)),
    "LT": (codes.LT(), problems.line(2, 3), unit(THREE, 9)),
    "over GF(2)": (codes.NonOverlappingWindow(GAMMA, coefficients="gf2"), RXC, unit()),
}


def by(backend, code, part, workers, first=2**32 - 37, count=150, rounds=4, decoder="auto", **more):
    options = {"first_realization": first, "realizations": count, "seed": 5, "rounds": rounds} | more
    return uep.simulate(code, part, workers, deadlines=TIMES, backend=backend, decoder=decoder, **options)


@pytest.mark.parametrize("name", CASES)
def test_numpy_and_numba_tally_the_same_integers_in_every_round(name):
    tally = "marginals" if name in ("LT", "rectangles at true cost") else "auto"
    compiled, vectorized = (by(backend, *CASES[name], tally=tally) for backend in ("numba", "numpy"))
    assert compiled == vectorized
    assert (compiled.squares is None) == (vectorized.squares is None) == (not compiled.class_wise)
    assert len({t.problem for t in compiled}) == 4


def test_ranges_batches_threads_and_chunks_do_not_change_trajectories(monkeypatch):
    whole = by("numba", *CASES["EW"], first=5, count=700, threads=1)
    assert whole == by("numba", *CASES["EW"], first=5, count=700, threads=3, batch=90)
    assert whole == by("numba", *CASES["EW"], first=5, count=300) + by("numba", *CASES["EW"], first=305, count=400)
    monkeypatch.setitem(cpu.run_rounds.__globals__, "CHUNK", 3)
    assert whole == by("numba", *CASES["EW"], first=5, count=700)


@pytest.mark.parametrize("name", CASES)
def test_round_0_is_the_realization_of_a_single_round(name):
    code, part, workers = CASES[name]
    single = uep.simulate(code, part, workers, deadlines=TIMES, realizations=300, seed=5)
    assert np.array_equal(by("numba", code, part, workers, first=0, count=300).tallies[0].patterns, single.patterns)


def test_one_state_is_independent_workers_integer_for_integer():
    code, options = codes.ExpandingWindow(GAMMA), {"deadlines": TIMES, "realizations": 300, "seed": 5}
    alone, plain = unit(Markov([[1.0]], [GOOD])), Workers(30, GOOD, omega=1.0, work="unit")
    expected = uep.simulate(code, RXC, plain, **options)
    assert uep.simulate(code, RXC, alone, **options) == expected
    rounds = uep.simulate(code, RXC, alone, rounds=3, **options)
    assert np.array_equal(rounds.tallies[0].patterns, expected.patterns)
    # Later rounds have words of their own: 8 blocks a round.
    assert not np.array_equal(rounds.tallies[1].patterns, expected.patterns)


def test_draws_of_every_round_are_those_of_the_oracle():
    workers, seed = unit(THREE, 7, speeds=[1, 2, 1, 1, 2, 1, 0.5]), 2**63 + 9
    plan = make_plan(codes.ExpandingWindow((0.4, 0.6)), problems.line(1, 2), workers, seed=seed, deadlines=TIMES, rounds=True)
    job, first = plan.job, 2**32 - 2
    tables = len(job.n_threshold) // 4
    numbers = np.arange(first, first + 4, dtype=np.uint64)
    met = set()
    for i in range(4):
        state = [None] * 7
        for r in range(5):
            window, packet, time = arrivals(plan.of_round(r).job, numbers)
            when = [0] * 7
            for w in range(7):
                g = int(job.group[w]) + (0 if state[w] is None else tables * (1 + state[w]))
                limits = job.threshold[g, : job.n_threshold[g]].tolist()
                cell = naive.cell(naive.word(seed, first + i, 0, 8 * r + w), limits)
                assert window[i, w] == job.cell_window[g, cell]
                when[w], state[w] = int(job.cell_time[g, cell]), cell % 3
                met.add(state[w])
            assert list(zip(time[i].tolist(), packet[i].tolist(), strict=True)) == sorted((t, w) for w, t in enumerate(when))
    assert met == {0, 1, 2}


def test_cells_have_the_probabilities_of_windows_arrivals_and_next_states():
    code, part, speeds = codes.ExpandingWindow((0.4, 0.6)), problems.line(1, 2), [1, 2, 1]
    plan = make_plan(code, part, unit(THREE, 3, speeds=speeds), seed=1, deadlines=TIMES, rounds=True)
    job, pi, table = plan.job, THREE.stationary, np.asarray(THREE.transition)
    tables = len(job.n_threshold) // 4
    for w in (0, 1):
        arrived = np.array([[-np.expm1(-law.rate * speeds[w] * t) for t in TIMES] for law in THREE.laws])
        inside = np.diff(np.hstack([np.zeros((3, 1)), arrived, np.ones((3, 1))]), axis=1)  # (state, time), the last one never
        for state in (None, 0, 1, 2):
            g = job.group[w] + (0 if state is None else tables * (1 + state))
            width = np.diff([0, *job.threshold[g, : job.n_threshold[g]].tolist(), 2**32])
            found = np.zeros((5, 3))
            np.add.at(found, (job.cell_time[g, : width.size], np.arange(width.size) % 3), width)
            expected = np.einsum("s,st,sn->tn", pi, inside, table) if state is None else np.outer(inside[state], table[state])
            np.testing.assert_allclose(found, expected * 2**32, rtol=0, atol=12)


def test_every_single_round_has_the_law_of_the_mixture():
    assert theory.loss(MDS, RXC, unit(), deadlines=[0.6]).normalized_loss.item() == pytest.approx(0.214759, abs=5e-7)
    assert theory.loss(EW, RXC, unit(), deadlines=[0.6]).normalized_loss.item() == pytest.approx(0.073233, abs=5e-7)
    for code in (EW, MDS):
        found = uep.simulate(code, RXC, unit(), deadlines=[0.3, 0.6], rounds=4, realizations=20_000, seed=2).loss(RXC)
        exact = theory.loss(code, RXC, unit(), deadlines=[0.3, 0.6]).loss.values
        assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)
        assert found.loss.dims == ("round", "deadline")
    counted = uep.simulate(EW, RXC, unit(), realizations=20_000, seed=3).loss(RXC, workers=unit(), deadlines=[0.6])
    assert abs(counted.normalized_loss.item() - 0.073233) <= 4 * counted.normalized_loss_stderr.item()


@pytest.mark.parametrize("lag", [1, 2])
def test_arrivals_of_two_rounds_have_the_covariance_of_the_chain(lag):
    n = 20_000
    plan = make_plan(MDS, RXC, unit(), seed=5, deadlines=[0.6], rounds=True)
    got = []
    for r in (1, 1 + lag):
        _, packet, time = arrivals(plan.of_round(r).job, np.arange(n, dtype=np.uint64))
        each = np.zeros((n, 30))
        np.put_along_axis(each, packet, time == 0, axis=1)
        got.append(each)
    product = (got[0] * got[1]).ravel()  # workers are independent
    exact = GILBERT.covariance(0.6, lag)
    assert exact == pytest.approx(0.0173713 * 0.6 ** (lag - 1), abs=5e-8)
    assert abs(product.mean() - F**2 - exact) <= 4 * product.std() / np.sqrt(product.size)


def test_the_mean_over_rounds_counts_how_rounds_depend_on_each_other():
    sticky, n, rounds = Markov([[0.99, 0.01], [0.01, 0.99]], [GOOD, BAD]), 640, 6
    options = {"deadlines": [0.4], "realizations": n, "seed": 3}
    simulated = uep.simulate(EW, RXC, unit(sticky), rounds=rounds, **options)
    found = simulated.mean_loss(RXC)
    plan = make_plan(EW, RXC, unit(sticky), seed=3, deadlines=[0.4], rounds=True)
    decode = DECODERS[resolve_decoder(plan, "auto")].implementation("reference")
    late = [reference.decode_times(plan.of_round(r).job, decode, 0, n) > 0 for r in range(rounds)]
    each = sum(np.einsum("nk,kl,nl->n", x, RXC.gram, x) for x in late) / rounds
    assert found.loss.item() == pytest.approx(each.mean())
    assert found.normalized_loss.item() == pytest.approx(found.loss.item() / RXC.norm2)
    assert found.loss_sd.item() == pytest.approx(each.std(ddof=1))
    assert found.loss_stderr.item() == pytest.approx(each.std(ddof=1) / np.sqrt(n))
    # Of sub-batches, where no squares are counted.
    batches = each.reshape(-1, 32).mean(axis=0)
    again = Trajectories(simulated.tallies).mean_loss(RXC)
    assert again.loss_stderr.item() == pytest.approx(batches.std(ddof=1) / np.sqrt(32))
    assert again.loss_sd.item() == pytest.approx(again.loss_stderr.item() * np.sqrt(n))


REFUSED = {
    "rows": (lambda: Markov([[0.9, 0.2], [0.3, 0.7]], [GOOD, BAD]), r"transition: row 0 sums to 1.1, it must sum to 1"),
    "shape": (
        lambda: Markov([[0.5, 0.5]], [GOOD, BAD]),
        "transition must be a square table of 1 to 16 states",
    ),
    "negative": (lambda: Markov([[1.5, -0.5], [0.5, 0.5]], [GOOD, BAD]), "transition must hold probabilities"),
    "laws": (lambda: Markov([[1.0]], [GOOD, BAD]), "laws must give one law per state: 1 states, got 2 laws"),
    "no laws": (lambda: Markov([[1.0]], GOOD), "laws must be a sequence of one law per state"),
    "a trace": (lambda: Markov([[1.0]], [Trace([[1.0]])]), "neither staged nor traces"),
    "staged": (lambda: Markov([[1.0]], [Staged(GOOD)]), "neither staged nor traces"),
    "two ends": (lambda: Markov(np.eye(2), [GOOD, BAD]), "transition must lead from everywhere to one set of states"),
    "latency too": (lambda: unit(latency=BAD), "latency must not be given where there are states"),
    "racks too": (lambda: unit(count=1, racks=uep.Racks([0], 0.1)), "states must not be given where there are racks or backup"),
    "no states": (lambda: Workers(1, states=[[1.0]]), r"states must be a uepgpu.Markov"),
    "rounds of a law": (
        lambda: by("auto", EW, RXC, problems.PAPER),
        "rounds=4 needs workers with states or a trace",
    ),
    "no deadlines": (
        lambda: uep.simulate(EW, RXC, unit(), realizations=1, seed=1, rounds=2),
        "rounds=2 needs deadlines: rounds depend on each other through arrivals",
    ),
    "no rounds": (lambda: by("auto", EW, RXC, unit(), rounds=0), "rounds must be"),
    "CUDA": (lambda: BACKENDS["cuda"].round_sampler(None, "count", "patterns", 1), "rounds are not simulated by backend='cuda'"),
    "fewer rounds": (lambda: by("numba", *CASES["EW"]) + by("numba", *CASES["EW"], rounds=2), "as many rounds to be added"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_line(name):
    call, reason = REFUSED[name]
    with pytest.raises(ValueError, match=reason) as error:
        call()
    assert "\n" not in str(error.value)


def test_auto_passes_over_cuda():
    assert by("auto", *CASES["EW"]).tallies[0].backend == get_backend("auto", without=("cuda",)).name
