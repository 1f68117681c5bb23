"""Best linear estimates: never worse than zero-filling where that is promised, and what they are by another derivation."""

from __future__ import annotations

import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.products import CASES, CODES, factors, partition
from uepgpu.products.decoding_weights import lmmse_weights
from uepgpu.sweep.spec import read_spec


def drawn(model, seed):
    """Matrices drawn from the variance model of `paper` and `fair`, 36 x 36 instead of 900 x 900: only the Gram matrix matters."""
    rng = np.random.default_rng(seed)
    variances = np.array([10, 1, 0.1])
    if model.paradigm == "rxc":
        rows, cols = np.repeat(variances, 12), np.repeat(variances, 12)
        A, B = rng.normal(size=(36, 36)) * np.sqrt(rows)[:, None], rng.normal(size=(36, 36)) * np.sqrt(cols)
        return uep.Partition.rxc(A, B, rows=3, cols=3, classes=model.class_sizes, order=None)
    inner = np.repeat(np.repeat(variances, 3), 4)
    A, B = rng.normal(size=(36, 36)) * np.sqrt(inner), rng.normal(size=(36, 36)) * np.sqrt(inner)[:, None]
    return uep.Partition.cxr(A, B, blocks=9, classes=model.class_sizes, order=None)


def conditioned(coefficients, arrived, prior):
    """What is left of Σ after conditioning on the received rows one by one, and the estimates as combinations of X, (K, K)."""
    posterior, effect = prior.copy(), np.zeros_like(prior)
    for row in coefficients[arrived]:
        spread = posterior @ row
        if row @ spread > 1e-12 * (row @ prior @ row):  # else it follows from the rows before
            gain = spread / (row @ spread)
            effect += np.outer(gain, row @ (np.eye(len(row)) - effect))
            posterior = posterior - np.outer(gain, spread)
    return effect, posterior


# --- against zero-filling ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper", "fair"])
@pytest.mark.parametrize("prior", ["gram", "energy"])
def test_never_worse_than_zero_filling_in_expectation(name, prior):
    """At every deadline of the bundled specifications, for every code of theirs, on matrices drawn from their models."""
    better = 0
    models = {p.partition: p.part for p in read_spec(name, realizations=None, seed=None).points}
    matrices = {key: [drawn(model, seed) for seed in range(3)] for key, model in models.items()}
    for point in read_spec(name, realizations=None, seed=None).points:
        for i, t in enumerate(point.deadlines):
            part = matrices[point.partition][i % 3]
            call = {"deadline": float(t), "realizations": 20, "seed": 7}
            zero = uep.multiply(part, point.code, point.workers, **call)
            best = uep.multiply(part, point.code, point.workers, decoder="lmmse", prior=prior, **call)
            assert np.array_equal(zero.arrived, best.arrived)
            assert not best.flagged.any()
            difference = best.normalized_loss - zero.normalized_loss
            if prior == "gram":  # then it holds in every single realization
                assert np.all(difference <= 1e-9)
            assert difference.mean() <= 4 * difference.std(ddof=1) / math.sqrt(difference.size) + 1e-9
            better += difference.mean() < -1e-4
    assert better > 50


@pytest.mark.parametrize(("name", "paradigm"), CASES)
def test_with_the_true_gram_matrix_no_realization_is_worse(name, paradigm):
    part, (code, count) = partition(paradigm, *factors()), CODES[name]
    for deadline in (0.1, 0.4, 1.0):
        call = {"deadline": deadline, "realizations": 300, "seed": 5}
        workers = uep.Workers(count, omega=1.0, work="unit")
        zero = uep.multiply(part, code, workers, **call)
        best = uep.multiply(part, code, workers, decoder="lmmse", **call)
        assert np.all(best.loss <= zero.loss + 1e-9 * part.norm2)
        assert best.disagreements == 0


# --- against the closed form ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["gram", "energy"])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_the_loss_is_that_of_the_closed_form(paradigm, prior):
    """tr(Σ - ΣHᵀ(HΣHᵀ)⁻¹HΣ) for rxc and 1ᵀ(·)1 for cxr, Σ the Gram matrix of even blocks."""
    from uepgpu.plan import make_plan
    from uepgpu.products.coefficients import draw_packets

    A, B = factors(30, 27, 36)
    part, code, workers = partition(paradigm, A, B), uep.codes.LT(), uep.Workers(12, omega=1.0, work="unit")
    result = uep.multiply(part, code, workers, deadline=0.8, realizations=200, seed=4, decoder="lmmse", prior=prior)
    packets = draw_packets(make_plan(code, part, workers, seed=4, deadlines=[0.8]), part, 0, 200)
    tiles = subproducts(part, A, B)
    gram = np.einsum("kij,lij->kl", tiles, tiles)
    sigma = gram if prior == "gram" else np.diag(np.diagonal(gram))
    for r in range(200):
        effect, posterior = conditioned(packets.coefficients[r], packets.arrived[r], sigma)
        if prior == "gram":
            expected = np.trace(posterior) if paradigm == "rxc" else posterior.sum()
        else:
            left = np.einsum("kl,lij->kij", effect - np.eye(9), tiles)
            expected = np.sum(left**2) if paradigm == "rxc" else np.sum(left.sum(axis=0) ** 2)
        assert result.loss[r] == pytest.approx(expected, rel=1e-6, abs=1e-8 * part.norm2)


