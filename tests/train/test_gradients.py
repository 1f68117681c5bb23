"""Gradients of coded models: exact where everything is decoded, and in expectation what the decoding probabilities say."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

import uepgpu as uep
from tests.cases.masks import CODES, FACTORED, LATENCY, cut, order_of, scheme, subproducts
from uepgpu.train import CodedLinear, Scheme, coded
from uepgpu.train.draws import Draws
from uepgpu.train.networks import CIFAR10, MNIST
from uepgpu.train.probability import subproduct_probability
from uepgpu.train.product import coded_product

RNG = np.random.default_rng(3)


def mlp(dtype=torch.float64):
    return MNIST.build(seed=1, replica=0).to(dtype)


def batch(shape, n=18, dtype=torch.float64):
    return torch.from_numpy(RNG.normal(size=(n, *shape))).to(dtype), torch.from_numpy(RNG.integers(0, 10, size=n))


def gradients(model, x, y):
    model.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    return [p.grad.clone() for p in model.parameters()]


def same(model, coded_model, x, y, tolerance):
    for exact, mine in zip(gradients(model, x, y), gradients(coded_model, x, y), strict=True):
        assert exact.abs().max() > 0
        np.testing.assert_allclose(mine, exact, rtol=0, atol=tolerance * float(exact.abs().max()))


# --- everything decoded -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("name", ["uncoded", "repetition", "mds", "now", "ew"])
def test_waiting_for_all_gives_pytorchs_gradients(name, paradigm, faithful):
    """Windows are drawn, so NOW and EW get enough workers that every class is decoded for certain, in effect."""
    code, count = CODES[name]
    count = 300 if name in ("now", "ew") and not faithful else 60 if name in ("now", "ew") else count
    model = mlp()
    options = {"paradigm": paradigm, "faithful": faithful}
    mine = coded(copy.deepcopy(model), code, uep.Workers(count, latency=LATENCY, omega="fair"), math.inf, seed=1, **options)
    same(model, mine, *batch((784,)), 1e-9 if faithful else 1e-13)


@pytest.mark.parametrize("estimator", ["zero", "debiased", "lmmse"])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_every_estimator_is_exact_once_everything_is_decoded(paradigm, estimator):
    model = nn.Sequential(nn.Linear(20, 15), nn.ReLU(), nn.Linear(15, 10)).double()
    code, count = CODES["mds"]
    mine = coded(
        copy.deepcopy(model), code, uep.Workers(count, omega="fair"), math.inf, seed=1, paradigm=paradigm, estimator=estimator
    )
    same(model, mine, *batch((20,)), 1e-9)


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_the_cifar_network_has_pytorchs_gradients(paradigm):
    model = CIFAR10.build(seed=1, replica=0)
    code, count = CODES["uncoded"]
    mine = coded(copy.deepcopy(model), code, uep.Workers(count, omega="fair"), math.inf, seed=1, paradigm=paradigm)
    assert sum(isinstance(m, CodedLinear) for m in mine) == 3
    assert sum(isinstance(m, nn.Conv2d) for m in mine) == 2
    same(model, mine, *batch((3, 32, 32), n=4, dtype=torch.float32), 2e-5)


def test_nothing_decoded_leaves_the_bias_its_gradient():
    model = mlp()
    code, count = CODES["ew"]
    mine = coded(copy.deepcopy(model), code, uep.Workers(count, omega="fair"), 0.0, seed=1)
    x, y = batch((784,))
    exact, none = gradients(model, x, y), gradients(mine, x, y)
    assert all(not g.any() for g in none[:-1])  # nothing comes through to earlier layers either
    np.testing.assert_allclose(none[-1], exact[-1])


# --- partly decoded ---------------------------------------------------------------------------------------------------

STEPS = 4000
PARTLY = [(n, p) for n in CODES for p in ("rxc", "cxr")] + [(n, "rxc") for n in FACTORED]


def mean_and_error(left, right, s, steps=STEPS):
    """Mean over steps of the coded product with its standard error, entry by entry."""
    draws = Draws(s)
    products = np.stack([coded_product(left, right, draws, 1, step).numpy() for step in range(steps)])
    return products.mean(axis=0), products.std(axis=0) / math.sqrt(steps)


def within(mean, error, expected):
    """Within 4 standard errors. Of a few hundred entries, which share their errors by tile, none is beyond at this seed."""
    assert np.all(np.abs(mean - expected) <= 4 * error + 1e-12)


@pytest.mark.parametrize(("name", "paradigm"), PARTLY)
def test_expected_products_are_probabilities_times_subproducts(name, paradigm):
    s = scheme(name, 2.0, paradigm=paradigm, seed=6)
    a, b = RNG.normal(size=(9, 18)), RNG.normal(size=(18, 10))
    p = subproduct_probability(s)
    x = subproducts(a, b, s)
    mean, error = mean_and_error(torch.from_numpy(a), torch.from_numpy(b), s)
    within(mean, error, np.tensordot(p, x, 1))
    if name != "mds":
        assert not np.all(np.abs(mean - a @ b) <= 4 * error + 1e-12)  # zero-filling is biased


@pytest.mark.parametrize(("name", "paradigm"), PARTLY)
def test_debiased_products_are_unbiased_above_p_min(name, paradigm):
    p_min = 0.05
    s = scheme(name, 2.0, paradigm=paradigm, estimator="debiased", p_min=p_min, seed=6)
    a, b = RNG.normal(size=(9, 18)), RNG.normal(size=(18, 10))
    p = subproduct_probability(s)
    x = subproducts(a, b, s)
    mean, error = mean_and_error(torch.from_numpy(a), torch.from_numpy(b), s)
    within(mean, error, np.tensordot(np.where(p >= p_min, 1.0, p), x, 1))
    if name == "ew":
        assert (p < p_min).any()  # class 3 stays zero-filled
        assert (p >= p_min).any()


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_expected_weight_gradients_of_a_layer(paradigm):
    """The same through autograd, for a layer whose δ is known: mean over steps of its weight's gradient."""
    s = scheme("ew", 2.0, paradigm=paradigm)
    layer = nn.Linear(12, 10, bias=False).double()
    model = coded(nn.Sequential(layer), s.code, s.workers, 2.0, seed=2, paradigm=paradigm)
    x, delta = RNG.normal(size=(18, 12)), RNG.normal(size=(18, 10))
    inputs = torch.from_numpy(x).requires_grad_()
    found_w, found_x = [], []
    for _ in range(STEPS):
        model.zero_grad()
        inputs.grad = None
        model(inputs).backward(torch.from_numpy(delta))
        found_w.append(model[0].weight.grad.numpy().copy())
        found_x.append(inputs.grad.numpy().copy())
    p = subproduct_probability(s)
    weight = layer.weight.detach().numpy()
    for found, expected in (
        (found_w, np.tensordot(p, subproducts(x.T, delta, s), 1).T),
        (found_x, np.tensordot(p, subproducts(delta, weight, s), 1)),
    ):
        products = np.stack(found)
        within(products.mean(axis=0), products.std(axis=0) / math.sqrt(STEPS), expected)


