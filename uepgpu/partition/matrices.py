"""Real matrices: reading them, ordering their rows and columns, cutting them into blocks."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, frozen, real_array, shown
from uepgpu.files import unreadable

__all__ = [
    "BlockMatrices",
    "block_bounds",
    "block_norms",
    "load_array",
    "load_factors",
    "load_matrix",
    "order_slices",
    "summand_gram",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def load_matrix(name: str, source: Any) -> Floats:
    """Return a matrix as float64, shape (rows, columns).

    Parameters
    ----------
    name : str
        Its name in errors.
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
        array: Any = load_array(name, str(source), "a matrix")
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
    """Return A and B as :func:`load_matrix` does, if their shapes fit."""
    left, right = load_matrix("A", A), load_matrix("B", B)
    if left.shape[1] != right.shape[0]:
        raise ValueError(
            f"A of shape {left.shape} and B of shape {right.shape} do not multiply: {left.shape[1]} != {right.shape[0]}"
        )
    return left, right


def load_array(name: str, source: str, what: str) -> NDArray[Any]:
    """Return the array of a file: of an ``.npy`` file, of an ``.npz`` file with a single array, or ``file.npz:key``.

    Parameters
    ----------
    name, what : str
        What errors call the argument, and what the file is to hold.
    source : str

    Raises
    ------
    ValueError
        A file of another kind, or one that cannot be read.
    FileNotFoundError
        The file does not exist.
    """
    path, _, key = source.partition(".npz:")
    file = Path(path + ".npz" if key else source)
    if not file.is_file():
        raise FileNotFoundError(f"{name}: no file {str(file)!r}")
    if file.suffix not in (".npy", ".npz"):
        raise ValueError(f"{name} must be an .npy or .npz file with {what}, got {str(file)!r}")
    try:
        with file.open("rb") as stream:  # np.load leaves a file that it opened itself open when it cannot read it
            loaded = np.load(stream, allow_pickle=False)
            if not isinstance(loaded, np.ndarray):
                return _member(file, loaded, key)
            if key:
                raise ValueError(f"it holds a single array, none called {key!r}")
            return loaded
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{name}: cannot read {str(file)!r}: {unreadable(error)}") from None


def _member(file: Path, archive: np.lib.npyio.NpzFile, key: str) -> NDArray[Any]:
    keys = list(archive.files)
    if not key and len(keys) != 1:
        raise ValueError(f"it holds the arrays {keys}; name one as '{file}:{keys[0] if keys else 'name'}'")
    if key and key not in keys:
        raise ValueError(f"it holds no array {key!r}, only {keys}")
    return np.asarray(archive[key or keys[0]])


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
    """Two factors, ordered and cut; read-only copies of the arguments.

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