def subproducts(part, A, B):
    """The sub-products in block order, by slicing the ordered factors."""
    m = part.matrices
    if part.paradigm == "cxr":
        return np.array([m.left[:, a:b] @ m.right[a:b] for a, b in zip(m.left_bounds, m.left_bounds[1:], strict=False)])
    tiles = [
        m.left[a:b] @ m.right[:, c:d]
        for a, b in zip(m.left_bounds, m.left_bounds[1:], strict=False)
        for c, d in zip(m.right_bounds, m.right_bounds[1:], strict=False)
    ]
    return np.array(tiles)


def test_the_posterior_of_gaussian_blocks():
    """For jointly Gaussian sub-products the estimate is the conditional mean: by conditioning, and by drawing them."""
    rng = np.random.default_rng(12)
    root = rng.normal(size=(5, 5)) * np.array([3.0, 1.0, 1.0, 0.3, 0.1])
    sigma = root @ root.T
    coefficients = rng.normal(size=(3, 8, 5))
    arrived = np.arange(8) < np.array([[1], [3], [4]])
    decoded = np.zeros((3, 5), dtype=np.bool_)
    weights, *_ = lmmse_weights(coefficients, arrived, sigma, decoded)
    blocks = rng.normal(size=(400_000, 5)) @ root.T
    for r in range(3):
        effect, posterior = conditioned(coefficients[r], arrived[r], sigma)
        np.testing.assert_allclose(weights[r] @ coefficients[r], effect, rtol=0, atol=1e-8)
        received = coefficients[r][arrived[r]]
        textbook = sigma @ received.T @ np.linalg.inv(received @ sigma @ received.T)  # these packets are independent
        np.testing.assert_allclose(weights[r][:, arrived[r]], textbook, rtol=0, atol=1e-6)
        assert not weights[r][:, ~arrived[r]].any()
        error = blocks - (blocks @ coefficients[r].T) @ weights[r].T
        squared = np.sum(error**2, axis=1)
        assert abs(squared.mean() - np.trace(posterior)) <= 4 * squared.std() / math.sqrt(len(squared)) + 1e-9


def test_surplus_and_repeated_packets_are_harmless():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(4, 6))
    coefficients = np.concatenate([rows, rows, rows[:2]])[None]
    arrived = np.ones((1, 10), dtype=np.bool_)
    sigma = np.diag([1e6, 1e3, 1.0, 1e-3, 1e-6, 0.0])
    weights, found, condition, residual = lmmse_weights(coefficients, arrived, sigma, np.zeros((1, 6), dtype=np.bool_))
    once, *_ = lmmse_weights(rows[None], arrived[:, :4], sigma, np.zeros((1, 6), dtype=np.bool_))
    np.testing.assert_allclose(weights[0] @ coefficients[0], once[0] @ rows, atol=1e-6)
    assert np.isfinite(condition).all()
    assert residual[0] == 0
    assert found[0].tolist() == [False, False, False, False, False, True]  # what the prior knows to be zero is known


# --- where energies alone mislead -------------------------------------------------------------------------------------


def test_energies_alone_can_lose_where_summands_cancel():
    """docs/mathematics.md §5: cxr, G = [[1, -.9], [-.9, 1]], one packet: .55 with energies alone against .20 for zero-filling.

    With unit-norm coefficients (cos θ, sin θ) and Σ = I the loss is (1 - sin 2θ)(1 + .9 sin 2θ); over the uniform angle of two
    normal coefficients its mean is 1 - .9/2 = .55. With the Gram matrix the estimate cannot lose.
    """
    B = np.array([[1.0, 0.0], [-0.9, math.sqrt(1 - 0.81)]])
    part = uep.Partition.cxr(np.ones((1, 2)), B, blocks=2, classes=(2,), order=None)
    np.testing.assert_allclose(part.gram, [[1, -0.9], [-0.9, 1]], atol=1e-15)
    call = {"deadline": math.inf, "realizations": 40_000, "seed": 1}
    code, one = uep.codes.MDS(), uep.Workers(1, omega="fair")
    assert np.allclose(uep.multiply(part, code, one, **call).loss, 0.20)
    energies = uep.multiply(part, code, one, decoder="lmmse", prior="energy", **call).loss
    assert abs(energies.mean() - 0.55) <= 4 * energies.std() / math.sqrt(energies.size)
    assert 0.53 < energies.mean() < 0.57
    assert energies.max() > 0.99
    gram = uep.multiply(part, code, one, decoder="lmmse", prior="gram", **call).loss
    assert np.all(gram <= 0.20 + 1e-12)
    double = 2 * np.pi * (np.arange(1000) + 0.5) / 1000
    expected = 0.2 - 0.01 * np.mean((1 + np.sin(double)) / (1 - 0.9 * np.sin(double)))
    assert abs(gram.mean() - expected) <= 4 * gram.std() / math.sqrt(gram.size)
