"""Specifications, as text and as the tables that TOML gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from uepgpu.sweep.spec import parse_spec

if TYPE_CHECKING:
    from uepgpu.points.point import Sweep

GAMMA = (0.40, 0.35, 0.25)

SMALL = """
realizations = 3000
seed = 7
deadlines = [0, 0.5, 1]
gamma = [0.40, 0.35, 0.25]

[workers]
count = 30
omega = "fair"
work = "unit"

[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]

[[series]]
label = "EW"
code = "ew"

[[series]]
label = "MDS"
code = "mds"
"""
"""Two codes on a small model."""


def spec(**changes: Any) -> dict[str, Any]:
    """A small valid specification; a change to None leaves the key out."""
    data = {
        "realizations": 2000,
        "seed": 3,
        "deadlines": [0.5, 1.0],
        "gamma": list(GAMMA),
        "workers": {"count": 12, "omega": "fair", "work": "unit"},
        "partitions": {
            "rxc": {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [10, 1, 0.1], "classes": [3, 3, 3]}
        },
        "series": [{"label": "EW", "code": "ew"}],
    } | changes
    return {key: value for key, value in data.items() if value is not None}


def parse(data: dict[str, Any], folder: Path = Path()) -> Sweep:
    return parse_spec(data, name="mine", folder=folder)
