"""Distributed gradient descent: equal draws on every backend, iterates that a plain loop gives, time from the latency law."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.descents import (
    EVERY,
    GRADIENT_NORM,
    LOGISTIC,
    LOGISTIC_TABLE,
    PAIRS,
    PROBLEM,
    PROBLEMS,
    SCHEMES,
    SHORT,
    workers_for,
)
from tests.cases.requirements import ROOT
from tests.oracles import naive
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding.laws import thresholds
from uepgpu.gradient_coding.moments import Moments
from uepgpu.gradient_coding.plan import make_plan
from uepgpu.gradient_coding.quantile import latency_of_words

LAST = 2**63 - 7

QUANTITIES = ("error", "residual", "gradient_error", "time")


def same(a, b, rtol=1e-9):
    for name in a.data_vars:
        # Deviations of what is exact are rounding.
        floor = 1e-12 if name.endswith("_stderr") or name == "gradient_error" else 1e-13
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=floor, err_msg=name)


# --- draws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
def test_both_backends_hear_of_the_same_blocks_at_the_same_time(name):
    call = {"iterations": 7, "realizations": 50, "seed": 2**64 - 5, "first_realization": LAST}
    a, b = (gc.draw_sketches(PROBLEM, SCHEMES[name], uep.Workers(12), backend=e, **call) for e in ("numba", "numpy"))
    assert np.array_equal(a.copies, b.copies)
    assert np.array_equal(a.time, b.time)
    assert a.copies.dtype == np.int64


def naive_draw(scheme, placement, seed, realization, t):
    """Copies of each block and the last word waited for, by loops over words of the documented layout."""
    n = placement.n_servers
    drawn = [naive.word(seed, realization, 4, 4 * t * ((n + 3) // 4) + i) for i in range(n)]
    copies = [0] * (placement.bounds.size - 1)
    if isinstance(scheme, gc.SampledSketch):
        bounds = thresholds(placement.law)[0].tolist()
        for i in range(n):
            word = naive.word(seed, realization, 5, 4 * t * ((n + 3) // 4) + i)
            copies[sum(bound <= word for bound in bounds)] += 1
        return copies, max(drawn), None
    fastest = sorted(range(n), key=lambda s: (drawn[s], s))[: placement.wait]
    for s in fastest:
        copies[int(placement.block_of[s])] += 1
    return copies, max(drawn[s] for s in fastest), fastest


@pytest.mark.parametrize("name", [n for n in SCHEMES if "fixed" not in n])
def test_draws_follow_the_documented_layout(name):
    scheme, seed = SCHEMES[name], 987654321987654321
    plan = make_plan(PROBLEM, scheme, uep.Workers(12, omega=1.0), iterations=3, step=1.0, decay=0.0, start=None, seed=seed)
    draws = gc.draw_sketches(
        PROBLEM, scheme, uep.Workers(12, omega=1.0), iterations=3, realizations=4, seed=seed, first_realization=LAST
    )
    for r in range(4):
        for t in range(3):
            copies, word, _ = naive_draw(scheme, plan.placement, seed, LAST + r, t)
            assert draws.copies[r, t].values.tolist() == copies
            assert float(draws.time[r, t]) == float(plan.times(np.array([word], dtype=np.uint32))[0])


def test_a_fixed_sketch_keeps_its_blocks_and_waits_for_their_servers():
    for scheme in (SCHEMES["replicated fixed"], SCHEMES["sampled fixed"]):
        fixed = gc.draw_sketches(PROBLEM, scheme, uep.Workers(12), iterations=6, realizations=400, seed=1)
        again = dataclasses.replace(scheme, sketch="fresh")
        fresh = gc.draw_sketches(PROBLEM, again, uep.Workers(12), iterations=6, realizations=400, seed=1)
        held, drawn = fixed.copies.values, fresh.copies.values
        assert np.all(held == held[:, :1])
        assert np.array_equal(held[:, 0], drawn[:, 0])
        assert not np.array_equal(held[:, 1], drawn[:, 1])
    # The q fastest of R are quicker than q servers that are named beforehand.
    scheme = SCHEMES["replicated fixed"]
    fixed = gc.draw_sketches(PROBLEM, scheme, uep.Workers(12), iterations=2, realizations=400, seed=1)
    assert float(fixed.time[:, 1].mean()) > 2 * float(fixed.time[:, 0].mean())


# --- iterates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_numba_and_numpy_give_the_same_curves(kind, name):
    problem, scheme = PROBLEMS[kind], EVERY[name]
    runs = [
        gc.descend(
            problem,
            scheme,
            workers_for(problem),
            iterations=12,
            realizations=70,
            seed=9,
            step=0.7,
            decay=0.05,
            deadlines=[0.5, 3.0, 9.0],
            backend=backend,
        )
        for backend in ("numba", "numpy")
    ]
    assert runs[0].attrs["backend"] == "numba"
    assert runs[1].attrs["backend"] == "numpy"
    same(*runs)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_run_is_a_plain_loop_over_drawn_blocks(kind):
    problem, workers = PROBLEMS[kind], workers_for(PROBLEMS[kind])
    for scheme in (gc.ReplicatedSketch(5), gc.SampledSketch(7, sketch="fixed")):
        draws = gc.draw_sketches(problem, scheme, workers, iterations=9, realizations=1, seed=4)
        start = np.full(problem.shape[1], 0.25)
        run = gc.descend(problem, scheme, workers, iterations=9, realizations=1, seed=4, step=0.5, decay=0.1, start=start)
        x, scale = start, np.linalg.norm(problem.gradient(start) + problem.ridge * start)
        for t in range(10):
            error = np.linalg.norm(x - problem.minimiser) / np.linalg.norm(problem.minimiser)
            assert float(run.error[t]) == pytest.approx(error, rel=1e-9)
            z = problem.A @ x
            residual = (
                np.log1p(np.exp(-problem.b * z)).mean()
                if kind == "logistic"
                else np.linalg.norm(z - problem.b) / np.linalg.norm(problem.b)
            )
            assert float(run.residual[t]) == pytest.approx(residual, rel=1e-9)
            if t == 9:
                break
            weights = (draws.copies[0, t] * draws.weight).values
            estimate = weights @ problem.block_gradients(x)
            apart = np.linalg.norm(estimate - problem.gradient(x)) / scale
            assert float(run.gradient_error[t]) == pytest.approx(apart, rel=1e-8)
            x = x - 0.5 / problem.curvature / (1 + 0.1 * t) * (estimate + problem.ridge * x)
        assert float(run.time[9]) == pytest.approx(float(draws.time.sum()), rel=1e-12)
        assert math.isnan(float(run.gradient_error[9]))


@pytest.mark.parametrize("kind", PROBLEMS)
def test_minimisers_have_no_gradient_and_exact_descent_reaches_them(kind):
    problem = PROBLEMS[kind]
    slope = problem.gradient(problem.minimiser) + problem.ridge * problem.minimiser
    assert np.linalg.norm(slope) <= 1e-9 * np.linalg.norm(problem.gradient(np.zeros(problem.shape[1])))
    A = np.linalg.qr(problem.A)[0]  # well conditioned
    easy = gc.Problem(A, problem.b, blocks=6, loss=problem.loss, ridge=problem.ridge + 0.1)
    run = gc.descend(easy, gc.ExactGradient(), uep.Workers(6), iterations=120, realizations=2, seed=1)
    assert float(run.error[-1]) < 1e-3 * float(run.error[0])
    assert np.all(np.diff(run.error) <= 1e-12)
    assert run.attrs["diverged"] == 0


def test_neither_threads_nor_ranges_change_a_realization():
    call = {"iterations": 8, "seed": 3, "deadlines": [1.0, 2.0]}
    args = (PROBLEM, SCHEMES["replicated"], uep.Workers(12))
    one = gc.descend(*args, realizations=300, threads=1, **call)
    many = gc.descend(*args, realizations=300, threads=3, **call)
    assert one.equals(many)  # to the last bit
    parts = [gc.descend(*args, realizations=n, first_realization=i, **call) for i, n in ((0, 130), (130, 170))]
    merged = sum(n * p.error for n, p in zip((130, 170), parts, strict=True)) / 300
    np.testing.assert_allclose(merged, one.error, rtol=1e-12)
    short = gc.descend(*args, realizations=300, iterations=5, seed=3)
    np.testing.assert_array_equal(short.error, one.error[:6])


def test_blocks_that_are_not_drawn_are_not_touched():
    from uepgpu_kernels import cpu  # noqa: F401 - the package, so that the module below is found
    from uepgpu_kernels.cpu import descent

    # The second block is never drawn: what it holds may be anything.
    for problem, scheme in ((PROBLEM, SCHEMES["sampled own"]), (PROBLEM, SCHEMES["replicated own"])):
        plan = make_plan(problem, scheme, uep.Workers(12), iterations=20, step=1.0, decay=0.0, start=None, seed=1)
        ((clean, _),) = descent.descend(plan.job, 0, 30, 1)
        assert plan.placement.law[1] == 0
        poisoned = plan.job._replace(gram=plan.job.gram.copy(), moment=plan.job.moment.copy())
        poisoned.gram[1], poisoned.moment[1] = np.nan, np.nan
        ((record, _),) = descent.descend(poisoned, 0, 30, 1)
        assert np.array_equal(record, clean, equal_nan=True)
        poisoned.gram[2] = np.nan  # a block that is drawn
        ((record, _),) = descent.descend(poisoned, 0, 30, 1)
        assert np.isnan(record[:, -1, 0]).all()
    # By rows: errors come from A'A, the rows of other blocks are never read.
    law = tuple(float(k != 7) / 59 for k in range(60))
    plan = make_plan(SHORT, gc.SampledSketch(9, law=law), uep.Workers(64), iterations=9, step=1.0, decay=0.0, start=None, seed=1)
    rows = plan.job.rows.copy()
    rows[SHORT.bounds[7] : SHORT.bounds[8]] = np.nan
    ((record, _),) = descent.descend(plan.job._replace(rows=rows), 0, 30, 1)
    assert np.isfinite(record[:, :, 0]).all()


def test_interpreted_kernels_give_the_compiled_record_without_a_warning(tmp_path):
    script = """
