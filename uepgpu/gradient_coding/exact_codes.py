"""Gradient codes that give the exact gradient from any n − s of n servers: matrices, null spaces, decoding.

Server i sends Σ_k B_ik g_k; decoding weights a have aᵀB = 1ᵀ and are zero at stragglers (Tandon, Lei, Dimakis, Karampatziakis,
*Gradient coding*, ICML 2017). The circulant matrix has the zeros of a cyclic MDS code (Raviv, Tamo, Tandon, Dimakis, *Gradient
coding from cyclic MDS codes and expander graphs*, 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, integer, real_array, shown, word64
from uepgpu.gradient_coding.engines import host_kernels

__all__ = ["CONSTRUCTIONS", "CodeMatrix", "cyclic_code", "fractional_groups", "patterns_array"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONSTRUCTIONS = ("auto", "circulant", "random")
MOST_ERROR = 1e-6
"""A code that decodes worse than this in float64 is refused."""
RANDOM_PATTERNS = 200


@dataclass(frozen=True, eq=False)
class CodeMatrix:
    """A gradient code for n servers, ready to decode.

    Attributes
    ----------
    matrix : (n, n) float64
        B; row i is what server i sums, s + 1 blocks.
    left_null : (n, s) float64
        Basis N of {a : aᵀB = 0}, orthonormal.
    particular : (n,) float64
        Some a₀ with a₀ᵀB = 1ᵀ.

    Examples
    --------
    >>> code = cyclic_code(6, 1)
    >>> code.matrix.shape, code.left_null.shape, code.stragglers
    ((6, 6), (6, 1), 1)
    """

    matrix: Floats
    left_null: Floats
    particular: Floats

    @property
    def stragglers(self) -> int:
        """How many stragglers, s, are tolerated."""
        return int(self.left_null.shape[1])

    def decoding_weights(self, answered: Any, *, backend: str = "auto") -> Floats:
        """Return weights a with aᵀB = 1ᵀ that are zero where no answer came, for many patterns at once.

        Weights are a₀ + Nz, where z solves the s equations that make them zero at stragglers. With fewer than s stragglers, the
        first servers that answered are left out too.

        Parameters
        ----------
        answered : (P, n) or (n,) array_like of bool
        backend : "auto", "numba" or "numpy"

        Returns
        -------
        (P, n) float64

        Raises
        ------
        ValueError
            If a pattern has more than s stragglers.

        Examples
        --------
        >>> code = cyclic_code(6, 1)
        >>> a = code.decoding_weights([True, True, False, True, True, True])
        >>> bool(np.abs(a @ code.matrix - 1).max() < 1e-12), float(a[0, 2])
        (True, 0.0)
        """
        pattern = patterns_array(answered, self.matrix.shape[0], self.stragglers)
        kernels = host_kernels(choice("backend", backend, ("auto", "numba", "numpy")))
        weights: Floats = kernels.decode(pattern, self.left_null, self.particular)
        return weights

    def decoding_error(self, weights: Any) -> Floats:
        """Return max ``|aᵀB − 1|`` of weights (P, n), shape (P,): the error of the gradient relative to its blocks."""
        array, servers = real_array("weights", weights), self.matrix.shape[0]
        if array.ndim != 2 or array.shape[1] != servers or not np.all(np.isfinite(array)):
            raise ValueError(f"weights must be finite numbers of shape (patterns, {servers}), got {shown(weights)}")
        return np.asarray(np.abs(array @ self.matrix - 1.0).max(axis=1))

    def worst_error(self) -> float:
        """Return the greatest decoding error over all runs of s neighbours, which are the hardest, and some random patterns."""
        n, s = self.left_null.shape
        late = np.stack([(np.arange(n) - i) % n < s for i in range(n)])
        rng = np.random.Generator(np.random.Philox(key=0))
        others = rng.permuted(np.arange(n)[None, :].repeat(RANDOM_PATTERNS, axis=0), axis=1) < s
        try:
            weights = self.decoding_weights(~np.concatenate([late, others]), backend="numpy")
        except np.linalg.LinAlgError:
            return np.inf
        return float(self.decoding_error(weights).max())


def patterns_array(answered: Any, n: int, stragglers: int) -> Ints:
    """Return patterns of answers as (P, n) int64 of zeros and ones, each with at most `stragglers` zeros."""
    pattern = np.atleast_2d(np.asarray(answered)).astype(np.bool_)
    if pattern.ndim != 2 or pattern.shape[1] != n:
        raise ValueError(f"answered must have shape (patterns, {n}), got {np.shape(answered)}")
    most = int((~pattern).sum(axis=1).max(initial=0))
    if most > stragglers:
        raise ValueError(f"answered must have at most {stragglers} stragglers, which the code tolerates, got {most}")
    return pattern.astype(np.int64)


def fractional_groups(servers: int, stragglers: int) -> Ints:
    """Return the group of each server, shape (n,): s + 1 servers of a group all sum the same s + 1 blocks.

    Raises
    ------
    ValueError
        If s + 1 does not divide n.

    Examples
    --------
    >>> fractional_groups(6, 1).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    n, s = _sizes(servers, stragglers)
    if n % (s + 1):
        raise ValueError(f"stragglers + 1 = {s + 1} must divide the number of servers for fractional repetition, got {n} servers")
    return np.arange(n, dtype=np.int64) // (s + 1)


