"""Coded products of real matrices, as ratios in one run: A and B 900×900, K = 9, W = 30. Answers are checked, times reported."""

from __future__ import annotations

import numpy as np
import pytest

import uepgpu as uep
from bench.turns import Contestant, take_turns
from uepgpu.backends import find_place
from uepgpu.products.payloads import FactorBlocks
from uepgpu_kernels.dense import products as dense

RNG = np.random.default_rng(1)
A, B = RNG.normal(size=(900, 900)), RNG.normal(size=(900, 900))
RXC = uep.Partition.rxc(A, B, rows=3, cols=3, classes=(3, 3, 3))
CODE = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25))
WORKERS = uep.Workers(30, omega=1.0, work="unit")


def multiply(realizations, **options):
    return uep.multiply(RXC, CODE, WORKERS, deadline=0.6, realizations=realizations, seed=7, backend="numba", **options)


def test_a_thousand_realizations_against_one_exact_product(benchmark, table):
    exact = float(uep.theory.loss(CODE, RXC, WORKERS, deadlines=[0.6]).loss[0])
    loss = multiply(20_000).loss
    assert abs(loss.mean() - exact) <= 4 * loss.std() / np.sqrt(loss.size)
    names = ("A·B, once", "1 realization, keep='loss'", "1,001 realizations, keep='loss'")
    calls = (lambda: A @ B, lambda: multiply(1), lambda: multiply(1001))
    timings = take_turns([Contestant(name, call, 1.0) for name, call in zip(names, calls, strict=True)], rounds=15)
    product, one, many = (np.array([1 / r for r in timings[name].rates]) for name in names)
    ratio = float(np.median((many - one) / product))
    lines = [f"{name:44s} {1e3 / timings[name].rate:9.2f} ms" for name in names]
    lines.append(f"{'1,000 realizations / one A·B':44s} {ratio:9.2f}      (wanted <= 3)")
    table("Coded product, 900x900, K = 9, W = 30: realizations once the sub-products are known", lines)
    benchmark.extra_info["ratios"] = {"1,000 realizations / one A·B": ratio}
    benchmark.pedantic(multiply, args=(1001,), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("encoding", ["free", "stacked", "factored"])
def test_the_faithful_path_against_one_batched_product(benchmark, table, encoding):
    n = {"free": 3, "stacked": 2, "factored": 8}[encoding]  # the sub-products, formed once, are to be a small part
    code = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25), encoding=encoding)
    call = {"deadline": 0.6, "realizations": n, "seed": 7, "backend": "numba"}
    fast = uep.multiply(RXC, code, WORKERS, **call)
    faithful = uep.multiply(RXC, code, WORKERS, **call, faithful=True)
    np.testing.assert_allclose(faithful.loss, fast.loss, rtol=0, atol=1e-9 * RXC.norm2)
    work = block_products(code, faithful.arrived)
    wide, tall = RNG.normal(size=(work, 300, 900)), RNG.normal(size=(work, 900, 300))
    flops = 2.0 * work * 300 * 900 * 300
    plain = f"one batched GEMM, {work} block products"
    names = {plain: lambda: np.matmul(wide, tall), "faithful path": lambda: uep.multiply(RXC, code, WORKERS, **call, faithful=True)}
    timings = take_turns([Contestant(name, f, flops) for name, f in names.items()], rounds=5)
    ratio = timings["faithful path"].ratio(timings[plain])
    lines = [f"{name:44s} {timings[name].rate / 1e9:9.1f} Gflop/s" for name in names]
    lines.append(f"{'faithful / plain':44s} {100 * ratio:9.0f} %    (wanted >= 60 %)")
    table(f"Faithful path, {encoding} encoding: sub-products, encoding, decoding and losses included", lines)
    benchmark.extra_info["ratios"] = {"faithful / plain": ratio}
    benchmark.pedantic(names["faithful path"], rounds=1)


def block_products(code, arrived):
    """Block products that the workers of the arrived packets form: the sum of their true works."""
    from uepgpu.plan import make_plan
    from uepgpu.products.coefficients import draw_packets

    law = code.law(RXC, 30)
    work = {support.tobytes(): int(r) for support, r in zip(law.supports, law.work, strict=True)}
    packets = draw_packets(make_plan(code, RXC, WORKERS, seed=7, deadlines=[0.6]), RXC, 0, len(arrived))
    return sum(work[support.tobytes()] for support in packets.support[packets.arrived])


def test_encoding_as_one_product_against_a_loop_over_workers(benchmark, table):
    blocks = FactorBlocks.of(RXC, find_place("numpy").xp).left
    coefficients = RNG.normal(size=(30, 3))

    def one():
        return dense.encode(np, coefficients, blocks)

    def loop():
        return np.stack([sum(c * block for c, block in zip(row, blocks, strict=True)) for row in coefficients])

    np.testing.assert_allclose(one(), loop(), atol=1e-12)
    names = {"loop over 30 workers": loop, "one product": one}
    timings = take_turns([Contestant(name, f, 30.0) for name, f in names.items()], rounds=9)
    base = timings["loop over 30 workers"]
    lines = [f"{name:44s} {1e3 * 30 / t.rate:9.2f} ms   {t.ratio(base):6.2f} x" for name, t in timings.items()]
    table("Encoding the left factors of 30 packets, 3 blocks of 300x900", lines)
    benchmark.pedantic(one, rounds=5)
