"""Coded training steps of the MNIST network, 784-100-200-10, batch 64, as ratios in one run. Answers are checked, times reported.

EW and uncoded with the paper's workers, at its default deadline .5 and its longest, 2. Data are made up, as sparse as MNIST's.
"""

from __future__ import annotations

import numpy as np
import pytest

from bench.turns import Contestant, take_turns

torch = pytest.importorskip("torch", reason='PyTorch is not installed: pip install "uepgpu[train]"')

import uepgpu as uep  # noqa: E402 - after the check that PyTorch is there
from uepgpu.train import Member, Scheme, Stack, coded  # noqa: E402
from uepgpu.train.networks import MNIST  # noqa: E402

R, BATCH, RATE = 16, 64, 0.01
LATENCY = uep.latency.Exponential(0.5)
CODES = {
    "ew": (uep.codes.ExpandingWindow((0.45, 0.35, 0.20)), uep.Workers(15, latency=LATENCY, work="unit", omega="fair")),
    "uncoded": (uep.codes.Uncoded(), uep.Workers(9, latency=LATENCY, work="unit", omega="fair")),
}
CASES = [(name, paradigm, deadline) for name in CODES for paradigm in ("rxc", "cxr") for deadline in (0.5, 2.0)]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batches():
    made = torch.Generator().manual_seed(1)
    x = torch.rand(R, BATCH, 784, generator=made) * (torch.rand(R, BATCH, 784, generator=made) < 0.19)
    return x, torch.randint(0, 10, (R, BATCH), generator=made)


def stepper(model, x, y):
    """One step as PyTorch users write it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def drop_in(case, replica=0):
    name, paradigm, deadline = case
    code, workers = CODES[name]
    return coded(MNIST.build(seed=1, replica=replica), code, workers, deadline, seed=1, paradigm=paradigm, replica=replica)


def repeated(call, times):
    def many():
        for _ in range(times):
            call()

    return many


def test_a_coded_step_against_a_plain_one(benchmark, table):
    x, y = batches()
    steps = 40
    calls = {"plain PyTorch": stepper(MNIST.build(seed=1, replica=0), x[0], y[0])}
    calls |= {f"{name}, {p}, deadline {d:g}": stepper(drop_in((name, p, d)), x[0], y[0]) for name, p, d in CASES}
    timings = take_turns([Contestant(name, repeated(call, steps), steps) for name, call in calls.items()], rounds=15)
    plain = timings["plain PyTorch"]
    ratios = {name: 1 / t.ratio(plain) for name, t in timings.items()}
    lines = [f"{name:36s} {1e6 / t.rate:9.0f} us   {ratios[name]:5.2f} x" for name, t in timings.items()]
    table("A coded training step of the MNIST network, one core, against plain PyTorch (wanted <= 1.8 x)", lines)
    benchmark.extra_info["ratios"] = ratios
    benchmark.pedantic(calls["ew, rxc, deadline 0.5"], rounds=20)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] == "ew"], ids=lambda c: f"{c[0]}, {c[1]}, deadline {c[2]:g}")
def test_replicas_at_once_against_one_after_another(benchmark, table, case):
    x, y = batches()
    name, paradigm, deadline = case
    code, workers = CODES[name]
    scheme = Scheme(code, workers, deadline, paradigm, seed=1)
    models = [drop_in(case, r) for r in range(R)]
    singly = [stepper(model, x[r], y[r]) for r, model in enumerate(models)]
    stacks = [Stack(MNIST, [Member(scheme, r)], seed=1, rate=RATE) for r in range(R)]
    stack = Stack(MNIST, [Member(scheme, r) for r in range(R)], seed=1, rate=RATE)
    calls = {
        "one after another, drop-in layers": lambda: [step() for step in singly],
        "one after another, stacks of one": lambda: [s.train(x[r : r + 1], y[r : r + 1]) for r, s in enumerate(stacks)],
        "all at once": lambda: stack.train(x, y),
    }
    for call in calls.values():
        call()
    for r, model in enumerate(models):  # they take the same step
        np.testing.assert_allclose(stack.weights[0][r], model[0].weight.detach(), rtol=0, atol=1e-5)
    timings = take_turns([Contestant(n, repeated(call, 5), 5.0 * R) for n, call in calls.items()], rounds=11)
    together = timings["all at once"]
    ratios = {n: together.ratio(t) for n, t in timings.items()}
    lines = [f"{n:36s} {t.rate:9.0f} steps/s   {ratios[n]:5.2f} x slower" for n, t in timings.items()]
    table(f"{R} coded replicas of the MNIST network, one core: {name}, {paradigm}, deadline {deadline:g} (wanted >= 2.5 x)", lines)
    benchmark.extra_info["ratios"] = ratios
    benchmark.pedantic(calls["all at once"], rounds=10)
