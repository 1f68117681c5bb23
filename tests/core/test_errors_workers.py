"""Bad values of latency laws, workers and deadlines."""

from __future__ import annotations

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.refusals import cases, refused
from uepgpu.checks import deadlines_array

LATENCIES = {
    "negative rate": (lambda: uep.latency.Exponential(-1.0), "rate", "> 0", "-1.0"),
    "negative rate from an array": (lambda: uep.latency.Exponential(np.array([-1.0])[0]), "rate", "> 0", "-1.0"),
    "rate of zero": (lambda: uep.latency.Exponential(0), "rate", "> 0", "got 0"),
    "nan rate": (lambda: uep.latency.Exponential(np.nan), "rate", "finite", "nan"),
    "rate in words": (lambda: uep.latency.Exponential("fast"), "rate", "number", "'fast'"),
    "negative shift": (lambda: uep.latency.ShiftedExponential(1.0, -0.5), "shift", ">= 0", "-0.5"),
    "Weibull shape": (lambda: uep.latency.Weibull(0.0), "shape", "> 0", "0.0"),
    "Weibull scale": (lambda: uep.latency.Weibull(1.0, np.inf), "scale", "finite", "inf"),
    "Pareto shape": (lambda: uep.latency.Pareto(-2), "shape", "> 0", "-2"),
    "log-normal mu": (lambda: uep.latency.LogNormal(np.nan), "mu", "finite", "nan"),
    "log-normal mu in words": (lambda: uep.latency.LogNormal("x"), "mu", "finite", "'x'"),
    "log-normal sigma": (lambda: uep.latency.LogNormal(0.0, 0.0), "sigma", "> 0", "0.0"),
    "negative time": (lambda: uep.latency.Deterministic(-1.0), "time", ">= 0", "-1.0"),
    "no samples": (lambda: uep.latency.Empirical([]), "samples", "at least one"),
    "negative sample": (lambda: uep.latency.Empirical([1.0, -2.0]), "samples", ">= 0"),
    "table of samples": (lambda: uep.latency.Empirical(np.ones((3, 2))), "samples must be one-dimensional", "(3, 2)", "ravel"),
    "one sample that is no sequence": (lambda: uep.latency.Empirical(1.0), "samples must be one-dimensional", "()"),
    "infinite sample": (lambda: uep.latency.Empirical([np.inf]), "samples", "finite"),
    "complex samples": (lambda: uep.latency.Empirical(np.array([1j])), "samples"),
    "ragged samples": (lambda: uep.latency.Empirical([[1.0], [2.0, 3.0]]), "samples", "[[1.0], [2.0, 3.0]]"),
    "masked samples": (lambda: uep.latency.Empirical(np.ma.masked_equal([1.0, 2.0], 2.0)), "samples", "masked"),
    "log-normal mu beyond float64": (lambda: uep.latency.LogNormal(10**400), "mu", "finite"),
    "time in words": (lambda: uep.latency.Exponential().cdf("soon"), "time", "'soon'"),
    "complex time": (lambda: uep.latency.Weibull(2.0).sf(np.array([1j])), "time", "real"),
    "complex function": (lambda: uep.latency.FromCDF(lambda t: 0j * t).cdf([1.0]), "function", "real"),
    "function that is none": (lambda: uep.latency.FromCDF(0.5), "function", "callable", "0.5"),
    "function beyond 1": (lambda: uep.latency.FromCDF(lambda t: t).cdf([2.0]), "function", "[0, 1]", "2.0"),
    "function that falls": (lambda: uep.latency.FromCDF(lambda t: np.exp(-t)).cdf([0.0, 1.0]), "function", "non-decreasing"),
    "function of one time": (
        lambda: uep.latency.FromCDF(lambda t: 1.0 if t > 1 else t).cdf([1.0, 2.0]),
        "function",
        "array of times",
    ),
    "staged law in words": (lambda: uep.latency.Staged("exponential"), "compute", "law", "'exponential'"),
    "staged law of staged ones": (
        lambda: uep.latency.Staged(uep.latency.Exponential(), uep.latency.Staged(uep.latency.Exponential())),
        "send",
        "not staged itself",
    ),
    "negative start": (lambda: uep.latency.Staged(uep.latency.Exponential(), start=-0.1), "start", ">= 0", "-0.1"),
    "nan start": (lambda: uep.latency.Staged(uep.latency.Exponential(), start=np.nan), "start", "finite", "nan"),
    "two stages of unknown density": (
        lambda: uep.latency.Staged(uep.latency.FromCDF(np.tanh), uep.latency.FromCDF(np.tanh)),
        "compute and send",
        "cdf and sf",
    ),
    "negative latency of a trace": (
        lambda: uep.latency.Trace([[1.0, 2.0], [3.0, -0.5]]),
        "latencies",
        "-0.5",
        "worker 1",
        "round 1",
    ),
    "ragged trace": (lambda: uep.latency.Trace([[1.0, 2.0], [3.0]]), "latencies", "rows of one length"),
    "trace of one round": (lambda: uep.latency.Trace([1.0, 2.0]), "latencies", "rounds × workers", "(2,)"),
    "trace of nothing": (lambda: uep.latency.Trace(np.zeros((0, 3))), "latencies", "rounds × workers", "(0, 3)"),
    "trace without a worker": (lambda: uep.latency.Trace([[1.0, np.nan]]), "latencies", "worker 1 never answers"),
    "trace in words": (lambda: uep.latency.Trace([["fast"]]), "latencies", "'fast'"),
    "replay": (lambda: uep.latency.Trace([[1.0]], replay="backwards"), "replay", "'random'", "'order'", "'backwards'"),
    "shuffle": (lambda: uep.latency.Trace([[1.0]], shuffle=1), "shuffle", "True or False", "1"),
    "function of another shape": (lambda: uep.latency.FromCDF(lambda t: 0.5).cdf([1.0, 2.0]), "function", "(2,)", "()"),
}


