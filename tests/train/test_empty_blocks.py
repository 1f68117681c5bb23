"""More blocks than slices: empty blocks hold empty sub-products, whichever of them are decoded, by every path."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import uepgpu as uep
from tests.cases.masks import LATENCY, subproducts
from uepgpu.train import Member, Scheme, Stack, coded, product
from uepgpu.train.blocks import scaling
from uepgpu.train.masked import scaled_products
from uepgpu.train.networks import Network
from uepgpu.train.packed import add_scaled_products

RNG = np.random.default_rng(17)
SIZES = (0, 1, 2, 4)
OPTIONS = [
    {},
    {"order": "mean_abs"},
    {"order": None},
    {"estimator": "debiased"},
    {"estimator": "lmmse"},
    {"importance": "step"},
    {"importance": "step", "estimator": "lmmse"},
]


def uncoded(paradigm, blocks, **options):
    count = int(np.prod(blocks))
    workers = uep.Workers(count, latency=LATENCY, omega="fair")
    return Scheme(uep.codes.Uncoded(), workers, 0.5, paradigm=paradigm, blocks=blocks, classes=(count,), **options)


def products_by_every_path(a, b, weights, scheme, patch):
    """(name, Σ w X) by the masked path, the packed one of both layouts, and a layer's with and without compiled kernels."""
    left, right, table = torch.from_numpy(a), torch.from_numpy(b), weights.reshape(1, *scheme.shape)
    yield "masked", scaled_products(left[None], right[None], scaling(table, left), scheme)[0]
    for transposed in (False, True):
        result = torch.zeros(1, len(a), b.shape[1], dtype=torch.float64)
        rows = left.mT[None] if transposed else left[None]
        add_scaled_products(result, rows, right[None], table, scheme, transposed=transposed, alpha=1.0)
        yield f"packed, transposed={transposed}", result[0]
    factors = product.Factors(weights, bool(weights.any()), bool((weights == 1).all()))
    for compiled, flip in itertools.product((True, False), repeat=2):
        with patch.context() as some:
            if not compiled:
                some.setattr(product, "fits", lambda *tensors: False)
            result = product.scaled_product(left, right, factors, scheme, flip=flip)
        yield f"layer, compiled={compiled}, flip={flip}", result.mT if flip else result


@pytest.mark.parametrize(
    ("paradigm", "blocks", "order"),
    [(p, b, "norm") for p, b in (("rxc", (1, 3)), ("rxc", (3, 1)), ("rxc", (5, 2)), ("cxr", 1), ("cxr", 3))]
    + [(p, b, order) for p, b in (("rxc", (3, 3)), ("cxr", 9)) for order in ("norm", "mean_abs", None)],
)
def test_every_size_with_every_number_of_blocks(paradigm, blocks, order, monkeypatch):
    """Every single sub-product decoded, and some scaled ones; batches, inputs and outputs of no, one and few slices."""
    scheme = uncoded(paradigm, blocks, order=order)
    count = int(np.prod(blocks))
    for u, h, q in itertools.product(SIZES, repeat=3):
        a, b = RNG.normal(size=(u, h)), RNG.normal(size=(h, q))
        parts = subproducts(a, b, scheme)
        for weights in (*np.eye(count), RNG.integers(0, 2, size=count) * 1.5):
            expected = np.tensordot(weights, parts, 1)
            for name, result in products_by_every_path(a, b, weights, scheme, monkeypatch):
                assert result.shape == (u, q)
                np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12, err_msg=f"{name}, {(u, h, q)}, {weights}")


@pytest.mark.parametrize(
    ("options", "dtype"),
    [(o, torch.float32) for o in OPTIONS] + [({}, torch.bfloat16), ({"estimator": "lmmse"}, torch.bfloat16)],
    ids=str,
)
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_layers_of_few_inputs_and_outputs_train(paradigm, options, dtype):
    """Some of a hundred steps of the first layer decode nothing but tiles of its empty third block of columns."""
    scheme = {"seed": 1, "paradigm": paradigm, "classes": (9,)} | options
    for inputs, outputs, batch, steps in [
        (2, 16, 64, 100),
        *((*sizes, 4) for sizes in itertools.product((1, 2), (1, 2), (0, 1, 2))),
    ]:
        layer = torch.nn.Linear(inputs, outputs).to(dtype)
        coded(layer, uep.codes.Uncoded(), uep.Workers(9, latency=LATENCY, omega="fair"), 0.5, **scheme)
        for _ in range(steps):
            layer.zero_grad()
            x = torch.ones(batch, inputs, dtype=dtype, requires_grad=True)
            layer(x).sum().backward()
            assert x.grad.shape == x.shape
            assert layer.weight.grad.shape == layer.weight.shape
            assert x.grad.isfinite().all()
            assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("compiled", [True, False])
def test_stacks_of_layers_of_few_inputs_and_outputs_train(paradigm, compiled, monkeypatch):
    from uepgpu.train import replicas

    if not compiled:
        monkeypatch.setattr(replicas, "fits", lambda *tensors: False)
    scheme = uncoded(paradigm, (3, 3) if paradigm == "rxc" else 9)
    for dense, batch, steps in (((2, 16, 10), 64, 60), ((1, 2, 10), 1, 10), ((2, 1, 10), 2, 10), ((2, 2, 10), 0, 3)):
        stack = Stack(Network(dense[:1], dense), [Member(scheme, 0), Member(scheme, 1), Member(None, 0)], seed=1, rate=0.1)
        for _ in range(steps):
            stack.train(torch.ones(3, batch, dense[0]), torch.zeros(3, batch, dtype=torch.int64))
        assert all(w.isfinite().all() for w in stack.weights)
