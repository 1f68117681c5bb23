"""The partition of a product A·B into sub-products, their energies and their importance classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import choice, frozen, integer, real_array, require_memory, shown
from uepgpu.partition.importance import Classes, assign_classes, assign_levels
from uepgpu.partition.matrices import BlockMatrices, block_bounds, block_norms, load_factors, order_slices, summand_gram
from uepgpu.text.html import html_table

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Partition"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST_ENERGY = 1e-280
"""Below it what is lost of a product, a part of its energy, is not a normal number of float64 any more."""

Paradigm = Literal["rxc", "cxr"]
Order = Literal["norm", "mean_abs"] | None


@dataclass(frozen=True, eq=False)
class Partition:
    """A product cut into K sub-products; made by :meth:`rxc`, :meth:`cxr` or :meth:`model`. Its arrays are read-only copies.

    Sub-products are numbered in block order: rxc (row-times-column) k = n P + p for the tile A_n B_p, cxr
    (column-times-row) k = m for the summand A_m B_m. Blocks are numbered after the ordering by importance, if any.

    Attributes
    ----------
    paradigm : "rxc" or "cxr"
    shape : tuple of int
        Blocks (N, P) for rxc, (M,) for cxr; their product is K.
    classes : (K,) int64
        Importance class of every sub-product, counted from 1, 1 the most important.
    gram : (K, K) float64
        G[k, k'] = ⟨X_k, X_k'⟩, in expectation for a model. Diagonal for rxc, whose sub-products are different tiles.
    row_level, col_level : int64 arrays, shapes (N,) and (P,), or None for cxr
        Level of every block, counted from 1, that windows of factored codes are built from.
    matrices : BlockMatrices or None
        The ordered factors; None for a model.

    Examples
    --------
    >>> part = Partition.cxr(np.diag([3.0, 1.0, 2.0]), np.eye(3), blocks=3, classes=(1, 2))
    >>> part.n_subproducts, part.class_sizes, part.energy.tolist(), part.norm2
    (3, (1, 2), [9.0, 4.0, 1.0], 14.0)
    """

    paradigm: Paradigm
    shape: tuple[int, ...]
    classes: Ints
    gram: Floats
    row_level: Ints | None = None
    col_level: Ints | None = None
    matrices: BlockMatrices | None = None

    def __post_init__(self) -> None:
        for name in ("classes", "gram", "row_level", "col_level"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, frozen(getattr(self, name)))

    # --- derived quantities ---------------------------------------------------------------------------------------

    @property
    def n_subproducts(self) -> int:
        """Number of sub-products K."""
        return int(self.classes.size)

    @property
    def n_classes(self) -> int:
        """Number of importance classes L."""
        return int(self.classes.max())

    @property
    def class_sizes(self) -> tuple[int, ...]:
        """Sizes k_1..k_L of the classes."""
        return tuple(np.bincount(self.classes, minlength=self.n_classes + 1)[1:].tolist())

    @property
    def energy(self) -> Floats:
        """Energies ‖X_k‖², shape (K,); in expectation for a model."""
        return np.diagonal(self.gram)

    @property
    def norm2(self) -> float:
        """‖A·B‖², in expectation for a model."""
        return max(float(self.gram.sum()), 0.0)

    @property
    def class_gram(self) -> Floats:
        """Gram matrix summed over classes, shape (L, L), which is what codes need that decode class by class."""
        member = self.classes[:, None] == np.arange(1, self.n_classes + 1)[None, :]
        return np.asarray(member.T.astype(np.float64) @ self.gram @ member.astype(np.float64))

    def __repr__(self) -> str:
        kind = "model" if self.matrices is None else f"{self.matrices.left.shape}·{self.matrices.right.shape}"
        blocks = "×".join(map(str, self.shape))
        return f"Partition({self.paradigm}, {blocks} blocks, classes={self.class_sizes}, {kind})"

    def _repr_html_(self) -> str:
        share = np.bincount(self.classes, weights=self.energy, minlength=self.n_classes + 1)[1:] / max(self.energy.sum(), 1e-300)
        rows = [("sub-products K", self.n_subproducts), ("classes", self.class_sizes)]
        return html_table(repr(self), [*rows, ("energy by class", ", ".join(f"{s:.2%}" for s in share))])

    # --- constructors ----------------------------------------------------------------------------------------------

    @classmethod
    def rxc(
        cls,
        A: Any,
        B: Any,
        *,
        rows: int = 3,
        cols: int = 3,
        classes: Classes = "auto",
        order: Order = "norm",
        row_levels: Sequence[int] | None = None,
        col_levels: Sequence[int] | None = None,
    ) -> Partition:
        """Cut A into row blocks and B into column blocks: C consists of the tiles A_n B_p.

        Parameters
        ----------
        A, B : array_like, cupy array, or path to .npy/.npz
            Factors, shapes (U, H) and (H, Q), finite and real. ``file.npz:key`` names an array of several.
        rows, cols : int
            Number of row blocks N of A and column blocks P of B; they need not divide evenly.
        classes : sequence of int, table of shape (N, P), or "auto"
            Class sizes (the most important sub-products by ‖A_n‖·‖B_p‖ first, ties by index), class numbers from 1, or
            ``"auto"``: at most three groups of least spread of log ‖A_n‖·‖B_p‖.
        order : "norm", "mean_abs" or None
            Order rows of A and columns of B by importance before cutting.
        row_levels, col_levels : sequence of int, optional
            Sizes of the block levels for factored windows. Default: one block each.

        Examples
        --------
        >>> rng = np.random.default_rng(1)
        >>> part = Partition.rxc(rng.normal(size=(7, 5)), rng.normal(size=(5, 8)), rows=3, cols=2, classes=(2, 4))
        >>> part
        Partition(rxc, 3×2 blocks, classes=(2, 4), (7, 5)·(5, 8))
        """
        left, right = load_factors(A, B)
        _require_energies("A and B", left, right)
        rows, cols = integer("rows", rows, 1), integer("cols", cols, 1)
        _require_room(rows * cols)
        row_bounds = block_bounds("rows", left.shape[0], rows)
        col_bounds = block_bounds("cols", right.shape[1], cols)
        with np.errstate(over="ignore", invalid="ignore"):
            left_order, right_order = order_slices(order, left), order_slices(order, right.T)
            left, right = left[left_order], right[:, right_order]
            row_norm, col_norm = block_norms(left, row_bounds), block_norms(right.T, col_bounds)
            tiles = np.add.reduceat(np.add.reduceat((left @ right) ** 2, row_bounds[:-1], axis=0), col_bounds[:-1], axis=1)
            score = np.outer(row_norm, col_norm).ravel()
        _require_range("A and B", score, tiles, _largest(left), _largest(right))
        return cls(
            "rxc",
            (rows, cols),
            assign_classes(classes, score, (rows, cols)),
            np.diag(tiles.ravel()),
            assign_levels("row_levels", row_levels, row_norm),
            assign_levels("col_levels", col_levels, col_norm),
            BlockMatrices("rxc", left, right, left_order, right_order, row_bounds, col_bounds),
        )

    @classmethod
    def cxr(cls, A: Any, B: Any, *, blocks: int = 9, classes: Classes = "auto", order: Order = "norm") -> Partition:
        """Cut A into column blocks and B into row blocks: C is the sum of the A_m B_m.

        Parameters
        ----------
        A, B : array_like, cupy array, or path to .npy/.npz
            Factors, shapes (U, H) and (H, Q).
        blocks : int
            Number of blocks M = K along H.
        classes, order
            As for :meth:`rxc`; a table has shape (M, 1), and columns of A move together with rows of B.

        Examples
        --------
        >>> A, B = np.diag([3.0, 2.0, 1.0]), np.eye(3)
        >>> part = Partition.cxr(A, B, blocks=3, classes=(1, 2))
        >>> part.classes.tolist(), part.energy.tolist()
        ([1, 2, 2], [9.0, 4.0, 1.0])
        """
        left, right = load_factors(A, B)
        _require_energies("A and B", left, right)
        blocks = integer("blocks", blocks, 1)
        _require_room(blocks)
        bounds = block_bounds("blocks", left.shape[1], blocks)
        with np.errstate(over="ignore", invalid="ignore"):
            permutation = order_slices(order, left.T, right)
            left, right = left[:, permutation], right[permutation]
            left_norm, right_norm = block_norms(left.T, bounds), block_norms(right, bounds)
            gram, score = summand_gram(left, right, bounds), left_norm * right_norm
        _require_range("A and B", score, gram, _largest(left), _largest(right))
        return cls(
            "cxr",
            (blocks,),
            assign_classes(classes, score, (blocks,)),
            gram,
            matrices=BlockMatrices("cxr", left, right, permutation, permutation, bounds, bounds),
        )

    @classmethod
    def model(
        cls,
        paradigm: Paradigm,
        *,
        left_variances: ArrayLike,
        right_variances: ArrayLike,
        shape: tuple[int, int, int] = (1, 1, 1),
        classes: Classes = "auto",
        left_means: ArrayLike = 0.0,
        right_means: ArrayLike = 0.0,
        row_levels: Sequence[int] | None = None,
        col_levels: Sequence[int] | None = None,
    ) -> Partition:
        """Describe independent random blocks by the variances and means of their entries; losses are expectations.

        Parameters
        ----------
        paradigm : "rxc" or "cxr"
        left_variances, right_variances : array_like of float
            Entry variances of the blocks: N and P of them (rxc), or M and M (cxr). All >= 0.
        shape : (U, H, Q)
            Size of one block pair, U×H times H×Q.
        classes : as for :meth:`rxc`
        left_means, right_means : array_like of float
            Entry means of the blocks, broadcast. Default: zero.
        row_levels, col_levels : as for :meth:`rxc`

        Notes
        -----
        E‖A_n B_p‖² = U Q [H (σ_A² + μ_A²)(σ_B² + μ_B²) + H (H−1) μ_A² μ_B²], and for cxr the cross terms
        U Q H² μ_A μ_B μ_A' μ_B' (docs/mathematics.md §5).

        Examples
        --------
        >>> v = (10, 1, 0.1)
        >>> part = Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
        >>> part.classes.reshape(3, 3).tolist()
        [[1, 1, 2], [1, 2, 3], [2, 3, 3]]
        """
        choice("paradigm", paradigm, ("rxc", "cxr"))
        u, h, q = _block_shape(shape)
        va, vb = _variances("left_variances", left_variances), _variances("right_variances", right_variances)
        if paradigm == "cxr" and va.size != vb.size:
            raise ValueError(f"left_variances and right_variances must be of one length for cxr, got {va.size} and {vb.size}")
        for name, levels in (("row_levels", row_levels), ("col_levels", col_levels)):
            if paradigm == "cxr" and levels is not None:
                raise ValueError(f"{name} must be left out for cxr, whose codes have no factored windows, got {shown(levels)}")
        ma, mb = _means("left_means", left_means, va.size), _means("right_means", right_means, vb.size)
        _require_energies("left_variances and right_variances, with means,", np.hypot(np.sqrt(va), ma), np.hypot(np.sqrt(vb), mb))
        _require_room(va.size * vb.size if paradigm == "rxc" else va.size)
        combine = np.outer if paradigm == "rxc" else np.multiply
        with np.errstate(over="ignore", invalid="ignore"):
            second_a, second_b = va + ma**2, vb + mb**2
            squares = h * combine(second_a, second_b) + h * (h - 1) * combine(ma**2, mb**2)
            score = np.sqrt(combine(second_a, second_b)).ravel()
            gram = np.zeros((score.size, score.size)) if paradigm == "rxc" else np.outer(h * ma * mb, h * ma * mb)
            np.fill_diagonal(gram, squares.ravel())
            gram = u * q * gram
        largest = _largest(np.sqrt(second_a)), _largest(np.sqrt(second_b))
        _require_range("left_variances and right_variances, with means and shape,", score, gram, *largest)
        if paradigm == "cxr":
            return cls("cxr", (va.size,), assign_classes(classes, score, (va.size,)), gram)
        return cls(
            "rxc",
            (va.size, vb.size),
            assign_classes(classes, score, (va.size, vb.size)),
            gram,
            assign_levels("row_levels", row_levels, np.sqrt(second_a)),
            assign_levels("col_levels", col_levels, np.sqrt(second_b)),
        )


def _require_range(names: str, score: Floats, energies: Floats, left: float, right: float) -> None:
    """Refuse finite entries whose squares overflow, before they decide classes, or underflow, which would call a loss zero.

    `left` and `right` are the largest entries of A and of B.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.abs(energies).sum())
        finite = np.all(np.isfinite(score)) and np.isfinite(total)
    if not finite:
        raise ValueError(f"{names} must give finite energies: sums of squared products exceed float64 (1.8e308); scale them down")
    if 0 < total < LEAST_ENERGY or (total == 0 and min(left, right) > 0 and left * right < LEAST_ENERGY**0.5):
        raise ValueError(f"{names} must give energies of {LEAST_ENERGY:g} or more, got {total:g}: squares underflow; scale them up")


