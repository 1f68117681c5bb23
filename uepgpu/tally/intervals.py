"""Standard errors and 95 % intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ENOUGH", "LEVEL", "NORMAL", "batch_stderr", "clopper_pearson", "t_factor"]

Floats = NDArray[np.float64]

LEVEL = 0.95
NORMAL = 1.96
"""Half of a 95 % interval of a normal law, in standard errors."""
ENOUGH = 30
"""From so many failures and successes on, Student's t is used; with fewer, exact binomial bounds."""


def t_factor(degrees: Floats | float, level: Floats | float = LEVEL) -> Floats:
    """Return the two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(degrees, 0.5 + level / 2), dtype=np.float64)


def clopper_pearson(failures: Floats, trials: float, alpha: float | Floats) -> tuple[Floats, Floats]:
    """Return exact binomial bounds of a probability, of error `alpha` / 2 on either side.

    `failures` may be any real number in [0, trials]: the sum of independent values in [0, 1] is less spread than a binomial
    of its mean, so the same bounds hold for it. No failure gives a low of 0 and a high above 0, never 0 ± 0.
    """
    from scipy.special import betaincinv

    x = np.clip(np.asarray(failures, dtype=np.float64), 0.0, trials)
    rest = trials - x
    with np.errstate(all="ignore"):
        low = np.where(x > 0, betaincinv(np.maximum(x, 1e-300), rest + 1, alpha / 2), 0.0)
        high = np.where(rest > 0, 1.0 - betaincinv(np.maximum(rest, 1e-300), x + 1, alpha / 2), 1.0)
    return low, high


def batch_stderr(sums: Floats, sizes: Floats | NDArray[np.int64]) -> tuple[Floats, int]:
    """Return the standard error of an overall mean from sums over sub-batches, and its degrees of freedom.

    `sums` has shape (B, ...), `sizes` (B,). With fewer than two non-empty batches the error is unknown (nan).
    """
    used = sizes > 0
    n, b = sizes[used], int(used.sum())
    if b < 2:
        return np.full(sums.shape[1:], np.nan), 0
    s = sums[used]
    mean = s.sum(axis=0) / n.sum()
    weight = n.reshape(-1, *([1] * (s.ndim - 1)))
    spread = (weight * (s / weight - mean) ** 2).sum(axis=0) / (b - 1)
    return np.sqrt(spread / n.sum()), b - 1