def _sizes(servers: int, stragglers: int) -> tuple[int, int]:
    n, s = integer("servers", servers, 1), integer("stragglers", stragglers, 0)
    if s >= n:
        raise ValueError(f"stragglers must be fewer than the servers, got {s} of {n}")
    return n, s


def cyclic_code(servers: int, stragglers: int, *, construction: str = "auto", seed: int = 1) -> CodeMatrix:
    """Return a cyclic gradient code: server i sums blocks i, i + 1, …, i + s (modulo n).

    Parameters
    ----------
    servers, stragglers : int
        n and s < n.
    construction : "auto", "circulant" or "random"
        ``"circulant"``: shifts of one row whose zeros are s consecutive roots of unity, real where n − s is odd. ``"random"``: rows
        orthogonal to a random matrix, any n and s. ``"auto"``: circulant where it exists and is well conditioned.
    seed : int
        Of ``"random"``.

    Raises
    ------
    ValueError
        A code that does not exist, or that float64 cannot decode: with many servers, s neighbours that are late together leave
        a system that is too ill-conditioned.

    Examples
    --------
    >>> code = cyclic_code(5, 2)
    >>> (np.abs(code.matrix) > 1e-12).astype(int).tolist()[3]
    [1, 0, 0, 1, 1]
    """
    n, s = _sizes(servers, stragglers)
    choice("construction", construction, CONSTRUCTIONS)
    if construction == "circulant" and (n - s) % 2 == 0:
        raise ValueError(f"a real circulant code needs n - s odd, got n = {n}, s = {s}: use construction='random'")
    key = word64("seed", seed)
    worst = np.inf
    for kind in ("circulant", "random"):
        if construction not in ("auto", kind) or (kind == "circulant" and (n - s) % 2 == 0):
            continue
        code = _circulant(n, s) if kind == "circulant" else _random(n, s, key)
        error = code.worst_error()
        if error <= MOST_ERROR:
            return code
        worst = min(worst, error)
    raise ValueError(
        f"a cyclic code of {n} servers that tolerates {s} stragglers is too ill-conditioned for float64: some patterns decode with "
        f"an error of {worst:.0e}; use fewer stragglers, or fractional repetition"
    )


def _circulant(n: int, s: int) -> CodeMatrix:
    # Frequencies centred on n/2 and closed under conjugation, so that the polynomial with these zeros is real; 0 is none.
    frequency = (n - s + 1) // 2 + np.arange(s)
    row = np.zeros(n)
    row[: s + 1] = np.real(np.poly(np.exp(2j * np.pi * frequency / n)))[::-1] if s else 1.0
    row /= row.sum()
    i = np.arange(n)
    matrix = row[(i[None, :] - i[:, None]) % n]
    basis = [np.cos(2 * np.pi * f * i / n) for f in frequency if 2 * f <= n]
    basis += [np.sin(2 * np.pi * f * i / n) for f in frequency if 2 * f < n]
    null = np.stack(basis, axis=1) if s else np.zeros((n, 0))
    # Every column sums to 1.
    return CodeMatrix(matrix, null / np.linalg.norm(null, axis=0), np.ones(n))


def _random(n: int, s: int, seed: int) -> CodeMatrix:
    rng = np.random.Generator(np.random.Philox(key=seed))
    check = rng.normal(size=(s, n))
    check -= check.mean(axis=1, keepdims=True)
    matrix = np.zeros((n, n))
    for i in range(n):
        others = (i + 1 + np.arange(s)) % n
        matrix[i, i] = 1.0
        matrix[i, others] = -np.linalg.solve(check[:, others], check[:, i])
        matrix[i] /= np.linalg.norm(matrix[i])
    left, _, _ = np.linalg.svd(matrix)
    particular = np.asarray(np.linalg.lstsq(matrix.T, np.ones(n))[0], dtype=np.float64)
    return CodeMatrix(matrix, np.ascontiguousarray(left[:, n - s :]), particular)
