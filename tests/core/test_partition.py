"""Partitions of matrices and of models against explicit products, samples and docs/mathematics.md."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uepgpu as uep
from tests.cases.paper import CXR, RXC, VARIANCES, close, random_factors, relaxed

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))


def importance(slices, order):
    return [np.linalg.norm(s) if order == "norm" else np.abs(s).mean() for s in slices]


@given(sizes, st.data(), st.sampled_from(["norm", "mean_abs", None]), st.integers(0, 10**6))
@relaxed
def test_rxc_energies_are_those_of_the_tiles(shape, data, order, seed):
    A, B = random_factors(shape, seed)
    rows, cols = data.draw(st.integers(1, shape[0])), data.draw(st.integers(1, shape[2]))
    part = uep.Partition.rxc(A, B, rows=rows, cols=cols, order=order)
    if order is not None:
        A_sorted, B_sorted = A[np.argsort(importance(A, order))[::-1]], B[:, np.argsort(importance(B.T, order))[::-1]]
    else:
        A_sorted, B_sorted = A, B
    tiles = [a @ b for a in np.array_split(A_sorted, rows) for b in np.array_split(B_sorted, cols, axis=1)]
    close(part.energy, [np.sum(x**2) for x in tiles], rtol=1e-11)
    assert np.array_equal(part.gram, np.diag(part.energy))
    close(part.norm2, np.sum((A @ B) ** 2), rtol=1e-11)
    assert part.shape == (rows, cols)
    assert part.n_subproducts == rows * cols == sum(part.class_sizes)


@given(sizes, st.data(), st.sampled_from(["norm", "mean_abs", None]), st.integers(0, 10**6))
@relaxed
def test_cxr_gram_holds_the_cross_terms(shape, data, order, seed):
    A, B = random_factors(shape, seed)
    blocks = data.draw(st.integers(1, shape[1]))
    part = uep.Partition.cxr(A, B, blocks=blocks, order=order)
    permutation = np.arange(shape[1])
    if order is not None:
        permutation = np.argsort(np.multiply(importance(A.T, order), importance(B, order)))[::-1]
    pairs = zip(np.array_split(A[:, permutation], blocks, axis=1), np.array_split(B[permutation], blocks), strict=True)
    summands = [a @ b for a, b in pairs]
    close(part.gram, [[np.sum(x * y) for y in summands] for x in summands], rtol=1e-11)
    # C can be small beside its summands, so the tolerance is that of the largest of them.
    assert abs(part.norm2 - np.sum((A @ B) ** 2)) <= 1e-11 * max(np.sum((A @ B) ** 2), np.sum(np.abs(part.gram)))
    assert np.array_equal(part.gram, part.gram.T)


@given(sizes, st.sampled_from(["norm", "mean_abs", None]), st.integers(0, 10**6))
@relaxed
def test_restore_undoes_the_ordering(shape, order, seed):
    A, B = random_factors(shape, seed)
    factors = uep.Partition.rxc(A, B, rows=1, cols=1, order=order).matrices
    assert np.array_equal(factors.left, A[factors.left_order])
    assert np.array_equal(factors.right, B[:, factors.right_order])
    close(factors.restore(factors.left @ factors.right), A @ B)
    stack = np.stack([factors.left @ factors.right, 2 * factors.left @ factors.right])
    close(factors.restore(stack), np.stack([A @ B, 2 * A @ B]))


def test_a_cxr_product_needs_no_restoring():
    # Columns of A move with rows of B, so the product is in the user's order already.
    A, B = np.diag([1.0, 2.0, 3.0]), np.arange(9.0).reshape(3, 3)
    factors = uep.Partition.cxr(A, B, blocks=3).matrices
    close(factors.restore(factors.left @ factors.right), A @ B)


def test_uneven_blocks_have_their_longer_ones_first():
    part = uep.Partition.rxc(np.ones((8, 1)), np.ones((1, 5)), rows=3, cols=2, order=None)
    assert part.energy.tolist() == [9, 6, 9, 6, 6, 4]


def test_the_given_matrices_are_neither_changed_nor_referred_to():
    A, B = random_factors((4, 4, 4), 3)
    before = A.copy(), B.copy()
    part = uep.Partition.rxc(A, B, rows=2, cols=2)
    energy = part.energy.copy()
    assert np.array_equal(A, before[0])
    assert np.array_equal(B, before[1])
    A[:] = B[:] = 0
    assert np.array_equal(part.energy, energy)
    close(part.matrices.left @ part.matrices.right, before[0][part.matrices.left_order] @ before[1][:, part.matrices.right_order])


def test_a_partition_made_directly_keeps_copies_and_freezes_nothing_of_its_callers():
    classes, gram = np.array([1, 2]), np.eye(2)
    part = uep.Partition("cxr", (2,), classes, gram)
    classes[:], gram[:] = 1, 5
    assert part.classes.tolist() == [1, 2]
    assert np.array_equal(part.gram, np.eye(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8, np.bool_])
def test_any_real_dtype_is_computed_in_float64(dtype):
    A, B = np.arange(6).reshape(2, 3).astype(dtype), np.arange(6).reshape(3, 2).astype(dtype)
    part = uep.Partition.rxc(A, B, rows=2, cols=2, order=None)
    assert part.energy.tolist() == ((A.astype(float) @ B.astype(float)) ** 2).ravel().tolist()


def test_matrices_come_from_files(tmp_path):
    A, B = random_factors((5, 4, 6), 1)
    np.save(tmp_path / "a.npy", A)
    np.savez(tmp_path / "b.npz", only=B)
    np.savez(tmp_path / "both.npz", A=A, B=B)
    expected = uep.Partition.rxc(A, B).gram
    for a, b in [
        (tmp_path / "a.npy", tmp_path / "b.npz"),
        (str(tmp_path / "a.npy"), f"{tmp_path}/b.npz:only"),
        (f"{tmp_path}/both.npz:A", f"{tmp_path}/both.npz:B"),
    ]:
        assert np.array_equal(uep.Partition.rxc(a, b).gram, expected)


# --- models ----------------------------------------------------------------------------------------------------------


def test_class_energy_shares_of_math_section_5():
    for part, shares in [(RXC, (0.97395, 0.02435, 0.00170)), (CXR, (0.99000, 0.00990, 0.00010))]:
        by_class = [part.energy[part.classes == label].sum() / part.norm2 for label in (1, 2, 3)]
        assert [f"{x:.5f}" for x in by_class] == [f"{x:.5f}" for x in shares]
        assert [f"{x:.5f}" for x in part.class_gram.diagonal() / part.norm2] == [f"{x:.5f}" for x in shares]


def test_zero_mean_energies_are_u_h_q_times_the_variances():
    close(RXC.energy.reshape(3, 3), 300 * 900 * 300 * np.outer(VARIANCES, VARIANCES))
    close(CXR.gram, np.diag(900 * 100 * 900 * np.repeat(VARIANCES, 3) ** 2))


@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_model_gram_is_the_mean_over_samples(paradigm, means):
    u, h, q = 2, 3, 4
    left_sd, right_sd = np.array([2.0, 1.0, 0.3]), np.array([1.0, 0.5, 1.5])
    left_mu, right_mu = (np.array([0.7, -1.0, 0.2]), np.array([0.4, 0.9, -0.6])) if means else (np.zeros(3), np.zeros(3))
    part = uep.Partition.model(
        paradigm,
        left_variances=left_sd**2,
        right_variances=right_sd**2,
        shape=(u, h, q),
        left_means=left_mu,
        right_means=right_mu,
    )
    n = 20_000
    rng = np.random.default_rng(5)
    A = rng.normal(size=(n, 3, u, h)) * left_sd[:, None, None] + left_mu[:, None, None]
    B = rng.normal(size=(n, 3, h, q)) * right_sd[:, None, None] + right_mu[:, None, None]
    if paradigm == "rxc":
        X = np.einsum("zaij,zbjk->zabik", A, B).reshape(n, 9, u * q)
        samples, expected = np.sum(X**2, axis=2), part.energy
        total = np.sum(samples, axis=1)
    else:
        X = np.einsum("zmij,zmjk->zmik", A, B).reshape(n, 3, u * q)
        samples, expected = np.einsum("zmx,zlx->zml", X, X).reshape(n, 9), part.gram.ravel()
        total = np.sum(np.sum(X, axis=1) ** 2, axis=1)
    stderr = samples.std(axis=0, ddof=1) / np.sqrt(n)
    assert np.all(np.abs(samples.mean(axis=0) - expected) <= 4 * stderr)
    assert abs(total.mean() - part.norm2) <= 4 * total.std(ddof=1) / np.sqrt(n)


def test_one_mean_stands_for_all_blocks():
    kwargs = {"left_variances": VARIANCES, "right_variances": VARIANCES, "shape": (2, 3, 4), "classes": (1, 2)}
    one = uep.Partition.model("cxr", left_means=0.5, right_means=[2.0] * 3, **kwargs)
    each = uep.Partition.model("cxr", left_means=[0.5] * 3, right_means=2.0, **kwargs)
    assert np.array_equal(one.gram, each.gram)
