"""Which point is best: the least loss at a deadline, or the earliest deadline for a loss, with how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from uepgpu import theory
from uepgpu.results.simulated import loss_of
from uepgpu.results.summary import place

if TYPE_CHECKING:
    from uepgpu.points.point import Point
    from uepgpu.results.axes import Axis
    from uepgpu.results.simulated import Simulated

__all__ = ["Answer", "Question", "Ranking", "rank"]


@dataclass(frozen=True)
class Question:
    """What points are ranked by; less is better.

    Attributes
    ----------
    kind : "loss" or "deadline"
        The normalized loss at the deadline `value`, or the deadline for the normalized loss `value`.
    value : float
    """

    kind: Literal["loss", "deadline"]
    value: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What a point answers.

    Attributes
    ----------
    point : Point
    value, low, high : float
        Simulated, with its 95 % interval; inf where the loss is never reached.
    exact : float or None
        In closed form, None where there is none.
    """

    point: Point
    value: float
    low: float
    high: float
    exact: float | None

    def within_error(self, best: Answer) -> bool:
        """Return whether the interval of the difference from a better answer holds 0.

        The interval is made from those of the two answers, as if they were independent (the difference lies within the root of
        the sum of the squares of the facing half-intervals). Points of one seed share random numbers, so that it errs on the side
        of "within error".
        """
        if math.isinf(self.value):
            return self.low <= best.high
        return self.value - best.value <= math.hypot(best.high - best.value, self.value - self.low)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Points that are compared with each other, best first.

    Attributes
    ----------
    panel : (partition, work)
    by : str
        The value of the axis that they share; empty without one.
    answers : tuple of Answer
    """

    panel: tuple[str, str]
    by: str
    answers: tuple[Answer, ...]

    @property
    def best(self) -> Answer:
        """The first."""
        return self.answers[0]

    @property
    def runner_up(self) -> Answer | None:
        """The second, if there is one."""
        return self.answers[1] if len(self.answers) > 1 else None

    @property
    def tied(self) -> int:
        """How many of the others are within error of the best."""
        return sum(a.within_error(self.best) for a in self.answers[1:])


def rank(simulated: Sequence[Simulated], question: Question, by: Axis | None = None) -> list[Ranking]:
    """Return the points ranked, a ranking for every panel and every value of the axis `by`, in the order of its values.

    Parameters
    ----------
    simulated : sequence of points with tallies
    question : Question
    by : Axis, optional
        Rank the points of each of its values apart.

    Raises
    ------
    ValueError
        If the question is for a deadline that no point has. Points that cannot answer are left out.

    Examples
    --------
    >>> from uepgpu.sweep.run import run_points
    >>> from uepgpu.sweep.spec import read_spec
    >>> outcome = run_points(read_spec("paper", realizations=2000).points[::2], backend="numpy")
    >>> [[a.point.series for a in r.answers] for r in rank(outcome.results, Question("loss", 0.6))]
    [['EW', 'MDS', 'NOW']]
    >>> [(r.best.point.series, round(r.best.exact, 3)) for r in rank(outcome.results, Question("deadline", 0.05))]
    [('EW', 0.468)]
    """
    groups: dict[tuple[tuple[str, str], Any], list[Answer]] = {}
    for s in simulated:
        if (answer := _answer(s, question)) is not None:
            groups.setdefault((s.point.panel, by.of(s.point) if by else None), []).append(answer)
    if not groups:
        known = ", ".join(f"{t:g}" for t in sorted({t for s in simulated for t in s.point.deadlines})[:30])
        raise ValueError(f"no point was simulated at the deadline {question.value:g}; there are {known}")
    panels = list(dict.fromkeys(s.point.panel for s in simulated))
    ordered = sorted(groups.items(), key=lambda item: (panels.index(item[0][0]), *_order(item[0][1])))
    return [
        Ranking(panel, "" if at is None else at.text, tuple(sorted(answers, key=lambda a: (a.value, a.low, a.high))))
        for (panel, at), answers in ordered
    ]


def _order(at: Any) -> tuple[float, str]:
    return (0.0, "") if at is None else (math.inf, at.text) if at.number is None else (at.number, at.text)


def _answer(simulated: Simulated, question: Question) -> Answer | None:
    """Return what a point answers, None where it was simulated by deadline and does not have this one."""
    point, tally = simulated.point, simulated.tally
    counted = tally.domain == "count"
    if question.kind == "deadline":
        found = tally.deadline_for(point.part, loss=question.value, workers=point.workers if counted else None)
        value, low, high = (float(found[f"deadline{end}"].values[0]) for end in ("", "_low", "_high"))
    else:
        row = 0 if counted else place(point.deadlines, question.value)
        if row is None:
            return None
        found = loss_of(simulated, **({"workers": point.workers, "deadlines": [question.value]} if counted else {}))
        value, low, high = (float(found[f"normalized_loss{end}"].values[row]) for end in ("", "_low", "_high"))
    return Answer(point, value, low, high, _exact(point, question))


def _exact(point: Point, question: Question) -> float | None:
    try:
        if question.kind == "deadline":
            found = theory.deadline_for(point.code, point.part, point.workers, loss=question.value)
            return float(found["deadline"].values[0])
        found = theory.loss(point.code, point.part, point.workers, deadlines=[question.value])
        return float(found["normalized_loss"].values[0])
    except NotImplementedError:
        return None
