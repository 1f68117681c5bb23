"""The product of tensors is the sum of the sub-products that are decoded, by every path."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import uepgpu as uep
from tests.cases.masks import CODES, FACTORED, scheme, subproducts
from uepgpu.monte_carlo import decode_times
from uepgpu.train import Scheme
from uepgpu.train.blocks import scaling
from uepgpu.train.draws import CHUNK, Draws, StackDraws, realization_number
from uepgpu.train.masked import scaled_products
from uepgpu.train.packed import add_scaled_products
from uepgpu.train.product import coded_product, scaled_product

RNG = np.random.default_rng(7)
SHAPES = [(64, 100, 30), (10, 9, 11), (3, 2, 1), (64, 10, 200)]
TABLES = {
    "none": np.zeros(9),
    "all": np.ones(9),
    "first": np.eye(9)[0],
    "corner": np.array([1, 1, 0, 1, 0, 0, 0, 0, 0.0]),
    "uneven": np.array([0, 2.5, 0, 0, 0, 1, 0.5, 0, 3]),
}


def factors(shape, dtype=np.float64):
    u, h, q = shape
    return RNG.normal(size=(u, h)).astype(dtype), RNG.normal(size=(h, q)).astype(dtype)


@pytest.mark.parametrize("weights", TABLES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["norm", "mean_abs", None])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_every_path_gives_the_weighted_sum_of_subproducts(paradigm, order, shape, weights):
    a, b = factors(shape)
    s = scheme("uncoded", 1.0, paradigm=paradigm, order=order)
    expected = np.tensordot(TABLES[weights], subproducts(a, b, s), 1)
    w = TABLES[weights].reshape(1, *s.shape)
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    near = {"rtol": 0, "atol": 1e-12 * np.abs(a).max() * np.abs(b).max() * shape[1]}
    np.testing.assert_allclose(scaled_products(left[None], right[None], scaling(w, left), s)[0], expected, **near)
    packed = torch.ones(1, shape[0], shape[2], dtype=torch.float64)
    add_scaled_products(packed, left[None], right[None], w, s, transposed=False, alpha=-2.0)
    np.testing.assert_allclose((1 - packed[0]) / 2, expected, **near)
    packed = torch.zeros(1, shape[0], shape[2], dtype=torch.float64)
    add_scaled_products(packed, left.mT[None], right[None], w, s, transposed=True, alpha=1.0)
    np.testing.assert_allclose(packed[0], expected, **near)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_a_layer_without_compiled_kernels_multiplies_alike(paradigm, flip, monkeypatch):
    """Devices take array operations where the CPU takes compiled kernels: one product must come from both."""
    from uepgpu.train import product

    a, b = factors((30, 40, 50))
    for values in TABLES.values():
        s = scheme("uncoded", 1.0, paradigm=paradigm)
        row = product.Factors(values, bool(values.any()), bool((values == 1).all()))
        call = (torch.from_numpy(a), torch.from_numpy(b), row, s)
        kernels = scaled_product(*call, flip=flip)
        with monkeypatch.context() as patch:
            patch.setattr(product, "fits", lambda *tensors: False)
            arrays = scaled_product(*call, flip=flip)
        expected = np.tensordot(values, subproducts(a, b, s), 1)
        for result in (kernels, arrays):
            np.testing.assert_allclose(result, expected.T if flip else expected, rtol=0, atol=1e-10)


def test_a_stack_of_single_precision_matrices():
    a, b = RNG.normal(size=(5, 20, 30)).astype(np.float32), RNG.normal(size=(5, 30, 40)).astype(np.float32)
    for paradigm in ("rxc", "cxr"):
        s = scheme("uncoded", 1.0, paradigm=paradigm)
        w = RNG.integers(0, 2, size=(5, 9)) * RNG.uniform(1, 2, size=(5, 9))
        expected = np.stack([np.tensordot(w[r], subproducts(a[r], b[r], s), 1) for r in range(5)])
        w = w.reshape(5, *s.shape)
        packed = torch.zeros(5, 20, 40)
        add_scaled_products(packed, torch.from_numpy(a), torch.from_numpy(b), w, s, transposed=False, alpha=1.0)
        arrays = scaled_products(torch.from_numpy(a), torch.from_numpy(b), scaling(w, torch.from_numpy(a)), s)
        for result in (packed, arrays):
            np.testing.assert_allclose(result, expected, rtol=0, atol=2e-4)


def test_ties_are_broken_by_index():
    a, b = np.ones((7, 5)), np.ones((5, 7))
    for paradigm in ("rxc", "cxr"):
        s = scheme("uncoded", 1.0, paradigm=paradigm)
        for k in range(9):
            w = np.eye(9)[k].reshape(1, *s.shape)
            expected = subproducts(a, b, s)[k]
            left, right = torch.ones(1, 7, 5, dtype=torch.float64), torch.ones(1, 5, 7, dtype=torch.float64)
            packed = torch.zeros(1, 7, 7, dtype=torch.float64)
            add_scaled_products(packed, left, right, w, s, transposed=False, alpha=1.0)
            assert np.array_equal(packed[0], expected)
            assert np.array_equal(scaled_products(left, right, scaling(w, left), s)[0], expected)


# --- which realizations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "paradigm"), [(n, p) for n in CODES for p in ("rxc", "cxr")] + [(n, "rxc") for n in FACTORED])
def test_draws_are_the_realizations_of_the_core(name, paradigm):
    s = scheme(name, 1.0, paradigm=paradigm, seed=5)
    draws = Draws(s, replica=3)
    for slot, step in ((0, 0), (3, 7), (5, CHUNK - 1), (5, CHUNK), (1, 5 * CHUNK + 3)):
        number = realization_number(3, step, slot)
        assert number == 3 * 2**48 + slot * 2**40 + step
        times = decode_times(
            s.code, s.partition, s.workers, deadlines=[1.0], realizations=1, seed=5, first_realization=number, backend="numpy"
        )
        assert np.array_equal(draws.weights(slot, step).values, times[0] == 0)
        assert np.array_equal(StackDraws([draws, None], 9).weights(slot, step), [times[0] == 0, np.ones(9)])


def test_decoding_is_joint_class_by_class():
    """EW decodes class 2 only with class 1 (never independent draws), and a class as a whole."""
    decoded = Draws(scheme("ew", 1.0)).chunk(1, 0) != 0
    one, two, three = decoded[:, 0], decoded[:, [1, 3]], decoded[:, [2, 4, 5, 6, 7, 8]]
    for members in (two, three):
        assert np.array_equal(members.any(axis=1), members.all(axis=1))
    assert not (two.any(axis=1) & ~one).any()
    assert 0.2 < two.any(axis=1).mean() < 0.6
    assert len(np.unique(decoded, axis=0)) >= 3


@pytest.mark.parametrize("bad", [(-1, 0, 0), (2**16, 0, 0), (0, 2**40, 0), (0, 0, 256)])
def test_realization_numbers_do_not_run_into_each_other(bad):
    with pytest.raises(ValueError, match=r"must be in 0\.\."):
        realization_number(*bad)


@pytest.mark.parametrize(
    ("name", "paradigm", "order", "work"),
    [(n, p, o, "unit") for n in CODES for p in ("rxc", "cxr") for o in ("norm", None)]
    + [(n, "rxc", "norm", "true") for n in (*FACTORED, "now", "ew")]
    + [("ew", "cxr", "mean_abs", "true"), ("ew-factored", "rxc", "mean_abs", "unit")],
)
@pytest.mark.parametrize("importance", ["position", "step"])
def test_encoding_multiplying_and_decoding_gives_the_masked_product(name, paradigm, order, work, importance):
    shared = {"paradigm": paradigm, "order": order, "work": work, "importance": importance, "seed": 3}
    if "factored" in name and importance == "step" and order != "norm":
        with pytest.raises(ValueError, match="needs order='norm'"):
            scheme(name, 2.0, **shared)
        return
    masked, faithful = (Draws(scheme(name, 2.0, **shared, faithful=f), replica=1) for f in (False, True))
    partly = 0
    for step in range(12):
        a, b = factors((12, 20, 14))
        left, right = torch.from_numpy(a), torch.from_numpy(b)
        flip = step % 2 == 1
        mine = coded_product(left, right, masked, 3, step, flip=flip)
        real = coded_product(left, right, faithful, 3, step, flip=flip)
        assert mine.shape == ((14, 12) if flip else (12, 14))
        np.testing.assert_allclose(mine, real, rtol=0, atol=1e-7 * np.abs(a @ b).max())
        partly += bool(mine.any())
    assert partly or name == "mds"


def test_debiased_products_agree_with_the_faithful_ones():
    for paradigm in ("rxc", "cxr"):
        mine, real = (
            Draws(scheme("ew", 2.0, paradigm=paradigm, estimator="debiased", p_min=0.1, faithful=f)) for f in (False, True)
        )
        assert sorted(set(mine.scale.tolist())) == sorted({1.0, *mine.scale.tolist()})
        for step in range(6):
            a, b = factors((12, 20, 14))
            left, right = torch.from_numpy(a), torch.from_numpy(b)
            np.testing.assert_allclose(
                coded_product(left, right, mine, 1, step), coded_product(left, right, real, 1, step), rtol=0, atol=1e-8
            )


def test_blocks_and_classes_of_ones_own():
    s = Scheme(
        uep.codes.ExpandingWindow((0.6, 0.4)),
        uep.Workers(12, latency=uep.latency.Exponential(0.5), work="unit", omega="fair"),
        2.0,
        blocks=(2, 4),
        classes=[[1, 1, 2, 2], [1, 2, 2, 2]],
    )
    draws = Draws(s)
    partly = 0
    for step in range(10):
        a, b = factors((9, 12, 17))
        w = draws.weights(1, step).values
        expected = np.tensordot(w, subproducts(a, b, s), 1)
        for flip in (False, True):
            product = coded_product(torch.from_numpy(a), torch.from_numpy(b), draws, 1, step, flip=flip)
            np.testing.assert_allclose(product.mT if flip else product, expected, rtol=0, atol=1e-10)
        partly += 0 < w.sum() < 8
    assert partly


def test_classes_of_a_step_follow_its_norms():
    """Unsorted, with the large blocks last: class 1 must be the last block, whatever its place."""
    a, b = np.ones((20, 18)), np.ones((18, 20))
    a[:, 16:] *= 100
    s = scheme("now", 1.0, paradigm="cxr", order=None, importance="step")
    draws = Draws(s)
    heavy = a[:, 16:] @ b[16:]
    products = [coded_product(torch.from_numpy(a), torch.from_numpy(b), draws, 1, step).numpy() for step in range(200)]
    kept = np.mean([p[0, 0] >= heavy[0, 0] for p in products])
    p1 = float(uep.theory.decoding_probability(s.code, s.partition, s.workers, deadlines=[1.0]).probability[0, 0])
    assert abs(kept - p1) < 4 * np.sqrt(p1 * (1 - p1) / 200)  # 4 standard errors; by position it would be 0.0


def test_plans_of_classes_that_change_do_not_pile_up(monkeypatch):
    """Forgetting them changes no realization."""
    monkeypatch.setattr("uepgpu.train.draws.MOST_TABLES", 3)
    draws = Draws(scheme("ew", 2.0, importance="step"))
    tables = [np.roll([1, 2, 2, 3, 3, 3, 3, 3, 3], i).reshape(3, 3) for i in range(9)]
    first = [draws.decoded(1, 5, table) for table in tables]
    assert len(draws._tables) == 3
    draws.decoded(1, 5, tables[6])
    held = draws.plan_of(tables[6], 5)[0]
    draws.decoded(1, 5, tables[0])
    draws.decoded(1, 5, tables[1])
    assert draws.plan_of(tables[6], 5)[0] is held  # the one used last stays longest
    assert np.array_equal([draws.decoded(1, 5, table) for table in tables], first)
