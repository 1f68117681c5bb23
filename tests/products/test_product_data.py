"""Coded products of real data: the factors of a network's weight gradients on the UCI digits, and on MNIST where it is."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.products import EW, GAMMA, NOW, partition

DIGITS = Path(uep.__file__).parent / "specification" / "specs" / "backprop.npz"
MNIST = Path(uep.__file__).parents[2] / "shared" / "data" / "mnist"


def digits():
    with np.load(DIGITS) as file:
        return file["inputs_transposed"].astype(np.float64), file["delta"].astype(np.float64)


def idx(name, header):
    """Read a gzipped IDX file of bytes."""
    with gzip.open(MNIST / name) as file:
        return np.frombuffer(file.read()[header:], dtype=np.uint8)


def mnist():
    """Xᵀ and δ of the first layer of a 784-100-10 network, after a few steps of gradient descent on batches of 64 images."""
    if not (MNIST / "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"no MNIST files in {MNIST}")
    images = idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784) / 255.0
    labels = np.eye(10)[idx("t10k-labels-idx1-ubyte.gz", 8)]
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(784, 100)) * 0.05, rng.normal(size=(100, 10)) * 0.1
    for step in range(30):
        x, y = images[64 * step : 64 * step + 64], labels[64 * step : 64 * step + 64]
        hidden = np.maximum(x @ first, 0)
        score = np.exp(hidden @ second)
        error = score / score.sum(axis=1, keepdims=True) - y
        delta = (error @ second.T) * (hidden > 0)
        second -= 0.01 * hidden.T @ error
        first -= 0.01 * x.T @ delta
    return x.T, delta


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("source", [digits, mnist])
def test_gradient_factors(source, paradigm):
    A, B = source()
    part, exact = partition(paradigm, A, B), A @ B
    assert (np.linalg.norm(A, axis=1) == 0).any()  # pixels that no image of the batch uses
    workers = uep.Workers(30, omega=1.0, work="unit")
    for code in (NOW(GAMMA), EW(GAMMA), uep.codes.MDS()):
        for faithful in (False, True):
            everything = {"deadline": math.inf, "realizations": 2, "seed": 3, "keep": "product", "faithful": faithful}
            for decoder in ("linear", "lmmse"):
                result = uep.multiply(part, code, workers, decoder=decoder, **everything)
                whole = result.decoded.all(axis=1)
                assert whole.any()
                assert np.all(np.linalg.norm(result.product[whole] - exact, axis=(1, 2)) < 1e-10 * np.linalg.norm(exact))
                assert not result.flagged.any()
        for t in (0.2, 0.35):
            loss = uep.multiply(part, code, workers, deadline=t, realizations=10_000, seed=4).loss
            expected = float(uep.theory.loss(code, part, workers, deadlines=[t]).loss[0])
            assert abs(loss.mean() - expected) <= 4 * loss.std(ddof=1) / math.sqrt(loss.size)
            best = uep.multiply(part, code, workers, deadline=t, realizations=500, seed=4, decoder="lmmse")
            assert np.all(best.loss <= loss[:500] + 1e-9 * part.norm2)
            assert not best.flagged.any()
