"""Random calls of the library. Run: ``python -m tests.faults.fuzz_api --count 1000 --seed 1``.

A call returns, or it raises one of the documented errors with one line of 300 characters at most.
"""

from __future__ import annotations

import random
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import uepgpu as uep
from tests.faults.child import attempt
from tests.faults.folder import make_folder
from tests.faults.hostile import OBJECTS
from tests.faults.tally import RAN, counted, judge, script
from uepgpu import codes, gradient_coding, latency
from uepgpu.replay import replay

__all__ = ["outcomes"]

REFUSALS = (ValueError, NotImplementedError, FileNotFoundError, uep.BackendUnavailable)
V = (10.0, 1.0, 0.1)
PART = uep.Partition.model("rxc", left_variances=V, right_variances=V, classes=(3, 3, 3))
CODE = codes.ExpandingWindow((0.4, 0.35, 0.25))
WORKERS = uep.Workers(12, omega=1.0, work="unit")
SMALL = uep.Partition.model("rxc", left_variances=(2, 1), right_variances=(2, 1), classes=(1, 3))
A, B = np.arange(54.0).reshape(6, 9), np.arange(63.0).reshape(9, 7)
REAL = uep.Partition.rxc(A, B, rows=3, cols=3, classes=(3, 3, 3))
TALLY = uep.simulate(CODE, PART, WORKERS, realizations=20, seed=1, backend="numpy")
TIMED = uep.simulate(CODE, PART, WORKERS, deadlines=[0.5, 1], realizations=20, seed=1, backend="numpy")
PROBLEM = gradient_coding.Problem(np.arange(40.0).reshape(20, 2) % 7, np.arange(20.0), 4)
SCHEME = gradient_coding.ExactGradient()
CYCLIC = gradient_coding.cyclic_code(6, 1)

CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Partition.model": (
        uep.Partition.model,
        {"paradigm": "rxc", "left_variances": V, "right_variances": V, "shape": (3, 9, 3), "classes": (3, 3, 3),
         "left_means": 0.0, "right_means": 0.0, "row_levels": None, "col_levels": None},
    ),
    "Partition.rxc": (uep.Partition.rxc, {"A": A, "B": B, "rows": 3, "cols": 3, "classes": (3, 3, 3), "order": "norm"}),
    "Partition.cxr": (uep.Partition.cxr, {"A": A, "B": B, "blocks": 3, "classes": "auto", "order": None}),
    "Workers": (
        uep.Workers,
        {"count": 3, "latency": latency.Exponential(1.0), "omega": "fair", "work": "true", "loss_probability": 0.1, "speeds": None},
    ),
    "Exponential": (latency.Exponential, {"rate": 1.0}),
    "ShiftedExponential": (latency.ShiftedExponential, {"rate": 1.0, "shift": 0.5}),
    "Weibull": (latency.Weibull, {"shape": 1.0, "scale": 1.0}),
    "Pareto": (latency.Pareto, {"shape": 1.0, "scale": 1.0}),
    "LogNormal": (latency.LogNormal, {"mu": 0.0, "sigma": 1.0}),
    "Deterministic": (latency.Deterministic, {"time": 1.0}),
    "Empirical": (latency.Empirical, {"samples": (1.0, 2.0)}),
    "FromCDF": (lambda **k: latency.FromCDF(**k).cdf([0.5, 1.0]), {"function": lambda t: 1 - np.exp(-t)}),
    "ExpandingWindow": (
        codes.ExpandingWindow,
        {"gamma": (0.4, 0.35, 0.25), "encoding": "auto", "window": None, "windows": "drawn", "coefficients": "generic",
         "gamma_b": None},
    ),
    "NonOverlappingWindow": (
        codes.NonOverlappingWindow,
        {"gamma": (0.4, 0.35, 0.25), "encoding": "auto", "window": None, "windows": "drawn", "coefficients": "generic"},
    ),
    "MDS": (codes.MDS, {"encoding": "auto", "coefficients": "generic"}),
    "Repetition": (codes.Repetition, {"copies": 2}),
    "LT": (codes.LT, {"c": 0.1, "delta": 0.5}),
    "Windows": (
        codes.Windows,
        {"supports": [[0], [1, 2]], "probabilities": [0.5, 0.5], "work": 1, "coefficients": "generic"},
    ),
    "Generator": (codes.Generator, {"matrix": np.eye(9), "work": 1}),
    "simulate": (
        uep.simulate,
        {"code": CODE, "part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0), "realizations": 10, "seed": 1, "backend": "numpy",
         "decoder": "auto", "tally": "auto", "first_realization": 0, "batch": None, "threads": None, "devices": None},
    ),
    "loss": (TALLY.loss, {"part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0)}),
    "loss by deadline": (TIMED.loss, {"part": PART}),
    "decoding_probability": (TALLY.decoding_probability, {"workers": WORKERS, "deadlines": (0.5, 1.0)}),
    "loss_quantile": (TALLY.loss_quantile, {"part": PART, "q": (0.1, 0.5)}),
    "multiply": (
        uep.multiply,
        {"part": REAL, "code": CODE, "workers": WORKERS, "deadline": 0.5, "realizations": 3, "seed": 1, "decoder": "linear",
         "faithful": True, "dtype": "float64", "noise": 0.0, "keep": "loss", "max_memory": None, "backend": "numpy",
         "prior": "gram", "threads": None},
    ),
    "theory.loss": (uep.theory.loss, {"code": CODE, "part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0)}),
    "theory.loss received": (uep.theory.loss, {"code": CODE, "part": PART, "workers": WORKERS, "received": range(5)}),
    "theory.decoding_probability": (
        uep.theory.decoding_probability,
        {"code": CODE, "part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0)},
    ),
    "theory.lower_bound": (uep.theory.lower_bound, {"part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0), "classes": True}),
    "design.gamma": (
        uep.design.gamma,
        {"code": CODE, "part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0), "received": None, "objective": "loss",
         "across": "mean", "weights": (1, 2), "q": None, "x": None},
    ),
    "design.fixed_windows": (
        uep.design.fixed_windows,
        {"code": CODE, "part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0), "objective": "exceedance", "across": "minimax",
         "weights": None, "q": None, "x": 0.1},
    ),
    "design.classes": (
        uep.design.classes,
        {"code": CODE, "part": PART, "workers": WORKERS, "deadlines": 0.5, "most": 2, "objective": "loss", "across": "mean",
         "weights": None, "x": None},
    ),
    "design.repetition": (
        uep.design.repetition,
        {"part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0), "copies": "fixed", "objective": "debiased", "weights": (1, 2)},
    ),
    "design.windows": (
        uep.design.windows,
        {"part": SMALL, "workers": uep.Workers(4), "deadlines": 0.5, "encoding": "factored", "weights": None, "realizations": 100,
         "seed": 1, "backend": "auto"},
    ),
    "design.redundancy": (
        uep.design.redundancy,
        {"code": CODE, "part": PART, "workers": WORKERS, "deadlines": 0.5, "counts": (5, 9), "price": 0.1, "tune": True,
         "weights": None},
    ),
    "design.deadline": (uep.design.deadline, {"code": CODE, "part": PART, "workers": WORKERS, "startup": 0.1, "latest": None}),
    "loss_distribution": (TALLY.loss_distribution, {"part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0)}),
    "exceedance": (TIMED.exceedance, {"part": PART, "x": (0.0, 0.5), "workers": None}),
    "loss_sd": (TALLY.loss_sd, {"part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0)}),
    "deadline_for": (TALLY.deadline_for, {"part": PART, "loss": (0.5, 0.1), "workers": WORKERS}),
    "workers_for": (TALLY.workers_for, {"part": PART, "loss": 0.5, "workers": WORKERS, "deadline": 0.5}),
    "theory.loss_distribution": (
        uep.theory.loss_distribution,
        {"code": CODE, "part": PART, "workers": WORKERS, "deadlines": (0.5, 1.0)},
    ),
    "theory.loss_quantile": (
        uep.theory.loss_quantile,
        {"code": CODE, "part": PART, "workers": WORKERS, "q": 0.5, "received": range(5)},
    ),
    "theory.exceedance": (
        uep.theory.exceedance,
        {"code": CODE, "part": PART, "workers": WORKERS, "x": 0.5, "deadlines": (0.5, 1.0)},
    ),
    "theory.deadline_for": (uep.theory.deadline_for, {"code": CODE, "part": PART, "workers": WORKERS, "loss": 0.5}),
    "theory.workers_for": (
        uep.theory.workers_for,
        {"code": CODE, "part": PART, "workers": WORKERS, "loss": 0.5, "deadline": 0.5, "most": 20},
    ),
    "Tally.load": (uep.Tally.load, {"path": "store.db"}),
    "Tally.save": (TALLY.save, {"path": "x.npz"}),
    "Problem": (
        gradient_coding.Problem,
        {"A": np.ones((6, 2)), "b": np.ones(6), "blocks": 3, "loss": "least-squares", "ridge": 0.0},
    ),
    "multivariate_t": (
        gradient_coding.multivariate_t,
        {"rows": 10, "columns": 2, "degrees": 1.5, "seed": 1, "correlation": 0.5, "noise": 0.1, "by_norm": False,
         "loss": "logistic"},
    ),
    "gaussian": (
        gradient_coding.gaussian,
        {"rows": 10, "columns": 2, "seed": 1, "correlation": 0.5, "noise": 0.1, "by_norm": False, "loss": "least-squares"},
    ),
    "read_table": (gradient_coding.read_table, {"path": "A.npy", "target": -1}),
    "bundled_table": (gradient_coding.bundled_table, {"name": "iris"}),
    "subproduct_probability": (TALLY.subproduct_probability, {"workers": WORKERS, "deadlines": (0.5, 1.0)}),
    "condition": (
        uep.condition,
        {"code": CODE, "part": PART, "workers": WORKERS, "deadline": 1.0, "received": None, "realizations": 3, "seed": 1,
         "dtype": "float64", "backend": "numpy", "first_realization": 0, "threads": None},
    ),
    "replay": (
        replay,
        {"code": CODE, "part": PART, "workers": WORKERS, "realization": 3, "seed": 1, "deadlines": (0.5, 1.0), "decoder": "auto",
         "evaluate": None},
    ),
    "theory.decoding_probability received": (
        uep.theory.decoding_probability,
        {"code": CODE, "part": PART, "workers": WORKERS, "received": range(5)},
    ),
    "cdf": (latency.Weibull(0.7).cdf, {"time": (0.5, 1.0)}),
    "sf": (latency.Empirical((1.0, 2.0)).sf, {"time": (0.5, 1.0)}),
    "charge": (WORKERS.charge, {"work": (1, 3)}),
    "arrival": (WORKERS.arrival, {"time": (0.5, 1.0), "n_subproducts": 9, "work": 1, "speed": 1.0}),
    "absence": (WORKERS.absence, {"time": (0.5, 1.0), "n_subproducts": 9, "work": 1, "speed": 1.0}),
    "block_scores": (gradient_coding.block_scores, {"A": np.ones((6, 2)), "blocks": 3, "method": "svd"}),
    "approximate_block_scores": (
        gradient_coding.approximate_block_scores,
        {"A": PROBLEM.A, "blocks": 4, "sketch_rows": 10, "projection": None, "seed": 1},
    ),
    "block_law": (gradient_coding.block_law, {"problem": PROBLEM, "law": "leverage"}),
    "replication_numbers": (gradient_coding.replication_numbers, {"law": (0.5, 0.5), "servers": 5, "every_block": True}),
    "induced_law": (gradient_coding.induced_law, {"replicas": (3, 2)}),
    "distortion": (gradient_coding.distortion, {"law": (0.5, 0.5), "replicas": (3, 2)}),
    "misestimation": (gradient_coding.misestimation, {"approximate": (0.5, 0.5), "exact": (0.4, 0.6)}),
    "fractional_groups": (gradient_coding.fractional_groups, {"servers": 6, "stragglers": 1}),
    "cyclic_code": (gradient_coding.cyclic_code, {"servers": 6, "stragglers": 1, "construction": "auto", "seed": 1}),
    "decoding_weights": (CYCLIC.decoding_weights, {"answered": (True, True, False, True, True, True), "backend": "numpy"}),
    "decoding_error": (CYCLIC.decoding_error, {"weights": np.ones((2, 6))}),
    "draw_sketches": (
        gradient_coding.draw_sketches,
        {"problem": PROBLEM, "scheme": gradient_coding.SampledSketch(3), "workers": uep.Workers(8, omega=1.0), "iterations": 1,
         "realizations": 2, "seed": 1, "backend": "numpy", "first_realization": 0},
    ),
    "sampling_variance": (
        gradient_coding.theory.sampling_variance,
        {"gradients": np.ones((3, 2)), "law": (0.5, 0.3, 0.2), "samples": 2},
    ),
    "fastest_variance": (
        gradient_coding.theory.fastest_variance,
        {"gradients": np.ones((3, 2)), "replicas": (2, 1, 1), "fastest": 2},
    ),
    "finite_population_factor": (gradient_coding.theory.finite_population_factor, {"servers": 5, "fastest": 2}),
    "overlap": (gradient_coding.theory.overlap, {"basis": np.eye(4)[:, :2], "bounds": (0, 2, 4), "law": (0.5, 0.5)}),
    "embedding_samples": (
        gradient_coding.theory.embedding_samples,
        {"overlap": 0.5, "columns": 3, "epsilon": 0.1, "delta": 0.1},
    ),
    "embedding_error": (
        gradient_coding.theory.embedding_error,
        {"basis": np.eye(4)[:, :2], "bounds": (0, 2, 4), "weights": np.ones((3, 2))},
    ),
    "debiased_loss": (gradient_coding.theory.debiased_loss, {"energies": (1.0, 2.0), "probabilities": (0.5, 0.9)}),
    "SampledSketch": (gradient_coding.SampledSketch, {"samples": 3, "law": "leverage", "sketch": "fresh"}),
    "StochasticBlocks": (gradient_coding.StochasticBlocks, {"fastest": 3, "until": 1.0, "factor": 2.0}),
    "FractionalRepetition": (gradient_coding.FractionalRepetition, {"stragglers": 1, "until": 1.0}),
    "CyclicCode": (gradient_coding.CyclicCode, {"stragglers": 1, "construction": "auto", "seed": 1}),
    "ReplicatedSketch": (gradient_coding.ReplicatedSketch, {"law": "leverage", "fastest": 3}),
    "descend": (
        gradient_coding.descend,
        {"problem": PROBLEM, "scheme": SCHEME, "workers": uep.Workers(8, omega=1.0), "iterations": 3, "realizations": 2, "seed": 1,
         "step": 1.0, "decay": 0.0, "deadlines": (1.0, 2.0), "backend": "numpy", "threads": None},
    ),
    "gradient completion_time": (
        gradient_coding.completion_time,
        {"problem": PROBLEM, "scheme": gradient_coding.IgnoreStragglers(until=0.5), "workers": uep.Workers(2, speeds=[1.0, 2.0]),
         "iterations": 3, "until": 0.9, "realizations": 2, "seed": 1, "quantiles": (0.5,), "times": (1.0,), "backend": "numpy"},
    ),
}  # fmt: skip


def outcomes(count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Yield the outcome of each call, what was called, and what it said."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        template = make_folder(Path(place) / "template")
        for _ in range(count):
            name = rng.choice(list(CALLS))
            function, given = CALLS[name]
            changed = rng.sample(list(given), k=min(len(given), rng.choice((1, 1, 1, 2))))
            values = given | {key: rng.choice(OBJECTS) for key in changed}

            def run(function: Callable[..., Any] = function, values: dict[str, Any] = values) -> int:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    try:
                        function(**values)
                    except REFUSALS as error:
                        text = str(error)
                        print(f"uepgpu: {text}", file=sys.stderr)
                        return 2
                return 0

            found = attempt(run, template, Path(place) / "case", seconds=30)
            outcome = judge(found)
            shown = ", ".join(f"{key} = {_describe(values[key])}" for key in changed)
            yield (RAN if outcome == "exit 2 and wrote" else outcome), f"{name}({shown})", found.err


def _describe(value: Any) -> str:
    try:
        return repr(value)[:200]
    except Exception as error:
        return f"<{type(value).__name__}: {error}>"


if __name__ == "__main__":
    script(lambda folder, given: [counted("random calls of the library", outcomes(given.count, given.seed))], count=1000, seed=1)
