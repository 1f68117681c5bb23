"""Partitions, codes, latency laws and workers against explicit products, MATH.md and scipy."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

import naive
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import uepgpu as uep

if TYPE_CHECKING:
    from uepgpu.supports import SupportLaw

relaxed = settings(deadline=None, max_examples=40)

VARIANCES = (10.0, 1.0, 0.1)
GAMMA = (0.40, 0.35, 0.25)
RXC = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, shape=(300, 900, 300), classes=(3, 3, 3))
CXR = uep.Partition.model(
    "cxr", left_variances=np.repeat(VARIANCES, 3), right_variances=np.repeat(VARIANCES, 3), shape=(900, 100, 900), classes=(3, 3, 3)
)
TABLE = np.array([[1, 1, 2], [1, 2, 3], [2, 3, 3]])


def close(value, expected, rtol=1e-12):
    """Equal to rounding: sums of a few hundred float64 products of like size."""
    np.testing.assert_allclose(value, expected, rtol=rtol, atol=rtol * np.max(np.abs(expected), initial=0.0))


# --- partitions of matrices ------------------------------------------------------------------------------------------

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))


def random_factors(shape, seed):
    rng = np.random.default_rng(seed)
    u, h, q = shape
    return rng.normal(size=(u, h)) * rng.lognormal(size=(u, 1)), rng.normal(size=(h, q)) * rng.lognormal(size=(1, q))


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
    # Columns of A move with rows of B, so the product is in the user's order already: restore must leave it alone or refuse.
    A, B = np.diag([1.0, 2.0, 3.0]), np.arange(9.0).reshape(3, 3)
    factors = uep.Partition.cxr(A, B, blocks=3).matrices
    try:
        restored = factors.restore(factors.left @ factors.right)
    except ValueError:
        return
    close(restored, A @ B)


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


# --- classes ---------------------------------------------------------------------------------------------------------


def test_the_papers_classes():
    assert np.array_equal(RXC.classes.reshape(3, 3), TABLE)
    assert CXR.classes.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.data())
@relaxed
def test_class_sizes_take_the_most_important_first_and_ties_by_index(class_sizes, data):
    k = sum(class_sizes)
    variances = data.draw(st.lists(st.sampled_from([0.1, 0.3, 1.0, 7.0]), min_size=k, max_size=k))
    part = uep.Partition.model("cxr", left_variances=variances, right_variances=[2.0] * k, classes=class_sizes)
    ranking = sorted(range(k), key=lambda m: (-variances[m], m))
    expected = np.empty(k, dtype=int)
    expected[ranking] = np.repeat(np.arange(1, len(class_sizes) + 1), class_sizes)
    assert part.classes.tolist() == expected.tolist()
    assert part.class_sizes == tuple(class_sizes)


def test_equal_scores_tie_although_their_roundings_differ():
    # In float64 0.1·3 is above 0.3·1: a comparison of raw scores would put sub-product 1 first.
    part = uep.Partition.model("cxr", left_variances=(0.3, 0.1), right_variances=(1.0, 3.0), classes=(1, 1))
    assert part.classes.tolist() == [1, 2]


@given(st.integers(1, 4), st.integers(1, 4), st.data(), st.integers(0, 10**6))
@relaxed
def test_classes_of_matrices_go_by_the_product_of_block_norms(rows, cols, data, seed):
    A, B = random_factors((6, 5, 7), seed)
    scores = [np.linalg.norm(a) * np.linalg.norm(b) for a in np.array_split(A, rows) for b in np.array_split(B, cols, axis=1)]
    first = data.draw(st.integers(1, rows * cols))
    class_sizes = (first, rows * cols - first)[: 1 + (first < rows * cols)]
    part = uep.Partition.rxc(A, B, rows=rows, cols=cols, classes=class_sizes, order=None)
    assert set(np.flatnonzero(part.classes == 1)) == set(np.argsort(scores)[::-1][:first])
    for level, blocks in [(part.row_level, np.array_split(A, rows)), (part.col_level, np.array_split(B, cols, axis=1))]:
        norms = [np.linalg.norm(block) for block in blocks]
        assert level.tolist() == [1 + sum(other > norm for other in norms) for norm in norms]
    scores = [
        np.linalg.norm(a) * np.linalg.norm(b) for a, b in zip(np.array_split(A, rows, axis=1), np.array_split(B, rows), strict=True)
    ]
    part = uep.Partition.cxr(A, B, blocks=rows, classes=(1, rows - 1)[: 1 + (rows > 1)], order=None)
    assert np.flatnonzero(part.classes == 1).tolist() == [np.argmax(scores)]


def test_a_table_of_classes_is_taken_as_it_is():
    table = [[2, 1, 2], [1, 2, 2], [2, 2, 1]]
    part = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, classes=table)
    assert part.classes.reshape(3, 3).tolist() == table
    part = uep.Partition.model("cxr", left_variances=VARIANCES, right_variances=VARIANCES, classes=[[2], [1], [2]])
    assert part.classes.tolist() == [2, 1, 2]


@given(st.lists(st.sampled_from([1e-6, 0.01, 0.5, 1.0, 2.0, 30.0, 1e4]), min_size=1, max_size=8))
@relaxed
def test_auto_classes_have_the_least_spread_of_all_groupings(variances):
    part = uep.Partition.model("cxr", left_variances=variances, right_variances=[1.0] * len(variances), classes="auto")
    logs = sorted((0.5 * math.log(v) for v in variances), reverse=True)

    def spread(groups):
        return sum(sum((x - sum(g) / len(g)) ** 2 for x in g) for g in groups)

    n, wanted = len(logs), min(3, len(set(variances)))
    cuts = itertools.combinations(range(1, n), wanted - 1)
    best = min(spread([logs[i:j] for i, j in itertools.pairwise((0, *c, n))]) for c in cuts)
    assert part.n_classes == wanted
    found = [
        [0.5 * math.log(v) for v, c in zip(variances, part.classes, strict=True) if c == label] for label in range(1, wanted + 1)
    ]
    assert spread(found) <= best + 1e-9
    for group, following in itertools.pairwise(found):
        assert min(group) > max(following)  # equal scores are never split between classes


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


# --- codes -----------------------------------------------------------------------------------------------------------


def windows_of(law: SupportLaw) -> Counter:
    """Probability of every (support, work)."""
    result: Counter = Counter()
    for support, probability, work in zip(law.supports, law.probabilities, law.work, strict=True):
        result[frozenset(np.flatnonzero(support).tolist()), int(work)] += float(probability)
    return result


def same_windows(law, expected):
    found = windows_of(law)
    assert found.keys() == expected.keys()
    for key, probability in expected.items():
        assert found[key] == pytest.approx(probability, abs=1e-15)


def rectangle(rows, cols):
    return frozenset(3 * n + p for n in rows for p in cols)


def up_to(label):
    return frozenset(np.flatnonzero(TABLE.ravel() <= label).tolist())


def only(label):
    return frozenset(np.flatnonzero(TABLE.ravel() == label).tolist())


def test_free_windows_cost_their_generic_rank():
    now = uep.codes.NonOverlappingWindow(GAMMA).law(RXC, 30)
    same_windows(now, {(only(label), r): g for label, r, g in zip((1, 2, 3), (2, 3, 2), GAMMA, strict=True)})
    ew = uep.codes.ExpandingWindow(GAMMA).law(RXC, 30)
    same_windows(ew, {(up_to(label), r): g for label, r, g in zip((1, 2, 3), (2, 3, 3), GAMMA, strict=True)})
    assert now.encoding == ew.encoding == "free"
    assert not now.tied
    assert not now.equal_work
    assert not ew.equal_work


@pytest.mark.parametrize("part", [RXC, CXR])
def test_stacked_windows_cost_their_size(part):
    now = uep.codes.NonOverlappingWindow(GAMMA, encoding="stacked").law(part, 30)
    ew = uep.codes.ExpandingWindow(GAMMA, encoding="stacked").law(part, 30)
    assert now.work.tolist() == [3, 3, 3]
    assert ew.work.tolist() == [3, 6, 9]
    assert now.equal_work
    assert not ew.equal_work
    assert uep.codes.MDS(encoding="stacked").law(part, 30).work.tolist() == [9]


def test_auto_is_free_for_rxc_and_stacked_for_cxr():
    for code in (uep.codes.NonOverlappingWindow(GAMMA), uep.codes.ExpandingWindow(GAMMA), uep.codes.MDS()):
        assert code.law(RXC, 30).encoding == "free"
        assert code.law(CXR, 30).encoding == "stacked"


@given(st.integers(1, 4), st.integers(1, 4), st.data())
@relaxed
def test_window_laws_on_any_table_of_classes(rows, cols, data):
    k = rows * cols
    labels = data.draw(st.lists(st.integers(1, 3), min_size=k, max_size=k))
    dense = {label: i + 1 for i, label in enumerate(sorted(set(labels)))}
    table = np.array([dense[label] for label in labels]).reshape(rows, cols)
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(dense), max_size=len(dense)).filter(any))
    gamma = [w / sum(weights) for w in weights]
    part = uep.Partition.model("rxc", left_variances=[1.0] * rows, right_variances=[1.0] * cols, classes=table)
    for code, inside in [
        (uep.codes.NonOverlappingWindow(gamma), np.equal),
        (uep.codes.ExpandingWindow(gamma), np.less_equal),
    ]:
        law = code.law(part, 7)
        assert law.probabilities.tolist() == pytest.approx(gamma)
        for label, (support, work) in enumerate(zip(law.supports, law.work, strict=True), start=1):
            assert np.array_equal(support.reshape(rows, cols), inside(table, label))
            assert work == naive.matching_size([np.flatnonzero(row).tolist() for row in support.reshape(rows, cols)])


def test_max_rectangles_are_those_of_math_section_6():
    law = uep.codes.ExpandingWindow(GAMMA, encoding="factored").law(RXC, 30)
    g1, g2, g3 = GAMMA
    expected = Counter(
        {
            (rectangle([0], [0, 1]), 1): g1 / 2,
            (rectangle([0, 1], [0]), 1): g1 / 2,
            (rectangle([0], [0, 1, 2]), 1): g2 / 3,
            (rectangle([0, 1], [0, 1]), 1): g2 / 3,
            (rectangle([0, 1, 2], [0]), 1): g2 / 3,
            (rectangle([0, 1, 2], [0, 1, 2]), 1): g3,
        }
    )
    same_windows(law, expected)
    same_windows(uep.codes.ExpandingWindow(GAMMA, encoding="factored", window="max-rectangle").law(RXC, 30), expected)
    assert law.equal_work


def test_nested_rectangles_draw_their_two_sides_independently():
    other = (0.2, 0.3, 0.5)
    for gamma_b, columns in [(None, GAMMA), (other, other)]:
        code = uep.codes.ExpandingWindow(GAMMA, encoding="factored", window="nested", gamma_b=gamma_b)
        expected = {(rectangle(range(i + 1), range(j + 1)), 1): GAMMA[i] * columns[j] for i in range(3) for j in range(3)}
        same_windows(code.law(RXC, 30), expected)


def test_bounding_boxes_hold_all_blocks_of_a_window():
    law = uep.codes.ExpandingWindow(GAMMA, encoding="factored", window="bounding-box").law(RXC, 30)
    same_windows(law, {(rectangle([0, 1], [0, 1]), 1): 0.40, (rectangle([0, 1, 2], [0, 1, 2]), 1): 0.60})


def test_a_bounding_box_takes_rows_and_columns_apart():
    part = uep.Partition.model("rxc", left_variances=(2.0, 1.0), right_variances=(4.0, 2.0, 1.0), classes=[[1, 1, 2], [2, 2, 2]])
    law = uep.codes.ExpandingWindow((0.3, 0.7), encoding="factored", window="bounding-box").law(part, 5)
    same_windows(law, {(frozenset([0, 1]), 1): 0.3, (frozenset(range(6)), 1): 0.7})


def test_level_pairs_share_their_class_evenly():
    for window in (None, "level-pair"):
        law = uep.codes.NonOverlappingWindow(GAMMA, encoding="factored", window=window).law(RXC, 30)
        same_windows(law, {(frozenset([k]), 1): GAMMA[TABLE.ravel()[k] - 1] / 3 for k in range(9)})


def test_levels_may_hold_several_blocks_in_any_place():
    # Row blocks by variance: block 1 is level 1, blocks 0 and 2 are level 2.
    part = uep.Partition.model(
        "rxc",
        left_variances=(1.0, 9.0, 1.0),
        right_variances=(1.0, 4.0),
        row_levels=(1, 2),
        col_levels=(1, 1),
        classes=[[2, 2], [2, 1], [2, 2]],
    )
    assert part.row_level.tolist() == [2, 1, 2]
    assert part.col_level.tolist() == [2, 1]
    everything = frozenset(range(6))
    top, top_row, top_col, rest = frozenset([3]), frozenset([2, 3]), frozenset([1, 3, 5]), frozenset([0, 4])
    ew = uep.codes.ExpandingWindow((0.5, 0.5), encoding="factored").law(part, 8)
    same_windows(ew, {(top, 1): 0.5, (everything, 1): 0.5})
    now = uep.codes.NonOverlappingWindow((0.4, 0.6), encoding="factored").law(part, 8)
    same_windows(now, {(top, 1): 0.4, (top_row - top, 1): 0.2, (top_col - top, 1): 0.2, (rest, 1): 0.2})
    nested = uep.codes.ExpandingWindow((0.9, 0.1), encoding="factored", window="nested").law(part, 8)
    same_windows(nested, {(top, 1): 0.81, (top_row, 1): 0.09, (top_col, 1): 0.09, (everything, 1): 0.01})


def test_fixed_windows_follow_largest_remainders():
    # 30 Γ = (12, 10.5, 7.5): the tie goes to the first. 9 Γ = (3.6, 3.15, 2.25).
    for workers, counts in [(30, (12, 11, 7)), (9, (4, 3, 2)), (1, (1, 0, 0)), (20, (8, 7, 5))]:
        for code in (uep.codes.NonOverlappingWindow, uep.codes.ExpandingWindow):
            law = code(GAMMA, windows="fixed").law(RXC, workers)
            assert law.tied
            assert law.window.tolist() == np.repeat([0, 1, 2], counts).tolist()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any), st.integers(1, 2000))
@relaxed
def test_fixed_window_counts_are_within_one_of_their_share(weights, workers):
    gamma = [w / sum(weights) for w in weights]
    k = len(weights)
    part = uep.Partition.model("cxr", left_variances=[1.0] * k, right_variances=[1.0] * k, classes=[1] * k)
    counts = np.bincount(uep.codes.NonOverlappingWindow(gamma, windows="fixed").law(part, workers).window, minlength=k)
    assert counts.sum() == workers
    assert np.all(np.abs(counts - np.array(gamma) * workers) < 1)
    assert all(c == 0 for c, w in zip(counts, weights, strict=True) if w == 0)


def test_baselines():
    mds = uep.codes.MDS().law(RXC, 30)
    same_windows(mds, {(frozenset(range(9)), 3): 1.0})
    same_windows(uep.codes.MDS(encoding="factored").law(RXC, 30), {(frozenset(range(9)), 1): 1.0})
    uncoded = uep.codes.Uncoded().law(RXC, 9)
    assert [np.flatnonzero(uncoded.supports[w]).tolist() for w in uncoded.window] == [[w] for w in range(9)]
    repetition = uep.codes.Repetition(copies=3).law(RXC, 27)
    assert [np.flatnonzero(repetition.supports[w]).tolist() for w in repetition.window] == [[w % 9] for w in range(27)]
    for law in (uncoded, repetition):
        assert law.tied
        assert law.equal_work
        assert set(law.work[law.window].tolist()) == {1}


@pytest.mark.parametrize("k", [1, 2, 3, 9, 64])
@pytest.mark.parametrize("c, delta", [(0.1, 0.5), (0.03, 0.05), (1.0, 0.5), (3.0, 0.01)])
def test_lt_degrees_follow_the_robust_soliton(k, c, delta):
    ripple = c * math.log(k / delta) * math.sqrt(k)
    spike = min(max(round(k / ripple), 1), k)
    weight = []
    for d in range(1, k + 1):
        rho = 1 / k if d == 1 else 1 / (d * (d - 1))
        tau = ripple / (d * k) if d < spike else max(ripple * math.log(ripple / delta) / k, 0.0) if d == spike else 0.0
        weight.append(rho + tau)
    part = uep.Partition.model("cxr", left_variances=[1.0] * k, right_variances=[1.0] * k)
    law = uep.codes.LT(c, delta).law(part, 20)
    close(law.probabilities, np.array(weight) / sum(weight))
    assert law.probabilities.sum() == pytest.approx(1, abs=1e-14)
    assert law.degrees.tolist() == law.work.tolist() == list(range(1, k + 1))


def test_windows_of_ones_own():
    bools = np.zeros((2, 9), dtype=bool)
    bools[0, [0, 4]] = bools[1, 8] = True
    for supports in ([[0, 4], [8]], [{4, 0}, (8,)], [range(0, 5, 4), np.array([8])], bools):
        law = uep.codes.Windows(supports, (0.25, 0.75)).law(RXC, 5)
        same_windows(law, {(frozenset([0, 4]), 2): 0.25, (frozenset([8]), 1): 0.75})
        assert uep.codes.Windows(supports, (0.25, 0.75), work=(7, 5)).law(RXC, 5).work.tolist() == [7, 5]
        assert uep.codes.Windows(supports, (0.25, 0.75), work=4).law(RXC, 5).work.tolist() == [4, 4]


def test_generator_of_ones_own():
    matrix = np.array([[1, 0, 2], [0, -1, 0]])
    part = uep.Partition.model("cxr", left_variances=VARIANCES, right_variances=VARIANCES)
    law = uep.codes.Generator(matrix).law(part, 2)
    assert law.tied
    assert law.field == "real"
    assert np.array_equal(law.generator[law.window], matrix)
    assert np.array_equal(law.supports, matrix != 0)
    assert law.work.tolist() == [2, 1]
    assert uep.codes.Generator(matrix, work=3).law(part, 2).work.tolist() == [3, 3]


def test_codes_take_arrays_and_keep_copies():
    gamma = np.array(GAMMA)
    code = uep.codes.ExpandingWindow(gamma)
    matrix = np.eye(9)
    generator = uep.codes.Generator(matrix)
    gamma[:] = matrix[:] = 0
    assert code == uep.codes.ExpandingWindow(GAMMA)
    assert hash(code) == hash(uep.codes.ExpandingWindow(GAMMA))
    assert np.array_equal(generator.law(RXC, 9).generator, np.eye(9))


def test_windows_of_ones_own_are_copies():
    supports, work = np.eye(9, dtype=bool), np.arange(1, 10)
    code = uep.codes.Windows(supports, [1 / 9] * 9, work=work)
    law = code.law(RXC, 5)
    supports[:], work[:] = True, 1
    for later in (law, code.law(RXC, 5)):
        assert np.array_equal(later.supports, np.eye(9))
        assert later.work.tolist() == list(range(1, 10))


def test_every_code_satisfies_the_protocol():
    own = uep.codes.Windows([[0]], [1.0])
    for code in (uep.codes.MDS(), uep.codes.Uncoded(), uep.codes.LT(), own, uep.codes.Generator(np.eye(2))):
        assert isinstance(code, uep.codes.Code)


# --- latency ---------------------------------------------------------------------------------------------------------

LAWS = [
    (uep.latency.Exponential(2.5), scipy.stats.expon(scale=1 / 2.5)),
    (uep.latency.ShiftedExponential(2.0, 0.3), scipy.stats.expon(loc=0.3, scale=0.5)),
    (uep.latency.Weibull(0.7, 2.0), scipy.stats.weibull_min(0.7, scale=2.0)),
    (uep.latency.Weibull(3.0), scipy.stats.weibull_min(3.0)),
    (uep.latency.Pareto(1.5, 0.2), scipy.stats.pareto(1.5, scale=0.2)),
    (uep.latency.LogNormal(0.3, 0.8), scipy.stats.lognorm(0.8, scale=math.exp(0.3))),
]
OTHERS = [
    uep.latency.Deterministic(0.7),
    uep.latency.Empirical([0.3, 2.0, 0.3, 1.0]),
    uep.latency.FromCDF(lambda t: np.clip(t / 3, 0, 1)),
]


@pytest.mark.parametrize("law, reference", LAWS)
def test_laws_agree_with_scipy(law, reference):
    times = np.concatenate([[0.0], np.geomspace(1e-9, 200, 60)])
    # 1e-11: an exponential of x loses a factor |x| <= 745 of the rounding of x; 1e-300 leaves out denormal numbers.
    np.testing.assert_allclose(law.cdf(times), reference.cdf(times), rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(law.sf(times), reference.sf(times), rtol=1e-11, atol=1e-300)


times_strategy = st.lists(st.floats(0, 1e6), min_size=2, max_size=12).map(sorted)


@pytest.mark.parametrize("law", [*(pair[0] for pair in LAWS), *OTHERS], ids=repr)
@given(times=times_strategy)
@settings(deadline=None, max_examples=30)
def test_laws_are_distribution_functions(law, times):
    below, above = law.cdf(times), law.sf(times)
    assert below.shape == above.shape == (len(times),)
    np.testing.assert_allclose(below + above, 1, rtol=0, atol=2e-16)
    assert np.all((below >= 0) & (below <= 1))
    assert np.all(np.diff(below) >= 0)
    assert np.all(np.diff(above) <= 0)


@pytest.mark.parametrize("law", [*(pair[0] for pair in LAWS), *OTHERS], ids=repr)
def test_nothing_arrives_before_time_zero_and_everything_in_the_end(law):
    assert law.cdf([-1.0, -1e-300]).tolist() == [0, 0]
    assert law.sf(-3.0) == 1
    assert law.cdf(math.inf) == 1
    assert law.sf(math.inf) == 0


@pytest.mark.parametrize("law", [*(pair[0] for pair in LAWS), *OTHERS], ids=repr)
def test_laws_take_times_of_any_shape(law):
    times = np.linspace(0, 4, 12)
    assert np.array_equal(law.cdf(times.reshape(3, 4)), law.cdf(times).reshape(3, 4))
    assert np.array_equal(law.sf(times.reshape(3, 4)), law.sf(times).reshape(3, 4))
    assert float(law.cdf(times[5])) == law.cdf(times)[5]


def test_instant_answers_do_not_come_before_the_question():
    assert uep.latency.Deterministic(0.0).cdf([-1.0, 0.0]).tolist() == [0, 1]


def test_steps_arrive_at_their_own_time():
    assert uep.latency.Deterministic(0.7).cdf([0.7 - 1e-12, 0.7, 1.0]).tolist() == [0, 1, 1]
    assert uep.latency.Empirical([0.3, 2.0, 0.3, 1.0]).cdf([0.2, 0.3, 1.0, 1.5, 2.0]).tolist() == [0, 0.5, 0.75, 0.75, 1]


# --- workers ---------------------------------------------------------------------------------------------------------


def test_arrival_is_the_scaled_law():
    law = uep.latency.Exponential(2.0)
    times, work, speed = np.array([0.0, 0.5, 1.0])[:, None, None], np.array([1, 3])[:, None], np.array([1.0, 2.0])
    for omega, number in [("fair", 9 / 2), (0.8, 0.8)]:
        for kind, charged in [("true", work), ("unit", np.ones_like(work))]:
            pool = uep.Workers(2, latency=law, omega=omega, work=kind, loss_probability=0.1, speeds=(1.0, 2.0))
            arrival, absence = pool.arrival(times, 9, work, speed), pool.absence(times, 9, work, speed)
            close(arrival, 0.9 * -np.expm1(-2.0 * number * speed * times / charged))
            np.testing.assert_allclose(arrival + absence, 1, rtol=0, atol=2e-16)


def test_absence_keeps_its_digits_in_the_tail():
    pool = uep.Workers(9, latency=uep.latency.Exponential(1.0), omega=1.0)
    assert pool.absence(100.0, 9, 1) == pytest.approx(math.exp(-100), rel=1e-12, abs=0)


def test_fair_load_is_k_over_w():
    assert uep.Workers(30).resolved_omega(9) == 0.3
    assert uep.Workers(9).resolved_omega(9) == 1
    assert uep.Workers(9, omega=2).resolved_omega(9) == 2


def test_defaults_charge_true_work_under_fair_load_without_loss():
    pool = uep.Workers(4)
    assert (pool.omega, pool.work, pool.loss_probability, pool.speeds) == ("fair", "true", 0.0, None)
    assert pool.identical
    assert pool.speed().tolist() == [1, 1, 1, 1]
    assert uep.Workers(2, speeds=[3, 3]).identical
    assert not uep.Workers(2, speeds=np.array([3, 4])).identical
    assert uep.Workers(2, speeds=[3, 4]).speed().tolist() == [3, 4]


def test_r_fold_repetition_under_fair_load_is_uncoded():
    law = uep.latency.Exponential(1.3)
    t = np.linspace(0, 3, 7)
    uncoded, twice = uep.Workers(9, latency=law), uep.Workers(18, latency=law)
    close(twice.absence(t, 9, 1) ** 2, uncoded.absence(t, 9, 1))


@pytest.mark.parametrize(
    "count, work, deadline, time",
    [(30, 3, 10.0, 1.0), (15, 3, 5.0, 1.0), (30, 1, 0.1, 0.03), (18, 2, 0.4, 0.1), (7, 9, 7.0, 1.0), (9, 1, 0.3, 0.3)],
)
def test_a_packet_due_exactly_at_the_deadline_has_arrived(count, work, deadline, time):
    # t·K/(W·r) is the time of the law in exact arithmetic: a rounding must not put it before the step.
    for law in (uep.latency.Deterministic(time), uep.latency.Empirical([time])):
        assert uep.Workers(count, latency=law).arrival(deadline, 9, work) == 1
        assert uep.Workers(count, latency=law).absence(deadline, 9, work) == 0


def test_a_law_of_ones_own_needs_just_two_methods():
    class Uniform:
        def cdf(self, time):
            return np.clip(time, 0, 1)

        def sf(self, time):
            return 1 - self.cdf(time)

    pool = uep.Workers(4, latency=Uniform(), omega=1.0)
    assert pool.arrival([0.25, 2.0], 4, 1).tolist() == [0.25, 1.0]
