"""The arrays of a plan of distributed gradient descent as kernels take them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BY_GRAM",
    "BY_ROWS",
    "COPIES",
    "DUAL",
    "FASTEST",
    "GRADIENT_NORM",
    "GROUPS",
    "LOGISTIC",
    "QUANTITIES",
    "SAMPLED",
    "DescentJob",
    "chunk_size",
]

FASTEST, SAMPLED, GRADIENT_NORM = 0, 1, 2
"""Which blocks an iteration receives: those of the q fastest servers; q drawn from a law; q drawn by gradient norm."""

COPIES, GROUPS, DUAL = 0, 1, 2
"""How the q fastest answers are used: each weighted; the first of each group; decoded by the code's left null space."""

BY_GRAM, BY_ROWS, LOGISTIC = 0, 1, 2
"""How a block's gradient is formed: G x - h with its Gram matrix; from its rows; from its rows, logistic loss."""

QUANTITIES = 3
"""Columns of a record: error, residual, gradient error."""


class DescentJob(NamedTuple):
    """Everything that a kernel sees besides the range of realizations.

    n rows, d columns, K blocks, R servers, q answers that are waited for, T iterations, s stragglers that a code takes.
    """

    seed: np.uint64
    draw: int
    decode: int
    fixed: int  # 1: the blocks of the first iteration serve all of them
    form: int
    n_servers: int  # words that an iteration draws for latencies: R where the fastest count, q where q servers are asked
    wait: int  # q
    n_blocks: int
    block_of: NDArray[np.int64]  # (R,) the block whose gradient a server returns
    copy_weight: NDArray[np.float64]  # (K,) weight of one answer with that block
    threshold: NDArray[np.uint64]  # (K,) of a drawn word: the block is the number of thresholds <= word; (0,) if none is drawn
    code: NDArray[np.float64]  # (R, K) what servers sum, where decode is DUAL, else (0, K)
    left_null: NDArray[np.float64]  # (R, s) basis of {a : a code = 0}; (0, 0)
    particular: NDArray[np.float64]  # (R,) some a with a code = 1; (0,)
    bounds: NDArray[np.int64]  # (K + 1,) rows of each block
    rows: NDArray[np.float64]  # (n, d); (0, d) where Gram matrices serve
    target: NDArray[np.float64]  # (n,) right-hand sides, or labels -1 and 1; (0,)
    gram: NDArray[np.float64]  # (K, d, d) A_ι'A_ι; (0, d, d) where rows serve
    moment: NDArray[np.float64]  # (K, d) A_ι'b_ι
    full_gram: NDArray[np.float64]  # (d, d) A'A
    ridge: float
    start: NDArray[np.float64]  # (d,)
    star: NDArray[np.float64]  # (d,) the minimiser
    star_gradient: NDArray[np.float64]  # (d,) gradient of the data term there
    star_residual2: float  # ‖Ax* - b‖²
    star_norm: float
    residual_scale: float  # least squares: ‖b‖; logistic: n
    gradient_scale: float  # norm of the whole gradient at the start
    steps: NDArray[np.float64]  # (T,)


MOST_CHUNK = 64
CHUNK_ITERATIONS = 1 << 15


def chunk_size(iterations: int) -> int:
    """Return how many realizations are done at once: a fraction of a second, and the same for every backend and thread count."""
    return max(1, min(MOST_CHUNK, CHUNK_ITERATIONS // iterations))
