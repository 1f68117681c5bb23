"""The codes of the experiments by name, with the workers that each has (docs/mathematics.md §7)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, shown
from uepgpu.codes import MDS, Code, ExpandingWindow, NonOverlappingWindow, Repetition, Uncoded
from uepgpu.latency import Exponential, FromCDF
from uepgpu.train.scheme import Paradigm, Scheme
from uepgpu.workers import Workers

__all__ = ["CODES", "DEFAULT_CODES", "GAMMA", "Entry", "entries", "named_code"]

GAMMA = (0.45, 0.35, 0.20)
DEFAULT_CODES = ("centralized", "uncoded", "repetition", "now", "ew", "mds")
CODES = (*DEFAULT_CODES, "now-factored", "ew-factored", "ew-nested", "repetition-any-late")
FACTORED = ("now-factored", "ew-factored", "ew-nested")


@dataclass(frozen=True)
class Entry:
    """One row of the experiment: a code in a paradigm at a cost and a deadline.

    Attributes
    ----------
    work : "unit", "true" or "any"
        What a packet is charged; "any" where both are the same, every packet being one block product.
    scheme : Scheme or None
        None is centralized: exact products, no stragglers, no deadline.
    """

    code: str
    paradigm: str
    work: str
    deadline: float
    scheme: Scheme | None

    @property
    def label(self) -> str:
        """Its label in tables and figures."""
        cost = "" if self.work == "any" else f", {self.work} cost"
        return self.code if self.scheme is None else f"{self.code}, {self.paradigm}{cost}, deadline {self.deadline:g}"


@dataclass(frozen=True)
class _AllCopies:
    """Distribution function of the last of some exponential latencies."""

    rate: float
    copies: int

    def __call__(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(-np.expm1(-self.rate * time)) ** self.copies


def named_code(name: str, k: int, *, workers: int, rate: float, gamma: Sequence[float], work: str) -> tuple[Code, Workers]:
    """Return a code and its workers: `workers` of them for now, ew and mds, K for uncoded, 2K for two-fold repetition.

    ``"repetition-any-late"`` is what a published program computes, a block being lost if any copy is late (docs/mathematics.md
    §9): the maximum over copies in place of the minimum. It is here for comparison only.

    Examples
    --------
    >>> code, workers = named_code("repetition", 9, workers=15, rate=0.5, gamma=GAMMA, work="true")
    >>> code, workers.count, workers.resolved_omega(9)
    (Repetition(copies=2), 18, 0.5)
    """
    choice("code", name, CODES)
    law = Exponential(rate)
    charged: Any = work
    if name == "uncoded":
        return Uncoded(), Workers(k, latency=law, omega="fair", work=charged)
    if name == "repetition":
        return Repetition(2), Workers(2 * k, latency=law, omega="fair", work=charged)
    if name == "repetition-any-late":
        return Uncoded(), Workers(k, latency=FromCDF(_AllCopies(rate, 2)), omega=0.5, work=charged)
    code: Code
    if name == "mds":
        code = MDS()
    elif name.startswith("now"):
        code = NonOverlappingWindow(gamma, encoding="factored" if name == "now-factored" else "auto")
    else:
        window: Literal["nested"] | None = "nested" if name == "ew-nested" else None
        code = ExpandingWindow(gamma, encoding="factored" if name in FACTORED else "auto", window=window)
    return code, Workers(workers, latency=law, omega="fair", work=charged)


def entries(
    codes: Sequence[str],
    paradigms: Sequence[Paradigm],
    works: Sequence[str],
    deadlines: Sequence[float],
    *,
    workers: int,
    rate: float,
    gamma: Sequence[float],
    **options: Any,
) -> list[Entry]:
    """Return the rows of an experiment, factored codes for rxc only; `options` are those of :class:`Scheme`.

    Raises
    ------
    ValueError
        A name, number or option that is not allowed.
    """
    given_words = (("code", codes, CODES), ("paradigm", paradigms, ("rxc", "cxr")), ("work", works, ("unit", "true")))
    for name, given, allowed in given_words:
        for value in given:
            choice(name, value, allowed)
    for name, listed in (("code", codes), ("paradigm", paradigms), ("work", works), ("deadline", [f"{d:g}" for d in deadlines])):
        for value in listed:
            if listed.count(value) > 1:
                raise ValueError(f"{name} lists {shown(value)} twice, got {', '.join(listed)}")
    rows = [Entry("centralized", "any", "any", float("inf"), None)] if "centralized" in codes else []
    for paradigm in paradigms:
        for name in codes:
            if name == "centralized" or (name in FACTORED and paradigm == "cxr"):
                continue
            for work in works:
                schemes = [_scheme(name, paradigm, work, d, workers, rate, gamma, options) for d in deadlines]
                law = schemes[0].code.law(schemes[0].partition, schemes[0].workers.count)
                plain = int(law.work.max()) == 1
                if plain and work != works[0]:
                    continue
                rows += [Entry(name, paradigm, "any" if plain else work, d, s) for d, s in zip(deadlines, schemes, strict=True)]
    if not rows:
        raise ValueError(f"nothing to train: {', '.join(codes)} with {', '.join(paradigms)} (factored codes are for rxc)")
    return rows


def _scheme(
    name: str, paradigm: Paradigm, work: str, deadline: float, workers: int, rate: float, gamma: Sequence[float], options: Any
) -> Scheme:
    code, pool = named_code(name, 9, workers=workers, rate=rate, gamma=gamma, work=work)
    return dataclasses.replace(Scheme(code, pool, deadline, paradigm), **options)
