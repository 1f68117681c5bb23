"""A sweep of one series over any grid."""

from __future__ import annotations

from pathlib import Path

from uepgpu.sweep.spec import parse_spec

MODEL = {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [10, 1, 0.1], "classes": [3, 3, 3]}


def grid(**keys):
    data = {"gamma": [0.40, 0.35, 0.25], "workers": {"count": 20, "omega": "fair", "work": "unit"}, "partitions": {"rxc": MODEL}}
    return parse_spec(data | {"series": [{"label": "EW", "code": "ew"}]} | keys, name="bench", folder=Path())
