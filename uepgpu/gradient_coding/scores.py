"""Block leverage scores, exact and approximate (docs/mathematics.md §8)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, integer, real_array, word64
from uepgpu.partition import block_bounds, load_matrix

__all__ = ["approximate_block_scores", "block_scores", "misestimation", "thin_svd"]

Floats = NDArray[np.float64]


def thin_svd(A: Floats) -> tuple[Floats, Floats, Floats]:
    """Return U, σ, Vᵀ without singular values below σ₁·max(n, d)·2⁻⁵²."""
    U, singular, Vt = np.linalg.svd(A, full_matrices=False)
    rank = int(np.count_nonzero(singular > singular.max(initial=0.0) * max(A.shape) * np.finfo(float).eps))
    return U[:, :rank], singular[:rank], Vt[:rank]


def block_scores(A: Any, blocks: int, *, method: str = "svd") -> Floats:
    """Return the block leverage scores ℓ_ι = ‖U_ι‖_F² of K blocks of rows; they sum to the rank of A.

    Parameters
    ----------
    A : array_like or path, shape (n, d)
    blocks : int
        K, 1..n.
    method : "svd" or "qr"
        The thin QR factorisation is a few times faster and needs full column rank.

    Raises
    ------
    ValueError
        Bad values; ``"qr"`` of a matrix whose triangular factor shows dependent columns.

    Examples
    --------
    >>> block_scores([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]], 2).round(6).tolist()
    [1.5, 0.5]
    """
    matrix = load_matrix("A", A)
    edges = block_bounds("blocks", matrix.shape[0], integer("blocks", blocks, 1))
    if choice("method", method, ("svd", "qr")) == "svd":
        basis = thin_svd(matrix)[0]
    else:
        basis, triangle = np.linalg.qr(matrix)
        _full_rank(triangle, matrix.shape, "A")
    return np.asarray(np.add.reduceat(np.einsum("ij,ij->i", basis, basis), edges[:-1]))


def _full_rank(triangle: Floats, shape: tuple[int, ...], name: str) -> None:
    diagonal = np.abs(np.diagonal(triangle))
    if triangle.shape[0] < triangle.shape[1] or diagonal.min() <= diagonal.max() * max(shape) * np.finfo(float).eps:
        raise ValueError(f"{name} of shape {shape} must have independent columns for a QR factorisation; use method='svd'")


def approximate_block_scores(A: Any, blocks: int, *, sketch_rows: int, projection: int | None = None, seed: int) -> Floats:
    """Return approximate block leverage scores of a tall matrix, without a factorisation of A itself.

    A count sketch adds the rows of A with random signs into `sketch_rows` rows, whose triangular factor T replaces that of A:
    the scores are row norms of A T⁻¹, or of A (T⁻¹ Ω) with a d × `projection` normal matrix Ω. Cost: n·d·`projection` and
    `sketch_rows`·d².

    Parameters
    ----------
    A : array_like or path, shape (n, d)
    blocks : int
    sketch_rows : int
        >= d; about 10 d² for scores within tens of per cent.
    projection : int, optional
        Columns of Ω. Default: no Ω, so that only the count sketch makes an error.
    seed : int
        Of NumPy's Philox generator.

    Returns
    -------
    (K,) float64
        :func:`misestimation` measures their quality.

    Examples
    --------
    >>> A = np.random.default_rng(1).normal(size=(2000, 5))
    >>> misestimation(approximate_block_scores(A, 10, sketch_rows=500, seed=1), block_scores(A, 10)) > 0.8
    True
    """
    matrix = load_matrix("A", A)
    n, d = matrix.shape
    edges = block_bounds("blocks", n, integer("blocks", blocks, 1))
    m = integer("sketch_rows", sketch_rows, d)
    rng = np.random.Generator(np.random.Philox(key=word64("seed", seed)))
    sketched = np.zeros((m, d))
    np.add.at(sketched, rng.integers(m, size=n), matrix * rng.choice([-1.0, 1.0], size=(n, 1)))
    triangle = np.asarray(np.linalg.qr(sketched, mode="r"))
    _full_rank(triangle, (m, d), "the sketch of A")
    after = np.eye(d) if projection is None else rng.normal(size=(d, integer("projection", projection, 1))) / np.sqrt(projection)
    rows = matrix @ np.linalg.solve(triangle, after)
    return np.asarray(np.add.reduceat(np.einsum("ij,ij->i", rows, rows), edges[:-1]))


def misestimation(approximate: Any, exact: Any) -> float:
    """Return β = min over blocks of Π̂_ι / Π_ι, in [0, 1]: sampling from Π̂ needs at most 1/β times the samples.

    Both arguments are scores or laws, shape (K,); each is normalised to sum 1, and blocks of score zero do not count.

    Examples
    --------
    >>> misestimation([0.5, 0.5], [0.25, 0.75]), misestimation([0.5, 0.5], [2.0, 2.0])
    (0.6666666666666666, 1.0)
    """
    hat, true = real_array("approximate", approximate), real_array("exact", exact)
    if hat.shape != true.shape or hat.ndim != 1 or not (np.all(hat >= 0) and np.all(true >= 0) and hat.sum() > 0 < true.sum()):
        raise ValueError(f"approximate and exact must be scores >= 0 of the same blocks, got shapes {hat.shape} and {true.shape}")
    used = true > 0
    return float(np.min((hat / hat.sum())[used] / (true / true.sum())[used]))
