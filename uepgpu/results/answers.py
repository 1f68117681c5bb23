"""Designs for the points of a sweep: for each panel the given codes, what was found instead, and the lower bound."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uepgpu import design, theory
from uepgpu.codes import ExpandingWindow, NonOverlappingWindow, Windows
from uepgpu.files import table_kind
from uepgpu.points.notation import write_code, write_workers
from uepgpu.results.limits import Limits
from uepgpu.text import write_table

if TYPE_CHECKING:
    from uepgpu.codes import Code
    from uepgpu.points.point import Panel, Point, Sweep
    from uepgpu.specification.wanted import Wanted

__all__ = ["ANSWERS", "COLUMNS", "Answer", "Answers", "answers_of", "found_text", "steps_of", "to_csv"]

Floats = NDArray[np.float64]

BOUND = "lower bound"
TIED = {"fixed", "repetition"}
"""Designs whose packets are tied to workers."""
COLUMNS = (
    *("partition", "work", "what", "series", "workers", "deadline", "objective"),
    *("value", "low", "high", "exact", "baseline", "bound", "distance", "code"),
)
"""Columns of ``design.csv``. ``value`` is the objective with its 95 % interval, ``baseline`` that of the given code, ``bound`` the
lower bound of the loss and ``distance`` value / bound; ``code`` is the notation that stores keep codes in."""
ANSWERS = table_kind(COLUMNS)


@dataclass(frozen=True, eq=False)
class Answer:
    """One curve.

    Attributes
    ----------
    point : Point
        Its panel's, with partition and workers.
    what : str
        ``"given"``, ``"gamma"``, ``"across"``, ``"fixed"``, ``"repetition"``, ``"windows"`` or ``"bound"``.
    label : str
    deadlines, value, low, high, baseline : (D,) float64
        Objectives with intervals, equal to them where they are exact; nan where there is no baseline.
    codes : tuple of Code, or empty
        The code at every deadline.
    bound : (D,) float64
        Lower bound of the loss; nan for other objectives.
    """

    point: Point
    what: str
    label: str
    deadlines: Floats
    value: Floats
    low: Floats
    high: Floats
    baseline: Floats
    codes: tuple[Code, ...]
    bound: Floats

    @property
    def panel(self) -> Panel:
        """Partition and work model."""
        return self.point.panel

    @property
    def exact(self) -> bool:
        """Whether the values are exact."""
        return bool(np.all(self.low == self.high))


@dataclass(frozen=True, eq=False)
class Answers:
    """All curves, and why others are missing."""

    curves: tuple[Answer, ...]
    left_out: tuple[str, ...]


SHOWN = 0.005
"""Probabilities of windows below this are left out of tables."""


def steps_of(sweep: Sweep, wanted: Wanted) -> int:
    """Return how many times :func:`answers_of` reports progress."""
    return sum(1 for _ in _tasks(sweep, wanted))


def _tasks(sweep: Sweep, wanted: Wanted) -> Iterator[tuple[Point, str]]:
    """Yield what is to be found for which point, panel by panel; for a whole panel the first point with its workers stands."""
    for panel in dict.fromkeys(p.panel for p in sweep.points):
        members = [p for p in sweep.points if p.panel == panel]
        for point in members:
            yield point, "given"
            if isinstance(point.code, ExpandingWindow | NonOverlappingWindow):
                yield from ((point, what) for what in ("gamma", "fixed") if what in wanted.find)
                if wanted.across is not None:
                    yield point, "across"
        for point in {_problem(p): p for p in reversed(members)}.values():
            if "repetition" in wanted.find:
                yield point, "repetition"
            if "windows" in wanted.find and point.part.paradigm == "rxc":
                yield point, "windows"
            if wanted.objective == "loss":
                yield point, "bound"


def _problem(point: Point) -> Any:
    """Return what points share of which the same designs and bounds are asked for."""
    return (*point.panel, write_workers(point.workers), id(point.part), point.deadlines)


def answers_of(sweep: Sweep, wanted: Wanted, *, seed: int, backend: str, advance: Callable[..., None]) -> Answers:
    """Return what a sweep wants to know.

    Parameters
    ----------
    sweep : Sweep
    wanted : Wanted
    seed, backend
        Of the simulations that find windows.
    advance : callable
        Called as ``advance(1, description)`` after every step.
    """
    finder = _Finder(sweep, wanted, seed, backend)
    curves: list[Answer] = []
    left_out: dict[str, None] = {}
    for point, what in _tasks(sweep, wanted):
        try:
            curves.append(finder.find(point, what))
        except (NotImplementedError, ValueError) as error:
            left_out[f"{_label(point, what, sweep)} ({', '.join(point.panel)} work): {error}"] = None
        advance(1, f"{point.describe()}: {what}")
    if wanted.objective != "loss":
        return Answers(tuple(curves), tuple(left_out))
    bounds = {_problem(c.point): c.value for c in curves if c.what == "bound"}
    for i, curve in enumerate(curves):
        if (bound := bounds.get(_problem(curve.point))) is not None:
            curves[i] = replace(curve, bound=bound[np.searchsorted(curve.point.deadlines, curve.deadlines)])
    return Answers(tuple(curves), tuple(left_out))


def _label(point: Point, what: str, sweep: Sweep) -> str:
    if what == "given":
        return point.series
    own = {"gamma": "best Γ", "across": "one Γ", "fixed": "best fixed windows"}
    if what in own:
        return f"{point.series}, {own[what]}"
    name = {"repetition": "unequal repetition", "windows": "tuned windows, r = 1", "bound": BOUND}[what]
    pools = {write_workers(p.workers) for p in sweep.points if p.panel == point.panel}
    return name if len(pools) == 1 else f"{name}, workers of {point.series}"


class _Finder:
    """Finds one curve after the other; tuned windows that several panels share are found once."""

    def __init__(self, sweep: Sweep, wanted: Wanted, seed: int, backend: str) -> None:
        self.sweep, self.wanted, self.seed, self.backend = sweep, wanted, seed, backend
        self._windows: dict[Any, design.Design] = {}

    def find(self, point: Point, what: str) -> Answer:
        """Return one curve."""
        times = np.asarray(point.deadlines)
        options: dict[str, Any] = {"objective": self.wanted.objective, "q": self.wanted.q, "x": self.wanted.x}
        code, part, workers = point.code, point.part, point.workers
        if what == "bound":
            return self._exactly(point, what, times, self._bound(point))
        if what == "given" and self.wanted.objective == "loss":
            value = theory.loss(code, part, workers, deadlines=times).normalized_loss.values
            return self._exactly(point, what, times, value, codes=(code,) * times.size)
        if what == "given":
            value = np.array([design.gamma(code, part, workers, deadlines=t, **options).baseline for t in times])
            return self._exactly(point, what, times, value, codes=(code,) * times.size)
        if what == "across":
            positive = times[times > 0]
            across: Any = self.wanted.across
            best = design.gamma(code, part, workers, deadlines=positive, across=across).code
            value, baseline = (theory.loss(c, part, workers, deadlines=times).normalized_loss.values for c in (best, code))
            return self._exactly(point, what, times, value, codes=(best,) * times.size, baseline=baseline)
        if what == "windows":
            times = np.array([t for t in times if t in self.sweep.show]) if self.sweep.show else times
        found = [self._one(point, what, float(t), options) for t in times]
        return Answer(
            point,
            what,
            _label(point, what, self.sweep),
            times,
            value=np.array([d.objective for d in found]),
            low=np.array([d.low for d in found]),
            high=np.array([d.high for d in found]),
            baseline=np.array([d.baseline for d in found]),
            codes=tuple(d.code for d in found),
            bound=np.full(times.size, np.nan),
        )

    def _bound(self, point: Point) -> Floats:
        """Return the lower bound of the loss of all codes that are shown beside it."""
        workers = point.workers
        if TIED & set(self.wanted.find) and not (workers.alike or workers.shuffled):
            return np.asarray(theory.lower_bound(point.part, workers, deadlines=point.deadlines).bound_tail.values)
        return Limits().bound(point, [p for p in self.sweep.points if _problem(p) == _problem(point)])

    def _one(self, point: Point, what: str, t: float, options: dict[str, Any]) -> design.Design:
        code, part, workers = point.code, point.part, point.workers
        if what == "gamma":
            return design.gamma(code, part, workers, deadlines=t, **options)
        if what == "fixed":
            return design.fixed_windows(code, part, workers, deadlines=t, **options)
        if what == "repetition":
            return design.repetition(part, workers, deadlines=t, copies="fixed", objective=options["objective"])
        key = (id(part), write_workers(replace(workers, work="true")), t)  # packets of r = 1 cost the same in both work models
        if key not in self._windows:
            self._windows[key] = design.windows(
                part, workers, deadlines=t, realizations=self.wanted.realizations, seed=self.seed, backend=self.backend
            )
        return self._windows[key]

    def _exactly(
        self, point: Point, what: str, times: Floats, value: Floats, codes: tuple[Code, ...] = (), baseline: Floats | None = None
    ) -> Answer:
        nothing = np.full(times.size, np.nan)
        label = _label(point, what, self.sweep)
        return Answer(point, what, label, times, value, value, value, nothing if baseline is None else baseline, codes, nothing)


def found_text(answer: Answer, d: int) -> str:
    """Return what was found at a deadline, in a few characters.

    Γ by window; allocated workers; copies by falling number; for tuned windows their sizes by falling probability, from .005 on.
    """
    code = answer.codes[d]
    if answer.what == "fixed":
        return " ".join(str(round(x * answer.point.workers.count)) for x in getattr(code, "gamma", ()))
    if answer.what == "repetition":
        copies = sorted(getattr(code, "copies", ()), reverse=True)
        return " ".join(str(c) for c in copies if c)
    if isinstance(code, Windows):
        shape = answer.point.part.shape
        sizes: dict[str, float] = {}
        for support, share in zip(code.supports, code.probabilities, strict=True):
            table = np.zeros(shape, dtype=np.bool_)
            table.ravel()[list(support)] = True
            rows, cols = table.any(axis=1).sum(), table.any(axis=0).sum()
            name = f"{min(rows, cols)}×{max(rows, cols)}"
            sizes[name] = sizes.get(name, 0.0) + share
        seen = [(name, share) for name, share in sizes.items() if share >= SHOWN]
        return ", ".join(f"{name} {share:.2f}" for name, share in sorted(seen, key=lambda item: -item[1]))
    return " ".join(f"{x:.3g}" for x in np.round(getattr(code, "gamma", ()), 3))


def to_csv(answers: Sequence[Answer], objective: str) -> str:
    """Return all curves as CSV, with the keys of :data:`COLUMNS`; cells of what there is not are empty."""
    text = io.StringIO()
    write_table(text, COLUMNS, _rows(answers, objective))
    return text.getvalue()


def _rows(answers: Sequence[Answer], objective: str) -> Iterator[dict[str, Any]]:
    for answer in answers:
        for d, deadline in enumerate(answer.deadlines.tolist()):
            bound, value = float(answer.bound[d]), float(answer.value[d])
            yield {
                "partition": answer.point.partition,
                "work": answer.point.workers.work,
                "what": answer.what,
                "series": answer.label,
                "workers": answer.point.workers.count,
                "deadline": deadline,
                "objective": objective,
                "value": value,
                "low": float(answer.low[d]),
                "high": float(answer.high[d]),
                "exact": int(answer.low[d] == answer.high[d]),
                "baseline": "" if np.isnan(answer.baseline[d]) else float(answer.baseline[d]),
                "bound": "" if np.isnan(bound) else bound,
                "distance": "" if np.isnan(bound) or bound <= 0 else value / bound,
                "code": write_code(answer.codes[d]) if answer.codes else "",
            }
