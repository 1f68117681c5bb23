"""Sections about the rest of the library on a device against the CPU: real products, gradient coding, training."""

from __future__ import annotations

import numpy as np

import uepgpu as uep
from bench.gpu.notes import Notes, fastest
from bench.gpu.problems import BEYOND_32_BITS, GAMMA, SEED

__all__ = ["gradient", "multiply", "train"]


def multiply(notes: Notes) -> None:
    """Multiply real matrices in three precisions: the same sub-products are decoded as by NumPy, the loss is equal to rounding."""
    size = notes.size(3000 if notes.on_device and notes.share == 1 else 300, 60)
    rng = np.random.default_rng(1)
    part = uep.Partition.rxc(rng.normal(size=(size, size)), rng.normal(size=(size, size)), rows=3, cols=3, classes=(3, 3, 3))
    code, workers = uep.codes.ExpandingWindow(GAMMA), uep.Workers(30)
    for dtype in ("float64", "float32", "float16"):
        with notes.step(dtype):

            def run(backend: str, dtype: str = dtype) -> uep.Product:
                asked = {"deadline": 1.0, "realizations": 4, "seed": SEED, "faithful": True}
                return uep.multiply(part, code, workers, dtype=dtype, backend=backend, **asked)

            ours, theirs = run(notes.backend), run("numpy")
            with notes.device():
                took = fastest(lambda run=run: run(notes.backend), 2)
            cpu = fastest(lambda run=run: run("numpy"), 1)
            gap = float(np.max(np.abs(ours.loss - theirs.loss)) / np.max(theirs.loss))
            same = bool(np.array_equal(ours.decoded, theirs.decoded))
            figures = {"seconds": took, "cpu_seconds": cpu, "ratio": cpu / took, "relative_gap": gap, "stages": ours.seconds}
            notes.say(f"{dtype}, {size} x {size}", ok=gap < 1e-2 and same, **figures)


def gradient(notes: Notes) -> None:
    """Run gradient coding: draws are those of the CPU, errors too, to rounding."""
    from uepgpu import gradient_coding as gc

    table = gc.gaussian(rows=4000, columns=60, noise=0.1, seed=1)
    problem = gc.Problem(table.A, table.b, blocks=60)
    iterations = notes.size(40, 4)
    n = notes.size(int((2048 if notes.on_device else 128) * max(notes.share, 0.25)), 2)
    for scheme in (gc.ReplicatedSketch(10), gc.CyclicCode(5), gc.StochasticBlocks(20)):
        name = type(scheme).__name__
        with notes.step(name):

            def run(backend: str, scheme: object = scheme) -> object:
                return gc.descend(
                    problem, scheme, uep.Workers(60), iterations=iterations, realizations=n, seed=SEED, backend=backend
                )

            def draw(backend: str, scheme: object = scheme) -> object:
                asked = {"iterations": iterations, "realizations": min(n, 256), "first_realization": BEYOND_32_BITS, "seed": SEED}
                return gc.draw_sketches(problem, scheme, uep.Workers(60), **asked, backend=backend)

            ours, theirs = run(notes.backend), run("numba")
            with notes.device():
                took = fastest(lambda run=run: run(notes.backend), 1)
                drawn, wanted = (draw(backend) for backend in (notes.backend, "numba"))
            cpu = fastest(lambda run=run: run("numba"), 1)
            error = np.abs(theirs.error.values)
            gap = float(np.nanmax(np.abs(ours.error.values - theirs.error.values) / np.maximum(error, 1e-9)))
            notes.say(f"{name}: draws", ok=bool(drawn.identical(wanted)))
            notes.say(name, ok=gap < 1e-6, realizations=n, seconds=took, cpu_seconds=cpu, ratio=cpu / took, relative_gap=gap)


def train(notes: Notes) -> None:
    """Train eight replicas ten steps on the device and on the CPU: weights are equal to rounding."""
    import torch

    from uepgpu.train.networks import Network
    from uepgpu.train.replicas import Member, Stack
    from uepgpu.train.scheme import Scheme

    widths, replicas, where = (784, 100, 200, 10), notes.size(8, 2), notes.torch_device
    scheme = Scheme(uep.codes.Uncoded(), uep.Workers(9, latency=uep.latency.Exponential(0.5)), deadline=2.0)
    members = [Member(scheme, r) for r in range(replicas)]
    x, y = torch.rand(replicas, 64, 784), torch.randint(0, 10, (replicas, 64))
    ours, cpu = (Stack(Network((784,), widths), members, seed=1, rate=0.1, device=device) for device in (where, "cpu"))
    xd, yd = x.to(where), y.to(where)
    for _ in range(10):
        ours.train(xd, yd)
        cpu.train(x, y)
    gap = max(float((a.cpu() - b).abs().max()) for a, b in zip(ours.weights, cpu.weights, strict=True))
    steps = 20 if notes.share == 1 else 5
    with notes.device():
        took = fastest(lambda: [ours.train(xd, yd) for _ in range(steps)][-1].cpu()) / steps  # which waits for the device
    slow = fastest(lambda: [cpu.train(x, y) for _ in range(steps)], 2) / steps
    figures = {"step_milliseconds": 1e3 * took, "cpu_step_milliseconds": 1e3 * slow, "ratio": slow / took, "gap": gap}
    notes.say(f"{replicas} x {widths}", ok=gap < 1e-3, **figures)
