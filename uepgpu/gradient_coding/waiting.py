"""Whom the master waits for in an iteration: rules, and which answers they let it have."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import finite, integer, positive, shown
from uepgpu.latency.law import ROUNDING
from uepgpu.text.html import Described

__all__ = ["Waiting", "heard"]

Floats = NDArray[np.float64]

RULES = ("fastest", "until", "factor")


@dataclass(frozen=True, repr=False)
class Waiting(Described):
    """The rules of a scheme, each None where it does not hold; the scheme has the field `fastest` itself."""

    until: float | None = field(default=None, kw_only=True)
    factor: float | None = field(default=None, kw_only=True)

    def rule(self, name: str) -> float | None:
        """Return the value of a rule, or None."""
        value: float | None = getattr(self, name)
        return value

    def check_rules(self, *, needed: bool) -> None:
        """Refuse values that a rule cannot have, or that no rule is there although one is `needed`."""
        given = {name: self.rule(name) for name in RULES}
        if given["fastest"] is not None:
            integer("fastest", given["fastest"], 1)
        if given["until"] is not None:
            positive("until", given["until"])
        if given["factor"] is not None and finite("factor", given["factor"]) < 1:
            raise ValueError(
                f"factor must be a finite number >= 1, a multiple of the time of the first answer, got {shown(self.factor)}"
            )
        if needed and all(value is None for value in given.values()):
            raise ValueError(f"{type(self).__name__} needs fastest, until or factor, which say when the master stops waiting")

    @property
    def rules_in_force(self) -> bool:
        """Whether any rule is given."""
        return any(self.rule(name) is not None for name in RULES)

    def __repr__(self) -> str:
        """Return the scheme as it may be written, without rules that do not hold."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._described())})"

    def _described(self) -> list[tuple[str, object]]:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return [(name, value) for name, value in values.items() if name not in RULES or value is not None]


def heard(
    latency: Floats, word: NDArray[np.uint64], fastest: int, until: float = np.inf, factor: float = np.inf
) -> tuple[NDArray[np.int64], Floats]:
    """Return which servers are heard, shape (…, R), as 0 and 1, and how long the iteration takes, shape (…).

    Servers are taken in the order of latency, then of word, then of number: the first `fastest` of those that answer by `until`
    and by `factor` times the first latency, within a relative 2⁻⁵⁰. The iteration ends with the last answer that it takes if that
    is the last that it can have, else when it stops waiting.

    Parameters
    ----------
    latency : (…, R) float64
        Infinite where no answer comes.
    word : (…, R) uint64
        Breaks ties.

    Examples
    --------
    >>> latency, word = np.array([[3.0, 1.0, 1.5, 9.0]]), np.zeros((1, 4), dtype=np.uint64)
    >>> [heard(latency, word, *rule)[0].tolist() for rule in ((2,), (4, 3.0), (4, np.inf, 1.5))]
    [[[0, 1, 1, 0]], [[1, 1, 1, 0]], [[0, 1, 1, 0]]]
    >>> [heard(latency, word, *rule)[1].tolist() for rule in ((2,), (4, 4.0), (4, np.inf, 2.0))]
    [[1.5], [4.0], [2.0]]
    """
    servers = latency.shape[-1]
    order = np.lexsort((word, latency), axis=-1)
    ascending = np.take_along_axis(latency, order, axis=-1)
    limit = np.minimum(until, factor * ascending[..., 0]) if np.isfinite(factor) else np.full(latency.shape[:-1], until)
    due = np.isfinite(ascending) & (ascending <= limit[..., None] * ROUNDING)
    number = np.minimum(due.sum(axis=-1), fastest)
    answered = np.zeros(latency.shape, dtype=np.int64)
    np.put_along_axis(answered, order, (np.arange(servers) < number[..., None]).astype(np.int64), axis=-1)
    last = np.take_along_axis(ascending, np.maximum(number - 1, 0)[..., None], axis=-1)[..., 0]
    return answered, np.where(number == min(fastest, servers), last, limit)
