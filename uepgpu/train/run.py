"""A run of an experiment: rows × replicas in stacks, kept in a folder as they finish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from uepgpu.train.checkpoint import Checkpoints
from uepgpu.train.clock import product_slots
from uepgpu.train.course import Course, Curves, Settings
from uepgpu.train.data import Dataset
from uepgpu.train.named import Entry
from uepgpu.train.networks import Network
from uepgpu.train.replicas import Member
from uepgpu.train.results import Series, waiting_series

__all__ = ["Experiment", "run_stacks", "series_of"]

SECONDS_BETWEEN_CHECKPOINTS = 15.0


@dataclass(frozen=True, eq=False)
class Experiment:
    """What is trained.

    Attributes
    ----------
    entries : list of Entry
    replicas : int
        Of every entry.
    stack : int
        Trainings in a stack.
    """

    data: Dataset
    network: Network
    entries: list[Entry]
    replicas: int
    stack: int
    settings: Settings

    def stacks(self) -> list[list[tuple[int, int]]]:
        """Return the stacks as lists of (entry, replica); what can share a stack does, in order."""
        parts: dict[Any, list[tuple[int, int]]] = {}
        for number, entry in enumerate(self.entries):
            scheme = entry.scheme
            # Trainings that differ in deadline, code and workers only share a stack; exact ones are faster in their own.
            together = None if scheme is None else (scheme.paradigm, scheme.scales)
            parts.setdefault(together, []).extend((number, replica) for replica in range(self.replicas))
        return [part[i : i + self.stack] for part in parts.values() for i in range(0, len(part), self.stack)]

    def description(self) -> dict[str, Any]:
        """Return what decides the results, as JSON: a folder holds one."""
        return {
            "data": self.data.name,
            "samples": [len(self.data.train_y), len(self.data.test_y), self.data.digest()],
            "network": asdict(self.network),
            "replicas": self.replicas,
            "stack": self.stack,
            "settings": asdict(self.settings),
            "entries": [f"{e.label}: {e.scheme!r}" for e in self.entries],
        }


def run_stacks(experiment: Experiment, store: Checkpoints, progress: Callable[[int], None] | None = None) -> Iterator[int]:
    """Train what the store does not hold yet, stack by stack; yield each stack's number as it is finished.

    If interrupted, it leaves the last state that was kept, which is some seconds old.
    """
    stacks = experiment.stacks()
    # True cost comes last, so that an interrupted run has every code in every paradigm.
    order = sorted(range(len(stacks)), key=lambda n: all(experiment.entries[entry].work == "true" for entry, _ in stacks[n]))
    for number in order:
        places = stacks[number]
        if store.curves(number) is None:
            members = [Member(experiment.entries[entry].scheme, replica) for entry, replica in places]
            course = Course(experiment.data, experiment.network, members, experiment.settings)
            state = store.state(number)
            if state is not None:
                course.restore(state)
                if progress is not None:
                    progress(course.stack.step * len(places))
            store.finish(number, course.run(_sparing(store, number), None if progress is None else _times(progress, len(places))))
        elif progress is not None:
            progress(experiment.settings.steps(len(experiment.data.train_y)) * len(places))
        yield number


def _times(progress: Callable[[int], None], members: int) -> Callable[[int], None]:
    return lambda steps: progress(steps * members)


def _sparing(store: Checkpoints, number: int) -> Callable[[dict[str, Any]], None]:
    """Return a checkpoint that is kept only if the last one is old enough."""
    last = time.monotonic()

    def keep(state: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_CHECKPOINTS:
            store.keep(number, state)
            last = time.monotonic()

    return keep


def series_of(experiment: Experiment, store: Checkpoints, *, works: Sequence[str], workers: int, rate: float) -> list[Series]:
    """Return the series of all entries that have finished replicas, then those of exact training that waits for all."""
    of: dict[int, list[tuple[int, Curves, int]]] = {}
    for number, places in enumerate(experiment.stacks()):
        curves = store.curves(number)
        if curves is not None:
            for column, (entry, replica) in enumerate(places):
                of.setdefault(entry, []).append((replica, curves, column))
    found: list[Series] = []
    waiting: list[Series] = []
    for entry, members in sorted(of.items()):
        train, test = (np.stack([getattr(c, name)[:, i] for _, c, i in members], axis=1) for name in ("train", "test"))
        final, final_train = (np.array([getattr(c, name)[i] for _, c, i in members]) for name in ("final", "final_train"))
        series = Series.of(experiment.entries[entry], members[0][1].steps, train, test, final, final_train)
        found.append(series)
        if experiment.entries[entry].scheme is None:
            layers = len(experiment.network.dense) - 1
            paradigms = list(dict.fromkeys(e.scheme.paradigm for e in experiment.entries if e.scheme is not None))
            waiting = waiting_series(
                series,
                paradigms or ["rxc"],
                works,
                replicas=[replica for replica, _, _ in members],
                workers=workers,
                rate=rate,
                slots=product_slots(layers, front=bool(experiment.network.convolutions)),
                seed=experiment.settings.seed,
            )
    return found + waiting