class Mine:
    """A law of one's own, made of two functions."""

    def __init__(self, cdf, sf=None):
        self.cdf = cdf
        self.sf = sf or (lambda time: 1 - cdf(time))


def tried(cdf, sf=None):
    return uep.Workers(2, latency=Mine(cdf, sf))


FOREIGN = {
    "one value": (lambda: tried(lambda t: 0.5), "latency.cdf", "one value per time", "(12,)", "()"),
    "one time at once": (lambda: tried(lambda t: 1.0 if t > 1 else 0.0), "latency.cdf", "array of times", "ambiguous"),
    "above 1": (lambda: tried(lambda t: np.maximum(t, 0)), "latency.cdf", "probability", "3 at time 3"),
    "nan": (lambda: tried(lambda t: np.where(t > 2, np.nan, 0.0)), "latency.cdf", "probability", "nan at time 3"),
    "before 0": (lambda: tried(lambda t: np.where(t < 0, 0.2, 1.0)), "latency.cdf", "0 before time 0", "0.2 at time -1"),
    "falling": (lambda: tried(lambda t: np.where((t >= 0) & (t < 2), 0.5, 0.0)), "latency.cdf", "decrease", "1 and 3"),
    "another sf": (lambda: tried(lambda t: np.clip(t, 0, 1), lambda t: np.clip(t, 0, 1)), "latency.sf", "1 - cdf", "time -1"),
    "among several": (
        lambda: uep.Workers(2, latency=[uep.latency.Exponential(), Mine(lambda t: t)]),
        "latency.cdf",
        "probability",
        "-1 at time -1",
    ),
}


