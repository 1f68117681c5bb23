"""What sweeps cost beside their kernels, and what they survive: figures and answers; times are reported, never asserted."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bench.sweeps import grid
from tests.cases.sweeping import command, environment, killed_runs, run, same_tallies, write_spec
from uepgpu.results.curve import curve_of
from uepgpu.store.store import Store
from uepgpu.store.stored import read_points
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.local import Local
from uepgpu.sweep.run import Result, identify_all
from uepgpu.sweep.spec import read_spec


@pytest.mark.slow
def test_thirty_kills(benchmark, table, tmp_path):
    spec = write_spec(tmp_path, error=0.0005, realizations=10_000_000)
    numpy = ("--backend", "numpy")
    began = time.perf_counter()
    assert run("sweep", spec, "--out", "whole", *numpy, cwd=tmp_path).returncode == 0
    whole = time.perf_counter() - began
    kills, ended = killed_runs("sweep", spec, "--out", "killed", *numpy, cwd=tmp_path, kills=30, latest=3.0, seed=5)
    kept = sum(p.tally.realizations for p in {p.tally_id: p for p in read_points(tmp_path / "killed" / "store.db")}.values())
    done = run("sweep", spec, "--out", "killed", *numpy, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert same_tallies(tmp_path / "whole" / "store.db", tmp_path / "killed" / "store.db")
    points = read_points(tmp_path / "killed" / "store.db")
    left = done.stdout.splitlines()[-1]
    figures = {"kills": kills, "runs that had ended": ended, "uninterrupted seconds": whole, "realizations kept by then": kept}
    figures["last run"] = left
    benchmark.extra_info.update(figures)
    table("30 runs killed with SIGKILL, bit-identical", [f"{k}: {v}" for k, v in figures.items()])
    benchmark.pedantic(lambda: len(points), rounds=1)


def test_kernel_share(benchmark, table, tmp_path):
    sweep = read_spec("paper", realizations=int(float(os.environ.get("UEPGPU_BENCH_REALIZATIONS", "3e7"))))
    identities = identify_all(sweep.points)
    with Store(":memory:") as store:  # compiles
        Collection(store, read_spec("paper", realizations=1000), identify_all(sweep.points)).run(Local())
    with Store(tmp_path / "s.db") as store:
        collection = Collection(store, sweep, identities)
        began = time.perf_counter()
        collection.run(Local())
        wall = time.perf_counter() - began
    share = collection.kernel_seconds / wall
    figures = {"kernel time / wall time": share, "ranges": collection.ranges, "seconds": wall, "realizations": collection.added}
    benchmark.extra_info.update(figures)
    table("One machine, the paper's six points", [f"{k}: {v:.4g}" for k, v in figures.items()])
    benchmark.pedantic(lambda: None, rounds=1)


MANY = """
import json, resource, sys, time
sys.path[:0] = {paths!r}
from bench.sweeps import grid
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.local import Local
from uepgpu.sweep.run import identify_all
from uepgpu.store.store import Store
from uepgpu.store.stored import iterate_points
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
began = time.perf_counter()
sweep = grid(realizations=64, deadlines=[0.5, 1], grid={{"seed": list(range({points}))}})
read = time.perf_counter() - began
identities = identify_all(sweep.points)
identified = time.perf_counter() - began - read
with Store({path!r}) as store:
    collection = Collection(store, sweep, identities)
    before, began = peak(), time.perf_counter()
    collection.run(Local("numpy"))
    wall = time.perf_counter() - began
began = time.perf_counter()
held = sum(1 for _ in iterate_points({path!r}))
print(json.dumps(dict(points=held, ranges=collection.ranges, spec_seconds=read, identify_seconds=identified, run_seconds=wall,
    kernel_seconds=collection.kernel_seconds, read_seconds=time.perf_counter() - began, mib_before=before, mib_after=peak())))
