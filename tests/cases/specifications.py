"""Specifications as text."""

from __future__ import annotations

SMALL = """
realizations = 3000
seed = 7
deadlines = [0, 0.5, 1]
gamma = [0.40, 0.35, 0.25]

[workers]
count = 30
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
