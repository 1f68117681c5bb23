"""Make ``backprop.npz``: the two factors of a dense layer's weight gradient, from a network trained on the UCI digits.

Run ``python tools/make_backprop.py``; it needs scikit-learn, for its bundled copy of the digits only, and writes
``uepgpu/specification/specs/backprop.npz``.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LAYERS = (64, 96, 48, 10)
BATCH = 64
STEPS = 20
RATE = 0.1
SEED = 2021


def softmax(z: Floats) -> Floats:
    """Return row-wise probabilities, shape of `z`."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def forward(weights: list[Floats], biases: list[Floats], x: Floats) -> list[Floats]:
    """Return the input of every layer and the logits of a ReLU network."""
    activations = [x]
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z = activations[-1] @ w + b
        activations.append(z if i == len(weights) - 1 else np.maximum(z, 0.0))
    return activations


def backward(weights: list[Floats], activations: list[Floats], labels: NDArray[np.int64]) -> list[Floats]:
    """Return delta, the gradient of the mean cross-entropy by the layer's output, of every layer."""
    delta = softmax(activations[-1])
    delta[np.arange(labels.size), labels] -= 1.0
    deltas = [delta / labels.size]
    for w, a in zip(reversed(weights[1:]), reversed(activations[1:-1]), strict=True):
        deltas.append((deltas[-1] @ w.T) * (a > 0))
    return deltas[::-1]


def main() -> None:
    """Train for a few steps, then keep the factors of the middle layer's gradient on the next batch."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = digits.data / 16.0, digits.target.astype(np.int64)
    rng = np.random.default_rng(SEED)
    weights = [rng.normal(scale=np.sqrt(2 / m), size=(m, n)) for m, n in itertools.pairwise(LAYERS)]
    biases = [np.zeros(n) for n in LAYERS[1:]]
    order = rng.permutation(len(y))
    for step in range(STEPS + 1):
        batch = order[step * BATCH : (step + 1) * BATCH]
        activations = forward(weights, biases, x[batch])
        deltas = backward(weights, activations, y[batch])
        if step == STEPS:
            break
        for w, b, a, d in zip(weights, biases, activations, deltas, strict=False):
            w -= RATE * (a.T @ d)
            b -= RATE * d.sum(axis=0)
    np.savez_compressed(
        Path(__file__).parents[1] / "uepgpu" / "specification" / "specs" / "backprop.npz",
        inputs_transposed=activations[1].T.astype(np.float32),
        delta=deltas[1].astype(np.float32),
    )


if __name__ == "__main__":
    main()