"""


@pytest.mark.slow
def test_many_points_with_tiny_ranges(benchmark, table, tmp_path):
    lines, figures = [], {}
    for points in (1000, 10_000):
        path = tmp_path / f"{points}.db"
        here = Path(__file__).parent
        code = MANY.format(paths=[str(here.parent)], points=points, path=str(path))
        done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, encoding="utf-8", check=True)
        found = json.loads(done.stdout)
        assert found["points"] == found["ranges"] == points
        found["overhead_ms"] = 1e3 * (found["run_seconds"] - found["kernel_seconds"]) / points
        found["bytes_a_point"] = path.stat().st_size / points
        figures[points] = found
        lines.append(", ".join(f"{k} {v:.4g}" for k, v in found.items()))
    benchmark.extra_info.update({str(k): v for k, v in figures.items()})
    table("Points of 64 realizations each", lines)
    benchmark.pedantic(lambda: None, rounds=1)


RULES = {
    "fixed 20,000": {"stop": {"realizations": 20_000}},
    "relative error 5 %": {"stop": {"realizations": 10_000_000, "relative_error": 0.05, "first": 500, "growth": 1.2}},
    "interval width 0.01": {"stop": {"realizations": 10_000_000, "interval_width": 0.01, "first": 500, "growth": 1.2}},
    "500 failures": {"stop": {"realizations": 10_000_000, "failures": 500, "first": 500, "growth": 1.2}},
}


@pytest.mark.slow
@pytest.mark.parametrize("work", ["unit", "true"])  # count domain, deadline domain
@pytest.mark.parametrize("rule", RULES)
def test_coverage_under_the_stop_rule(benchmark, table, rule, work):
    runs = int(os.environ.get("UEPGPU_BENCH_RUNS", "1000"))
    workers = {"count": 20, "work": work, "omega": 0.6 if work == "unit" else 1.5}
    sweep = grid(deadlines=[0.5, 1, 2], workers=workers, grid={"seed": list(range(runs))}, **RULES[rule])
    inside, sizes, errors = [], [], []
    with Store(":memory:") as store:
        collection = Collection(store, sweep, identify_all(sweep.points))
        collection.run(Local(threads=1))
        for i, point in enumerate(sweep.points):
            tally = collection.tally(i)
            curve = curve_of(Result(point, tally))
            inside.append((curve.normalized_low - 1e-12 <= curve.exact) & (curve.exact <= curve.normalized_high + 1e-12))
            errors.append((curve.normalized - curve.exact) / np.maximum(curve.normalized_stderr, 1e-300))
            sizes.append(tally.realizations)
    coverage = np.mean(inside, axis=0)
    assert coverage.min() > 0.93 - 3 * np.sqrt(0.93 * 0.07 / runs)
    figures = {
        "coverage by deadline": coverage.tolist(),
        "mean error in standard errors": np.mean(errors, axis=0).tolist(),
        "realizations, median": statistics.median(sizes),
    }
    benchmark.extra_info.update(figures)
    table(f"{runs} runs, {rule}, {work} work", [f"{k}: {np.round(v, 4)}" for k, v in figures.items()])
    benchmark.pedantic(lambda: None, rounds=1)


def test_a_finished_sweep_again(benchmark, table, tmp_path):
    """100 points: beyond what any command takes to start, and beyond what the libraries take to load."""
    (tmp_path / "hundred.toml").write_text(
        "realizations = 2000\ndeadlines = { start = 0, stop = 2, step = 0.1 }\ngamma = [0.4, 0.35, 0.25]\n"
        "[workers]\ncount = 20\nomega = 'fair'\nwork = 'unit'\n[partitions.rxc]\nparadigm = 'rxc'\nleft_variances = [10, 1, 0.1]\n"
        "right_variances = [10, 1, 0.1]\nclasses = [3, 3, 3]\n[[series]]\nlabel = 'EW'\ncode = 'ew'\n"
        f"grid = {{ workers = {list(range(11, 31))}, omega = [0.3, 0.5, 0.7, 1.0, 1.3] }}\n"
    )
    assert run("sweep", "hundred.toml", cwd=tmp_path).returncode == 0

    def timed(*arguments):
        began = time.perf_counter()
        done = subprocess.run(arguments, cwd=tmp_path, env=environment(), capture_output=True, encoding="utf-8", check=True)
        return time.perf_counter() - began, done.stdout

    again, start, libraries = [], [], []
    for _ in range(7):
        seconds, out = timed(*command("sweep", "hundred.toml"))
        assert "nothing added" in out
        again.append(seconds)
        start.append(timed(*command("info"))[0])
        libraries.append(timed(sys.executable, "-c", "import uepgpu.cli, uepgpu.codes, uepgpu.plan.plan, scipy.sparse.csgraph")[0])
    figures = {
        "uepgpu sweep, finished, 100 points": statistics.median(again),
        "uepgpu info": statistics.median(start),
        "importing the libraries that it needs": statistics.median(libraries),
        "beyond that": statistics.median(a - b for a, b in zip(again, libraries, strict=True)),
    }
    benchmark.extra_info.update(figures)
    table("A finished sweep again, seconds, medians of 7", [f"{k}: {v:.3f}" for k, v in figures.items()])
    benchmark.pedantic(lambda: None, rounds=1)
