"""Decoding weights: which combinations of received payloads give, or best estimate, each sub-product or sum of sub-products.

Packets are taken at unit size: noise and rounding are relative to a payload, so that neither weights nor decisions may depend
on the scale of a packet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Weights", "lmmse_weights", "selected_weights"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
RANK_TOLERANCE = 1e-13
"""Singular values below this share of the largest one count as zero, for packets and sub-products of unit size."""

REMAINDER, REMAINDER_GAIN = 1e-9, 1e-14
"""Weights that miss a unit row by less than the first, and the second times their norm, give the sub-product: rounding grows
with the weights."""

SMALLEST_SHARE = 1e-6
"""Sub-products below this share of the largest one, in norm, are judged as if they had it."""


LEAST_USE = 1e-9
"""Packets whose weights are below this share of the largest one are not used."""


class Weights(NamedTuple):
    """Decoding weights of R realizations, and how sound they are."""

    weights: Floats  # (R, K, W); those of a sum of sub-products stand at the first of them
    found: Bools  # (R, K): which sub-products floating point itself finds decodable, alone or in a sum
    condition: Floats  # (R,): Frobenius norm of the packets used, at unit size, times that of their weights
    residual: Floats  # (R,): how far weights times coefficients are from the rows of ones and zeros that give what is decoded


def selected_weights(
    coefficients: Floats, arrived: Bools, wanted: Bools, threads: int, *, compiled: bool, sums: Bools | None = None
) -> Weights:
    """Return the weights of least squares that give the wanted sub-products, and zero for the others.

    `sums` (T, K), nested or disjoint, are decoded as wholes where they are wanted and their terms cannot be told apart. Weights
    are zero too where floating point cannot decode what is wanted: the residual is 1 then. `compiled` factors the received rows
    in Numba, else NumPy takes their pseudo-inverse: the same weights to rounding.
    """
    received = coefficients * arrived[..., None]
    size = _size(received, axis=2)
    rows = received / size
    # The unit of a sub-product is arbitrary, and no matter of rank.
    unit = _size(rows, axis=1)
    rows /= unit
    if compiled:
        from uepgpu_kernels.cpu.decoding_weights import least_squares

        inverse = least_squares(rows, arrived.astype(np.uint8), threads)
    else:
        inverse = np.asarray(np.linalg.pinv(rows, rcond=RANK_TOLERANCE), dtype=np.float64) * arrived[:, None, :]
    remainder = np.abs(inverse @ rows - np.eye(rows.shape[2]))
    allowed = REMAINDER + REMAINDER_GAIN * np.sqrt(np.einsum("rkw,rkw->rk", inverse, inverse))
    found = remainder.max(axis=2) <= allowed
    own = unit.swapaxes(1, 2)
    missed = np.where(found, (remainder * unit / own).max(axis=2), 1.0)
    weights = inverse * ((wanted & found)[..., None] / own)
    if sums is not None and len(sums):
        found = _take_sums(sums, inverse, rows, unit[:, 0], wanted, found, weights, missed)
    residual = np.where(wanted, missed, 0.0).max(axis=1)
    return Weights(weights / size.swapaxes(1, 2), found, _condition(weights), residual)


def _take_sums(
    sums: Bools, inverse: Floats, rows: Floats, unit: Floats, wanted: Bools, single: Bools, weights: Floats, missed: Floats
) -> Bools:
    """Give sums whose terms are wanted, and not all `single`, their weights; return what is found alone or in a sum.

    A sum has the weights that the rows of `inverse` have together: of least squares again, whatever the rows are one by one.
    `weights` (R, K, W) and `missed` (R, K) are changed in place; `unit` is (R, K).
    """
    found = single.copy()
    for terms in sorted(sums, key=np.count_nonzero):
        share = terms / unit
        whole = (share[:, None] @ inverse)[:, 0]
        left = np.abs((whole[:, None] @ rows)[:, 0] - share)
        norm = np.sqrt(np.einsum("rw,rw->r", whole, whole))
        given = left.max(axis=1) <= REMAINDER * share.min(axis=1, where=terms, initial=np.inf) + REMAINDER_GAIN * norm
        found |= given[:, None] & terms
        used = np.flatnonzero(given & (wanted | ~terms).all(axis=1) & ~(single | ~terms).all(axis=1))
        # Larger sums come later, and replace those that they hold.
        members = np.flatnonzero(terms)
        weights[np.ix_(used, members)] = 0.0
        weights[used, members[0]] = whole[used]
        missed[np.ix_(used, members)] = (left * unit).max(axis=1)[used, None]
    return found


def lmmse_weights(
    coefficients: Floats, arrived: Bools, prior: Floats, decoded: Bools, noise: float = 0.0, sums: Bools | None = None
) -> Weights:
    """Return the weights ΣHᵀ(HΣHᵀ + N)⁻¹ of the best linear estimates, for sub-products of prior covariance Σ (K, K).

    N is diagonal: every packet has noise of standard deviation `noise` relative to its own by the prior. Nothing is set to
    zero. With Σ = L Lᵀ and D the standard deviations of the packets the weights are L Rᵀ(RRᵀ + noise²)⁻¹ D⁻¹ for R = D⁻¹HL,
    formed from the singular values of R: surplus packets make HΣHᵀ singular, and without noise (·)⁻¹ is a pseudo-inverse.

    The residual over the `decoded`, and whether they are found, say what the packets give where there is no noise. They are
    measured by the prior: the standard deviation that is left of a sub-product, relative to its own, or of one of the `sums`
    (T, K) that it is a term of, relative to that of independent terms. A sub-product that the prior knows to be zero, or to
    follow from others, is estimated exactly by weights that are no decode.
    """
    values, vectors = np.linalg.eigh(prior)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    received = coefficients * arrived[..., None]
    sent = received @ root
    spread = _size(sent, axis=2)
    left, singular, right = np.linalg.svd(sent / spread, full_matrices=False)
    kept = singular > RANK_TOLERANCE * singular[:, :1]
    left, right = left.swapaxes(1, 2) / spread.swapaxes(1, 2), root @ right.swapaxes(1, 2)
    inverse = np.divide(1.0, singular, out=np.zeros_like(singular), where=kept)
    exact: Floats = (right * inverse[:, None, :]) @ left * arrived[:, None, :]
    left_over = exact @ sent - root
    before = np.sqrt(np.einsum("kj,kj->k", root, root))
    # A prior of very unequal energies is known to the rounding of its largest entry only.
    least = max(SMALLEST_SHARE * before.max(), np.finfo(np.float64).tiny)
    error = np.sqrt(np.einsum("rkj,rkj->rk", left_over, left_over)) / np.maximum(before, least)
    for terms in () if sums is None else sums:
        of_sum = np.sqrt(np.sum(left_over[:, terms].sum(axis=1) ** 2, axis=1)) / max(float(np.linalg.norm(before[terms])), least)
        error[:, terms] = np.minimum(error[:, terms], of_sum[:, None])
    residual = np.where(decoded, error, 0.0).max(axis=1)
    weights = exact
    if noise > 0:
        damped = singular / (singular**2 + noise**2)
        weights = (right * damped[:, None, :]) @ left * arrived[:, None, :]
    return Weights(weights, error < 1e-7, _condition(weights * _size(received, axis=2).swapaxes(1, 2)), residual)


def _size(rows: Floats, axis: int) -> Floats:
    """Return Euclidean norms along an axis, which stays with length 1; 1 for what is zero."""
    # Squares of entries near the ends of float64 would leave it.
    largest = np.abs(rows).max(axis=axis, keepdims=True)
    largest[largest == 0] = 1.0
    square = np.sum((rows / largest) ** 2, axis=axis, keepdims=True)
    return np.where(square > 0, largest * np.sqrt(square), 1.0)


def _condition(weights: Floats) -> Floats:
    """Return the Frobenius norm of the packets that are used times that of their weights (R, K, W), for packets of unit size."""
    share = np.abs(weights).max(axis=1)
    # What rounding leaves of a weight that cancels is no use of a packet.
    used = np.count_nonzero(share > LEAST_USE * share.max(axis=1, keepdims=True), axis=1)
    return np.asarray(np.sqrt(used * np.einsum("rkw,rkw->r", weights, weights)), dtype=np.float64)
