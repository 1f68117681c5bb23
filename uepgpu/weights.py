"""Decoding weights: which combinations of received payloads give, or best estimate, each sub-product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lmmse_weights", "selected_weights"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Weights = tuple[Floats, Bools, Floats, Floats]
RANK_TOLERANCE = 1e-10


def selected_weights(coefficients: Floats, arrived: Bools, wanted: Bools, threads: int, *, compiled: bool) -> Weights:
    """Return weights (R, K, W) that give the wanted sub-products, and zero for the others.

    Also which sub-products floating point finds decodable (R, K), the Frobenius condition number of what was inverted (R,)
    and the residual (R,). `compiled` takes elimination in Numba, else NumPy's pseudo-inverse: the same sub-products from
    different, equally valid combinations.
    """
    if compiled:
        from uepgpu_kernels.cpu.weights import decoding_weights

        weights, found, condition, residual = decoding_weights(
            np.ascontiguousarray(coefficients), arrived.astype(np.uint8), wanted.astype(np.uint8), threads
        )
        return weights, found.astype(np.bool_), condition, residual
    received = coefficients * arrived[..., None]
    inverse: Floats = np.asarray(np.linalg.pinv(received, rcond=RANK_TOLERANCE), dtype=np.float64)  # (R, K, W)
    effect = inverse @ received
    found = np.abs(effect - np.eye(effect.shape[1])).max(axis=2) < 1e-7
    selected = inverse * wanted[..., None]
    return selected, found, *_quality(selected, received, wanted)


def lmmse_weights(coefficients: Floats, arrived: Bools, prior: Floats) -> Weights:
    """Return the weights ΣHᵀ(HΣHᵀ)⁺ of the best linear estimates, for sub-products of prior covariance Σ (K, K).

    As :func:`selected_weights` otherwise; nothing is set to zero. With Σ = L Lᵀ they are L (H L)⁺, which needs no inverse of
    the singular HΣHᵀ that surplus packets give.
    """
    values, vectors = np.linalg.eigh(prior)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    received = coefficients * arrived[..., None]
    weights = root @ np.linalg.pinv(received @ root, rcond=RANK_TOLERANCE)
    effect = weights @ received
    found = np.abs(effect - np.eye(effect.shape[1])).max(axis=2) < 1e-7
    condition, residual = _quality(weights, received, found)
    return weights, found, condition, residual


def _quality(weights: Floats, received: Floats, wanted: Bools) -> tuple[Floats, Floats]:
    """Return the product of Frobenius norms, and how far the wanted rows are from unit rows."""
    used = (weights != 0).any(axis=1)
    size = np.einsum("rwk,rwk,rw->r", received, received, used.astype(np.float64))
    condition = np.sqrt(size * np.einsum("rkw,rkw->r", weights, weights))
    error = np.abs(weights @ received - np.eye(received.shape[2])).max(axis=2)
    return condition, np.where(wanted, error, 0.0).max(axis=1)
