"""The best windows of packets of one product: rectangles of blocks, with free probabilities."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import choice, instance, integer, word64
from uepgpu.codes import Windows
from uepgpu.design.arrivals import arrivals_of, weights_of
from uepgpu.design.copies import repetition
from uepgpu.design.likelihood import Drawn, draw
from uepgpu.design.result import Design, candidates
from uepgpu.monte_carlo import simulate
from uepgpu.partition import Partition
from uepgpu.theory.arrays import binomial
from uepgpu.workers import Workers

__all__ = ["REALIZATIONS", "windows"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDS = (*(4000,) * 8, *(16_000,) * 4, *(40_000,) * 2)
"""Realizations of the simulations that probabilities are improved on, one after another."""
WIDER, NARROWER = 0.5, 1.5
"""By how much the logarithm of a probability may rise and fall on one simulation."""
LEAST_EFFECTIVE = 0.3
"""Steps are shortened until so much of a simulation counts."""
FLOOR = 1e-5
"""Windows are drawn at least so often, so that they can come back."""
SMALL = (0.0, 0.003, 0.01, 0.03)
"""Windows below such probabilities are left out in candidates."""
NEGLIGIBLE = 1e-9
REALIZATIONS = (100, 1_000_000_000)
"""How many may be asked for."""


def windows(
    part: Partition,
    workers: Workers,
    *,
    deadlines: ArrayLike,
    encoding: Literal["factored"] = "factored",
    weights: ArrayLike | None = None,
    realizations: int = 200_000,
    seed: int = 1,
    backend: str = "auto",
) -> Design:
    """Return the best code whose packets are one product each, (Σ α_n A_n)(Σ β_p B_p), by simulation.

    Windows are the rectangles {1..i}×{1..j} of the most important blocks and single sub-products; their probabilities are free,
    equal for windows that a symmetric partition does not tell apart. Every round simulates once, and descends on what likelihood
    ratios say about probabilities nearby. Candidates are then compared on fresh realizations, and the best is estimated on others.

    Parameters
    ----------
    part : Partition
        rxc. For cxr, packets of one product and one sub-product are :func:`repetition`.
    workers : Workers
        All alike. The work model does not matter: all packets have r = 1.
    deadlines : array_like of float, shape (points,)
    encoding : "factored"
    weights : array_like of float, shape (points,), optional
        Weights of the deadlines, whose mean loss is minimised. Default: equal.
    realizations : int
        Of the comparison, and four times as many of the estimate.
    seed : int
    backend : str
        As for :func:`uepgpu.simulate`.

    Returns
    -------
    Design
        Its code is a :class:`codes.Windows`; ``low`` and ``high`` are the mean bounds of the 95 % intervals of its loss. The
        baseline is the best drawn repetition, exactly: single sub-products are windows too. ``tried`` has the candidates, with
        ``share`` over (candidate, window) and ``support`` over (window, subproduct).

    Raises
    ------
    ValueError
        Bad arguments, or a cxr partition.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> best = uep.design.windows(part, uep.Workers(30, omega=1.0), deadlines=0.6, realizations=20_000)
    >>> best.objective < 0.0028, best.baseline > 0.022, best.low < best.objective < best.high
    (True, True, True)

    References
    ----------
    docs/mathematics.md §11.
    """
    instance("part", part, Partition)
    choice("encoding", encoding, ("factored",))
    if part.paradigm != "rxc":
        raise ValueError(
            f"part must be an rxc partition, got {part.paradigm}: a product of sums of its blocks is no sum of its sub-products; "
            "see uepgpu.design.repetition"
        )
    n = integer("realizations", realizations, *REALIZATIONS)
    word64("seed", seed)
    baseline = repetition(part, workers, deadlines=deadlines, weights=weights)
    arrivals = arrivals_of(workers, deadlines, None, np.ones(1, dtype=np.int64), part.n_subproducts)
    share = weights_of(weights, arrivals.n_points)
    chance = share @ binomial(workers.count, arrivals.arrived[:, 0, 0], arrivals.late[:, 0, 0], workers.count)
    most = int(np.flatnonzero(chance[::-1].cumsum()[::-1] > NEGLIGIBLE)[-1])
    supports, group = _rectangles(part)
    size = np.bincount(group)

    def spread(shares: Floats) -> Floats:
        return np.asarray((shares / size)[group])

    shares = size / size.sum()
    seeds = np.random.SeedSequence(seed).generate_state(len(ROUNDS) + 2, np.uint64).tolist()
    if most > 0:
        for count, key in zip(ROUNDS, seeds, strict=False):
            drawn = draw(supports, spread(shares), part, workers, chance[: most + 1], count, key, backend)
            shares = _descend(drawn, shares, group, size)
    codes = []
    for least in SMALL:
        kept = np.where(shares >= max(least, 2 * FLOOR), shares, 0.0)
        if kept.any():
            codes.append(_code(supports, spread(kept / kept.sum())))
    losses = [_loss(code, part, workers, arrivals.deadlines, share, n, seeds[-2], backend)[0] for code in codes]
    order = np.argsort(losses, kind="stable")
    best = codes[order[0]]
    value, low, high = _loss(best, part, workers, arrivals.deadlines, share, 4 * n, seeds[-1], backend)
    chances = np.zeros((len(codes), len(supports)))
    for row, i in enumerate(order):
        chances[row] = [
            dict(zip(map(tuple, codes[i].supports), codes[i].probabilities, strict=True)).get(_members(s), 0.0) for s in supports
        ]
    tried = candidates(np.asarray(losses)[order], share=(("window",), chances)).assign(support=(("window", "subproduct"), supports))
    return Design(best, part, workers, arrivals.deadlines, "loss", value, low, high, baseline.objective, tried)


def _members(support: Bools) -> tuple[int, ...]:
    return tuple(np.flatnonzero(support).tolist())


def _code(supports: Bools, probabilities: Floats) -> Windows:
    used = probabilities > 0
    chances = probabilities[used] / probabilities[used].sum()
    return Windows([list(_members(s)) for s in supports[used]], tuple(chances.tolist()), work=1)


def _rectangles(part: Partition) -> tuple[Bools, Ints]:
    """Return the windows, shape (S, K), and the group of each: windows that a symmetric partition does not tell apart."""
    table = part.energy.reshape(part.shape)
    rows, cols = np.argsort(-table.sum(axis=1), kind="stable"), np.argsort(-table.sum(axis=0), kind="stable")
    ranked = table[np.ix_(rows, cols)]
    symmetric = ranked.shape[0] == ranked.shape[1] and np.allclose(ranked, ranked.T, rtol=1e-9, atol=0.0)
    found: dict[bytes, tuple[Bools, int]] = {}
    groups: dict[tuple[str, int, int], int] = {}
    for kind in ("rectangle", "single"):
        for i, j in np.ndindex(*part.shape):
            support = np.zeros(part.shape, dtype=np.bool_)
            if kind == "rectangle":
                support[np.ix_(rows[: i + 1], cols[: j + 1])] = True
            else:
                support[rows[i], cols[j]] = True
            key = (kind, min(i, j), max(i, j)) if symmetric else (kind, i, j)
            if support.tobytes() not in found:
                found[support.tobytes()] = support.ravel(), groups.setdefault(key, len(groups))
    return np.array([support for support, _ in found.values()]), np.array([group for _, group in found.values()])


def _descend(drawn: Drawn, shares: Floats, group: Ints, size: Ints) -> Floats:
    """Return better probabilities of the groups than those that were drawn, as far as the realizations tell."""
    from scipy.optimize import minimize

    start = np.log(np.maximum(shares, FLOOR))

    def logarithms(x: Floats) -> Floats:
        return np.asarray((x - np.logaddexp.reduce(x) - np.log(size))[group])

    def aim(x: Floats) -> tuple[float, Floats]:
        value, slope = drawn.value_and_gradient(logarithms(x))
        own = np.bincount(group, slope, minlength=size.size)
        own -= np.exp(x - np.logaddexp.reduce(x)) * own.sum()
        return float(np.log(max(value, 1e-300))), own / max(value, 1e-300)

    bounds = [(at - NARROWER, at + WIDER) for at in start]
    found = minimize(aim, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 15})
    step = np.asarray(found.x) - start
    while drawn.effective(logarithms(start + step)) < LEAST_EFFECTIVE:
        step /= 2
    better = np.maximum(np.exp(start + step - np.logaddexp.reduce(start + step)), FLOOR)
    return np.asarray(better / better.sum())


def _loss(
    code: Windows, part: Partition, workers: Workers, times: Floats | None, weights: Floats, n: int, seed: int, backend: str
) -> tuple[float, float, float]:
    """Return the mean loss over the deadlines, and the means of the bounds of its intervals."""
    tally = simulate(code, part, workers, realizations=n, seed=seed, tally="marginals", backend=backend)
    found = tally.loss(part, workers=workers, deadlines=times)
    value, low, high = (float(found[f"normalized_loss{end}"].values @ weights) for end in ("", "_low", "_high"))
    return value, low, high
