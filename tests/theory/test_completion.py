"""Completion times: exact, and from count-domain tallies (docs/mathematics.md §4)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import EW, MDS, NOW, PAPER, RXC
from uepgpu import Racks, Workers, codes, theory
from uepgpu.latency import Deterministic, Empirical, Exponential, Pareto, ShiftedExponential, Trace
from uepgpu.theory import completion_time


def unit(count=30, law=None, **more):
    return Workers(count, law or Exponential(), **({"omega": 1.0, "work": "unit"} | more))


def values(found, *names):
    return [found[name].item() for name in names]


def order_statistic(k, n):
    """Mean and standard deviation of the k-th of n exponential times of rate 1."""
    terms = [1 / i for i in range(n - k + 1, n + 1)]
    return sum(terms), math.sqrt(sum(x * x for x in terms))


@pytest.mark.parametrize("code, count, k", [(MDS, 30, 9), (codes.Uncoded(), 9, 9)], ids=["MDS", "uncoded"])
def test_waiting_for_any_or_all_is_an_order_statistic(code, count, k):
    found = completion_time(code, RXC, unit(count))
    mean, sd, error, never = values(found, "mean", "sd", "mean_error", "never")
    assert (mean, sd) == pytest.approx(order_statistic(k, count), rel=1e-9)
    assert error < 1e-8
    assert never == 0


def test_repetition_waits_for_the_faster_copy_of_each():
    # The greatest of 9 exponential times of rate 2.
    mean, _ = order_statistic(9, 9)
    assert completion_time(codes.Repetition(2), RXC, unit(18))["mean"].item() == pytest.approx(mean / 2, rel=1e-9)


@pytest.mark.parametrize("code, until", [(EW, "all"), (EW, 1), (EW, 2), (NOW, "all"), (NOW, 3)])
def test_the_distribution_function_is_the_decoding_probability(code, until):
    times = np.linspace(0, 3, 61)
    found = completion_time(code, RXC, PAPER, until=until, times=times, quantiles=[0.1, 0.5, 0.95])
    failure = theory.decoding_probability(code, RXC, PAPER, deadlines=times).failure.values
    if until == "all" and code is NOW:
        assert np.all(found.exceedance.values >= failure.max(axis=1) - 1e-14)
        assert np.all(found.exceedance.values <= failure.sum(axis=1) + 1e-14)
    else:
        np.testing.assert_allclose(found.exceedance.values, failure[:, -1 if until == "all" else until - 1], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.cdf.values, 1 - found.exceedance.values, atol=1e-15)
    reached = completion_time(code, RXC, PAPER, until=until, times=found.quantile_time.values).cdf.values
    np.testing.assert_allclose(reached, [0.1, 0.5, 0.95], atol=1e-9)
    # The mean of what comes, by another rule over a longer time.
    fine = np.concatenate([np.linspace(0, 5, 10001), np.geomspace(5, 80, 4001)[1:]])
    late = completion_time(code, RXC, PAPER, until=until, times=fine).exceedance.values
    never = found.never.item()
    mean = np.trapezoid(late - never, fine) / (1 - never)
    second = np.trapezoid(2 * fine * (late - never), fine) / (1 - never)
    assert found["mean"].item() == pytest.approx(mean, rel=1e-6)
    assert found["sd"].item() == pytest.approx(math.sqrt(second - mean**2), rel=1e-5)


def test_the_time_until_a_loss_is_that_of_the_classes_that_make_it():
    # EW loses .026 without class 2 and all without class 1: a loss of .05 is class 1.
    for level, label in ((0.05, 1), (0.0, "all")):
        by_loss, by_class = (completion_time(EW, RXC, PAPER, until=u) for u in (level, label))
        assert by_loss["mean"].item() == pytest.approx(by_class["mean"].item(), rel=1e-9)
        np.testing.assert_allclose(by_loss.quantile_time, by_class.quantile_time, rtol=1e-9)
    # NOW may lack class 3, but neither of the others.
    failure = theory.decoding_probability(NOW, RXC, PAPER, deadlines=[0.6]).failure.values[0]
    without_three = completion_time(NOW, RXC, PAPER, until=0.003, times=[0.6]).exceedance.item()
    assert max(failure[:2]) < without_three < failure[0] + failure[1]


TRACE = Trace(np.random.default_rng(3).exponential(size=(20, 30)))


def test_rounds_of_a_trace_are_added_up_exactly():
    found = completion_time(MDS, RXC, unit(law=TRACE), quantiles=[0.5])
    times = np.sort(np.asarray(TRACE.latencies), axis=1)[:, 8]
    assert values(found, "mean", "sd") == pytest.approx([times.mean(), times.std()], rel=1e-9)
    assert found.quantile_time.item() == pytest.approx(np.sort(times)[9], rel=1e-12)


@pytest.mark.parametrize("samples", [[0.7], [0.2, 0.9, 0.9, 4.0]], ids=["one", "three"])
def test_steps_are_added_up_exactly(samples):
    law = Deterministic(0.7) if len(samples) == 1 else Empirical(samples)
    found = completion_time(MDS, RXC, unit(law=law), quantiles=[0.5])
    steps, samples = np.unique(samples), np.array(samples)
    shares = [(samples <= s).mean() for s in steps]
    late = [sum(math.comb(30, n) * p**n * (1 - p) ** (30 - n) for n in range(9)) for p in shares]
    chance = -np.diff([1.0, *late])
    mean = chance @ steps
    assert found["mean"].item() == pytest.approx(mean, rel=1e-9)
    assert found["sd"].item() == pytest.approx(math.sqrt(max(chance @ steps**2 - mean**2, 0)), rel=1e-6, abs=1e-6)
    assert found.quantile_time.item() == pytest.approx(steps[np.searchsorted(np.cumsum(chance), 0.5)], rel=1e-12)


def test_what_may_never_come_has_infinite_quantiles_and_a_mean_given_that_it_comes():
    found = completion_time(MDS, RXC, unit(12, loss_probability=0.4), quantiles=[0.1, 0.9])
    weights = [math.comb(12, n) * 0.6**n * 0.4 ** (12 - n) for n in range(13)]
    assert found.never.item() == pytest.approx(sum(weights[:9]), rel=1e-12)
    assert np.isfinite(found.quantile_time.values).tolist() == [True, False]
    # By how many are not lost: the ninth of those.
    mean = sum(weights[n] * order_statistic(9, n)[0] for n in range(9, 13)) / sum(weights[9:])
    assert found["mean"].item() == pytest.approx(mean, rel=1e-8)


def test_heavy_tails_have_infinite_means_and_still_quantiles():
    # The last of 9 Pareto times: no mean for shape .8, no variance for 1.5.
    none = completion_time(codes.Uncoded(), RXC, unit(9, Pareto(0.8, 0.2)), quantiles=[0.5])
    assert values(none, "mean", "sd") == [math.inf, math.inf]
    assert none.quantile_time.item() == pytest.approx(0.2 * (1 - 0.5 ** (1 / 9)) ** (-1 / 0.8), rel=1e-9)
    mean, sd = values(completion_time(codes.Uncoded(), RXC, unit(9, Pareto(1.5, 0.2))), "mean", "sd")
    assert mean == pytest.approx(0.2 * math.gamma(10) * math.gamma(1 - 1 / 1.5) / math.gamma(10 - 1 / 1.5), rel=1e-6)
    assert sd == math.inf


WORKERS = {
    "speeds": unit(speeds=[1.0] * 15 + [0.5] * 15),
    "racks": unit(racks=Racks([w // 5 for w in range(30)], 0.1)),
    "lossy": unit(25, loss_probability=0.2),
}


@pytest.mark.parametrize("kind, until", [("speeds", "all"), ("racks", 2), ("lossy", 0.05)])
def test_tallies_estimate_completion_times(kind, until):
    workers = WORKERS[kind]
    tally = uep.simulate(EW, RXC, unit(), realizations=20_000, seed=6)
    exact = completion_time(EW, RXC, workers, until=until, times=[0.3, 0.8], quantiles=[0.3, 0.6])
    found = tally.completion_time(workers=workers, until=until, part=RXC, times=[0.3, 0.8], quantiles=[0.3, 0.6])
    assert abs(found["mean"].item() - exact["mean"].item()) <= 4 * found.mean_stderr.item()
    assert found.mean_low.item() < found["mean"].item() < found.mean_high.item()
    assert found.sd.item() == pytest.approx(exact.sd.item(), rel=0.05)
    assert abs(found.never.item() - exact.never.item()) <= 4 * math.sqrt(exact.never.item() / 20_000) + 1e-12
    # Twice a 95 % interval: about 4 standard errors.
    for middle, low, high in (("quantile_time", "quantile_low", "quantile_high"), ("cdf", "cdf_low", "cdf_high")):
        at, below, above, truth = (x.values for x in (found[middle], found[low], found[high], exact[middle]))
        assert np.all((below <= at) & (at <= above))
        assert np.all((truth >= at - 2 * (at - below)) & (truth <= at + 2 * (above - at)))


def test_standard_errors_of_means_are_those_of_repeated_tallies():
    def mean(seed):
        tally = uep.simulate(EW, RXC, unit(12), realizations=320, seed=seed)
        return values(tally.completion_time(workers=unit(12, loss_probability=0.1), until=2, quantiles=[]), "mean", "mean_stderr")

    means, errors = np.array([mean(seed) for seed in range(24)]).T
    # The spread of 24 has a relative standard error of 1/√46 = .15.
    assert np.std(means, ddof=1) == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.5)


def test_a_code_that_always_decodes_alike_has_no_error():
    found = uep.simulate(MDS, RXC, unit(), realizations=100, seed=1).completion_time(workers=unit())
    assert values(found, "mean", "mean_stderr") == pytest.approx([order_statistic(9, 30)[0], 0.0], abs=1e-9)


def test_codes_without_closed_form_have_tallies():
    tally = uep.simulate(codes.LT(), RXC, unit(), realizations=500, seed=1)
    some, everything = (tally.completion_time(workers=unit(), until=until)["mean"].item() for until in (1, "all"))
    assert order_statistic(9, 30)[0] < everything
    assert some < everything
    with pytest.raises(NotImplementedError, match="LT"):
        completion_time(codes.LT(), RXC, unit())
    with pytest.raises(ValueError, match="decodes class by class"):
        tally.completion_time(workers=unit(), until=0.1, part=RXC)


@pytest.mark.parametrize("until", ["some", 0, 4, 1.0, -0.1, True, None, math.nan])
def test_what_is_no_goal_is_refused(until):
    tally = uep.simulate(EW, RXC, unit(), realizations=20, seed=1)
    for call in (lambda: completion_time(EW, RXC, unit(), until=until), lambda: tally.completion_time(workers=unit(), until=until)):
        with pytest.raises(ValueError, match="until must be 'all', the number of a class from 1 to 3, or a normalized loss"):
            call()


def test_what_cannot_be_waited_for_is_refused():
    tally = uep.simulate(EW, RXC, unit(), realizations=20, seed=1)
    few = codes.Windows([[0, 1, 2]], [1.0])
    with pytest.raises(ValueError, match="until='all' is never reached"):
        completion_time(few, RXC, unit())
    with pytest.raises(ValueError, match="until='all' is never reached in 20 realizations"):
        uep.simulate(few, RXC, unit(), realizations=20, seed=1).completion_time(workers=unit())
    with pytest.raises(ValueError, match="quantiles must be probabilities"):
        completion_time(EW, RXC, unit(), quantiles=[1.5])
    with pytest.raises(ValueError, match="part must be given"):
        tally.completion_time(workers=unit(), until=0.1)
    with pytest.raises(ValueError, match="count-domain"):
        uep.simulate(EW, RXC, unit(), deadlines=[1.0], realizations=10, seed=1).completion_time(workers=unit())
    with pytest.raises(ValueError, match="W = 31 does not fit"):
        tally.completion_time(workers=unit(31))


def test_a_start_before_which_nothing_comes_is_part_of_the_time():
    shifted = completion_time(MDS, RXC, unit(law=ShiftedExponential(1.0, 2.0)))
    mean, sd = order_statistic(9, 30)
    assert values(shifted, "mean", "sd") == pytest.approx([mean + 2, sd], rel=1e-8)
