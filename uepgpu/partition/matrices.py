"""Real matrices: reading them, ordering their rows and columns, cutting them into blocks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, frozen, real_array, shown
from uepgpu.files import expand, read_array

__all__ = ["BlockMatrices", "block_bounds", "block_norms", "load_factors", "load_matrix", "order_slices", "summand_gram"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def load_matrix(name: str, source: Any) -> Floats:
    """Return a matrix as float64, shape (rows, columns).

    Parameters
    ----------
    name : str
        What errors call it.
    source : array_like, cupy array, or path
        A path names an ``.npy`` file, an ``.npz`` file with a single array, or ``file.npz:key``.

    Raises
    ------
    ValueError
        Not a two-dimensional real matrix, empty, with masked, NaN or infinite entries, or a file that cannot be read.
    FileNotFoundError
        The file does not exist.
    """
    if isinstance(source, str | os.PathLike):
        array: Any = _read(name, str(source))
    else:
        array = source.get() if hasattr(source, "__cuda_array_interface__") and hasattr(source, "get") else source
    matrix = real_array(name, array)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"{name} must be a non-empty two-dimensional matrix, got shape {matrix.shape}")
    bad = ~np.isfinite(matrix)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ValueError(f"{name} must be finite, got {shown(matrix[i, j])} at [{i}, {j}] ({int(bad.sum())} such entries)")
    return matrix


def load_factors(A: Any, B: Any) -> tuple[Floats, Floats]:
    """Return A and B as :func:`load_matrix` does, if they multiply."""
    left, right = load_matrix("A", A), load_matrix("B", B)
    if left.shape[1] != right.shape[0]:
        raise ValueError(
            f"A of shape {left.shape} and B of shape {right.shape} do not multiply: {left.shape[1]} != {right.shape[0]}"
        )
    return left, right


def _read(name: str, source: str) -> NDArray[Any]:
    path, _, key = source.partition(".npz:")
    return read_array(name, expand(name, path + ".npz" if key else source), key, what="a matrix")


def block_bounds(name: str, length: int, blocks: int) -> Ints:
    """Return the bounds of `blocks` nearly equal blocks of `length` (the first ones one longer), shape (blocks + 1,)."""
    if blocks > length:
        raise ValueError(f"{name} must be at most the {length} slices that there are to cut, got {blocks}")
    size, longer = divmod(length, blocks)
    return np.concatenate([[0], np.cumsum([size + (i < longer) for i in range(blocks)])]).astype(np.int64)


def order_slices(order: str | None, *weights: Floats) -> Ints:
    """Return the permutation that puts important slices first (identity for None).

    `weights` are matrices whose rows are the slices; a slice's importance is the product of its norms over them
    (``"mean_abs"``: of its mean absolute values).
    """
    n = weights[0].shape[0]
    if order is None:
        return np.arange(n)
    choice("order", order, ("norm", "mean_abs"))
    score = np.ones(n)
    for w in weights:
        score = score * (np.sqrt(np.einsum("ij,ij->i", w, w)) if order == "norm" else np.mean(np.abs(w), axis=1))
    return np.argsort(-score, kind="stable")


def block_norms(slices: Floats, bounds: Ints) -> Floats:
    """Return the Frobenius norms of blocks of rows, shape (blocks,)."""
    return np.asarray(np.sqrt(np.add.reduceat(np.einsum("ij,ij->i", slices, slices), bounds[:-1])))


def summand_gram(left: Floats, right: Floats, bounds: Ints) -> Floats:
    """Return ⟨A_m B_m, A_m' B_m'⟩, shape (M, M)."""
    # Block sums of AᵀA ∘ BBᵀ, one block row at a time, so that no H×U×Q array is formed.
    blocks = bounds.size - 1
    gram = np.empty((blocks, blocks))
    for m in range(blocks):
        cut = slice(bounds[m], bounds[m + 1])
        products = (left[:, cut].T @ left) * (right[cut] @ right.T)
        gram[m] = np.add.reduceat(products.sum(axis=0), bounds[:-1])
    return (gram + gram.T) / 2


@dataclass(frozen=True, eq=False)
class BlockMatrices:
    """Two factors, ordered and cut; read-only copies of what it is made from.

    Attributes
    ----------
    paradigm : "rxc" or "cxr"
    left, right : float64 arrays, shapes (U, H) and (H, Q)
        A and B with their slices in order of importance.
    left_order, right_order : int64 arrays
        rxc: ``left = A[left_order]``, ``right = B[:, right_order]``. cxr: ``left = A[:, left_order]``,
        ``right = B[right_order]``, the two orders being equal.
    left_bounds, right_bounds : int64 arrays
        Where the blocks begin and end along the cut axis.
    """

    paradigm: Literal["rxc", "cxr"]
    left: Floats
    right: Floats
    left_order: Ints
    right_order: Ints
    left_bounds: Ints
    right_bounds: Ints

    def __post_init__(self) -> None:
        for name in ("left", "right", "left_order", "right_order", "left_bounds", "right_bounds"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def restore(self, product: Floats) -> Floats:
        """Return a product of shape (..., U, Q) in the order of A's rows and B's columns, as a new array.

        Only rxc reorders them: for cxr the ordering runs along the axis that is summed over.
        """
        if self.paradigm == "cxr":
            return product.copy()
        result = np.empty_like(product)
        result[..., self.left_order[:, None], self.right_order[None, :]] = product
        return result
