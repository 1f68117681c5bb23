"""A sweep of three series, and its store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uepgpu.points.point import Sweep
from uepgpu.store.store import Store
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.local import Local
from uepgpu.sweep.run import identify_all
from uepgpu.sweep.spec import parse_spec

MODEL = {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [10, 1, 0.1], "classes": [3, 3, 3]}
SERIES = [
    {"label": "EW", "code": "ew"},
    {"label": "nested", "code": {"name": "ew", "encoding": "factored", "window": "nested"}},
    {"label": "LT", "code": "lt", "workers": {"work": "true"}},
]


def sweep(**changes: Any) -> Sweep:
    data: dict[str, Any] = {
        "realizations": 6000,
        "seed": 3,
        "deadlines": [0.5, 1.0, 2.0],
        "gamma": [0.40, 0.35, 0.25],
        "workers": {"count": 12, "omega": "fair", "work": "unit"},
        "partitions": {"rxc": MODEL},
        "series": SERIES,
    }
    return parse_spec(data | changes, name="mine", folder=Path())


def collect(path: Path | str, made: Sweep) -> Collection:
    with Store(path) as store:
        collection = Collection(store, made, identify_all(made.points))
        collection.run(Local("numpy"))
    return collection
