"""Results of trainings: accuracy with confidence bands against steps and simulated time, and the time to an accuracy."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from uepgpu.train.clock import completion_times
from uepgpu.train.named import Entry, named_code
from uepgpu.train.scheme import Paradigm, Scheme

__all__ = ["Reached", "Series", "accuracy_band", "band", "curves_csv", "reach", "reached_csv", "waiting_series"]

Floats = NDArray[np.float64]

WAITING = ("uncoded", "repetition", "mds")
"""Codes whose workers can be waited for until everything is decoded: MDS only if there are as many as sub-products."""

SUBPRODUCTS = 9
"""Of every product of the experiments."""


@dataclass(frozen=True, eq=False)
class Series:
    """All replicas of one row of an experiment.

    Attributes
    ----------
    code, paradigm, work : str
    deadline : float
        Infinite for exact products.
    steps : (T,) int64
    time : (T, R) float64
        Simulated time, in the unit of the latency law; nan where none is defined (centralized).
    train, test : (T, R) float64
        Accuracies, as in :class:`~uepgpu.train.course.Curves`.
    final : (R,) float64
        On all test samples, at the end.
    final_train : (R,) float64
        On the last 100 batches, before each step.
    """

    code: str
    paradigm: str
    work: str
    deadline: float
    steps: NDArray[np.int64]
    time: Floats
    train: Floats
    test: Floats
    final: Floats
    final_train: Floats

    @property
    def key(self) -> tuple[str, str, str, float]:
        """What distinguishes it."""
        return self.code, self.paradigm, self.work, self.deadline

    @classmethod
    def of(cls, entry: Entry, steps: NDArray[np.int64], train: Floats, test: Floats, final: Floats, final_train: Floats) -> Series:
        """Return the series of a row: a step costs its deadline."""
        per_step = np.nan if entry.scheme is None else entry.deadline
        time = np.repeat(steps[:, None] * per_step, train.shape[1], axis=1)
        return cls(entry.code, entry.paradigm, entry.work, entry.deadline, steps, time, train, test, final, final_train)


def band(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the mean over the last axis, and the ends of its 95 % confidence interval (Student's t; nan for one value).

    Examples
    --------
    >>> [round(float(x), 3) for x in band(np.array([0.8, 0.9]))]
    [0.85, 0.215, 1.485]
    """
    mean, n = values.mean(axis=-1), values.shape[-1]
    if n == 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = student.ppf(0.975, n - 1) * values.std(axis=-1, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def accuracy_band(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the :func:`band` of accuracies, which are shares: the part of the interval within [0, 1].

    Examples
    --------
    >>> [round(float(x), 3) for x in accuracy_band(np.array([0.8, 0.9]))]
    [0.85, 0.215, 1.0]
    """
    mean, low, high = band(values)
    return mean, np.maximum(low, 0.0), np.minimum(high, 1.0)


def waiting_series(
    exact: Series,
    paradigms: Sequence[Paradigm],
    works: Sequence[str],
    *,
    replicas: Sequence[int],
    workers: int,
    rate: float,
    slots: Sequence[int],
    seed: int,
) -> list[Series]:
    """Return exact training against the time of schemes that wait until everything is decoded.

    A step costs the mean over its products of the time until the slowest needed worker has answered, which is comparable with a
    deadline, which holds for every product of a step.
    """
    found: list[Series] = []
    for name in WAITING:
        for paradigm in paradigms:
            for work in works:
                code, pool = named_code(name, SUBPRODUCTS, workers=workers, rate=rate, gamma=(1.0,), work=work)
                if pool.count < SUBPRODUCTS:
                    continue  # MDS of so few workers never decodes: there is nothing to wait for
                scheme = Scheme(code, pool, float("inf"), paradigm)
                plain = int(code.law(scheme.partition, pool.count).work.max()) == 1
                labels = f"{name}, wait for all", "any" if plain or work == "unit" else paradigm, "any" if plain else work
                if any((s.code, s.paradigm, s.work) == labels for s in found):
                    continue
                total = int(exact.steps[-1])
                costs = [
                    completion_times(code, scheme.partition, pool, seed=seed, replica=r, slots=slots, steps=total).mean(axis=1)
                    for r in replicas
                ]
                clock = np.concatenate([np.zeros((1, len(costs))), np.cumsum(np.stack(costs, axis=1), axis=0)])
                of_code, of_paradigm, of_work = labels
                time = clock[exact.steps]
                found.append(dataclasses.replace(exact, code=of_code, paradigm=of_paradigm, work=of_work, time=time))
    return found


@dataclass(frozen=True)
class Reached:
    """When a test accuracy was first reached, over the replicas that reached it.

    Attributes
    ----------
    replicas, reached : int
    steps, time, time_low, time_high : float
        Means, and the 95 % interval of the time; nan if none reached it.
    """

    accuracy: float
    replicas: int
    reached: int
    steps: float
    time: float
    time_low: float
    time_high: float


def reach(series: Series, accuracy: float) -> Reached:
    """Return when test accuracy first was at least `accuracy`, to the spacing of the points."""
    there = series.test >= accuracy
    who = there.any(axis=0)
    n = int(who.sum())
    if n == 0:
        return Reached(accuracy, who.size, 0, *(float("nan"),) * 4)
    first = there.argmax(axis=0)[who]
    mean, low, high = (float(x) for x in band(series.time[first, np.flatnonzero(who)]))
    return Reached(accuracy, who.size, n, float(series.steps[first].mean()), mean, low, high)


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def curves_csv(series: Sequence[Series]) -> str:
    """Return all points: means over replicas with 95 % intervals; empty where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    bands = [f"{which}{end}" for which in ("train_accuracy", "test_accuracy") for end in ("", "_low", "_high")]
    writer.writerow(["code", "paradigm", "work", "deadline", "replicas", "step", "time", *bands])
    for s in series:
        train, test = accuracy_band(s.train), accuracy_band(s.test)
        for i, step in enumerate(s.steps.tolist()):
            values = [x[i] for which in (train, test) for x in which]
            writer.writerow([*s.key[:3], f"{s.deadline:g}", s.train.shape[1], step, *map(_number, [s.time[i].mean(), *values])])
    return text.getvalue()


def reached_csv(series: Sequence[Series], accuracies: Sequence[float]) -> str:
    """Return the final accuracies of every row, and the steps and the time to each of the accuracies."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    ends = [f"final_{which}{end}" for which in ("test_accuracy", "train_accuracy") for end in ("", "_low", "_high")]
    writer.writerow(
        ["code", "paradigm", "work", "deadline", "replicas", *ends, "accuracy", "reached", "steps", "time", "time_low", "time_high"]
    )
    for s in series:
        for accuracy in accuracies:
            r = reach(s, accuracy)
            final = [_number(float(x)) for values in (s.final, s.final_train) for x in accuracy_band(values)]
            writer.writerow(
                [*s.key[:3], f"{s.deadline:g}", r.replicas, *final, f"{accuracy:g}", r.reached]
                + [_number(x) for x in (r.steps, r.time, r.time_low, r.time_high)]
            )
    return text.getvalue()
