"""When a point has been simulated enough: one value object, evaluated at counts of realizations that it fixes itself.

A rule looks at the tally of the realizations 0..n-1 at its checkpoints n and nowhere else. Checkpoints follow from the rule
alone, so neither speed, machines nor interruptions change where a point stops; only `seconds` depends on the clock, and is
looked at at checkpoints too.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import finite, integer, positive, shown
from uepgpu.tally import Tally, Trajectories
from uepgpu.tally.axis import view
from uepgpu.tally.intervals import NORMAL

if TYPE_CHECKING:
    from uepgpu.partition import Partition
    from uepgpu.workers import Workers

__all__ = ["FIRST", "GROWTH", "MOST_REALIZATIONS", "StopRule", "Verdict"]

FIRST = 10_000
GROWTH = 1.5
LATER = ("exceeding", "exceedance_width")
MOST_REALIZATIONS = 2**63 - 1
"""SQLite's integers and the counters end here."""


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a tally.

    Attributes
    ----------
    realizations : int
        Where it looked.
    stopped : bool
    fraction : float
        How much of the way to the nearest criterion is done, in [0, 1]; ranges go where it is least.
    reason : str
        Why it stopped, or what is furthest along, with the figures.
    """

    realizations: int
    stopped: bool
    fraction: float
    reason: str


@dataclass(frozen=True)
class StopRule:
    """Stop at whichever comes first.

    Parameters
    ----------
    realizations : int
        At most so many, 1..2^63-1.
    relative_error : float, optional
        Stop when error / loss is at most this at every deadline that matters. The error is what the wider side of the 95 %
        interval makes it, a 1.96th of that: the standard error (under few sub-batches up to 4 % more) where every class has
        been seen failing and succeeding often, and more while a class that was hardly seen failing may still change the loss.
        Where no loss has been seen it is infinite.
    interval_width : float, optional
        Stop when the 95 % interval of the normalized loss is at most this wide at every deadline that matters.
    failures : int, optional
        Stop when so many realizations that lost something have been seen at every deadline that matters. In the count
        domain: as many as would tell as much, (Σv)²/Σv² of their weights v.
    seconds : float, optional
        Stop when the point's ranges have taken so long.
    deadlines : tuple of float
        The deadlines that matter; empty for all but those before which nothing can arrive.
    first : int
        The first checkpoint.
    growth : float
        Each checkpoint is so many times the one before, > 1.
    exceeding, exceedance_width : float, optional
        Stop when the 95 % interval of Pr[normalized loss > `exceeding`] is at most `exceedance_width` wide at every deadline that
        matters. For codes that decode class by class; give both or neither.

    Examples
    --------
    >>> rule = StopRule(100_000, relative_error=0.01, first=10_000, growth=3)
    >>> list(rule.checkpoints())
    [10000, 30000, 90000, 100000]
    """

    realizations: int
    relative_error: float | None = None
    interval_width: float | None = None
    failures: int | None = None
    seconds: float | None = None
    deadlines: tuple[float, ...] = ()
    first: int = FIRST
    growth: float = GROWTH
    exceeding: float | None = None
    exceedance_width: float | None = None

    def __post_init__(self) -> None:
        if integer("realizations", self.realizations, 1) > MOST_REALIZATIONS:
            raise ValueError(f"realizations must be at most 2^63-1, got {shown(self.realizations)}")
        if (self.exceeding is None) != (self.exceedance_width is None):
            raise ValueError(
                "exceeding and exceedance_width belong together: the loss to exceed, and how wide the interval of its probability "
                f"may be, got {shown(self.exceeding)} and {shown(self.exceedance_width)}"
            )
        if self.exceeding is not None:
            positive("exceeding", self.exceeding, zero=True)
        for name in ("relative_error", "interval_width", "seconds", "exceedance_width"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))
        if self.failures is not None:
            integer("failures", self.failures, 1)
        object.__setattr__(self, "deadlines", tuple(float(finite("deadlines", t)) for t in self.deadlines))
        integer("first", self.first, 2)
        if finite("growth", self.growth) < 1.01:
            raise ValueError(f"growth must be at least 1.01, got {shown(self.growth)}")

    # --- where it looks -------------------------------------------------------------------------------------------

    @property
    def fixed(self) -> bool:
        """Whether the number of realizations alone decides."""
        return self.seconds is None and not self._asks_statistics

    @property
    def _asks_statistics(self) -> bool:
        criteria = (self.relative_error, self.interval_width, self.failures, self.exceedance_width)
        return any(c is not None for c in criteria)

    def checkpoints(self) -> Iterator[int]:
        """Yield the numbers of realizations at which the rule is evaluated, ascending; the last is `realizations`."""
        n = self.first
        while n < self.realizations and not self.fixed:
            yield n
            n = max(n + 1, math.ceil(n * self.growth))
        yield self.realizations

    def next_checkpoint(self, after: int) -> int | None:
        """Return the first checkpoint beyond `after` realizations, None behind the last."""
        return next((n for n in self.checkpoints() if n > after), None)

    # --- what it says ---------------------------------------------------------------------------------------------

    def judge(
        self, tally: Tally | Trajectories, part: Partition, workers: Workers, deadlines: tuple[float, ...], seconds: float
    ) -> Verdict:
        """Return the verdict on a tally.

        Parameters
        ----------
        tally : Tally or Trajectories
            Of trajectories the mean over rounds is judged, and failures are those of the round that has seen fewest.
        part, workers, deadlines
            The evaluation of the point.
        seconds : float
            What its ranges have taken.
        """
        n = tally.realizations
        found = [(n / self.realizations, n >= self.realizations, f"{n:,} of {self.realizations:,} realizations")]
        if self.seconds is not None:
            found.append((seconds / self.seconds, seconds >= self.seconds, f"{seconds:.3g} of {self.seconds:g} s"))
        if self._asks_statistics:
            found += self._statistics(tally, part, workers, deadlines)
        met = [text for _, done, text in found if done]
        fraction, _, nearest = max(found, key=lambda f: f[0])
        return Verdict(n, bool(met), 1.0 if met else min(max(fraction, 0.0), 1.0), "; ".join(met) if met else nearest)

    def _statistics(
        self, tally: Tally | Trajectories, part: Partition, workers: Workers, deadlines: tuple[float, ...]
    ) -> list[tuple[float, bool, str]]:
        options: dict[str, Any] = {"workers": workers, "deadlines": deadlines} if tally.domain == "count" else {}
        chosen = self._chosen(part, workers, deadlines)
        found = []
        if self.relative_error is not None or self.interval_width is not None:
            loss = tally.mean_loss(part) if isinstance(tally, Trajectories) else tally.loss(part, **options)
            mean, error, low, high = (
                loss[f"normalized_{name}"].values[chosen] for name in ("loss", "loss_stderr", "loss_low", "loss_high")
            )
            if self.relative_error is not None:
                # What a class may lose that was not seen failing is in the interval and not in the standard error.
                error = np.maximum(error, np.maximum(high - mean, mean - low) / NORMAL)
                # Nothing seen, or a single sub-batch, is no precision; a loss that can only be 0 needs none.
                relative = np.where((mean > 0) & ~np.isnan(error), error / np.where(mean > 0, mean, 1.0), np.inf)
                relative = np.where(high == 0, 0.0, relative)
                worst = float(relative.max())
                share = 1.0 if worst == 0 else (self.relative_error / worst) ** 2
                found.append((share, worst <= self.relative_error, f"relative error {worst:.3g} (wanted {self.relative_error:g})"))
            if self.interval_width is not None:
                width = float((high - low).max())
                share = 1.0 if width == 0 else (self.interval_width / width) ** 2
                found.append((share, width <= self.interval_width, f"interval width {width:.3g} (wanted {self.interval_width:g})"))
        if self.exceedance_width is not None and self.exceeding is not None:
            assert isinstance(tally, Tally)  # points with rounds do not ask
            chance = tally.exceedance(part, self.exceeding, **options)
            width = float((chance["high"] - chance["low"]).values[chosen].max())
            share = 1.0 if width == 0 else (self.exceedance_width / width) ** 2
            done, wanted = width <= self.exceedance_width, f"(wanted {self.exceedance_width:g})"
            found.append((share, done, f"interval of Pr[loss > {self.exceeding:g}] {width:.3g} wide {wanted}"))
        if self.failures is not None:
            rounds = tally if isinstance(tally, Trajectories) else [tally]
            seen = min(float(failures_seen(one, options)[chosen].min()) for one in rounds)
            found.append((seen / self.failures, seen >= self.failures, f"{seen:,.0f} of {self.failures:,} failures"))
        return found

    def _chosen(self, part: Partition, workers: Workers, deadlines: tuple[float, ...]) -> NDArray[np.int64]:
        """Return the indices of the deadlines that matter."""
        times = np.asarray(deadlines)
        if self.deadlines:
            return np.asarray([int(np.argmin(np.abs(times - t))) for t in self.deadlines])
        # A packet of the least work may have come: before that every realization loses everything.
        kinds, _ = workers.kinds()
        arrived = [workers.arrival(times, part.n_subproducts, 1, *kind) > 0 for kind in kinds]
        possible = np.flatnonzero(np.any(arrived, axis=0))
        return possible if possible.size else np.arange(times.size)

    # --- as text --------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Return the rule as canonical JSON.

        Criteria that are later than the first stores are in it only where they are asked for, so that ids of rules stay.
        """
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None or k not in LATER}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> StopRule:
        """Return the rule that :meth:`to_json` wrote."""
        data = json.loads(text)
        data["deadlines"] = tuple(data["deadlines"])
        return cls(**{f.name: data.get(f.name) if f.name in LATER else data[f.name] for f in fields(cls)})

    @property
    def id(self) -> str:
        """SHA-256 of what it asks for."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def failures_seen(tally: Tally, options: dict[str, Any]) -> NDArray[np.float64]:
    """Return how many realizations that lost something were seen at each deadline, shape (D,)."""
    seen = view(tally, options.get("workers"), options.get("deadlines"))
    losing = tally.patterns.sum(axis=0)[:, :-1].sum(axis=1, keepdims=True).astype(np.float64)  # (T, 1)
    always = np.ones(losing.shape, dtype=np.bool_)
    squares, _ = seen.second_moments(losing, tally.realizations, always, seen(always))
    total = seen(losing)
    return np.asarray(np.where(squares > 0, total**2 / np.where(squares > 0, squares, 1.0), 0.0)[:, 0])
