"""Sketched gradients against the closed forms of docs/mathematics.md §8, within 4 standard errors at fixed seeds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.descents import COHERENT, OWN, PROBLEM, sketched_gradients
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding import theory
from uepgpu.monte_carlo import decode_times

X = np.array([0.5, -1.0, 2.0, 0.1])
N = 100_000
POOL = uep.Workers(20)


def within_four_errors(values, expected):
    """The mean of values (N, ...) is `expected`."""
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    return np.all(np.abs(values.mean(axis=0) - expected) <= 4 * error)


@pytest.mark.parametrize(
    "scheme",
    [
        gc.ReplicatedSketch(6),
        gc.ReplicatedSketch(6, law="uniform"),
        gc.ReplicatedSketch(13),
        gc.SampledSketch(6),
        gc.SampledSketch(6, law=(0.3, 0.05, 0.15, 0.1, 0.1, 0.1, 0.1, 0.1)),
        gc.StochasticBlocks(7),
    ],
    ids=repr,
)
def test_estimates_are_unbiased_and_their_variances_exact(scheme):
    problem = PROBLEM
    if isinstance(scheme, gc.StochasticBlocks):
        problem = gc.Problem(COHERENT.A, COHERENT.b, blocks=20)  # the cut of a scheme that shares rows out over 20 servers
    blocks, g = problem.block_gradients(X), problem.gradient(X)
    estimates = sketched_gradients(problem, scheme, POOL, X, realizations=N, seed=11)
    assert within_four_errors(estimates, g)
    if isinstance(scheme, gc.SampledSketch):
        variance = theory.sampling_variance(blocks, gc.block_law(problem, scheme.law), scheme.samples)
    elif isinstance(scheme, gc.ReplicatedSketch):
        r = gc.replication_numbers(gc.block_law(problem, scheme.law), 20)
        variance = theory.fastest_variance(blocks, r, scheme.fastest)
    else:
        variance = theory.fastest_variance(blocks, np.ones(20, dtype=int), scheme.fastest)
    assert within_four_errors(np.sum((estimates - g) ** 2, axis=1), variance)


def test_the_finite_population_factor_separates_the_two_formulas():
    blocks = PROBLEM.block_gradients(X)
    r = gc.replication_numbers(gc.block_law(PROBLEM, "leverage"), 20)
    for q in (1, 6, 19, 20):
        with_replacement = theory.sampling_variance(blocks, gc.induced_law(r), q)
        factor = theory.finite_population_factor(20, q)
        assert theory.fastest_variance(blocks, r, q) == pytest.approx(factor * with_replacement, rel=1e-12, abs=1e-9)
    # Measured: the ratio of variances of the two estimators from one law.
    g = PROBLEM.gradient(X)
    squares = [
        np.sum((sketched_gradients(PROBLEM, s, POOL, X, realizations=N, seed=3) - g) ** 2, axis=1)
        for s in (gc.ReplicatedSketch(12), gc.SampledSketch(12, law=tuple(gc.induced_law(r).tolist())))
    ]
    means = [s.mean() for s in squares]
    relative = math.hypot(*(s.std(ddof=1) / math.sqrt(N) / s.mean() for s in squares))
    factor = theory.finite_population_factor(20, 12)
    assert factor == pytest.approx(8 / 19)
    assert abs(means[0] / means[1] - factor) <= 4 * relative * factor


def test_the_variance_of_the_fastest_is_that_of_all_subsets():
    blocks = PROBLEM.block_gradients(X)[:4]
    r = np.array([1, 2, 1, 3])
    mine = np.repeat(blocks * (7 / r)[:, None], r, axis=0)
    for q in range(1, 8):
        means = np.array([mine[list(some)].mean(axis=0) for some in itertools.combinations(range(7), q)])
        np.testing.assert_allclose(means.mean(axis=0), blocks.sum(axis=0), rtol=1e-12)
        expected = np.mean(np.sum((means - blocks.sum(axis=0)) ** 2, axis=1))
        assert theory.fastest_variance(blocks, r, q) == pytest.approx(expected, rel=1e-11, abs=1e-9)


def test_gradient_norm_sampling_has_the_least_variance_and_is_unbiased():
    norms = np.linalg.norm(PROBLEM.block_gradients(np.zeros(4)), axis=1)
    exact = theory.sampling_variance(PROBLEM.block_gradients(np.zeros(4)), norms / norms.sum(), 5)
    for law in ("leverage", "uniform"):
        assert exact < theory.sampling_variance(PROBLEM.block_gradients(np.zeros(4)), gc.block_law(PROBLEM, law), 5)
    run = gc.descend(PROBLEM, gc.SampledSketch(5, law="gradient-norm"), uep.Workers(5), iterations=1, realizations=50_000, seed=2)
    # The mean of squares from the mean and the standard error of norms.
    spread = float(run.gradient_error_stderr[0]) ** 2 * 50_000
    measured = (float(run.gradient_error[0]) ** 2 + spread) * np.linalg.norm(PROBLEM.gradient(np.zeros(4))) ** 2
    assert measured == pytest.approx(exact, rel=0.03)  # 4 standard errors of a mean square of 50,000 are 2.5 % here


def test_ignoring_stragglers_is_biased_by_their_share():
    problem = gc.Problem(COHERENT.A, COHERENT.b, blocks=20)
    estimates = sketched_gradients(problem, gc.IgnoreStragglers(5), POOL, X, realizations=N, seed=1)
    assert within_four_errors(estimates, problem.gradient(X) / 4)
    assert not within_four_errors(estimates, problem.gradient(X))


def test_blocks_without_a_server_bias_the_gradient_as_documented():
    law = (0.94, 0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005)
    scheme = gc.ReplicatedSketch(4, law=law, every_block=False)
    held = gc.replication_numbers(law, 20, every_block=False) > 0
    assert not held.all()
    estimates = sketched_gradients(PROBLEM, scheme, POOL, X, realizations=N, seed=1)
    assert within_four_errors(estimates, PROBLEM.block_gradients(X)[held].sum(axis=0))


def test_a_law_that_leaves_out_blocks_is_biased_and_says_so():
    law = (0.25, 0.0, 0.25, 1e-11, 0.1, 0.1, 0.1, 0.2 - 1e-11)  # the fourth is below the step of draws, 2⁻³²
    problem = PROBLEM
    call = {"realizations": 2, "seed": 1}
    pool = uep.Workers(30)
    assert gc.draw_sketches(problem, gc.SampledSketch(5, law=law), pool, **call).attrs["unheard"] == 2
    assert gc.descend(problem, gc.SampledSketch(5, law=law), pool, iterations=1, **call).attrs["unheard"] == 2
    for scheme in (gc.SampledSketch(5), gc.SampledSketch(5, law="gradient-norm"), gc.ReplicatedSketch(5), gc.StochasticBlocks(5)):
        assert gc.descend(problem, scheme, pool, iterations=1, **call).attrs["unheard"] == 0
    lone = gc.ReplicatedSketch(5, law=(0.993, *[0.001] * 7), every_block=False)
    held = gc.replication_numbers(lone.law, 30, every_block=False) > 0
    assert gc.draw_sketches(problem, lone, pool, **call).attrs["unheard"] == 8 - held.sum() > 0
    # Blocks of zero rows have nothing to say.
    still = np.array(problem.A)
    still[problem.bounds[1] : problem.bounds[2]] = 0
    calm = gc.Problem(still, problem.b, 8)
    assert gc.draw_sketches(calm, gc.SampledSketch(5, law=law), pool, **call).attrs["unheard"] == 1
    # What the count says: the mean of the estimates lacks the block's gradient.
    own = gc.SampledSketch(6, law=(0.3, 0.0, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1))
    estimates = sketched_gradients(PROBLEM, own, POOL, X, realizations=10_000, seed=1)
    assert within_four_errors(estimates, np.delete(PROBLEM.block_gradients(X), 1, axis=0).sum(axis=0))


@pytest.mark.parametrize("law", ["leverage", "uniform"])
@pytest.mark.parametrize("epsilon", [0.5, 0.9])
def test_the_embedding_bound_is_violated_no_more_often_than_delta(law, epsilon):
    delta, n = 0.1, 4000
    table = gc.multivariate_t(rows=600, columns=3, degrees=3.0, seed=2)
    problem = gc.Problem(table.A, table.b, blocks=30)
    probabilities = gc.block_law(problem, law)
    q = theory.embedding_samples(theory.overlap(problem.svd[0], problem.bounds, probabilities), 3, epsilon, delta)
    draws = gc.draw_sketches(problem, gc.SampledSketch(q, law=law), uep.Workers(q), realizations=n, seed=5)
    error = theory.embedding_error(problem.svd[0], problem.bounds, (draws.copies * draws.weight).values[:, 0])
    violated = np.mean(error > epsilon)
    assert violated <= delta
    # Not vacuous: the bound is loose, but with a thirtieth of the samples the embedding does fail.
    few = gc.draw_sketches(problem, gc.SampledSketch(max(q // 30, 1), law=law), uep.Workers(q), realizations=n, seed=5)
    loose = theory.embedding_error(problem.svd[0], problem.bounds, (few.copies * few.weight).values[:, 0])
    assert np.mean(loose > epsilon) > delta


def test_the_overlap_is_at_least_one_and_least_for_leverage():
    basis, bounds = PROBLEM.svd[0], PROBLEM.bounds
    by_leverage = theory.overlap(basis, bounds, gc.block_law(PROBLEM, "leverage"))
    assert 1 <= by_leverage <= 4 + 1e-9  # at most d
    assert by_leverage < theory.overlap(basis, bounds, gc.block_law(PROBLEM, "uniform"))
    with pytest.raises(ValueError, match="law must give every block that is not zero a probability > 0"):
        theory.overlap(basis, bounds, OWN)


def test_misestimated_scores_raise_the_overlap_by_no_more_than_their_beta():
    table = gc.multivariate_t(rows=4000, columns=5, degrees=2.0, seed=8)
    problem = gc.Problem(table.A, table.b, blocks=40)
    exact = gc.block_law(problem, "leverage")
    scores = gc.approximate_block_scores(table.A, 40, sketch_rows=40, seed=1)
    beta = gc.misestimation(scores, exact)
    assert beta < 0.9
    best = theory.overlap(problem.svd[0], problem.bounds, exact)
    assert best < theory.overlap(problem.svd[0], problem.bounds, scores / scores.sum()) <= best / beta * (1 + 1e-12)


def test_dividing_by_decoding_probabilities_unbiases_uep_at_the_stated_variance():
    rng = np.random.default_rng(3)
    A, B = rng.normal(size=(12, 10)) * np.repeat([10, 1, 0.1], 4)[:, None], rng.normal(size=(10, 12))
    part = uep.Partition.rxc(A, B, rows=3, cols=3, classes=(3, 3, 3))
    code, workers = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25)), uep.Workers(30, omega=1.0, work="unit")
    exact = uep.theory.decoding_probability(code, part, workers=workers, deadlines=[0.45]).probability.values[0]
    p = exact[part.classes - 1]
    decoded = decode_times(code, part, workers, deadlines=[0.45], realizations=N, seed=4) == 0
    # A tile is X_k or 0, so that everything follows from which ones were decoded.
    assert within_four_errors(decoded / p, np.ones(9))
    squares = ((decoded / p - 1) ** 2 * part.energy).sum(axis=1)
    assert within_four_errors(squares, theory.debiased_loss(part.energy, p))
    zero_filled = float(uep.theory.loss(code, part, workers, deadlines=[0.45]).loss[0])
    assert zero_filled < theory.debiased_loss(part.energy, p)
    assert not within_four_errors(decoded.astype(float), np.ones(9))
