"""Codes for workers that send several messages: important windows first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uepgpu.checks import shown
from uepgpu.codes.law import Code, check_code, support_law
from uepgpu.codes.supports import SupportLaw

if TYPE_CHECKING:
    from uepgpu.partition import Partition

__all__ = ["InTurn"]


@dataclass(frozen=True)
class InTurn:
    """Unequal error protection in time: the j-th message of every worker is drawn by the j-th code.

    Workers must send as many messages as there are codes, and losses are simulated by deadline: what arrives first is what workers
    send first.

    Parameters
    ----------
    codes : sequence of Code
        At least one, each of which draws windows for every packet, with the same coefficients and encoding.

    Raises
    ------
    ValueError
        If there is no code, or one that is none; in :meth:`law` if packets of one are tied to workers, or codes differ too much.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> first, then = (uep.codes.ExpandingWindow(gamma) for gamma in ((0.6, 0.4, 0.0), (0.2, 0.3, 0.5)))
    >>> workers = uep.Workers(30, omega=0.3, work="unit", messages=2)
    >>> uep.theory.loss(InTurn([first, then]), part, workers, deadlines=[1.0, 2.0]).normalized_loss.values.round(5).tolist()
    [0.048, 0.00079]

    References
    ----------
    docs/mathematics.md §4.
    """

    codes: Sequence[Code]

    def __post_init__(self) -> None:
        if isinstance(self.codes, str) or not isinstance(self.codes, Sequence) or len(self.codes) == 0:
            raise ValueError(f"codes must be a sequence of at least one code, got {shown(self.codes)}")
        object.__setattr__(self, "codes", tuple(self.codes))
        for code in self.codes:
            check_code(code)

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports."""
        laws = [support_law(code, partition, n_workers) for code in self.codes]
        for code, law in zip(self.codes, laws, strict=True):
            if law.probabilities is None or law.supports is None:
                raise ValueError(f"codes in turn must draw a window for every packet, got {shown(code)}")
        alike = {(law.field, law.encoding) for law in laws}
        if len(alike) > 1:
            raise ValueError(f"codes in turn must have the same coefficients and encoding, got {sorted(alike)}")
        if len(laws) == 1:
            return laws[0]
        sizes = [law.work.size for law in laws]
        table = np.zeros((len(laws), sum(sizes)))
        for row, law, end in zip(table, laws, np.cumsum(sizes), strict=True):
            row[end - law.work.size : end] = law.probabilities
        return SupportLaw(
            partition.n_subproducts,
            np.concatenate([law.work for law in laws]),
            laws[0].field,
            laws[0].encoding,
            supports=np.concatenate([law.supports for law in laws if law.supports is not None]),
            probabilities=table.mean(axis=0),
            by_message=table,
        )
