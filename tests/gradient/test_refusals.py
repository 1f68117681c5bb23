"""Gradient coding: bad values and impossible descriptions are refused in one line, before any work."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.descents import COHERENT, PROBLEM
from tests.cases.refusals import cases, refused
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding import theory

A, B = COHERENT.A, COHERENT.b
DEPENDENT = np.column_stack([A, A[:, 0] + A[:, 1]])
BAD = A.copy()
BAD[3, 2] = np.nan
LABELS = np.sign(A[:, 0])


def descend(scheme=None, workers=None, **options):
    call = {"iterations": 3, "realizations": 2, "seed": 1} | options
    return gc.descend(PROBLEM, scheme or gc.ReplicatedSketch(5), workers or uep.Workers(12), **call)


@pytest.mark.parametrize(
    ("call", "pieces"),
    cases(
        problem={
            "dependent columns": (lambda: gc.Problem(DEPENDENT, B, 8), "A of shape (120, 5) has rank 4 < 5", "ridge > 0"),
            "more columns than rows": (lambda: gc.Problem(A[:3], B[:3], 3), "has rank 3 < 4 columns"),
            "nan": (lambda: gc.Problem(BAD, B, 8), "A must be finite", "nan at [3, 2]"),
            "inf in b": (lambda: gc.Problem(A, np.where(B > 1, np.inf, B), 8), "b must be finite, got inf"),
            "lengths": (lambda: gc.Problem(A, B[:-1], 8), "b must have one entry per row of A", "(120,)", "(119,)"),
            "more blocks than rows": (lambda: gc.Problem(A, B, 121), "blocks must be at most the 120", "got 121"),
            "no blocks": (lambda: gc.Problem(A, B, 0), "blocks must be an integer >= 1, got 0"),
            "loss": (lambda: gc.Problem(A, B, 8, loss="hinge"), "loss must be one of", "'hinge'"),
            "ridge": (lambda: gc.Problem(A, B, 8, ridge=-1.0), "ridge must be a finite number >= 0, got -1"),
            "labels": (lambda: gc.Problem(A, B, 8, loss="logistic"), "b must be labels -1 and 1"),
            "separable": (lambda: gc.Problem(A, LABELS, 8, loss="logistic"), "no finite minimiser", "ridge > 0"),
            "separable with rows on the hyperplane": (
                lambda: gc.Problem([[1, 0], [-1, 0], [0, 1], [0, 1], [0, 1]], [1, -1, 1, 1, -1], 5, loss="logistic"),
                "no finite minimiser",
                "ridge > 0",
            ),
            "zero": (lambda: gc.Problem(A, 0 * B, 8), "the minimiser is zero"),
            "nothing but zero rows": (lambda: gc.Problem(0 * A, B, 8, ridge=1.0), "the minimiser is zero"),
            "vector": (lambda: gc.Problem(B, B, 8), "A must be a non-empty two-dimensional matrix"),
        },
        scheme={
            "q > R": (lambda: descend(gc.ReplicatedSketch(13)), "fastest must be at most the 12 servers", "got 13"),
            "q > R sampled": (lambda: descend(gc.SampledSketch(13)), "samples must be at most the 12 servers", "got 13"),
            "q > R stochastic": (lambda: descend(gc.StochasticBlocks(13)), "fastest must be at most the 12", "got 13"),
            "q > R ignore": (lambda: descend(gc.IgnoreStragglers(13)), "fastest must be at most the 12", "got 13"),
            "no answer": (lambda: gc.ReplicatedSketch(0), "fastest must be an integer >= 1, got 0"),
            "no rule": (lambda: gc.StochasticBlocks(), "StochasticBlocks needs fastest, until or factor"),
            "until": (lambda: gc.ReplicatedSketch(until=-1.0), "until must be a finite number > 0, got -1"),
            "factor": (lambda: gc.IgnoreStragglers(factor=0.9), "factor must be a finite number >= 1", "got 0.9"),
            "factor nan": (lambda: gc.IgnoreStragglers(factor=np.nan), "factor must be a finite number"),
            "fixed until": (lambda: gc.ReplicatedSketch(3, sketch="fixed", until=1.0), "sketch='fixed' waits for the servers"),
            "q > R fractional": (lambda: descend(gc.FractionalRepetition(3, 13)), "fastest must be at most the 12", "got 13"),
            "R < K": (lambda: descend(workers=uep.Workers(7)), "servers must be at least the 8 blocks", "got 7"),
            "law": (lambda: gc.ReplicatedSketch(5, law="norm"), "law must be one of 'leverage', 'uniform', got 'norm'"),
            "gradient norm replicated": (lambda: gc.ReplicatedSketch(5, law="gradient-norm"), "law must be one of"),
            "gradient norm fixed": (lambda: gc.SampledSketch(5, "gradient-norm", "fixed"), "needs sketch='fresh'"),
            "gradient norm drawn": (
                lambda: gc.draw_sketches(PROBLEM, gc.SampledSketch(5, "gradient-norm"), uep.Workers(5), realizations=1, seed=1),
                "only descend can draw",
            ),
            "law sums to": (lambda: gc.SampledSketch(5, law=(0.5, 0.4)), "law sums to 0.9, it must sum to 1"),
            "law of other blocks": (lambda: descend(gc.SampledSketch(5, law=(0.5, 0.5))), "one probability per block, 8", "2"),
            "sketch": (lambda: gc.ReplicatedSketch(5, sketch="old"), "sketch must be one of 'fresh', 'fixed', got 'old'"),
            "groups": (lambda: descend(gc.FractionalRepetition(4)), "stragglers + 1 = 5 must divide", "12"),
            "no servers left": (lambda: descend(gc.CyclicCode(12)), "stragglers must be fewer than the servers, got 12 of 12"),
            "servers without rows": (
                lambda: descend(gc.ExactGradient(), uep.Workers(121)),
                "workers must be at most the 120 rows",
                "121",
            ),
            "no scheme": (lambda: descend("exact"), "scheme must be one of uepgpu.gradient_coding", "'exact'"),
        },
        workers={
            "losses": (
                lambda: descend(workers=uep.Workers(12, loss_probability=0.1)),
                "workers must always answer where ReplicatedSketch",
                "give it until=t",
                "loss_probability=0.1",
            ),
            "dark racks": (
                lambda: descend(gc.StochasticBlocks(factor=2.0), uep.Workers(12, racks=uep.Racks([0] * 12, 0.1))),
                "workers must always answer where StochasticBlocks",
                "1 racks, each dark",
            ),
            "a trace with gaps": (
                lambda: descend(gc.ExactGradient(), uep.Workers(1, uep.latency.Trace([[1.0], [np.inf]]))),
                "workers must always answer where ExactGradient() waits",
                "use a scheme that takes until=t",
                "Trace(2 rounds of 1 workers",
            ),
            "a code and losses": (
                lambda: descend(gc.CyclicCode(3), uep.Workers(12, loss_probability=0.1)),
                "workers must always answer where CyclicCode",
            ),
            "a law that leaves some out": (
                lambda: descend(
                    workers=uep.Workers(12, uep.latency.FromCDF(lambda t: np.minimum(t, 0.5)), speeds=[1.0] * 11 + [2.0]),
                    realizations=50,
                ),
                "latency must reach probability 1 - 2^-33",
            ),
            "memory": (
                lambda: descend(gc.ReplicatedSketch(5), uep.Workers(900_000, speeds=[1.0] * 899_999 + [2.0]), iterations=5000),
                "iterations of 900,000 servers and 8 blocks",
            ),
            "order": (
                lambda: gc.descend(gc.ReplicatedSketch(5), PROBLEM, uep.Workers(12), iterations=1, realizations=1, seed=1),
                "problem must be a Problem",
                "the order is problem, scheme, workers",
            ),
        },
        completion={
            "until": (
                lambda: gc.completion_time(PROBLEM, gc.ExactGradient(), uep.Workers(12), realizations=1, seed=1, until=1),
                "until must be 'all' or a relative error > 0 written with a point, got 1",
            ),
            "never": (
                lambda: gc.completion_time(PROBLEM, gc.ExactGradient(), uep.Workers(12), realizations=3, seed=1, until=1e-9),
                "until=1e-09 is never reached in 3 realizations",
            ),
            "quantiles": (
                lambda: gc.completion_time(PROBLEM, gc.ExactGradient(), uep.Workers(12), realizations=3, seed=1, quantiles=2),
                "quantiles must be probabilities",
            ),
        },
        call={
            "iterations": (lambda: descend(iterations=0), "iterations must be an integer >= 1, got 0"),
            "realizations": (lambda: descend(realizations=0), "realizations must be an integer >= 1, got 0"),
            "seed": (lambda: descend(seed=2**64), "seed must be an integer from 0 to 2**64 - 1"),
            "negative seed": (lambda: descend(seed=-1), "seed must be an integer from 0 to 2**64 - 1, got -1"),
            "step": (lambda: descend(step=0.0), "step must be a finite number > 0, got 0.0"),
            "decay": (lambda: descend(decay=-0.1), "decay must be a finite number >= 0, got -0.1"),
            "start": (lambda: descend(start=[1.0]), "start must be 4 finite numbers"),
            "start nan": (lambda: descend(start=[np.nan] * 4), "start must be 4 finite numbers"),
            "deadlines": (lambda: descend(deadlines=[2.0, 1.0]), "deadlines must not decrease"),
            "threads": (lambda: descend(threads=0), "threads must be an integer from 1 to 1,024, got 0"),
            "backend": (lambda: descend(backend="fortran"), "backend must be one of", "'fortran'"),
            "range": (lambda: descend(first_realization=2**64 - 1), "must be at most 2^64"),
            "too long": (lambda: descend(iterations=2**32), "iterations times workers must be at most 2^34"),
        },
        scores={
            "qr of dependent columns": (lambda: gc.block_scores(DEPENDENT, 8, method="qr"), "independent columns", "method='svd'"),
            "sketch below d": (
                lambda: gc.approximate_block_scores(A, 8, sketch_rows=3, seed=1),
                "sketch_rows must be an integer >= 4, got 3",
            ),
            "blocks": (lambda: gc.block_scores(A, 121), "blocks must be at most the 120"),
            "misestimation": (lambda: gc.misestimation([1.0], [1.0, 2.0]), "scores >= 0 of the same blocks", "(1,)", "(2,)"),
            "replicas": (lambda: gc.replication_numbers([0.5, 0.5], 1), "servers must be at least the 2 blocks", "got 1"),
            "law": (lambda: gc.replication_numbers([0.5, 0.6], 9), "law sums to 1.1"),
        },
        theory={
            "law misses a block": (lambda: theory.sampling_variance([[1.0], [1.0]], [1.0, 0.0], 2), "a probability > 0"),
            "q > R": (lambda: theory.fastest_variance([[1.0]], [2], 3), "fastest must be at most the 2 servers, got 3"),
            "unheld": (lambda: theory.fastest_variance([[1.0], [1.0]], [2, 0], 1), "replicas must be one number >= 1 per block"),
            "factor": (lambda: theory.finite_population_factor(3, 4), "fastest must be at most the 3 servers, got 4"),
            "epsilon": (lambda: theory.embedding_samples(1.0, 2, 0.0, 0.1), "epsilon must be a finite number > 0"),
            "never decoded": (lambda: theory.debiased_loss([1.0], [0.0]), "probabilities must be > 0 where there is energy"),
            "no probability": (lambda: theory.debiased_loss([1.0], [1.5]), "probabilities must be in [0, 1]"),
            "delta": (lambda: theory.embedding_samples(1.0, 2, 0.1, 0.0), "delta must be a probability in (0, 1]"),
        },
        data={
            "degrees": (lambda: gc.multivariate_t(rows=3, columns=1, degrees=0.0, seed=1), "degrees must be", "> 0"),
            "correlation": (lambda: gc.gaussian(rows=3, columns=1, seed=1, correlation=1.0), "correlation must be below 1"),
            "bundled": (lambda: gc.bundled_table("boston"), "name must be one of", "'boston'"),
        },
    ),
)
def test_bad_values_are_refused(call, pieces):
    refused(call, pieces)


def test_a_start_at_the_minimiser_is_refused():
    easy = gc.Problem([[1.0, 0.0], [0.0, 1.0]], [1.0, 2.0], 2)
    with pytest.raises(ValueError, match="start must not be the minimiser"):
        gc.descend(easy, gc.ExactGradient(), uep.Workers(2), iterations=1, realizations=1, seed=1, start=[1.0, 2.0])


def test_dependent_columns_with_a_ridge_are_solved():
    problem = gc.Problem(DEPENDENT, B, 8, ridge=2.0)
    assert problem.scores.sum() == pytest.approx(4)
    expected = np.linalg.solve(DEPENDENT.T @ DEPENDENT + 2 * np.eye(5), DEPENDENT.T @ B)
    np.testing.assert_allclose(problem.minimiser, expected, rtol=1e-8)


# --- files ------------------------------------------------------------------------------------------------------------


def test_tables_come_from_files(tmp_path):
    table = np.column_stack([A, B])
    np.save(tmp_path / "t.npy", table)
    (tmp_path / "t.csv").write_text("a,b,c,d,y\n" + "\n".join(",".join(map(repr, row)) for row in table.tolist()) + "\n")
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n5,7\n")
    for name in ("t.npy", "t.csv"):
        found = gc.read_table(tmp_path / name)
        assert np.array_equal(found.A, A)
        assert np.array_equal(found.b, B)
    first = gc.read_table(tmp_path / "bare.csv", target=0)
    assert (first.A.ravel().tolist(), first.b.tolist()) == ([2.0, 4.0, 7.0], [1.0, 3.0, 5.0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\nx,3\n", r"row 3 of .* must hold numbers, got 'x,3'"),
        ("1,2,\n4,5,6\n7,8,9\n", r"row 1 of .* must hold numbers, got '1,2,'"),
        ("a,b\n1,2\n3\n", "rows of one length"),
        ("a,b\n1,nan\n", r"table must be finite, got nan at \[0, 1\]"),
        ("a\n1\n2\n", r"two columns at least, got shape \(2, 1\)"),
        ("a,b\n", "non-empty"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        gc.read_table(tmp_path / "t.csv")


def test_missing_files_and_columns_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        gc.read_table(tmp_path / "t.csv")
    np.save(tmp_path / "t.npy", np.eye(3))
    with pytest.raises(ValueError, match="target must be a column from -3 to 2, got 3"):
        gc.read_table(tmp_path / "t.npy", target=3)


# --- scikit-learn -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape"), [("diabetes", (442, 11)), ("breast_cancer", (569, 31)), ("wine", (178, 14))])
def test_bundled_tables_are_solved(name, shape):
    pytest.importorskip("sklearn")
    table = gc.bundled_table(name)
    assert table.A.shape == shape
    loss = "logistic" if name == "breast_cancer" else "least-squares"
    problem = gc.Problem(table.A, table.b, blocks=10, loss=loss, ridge=1.0)
    run = gc.descend(problem, gc.ReplicatedSketch(12), uep.Workers(20), iterations=30, realizations=20, seed=1)
    assert float(run.error[-1]) < float(run.error[0])


def test_a_table_without_scikit_learn_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'needs scikit-learn: pip install "uepgpu\[train\]"'):
        gc.bundled_table("diabetes")


def test_importing_it_loads_no_heavy_module():
    code = (
        "import sys, uepgpu; uepgpu.gradient_coding.Problem([[1.0]], [1.0], 1);"
        "print([m for m in ('numba', 'cupy', 'xarray', 'matplotlib', 'scipy', 'sklearn') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# --- scores, laws and codes on their own ------------------------------------------------------------------------------

ORTHONORMAL = np.eye(4)[:, :2]
WEIGHTS = {
    "law of no problem": (lambda: gc.block_law(None, "leverage"), "problem", "uepgpu.Problem", "None"),
    "replicas below zero": (lambda: gc.induced_law([3, -1]), "replicas", ">= 0", "[3, -1]"),
    "no replicas": (lambda: gc.induced_law([0, 0]), "replicas", "not all 0"),
    "replicas in a table": (lambda: gc.induced_law([[1, 2]]), "replicas", "[[1, 2]]"),
    "law in words": (lambda: gc.distortion("leverage", [1, 1]), "law", "'leverage'"),
    "law of other blocks": (lambda: gc.distortion([0.5, 0.5], [1, 1, 1]), "law and replicas", "2 and 3"),
    "weights in words": (lambda: gc.cyclic_code(6, 1).decoding_error("ew"), "weights", "'ew'"),
    "weights of other servers": (lambda: gc.cyclic_code(6, 1).decoding_error(np.ones((2, 5))), "weights", "(patterns, 6)"),
    "basis of one dimension": (lambda: theory.overlap([1.0], [0, 1], [1.0]), "basis", "(n, d)", "[1.0]"),
    "bounds that fall": (lambda: theory.overlap(ORTHONORMAL, [0, 3, 2, 4], [0.5, 0.5, 0.0]), "bounds", "rise from 0 to the 4"),
    "bounds beyond": (lambda: theory.embedding_error(ORTHONORMAL, [0, 5], [[1.0]]), "bounds", "4 rows", "[0, 5]"),
    "weights of other blocks": (lambda: theory.embedding_error(ORTHONORMAL, [0, 2, 4], [[1.0]]), "weights", "(sketches, 2)"),
}


@pytest.mark.parametrize("call, pieces", cases(weights=WEIGHTS))
def test_a_bad_argument_of_a_formula_is_named_with_what_is_allowed(call, pieces):
    refused(call, pieces)
