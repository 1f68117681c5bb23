"""Latencies in stages: start + load · compute + send (docs/mathematics.md §4)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import uepgpu as uep
from tests.cases.paper import EW, RXC
from uepgpu import theory
from uepgpu.latency import Deterministic, Empirical, Exponential, FromCDF, LogNormal, Pareto, ShiftedExponential, Staged, Weibull

TOLERANCE = 2.0**-33
TIMES = np.array([0.0, 0.05, 0.3, 0.6, 1.2, 4.0, 30.0])


def workers(law, **more):
    return uep.Workers(30, law, **({"omega": 1.0, "work": "unit"} | more))


def test_exponential_stages_are_those_of_the_table():
    law = Staged(Exponential(1.0), Exponential(5.0))
    assert law.cdf([0.3, 0.6, 1.2]).round(6).tolist() == [0.129760, 0.326432, 0.624127]
    assert law.cdf([0.3, 0.6, 1.2], load=3).round(6).tolist() == [0.046469, 0.126345, 0.281977]


@pytest.mark.parametrize("load, expected", [(1, (0.785679, 0.113736)), (3, (0.98239, 0.797635))])
def test_losses_of_staged_workers_are_those_of_the_table(load, expected):
    law = Staged(Exponential(1.0), Exponential(5.0))
    found = theory.loss(EW, RXC, workers(law, omega=1 / load), deadlines=[0.3, 0.6])
    assert found.normalized_loss.values.round(6).tolist() == list(expected)


@pytest.mark.parametrize("rates", [(1.0, 5.0), (5.0, 1.0), (2.0, 2.0), (2.0, 2.0 + 1e-9), (1.0, 1e6)])
def test_two_exponentials_keep_their_digits_in_both_tails(rates):
    first, second = rates
    law = Staged(Exponential(first), Exponential(second))
    t = 1e-5 / max(rates)
    # l1·l2·t²/2 but for a relative 1e-5/3·(1 + l1/l2).
    assert law.cdf(t) == pytest.approx(first * second * t**2 / 2 * (1 - (first + second) * t / 3), rel=1e-9, abs=0)
    late = 200.0
    if first == second:
        tail = (1 + first * late) * math.exp(-first * late)
    else:
        slow, fast = min(rates), max(rates)
        tail = math.exp(-slow * late) * (1 + slow * -math.expm1(-(fast - slow) * late) / (fast - slow))
    assert law.sf(late) == pytest.approx(tail, rel=1e-12, abs=0) != 0
    np.testing.assert_allclose(law.cdf(TIMES) + law.sf(TIMES), 1, rtol=0, atol=1e-15)


@pytest.mark.parametrize("load", [0.5, 1.0, 3.0])
def test_quadrature_gives_the_closed_form_of_exponentials(load):
    exact = Staged(Exponential(1.0), Exponential(5.0))
    by_send, by_compute = Staged(FromCDF(lambda t: -np.expm1(-t)), Weibull(1.0, 0.2)), Staged(Weibull(1.0, 1.0), Exponential(5.0))
    for law in (by_send, by_compute, Staged(Exponential(1.0), FromCDF(lambda t: -np.expm1(-5 * t)))):
        np.testing.assert_allclose(law.cdf(TIMES, load), exact.cdf(TIMES, load), rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(law.sf(TIMES, load), exact.sf(TIMES, load), rtol=0, atol=TOLERANCE)


SMOOTH = {
    "log-normal": (LogNormal(-0.5, 0.6), scipy.stats.lognorm(0.6, scale=math.exp(-0.5))),
    "pareto": (Pareto(1.5, 0.1), scipy.stats.pareto(1.5, scale=0.1)),
    "weibull": (Weibull(0.6, 0.4), scipy.stats.weibull_min(0.6, scale=0.4)),
    "gathered weibull": (Weibull(3.0, 0.4), scipy.stats.weibull_min(3.0, scale=0.4)),
}


@pytest.mark.parametrize("compute", SMOOTH)
@pytest.mark.parametrize("send", SMOOTH)
def test_sums_of_smooth_laws_agree_with_a_quadrature_over_quantiles(compute, send):
    law, load = Staged(SMOOTH[compute][0], SMOOTH[send][0], start=0.07), 2.0
    for t in (0.4, 1.5):
        left = t - 0.07

        def chance(p, left=left):
            return SMOOTH[compute][1].cdf((left - SMOOTH[send][1].ppf(p)) / load)

        edge = float(SMOOTH[send][1].cdf(left - load * SMOOTH[compute][0].scale if compute == "pareto" else left))
        value, _ = scipy.integrate.quad(chance, 0, max(edge, 0.0), epsabs=1e-12, epsrel=1e-12, limit=400)
        # 1e-9: what the reference says of itself where its integrand is steep.
        assert law.cdf(t, load) == pytest.approx(value, abs=1e-9)
        assert law.sf(t, load) == pytest.approx(1 - value, abs=1e-9)


def test_fixed_times_and_samples_are_added_as_they_are():
    samples = [0.1, 0.1, 0.4, 2.0]
    t = np.linspace(0, 5, 23)
    smooth = Exponential(0.7)
    by_send = np.mean([smooth.cdf((t - 0.2 - u) / 3) for u in samples], axis=0)
    np.testing.assert_allclose(Staged(smooth, Empirical(samples), 0.2).cdf(t, 3), by_send, rtol=0, atol=1e-14)
    by_compute = np.mean([smooth.cdf(t - 0.2 - 3 * u) for u in samples], axis=0)
    np.testing.assert_allclose(Staged(Empirical(samples), smooth, 0.2).cdf(t, 3), by_compute, rtol=0, atol=1e-14)
    np.testing.assert_allclose(Staged(Deterministic(0.1), smooth).sf(t, 3), smooth.sf(t - 0.3), rtol=0, atol=1e-14)
    shifted = Staged(ShiftedExponential(0.7, 0.1), ShiftedExponential(2.0, 0.3)).cdf(t, 3)
    np.testing.assert_allclose(shifted, Staged(Exponential(0.7), Exponential(2.0), 0.6).cdf(t, 3), rtol=0, atol=1e-14)


def test_steps_of_both_stages_arrive_at_their_own_time():
    fixed = Staged(Deterministic(0.1), Deterministic(0.7), start=0.2)
    assert fixed.cdf([1.2 - 1e-12, 1.2, 2.0], 3).tolist() == [0, 1, 1]
    both = Staged(Empirical([0.1, 0.2]), Empirical([0.3, 0.7]), start=0.1)
    # 0.1 + 3c + u: .7, 1.0, 1.1, 1.4
    assert both.cdf([0.69, 0.7, 1.0, 1.1, 1.4], 3).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert both.sf([0.69, 0.7, 1.0, 1.1, 1.4], 3).tolist() == [1, 0.75, 0.5, 0.25, 0]


def test_a_jump_of_an_unknown_law_is_closed_in_on():
    steps = FromCDF(lambda t: 0.25 * (t >= 0.2) + 0.75 * (t >= 0.5))
    exact = 0.25 * Exponential(2.0).cdf(TIMES - 0.2) + 0.75 * Exponential(2.0).cdf(TIMES - 0.5)
    np.testing.assert_allclose(Staged(steps, Weibull(1.0, 0.5)).cdf(TIMES), exact, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(Staged(Exponential(2.0), steps).cdf(TIMES), exact, rtol=0, atol=TOLERANCE)


def test_a_law_of_too_many_steps_is_refused_instead_of_being_wrong():
    comb = FromCDF(lambda t: np.floor(np.minimum(t, 1.0) * 5000) / 5000)
    with pytest.raises(ValueError, match="too many steps"):
        Staged(comb, Exponential(1.0)).cdf(2.0)


@pytest.mark.parametrize("law", [Staged(LogNormal(0, 0.01), Weibull(0.3)), Staged(Pareto(1.1, 0.2), Exponential(3.0), 0.1)])
def test_staged_laws_are_distribution_functions_of_any_shape(law):
    t = np.linspace(-1, 40, 60)
    below, above = law.cdf(t.reshape(3, 20)), law.sf(t.reshape(3, 20))
    np.testing.assert_allclose(below + above, 1, rtol=0, atol=TOLERANCE)
    assert np.all(np.diff(below.ravel()) >= -TOLERANCE)
    assert law.cdf([-1.0, math.inf]).tolist() == [0, 1]
    assert law.sf([-1.0, math.inf]).tolist() == [1, 0]
    assert law.cdf(np.array([1.0, 2.0])[:, None], np.array([1.0, 2.0, 3.0])).shape == (2, 3)


@pytest.mark.parametrize("law", [Pareto(1.5, 0.2), Empirical([0.2, 0.6, 1.0]), Deterministic(0.3), FromCDF(np.tanh)])
@pytest.mark.parametrize("work", ["true", "unit"])
def test_without_start_and_send_a_staged_law_is_its_compute_law(law, work):
    plain, staged = (workers(x, omega="fair", work=work, speeds=[0.7, 1.3] * 15) for x in (law, Staged(law)))
    problem = {"deadlines": [0.3, 0.9, 1.7], "realizations": 200, "seed": 4}
    assert uep.simulate(EW, RXC, plain, **problem) == uep.simulate(EW, RXC, staged, **problem)


def test_only_computing_scales_with_work_speed_and_load():
    law = Staged(Exponential(2.0), Exponential(3.0), 0.1)
    pool = uep.Workers(30, law, omega=0.5, loss_probability=0.1)
    got, absent = pool.arrival(TIMES, 9, 3, 1.5), pool.absence(TIMES, 9, 3, 1.5)
    np.testing.assert_allclose(got, 0.9 * law.cdf(TIMES, 3 / (0.5 * 1.5)), rtol=1e-14)
    np.testing.assert_allclose(got + absent, 1, rtol=0, atol=1e-15)


def test_simulated_arrivals_in_stages_agree_with_theory():
    law = Staged(LogNormal(-1.0, 0.5), Exponential(5.0), start=0.05)
    exact = theory.loss(EW, RXC, workers(law), deadlines=[0.5, 0.8]).loss.values
    found = uep.simulate(EW, RXC, workers(law), deadlines=[0.5, 0.8], realizations=20_000, seed=2).loss(RXC)
    assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)