@pytest.mark.parametrize(
    ("time", "name", "work", "expected"),
    [
        # docs/mathematics.md §7, W = 15, λΩ = .3
        (0.5, "now", "unit", (0.621, 0.164, 0.0)),
        (0.5, "ew", "unit", (0.636, 0.111, 0.0)),
        (1.0, "now", "unit", (0.844, 0.400, 1e-4)),
    ],
)
def test_decoding_probabilities_are_those_of_the_paper(time, name, work, expected):
    p = subproduct_probability(scheme(name, time, work=work))
    np.testing.assert_allclose(p[[0, 1, 8]], expected, atol=5e-4)


def test_probabilities_without_a_closed_form_are_simulated():
    s = scheme("ew-factored", 1.0)
    with pytest.raises(NotImplementedError):
        uep.theory.loss(s.code, s.partition, s.workers, deadlines=[1.0])
    p = subproduct_probability(s)
    decoded = Draws(s)
    chunks = np.concatenate([decoded.chunk(0, number) for number in range(40)])
    assert np.all(np.abs(chunks.mean(axis=0) - p) <= 4 * np.sqrt(p * (1 - p) / len(chunks)) + 4 * 0.00035)


# --- LMMSE ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", ["unit", "true"])
def test_lmmse_loses_less_than_zero_filling_where_its_prior_holds(work):
    """Blocks of independent entries, so that sub-products are uncorrelated: mean squared errors over 300 realizations."""
    loss = {}
    for estimator in ("zero", "lmmse"):
        s = scheme("ew", 1.0, work=work, estimator=estimator, seed=8)
        draws = Draws(s)
        rng = np.random.default_rng(1)
        losses = []
        for step in range(300):
            a = rng.normal(size=(9, 15)) * np.repeat([5, 1, 0.2], 3)[:, None]
            b = rng.normal(size=(15, 9)) * np.repeat([5, 1, 0.2], 3)
            product = coded_product(torch.from_numpy(a), torch.from_numpy(b), draws, 1, step).numpy()
            losses.append(((product - a @ b) ** 2).sum())
        loss[estimator] = np.array(losses)
    gain = loss["zero"] - loss["lmmse"]
    assert gain.mean() > 4 * gain.std() / math.sqrt(gain.size)  # 4 standard errors