def _largest(entries: Floats) -> float:
    return float(np.abs(entries).max())


def _require_energies(names: str, left: Floats, right: Floats) -> None:
    """Refuse factors, or root mean squares of their entries, whose products have squares below float64: all would pass for zero."""
    a, b = float(np.abs(left).max()), float(np.abs(right).max())
    if min(a, b) > 0 and a * b < math.sqrt(np.finfo(np.float64).tiny):
        raise ValueError(
            f"{names} must give energies that float64 can hold (at least 2.2e-308), got entries of at most {a:.3g} and {b:.3g}; "
            "scale them up"
        )


def _require_room(k: int) -> None:
    """Refuse so many sub-products that their Gram matrix, and two others made on the way, do not fit into memory."""
    require_memory(f"a partition of K = {k:,} sub-products", 3 * 8 * k**2)


def _block_shape(shape: Any) -> tuple[int, int, int]:
    if not np.iterable(shape) or len(sizes := list(shape)) != 3:
        raise ValueError(f"shape must be three integers (U, H, Q), got {shown(shape)}")
    u, h, q = (integer("shape", x, 1) for x in sizes)
    if max(u, h, q) >= 2**63:
        raise ValueError(f"shape must be three integers below 2^63, got {shown(shape)}")
    return u, h, q


def _variances(name: str, value: ArrayLike) -> Floats:
    array = np.atleast_1d(real_array(name, value))
    if array.ndim != 1 or array.size == 0 or not np.all(np.isfinite(array)) or np.any(array < 0):
        raise ValueError(f"{name} must be a non-empty sequence of finite variances >= 0, got {shown(value)}")
    return array


def _means(name: str, value: ArrayLike, n: int) -> Floats:
    array = real_array(name, value)
    if array.ndim > 1 or (array.ndim == 1 and array.size != n) or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be one finite number or {n} of them, got {shown(value)}")
    return np.broadcast_to(array, (n,)).copy()