import sys, numpy as np
from tests.cases.descents import EVERY, LOGISTIC, PROBLEM, SCHEMES, SHORT, workers_for
from uepgpu.gradient_coding.plan import make_plan
from uepgpu_kernels.cpu import descent
cases = [(PROBLEM, s) for s in EVERY.values()] + [(SHORT, SCHEMES["sampled"]), (LOGISTIC, SCHEMES["replicated"])]
out = {}
for i, (problem, scheme) in enumerate(cases):
    plan = make_plan(problem, scheme, workers_for(problem), iterations=3, step=1.0, decay=0.0, start=None, seed=5)
    ((record, last),) = descent.descend(plan.job, 2**63 - 2, 3, 1)
    out[f"record{i}"], out[f"last{i}"] = record, last
np.savez(sys.argv[1], **out)
"""
    path = os.pathsep.join(map(str, (ROOT / "kernels", ROOT)))
    found = []
    for disable in ("0", "1"):
        file = tmp_path / f"{disable}.npz"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, str(file)],
            env=os.environ | {"PYTHONPATH": path, "NUMBA_DISABLE_JIT": disable},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(dict(np.load(file)))
    assert found[0].keys() == found[1].keys()
    for name, compiled in found[0].items():
        if name.startswith("last"):
            assert np.array_equal(compiled, found[1][name])
        else:
            np.testing.assert_allclose(compiled, found[1][name], rtol=1e-9, atol=1e-13)


def test_descent_that_diverges_says_so():
    run = gc.descend(PROBLEM, SCHEMES["exact"], uep.Workers(12), iterations=2500, realizations=3, seed=1, step=2.5)
    assert run.attrs["diverged"] == 3
    assert not np.isfinite(float(run.error[-1]))
    calm = gc.descend(PROBLEM, SCHEMES["exact"], uep.Workers(12), iterations=20, realizations=3, seed=1)
    assert calm.attrs["diverged"] == 0


def test_steps_that_vanish_are_no_steps():
    run = gc.descend(PROBLEM, SCHEMES["exact"], uep.Workers(12), iterations=4, realizations=1, seed=1, decay=1e308)
    assert len(set(run.error.values[1:].tolist())) == 1 < len(set(run.error.values.tolist()))


def test_progress_counts_every_realization():
    seen = []
    gc.descend(PROBLEM, GRADIENT_NORM, uep.Workers(12), iterations=2, realizations=150, seed=1, progress=seen.append)
    assert sum(seen) == 150
    assert len(seen) > 1


# --- time -------------------------------------------------------------------------------------------------------------

LAWS = [
    uep.latency.Exponential(2.0),
    uep.latency.ShiftedExponential(1.0, 0.5),
    uep.latency.Weibull(0.7, 2.0),
    uep.latency.Pareto(1.5, 0.1),
    uep.latency.LogNormal(-1.0, 2.0),
]
WORDS = np.array([0, 1, 12345, 2**31 - 1, 2**31, 2**32 - 2**10, 2**32 - 1], dtype=np.uint32)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_latencies_invert_their_law(law):
    t = latency_of_words(law, WORDS)
    p = (WORDS.astype(float) + 0.5) / 2**32
    # Just beyond a least latency, float64 has few digits for what is beyond it.
    np.testing.assert_allclose(law.cdf(t), p, rtol=1e-5 if "Shifted" in repr(law) or "Pareto" in repr(law) else 1e-12)
    np.testing.assert_allclose(law.sf(t), 1 - p, rtol=1e-5)
    assert np.all(np.diff(t) > 0)


def test_latencies_of_steps_are_the_steps():
    assert latency_of_words(uep.latency.Deterministic(3.0), WORDS) == pytest.approx(3.0, rel=1e-14)
    assert latency_of_words(uep.latency.Deterministic(0.0), WORDS).tolist() == [0.0] * 7
    measured = uep.latency.Empirical([1.0, 2.0, 4.0, 8.0])
    assert latency_of_words(measured, [0, 2**30 - 1, 2**30, 2**31, 2**32 - 1]) == pytest.approx([1, 1, 2, 4, 8], rel=1e-14)
    never = uep.latency.FromCDF(lambda t: np.minimum(0.5 * t, 0.9))
    with pytest.raises(ValueError, match="latency must reach probability"):
        latency_of_words(never, [2**32 - 1])


@pytest.mark.parametrize(("omega", "work", "factor"), [(1.0, "true", 1.0), ("fair", "true", 1.5), (2.0, "unit", 0.5)])
def test_iterations_take_the_q_th_smallest_latency(omega, work, factor):
    workers = uep.Workers(12, uep.latency.Exponential(1.0), omega=omega, work=work)
    run = gc.descend(PROBLEM, gc.ReplicatedSketch(5), workers, iterations=1, realizations=20_000, seed=1)
    expected = factor * sum(1 / (12 - i) for i in range(5))  # Rényi: spacings of exponential order statistics
    assert abs(float(run.time[1]) - expected) <= 4 * float(run.time_stderr[1])


def test_work_is_charged_by_rows():
    workers = uep.Workers(12, uep.latency.Deterministic(1.0), omega=1.0)
    for scheme, work in (
        (gc.ReplicatedSketch(5), 1.0),
        (gc.ExactGradient(), 8 / 12),
        (gc.StochasticBlocks(4), 8 / 12),
        (gc.FractionalRepetition(3), 4 * 8 / 12),
        (gc.CyclicCode(3), 4 * 8 / 12),
    ):
        run = gc.descend(PROBLEM, scheme, workers, iterations=3, realizations=2, seed=1)
        assert run.time.values == pytest.approx(work * np.arange(4), rel=1e-12)
        unit = uep.Workers(12, uep.latency.Deterministic(1.0), omega=1.0, work="unit")
        assert gc.descend(PROBLEM, scheme, unit, iterations=3, realizations=2, seed=1).time.values == pytest.approx(np.arange(4))


def test_the_error_at_a_time_is_that_of_the_latest_iterate():
    workers = uep.Workers(12, uep.latency.Deterministic(1.0), omega=1.0)
    run = gc.descend(
        PROBLEM, gc.ReplicatedSketch(5), workers, iterations=3, realizations=9, seed=1, deadlines=[0, 0.5, 1, 2.9, 3.0, 3.1]
    )
    expected = run.error.values[[0, 0, 1, 2, 3]]
    np.testing.assert_allclose(run.error_at_deadline[:5], expected, rtol=1e-12)
    assert math.isnan(float(run.error_at_deadline[5]))


# --- means ------------------------------------------------------------------------------------------------------------


def test_moments_merge_as_numpy_computes_them():
    values = np.random.default_rng(1).normal(size=(101, 3)) * [1, 1e-6, 1e6] + [0, 1, 1e9]
    merged = Moments.of(values[:1]) + Moments.of(values[1:40]) + Moments.of(values[40:])
    np.testing.assert_allclose(merged.mean, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(merged.stderr, values.std(axis=0, ddof=1) / math.sqrt(101), rtol=1e-9)
    assert np.isnan(Moments.of(values[:1]).stderr).all()


def test_logistic_loss_learns_what_the_labels_say():
    x = LOGISTIC.minimiser
    assert np.mean(np.sign(LOGISTIC_TABLE.A @ x) == LOGISTIC_TABLE.b) > 0.7
    run = gc.descend(LOGISTIC, gc.ReplicatedSketch(6), uep.Workers(12), iterations=60, realizations=50, seed=1)
    assert float(run.residual[0]) == pytest.approx(math.log(2))
    assert float(run.residual[-1]) < 0.8 * math.log(2)
