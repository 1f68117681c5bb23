"""Problems and schemes of gradient coding that several tests share."""

from __future__ import annotations

import numpy as np

import uepgpu as uep
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding.device import weigh_blocks
from uepgpu.gradient_coding.plan import make_plan
from uepgpu.latency import Exponential
from uepgpu_kernels.descent_job import DUAL
from uepgpu_kernels.reference import descent as reference

COHERENT = gc.multivariate_t(rows=120, columns=4, degrees=1.0, noise=0.5, seed=3)
PROBLEM = gc.Problem(COHERENT.A, COHERENT.b, blocks=8)
LOGISTIC_TABLE = gc.gaussian(rows=90, columns=3, noise=1.0, seed=4, loss="logistic")
LOGISTIC = gc.Problem(LOGISTIC_TABLE.A, LOGISTIC_TABLE.b, blocks=6, loss="logistic", ridge=0.1)
# Fewer rows a block than columns: rows serve, not Gram matrices.
SHORT = gc.Problem(COHERENT.A[:, :4], COHERENT.b, blocks=60)
PROBLEMS = {
    "gram": PROBLEM,
    "rows": SHORT,
    "ridge": gc.Problem(COHERENT.A, COHERENT.b, blocks=8, ridge=3.0),
    "logistic": LOGISTIC,
}
OWN = (0.3, 0.0, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1)
SCHEMES = {
    "replicated": gc.ReplicatedSketch(5),
    "replicated uniform": gc.ReplicatedSketch(7, law="uniform"),
    "replicated fixed": gc.ReplicatedSketch(5, sketch="fixed"),
    "replicated own": gc.ReplicatedSketch(6, law=OWN, every_block=False),
    "sampled": gc.SampledSketch(5),
    "sampled fixed": gc.SampledSketch(6, law="uniform", sketch="fixed"),
    "sampled own": gc.SampledSketch(9, law=OWN),
    "exact": gc.ExactGradient(),
    "ignore": gc.IgnoreStragglers(9),
    "stochastic": gc.StochasticBlocks(9),
    "fractional": gc.FractionalRepetition(3),
    "cyclic": gc.CyclicCode(3),
    "cyclic random": gc.CyclicCode(2),
}
GRADIENT_NORM = gc.SampledSketch(5, law="gradient-norm")
EVERY = {**SCHEMES, "gradient-norm": GRADIENT_NORM}
PAIRS = [(kind, name) for kind in PROBLEMS for name in EVERY if "own" not in name or PROBLEMS[kind].blocks == len(OWN)]

R = 12
RACK_OF = [w // 4 for w in range(R)]
TABLE = np.random.default_rng(5).exponential(size=(5, R))
GAPS = np.where(TABLE > 2.0, np.inf, TABLE)
CHAIN = uep.Markov([[0.8, 0.2, 0.0], [0.3, 0.4, 0.3], [0.5, 0.0, 0.5]], [Exponential(2.0), Exponential(0.5), Exponential(0.1)])
SERVERS = {
    "laws and speeds": {"latency": [Exponential(1.0 + w % 2) for w in range(R)], "speeds": [1.0, 0.5, 2.0] * 4},
    "states": {"states": CHAIN, "speeds": [1.0, 0.5, 2.0] * 4},
    "states with losses": {"states": CHAIN, "loss_probability": 0.25},
    "slow racks": {"racks": uep.Racks(RACK_OF, 0.3, Exponential(0.2))},
    "dark racks": {"racks": uep.Racks(RACK_OF, 0.3)},
    "lossy": {"loss_probability": 0.25},
    "lossy in slow racks": {"loss_probability": 0.25, "racks": uep.Racks(RACK_OF, 0.3, Exponential(0.2))},
    "trace in order": {"latency": uep.latency.Trace(TABLE, replay="order"), "speeds": [1.0, 0.5, 2.0] * 4},
    "trace at random": {"latency": uep.latency.Trace(TABLE)},
    "trace in blocks": {"latency": uep.latency.Trace(TABLE, "blocks", block=2.5)},
    "trace shuffled": {"latency": uep.latency.Trace(GAPS, replay="order", shuffle=True), "speeds": [1.0, 0.5, 2.0] * 4},
    "trace with losses": {"latency": uep.latency.Trace(GAPS), "loss_probability": 0.25},
}


def servers(name):
    """The 12 servers of that name, of `SERVERS`."""
    return uep.Workers(R, omega=1.0, **SERVERS[name])


def workers_for(problem):
    return uep.Workers(64 if problem.blocks == 60 else 12, omega=1.0)


def make_plan_of(name, iterations):
    """The plan of a scheme of `SCHEMES`."""
    asked = {"iterations": iterations, "step": 0.7, "decay": 0.1, "start": None, "seed": 2**63 + 1}
    return make_plan(PROBLEM, SCHEMES[name], workers_for(PROBLEM), **asked)


def agreement(draws, label, first, count, iterations):
    """Give (what, whether it is NumPy's) of a device's draws: integers and products are equal, decoded weights to rounding."""
    copies, words = reference.sketch(draws.job, first, count, iterations)
    wanted = weigh_blocks(draws.job, copies, reference)
    weight, last = draws.weigh(first, count, iterations)
    found = draws.memory.get(weight)
    yield f"{label}, words", np.array_equal(last, words) and last.dtype == words.dtype
    rounding = 1e-12 if draws.job.decode == DUAL else 0.0
    yield (
        f"{label}, weights",
        found.shape == wanted.shape and float(np.abs(found - wanted).max()) <= rounding * np.abs(wanted).max(),
    )
    counted, last = draws.count(first, count, iterations)
    yield f"{label}, copies", np.array_equal(counted, copies) and np.array_equal(last, words)


def sketched_gradients(problem, scheme, workers, x, **options):
    """Gradient estimates (realizations, d) of single iterations at x, from draws alone."""
    draws = gc.draw_sketches(problem, scheme, workers, **options)
    weights = (draws.copies * draws.weight).values[:, 0]
    return weights @ problem.block_gradients(np.asarray(x))
