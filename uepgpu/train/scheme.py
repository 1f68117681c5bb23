"""How the backward products of a layer are coded: everything but the tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from uepgpu.checks import choice, integer, positive, probability, shown, word64
from uepgpu.codes import Code
from uepgpu.codes.law import support_law
from uepgpu.partition import Classes, Partition
from uepgpu.workers import Workers
from uepgpu.workers.together import require_one_message

__all__ = ["DEFAULT_CLASSES", "ESTIMATORS", "Estimator", "Importance", "Order", "Scheme"]

Paradigm = Literal["rxc", "cxr"]
Order = Literal["norm", "mean_abs"] | None
Estimator = Literal["zero", "debiased", "lmmse"]
Importance = Literal["position", "step"]
ESTIMATORS = ("zero", "debiased", "lmmse")

DEFAULT_CLASSES = (1, 2, 6)
DEFAULT_BLOCKS = {"rxc": (3, 3), "cxr": (9,)}
WAIT_FOR_ALL = 1e300
"""The finite deadline that a plan gets for an infinite one: beyond every latency of workers that answer at all."""


@dataclass(frozen=True)
class Scheme:
    """A code, its workers and their deadline, and how the products of a layer are cut and estimated.

    Parameters
    ----------
    code, workers
        As for :func:`uepgpu.simulate`.
    deadline : float
        >= 0, in the unit of time of the latency law; ``math.inf`` waits for all.
    paradigm : "rxc" or "cxr"
    blocks : int, sequence of int or None
        (N, P) for rxc, M for cxr. Default: 3×3 and 9.
    classes : sequence of int or table
        Importance classes: sizes, most important first, or a table of class numbers of shape (N, P), for cxr (M, 1).
    order : "norm", "mean_abs" or None
        How slices are sorted before they are cut, so that important ones fall together (docs/mathematics.md §7).
    importance : "position" or "step"
        ``"position"``: class by position in the sorted order, the same in every step. ``"step"``: classes of the sizes
        `classes` by ‖A_n‖·‖B_p‖ in each step.
    estimator : "zero", "debiased" or "lmmse"
        What stands for sub-products that are not decoded: zero; zero, with the decoded ones divided by their decoding
        probability; or the best linear estimate under the prior that sub-products are uncorrelated with energies
        ‖A_n‖²·‖B_p‖² (docs/mathematics.md §5).
    p_min : float
        In (0, 1]. With ``"debiased"``, sub-products decoded with a lower probability are not divided: they stay
        zero-filled, and biased.
    threshold : float
        Entries of the incoming gradient δ below this magnitude are set to zero before anything else.
    faithful : bool
        Encode, multiply and decode in float64 on the host, as :func:`uepgpu.multiply` does, instead of masking the product.
    seed : int
        Of all draws.

    Examples
    --------
    >>> import uepgpu as uep
    >>> workers = uep.Workers(15, latency=uep.latency.Exponential(0.5), omega="fair", work="unit")
    >>> scheme = Scheme(uep.codes.ExpandingWindow((0.45, 0.35, 0.20)), workers, deadline=0.5)
    >>> scheme.partition.classes.reshape(3, 3).tolist()
    [[1, 2, 3], [2, 3, 3], [3, 3, 3]]
    """

    code: Code
    workers: Workers
    deadline: float
    paradigm: Paradigm = "rxc"
    blocks: int | Sequence[int] | None = None
    classes: Classes = DEFAULT_CLASSES
    order: Order = "norm"
    importance: Importance = "position"
    estimator: Estimator = "zero"
    p_min: float = 0.05
    threshold: float = 0.0
    faithful: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.workers, Workers):
            raise ValueError(f"workers must be a uepgpu.Workers, got {shown(self.workers)}")
        require_one_message(self.workers, "training")
        if not (isinstance(self.deadline, float) and self.deadline == math.inf):
            positive("deadline", self.deadline, zero=True)
        choice("paradigm", self.paradigm, ("rxc", "cxr"))
        if self.order is not None:
            choice("order", self.order, ("norm", "mean_abs"))
        choice("importance", self.importance, ("position", "step"))
        choice("estimator", self.estimator, ESTIMATORS)
        probability("p_min", self.p_min, zero=False)
        positive("threshold", self.threshold, zero=True)
        word64("seed", self.seed)
        object.__setattr__(self, "blocks", _blocks(self.paradigm, self.blocks))
        object.__setattr__(self, "classes", _hashable(self.classes))
        if self.importance == "step" and (np.ndim(self.classes) != 1 or isinstance(self.classes, str)):
            raise ValueError(f"classes must be sizes with importance='step', which assigns them anew, got {shown(self.classes)}")
        if self.estimator == "debiased" and self.importance == "step":
            raise ValueError("estimator='debiased' needs importance='position': classes that follow the data have no probability")
        # Ask the code for its law once here, so that a misfit is reported before any training.
        law = support_law(self.code, self.partition, self.workers.count)
        if law.encoding == "factored" and self.importance == "step" and self.order != "norm":
            raise ValueError(
                f"importance='step' with encoding='factored' needs order='norm', got {self.order!r}: factored windows are "
                "staircases of blocks in falling order of the norms that classes follow"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Blocks (N, P) or (M,)."""
        assert isinstance(self.blocks, tuple)
        return self.blocks

    @property
    def time(self) -> float:
        """The deadline as plans take it."""
        return WAIT_FOR_ALL if self.deadline == math.inf else float(self.deadline)

    @property
    def partition(self) -> Partition:
        """The sub-products and classes by position, blocks of falling importance as after sorting."""
        return self.partition_of(self.classes)

    def partition_of(self, classes: Any) -> Partition:
        """Return the sub-products under other classes: sizes, or a table of shape (N, P), for cxr (M, 1)."""
        if self.paradigm == "rxc":
            left, right = (2.0 ** -np.arange(n) for n in self.shape)
            return Partition.model("rxc", left_variances=left, right_variances=right, classes=classes)
        falling = 2.0 ** -np.arange(self.shape[0])
        return Partition.model("cxr", left_variances=falling, right_variances=falling, classes=classes)

    @property
    def scales(self) -> bool:
        """Whether an estimate is the product with decoded sub-products scaled, by factors that do not depend on tensors."""
        return not self.faithful and self.estimator != "lmmse" and self.importance == "position"


def _blocks(paradigm: str, blocks: Any) -> tuple[int, ...]:
    default: tuple[int, ...] = DEFAULT_BLOCKS[paradigm]
    if blocks is None:
        return default
    sizes = tuple(blocks) if np.iterable(blocks) and not isinstance(blocks, str) else (blocks,)
    if len(sizes) != len(default):
        what = "two numbers (N, P)" if paradigm == "rxc" else "one number M"
        raise ValueError(f"blocks must be {what} for {paradigm}, got {shown(blocks)}")
    return tuple(integer("blocks", n, 1) for n in sizes)


def _hashable(classes: Any) -> Any:
    if isinstance(classes, str):
        raise ValueError(f"classes must be sizes or a table of class numbers, got {classes!r}")
    array = np.asarray(classes)
    return (
        tuple(tuple(row.tolist()) if isinstance(row, np.ndarray) else row for row in array) if array.ndim == 2 else tuple(classes)
    )
