"""Noise and rounding of payloads: what estimates make of them, what is flagged, and that every backend decodes alike."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.products import CASES, CODES, EW, GAMMA, factors, partition
from uepgpu.plan import make_plan
from uepgpu.products.coefficients import draw_packets
from uepgpu.products.decoding_weights import lmmse_weights, selected_weights

WORKERS = uep.Workers(30, omega=1.0, work="unit")
CALL = {"deadline": 0.3, "realizations": 400, "seed": 1}


def scaled(paradigm="rxc"):
    """Gaussian factors of 30 x 30 whose blocks have scales 3, 1 and .3, in nine sub-products."""
    rng = np.random.default_rng(0)
    scale = np.repeat([3, 1, 0.3], 10)
    A, B = rng.normal(size=(30, 30)), rng.normal(size=(30, 30))
    if paradigm == "rxc":
        return uep.Partition.rxc(A * scale[:, None], B * scale, rows=3, cols=3, classes=(3, 3, 3))
    return uep.Partition.cxr(A * scale, B * scale[:, None], blocks=10, classes=(3, 3, 4))


def inner_products(part):
    """⟨X_k, X_k'⟩ of all sub-products, of rxc tiles too."""
    m = part.matrices
    left, right = (itertools.pairwise(b) for b in (m.left_bounds, m.right_bounds))
    if part.paradigm == "cxr":
        return part.gram
    columns = list(right)
    tiles = np.array([m.left[a:b] @ m.right[:, c:d] for a, b in left for c, d in columns])
    return np.einsum("kij,lij->kl", tiles, tiles)


def excess(noisy, part, **options):
    """How much more is lost than without noise."""
    return noisy.normalized_loss - uep.multiply(part, EW(GAMMA), WORKERS, **CALL, **options).normalized_loss


# --- best linear estimates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["gram", "energy"])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("noise", [1e-3, 1e-2, 0.3])
def test_an_estimate_takes_the_noise_that_is_added(noise, paradigm, prior):
    """Against ΣHᵀ(HΣHᵀ + N)⁻¹ solved as it stands: its expected loss over the noise is that of the realizations."""
    part = scaled(paradigm)
    result = uep.multiply(part, EW(GAMMA), WORKERS, decoder="lmmse", prior=prior, faithful=True, noise=noise, **CALL)
    packets = draw_packets(make_plan(EW(GAMMA), part, WORKERS, seed=1, deadlines=[0.3]), part, 0, 400)
    gram = inner_products(part)
    sigma = gram if prior == "gram" else np.diag(np.diagonal(gram))
    expected = []
    for coefficients, arrived in zip(packets.coefficients, packets.arrived, strict=True):
        h = coefficients[arrived]
        known = h @ sigma @ h.T
        weights = np.linalg.solve(known + noise**2 * np.diag(np.diagonal(known)), h @ sigma).T
        left = weights @ h - np.eye(len(gram))
        spent = noise**2 * np.diagonal(h @ gram @ h.T)
        if paradigm == "rxc":
            expected.append(np.trace(left @ gram @ left.T) + np.sum(weights**2 @ spent))
        else:
            left, weights = left.sum(axis=0), weights.sum(axis=0)
            expected.append(left @ gram @ left + weights**2 @ spent)
    difference = result.normalized_loss - np.array(expected) / part.norm2
    assert abs(difference.mean()) <= 4 * difference.std(ddof=1) / math.sqrt(difference.size)
    assert np.mean(expected) > 0


@pytest.mark.parametrize(("noise", "most"), [(1e-3, 1.05), (1e-2, 1.3)])
def test_little_noise_costs_an_estimate_little(noise, most):
    """Inverting HΣHᵀ alone costs 3.5 and 250 times the loss without noise."""
    part = scaled()
    best = uep.multiply(part, EW(GAMMA), WORKERS, decoder="lmmse", faithful=True, noise=noise, **CALL)
    clean = uep.multiply(part, EW(GAMMA), WORKERS, decoder="lmmse", **CALL)
    assert best.normalized_loss.mean() < most * clean.normalized_loss.mean()
    assert best.disagreements == 0
    zero = uep.multiply(part, EW(GAMMA), WORKERS, faithful=True, noise=noise, **CALL)
    assert best.normalized_loss.mean() < zero.normalized_loss.mean()


def test_the_rounding_of_workers_is_noise_to_an_estimate():
    part = scaled()
    half = uep.multiply(part, EW(GAMMA), WORKERS, decoder="lmmse", dtype="float16", faithful=True, **CALL)
    whole = uep.multiply(part, EW(GAMMA), WORKERS, decoder="lmmse", **CALL)
    assert half.normalized_loss.mean() < 1.05 * whole.normalized_loss.mean()


@pytest.mark.parametrize("noise", [1e-6, 1e-2, 1.0])
def test_weights_are_the_textbooks(noise):
    rng = np.random.default_rng(12)
    root = rng.normal(size=(5, 5)) * np.array([3.0, 1.0, 1.0, 0.3, 0.1])
    sigma = root @ root.T
    coefficients = rng.normal(size=(3, 8, 5)) * 10.0 ** rng.integers(-5, 5, size=(8, 1))
    arrived = np.arange(8) < np.array([[1], [3], [8]])
    weights = lmmse_weights(coefficients, arrived, sigma, np.zeros((3, 5), dtype=np.bool_), noise).weights
    for r in range(3):
        h = coefficients[r][arrived[r]]
        known = h @ sigma @ h.T
        size = np.sqrt(np.diagonal(known))
        textbook = np.linalg.solve(known / np.outer(size, size) + noise**2 * np.eye(len(h)), (h @ sigma) / size[:, None]).T
        close = textbook if r < 2 else textbook @ (h / size[:, None])  # surplus packets: noise decides little between them
        ours = weights[r][:, arrived[r]] * size
        np.testing.assert_allclose(ours if r < 2 else ours @ (h / size[:, None]), close, rtol=1e-4, atol=1e-4)
        assert not weights[r][:, ~arrived[r]].any()


