"""What specifications and stores call codes and latency laws."""

from __future__ import annotations

from uepgpu import latency
from uepgpu.codes import LT, MDS, ExpandingWindow, Generator, NonOverlappingWindow, Repetition, Uncoded, Windows
from uepgpu.workers import Backup, Relaunch

__all__ = ["CODES", "LAUNCHES", "LAWS"]

CODES: dict[str, type] = {
    "now": NonOverlappingWindow,
    "ew": ExpandingWindow,
    "mds": MDS,
    "uncoded": Uncoded,
    "repetition": Repetition,
    "lt": LT,
    "windows": Windows,
    "generator": Generator,
}
"""What a specification calls the codes."""

LAWS: dict[str, type] = {
    "exponential": latency.Exponential,
    "shifted-exponential": latency.ShiftedExponential,
    "weibull": latency.Weibull,
    "pareto": latency.Pareto,
    "log-normal": latency.LogNormal,
    "deterministic": latency.Deterministic,
    "empirical": latency.Empirical,
    "staged": latency.Staged,
    "trace": latency.Trace,
}
"""What a specification calls the laws."""

LAUNCHES: dict[str, type] = {"backup": Backup, "relaunch": Relaunch}
"""What a specification calls second tries."""
