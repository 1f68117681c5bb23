"""Checks of arguments that several descriptions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["choice", "deadlines_array", "integer", "positive", "probability", "probability_vector"]


def positive(name: str, value: float, *, zero: bool = False) -> float:
    """Return `value` if it is a finite number > 0 (>= 0 with `zero`), else raise ``ValueError``."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be a finite number {'>= 0' if zero else '> 0'}, got {value!r}")
    return float(value)


def probability(name: str, value: float, *, one: bool = True) -> float:
    """Return `value` if it lies in [0, 1] ([0, 1) without `one`), else raise ``ValueError``."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not (0 <= value <= 1) or (value == 1 and not one):
        raise ValueError(f"{name} must be a probability in [0, 1{']' if one else ')'}, got {value!r}")
    return float(value)


def integer(name: str, value: Any, least: int) -> int:
    """Return `value` as an int if it is an integer >= `least`, else raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
    return int(value)


def choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of `allowed`, else raise ``ValueError`` listing them."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return str(value)


def probability_vector(name: str, value: Sequence[float]) -> tuple[float, ...]:
    """Return `value` as a tuple of probabilities that sum to 1 (within 1e-9), else raise ``ValueError``."""
    try:
        vector = tuple(float(x) for x in value)
    except TypeError:
        raise ValueError(f"{name} must be a sequence of probabilities, got {value!r}") from None
    if not vector or not all(0 <= x <= 1 for x in vector):
        raise ValueError(f"{name} must be a non-empty sequence of probabilities in [0, 1], got {vector}")
    if abs(sum(vector) - 1) > 1e-9:
        raise ValueError(f"{name} sums to {sum(vector):.12g}, it must sum to 1 (got {vector})")
    return vector


def deadlines_array(deadlines: ArrayLike) -> NDArray[np.float64]:
    """Return deadlines as a 1-D float64 array: non-empty, finite, >= 0 and non-decreasing, else raise ``ValueError``."""
    array = np.atleast_1d(np.asarray(deadlines, dtype=np.float64))
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"deadlines must be a non-empty one-dimensional sequence of times, got shape {array.shape}")
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        bad = array[~(np.isfinite(array) & (array >= 0))][0]
        raise ValueError(f"deadlines must be finite and >= 0, got {bad!r}")
    if np.any(np.diff(array) < 0):
        raise ValueError("deadlines must not decrease: sort them first")
    return array
