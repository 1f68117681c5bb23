"""Gradient coding as ratios in one run: decoding of cyclic codes, and what an iteration of a sketch costs. Answers are checked."""

from __future__ import annotations

import numpy as np
import pytest

import uepgpu as uep
from bench.turns import Contestant, take_turns
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding.engines import find_engine
from uepgpu.gradient_coding.plan import make_plan


def test_decoding_of_cyclic_codes_against_a_loop_of_lstsq(benchmark, table):
    n, s, patterns = 30, 5, 1000
    code = gc.cyclic_code(n, s)
    rng = np.random.default_rng(1)
    answered = rng.permuted(np.arange(n) >= s, axis=0)[None, :].repeat(patterns, axis=0)
    answered = rng.permuted(answered, axis=1)
    ones = np.ones(n)

    def loop():
        weights = np.zeros((patterns, n))
        for a, row in zip(weights, answered, strict=True):
            a[row] = np.linalg.lstsq(code.matrix[row].T, ones)[0]
        return weights

    def solve_loop():
        weights = np.zeros((patterns, n))
        for a, row in zip(weights, answered, strict=True):
            # n - s of the n equations say everything: the best that elimination without the null space can do.
            square = code.matrix[row][:, : n - s].T
            a[row] = np.linalg.solve(square, ones[: n - s])
        return weights

    names = {
        "peer: lstsq, one iteration at a time": loop,
        "peer: solve, one iteration at a time": solve_loop,
        "NumPy, batched": lambda: code.decoding_weights(answered, backend="numpy"),
        "Numba, batched": lambda: code.decoding_weights(answered, backend="numba"),
    }
    for name, decode in names.items():
        assert np.abs(decode() @ code.matrix - 1).max() <= (1e-9 if "peer" not in name else 1e-6)
    timings = take_turns([Contestant(name, f, patterns) for name, f in names.items()], rounds=7)
    base = timings["peer: lstsq, one iteration at a time"]
    lines = [f"{name:40s} {t.rate / 1e3:10.1f} k/s   {t.ratio(base):8.1f} x" for name, t in timings.items()]
    table(f"Decoding of the cyclic code n = {n}, s = {s}, {patterns} patterns (wanted: Numba >= 25 x)", lines)
    benchmark.extra_info["ratios"] = {name: t.ratio(base) for name, t in timings.items()}
    benchmark.pedantic(names["Numba, batched"], rounds=5)


@pytest.mark.parametrize("scheme", [gc.SampledSketch(10), gc.ReplicatedSketch(10)], ids=["sampled", "replicated"])
def test_an_iteration_of_a_sketch_against_more_data(benchmark, table, scheme):
    rows_per_block, d, iterations, realizations = 50, 60, 40, 40
    runs, exact = {}, {}
    kernels = find_engine("numba")[1]
    for blocks in (60, 240, 960):
        data = gc.gaussian(rows=blocks * rows_per_block, columns=d, seed=1)
        problem = gc.Problem(data.A, data.b, blocks=blocks)
        plan = make_plan(problem, scheme, uep.Workers(2 * blocks), iterations=iterations, step=0.1, decay=0.0, start=None, seed=1)
        assert plan.job.rows.shape == data.A.shape  # rows serve: the blocks are shorter than wide

        def run(job=plan.job):
            return [record for record, _ in kernels.descend(job, 0, realizations, 1)]

        assert np.isfinite(run()[0][:, :, 0]).all()
        x = np.ones(d)
        name = f"n = {data.A.shape[0]:6,d}, K = {blocks:3d}"
        runs[name] = run

        def gradient(A=data.A, b=data.b, x=x):
            for _ in range(20):
                A.T @ (A @ x - b)

        exact[f"exact gradient, {name}"] = gradient
    contestants = [Contestant(name, f, iterations * realizations) for name, f in runs.items()]
    contestants += [Contestant(name, f, 20) for name, f in exact.items()]
    timings = take_turns(contestants, rounds=7)
    first = timings[next(iter(runs))]
    lines = [f"{name:44s} {1e6 / t.rate:9.1f} µs an iteration" for name, t in timings.items()]
    ratio = first.ratio(timings[list(runs)[-1]])
    more = timings[next(iter(exact))].ratio(timings[list(exact)[-1]])
    lines.append(f"{'16 times the data: a sketch costs':44s} {ratio:9.2f} x, an exact gradient {more:.2f} x")
    table(f"{type(scheme).__name__}, 10 blocks of 50 x 60 an iteration, one core, diagnostics from A'A included", lines)
    benchmark.extra_info["ratios"] = {"sketch, 16 times the data": ratio, "exact gradient, 16 times the data": more}
    benchmark.pedantic(runs[next(iter(runs))], rounds=3)


def peer(problem, placement, latency, iterations, realizations):
    """What published programs do: one realization at a time, NumPy, block gradients from rows."""
    rng = np.random.default_rng(1)
    errors = np.empty((realizations, iterations))
    servers, q = placement.n_servers, placement.wait
    for r in range(realizations):
        x = np.zeros(problem.shape[1])
        for t in range(iterations):
            errors[r, t] = np.linalg.norm(x - problem.minimiser) / np.linalg.norm(problem.minimiser)
            fastest = np.argsort(rng.exponential(latency, servers))[:q]
            estimate = np.zeros_like(x)
            for k, copies in zip(*np.unique(placement.block_of[fastest], return_counts=True), strict=True):
                cut = slice(problem.bounds[k], problem.bounds[k + 1])
                A, b = problem.A[cut], problem.b[cut]
                estimate += copies * placement.copy_weight[k] * (A.T @ (A @ x - b))
            x = x - 0.5 / problem.curvature * estimate
    return errors


def test_realizations_against_a_program_that_does_one_at_a_time(benchmark, table):
    data = gc.gaussian(rows=6000, columns=20, seed=1)
    problem = gc.Problem(data.A, data.b, blocks=30)
    scheme, workers, iterations = gc.ReplicatedSketch(10), uep.Workers(60, omega=1.0), 100
    placement = make_plan(problem, scheme, workers, iterations=iterations, step=0.5, decay=0.0, start=None, seed=1).placement

    def ours(realizations, backend, threads=1):
        return gc.descend(
            problem,
            scheme,
            workers,
            iterations=iterations,
            realizations=realizations,
            seed=1,
            step=0.5,
            backend=backend,
            threads=threads,
        )

    errors, run = peer(problem, placement, 1.0, iterations, 60), ours(500, "numba")
    spread = np.hypot(errors.std(axis=0, ddof=1) / np.sqrt(60), run.error_stderr[:-1])
    assert np.all(np.abs(errors.mean(axis=0) - run.error[:-1]) <= 5 * spread + 1e-12)
    names = {
        "peer: NumPy, one realization at a time": Contestant("peer", lambda: peer(problem, placement, 1.0, iterations, 4), 4.0),
        "NumPy": Contestant("numpy", lambda: ours(128, "numpy"), 128.0),
        "Numba, one thread": Contestant("numba", lambda: ours(256, "numba"), 256.0),
    }
    timings = take_turns(list(names.values()), rounds=7)
    base = timings["peer"]
    lines = [f"{name:40s} {timings[c.name].rate:10.1f} /s   {timings[c.name].ratio(base):8.1f} x" for name, c in names.items()]
    table("Realizations of 100 iterations, 10 of 60 servers, 30 blocks of 200 x 20", lines)
    benchmark.extra_info["ratios"] = {name: timings[c.name].ratio(base) for name, c in names.items()}
    benchmark.pedantic(ours, args=(256, "numba"), rounds=3)
