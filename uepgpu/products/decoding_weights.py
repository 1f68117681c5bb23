"""Decoding weights: which combinations of received payloads give, or best estimate, each sub-product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lmmse_weights", "selected_weights"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Weights = tuple[Floats, Bools, Floats, Floats]
RANK_TOLERANCE = 1e-10
PRIOR_TOLERANCE = 1e-13
"""Smaller than the former: singular values fall with the standard deviations of sub-products too, not with rank alone."""

SMALLEST_SHARE = 1e-6
"""Sub-products below this share of the largest one, in norm, are judged as if they had it."""


def selected_weights(coefficients: Floats, arrived: Bools, wanted: Bools, threads: int, *, compiled: bool) -> Weights:
    """Return weights (R, K, W) that give the wanted sub-products, and zero for the others.

    Also which sub-products floating point finds decodable (R, K), the Frobenius condition number of what was inverted (R,)
    and the residual (R,). `compiled` takes elimination in Numba, else NumPy's pseudo-inverse: the same sub-products from
    different, equally valid combinations.
    """
    if compiled:
        from uepgpu_kernels.cpu.decoding_weights import decoding_weights

        weights, found, condition, residual = decoding_weights(
            np.ascontiguousarray(coefficients), arrived.astype(np.uint8), wanted.astype(np.uint8), threads
        )
        return weights, found.astype(np.bool_), condition, residual
    received = coefficients * arrived[..., None]
    inverse: Floats = np.asarray(np.linalg.pinv(received, rcond=RANK_TOLERANCE), dtype=np.float64)  # (R, K, W)
    effect = inverse @ received
    found = np.abs(effect - np.eye(effect.shape[1])).max(axis=2) < 1e-7
    selected = inverse * wanted[..., None] * arrived[:, None, :]
    error = np.abs(selected @ received - np.eye(effect.shape[1])).max(axis=2)
    return selected, found, _condition(selected, received), np.where(wanted, error, 0.0).max(axis=1)


def lmmse_weights(coefficients: Floats, arrived: Bools, prior: Floats, decoded: Bools) -> Weights:
    """Return the weights ΣHᵀ(HΣHᵀ)⁺ of the best linear estimates, for sub-products of prior covariance Σ (K, K).

    As :func:`selected_weights` otherwise, with the residual over the `decoded` ones; nothing is set to zero. With Σ = L Lᵀ
    they are L (H L)⁺, which needs no inverse of the singular HΣHᵀ that surplus packets give. What counts as found, and the
    residual, are measured by the prior: the standard deviation that is left of a sub-product, relative to its own. A
    sub-product that the prior knows to be zero, or to follow from others, is estimated exactly by weights that are no decode.
    """
    values, vectors = np.linalg.eigh(prior)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    received = coefficients * arrived[..., None]
    weights: Floats = (root @ np.linalg.pinv(received @ root, rcond=PRIOR_TOLERANCE)) * arrived[:, None, :]
    left_over = (weights @ received - np.eye(received.shape[2])) @ root
    before = np.sqrt(np.einsum("kj,kj->k", root, root))
    # A prior of very unequal energies is known to the rounding of its largest entry only.
    scale = np.maximum(before, max(SMALLEST_SHARE * before.max(), np.finfo(np.float64).tiny))
    error = np.sqrt(np.einsum("rkj,rkj->rk", left_over, left_over)) / scale
    residual = np.where(decoded, error, 0.0).max(axis=1)
    return weights, error < 1e-7, _condition(weights, received), residual


def _condition(weights: Floats, received: Floats) -> Floats:
    """Return the Frobenius norm of the packets that are used times that of the weights, (R,)."""
    used = (weights != 0).any(axis=1)
    size = np.einsum("rwk,rwk,rw->r", received, received, used.astype(np.float64))
    return np.asarray(np.sqrt(size * np.einsum("rkw,rkw->r", weights, weights)), dtype=np.float64)
