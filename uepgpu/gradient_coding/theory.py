"""Closed forms of sketched gradients: variances, the finite-population factor, the embedding bound (docs/mathematics.md §8)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import integer, integer_array, positive, probability, probability_vector, real_array, shown

__all__ = [
    "debiased_loss",
    "embedding_error",
    "embedding_samples",
    "fastest_variance",
    "finite_population_factor",
    "overlap",
    "sampling_variance",
]

Floats = NDArray[np.float64]


def _blocks(name: str, value: Any) -> Floats:
    gradients = real_array(name, value)
    if gradients.ndim != 2:
        raise ValueError(f"{name} must have shape (blocks, d), got shape {gradients.shape}")
    return gradients


def _basis(basis: Any, bounds: Any) -> list[Floats]:
    """Return the blocks of rows of a basis."""
    U, edges = real_array("basis", basis), integer_array("bounds", bounds)
    if U.ndim != 2 or U.size == 0 or not np.all(np.isfinite(U)):
        raise ValueError(f"basis must be finite numbers of shape (n, d), got {shown(basis)}")
    if edges.ndim != 1 or edges.size < 2 or edges[0] != 0 or edges[-1] != len(U) or np.any(np.diff(edges) < 1):
        raise ValueError(f"bounds must rise from 0 to the {len(U)} rows of basis, got {shown(bounds)}")
    return [U[a:b] for a, b in itertools.pairwise(edges)]


def sampling_variance(gradients: Any, law: Any, samples: int) -> float:
    """Return E‖ĝ − g‖² = (1/q)(Σ‖g_ι‖²/Π_ι − ‖g‖²) of q blocks drawn with replacement.

    Parameters
    ----------
    gradients : array_like, shape (K, d)
        Block gradients g_ι; g is their sum.
    law : array_like, shape (K,)
        Π; zero only where the gradient is zero.
    samples : int
        q.

    Examples
    --------
    >>> sampling_variance([[1.0], [3.0]], [0.25, 0.75], 2)  # in proportion to one-dimensional gradients: no variance
    0.0
    """
    g = _blocks("gradients", gradients)
    p = np.asarray(probability_vector("law", law))
    square = np.einsum("kd,kd->k", g, g)
    if p.size != square.size or np.any((p == 0) & (square > 0)):
        raise ValueError("law must give every block with a gradient a probability > 0")
    total = g.sum(axis=0)
    return float((np.sum(square[p > 0] / p[p > 0]) - total @ total) / integer("samples", samples, 1))


def fastest_variance(gradients: Any, replicas: Any, fastest: int) -> float:
    """Return E‖ĝ − g‖² = (S²/q)(1 − q/R) of the q fastest of R servers, S² being the sample variance of g_ι R/r_ι over servers.

    Parameters
    ----------
    gradients : array_like, shape (K, d)
    replicas : array_like of int, shape (K,)
        r_ι >= 1; R is their sum.
    fastest : int
        q, 1..R.

    Examples
    --------
    >>> fastest_variance([[1.0], [3.0]], [1, 1], 2)  # everybody answers
    0.0
    """
    g, r = _blocks("gradients", gradients), integer_array("replicas", replicas)
    if r.shape != (len(g),) or np.any(r < 1):
        raise ValueError(f"replicas must be one number >= 1 per block, {len(g)} of them, got {r.tolist()}")
    servers = int(r.sum())
    q = integer("fastest", fastest, 1)
    if q > servers:
        raise ValueError(f"fastest must be at most the {servers} servers, got {q}")
    if servers == 1:
        return 0.0
    mine = g * (servers / r)[:, None]
    spread = np.sum(r * np.sum((mine - g.sum(axis=0)) ** 2, axis=1)) / (servers - 1)
    return float(spread / q * (1 - q / servers))


def finite_population_factor(servers: int, fastest: int) -> float:
    """Return (R − q)/(R − 1): the variance of the q fastest of R servers relative to q draws with replacement from r/R.

    Examples
    --------
    >>> finite_population_factor(5, 1), finite_population_factor(5, 3), finite_population_factor(5, 5)
    (1.0, 0.5, 0.0)
    """
    total, q = integer("servers", servers, 1), integer("fastest", fastest, 1)
    if q > total:
        raise ValueError(f"fastest must be at most the {total} servers, got {q}")
    return (total - q) / max(total - 1, 1)


def overlap(basis: Any, bounds: Any, law: Any) -> float:
    """Return L = max ‖U_ι‖₂²/Π_ι over blocks, the quantity of the embedding bound; it is at least 1.

    Parameters
    ----------
    basis : array_like, shape (n, d)
        Orthonormal columns that span those of A, e.g. ``problem.svd[0]``.
    bounds : array_like of int, shape (K + 1,)
        ``problem.bounds``.
    law : array_like, shape (K,)

    Examples
    --------
    >>> overlap([[1.0, 0.0], [0.0, 1.0]], [0, 1, 2], [0.25, 0.75])
    4.0
    """
    blocks, p = _basis(basis, bounds), np.asarray(probability_vector("law", law))
    norms = np.array([np.linalg.norm(block, 2) ** 2 for block in blocks])
    if norms.shape != p.shape or np.any((p == 0) & (norms > 0)):
        raise ValueError("law must give every block that is not zero a probability > 0")
    return float(np.max(norms[p > 0] / p[p > 0]))


def embedding_samples(overlap: float, columns: int, epsilon: float, delta: float) -> int:
    """Return the least q >= 2L(1 + ε/3) ln(2d/δ)/ε², which makes ‖UᵀSᵀSU − I‖₂ <= ε with probability 1 − δ.

    Examples
    --------
    >>> embedding_samples(5.0, 5, 0.5, 0.1)
    215
    """
    size, eps = positive("overlap", overlap), positive("epsilon", epsilon)
    d, risk = integer("columns", columns, 1), probability("delta", delta, zero=False)
    return math.ceil(2 * size * (1 + eps / 3) * math.log(2 * d / risk) / eps**2)


def embedding_error(basis: Any, bounds: Any, weights: Any) -> Floats:
    """Return ‖Σ_ι w_ι U_ιᵀU_ι − I‖₂ for sketches given by their block weights.

    Parameters
    ----------
    basis, bounds
        As for :func:`overlap`.
    weights : array_like, shape (sketches, K)
        Copies of each block times what a copy weighs: ``copies * weight`` of :func:`uepgpu.gradient_coding.draw_sketches`.

    Returns
    -------
    (sketches,) float64

    Examples
    --------
    >>> embedding_error([[1.0, 0.0], [0.0, 1.0]], [0, 1, 2], [[1.0, 1.0], [1.5, 0.0]]).tolist()
    [0.0, 1.0]
    """
    blocks, w = _basis(basis, bounds), real_array("weights", weights)
    if w.ndim != 2 or w.shape[1] != len(blocks) or not np.all(np.isfinite(w)):
        raise ValueError(f"weights must be finite numbers of shape (sketches, {len(blocks)}), got {shown(weights)}")
    grams = np.stack([block.T @ block for block in blocks])
    sketched = np.tensordot(w, grams, axes=(1, 0)) - np.eye(blocks[0].shape[1])
    return np.asarray(np.abs(np.linalg.eigvalsh(sketched)).max(axis=1))


def debiased_loss(energies: Any, probabilities: Any) -> float:
    """Return Σ_k (1/P_k − 1)‖X_k‖², the mean squared error of UEP tiles divided by their decoding probabilities.

    The contrast of docs/mathematics.md §8: a sketched gradient is unbiased. Zero-filling is biased and has loss Σ_k (1 −
    P_k)‖X_k‖²; dividing by P_k removes the bias and multiplies every term by 1/P_k. For disjoint tiles (row-times-column).

    Parameters
    ----------
    energies : array_like, shape (K,)
        ‖X_k‖².
    probabilities : array_like, shape (K,)
        P_k that X_k is decoded, > 0 where there is energy.

    Raises
    ------
    ValueError
        If a tile with energy is never decoded: no factor can make it unbiased.

    Examples
    --------
    >>> debiased_loss([4.0, 1.0], [1.0, 0.5])
    1.0
    """
    energy, p = real_array("energies", energies), real_array("probabilities", probabilities)
    if energy.shape != p.shape or not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"probabilities must be in [0, 1], one per energy, got shapes {p.shape} and {energy.shape}")
    if np.any((p == 0) & (energy > 0)):
        raise ValueError("probabilities must be > 0 where there is energy: what is never decoded cannot be made unbiased")
    used = energy > 0
    return float(np.sum(energy[used] * (1 / p[used] - 1)))