WORKERS = {
    "no workers": (lambda: uep.Workers(0), "count", "from 1 to", "got 0"),
    "no workers from an array": (lambda: uep.Workers(np.array([0])[0]), "count", "from 1 to", "0"),
    "negative workers": (lambda: uep.Workers(-3), "count", "from 1 to", "-3"),
    "half a worker": (lambda: uep.Workers(2.5), "count", "integer", "2.5"),
    "latency that is no law": (lambda: uep.Workers(3, latency="exponential"), "latency", "'exponential'"),
    "latency class in place of a law": (lambda: uep.Workers(3, latency=uep.latency.Exponential), "latency", "Exponential"),
    "too few laws": (lambda: uep.Workers(3, latency=[uep.latency.Exponential()] * 2), "latency", "3 workers", "2 laws"),
    "a law among words": (lambda: uep.Workers(2, latency=[uep.latency.Exponential(), "pareto"]), "latency", "'pareto'"),
    "a class among laws": (lambda: uep.Workers(1, latency=[uep.latency.Pareto]), "latency", "Pareto"),
    "no laws at all": (lambda: uep.Workers(2, latency=[]), "latency", "2 workers", "0 laws"),
    "omega of zero": (lambda: uep.Workers(3, omega=0), "omega", "> 0", "got 0"),
    "negative omega": (lambda: uep.Workers(3, omega=-1.0), "omega", "> 0", "-1.0"),
    "nan omega": (lambda: uep.Workers(3, omega=np.nan), "omega", "finite", "nan"),
    "unfair omega": (lambda: uep.Workers(3, omega="unfair"), "omega", "'fair'", "'unfair'"),
    "no omega": (lambda: uep.Workers(3, omega=None), "omega", "None"),
    "omega of each worker": (lambda: uep.Workers(2, omega=np.array([1.0, 2.0])), "omega", "[1., 2.]"),
    "work": (lambda: uep.Workers(3, work="fair"), "work", "'true'", "'unit'", "'fair'"),
    "everything lost": (lambda: uep.Workers(3, loss_probability=1.0), "loss_probability", "[0, 1)", "1.0"),
    "negative loss from an array": (lambda: uep.Workers(3, loss_probability=np.array([-0.1])[0]), "loss_probability", "-0.1"),
    "negative loss": (lambda: uep.Workers(3, loss_probability=-0.1), "loss_probability", "[0, 1)", "-0.1"),
    "nan loss": (lambda: uep.Workers(3, loss_probability=np.nan), "loss_probability", "[0, 1)", "nan"),
    "trace of other workers": (lambda: uep.Workers(3, uep.latency.Trace([[1.0, 2.0]])), "latency", "3 workers", "trace of 2"),
    "trace among laws": (lambda: uep.Workers(1, [uep.latency.Trace([[1.0]])]), "latency", "law", "Trace"),
    "trace with backup": (lambda: uep.Workers(1, uep.latency.Trace([[1.0]]), backup=uep.Backup(1.0)), "latency", "backup"),
    "trace in racks": (lambda: uep.Workers(1, uep.latency.Trace([[1.0]]), racks=uep.Racks([0], 0.1)), "latency", "racks"),
    "stage that is a trace": (lambda: uep.latency.Staged(uep.latency.Trace([[1.0]])), "compute", "law", "Trace"),
    "too few racks": (lambda: uep.Workers(3, racks=uep.Racks([0, 1], 0.1)), "racks", "3 workers", "2 racks"),
    "racks in words": (lambda: uep.Workers(3, racks=[0, 0, 1]), "racks", "uepgpu.Racks", "[0, 0, 1]"),
    "racks that are always dark": (lambda: uep.Racks([0], 1.0), "probability", "[0, 1)", "1.0"),
    "half a rack": (lambda: uep.Racks([0, 0.5], 0.1), "of", "integers", "0.5"),
    "table of racks": (lambda: uep.Racks([[0, 1]], 0.1), "of", "one rack per worker", "[[0, 1]]"),
    "no racks at all": (lambda: uep.Racks([], 0.1), "of", "integers", "[]"),
    "racks slow in words": (lambda: uep.Racks([0], 0.1, "slow"), "latency", "law", "'slow'"),
    "backup in words": (lambda: uep.Workers(3, backup="late"), "backup", "uepgpu.Backup", "'late'"),
    "backup class": (lambda: uep.Workers(3, backup=uep.Backup), "backup", "uepgpu.Relaunch", "Backup"),
    "backup at once": (lambda: uep.Backup(0.0), "after", "> 0", "0.0"),
    "relaunch at nan": (lambda: uep.Relaunch(np.nan), "after", "finite", "nan"),
    "too few speeds": (lambda: uep.Workers(3, speeds=(1.0, 2.0)), "speeds", "3 workers", "2 speeds"),
    "speed of zero": (lambda: uep.Workers(2, speeds=(1.0, 0.0)), "speeds", "> 0", "0.0"),
    "one speed": (lambda: uep.Workers(2, speeds=2.0), "speeds", "2.0"),
    "complex speeds": (lambda: uep.Workers(2, speeds=(1.0, 1j)), "speeds", "real"),
    "table of speeds": (lambda: uep.Workers(2, speeds=[[1.0, 2.0]]), "speeds", "sequence", "[[1.0, 2.0]]"),
    "no speeds at all": (lambda: uep.Workers(2, speeds=[]), "speeds", "2 workers", "0 speeds"),
    "speeds in words": (lambda: uep.Workers(2, speeds=("fast", "slow")), "speeds", "'fast'"),
}

