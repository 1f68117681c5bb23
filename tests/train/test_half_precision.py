"""Tensors of half precision: what is decided and scaled by numbers of the program is decided and scaled in float32 or better."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.cases.masks import scheme
from uepgpu.train.blocks import scaling, slice_order
from uepgpu.train.lmmse import _mixed_tiles, _sum
from uepgpu.train.masked import scaled_products
from uepgpu.train.packed import add_scaled_products
from uepgpu.train.product import Factors, product_orders, scaled_product, sparsify

HALVES = [torch.float16, torch.bfloat16]


def near(n, h, seed):
    """Slices whose scores lie closer together than half precision tells apart."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(1 + rng.uniform(0, 0.1, size=(n, h)))


@pytest.mark.parametrize("order", ["norm", "mean_abs"])
@pytest.mark.parametrize("dtype", HALVES)
def test_slices_are_ranked_as_in_double_precision(dtype, order):
    a, b = near(60, 300, 1).to(dtype), near(300, 60, 2).to(dtype)
    assert torch.equal(slice_order(order, (a, -1)), slice_order(order, (a.double(), -1)))
    for paradigm in ("rxc", "cxr"):
        s = scheme("uncoded", 1.0, paradigm=paradigm, order=order)
        mine, theirs = product_orders(a, b, s), product_orders(a.double(), b.double(), s)
        # Of sums in float32 two neighbours in 300 may swap.
        assert all((x == y).double().mean() > 0.98 for x, y in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("order", ["norm", "mean_abs"])
def test_products_of_scores_have_room(order):
    """Scores of 1e-30 and 1e-20 are float32, their product is not; the fourth summand is the largest."""
    a = torch.full((4, 9), 3e-16 if order == "norm" else 1e-30)
    b = torch.full((9, 4), 1e-10 if order == "norm" else 1e-20)
    a[:, 3] *= 2
    s = scheme("uncoded", 1.0, paradigm="cxr", order=order)
    assert product_orders(a, b, s)[0][0] == 3
    first = np.eye(9)[0]
    expected = a[:, 3:4].double() @ b[3:4].double()
    packed = torch.zeros(1, 4, 4)
    grown = a[None] * 1e15, b[None]  # a product that float32 holds; scores of norms are still beyond it
    if order == "norm":
        add_scaled_products(packed, a[None], b[None], first[None], s, transposed=False, alpha=1.0)
        np.testing.assert_allclose(packed[0], expected, rtol=1e-5)
        np.testing.assert_allclose(scaled_products(a[None], b[None], scaling(first[None], a), s)[0], expected, rtol=1e-5)
    else:
        assert product_orders(grown[0][0], grown[1][0], s)[0][0] == 3


@pytest.mark.parametrize("dtype", HALVES)
def test_thresholds_are_not_rounded(dtype):
    """Thresholds between two numbers of half precision leave out the lower one."""
    delta = torch.tensor([0.3]).to(dtype).repeat(3) * torch.tensor([1, -1, 0.5], dtype=dtype)
    kept = sparsify(delta, float(delta[0]) * (1 + 1e-4))
    assert not kept.any()
    assert sparsify(delta, float(delta[0])).tolist() == [delta[0], delta[1], 0]


@pytest.mark.parametrize("estimator", ["debiased", "lmmse"])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("dtype", HALVES)
def test_factors_are_not_rounded(dtype, paradigm, estimator):
    """A factor nearly half a unit in the last place from the numbers of half precision: rounded, it would be off in every entry.

    Rounding errors of 4,096 entries average out to less than a fifth of what a rounded factor is off.
    """
    unit = torch.finfo(dtype).eps
    factor = 1.5 + 0.49 * unit
    rng = np.random.default_rng(5)
    a, b = (torch.from_numpy(rng.normal(size=(64, 64))).to(dtype) for _ in range(2))
    exact = a.double() @ b.double()
    s = scheme("uncoded", 1.0, paradigm=paradigm)
    weights = np.full(9, factor)
    if estimator == "lmmse":
        orders = product_orders(a, b, s)
        one = _sum(a, b, weights, orders[0]) if paradigm == "cxr" else _mixed_tiles(a, b, np.diag(weights), orders, (3, 3))
        results = [one]
    else:
        row = Factors(weights, some=True, whole=False)
        results = [scaled_product(a, b, row, s), scaled_product(a, b, row, s, flip=True).mT]
        results.append(scaled_products(a[None], b[None], scaling(weights.reshape(1, *s.shape), a), s)[0])
    for result in results:
        assert result.dtype == dtype
        mean = float((result.double() * exact).sum() / (exact**2).sum())
        assert abs(mean - factor) < 0.1 * unit
