"""From the sum of stored ranges to the tally of a point."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.plan import possible_counts, problem_of_round
from uepgpu.points.point import Point
from uepgpu.store.spans import CountedRange
from uepgpu.tally import Tally, Trajectories

__all__ = ["merged"]


def merged(frame: dict[str, Any], point: Point, counted: CountedRange) -> Tally | Trajectories:
    """Return the tally of a point from the sum of its stored ranges and the fields that counts do not hold."""
    backends = sorted({name for text in counted.provenance for name in json.loads(text)["backend"].split("+")})
    fields = {name: value for name, value in frame.items() if name not in ("rounds", "problem")}
    counters, rounds = counted.counters, frame.get("rounds", 1)
    possible = possible_counts(
        point.law, point.part.classes, frame["n_packets"], "patterns" if frame["class_wise"] else "pairs", frame["decoder"]
    )
    tallies = tuple(
        Tally(
            **fields,
            problem=problem_of_round(frame["problem"], r),
            backend="+".join(backends),
            deadlines=np.asarray(point.deadlines) if frame["domain"] == "deadline" else None,
            time_unit=point.workers.time_unit if frame["domain"] == "deadline" else None,
            classes=point.part.classes,
            patterns=patterns,
            pairs=pairs,
            marginals=None,
            ranges=counted.ranges,
            seconds=counted.seconds / rounds,
            possible=possible,
        )
        for r, (patterns, pairs) in enumerate(
            zip(_of_rounds(counters.patterns, rounds), _of_rounds(counters.pairs, rounds), strict=True)
        )
    )
    return tallies[0] if "rounds" not in frame else Trajectories(tallies, counters.squares)


def _of_rounds(counts: NDArray[np.int64] | None, rounds: int) -> Sequence[Any]:
    """Return what is counted of every round, which stand one after another along the time axis."""
    return [None] * rounds if counts is None else np.split(counts, rounds, axis=1)
