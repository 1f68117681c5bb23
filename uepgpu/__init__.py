"""Straggler mitigation by unequal error protection codes: exact theory and fast Monte Carlo.

Describe a product (:class:`Partition`), a code (:mod:`uepgpu.codes`) and workers (:class:`Workers`); then ask
:mod:`uepgpu.theory` for closed forms or :func:`simulate` for a tally of realizations. :func:`run_sweep` does that for
every point of a specification; :func:`plot` and :func:`write_report` show what came of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uepgpu import codes, design, gradient_coding, latency, theory
    from uepgpu.backends import BackendUnavailable
    from uepgpu.figures.plot import plot
    from uepgpu.monte_carlo import simulate
    from uepgpu.partition import Partition
    from uepgpu.products import condition, multiply
    from uepgpu.report.file import write_report
    from uepgpu.results.opened import Results, open_store
    from uepgpu.results.running import run_sweep
    from uepgpu.results.studies import StudyResults, run_study
    from uepgpu.tally import Tally
    from uepgpu.workers import Backup, Markov, Racks, Relaunch, Workers

__version__ = "0.1.0"
__all__ = [
    "BackendUnavailable",
    "Backup",
    "Markov",
    "Partition",
    "Racks",
    "Relaunch",
    "Results",
    "StudyResults",
    "Tally",
    "Workers",
    "codes",
    "condition",
    "design",
    "gradient_coding",
    "latency",
    "multiply",
    "open_store",
    "plot",
    "run_study",
    "run_sweep",
    "simulate",
    "theory",
    "write_report",
]

_HOME = {
    "BackendUnavailable": "uepgpu.backends",
    "Backup": "uepgpu.workers",
    "Markov": "uepgpu.workers",
    "Partition": "uepgpu.partition",
    "Racks": "uepgpu.workers",
    "Relaunch": "uepgpu.workers",
    "Results": "uepgpu.results.opened",
    "StudyResults": "uepgpu.results.studies",
    "Tally": "uepgpu.tally",
    "condition": "uepgpu.products",
    "multiply": "uepgpu.products",
    "open_store": "uepgpu.results.opened",
    "plot": "uepgpu.figures.plot",
    "run_study": "uepgpu.results.studies",
    "run_sweep": "uepgpu.results.running",
    "simulate": "uepgpu.monte_carlo",
    "write_report": "uepgpu.report.file",
    "Workers": "uepgpu.workers",
}
_MODULES = ("codes", "design", "gradient_coding", "latency", "theory")


def __getattr__(name: str) -> Any:  # PEP 562: nothing is loaded before it is used
    if name in _MODULES:
        return importlib.import_module(f"uepgpu.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'uepgpu' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
