"""Products whose packets give sums of sub-products: linear decoding takes the sums that tallies count."""

from __future__ import annotations

import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.problems import PROBLEMS, RXC, TABLE
from uepgpu import codes
from uepgpu.monte_carlo import decode_times
from uepgpu.products.decoding_weights import selected_weights

BACKENDS = ("numba", "numpy")
WHOLE = codes.Generator([[1, 1, 1]] * 4)


def matrices(seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(20, 15)), rng.normal(size=(15, 20))


def row(k, *terms):
    return [1 if i in terms else 0 for i in range(k)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_packet_that_is_the_product_decodes_it(backend):
    part, workers = uep.Partition.cxr(*matrices(), blocks=3, classes=(3,)), uep.Workers(4, omega="fair")
    call = {"seed": 1, "realizations": 20, "backend": backend}
    tally = uep.simulate(WHOLE, part, workers, **call)
    assert tally.loss(part).normalized_loss.values.tolist() == [1, 0, 0, 0, 0]
    assert tally.decoding_probability().probability.values.ravel().tolist() == [0, 1, 1, 1, 1]
    for options in ({}, {"faithful": True}, {"keep": "product"}, {"decoder": "lmmse"}):
        result = uep.multiply(part, WHOLE, workers, deadline=math.inf, **call, **options)
        assert result.normalized_loss.max() < 1e-25
        assert result.decoded.all()
        assert not result.flagged.any()
        assert result.disagreements == 0
        if result.product is not None:
            left, right = matrices()
            np.testing.assert_allclose(result.product, np.broadcast_to(left @ right, (20, 20, 20)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_products_decode_what_tallies_count_and_give_the_sum_of_it(backend):
    rng = np.random.default_rng(3)
    left, right = rng.normal(size=(12, 18)), rng.normal(size=(18, 10))
    part = uep.Partition.cxr(left, right, blocks=9, classes=TABLE[:, None], order=None)
    terms = np.stack([left[:, 2 * m : 2 * m + 2] @ right[2 * m : 2 * m + 2] for m in range(9)])
    problem, n = PROBLEMS["generator sums"], 400
    call = {"realizations": n, "seed": 4, "backend": backend}
    for deadline in (0.15, 0.5):
        when = decode_times(problem.code, part, problem.workers, deadlines=[deadline], **call)
        for options in ({}, {"faithful": True}):
            result = uep.multiply(part, problem.code, problem.workers, deadline=deadline, keep="product", **call, **options)
            assert np.array_equal(result.decoded, when == 0)
            assert result.disagreements == 0
            assert not result.flagged.any()
            np.testing.assert_allclose(result.product, np.einsum("rk,kij->rij", when == 0, terms), rtol=0, atol=1e-10)
            missing = np.einsum("rk,kij->rij", when > 0, terms)
            np.testing.assert_allclose(result.loss, (missing**2).sum(axis=(1, 2)), rtol=1e-10, atol=1e-10)
        # Singles alone would give less in many realizations.
        alone = decode_times(problem.code, RXC, problem.workers, deadlines=[deadline], **call)
        assert ((when == 0).sum(axis=1) > (alone == 0).sum(axis=1)).sum() > 30
        estimate = uep.multiply(part, problem.code, problem.workers, deadline=deadline, decoder="lmmse", **call)
        assert np.array_equal(estimate.decoded, when == 0)
        assert not estimate.flagged.any()
        report = uep.condition(problem.code, part, problem.workers, deadline=deadline, **call)
        assert int(report.decodable) == (when == 0).any(axis=1).sum()
        assert int(report.ill_conditioned) == 0


def test_losses_of_tallies_and_products_agree():
    part = uep.Partition.cxr(*matrices(7), blocks=9, classes=TABLE[:, None])
    problem = PROBLEMS["generator sums"]
    call = {"realizations": 300, "seed": 9}
    tally = uep.simulate(problem.code, part, problem.workers, deadlines=[0.4], **call)
    result = uep.multiply(part, problem.code, problem.workers, deadline=0.4, **call)
    assert float(tally.loss(part).loss[0]) == pytest.approx(result.loss.mean(), rel=1e-9)


def test_noise_of_copies_of_a_sum_averages_out():
    """Four copies of C with noise of .01 each, relative to C: expected loss 1e-4/4 of ‖C‖²."""
    part = uep.Partition.cxr(*matrices(), blocks=3, classes=(3,))
    call = {"deadline": math.inf, "realizations": 300, "seed": 2, "faithful": True}
    result = uep.multiply(part, WHOLE, uep.Workers(4, omega="fair"), noise=0.01, **call)
    error = result.normalized_loss.std(ddof=1) / math.sqrt(300)
    assert abs(result.normalized_loss.mean() - 1e-4 / 4) <= 4 * error
    assert error < 2e-7
    assert not result.flagged.any()
    assert uep.multiply(part, WHOLE, uep.Workers(4, omega="fair"), noise=0.3, **call).flagged.all()


@pytest.mark.parametrize("compiled", [True, False])
def test_sums_take_the_place_of_terms_only_where_these_are_wanted_and_not_known(compiled):
    rng = np.random.default_rng(8)
    sums, arrived = np.array([row(4, 0, 1), row(4, 0, 1, 2, 3)]) == 1, np.ones((3, 5), dtype=np.bool_)

    def weights(rows, wanted, sums):
        coefficients = np.broadcast_to(np.array(rows, dtype=float), (3, 5, 4))
        return selected_weights(coefficients, arrived, np.broadcast_to(wanted, (3, 4)) == 1, 1, compiled=compiled, sums=sums)

    known = rng.normal(size=(5, 4))
    for wanted in (row(4, 0, 1, 2, 3), row(4, 0, 1)):
        assert np.array_equal(weights(known, wanted, sums).weights, weights(known, wanted, None).weights)
    unknown = [row(4, 0, 1), [2, 2, 0, 0], [0, 0, 5, 5], [0, 0, 1, 1], [3, 3, 1, 1]]
    both, first, none = (weights(unknown, row(4, *terms), sums) for terms in ((0, 1, 2, 3), (0, 1), ()))
    for solved, given_rows in ((both, [[1, 1, 1, 1]]), (first, [[1, 1, 0, 0]]), (none, [[0, 0, 0, 0]])):
        assert solved.found.all()
        np.testing.assert_allclose(solved.weights[0] @ unknown, [*given_rows, *[[0] * 4] * 3], rtol=0, atol=1e-12)
        assert solved.residual.max() < 1e-12
    # What floating point does not find it does not take: the residual says so.
    assert weights(unknown, row(4, 0, 1, 2), sums).residual.tolist() == [1, 1, 1]


def test_weights_miss_nothing_that_arithmetic_cannot_hold():
    """X_1 + X_2 from packets whose difference is lost in rounding: integers decode, floating point says that it cannot."""
    part = uep.Partition.cxr(*matrices(), blocks=3, classes=(3,))
    code = codes.Generator([[1, 1, 2.0**60], [1, 1, 2.0**60 + 2.0**9]])
    result = uep.multiply(part, code, uep.Workers(2, omega="fair"), deadline=math.inf, seed=1)
    assert result.decoded.tolist() == [[True, True, True]]
    assert result.ill_conditioned.all()
    assert result.flagged.all()
