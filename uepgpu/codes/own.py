"""Your own codes: given by their windows, or by a generator matrix."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from uepgpu.checks import bool_array, choice, field_class, frozen, integer, integer_array, probability_vector, real_array, shown
from uepgpu.codes.supports import COEFFICIENTS, SupportLaw, residues
from uepgpu.text.html import Described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from uepgpu.codes.law import Bools, Coefficients
    from uepgpu.partition import Partition

__all__ = ["Generator", "Windows"]

GivenField = Literal["real", "gf2", "gf256"]
GIVEN_FIELDS = ("real", "gf2", "gf256")
FIELD_ORDERS: dict[int, GivenField] = {2: "gf2", 256: "gf256"}
GF256_POLYNOMIAL = 0x11B
"""x⁸+x⁴+x³+x+1, by which kernels multiply."""


@dataclass(frozen=True, eq=False)
class Windows(Described):
    """Your own code, given by its windows.

    Parameters
    ----------
    supports : sequence of index sets, or (S, K) bool array
        Sub-products (counted from 0, each named once) that each window combines; none may be empty.
    probabilities : sequence of float
        Window selection probabilities, summing to 1.
    work : int or sequence of int, optional
        True work of a packet of each window, >= 1. Default: the size of its support.
    coefficients : "generic", "gf2" or "gf256"

    Examples
    --------
    >>> from uepgpu import Partition
    >>> part = Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> Windows([[0], [0, 1, 2]], [0.5, 0.5]).law(part, 10).work.tolist()
    [1, 3]
    """

    supports: Any
    probabilities: Sequence[float]
    work: int | Sequence[int] | None = None
    coefficients: Coefficients = "generic"

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", probability_vector("probabilities", self.probabilities))
        choice("coefficients", self.coefficients, COEFFICIENTS)
        supports = _own_supports(self.supports)
        if len(supports) != len(self.probabilities):
            raise ValueError(
                f"probabilities must give one number per support: {len(supports)} supports, got {len(self.probabilities)}"
            )
        _given_work(self.work, len(supports))
        object.__setattr__(self, "supports", supports)
        object.__setattr__(self, "work", deepcopy(self.work))

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        k = partition.n_subproducts
        supports = _support_matrix(self.supports, k)
        work = supports.sum(axis=1) if self.work is None else _given_work(self.work, len(supports))
        probabilities = np.array(self.probabilities)
        return SupportLaw(k, work, self.coefficients, "windows", supports=supports, probabilities=probabilities)


@dataclass(frozen=True, eq=False)
class Generator(Described):
    """Your own code, given by its generator matrix: worker w returns Σ_k matrix[w, k] X_k.

    Real matrices are eliminated modulo the prime 2³¹−1: exact for the numbers that float64 holds, unless the prime divides a
    minor that is not zero, and the same on every backend. Whether float64 could decode them is another matter:
    :func:`uepgpu.condition`.

    Parameters
    ----------
    matrix : array_like, shape (W, K)
        Finite real numbers, of which none but zero is a multiple of 2³¹−1 (integers at most 2⁵³); or elements of a field: 0 and
        1, or 0..255 as polynomials over GF(2) modulo x⁸+x⁴+x³+x+1. An array of `galois` brings its field along. No row may be
        zero.
    work : int or sequence of int, optional
        True work of every worker's packet. Default: the number of its nonzero coefficients.
    field : "real", "gf2" or "gf256"
        What the coefficients, and sums of sub-products, are.

    Examples
    --------
    >>> from uepgpu import Partition
    >>> part = Partition.model("cxr", left_variances=[4, 1], right_variances=[1, 1], classes=(1, 1))
    >>> Generator([[1, 0], [1, 1], [1, -1]]).law(part, 3).work.tolist()
    [1, 2, 2]
    >>> Generator([[1, 1, 0], [0, 1, 1], [1, 0, 1]], field="gf2").field  # rank 2; over the reals it is 3
    'gf2'

    In cxr a packet may be the product itself, or another sum that counts (docs/mathematics.md §3):

    >>> import uepgpu as uep
    >>> copies = uep.simulate(Generator([[1, 1]] * 3), part, uep.Workers(3), realizations=10, seed=7)
    >>> copies.loss(part).normalized_loss.values.tolist()
    [1.0, 0.0, 0.0, 0.0]
    """

    matrix: ArrayLike
    work: int | Sequence[int] | None = None
    field: GivenField = "real"

    def __post_init__(self) -> None:
        choice("field", self.field, GIVEN_FIELDS)
        field, elements = _own_field(self.matrix, self.field)
        matrix = real_array("matrix", elements)
        if matrix.ndim != 2 or not np.all(np.isfinite(matrix)):
            raise ValueError(
                f"matrix must be a finite two-dimensional array (W, K), got shape {matrix.shape}: {shown(self.matrix)}"
            )
        if not np.all((matrix != 0).any(axis=1)):
            raise ValueError("matrix must have no zero row: every worker combines at least one sub-product")
        _check_elements(matrix, elements, field)
        _given_work(self.work, len(matrix))
        object.__setattr__(self, "matrix", frozen(matrix))
        object.__setattr__(self, "field", field)
        object.__setattr__(self, "work", deepcopy(self.work))

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        matrix = np.asarray(self.matrix)
        if matrix.shape != (n_workers, partition.n_subproducts):
            raise ValueError(
                f"matrix must have shape (W, K) = ({n_workers}, {partition.n_subproducts}) for these workers and this partition, "
                f"got {matrix.shape}"
            )
        support = matrix != 0
        return SupportLaw(
            partition.n_subproducts,
            support.sum(axis=1) if self.work is None else _given_work(self.work, n_workers),
            self.field,
            "generator",
            supports=support,
            window=np.arange(n_workers),
            generator=matrix,
        )


def _own_field(matrix: Any, field: GivenField) -> tuple[GivenField, Any]:
    """Return the field of a matrix and its elements as numbers: those of an array that has a field of its own, else as given."""
    kind = field_class(matrix)
    if kind is None:
        return field, matrix
    order = int(kind.order)
    if order not in FIELD_ORDERS:
        raise ValueError(f"matrix must be real or over GF(2) or GF(256), got an array over {kind.__name__} of order {order}")
    own = FIELD_ORDERS[order]
    if field not in ("real", own):
        raise ValueError(f"field={field!r} contradicts matrix, an array over GF({order})")
    if order == 256 and int(kind.irreducible_poly) != GF256_POLYNOMIAL:
        raise ValueError(
            f"matrix must be over GF(256) modulo the polynomial {GF256_POLYNOMIAL:#x}, got an array over GF(256) modulo "
            f"{int(kind.irreducible_poly):#x}"
        )
    return own, np.asarray(matrix)


def _check_elements(matrix: NDArray[np.float64], given: Any, field: str) -> None:
    """Refuse what elimination would not take for what it is."""
    if field != "real":
        most = 1 if field == "gf2" else 255
        wrong = matrix[(matrix < 0) | (matrix > most) | (matrix != np.round(matrix))]
        if wrong.size:
            raise ValueError(f"matrix must hold whole numbers 0..{most} for field={field!r}, got {wrong[0]:.17g}")
        return
    array = np.asarray(given)
    whole = [int(x) for x in array.flat if isinstance(x, Integral)] if array.dtype.kind in "iuO" else []
    if max(map(abs, whole), default=0) > 2**53:
        raise ValueError(f"matrix must hold integers of at most 2^53, which float64 holds exactly, got {shown(given)}")
    vanishing = matrix[(matrix != 0) & (residues(matrix) == 0)]
    if vanishing.size:
        raise ValueError(f"matrix must hold no multiple of 2^31-1, by which real numbers are eliminated, got {vanishing[0]:.17g}")


def _own_supports(supports: Any) -> Any:
    """Return a copy of supports, checked as far as that needs no K, in the form in which they were given."""
    if isinstance(supports, np.ndarray) and supports.dtype == np.bool_ and supports.ndim == 2:
        table = bool_array("supports", supports)
        sizes = table.sum(axis=1).tolist()
        copy: Any = table
    else:
        try:
            copy = deepcopy(supports)
            windows = [list(members) for members in copy]
        except TypeError:
            raise ValueError(
                f"supports must be sets of sub-products, one per window, or a bool array (windows, K), got {shown(supports)}"
            ) from None
        for members in windows:
            if len({integer("supports", member, 0) for member in members}) < len(members):
                raise ValueError(
                    f"supports must name a sub-product once per window, got {shown(members)}: a 0/1 table must be a bool array"
                )
        sizes = [len(members) for members in windows]
    if 0 in sizes:
        raise ValueError(f"supports must not be empty: every window combines at least one sub-product, but number {sizes.index(0)}")
    return copy


def _support_matrix(supports: Any, k: int) -> Bools:
    if isinstance(supports, np.ndarray) and supports.dtype == np.bool_:
        if supports.shape[1] != k:
            raise ValueError(f"supports as a bool array must have shape (windows, K = {k}), got {supports.shape}")
        return supports.copy()
    if isinstance(supports, np.ndarray) and supports.shape[1:] == (k,) and k > 1 and supports.max() <= 1:
        raise ValueError(
            f"supports must not be an integer array of width K = {k} that holds 0 and 1 only, which may mean indices or a table: "
            "give lists of indices or a bool array"
        )
    matrix = np.zeros((len(supports), k), dtype=np.bool_)
    for row, members in zip(matrix, supports, strict=True):
        for member in members:
            if member >= k:
                raise ValueError(f"supports must name sub-products 0..{k - 1} (K = {k}), got {member}")
            row[member] = True
    return matrix


def _given_work(work: Any, n: int) -> NDArray[np.int64]:
    """Return the work of n packets, given once or for each of them, shape (n,); ones if it is not given."""
    array = np.ones(n, dtype=np.int64) if work is None else integer_array("work", work)
    if np.any(array < 1) or array.shape not in ((), (1,), (n,)):
        raise ValueError(f"work must be one integer >= 1 or {n} of them, got {shown(work)}")
    return np.broadcast_to(array, (n,)).copy()
