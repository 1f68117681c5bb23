"""Print the tables of tuned steps in docs/gradient-coding.md: the least error of each scheme over a grid of steps and decays."""

from __future__ import annotations

import itertools
import math

import uepgpu as uep
from uepgpu import gradient_coding as gc
from uepgpu.specification.study import read_study

STEPS, DECAYS, TIMES = (1.8, 1.0, 0.7, 0.4, 0.2, 0.1), (0.0, 0.02), (5.0, 20.0, 50.0)
SCHEMES = {
    "exact gradient, wait for all": gc.ExactGradient(),
    "cyclic code, 5 stragglers": gc.CyclicCode(5),
    "leverage, fresh sketch": gc.ReplicatedSketch(10),
    "leverage, fixed sketch": gc.ReplicatedSketch(10, sketch="fixed"),
    "uniform, fresh sketch": gc.ReplicatedSketch(10, law="uniform"),
    "uncoded, 20 fastest, rescaled": gc.StochasticBlocks(20),
    "uncoded, 50 fastest, rescaled": gc.StochasticBlocks(50),
}
PROBLEMS = {point.data: point.problem for point in read_study("gradient-coding").points}


def best(problem: gc.Problem, scheme: gc.Scheme, workers: uep.Workers, time: int) -> str:
    """Return the least mean error at a time, its standard error, and the step and decay that give it."""
    found = []
    for step, decay in itertools.product(STEPS, DECAYS):
        run = RUNS[id(problem), scheme, workers.work, step, decay]
        found.append((float(run.error_at_deadline[time]), float(run.error_at_deadline_stderr[time]), step, decay))
    assert not any(math.isnan(value[0]) for value in found), "more iterations are needed"
    error, spread, step, decay = min(found)
    return f"{error:.2g} ± {spread:.0e} ({step:g}{', decaying' if decay else ''})"


RUNS = {}
for (name, problem), work in itertools.product(PROBLEMS.items(), ("true", "unit")):
    workers = uep.Workers(60, uep.latency.Exponential(1.0), omega=1.0, work=work)  # type: ignore[arg-type]
    print(f"\n| {name}, {work} work | " + " | ".join(f"T = {t:g}" for t in TIMES) + " |")
    print("| --- |" + " --- |" * len(TIMES))
    for label, scheme in SCHEMES.items():
        for step, decay in itertools.product(STEPS, DECAYS):
            # As many iterations as the last time needs, with room for quick realizations.
            pace = gc.draw_sketches(problem, scheme, workers, iterations=50, realizations=100, seed=1).time
            iterations = int(1.4 * TIMES[-1] / float(pace[:, 1:].mean())) + 12
            RUNS[id(problem), scheme, work, step, decay] = gc.descend(
                problem, scheme, workers, iterations=iterations, realizations=100, seed=1, step=step, decay=decay, deadlines=TIMES
            )
        print(f"| {label} | " + " | ".join(best(problem, scheme, workers, t) for t in range(len(TIMES))) + " |")
