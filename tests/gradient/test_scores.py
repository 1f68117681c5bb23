"""Block leverage scores, laws and their thresholds, replication numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases.descents import PROBLEM
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding.laws import thresholds

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("method", ["svd", "qr"])
@pytest.mark.parametrize("blocks", [1, 7, 20])
def test_scores_are_sums_of_the_hat_matrixs_diagonal(method, blocks):
    A = RNG.standard_t(1, size=(20, 3))
    hat = np.diagonal(A @ np.linalg.inv(A.T @ A) @ A.T)
    edges = gc.Problem(A, np.ones(20), blocks=blocks).bounds
    expected = [hat[a:b].sum() for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(gc.block_scores(A, blocks, method=method), expected, rtol=1e-9)


def test_scores_sum_to_the_rank_and_do_not_depend_on_the_basis():
    A = RNG.normal(size=(30, 4))
    A[:, 3] = A[:, 0] - 2 * A[:, 1]
    scores = gc.block_scores(A, 5)
    assert scores.sum() == pytest.approx(3, rel=1e-12)
    np.testing.assert_allclose(scores, gc.block_scores(A[:, :3] @ RNG.normal(size=(3, 3)), 5), rtol=1e-9)


def test_zero_rows_have_score_zero_and_are_never_drawn():
    A = RNG.normal(size=(40, 3))
    A[10:20] = 0.0
    problem = gc.Problem(A, RNG.normal(size=40), blocks=4)
    law = gc.block_law(problem, "leverage")
    assert law[1] == 0
    assert thresholds(law)[1][1] == 0
    assert np.all(problem.block_gradients(RNG.normal(size=3))[1] == 0)
    assert gc.replication_numbers(law, 12)[1] == 1
    assert gc.replication_numbers(law, 12, every_block=False)[1] == 0


@pytest.mark.parametrize("projection", [None, 40])
def test_approximate_scores_come_with_their_misestimation(projection):
    A = gc.multivariate_t(rows=4000, columns=6, degrees=2.0, seed=1).A
    exact = gc.block_scores(A, 20)
    coarse, fine = (
        gc.misestimation(gc.approximate_block_scores(A, 20, sketch_rows=m, projection=projection, seed=2), exact)
        for m in (12, 2000)
    )
    assert 0 < coarse < fine <= 1
    assert fine > 0.6
    assert gc.misestimation(exact, exact) == 1
    assert gc.misestimation([1, 3], [1, 1]) == 0.5


def test_approximate_scores_are_exact_when_no_rows_are_added_up():
    # One row a bucket: signs alone do not change leverage.
    A = RNG.normal(size=(5, 2))
    found = [gc.approximate_block_scores(A, 5, sketch_rows=100_000, seed=s) for s in range(3)]
    for scores in found:
        np.testing.assert_allclose(scores, gc.block_scores(A, 5), rtol=1e-9)


# --- replication ------------------------------------------------------------------------------------------------------


def compositions(total, parts, least):
    """All ways to write `total` as a sum of `parts` integers >= least."""
    for cuts in itertools.combinations(range(total - least * parts + parts - 1), parts - 1):
        edges = (-1, *cuts, total - least * parts + parts - 1)
        yield [b - a - 1 + least for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("every_block", [True, False])
def test_no_replication_numbers_are_nearer_to_the_law(every_block):
    checked = 0
    for k, servers in itertools.product((1, 2, 3, 4), (4, 5, 8, 11)):
        for trial in range(6):
            law = np.random.default_rng([k, servers, trial]).dirichlet(np.full(k, 0.4))
            r = gc.replication_numbers(law, servers, every_block=every_block)
            assert r.sum() == servers
            assert r.min() >= int(every_block)
            best = min(gc.distortion(law, other) for other in compositions(servers, k, int(every_block)))
            assert gc.distortion(law, r) <= best + 1e-12
            checked += 1
    assert checked == 96


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40).filter(lambda x: sum(x) > 1e-3), st.integers(0, 500))
def test_replication_numbers_sum_to_the_servers(weights, extra):
    law = np.array(weights) / np.sum(weights)
    r = gc.replication_numbers(law, len(law) + extra)
    assert r.sum() == len(law) + extra
    assert r.min() >= 1
    # Unconstrained, the largest remainders: never off by a whole server.
    free = gc.replication_numbers(law, len(law) + extra, every_block=False)
    assert np.all(np.abs(free - law * (len(law) + extra)) < 1 + 1e-6)
    assert gc.induced_law(r).sum() == pytest.approx(1)


# --- laws -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda x: sum(x) > 1e-3))
def test_thresholds_share_out_all_words(weights):
    law = np.array(weights) / np.sum(weights)
    bounds, exact = thresholds(law)
    assert exact.sum() == 1
    assert np.all(exact[law == 0] == 0)
    assert np.abs(exact - law).max() <= (len(law) + 1) * 2.0**-32
    assert bounds[-1] == 2**32


def test_laws_are_named_or_given():
    np.testing.assert_allclose(gc.block_law(PROBLEM, "leverage"), gc.block_scores(PROBLEM.A, 8) / 4, rtol=1e-12)
    assert gc.block_law(PROBLEM, "uniform").tolist() == [0.125] * 8
    assert gc.block_law(PROBLEM, [0.5, 0.5, 0, 0, 0, 0, 0, 0]).tolist() == [0.5, 0.5, 0, 0, 0, 0, 0, 0]
