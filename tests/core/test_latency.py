"""Latency laws against scipy, and as distribution functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import uepgpu as uep
from uepgpu.specification.fields import SpecError
from uepgpu.specification.workers import worker_grid

LAWS = [
    (uep.latency.Exponential(2.5), scipy.stats.expon(scale=1 / 2.5)),
    (uep.latency.ShiftedExponential(2.0, 0.3), scipy.stats.expon(loc=0.3, scale=0.5)),
    (uep.latency.Weibull(0.7, 2.0), scipy.stats.weibull_min(0.7, scale=2.0)),
    (uep.latency.Weibull(3.0), scipy.stats.weibull_min(3.0)),
    (uep.latency.Pareto(1.5, 0.2), scipy.stats.pareto(1.5, scale=0.2)),
    (uep.latency.LogNormal(0.3, 0.8), scipy.stats.lognorm(0.8, scale=math.exp(0.3))),
]
OTHERS = [
    uep.latency.Deterministic(0.7),
    uep.latency.Empirical([0.3, 2.0, 0.3, 1.0]),
    uep.latency.FromCDF(lambda t: np.clip(t / 3, 0, 1)),
]


def named(law):
    """A law as the id of a test: one that every process gives it."""
    return repr(law).split(" at 0x")[0]


@pytest.mark.parametrize("law, reference", LAWS)
def test_laws_agree_with_scipy(law, reference):
    times = np.concatenate([[0.0], np.geomspace(1e-9, 200, 60)])
    # 1e-11: an exponential of x loses a factor |x| <= 745 of the rounding of x; 1e-300 leaves out denormal numbers.
    np.testing.assert_allclose(law.cdf(times), reference.cdf(times), rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(law.sf(times), reference.sf(times), rtol=1e-11, atol=1e-300)


times_strategy = st.lists(st.floats(0, 1e6), min_size=2, max_size=12).map(sorted)


@pytest.mark.parametrize("law", [*(pair[0] for pair in LAWS), *OTHERS], ids=named)
@given(times=times_strategy)
@settings(deadline=None, max_examples=30)
def test_laws_are_distribution_functions(law, times):
    below, above = law.cdf(times), law.sf(times)
    assert below.shape == above.shape == (len(times),)
    np.testing.assert_allclose(below + above, 1, rtol=0, atol=2e-16)
    assert np.all((below >= 0) & (below <= 1))
    assert np.all(np.diff(below) >= 0)
    assert np.all(np.diff(above) <= 0)


@pytest.mark.parametrize("law", [*(pair[0] for pair in LAWS), *OTHERS], ids=named)
def test_nothing_arrives_before_time_zero_and_everything_in_the_end(law):
    assert law.cdf([-1.0, -1e-300]).tolist() == [0, 0]
    assert law.sf(-3.0) == 1
    assert law.cdf(math.inf) == 1
    assert law.sf(math.inf) == 0


@pytest.mark.parametrize("law", [*(pair[0] for pair in LAWS), *OTHERS], ids=named)
def test_laws_take_times_of_any_shape(law):
    times = np.linspace(0, 4, 12)
    assert np.array_equal(law.cdf(times.reshape(3, 4)), law.cdf(times).reshape(3, 4))
    assert np.array_equal(law.sf(times.reshape(3, 4)), law.sf(times).reshape(3, 4))
    assert float(law.cdf(times[5])) == law.cdf(times)[5]


def test_instant_answers_do_not_come_before_the_question():
    assert uep.latency.Deterministic(0.0).cdf([-1.0, 0.0]).tolist() == [0, 1]


def test_steps_arrive_at_their_own_time():
    assert uep.latency.Deterministic(0.7).cdf([0.7 - 1e-12, 0.7, 1.0]).tolist() == [0, 1, 1]
    assert uep.latency.Empirical([0.3, 2.0, 0.3, 1.0]).cdf([0.2, 0.3, 1.0, 1.5, 2.0]).tolist() == [0, 0.5, 0.75, 0.75, 1]


@pytest.mark.parametrize(
    "law",
    [
        uep.latency.Exponential(1e300),
        uep.latency.ShiftedExponential(1e300, 1.0),
        uep.latency.Weibull(5.0, 1e-100),
        uep.latency.Weibull(0.5, 1e-320),
        uep.latency.Pareto(1e300, 1e-300),
        uep.latency.LogNormal(0.0, 1e-320),
    ],
    ids=named,
)
def test_hazards_beyond_float64_mean_that_everything_has_arrived(law):
    assert law.cdf([-1.0, 0.0, 1e100]).tolist() == [0, 0, 1]
    assert law.sf([-1.0, 0.0, 1e100]).tolist() == [1, 1, 0]


def test_a_function_is_not_asked_for_negative_times_and_cannot_change_the_callers():
    def function(t):
        t /= 4.0
        return np.sqrt(t)

    times = np.array([-1.0, 0.0, 1.0, 4.0])
    assert uep.latency.FromCDF(function).cdf(times).tolist() == [0, 0, 0.5, 1]
    assert times.tolist() == [-1, 0, 1, 4]
    assert uep.latency.FromCDF(lambda t: scipy.stats.norm.cdf(t)).cdf([-1.0, 0.0]).tolist() == [0, 0.5]


def test_measured_latencies_in_a_specification_are_a_one_dimensional_numpy_file(tmp_path):
    np.save(tmp_path / "lat.npy", np.array([0.5, 0.1, 2.0]))
    np.save(tmp_path / "table.npy", np.ones((4, 3)))
    np.save(tmp_path / "words.npy", np.array([["a"]], dtype=object), allow_pickle=True)
    (tmp_path / "lat.csv").write_text("0.5\n0.1\n")

    def laws(samples):
        latencies = {"law": "empirical", "samples": samples}
        return worker_grid("[workers]", {"count": 9, "latency": latencies}, tmp_path)

    assert laws("lat.npy")[0][1].latency.cdf([0.1, 1.0]).tolist() == [1 / 3, 2 / 3]
    for name, reason in (
        ("lat.csv", r"column must name the column of latencies in .*lat\.csv.*, got None"),
        ("table.npy", r"samples must be one-dimensional, got shape \(4, 3\)"),
        ("words.npy", "it holds Python objects instead of numbers"),
        ("none.npy", "samples: no file"),
    ):
        with pytest.raises(SpecError, match=reason) as error:
            laws(name)
        assert "pickle" not in str(error.value)