POOL = uep.Workers(3)
ARRIVALS = {
    "work in words": (lambda: POOL.charge("much"), "work", "real numbers", "'much'"),
    "work of zero": (lambda: POOL.charge([1, 0]), "work", "> 0", "[1, 0]"),
    "time in words": (lambda: POOL.arrival("soon", 9, 1), "time", "real numbers", "'soon'"),
    "time of nan": (lambda: POOL.absence(np.nan, 9, 1), "time", "nan"),
    "sub-products that are none": (lambda: POOL.arrival(1.0, 1.5, 1), "n_subproducts", "integer >= 1", "1.5"),
    "speed in words": (lambda: POOL.arrival(1.0, 9, 1, speed="x"), "speed", "real numbers", "'x'"),
    "negative speed": (lambda: POOL.absence(1.0, 9, 1, speed=-1), "speed", "> 0", "-1"),
    "shapes": (lambda: POOL.arrival([1.0, 2.0], 9, [1, 2, 3]), "time, work and speed", "shapes", "(2,), (3,) and ()"),
}

DEADLINES = {
    "negative": (lambda: deadlines_array([-0.5, 1.0]), "deadlines", ">= 0", "-0.5"),
    "nan": (lambda: deadlines_array([0.5, np.nan]), "deadlines", "finite", "nan"),
    "infinite": (lambda: deadlines_array(np.inf), "deadlines", "finite", "inf"),
    "none": (lambda: deadlines_array([]), "deadlines", "non-empty", "(0,)"),
    "table": (lambda: deadlines_array([[0.5, 1.0]]), "deadlines", "one-dimensional", "(1, 2)"),
    "falling": (lambda: deadlines_array([1.0, 0.5]), "deadlines", "not decrease"),
    "ragged": (lambda: deadlines_array([[1.0], [1.0, 2.0]]), "deadlines", "[[1.0], [1.0, 2.0]]"),
    "masked": (lambda: deadlines_array(np.ma.masked_equal([1.0, 2.0], 2.0)), "deadlines", "masked"),
    "words": (lambda: deadlines_array("soon"), "deadlines", "'soon'"),
    "complex": (lambda: deadlines_array(np.array([1j])), "deadlines"),
}


@pytest.mark.parametrize(
    "call, pieces", cases(latencies=LATENCIES, workers=WORKERS, foreign=FOREIGN, arrivals=ARRIVALS, deadlines=DEADLINES)
)
def test_a_bad_value_is_named_with_what_is_allowed(call, pieces):
    refused(call, pieces)
