"""Lower bounds of the expected loss, over all codes of a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, flag, instance
from uepgpu.partition import Partition
from uepgpu.text.variables import dataset as labelled
from uepgpu.theory.received import received_law
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["lower_bound"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOLERANCE = 1e-10
"""To which the linear program is solved, the least that HiGHS takes. Its dual solution, not its value, gives the bound."""
ROUNDINGS = 16
"""Roundings of 2^-53 that a sum of the certificate is taken to have, times its terms: more than any has terms."""


def lower_bound(part: Partition, workers: Workers, *, deadlines: ArrayLike, classes: bool = False) -> xr.Dataset:
    """Return what no code can be better than: two lower bounds of the expected normalized loss of zero-filling.

    They hold for every linear code, drawn or tied to workers, whose packets cost at least one block product and whose
    sub-products are decoded one by one; a sum of sub-products that is decoded as a whole is not covered.

    Parameters
    ----------
    part : Partition
    workers : Workers
        Their work model does not matter: no packet arrives before one of work r = 1.
    deadlines : array_like of float, shape (points,)
    classes : bool
        Whether ``bound_exchangeable`` is for codes that decode class by class, of which it is a stronger bound.

    Returns
    -------
    Dataset
        float64 variables over ``deadline``. ``bound_tail``: N packets decode no more than N sub-products, at best those of
        the largest energies. ``bound_exchangeable``: for packets that are drawn (not in turn), or tied to workers in random order,
        a linear program over the ranks that N of them can have; never less than ``bound_tail``. Cross terms between sub-products
        weaken both: the attribute ``cross_terms`` is the factor λ by which, 1 without any.

    Raises
    ------
    ValueError
        Bad arguments, or a product of norm 0.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> bound = uep.theory.lower_bound(part, uep.Workers(30, omega=1.0), deadlines=[0.3])
    >>> f"{bound.bound_tail.item():.4g}, {bound.bound_exchangeable.item():.4g}"
    '0.003831, 0.01587'

    References
    ----------
    docs/mathematics.md §11.
    """
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    flag("classes", classes)
    times = deadlines_array(deadlines)
    if not part.norm2 > 0:
        raise ValueError(f"part must have a product other than 0, got ‖C‖² = {part.norm2:g}")
    counts = received_law(workers, times, part.n_subproducts, 1)
    factor = _least_share(part.gram)
    energy = np.sort(part.energy)[::-1] / part.norm2
    missing = np.append(np.cumsum(energy[::-1])[::-1], 0.0)  # of all but the first N
    tail = factor * (counts @ missing[np.minimum(np.arange(workers.n_packets + 1), energy.size)])
    sizes, share, of_items = np.ones(energy.size, dtype=np.int64), energy, factor
    if classes:
        sizes = np.array(part.class_sizes)
        share = np.diagonal(part.class_gram) / part.norm2 / sizes
        order = np.argsort(-share, kind="stable")
        sizes, share, of_items = sizes[order], share[order], _least_share(part.class_gram)
    exchangeable = of_items * _programs(counts, sizes, share)
    return labelled(
        {"bound_tail": (("deadline",), tail), "bound_exchangeable": (("deadline",), np.maximum(exchangeable, tail))},
        coords={"deadline": times},
        attrs={
            "paradigm": part.paradigm,
            "classes": list(part.class_sizes),
            "workers": workers.count,
            "class_wise": int(classes),
            "cross_terms": of_items,
        },
        time_unit=workers.time_unit,
    )


def _least_share(gram: Floats) -> float:
    """Return λ with 1_Tᵀ G 1_T >= λ Σ_(k in T) G_kk for all sets T: the least eigenvalue of the correlations, 1 without any."""
    energy = np.diagonal(gram)
    if np.array_equal(gram, np.diag(energy)):
        return 1.0
    used = energy > 0
    scale = np.sqrt(energy[used])
    return max(float(np.linalg.eigvalsh(gram[np.ix_(used, used)] / np.outer(scale, scale))[0]), 0.0)


def _programs(counts: Floats, sizes: Ints, energy: Floats) -> Floats:
    """Return the least Σ_N Pr[N] Σ_l e_l (k_l - d_l(N)) at every point, items l by falling energy e_l of each of their k_l.

    Variables are ρ_j(N), j = 0..M-1, N = 1..W: the expected rank of the columns of the items behind j among N received packets.
    It begins with ρ_j(0) = 0, ρ_j(1) <= 1, does not fall, is concave, and at most the number of columns. So is
    d_l = ρ_(l-1) - ρ_l, the columns of item l that can be decoded: not falling in N, within [0, k_l].
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    items, most = sizes.size, counts.shape[1] - 1
    variable = np.arange(items * most).reshape(items, most)
    rows: list[dict[int, float]] = []
    limit: list[float] = []

    def at_most(terms: list[tuple[float, int, int]], bound: float) -> None:
        """Ask for Σ coefficient · ρ_j(N) <= bound; ρ_j(0) = ρ_M = 0."""
        rows.append({int(variable[j, n - 1]): c for c, j, n in terms if n > 0 and j < items})
        limit.append(bound)

    for j in range(items):
        at_most([(1, j, most - 1), (-1, j, most)], 0.0)  # with concavity, nowhere falling
        for n in range(1, most):
            at_most([(1, j, n + 1), (-2, j, n), (1, j, n - 1)], 0.0)
        for n in range(1, most + 1):
            at_most([(-1, j, n), (1, j + 1, n), (1, j, n - 1), (-1, j + 1, n - 1)], 0.0)
        at_most([(1, j, most), (-1, j + 1, most)], float(sizes[j]))
    entries = [(row, column, value) for row, terms in enumerate(rows) for column, value in terms.items()]
    where = np.array([(row, column) for row, column, _ in entries]).T
    matrix = coo_array(([value for *_, value in entries], where), shape=(len(rows), variable.size)).tocsr()
    columns = sizes[::-1].cumsum()[::-1].astype(np.float64)  # K - K_j
    upper = np.repeat(columns[:, None], most, axis=1)
    upper[:, 0] = np.minimum(upper[:, 0], 1.0)
    bounds = np.stack([np.zeros(variable.size), upper.ravel()], axis=1)
    gain = np.diff(energy, prepend=0.0)  # of ρ_j: e_(j+1) - e_j
    everything = float(sizes @ energy)
    result = np.empty(len(counts))
    options = {"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE}
    solve: Any = linprog  # its overloads ask for lists where arrays serve
    for point, law in enumerate(counts):
        objective = -(gain[:, None] * law[1:]).ravel()
        found = solve(objective, A_ub=matrix, b_ub=limit, bounds=bounds, method="highs", options=options)
        if found.status != 0:
            raise RuntimeError(f"the linear program of the bound was not solved: {found.message}")
        dual = np.maximum(-found.ineqlin.marginals, 0.0)
        result[point] = everything * law.sum() + _certified(objective, matrix, np.array(limit), upper.ravel(), dual)
        result[point] -= ROUNDINGS * np.finfo(float).eps * everything
    return np.maximum(result, 0.0)


def _certified(objective: Floats, matrix: Any, limit: Floats, upper: Floats, dual: Floats) -> float:
    """Return a value that objective · x is not below where matrix · x <= limit and 0 <= x <= upper, whatever `dual` >= 0 is.

    It is the least one if `dual` solves the dual program. A solver's value would be above the truth by its tolerance, and that of
    a tiny loss above the loss.
    """
    reduced = objective + matrix.T @ dual
    eps = ROUNDINGS * np.finfo(float).eps
    error = eps * (np.abs(objective) + np.abs(matrix).T @ dual)
    below = np.minimum(reduced - error, 0.0) @ upper
    paid = limit @ dual
    return float((below - paid) - eps * (abs(below) + paid))
