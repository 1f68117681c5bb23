"""Exact moments of means over rounds (docs/mathematics.md §4)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from tests.cases.paper import CXR, EW, FIXED, MDS, NOW, PAPER, RXC, close
from uepgpu import Markov, Workers, codes, theory
from uepgpu.latency import Deterministic, Exponential, Trace

GILBERT = Markov([[0.9, 0.1], [0.3, 0.7]], [Exponential(1.0), Exponential(0.1)])
ROUND, WORKER = np.arange(4)[:, None], np.arange(30)
RECORDED = ((7 * WORKER + 11 * ROUND) % 30 + 1) / 20 * (1 + ROUND / 4)


def unit(states=GILBERT, count=30, **more):
    return Workers(count, states=states, **({"omega": 1.0, "work": "unit"} | more))


def replayed(latencies=RECORDED, replay="order", **more):
    block = {"block": 3.0} if replay == "blocks" else {}
    return Workers(latencies.shape[1], Trace(latencies, replay, **block), **({"omega": 1.0, "work": "unit"} | more))


@pytest.mark.parametrize(
    "code, sd, independent, expected, expected_independent, correlation, of_expected",
    [
        (MDS, 0.09927, 0.09183, 0.09927, 0.09183, (0.03895, 0.00492), (0.03895, 0.00492)),
        (EW, 0.05793, 0.05605, 0.03808, 0.03515, (0.01593, 0.00197), (0.04050, 0.00500)),
    ],
)
def test_moments_of_20_rounds_are_those_of_the_text(
    code, sd, independent, expected, expected_independent, correlation, of_expected
):
    found = theory.trajectory_moments(code, RXC, unit(), deadlines=[0.6], rounds=20)
    values = [found[f"normalized_{name}"].item() for name in ("loss_sd", "loss_sd_independent")]
    values += [found[f"normalized_expected_{name}"].item() for name in ("loss_sd", "loss_sd_independent")]
    assert np.round(values, 5).tolist() == [sd, independent, expected, expected_independent]
    assert tuple(found.correlation.sel(lag=[1, 5]).values[0].round(5)) == correlation
    assert tuple(found.expected_correlation.sel(lag=[1, 5]).values[0].round(5)) == of_expected
    assert found.loss_sd.item() == pytest.approx(found.normalized_loss_sd.item() * RXC.norm2)


@pytest.mark.parametrize("workers", [unit(), unit(speeds=problems.SLOW_HALF, loss_probability=0.2), replayed(loss_probability=0.1)])
@pytest.mark.parametrize("code", [EW, NOW, MDS])
def test_a_round_has_the_moments_of_a_single_realization(code, workers):
    times = [0.3, 0.6]
    found = theory.trajectory_moments(code, CXR, workers, deadlines=times, rounds=1)
    close(found.loss.values, theory.loss(code, CXR, workers, deadlines=times).loss.values, 1e-10)
    close(found.loss_sd.values, theory.loss_sd(code, CXR, workers, deadlines=times).loss_sd.values, 1e-7)
    close(found.loss_sd.values, found.loss_sd_independent.values, 1e-10)


@pytest.mark.parametrize("lag", [1, 2])
def test_joint_laws_of_two_rounds_are_sums_over_all_states_and_arrivals(lag):
    states = Markov([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.6, 0.0, 0.4]], [Exponential(2.0), Exponential(0.3), Deterministic(0.7)])
    part, time = problems.line(1, 2), 0.8
    workers = unit(states, 3, speeds=[1, 0.5, 1], loss_probability=0.25)
    code = codes.ExpandingWindow((0.4, 0.6))
    found = theory.trajectory_moments(code, part, workers, deadlines=[time], rounds=3)
    given = theory.loss(code, part, workers, received=range(4)).loss.values
    ahead, pi = np.linalg.matrix_power(np.asarray(states.transition), lag), states.stationary

    def chance(speed, s, arrived):
        p = 0.75 * float(states.laws[s].cdf(speed * time))
        return p if arrived else 1 - p

    pairs = [  # of each worker, Pr[arrived or not in both rounds]
        {
            (a, b): sum(pi[s] * chance(v, s, a) * ahead[s, t] * chance(v, t, b) for s, t in itertools.product(range(3), repeat=2))
            for a, b in itertools.product((0, 1), repeat=2)
        }
        for v in (1, 0.5, 1)
    ]
    product = 0.0
    for each in itertools.product(*(pair.items() for pair in pairs)):
        numbers = np.sum([arrivals for arrivals, _ in each], axis=0)
        product += given[numbers[0]] * given[numbers[1]] * np.prod([p for _, p in each])
    covariance = found.expected_correlation.values[0, lag] * found.expected_loss_sd_independent.item() ** 2 * 3
    assert covariance == pytest.approx(product - found.loss.item() ** 2, rel=1e-9)


@pytest.mark.parametrize("replay", ["order", "blocks", "random"])
def test_moments_of_traces_are_sums_over_all_rows_and_restarts(replay):
    workers, rounds = replayed(RECORDED[:, :12], replay), 3
    code = codes.ExpandingWindow((0.5, 0.5))
    part, time = problems.line(2, 3), 0.35
    found = theory.trajectory_moments(code, part, workers, deadlines=[time], rounds=rounds)
    given = theory.loss(code, part, workers, received=range(13)).loss.values[(RECORDED[:, :12] <= time * (1 + 1e-12)).sum(axis=1)]
    restart = {"order": 0.0, "blocks": int(2**32 / 3) / 2**32, "random": 1.0}[replay]
    second, chances = 0.0, 0.0
    for start in range(4):
        for path in itertools.product([None, *range(4)], repeat=rounds - 1):  # goes on, or starts anew at a row
            rows, p = [start], 0.25
            for step in path:
                rows.append((rows[-1] + 1) % 4 if step is None else step)
                p *= 1 - restart if step is None else restart / 4
            second, chances = second + p * np.mean(given[rows]) ** 2, chances + p
    assert chances == pytest.approx(1)
    assert found.expected_loss_sd.item() ** 2 == pytest.approx(second - given.mean() ** 2, rel=1e-9)


CASES = {
    "EW in states": (EW, unit()),
    "MDS in states": (MDS, unit()),
    "NOW at unequal speeds": (NOW, unit(speeds=problems.SLOW_HALF, loss_probability=0.1)),
    "EW, a trace in blocks": (EW, replayed(replay="blocks")),
    "EW, fixed windows of a shuffled trace": (FIXED[1], Workers(30, Trace(RECORDED, "blocks", True, 3.0), omega=1.0, work="unit")),
}


@pytest.mark.parametrize("name", CASES)
def test_trajectories_have_these_moments(name):
    code, workers = CASES[name]
    options = {"deadlines": [0.3, 0.6], "rounds": 8}
    found = uep.simulate(code, RXC, workers, realizations=16_000, seed=4, **options)
    estimate, exact = found.mean_loss(RXC), theory.trajectory_moments(code, RXC, workers, **options)
    assert np.all(np.abs(estimate.loss - exact.loss) <= 4 * estimate.loss_stderr)
    # Of second moments over 32 sub-batches: their spread is their standard error.
    left, right = np.tril_indices(3)
    weight = RXC.class_gram[left, right] * np.where(left == right, 1, 2)
    e, f = np.tril_indices(6)
    second = found.squares @ (weight[e] * weight[f] * np.where(e == f, 1, 2)) / 500 / 8**2
    wanted = exact.loss_sd.values**2 + exact.loss.values**2
    assert np.all(np.abs(second.mean(axis=0) - wanted) <= 4 * second.std(axis=0, ddof=1) / np.sqrt(32))
    close((estimate.loss_sd**2 * (16_000 - 1) / 16_000 + estimate.loss**2).values, second.mean(axis=0), 1e-9)


def test_moments_are_over_deadlines_in_their_unit_and_lags_alone():
    found = theory.trajectory_moments(EW, RXC, unit(time_unit="ms"), deadlines=[0.3], rounds=2)
    assert set(found.coords) == {"deadline", "lag"} == set(found.sizes)
    assert found.deadline.attrs["units"] == "ms"


def test_moments_warn_of_a_cost_that_nobody_chose():
    workers = Workers(9, Trace([[1.0] * 9]))
    part = uep.Partition.model("cxr", left_variances=[1] * 3, right_variances=[1] * 3, classes=(3,))
    with pytest.warns(codes.CostWarning, match=r"MDS"):
        theory.trajectory_moments(codes.MDS(), part, workers, deadlines=[0.5], rounds=2)


def test_what_never_varies_has_no_correlation():
    found = theory.trajectory_moments(EW, RXC, unit(), deadlines=[0.0], rounds=2)
    assert (found.normalized_loss.item(), found.loss_sd.item()) == (1, 0)
    assert np.isnan([found.correlation.values, found.expected_correlation.values]).all()


@pytest.mark.parametrize(
    "code, workers, rounds, error, reason",
    [
        (EW, PAPER, 2, ValueError, r"rounds=2 needs workers with states or a trace, got Exponential"),
        (EW, unit(), 0, ValueError, "rounds must be"),
        (EW, unit(), 2.5, ValueError, "rounds must be"),
        (FIXED[1], unit(), 2, NotImplementedError, "a trajectory of packets tied to workers"),
        (EW, unit(work="true"), 2, NotImplementedError, "a trajectory of packets of unequal work"),
        (codes.LT(), unit(), 2, NotImplementedError, "a code of drawn degrees"),
        (EW, unit(count=5000), 20, NotImplementedError, "the joint law of 5,000 workers in 20 rounds"),
    ],
)
def test_what_has_no_moments_is_refused_in_one_line(code, workers, rounds, error, reason):
    with pytest.raises(error, match=reason) as caught:
        theory.trajectory_moments(code, CXR, workers, deadlines=[0.3], rounds=rounds)
    assert "\n" not in str(caught.value)
