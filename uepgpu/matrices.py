"""Real matrices: reading them, ordering their rows and columns, cutting them into blocks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice

__all__ = ["BlockMatrices", "block_bounds", "load_matrix", "order_slices"]

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
        Not a two-dimensional real matrix, empty, or with NaN or infinite entries.
    FileNotFoundError
        The file does not exist.
    """
    if isinstance(source, str | os.PathLike):
        array = _read(name, str(source))
    elif hasattr(source, "__cuda_array_interface__") and hasattr(source, "get"):
        array = np.asarray(source.get())
    else:
        array = np.asarray(source)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be a non-empty two-dimensional matrix, got shape {array.shape}")
    if array.dtype.kind == "c":
        raise ValueError(f"{name} must be real, got {array.dtype}: multiply real and imaginary parts apart")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, got dtype {array.dtype}")
    matrix = np.array(array, dtype=np.float64)
    bad = ~np.isfinite(matrix)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ValueError(f"{name} must be finite, got {matrix[i, j]} at [{i}, {j}] ({int(bad.sum())} such entries)")
    return matrix


def _read(name: str, source: str) -> NDArray[Any]:
    path, _, key = source.partition(".npz:")
    file = Path(path + ".npz" if key else source)
    if not file.is_file():
        raise FileNotFoundError(f"{name}: no file {str(file)!r}")
    if file.suffix not in (".npy", ".npz"):
        raise ValueError(f"{name} must be an .npy or .npz file, got {str(file)!r}")
    loaded = np.load(file, allow_pickle=False)
    if file.suffix == ".npy":
        return np.asarray(loaded)
    with loaded:
        keys = list(loaded.files)
        if not key and len(keys) != 1:
            raise ValueError(f"{name}: {str(file)!r} holds the arrays {keys}; name one as '{file}:{keys[0] if keys else 'name'}'")
        if key and key not in keys:
            raise ValueError(f"{name}: {str(file)!r} holds no array {key!r}, only {keys}")
        return np.asarray(loaded[key or keys[0]])


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


@dataclass(frozen=True, eq=False)
class BlockMatrices:
    """Two factors, ordered and cut.

    Attributes
    ----------
    left, right : float64 arrays, shapes (U, H) and (H, Q)
        A and B with their slices in order of importance.
    left_order, right_order : int64 arrays
        rxc: ``left = A[left_order]``, ``right = B[:, right_order]``. cxr: ``left = A[:, left_order]``,
        ``right = B[right_order]``, the two orders being equal.
    left_bounds, right_bounds : int64 arrays
        Where the blocks begin and end along the cut axis.
    """

    left: Floats
    right: Floats
    left_order: Ints
    right_order: Ints
    left_bounds: Ints
    right_bounds: Ints

    def restore(self, product: Floats) -> Floats:
        """Undo the importance ordering of an rxc product of shape (..., U, Q)."""
        result = np.empty_like(product)
        result[..., self.left_order[:, None], self.right_order[None, :]] = product
        return result
