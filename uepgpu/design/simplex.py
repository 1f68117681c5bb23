"""Global search on the simplex: all vertices and a coarse grid, then a polish on every face.

Losses are not convex in Γ, and have several local minima, typically a vertex beside an interior point: descent from a few
starts misses the least one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uepgpu.design.expectation import compositions

__all__ = ["Found", "Score", "least"]

Floats = NDArray[np.float64]

FINEST = 20
MOST_GRID = 500
"""Points of the coarse grid: steps of 1/20 for three windows, 1/4 for eight."""
MOST_STARTS = 16
PER_FACE = 3


class Score(Protocol):
    """A function on the simplex: the largest of several terms."""

    def many(self, gammas: Floats) -> Floats:
        """Return it at many points, shapes (n, L) and (n,)."""

    def terms(self, gamma: Floats) -> tuple[Floats, Floats]:
        """Return the terms at one point and their derivatives, shapes (terms,) and (terms, L)."""


@dataclass(frozen=True, eq=False)
class Found:
    """Points that were tried, with their scores; the best one comes first.

    Attributes
    ----------
    gamma : (n, L) float64
    score : (n,) float64
    how : list of str
        ``"given"``, ``"vertex"``, ``"grid"`` or ``"polished"``.
    """

    gamma: Floats
    score: Floats
    how: list[str]


def least(score: Score, n_windows: int, given: Floats, *, polish: bool = True) -> Found:
    """Return the least score on the simplex, and what was tried.

    Parameters
    ----------
    score : Score
    n_windows : int
        L.
    given : (L,) float64
        A point that is tried too; it wins where nothing is better.
    polish : bool
        Whether to descend from the best points.
    """
    steps = _steps(n_windows)
    cells = compositions(steps, n_windows)
    grid = cells / steps
    gammas = np.concatenate([given[None], grid])
    scores = score.many(gammas)
    how = ["given", *("vertex" if (row == steps).any() else "grid" for row in cells)]
    if polish:
        starts = _starts(cells, scores[1:], steps)
        if math.isfinite(scores[0]):
            starts.append(given)
        ends = [end for start in starts if (end := _descend(score, start)) is not None]
        if ends:
            gammas = np.concatenate([gammas, np.stack(ends)])
            scores = np.concatenate([scores, score.many(np.stack(ends))])
            how += ["polished"] * len(ends)
    # A stable sort: of equal scores the given point comes first, then the vertices and the grid.
    rounded = np.where(np.isfinite(scores), np.round(scores, 13), np.inf)
    order = np.argsort(rounded, kind="stable")
    return Found(gammas[order], scores[order], [how[i] for i in order])


def _steps(n_windows: int) -> int:
    """Return the steps of the grid along an edge."""
    steps = FINEST
    while steps > 2 and math.comb(steps + n_windows - 1, n_windows - 1) > MOST_GRID:
        steps -= 1
    return steps


def _starts(cells: NDArray[np.int64], scores: Floats, steps: int) -> list[Floats]:
    """Return where to descend from: in every face, local minima of its inner points."""
    n = cells.shape[1]
    place = {tuple(cell): i for i, cell in enumerate(cells.tolist())}
    chosen: list[tuple[float, int]] = []
    faces: dict[tuple[int, ...], list[int]] = {}
    for i, cell in enumerate(cells.tolist()):
        if math.isfinite(scores[i]) and max(cell) < steps:
            faces.setdefault(tuple(window for window in range(n) if cell[window]), []).append(i)
    for face, members in faces.items():
        lowest = sorted(members, key=lambda i: scores[i])
        minima = [i for i in lowest if _is_minimum(i, face, cells, scores, place)]
        chosen += [(float(scores[i]), i) for i in dict.fromkeys([lowest[0], *minima[:PER_FACE]])]
    return [cells[i] / steps for _, i in sorted(chosen)[:MOST_STARTS]]


def _is_minimum(i: int, face: tuple[int, ...], cells: NDArray[np.int64], scores: Floats, place: dict[tuple[int, ...], int]) -> bool:
    for a, b in itertools.permutations(face, 2):
        moved = cells[i].copy()
        moved[a] += 1
        moved[b] -= 1
        if moved[b] > 0 and scores[place[tuple(moved.tolist())]] < scores[i]:
            return False
    return True


def _descend(score: Score, start: Floats) -> Floats | None:
    """Return where a descent within the face of `start` ends, or None if it leads nowhere."""
    from scipy.optimize import minimize

    face = np.flatnonzero(start > 0)
    if face.size < 2:
        return None

    def point(x: Floats) -> Floats:
        gamma = np.zeros(start.size)
        gamma[face] = np.maximum(x[: face.size], 0.0)
        return np.asarray(gamma / gamma.sum())

    def terms(x: Floats) -> tuple[Floats, Floats]:
        value, slope = score.terms(point(x))
        return value, slope[:, face]

    x, (values, _) = start[face], terms(start[face])
    bounds: list[tuple[float | None, float | None]] = [(0.0, 1.0)] * face.size
    total = np.ones(face.size)
    constraints: list[dict[str, Any]] = [{"type": "eq", "fun": lambda x: x[: face.size].sum() - 1.0}]

    def first(x: Floats) -> tuple[float, Floats]:
        value, slope = terms(x)
        return float(value[0]), slope[0]

    aim: Any = first
    if values.size > 1:  # the largest term, as a bound that no term exceeds
        x, bounds, total = np.append(x, values.max()), [*bounds, (None, None)], np.append(total, 0.0)
        aim = lambda x: (x[-1], 1.0 - total)  # noqa: E731
        above = {"fun": lambda x: x[-1] - terms(x)[0], "jac": lambda x: np.append(-terms(x)[1], np.ones((values.size, 1)), axis=1)}
        constraints.append({"type": "ineq", **above})
    constraints[0]["jac"] = lambda x: total
    solve: Any = minimize  # its overloads do not cover a function that returns its gradient with bounds of None
    options = {"ftol": 1e-13, "maxiter": 100}
    result = solve(aim, x, jac=True, method="SLSQP", bounds=bounds, constraints=constraints, options=options)
    end = np.asarray(result.x)
    return point(end) if np.all(np.isfinite(end)) and end[: face.size].sum() > 0.5 else None
