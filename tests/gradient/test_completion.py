"""How long iterations and descents take: quantiles of latency laws, completion times against closed forms and descents."""

from __future__ import annotations

import math
import tomllib

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.descents import PROBLEM, RACK_OF, R, servers
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding.quantile import latencies_with_losses, latency_of_words
from uepgpu.latency import Deterministic, Empirical, Exponential, FromCDF, LogNormal, Pareto, ShiftedExponential, Staged, Weibull
from uepgpu.specification.study import parse_study

# --- laws -------------------------------------------------------------------------------------------------------------

WORDS = np.array([0, 1, 12345, 2**31 - 1, 2**31, 2**32 - 2**10, 2**32 - 1])


@pytest.mark.parametrize(
    "law",
    [
        Exponential(2.0),
        ShiftedExponential(1.0, 0.5),
        Weibull(0.7, 2.0),
        Pareto(1.5, 0.1),
        LogNormal(-1.0, 2.0),
        Deterministic(3.0),
        Empirical([1.0, 2.0, 2.0, 4.0, 8.0]),
        Staged(Weibull(0.7, 2.0)),
    ],
    ids=repr,
)
def test_quantiles_in_closed_form_are_those_of_bisection(law):
    np.testing.assert_allclose(latencies_with_losses(law, WORDS, 0.0), latency_of_words(law, WORDS), rtol=1e-9)


def test_quantiles_with_losses_invert_the_arrival_probability():
    for law in (Exponential(2.0), FromCDF(lambda t: -np.expm1(-t))):
        t = latencies_with_losses(law, WORDS, 0.25)
        assert np.isinf(t).tolist() == [False] * 5 + [True] * 2
        np.testing.assert_allclose(0.75 * law.cdf(t[:5]), (WORDS[:5] + 0.5) / 2**32, rtol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"latency": Staged(Exponential(1.0), Exponential(5.0), 0.1), "speeds": [1.0, 0.5, 2.0] * 4},
        {"latency": Pareto(1.5, 0.2), "backup": uep.Backup(0.3)},
        {"latency": Pareto(1.5, 0.2), "backup": uep.Relaunch(0.3), "racks": uep.Racks(RACK_OF, 0.3, Pareto(1.1, 0.5))},
    ],
    ids=["stages", "backup", "relaunch in racks"],
)
def test_iterations_wait_as_long_as_an_mds_code_does(options):
    """The q fastest of R are what an MDS code of dimension q waits for."""
    n, scheme = 4000, gc.ReplicatedSketch(8)
    found = gc.completion_time(PROBLEM, scheme, uep.Workers(R, omega=1.0, **options), realizations=n, seed=1, times=[0.5, 1.0, 2.0])
    part = uep.Partition.model("cxr", left_variances=[1.0] * 8, right_variances=[1.0] * 8, classes=(8,))
    pool = uep.Workers(R, omega=1.0, work="unit", **options)
    exact = uep.theory.completion_time(uep.codes.MDS(), part, pool, times=[0.5, 1.0, 2.0])
    error = np.sqrt(exact.cdf * (1 - exact.cdf) / n)
    assert np.all(np.abs(found.cdf - exact.cdf) <= 4 * error)
    assert np.all((found.quantile_low < exact.quantile_time) & (exact.quantile_time < found.quantile_high))
    assert abs(found["mean"] - exact["mean"]) <= 4 * found.mean_stderr


# --- completion time --------------------------------------------------------------------------------------------------


def test_completion_times_are_those_of_the_descents():
    call = {"iterations": 30, "realizations": 200, "seed": 5, "step": 1.0}
    scheme, workers = gc.ReplicatedSketch(9), servers("slow racks")
    run = gc.descend(PROBLEM, scheme, workers, **call)
    whole = gc.completion_time(PROBLEM, scheme, workers, **call)
    assert whole["mean"].item() == pytest.approx(float(run.time[-1]), rel=1e-12)
    assert whole.mean_stderr.item() == pytest.approx(float(run.time_stderr[-1]), rel=1e-12)
    assert (whole.never.item(), whole.attrs["until"]) == (0.0, "all")
    # Realization by realization: the first iterate within the error, by descents of one realization each.
    times = []
    for i in range(200):
        one = gc.descend(PROBLEM, scheme, workers, **call | {"realizations": 1}, first_realization=i)
        good = np.flatnonzero(one.error.values <= 0.1)
        times.append(float(one.time[good[0]]) if good.size else math.inf)
    ordered = np.sort(times)
    came = ordered[np.isfinite(ordered)]
    at = float(np.median(came))
    found = gc.completion_time(PROBLEM, scheme, workers, **call, until=0.1, quantiles=[0.0, 0.1, 0.5, 1.0], times=[0.0, at])
    assert 0 < came.size < 200
    assert found.never.item() == pytest.approx(1 - came.size / 200)
    assert found["mean"].item() == pytest.approx(came.mean(), rel=1e-12)
    np.testing.assert_allclose(found.quantile_time, [ordered[0], ordered[19], ordered[99], math.inf], rtol=1e-12)
    assert found.cdf.values.tolist() == [0.0, np.count_nonzero(ordered <= at) / 200]
    assert np.all((found.cdf_low <= found.cdf) & (found.cdf <= found.cdf_high))
    assert found.cdf_high[0] > 0  # nothing observed is a bound, not a zero
    assert np.all((found.quantile_low <= found.quantile_time) & (found.quantile_time <= found.quantile_high))
    assert float(found.quantile_high[3]) == math.inf


def test_a_specification_has_the_same_servers_and_rules(tmp_path):
    written = """
kind = "gradient-coding"
iterations = 3
blocks = 6
deadlines = [1.0]
workers = { count = 12, racks = { of = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], probability = 0.1 } }
data.heavy = { source = "gaussian", rows = 90, columns = 3, seed = 1 }

[[series]]
scheme = { name = "replicated-sketch", fastest = 5, until = 1.5, factor = 4.0 }

[[series]]
scheme = { name = "fractional-repetition", stragglers = 2, until = 2 }
"""
    points = parse_study(tomllib.loads(written), name="mine", folder=tmp_path).points
    assert [p.scheme for p in points] == [gc.ReplicatedSketch(5, until=1.5, factor=4.0), gc.FractionalRepetition(2, until=2.0)]
    racks = uep.Racks([0] * 6 + [1] * 6, 0.1)
    assert {(p.workers.racks, p.workers.count) for p in points} == {(racks, 12)}