# --- flags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("decoder", ["linear", "peel"])
def test_what_noise_amplifies_beyond_a_tenth_is_flagged(decoder, paradigm):
    part = scaled(paradigm)
    noisy = uep.multiply(part, EW(GAMMA), WORKERS, decoder=decoder, faithful=True, noise=1e-2, **CALL)
    more = excess(noisy, part, decoder=decoder)
    assert np.all(more[~noisy.flagged] < 0.02)  # (1/10)² in the mean over the noise
    assert np.all(more[noisy.flagged] > 0.005)
    if decoder == "linear":
        assert 0 < noisy.flagged.sum() < 100
        assert more.max() > 1
    quiet = uep.multiply(part, EW(GAMMA), WORKERS, decoder=decoder, faithful=True, noise=1e-9, **CALL)
    assert not quiet.flagged.any()


def test_an_estimate_that_holds_a_tenth_of_noise_is_flagged_too():
    part, nine = scaled(), uep.Workers(9, omega="fair")
    call = {"deadline": math.inf, "seed": 1, "decoder": "lmmse", "faithful": True}
    assert not uep.multiply(part, uep.codes.Uncoded(), nine, noise=0.05, **call).flagged.any()
    assert uep.multiply(part, uep.codes.Uncoded(), nine, noise=0.2, **call).flagged.all()


# --- least squares everywhere -----------------------------------------------------------------------------------------


def test_two_copies_are_averaged_on_every_backend():
    """Relative noise s on each of two copies leaves s²/2 of their mean, and s² of either."""
    part, workers = partition("rxc", *factors(30, 23, 36), order=None), uep.Workers(18, omega="fair")
    call = {"deadline": math.inf, "faithful": True, "noise": 0.05, "realizations": 50, "seed": 1}
    runs = [uep.multiply(part, uep.codes.Repetition(2), workers, backend=b, **call) for b in ("numba", "numpy")]
    for run in runs:
        assert run.normalized_loss.mean() == pytest.approx(0.05**2 / 2, rel=0.02)
    np.testing.assert_allclose(runs[0].loss, runs[1].loss, rtol=1e-9)


@pytest.mark.parametrize(("name", "paradigm"), CASES)
def test_backends_take_one_solution_of_one_system(name, paradigm):
    part, (code, count) = partition(paradigm, *factors()), CODES[name]
    call = {"deadline": 0.7, "faithful": True, "noise": 1e-3, "realizations": 60, "seed": 4}
    workers = uep.Workers(count, omega=1.0, work="unit")
    ours, other = (uep.multiply(part, code, workers, backend=b, **call) for b in ("numba", "numpy"))
    assert (ours.condition > 0).any()
    assert np.array_equal(ours.flagged, other.flagged)
    # Rounding times condition numbers.
    np.testing.assert_allclose(ours.condition, other.condition, rtol=1e-7)
    np.testing.assert_allclose(ours.loss, other.loss, rtol=1e-6, atol=1e-12 * part.norm2)


@pytest.mark.parametrize("compiled", [True, False])
def test_weights_are_those_of_least_norm(compiled):
    """The normal equations in exact enough arithmetic: no other weights that decode have a smaller norm, packets at unit size."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(200, 12, 5)) * (rng.random((200, 12, 5)) < 0.4)
    arrived = rng.random((200, 12)) < 0.7
    wanted = selected_weights(rows, arrived, np.ones((200, 5), dtype=np.bool_), 1, compiled=compiled).found
    solved = selected_weights(rows, arrived, wanted, 1, compiled=compiled)
    assert 0.3 < wanted.mean() < 1
    for r in range(200):
        h = rows[r] * arrived[r][:, None]
        size = np.linalg.norm(h, axis=1)
        unit = h / np.where(size > 0, size, 1)[:, None]
        best = np.linalg.lstsq(unit.T, np.eye(5)[:, wanted[r]], rcond=1e-10)[0]
        np.testing.assert_allclose(solved.weights[r][wanted[r]].T * size[:, None], best, rtol=1e-6, atol=1e-8)
        assert not solved.weights[r][~wanted[r]].any()
        inside = np.linalg.matrix_rank(unit, tol=1e-9)
        for k in range(5):
            assert wanted[r, k] == (np.linalg.matrix_rank(np.vstack([unit, np.eye(5)[k]]), tol=1e-9) == inside)


@pytest.mark.parametrize("compiled", [True, False])
def test_neither_weights_nor_condition_depend_on_scales(compiled):
    rng = np.random.default_rng(6)
    rows, arrived = rng.normal(size=(50, 9, 6)), rng.random((50, 9)) < 0.8
    rows[:, 4:, 3:] = 0
    solved = selected_weights(rows, arrived, np.ones((50, 6), dtype=np.bool_), 1, compiled=compiled)
    scale = 10.0 ** rng.integers(-150, 150, size=(9, 1))
    moved = selected_weights(rows * scale, arrived, np.ones((50, 6), dtype=np.bool_), 1, compiled=compiled)
    assert solved.found.any()
    assert not solved.found.all()
    assert np.array_equal(moved.found, solved.found)
    np.testing.assert_allclose(moved.condition, solved.condition, rtol=1e-6)
    # The unit of a sub-product decides neither.
    columns = selected_weights(rows * 10.0 ** rng.integers(-9, 9, size=6), arrived, solved.found, 1, compiled=compiled)
    assert np.array_equal(columns.found, solved.found)
