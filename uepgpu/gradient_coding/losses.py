"""The two losses: least squares ½‖Ax − b‖² and logistic Σ log(1 + exp(−y a·x)), each with a ridge term ½ρ‖x‖²."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOSSES", "curvature", "gradient", "least_squares_minimiser", "logistic_minimiser", "value"]

Floats = NDArray[np.float64]

LOSSES = ("least-squares", "logistic")
MOST_NEWTON_STEPS = 100
NEWTON_TOLERANCE = 1e-10
"""Largest norm of the gradient at the minimiser, relative to that at zero."""
SEPARATION = 1e-6
"""Margins of unit rows above this exceed the rounding of a linear program."""


def value(loss: str, A: Floats, b: Floats, x: Floats, ridge: float = 0.0) -> float:
    """Return the loss at x, ridge term included."""
    data = 0.5 * np.sum((A @ x - b) ** 2) if loss == "least-squares" else np.logaddexp(0.0, -b * (A @ x)).sum()
    return float(data + 0.5 * ridge * (x @ x))


def gradient(loss: str, A: Floats, b: Floats, x: Floats) -> Floats:
    """Return the gradient of the data term at x, shape (d,).

    Examples
    --------
    >>> gradient("least-squares", np.eye(2), np.array([1.0, 2.0]), np.zeros(2)).tolist()
    [-1.0, -2.0]
    """
    z = A @ x
    if loss == "least-squares":
        return np.asarray((z - b) @ A)
    return np.asarray((-b * _sigmoid(-b * z)) @ A)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * z))


def curvature(loss: str, largest_singular: float, ridge: float) -> float:
    """Return a bound of the Hessian's eigenvalues: σ₁² + ρ, or σ₁²/4 + ρ for logistic loss."""
    return (1.0 if loss == "least-squares" else 0.25) * largest_singular**2 + ridge


def least_squares_minimiser(U: Floats, singular: Floats, Vt: Floats, b: Floats, ridge: float) -> Floats:
    """Return argmin ½‖Ax − b‖² + ½ρ‖x‖² from a thin SVD of A without zero singular values."""
    return np.asarray(Vt.T @ (singular / (singular**2 + ridge) * (U.T @ b)))


def logistic_minimiser(A: Floats, y: Floats, ridge: float) -> Floats:
    """Return the minimiser of logistic loss by Newton's method with step halving.

    Raises
    ------
    ValueError
        If there is none: a hyperplane separates the labels (rows may lie on it), and there is no ridge term.
    """
    if ridge == 0 and _separable(A, y):
        raise ValueError("the logistic loss has no finite minimiser: a hyperplane separates the labels; use ridge > 0")
    x = np.zeros(A.shape[1])
    start = float(np.linalg.norm(gradient("logistic", A, y, x)))
    for _ in range(MOST_NEWTON_STEPS):
        slope = gradient("logistic", A, y, x) + ridge * x
        if np.linalg.norm(slope) <= NEWTON_TOLERANCE * start:
            return x
        p = _sigmoid(A @ x)
        hessian = (A * (p * (1 - p))[:, None]).T @ A + ridge * np.eye(x.size)
        try:
            direction = np.linalg.solve(hessian, slope)
        except np.linalg.LinAlgError:
            break
        step, here = 1.0, value("logistic", A, y, x, ridge)
        while value("logistic", A, y, x - step * direction, ridge) > here and step > 1e-8:
            step /= 2
        x = x - step * direction
    raise ValueError("Newton's method does not find the minimiser of the logistic loss: scale the columns, or use ridge > 0")


def _separable(A: Floats, y: Floats) -> bool:
    """Return whether some direction v has y_i a_i·v >= 0 for all rows, and > 0 for one: along it the loss falls forever."""
    from scipy.optimize import linprog

    rows = y[:, None] * A
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(norm > 0, norm, 1.0)
    best = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1))
    return best.fun is not None and best.fun < -SEPARATION
