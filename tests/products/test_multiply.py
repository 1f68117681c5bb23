"""Coded products: what everything received gives back, what a part of it gives, and that both agree with theory and tally."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.products import CASES, CODES, EW, GAMMA, NOW, factors, partition, zero_filled
from uepgpu.monte_carlo import decode_times

DEADLINES = {"now level-pair": 1.5}
ONCE = [(name, paradigm) for name, paradigm in CASES if paradigm == ("cxr" if "stacked" in name else "rxc")]


def problem(name, paradigm, order="norm"):
    code, count = CODES[name]
    return partition(paradigm, *factors(), order), code, uep.Workers(count, omega=1.0, work="unit")


def relative(product, exact):
    """Frobenius errors of products (R, U, Q)."""
    return np.linalg.norm(product - exact, axis=(1, 2)) / np.linalg.norm(exact)


# --- everything received ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["norm", "mean_abs", None])
@pytest.mark.parametrize(("name", "paradigm"), CASES)
def test_everything_received_gives_the_product(name, paradigm, order):
    A, B = factors()
    part, code, workers = problem(name, paradigm, order)
    checked = 0
    for faithful in (False, True):
        for backend in ("numba", "numpy"):
            result = uep.multiply(
                part, code, workers, deadline=math.inf, realizations=4, seed=1, keep="product", faithful=faithful, backend=backend
            )
            assert result.arrived.all()
            whole = result.decoded.all(axis=1)
            checked += whole.sum()
            assert np.all(relative(result.product[whole], A @ B) < 1e-10)
            assert not result.flagged.any()
    assert checked >= 4  # windows are drawn, so that not every realization decodes


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("shape", [(3, 9, 3), (40, 9, 11), (3, 50, 70), (20, 31, 4)])
def test_any_shape_that_can_be_cut(paradigm, shape):
    A, B = factors(*shape)
    part = partition(paradigm, A, B)
    for faithful in (False, True):
        result = uep.multiply(
            part, uep.codes.MDS(), uep.Workers(12, omega="fair"), deadline=math.inf, seed=2, keep="product", faithful=faithful
        )
        assert result.product.shape == (1, *(A @ B).shape)
        assert np.all(relative(result.product, A @ B) < 1e-10)


def test_one_block_and_many():
    A, B = factors()
    one = uep.Partition.rxc(A, B, rows=1, cols=1, classes=(1,))
    result = uep.multiply(one, uep.codes.Uncoded(), uep.Workers(1, omega="fair"), deadline=math.inf, seed=1, keep="product")
    assert np.all(relative(result.product, A @ B) < 1e-10)
    many = uep.Partition.rxc(A, B, rows=8, cols=9, classes=(12, 60))  # beyond the 64 bits of a mask
    result = uep.multiply(many, uep.codes.MDS(), uep.Workers(80, omega="fair"), deadline=math.inf, seed=1, keep="product")
    assert np.all(relative(result.product, A @ B) < 1e-10)


# --- a part received --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "paradigm"), ONCE)
def test_the_decoded_set_is_the_tallys_realization_by_realization(name, paradigm):
    part, code, workers = problem(name, paradigm)
    n, seed, deadline = 100_000, 11, DEADLINES.get(name, 0.6)
    result = uep.multiply(part, code, workers, deadline=deadline, realizations=n, seed=seed)
    times = decode_times(code, part, workers, deadlines=[deadline], realizations=n, seed=seed)
    tally = uep.simulate(code, part, workers, deadlines=[deadline], realizations=n, seed=seed)
    assert np.array_equal(result.decoded, times == 0)
    patterns = result.decoded_classes @ (1 << np.arange(3))
    assert np.array_equal(np.bincount(patterns, minlength=8), tally.counts.sum(axis=0)[0])
    # Floating point, asked by itself what it can decode, says the same; and what it decoded is right: the loss is that of
    # zero-filling. Its error is rounding times the condition number, which reaches 1e7 in 10⁵ realizations.
    assert result.disagreements == 0
    assert not result.flagged.any()
    assert np.abs(result.loss - zero_filled(part, times > 0)).max() <= 1e-10 * part.norm2
    assert 0.001 < result.normalized_loss.mean() < 0.9


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("name", ["now free", "ew stacked", "ew nested", "lt", "mds free", "repetition"])
def test_decodable_tiles_are_exact_and_the_others_zero(name, faithful):
    A, B = factors(3, 4, 3)
    part, (code, count) = partition("rxc", A, B, order=None), CODES[name]
    n = 5_000
    result = uep.multiply(
        part, code, uep.Workers(count, omega="fair"), deadline=2.0, realizations=n, seed=5, keep="product", faithful=faithful
    )
    expected = np.where(result.decoded.reshape(n, 3, 3), A @ B, 0.0)
    assert np.all(np.abs(result.product - expected) <= 1e-8 * np.abs(A @ B).max())
    assert np.all(result.product[~result.decoded.reshape(n, 3, 3)] == 0)


@pytest.mark.parametrize(("name", "paradigm"), CASES)
def test_the_faithful_path_the_fast_one_and_both_backends_agree(name, paradigm):
    part, code, workers = problem(name, paradigm)
    runs = [
        uep.multiply(part, code, workers, deadline=0.5, realizations=40, seed=3, keep="product", faithful=f, backend=b)
        for f in (False, True)
        for b in ("numba", "numpy")
    ]
    for run in runs[1:]:
        assert np.array_equal(run.decoded, runs[0].decoded)
        assert np.array_equal(run.arrived, runs[0].arrived)
        # Rounding times condition numbers of up to 1e5 in 40 realizations.
        np.testing.assert_allclose(run.product, runs[0].product, rtol=0, atol=1e-9 * np.abs(runs[0].product).max())
        np.testing.assert_allclose(run.loss, runs[0].loss, rtol=0, atol=1e-9 * part.norm2)


@pytest.mark.parametrize("order", ["norm", "mean_abs", None])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_the_loss_is_that_of_the_product_in_the_users_order(paradigm, order):
    A, B = factors()
    part, code, workers = problem("ew stacked", paradigm, order)
    for options in ({}, {"decoder": "lmmse"}, {"faithful": True, "noise": 0.01}, {"dtype": "float32"}):
        kept = uep.multiply(part, code, workers, deadline=0.4, realizations=30, seed=9, keep="product", **options)
        loss = np.sum((A @ B - kept.product) ** 2, axis=(1, 2))
        np.testing.assert_allclose(kept.loss, loss, rtol=1e-9, atol=1e-12 * part.norm2)
        without = uep.multiply(part, code, workers, deadline=0.4, realizations=30, seed=9, **options)
        np.testing.assert_allclose(without.loss, loss, rtol=1e-9, atol=1e-12 * part.norm2)


def test_peeling_decodes_what_the_tallys_peeling_does():
    part, code, workers = problem("lt", "cxr")
    n = 3_000
    peeled = uep.multiply(part, code, workers, deadline=0.4, realizations=n, seed=2, decoder="peel")
    times = decode_times(code, part, workers, deadlines=[0.4], realizations=n, seed=2, decoder="peel")
    linear = uep.multiply(part, code, workers, deadline=0.4, realizations=n, seed=2)
    assert np.array_equal(peeled.decoded, times == 0)
    assert np.all(peeled.decoded <= linear.decoded)
    assert peeled.decoded.sum() < linear.decoded.sum()
    assert np.abs(peeled.loss - zero_filled(part, times > 0)).max() <= 1e-10 * part.norm2


# --- chunks and ranges ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"decoder": "lmmse"}, {"faithful": True, "noise": 0.1}, {"dtype": "float16"}])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_neither_chunks_nor_ranges_change_a_realization(paradigm, options):
    part, code, workers = problem("ew stacked", paradigm)
    kwargs = {"deadline": 0.5, "seed": 2**63 + 5, "keep": "product"} | options
    whole = uep.multiply(part, code, workers, realizations=12, **kwargs)
    least = 12 * 31 * 37 * 8  # the result itself must fit
    small = uep.multiply(part, code, workers, realizations=12, max_memory=least, **kwargs)
    pieces = [uep.multiply(part, code, workers, realizations=n, first_realization=i, **kwargs) for i, n in ((0, 5), (5, 1), (6, 6))]
    for name in ("decoded", "arrived", "flagged"):
        assert np.array_equal(getattr(whole, name), getattr(small, name))
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(p, name) for p in pieces]))
    # Products of other batch sizes are summed in another order.
    atol = {"float16": 1e-2}.get(options.get("dtype"), 1e-9) * np.abs(whole.product).max()
    np.testing.assert_allclose(small.product, whole.product, rtol=0, atol=atol)
    np.testing.assert_allclose(np.concatenate([p.product for p in pieces]), whole.product, rtol=0, atol=atol)


@pytest.mark.parametrize("options", [{}, {"decoder": "lmmse"}, {"faithful": True, "noise": 0.1}, {"dtype": "float16"}])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_products_are_kept_within_the_memory_asked_for(paradigm, options):
    """The result is most of it; joining copies of chunks would take it twice."""
    rng = np.random.default_rng(0)
    part = partition(paradigm, rng.normal(size=(60, 45)), rng.normal(size=(45, 60)))
    result = 400 * 60 * 60 * 8
    memory = result * 3 // 2
    call = {"deadline": 0.6, "seed": 1, "keep": "product", "max_memory": memory, **options}
    workers = uep.Workers(30, omega=1.0, work="unit")
    uep.multiply(part, EW(GAMMA), workers, realizations=2, **call)  # compiles
    tracemalloc.start()
    try:
        product = uep.multiply(part, EW(GAMMA), workers, realizations=400, **call).product
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert product.nbytes == result
    assert peak < memory


def test_realization_numbers_up_to_the_last():
    part, code, workers = problem("ew free", "rxc")
    last = 2**64 - 3
    for options in ({}, {"faithful": True, "noise": 0.1}):
        result = uep.multiply(part, code, workers, deadline=0.5, realizations=3, seed=1, first_realization=last, **options)
        tail = uep.multiply(part, code, workers, deadline=0.5, realizations=1, seed=1, first_realization=last + 2, **options)
        assert tail.loss[0] == pytest.approx(result.loss[2], rel=1e-9, abs=1e-12 * part.norm2)


# --- theory and tally -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("code", [NOW(GAMMA), EW(GAMMA), uep.codes.MDS()], ids=["now", "ew", "mds"])
@pytest.mark.parametrize("work", ["unit", "true"])
def test_mean_losses_agree_with_theory(code, paradigm, work):
    part = partition(paradigm, *factors())
    workers = uep.Workers(30, omega=1.0, work=work)
    charge = workers.charge(code.law(part, 30).work).max()
    deadlines = np.array([0.2, 0.35, 0.5]) * charge  # where everything is sometimes decoded, and sometimes not
    exact = uep.theory.loss(code, part, workers, deadlines=deadlines).loss.values
    for t, expected in zip(deadlines, exact, strict=True):
        loss = uep.multiply(part, code, workers, deadline=t, realizations=20_000, seed=23).loss
        assert abs(loss.mean() - expected) <= 4 * loss.std(ddof=1) / math.sqrt(loss.size) + 1e-12 * part.norm2


@pytest.mark.parametrize(("name", "paradigm"), CASES)
def test_mean_losses_equal_the_tallys_of_the_same_seed(name, paradigm):
    part, code, workers = problem(name, paradigm)
    result = uep.multiply(part, code, workers, deadline=0.5, realizations=4_000, seed=8)
    tally = uep.simulate(code, part, workers, deadlines=[0.5], realizations=4_000, seed=8)
    assert result.loss.mean() == pytest.approx(float(tally.loss(part).loss[0]), rel=1e-9, abs=1e-12 * part.norm2)


def test_a_summary_has_means_and_errors():
    part, code, workers = problem("ew free", "rxc")
    result = uep.multiply(part, code, workers, deadline=0.4, realizations=2_000, seed=8)
    summary = result.summary()
    assert float(summary.normalized_loss) == pytest.approx(result.normalized_loss.mean())
    assert float(summary.loss_stderr) == pytest.approx(result.loss.std(ddof=1) / math.sqrt(2_000))
    assert summary.decoding_probability.values.tolist() == result.decoded_classes.mean(axis=0).tolist()
    assert float(summary.arrived) == result.arrived.sum() / 2_000
    one = uep.multiply(part, code, workers, deadline=0.4, realizations=1, seed=8).summary()
    assert math.isnan(float(one.loss_stderr))
    assert set(result.seconds) == {"encode", "multiply", "decode"}
    assert all(value > 0 for value in result.seconds.values())


def test_infinity_waits_for_every_worker_however_heavy_the_tail():
    A, B = factors()
    for law in (uep.latency.Pareto(0.001), uep.latency.Weibull(0.001)):
        workers = uep.Workers(14, latency=law, omega="fair")
        for forever in (math.inf, np.float32(math.inf)):
            assert uep.multiply(
                partition("rxc", A, B), uep.codes.MDS(), workers, deadline=forever, realizations=50, seed=1
            ).arrived.all()