def test_lmmse_is_that_of_the_core():
    """With one entry per sub-product, whose energy is its score, uepgpu.multiply knows what the server knows."""
    a, b = np.diag(np.random.default_rng(1).uniform(1, 5, size=9)), np.eye(9)
    s = scheme("ew", 1.0, paradigm="cxr", estimator="lmmse", order=None)
    draws = Draws(s)
    part = uep.Partition.cxr(a, b, classes=s.partition.classes.reshape(9, 1), order=None)
    shared = {"deadline": 1.0, "seed": s.seed, "decoder": "lmmse", "prior": "energy", "keep": "product"}
    for step in range(10):
        theirs = uep.multiply(part, s.code, s.workers, **shared, first_realization=2**40 + step)
        mine = coded_product(torch.from_numpy(a), torch.from_numpy(b), draws, 1, step)
        np.testing.assert_allclose(mine, theirs.product[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(12, 20, 14), (3, 5, 4), (10, 9, 11)])
@pytest.mark.parametrize("order", ["norm", None])
def test_lmmse_mixes_the_tiles_that_the_weights_say(order, shape):
    """X̂ = E·X tile by tile, in float64 with loops, tiles of unequal sizes padded with zeros."""
    from uepgpu.products.coefficients import draw_packets
    from uepgpu.products.decoding_weights import lmmse_weights
    from uepgpu.train.draws import realization_number

    u, h, q = shape
    s = scheme("ew", 1.0, estimator="lmmse", order=order, seed=4)
    draws = Draws(s)
    for step in range(6):
        a, b = RNG.normal(size=(u, h)), RNG.normal(size=(h, q))
        rows, columns = order_of(order, (a, 0)), order_of(order, (b, 1))
        row_blocks, column_blocks = [rows[c] for c in cut(u, 3)], [columns[c] for c in cut(q, 3)]
        energy = np.array([(a[r] ** 2).sum() * (b[:, c] ** 2).sum() for r in row_blocks for c in column_blocks])
        plan, part = draws.plan_of(None, step)
        packets = draw_packets(plan, part, realization_number(0, step, 1), 1)
        weights = lmmse_weights(packets.coefficients, packets.arrived, np.diag(energy), np.zeros((1, 9), dtype=bool))[0][0]
        effect = weights @ packets.coefficients[0]
        tiles = np.zeros((9, -(-u // 3), -(-q // 3)))
        for k, (r, c) in enumerate((r, c) for r in row_blocks for c in column_blocks):
            tiles[k, : len(r), : len(c)] = a[r] @ b[:, c]
        expected = np.zeros((u, q))
        for k, (r, c) in enumerate((r, c) for r in row_blocks for c in column_blocks):
            expected[np.ix_(r, c)] = np.tensordot(effect[k], tiles, 1)[: len(r), : len(c)]
        mine = coded_product(torch.from_numpy(a), torch.from_numpy(b), draws, 1, step)
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-8)


def test_a_scheme_tells_what_it_cannot_do():
    code, count = CODES["ew"]
    workers = uep.Workers(count, omega="fair")
    for options, message in (
        ({"deadline": -1.0}, "deadline must be a finite number >= 0"),
        ({"paradigm": "rows"}, "paradigm must be one of 'rxc', 'cxr'"),
        ({"blocks": 3}, r"blocks must be two numbers \(N, P\) for rxc"),
        ({"paradigm": "cxr", "blocks": (3, 3)}, "blocks must be one number M for cxr"),
        ({"classes": (1, 2, 5)}, "classes must be sizes >= 1 that sum to K = 9"),
        ({"classes": "auto"}, "classes must be sizes or a table"),
        ({"classes": (4, 5)}, "gamma must give one probability per class"),
        ({"order": "size"}, "order must be one of"),
        ({"estimator": "mean"}, "estimator must be one of"),
        ({"p_min": 0.0}, "p_min must be a probability"),
        ({"threshold": -1.0}, "threshold must be a finite number >= 0"),
        ({"importance": "step", "estimator": "debiased"}, "needs importance='position'"),
        ({"importance": "step", "classes": [[1, 2, 3], [2, 3, 3], [3, 3, 3]]}, "classes must be sizes with importance='step'"),
        ({"seed": -1}, "seed must be an integer"),
        ({"workers": 15}, "workers must be a uepgpu.Workers"),
        ({"code": "ew"}, "code must be one from uepgpu.codes"),
        ({"code": uep.codes.Uncoded()}, "needs W = K = 9"),
    ):
        with pytest.raises(ValueError, match=message):
            Scheme(**{"code": code, "workers": workers, "deadline": 1.0} | options)
