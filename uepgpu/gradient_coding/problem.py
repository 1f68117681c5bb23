"""What is minimised: data cut into blocks of rows, a loss and a ridge term."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, frozen, integer, positive, real_array, shown
from uepgpu.gradient_coding import losses
from uepgpu.gradient_coding.scores import thin_svd
from uepgpu.partition import block_bounds, load_matrix
from uepgpu.text.html import html_table

__all__ = ["Problem"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Problem:
    """Minimise a loss of (A, b) plus ½ρ‖x‖² by gradients of blocks of rows.

    Parameters
    ----------
    A : array_like or path, shape (n, d)
        As for :meth:`uepgpu.Partition.rxc`: an array, or the path of an ``.npy`` or ``.npz`` file.
    b : array_like, shape (n,)
        Right-hand sides; labels −1 and 1 for logistic loss.
    blocks : int
        K, at most n; nearly equal blocks of consecutive rows. The gradient of one block is one unit of work.
    loss : "least-squares" or "logistic"
        ½‖Ax − b‖², or Σ log(1 + exp(−b a·x)).
    ridge : float
        ρ >= 0. The master adds the gradient of this term itself.

    Raises
    ------
    ValueError
        Bad values, named; a rank-deficient A without ridge, whose minimiser is not unique; a minimiser at zero, whose
        norm errors are relative to; separable labels without ridge. Zero rows are allowed: they have score zero and gradient zero.

    Examples
    --------
    >>> problem = Problem([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], [1.0, 2.0, 2.0], blocks=3)
    >>> problem.minimiser.round(9).tolist()
    [1.0, 1.0]
    """

    A: Any
    b: Any
    blocks: int
    loss: Literal["least-squares", "logistic"] = "least-squares"
    ridge: float = 0.0

    def __repr__(self) -> str:
        n, d = self.shape
        ridge = f", ridge={self.ridge:g}" if self.ridge else ""
        return f"Problem(A {n} × {d}, {self.blocks} blocks, {self.loss}{ridge})"

    def _repr_html_(self) -> str:
        n, d = self.shape
        return html_table("Problem", [("A", f"{n} × {d}"), ("blocks K", self.blocks), ("loss", self.loss), ("ridge", self.ridge)])

    def __post_init__(self) -> None:
        A, b = load_matrix("A", self.A), real_array("b", self.b)
        if b.shape != (A.shape[0],):
            raise ValueError(f"b must have one entry per row of A, shape ({A.shape[0]},), got shape {b.shape}")
        if not np.all(np.isfinite(b)):
            raise ValueError(f"b must be finite, got {shown(b[~np.isfinite(b)][0])}")
        choice("loss", self.loss, losses.LOSSES)
        if self.loss == "logistic" and not np.all(np.abs(b) == 1):
            raise ValueError(f"b must be labels -1 and 1 for loss='logistic', got {shown(b[np.abs(b) != 1][0])}")
        positive("ridge", self.ridge, zero=True)
        block_bounds("blocks", A.shape[0], integer("blocks", self.blocks, 1))
        object.__setattr__(self, "A", frozen(A))
        object.__setattr__(self, "b", frozen(b))
        if self.ridge == 0 and self.rank < A.shape[1]:
            raise ValueError(
                f"A of shape {A.shape} has rank {self.rank} < {A.shape[1]} columns, so that the minimiser is not unique: "
                "use ridge > 0 or drop dependent columns"
            )
        if np.linalg.norm(self.minimiser) == 0:
            raise ValueError("the minimiser is zero, and errors are relative to its norm: A'b must not vanish")

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        n, d = self.A.shape
        return int(n), int(d)

    @cached_property
    def bounds(self) -> Ints:
        """Where blocks begin and end, shape (K + 1,)."""
        return block_bounds("blocks", self.shape[0], self.blocks)

    @cached_property
    def svd(self) -> tuple[Floats, Floats, Floats]:
        """Thin SVD of A without singular values that are zero to rounding."""
        return thin_svd(self.A)

    @property
    def rank(self) -> int:
        """Numerical rank of A."""
        return self.svd[1].size

    @cached_property
    def scores(self) -> Floats:
        """Block leverage scores ℓ_ι = ‖U_ι‖_F², shape (K,); they sum to the rank of A."""
        return np.add.reduceat(np.einsum("ij,ij->i", self.svd[0], self.svd[0]), self.bounds[:-1])

    @cached_property
    def minimiser(self) -> Floats:
        """x*, shape (d,)."""
        if self.loss == "logistic":
            return losses.logistic_minimiser(self.A, self.b, self.ridge)
        return losses.least_squares_minimiser(*self.svd, self.b, self.ridge)

    @property
    def curvature(self) -> float:
        """L, a bound of the Hessian's eigenvalues; gradient descent converges for steps below 2/L."""
        return losses.curvature(self.loss, float(self.svd[1].max(initial=0.0)), self.ridge)

    def gradient(self, x: Floats) -> Floats:
        """Return the gradient of the data term at x, shape (d,)."""
        return losses.gradient(self.loss, self.A, self.b, x)

    def block_gradients(self, x: Floats) -> Floats:
        """Return the gradients of all blocks at x, shape (K, d)."""
        edges = self.bounds
        cuts = [slice(edges[k], edges[k + 1]) for k in range(self.blocks)]
        return np.stack([losses.gradient(self.loss, self.A[cut], self.b[cut], x) for cut in cuts])
