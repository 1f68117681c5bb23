"""Straggler mitigation by unequal error protection codes: exact theory and fast Monte Carlo.

Describe a product (:class:`Partition`), a code (:mod:`uepgpu.codes`) and workers (:class:`Workers`); then ask
:mod:`uepgpu.theory` for closed forms or :func:`simulate` for a tally of realizations.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uepgpu import codes, design, gradient_coding, latency, theory
    from uepgpu.backends import BackendUnavailable
    from uepgpu.monte_carlo import simulate
    from uepgpu.partition import Partition
    from uepgpu.products import condition, multiply
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
    "Tally",
    "Workers",
    "codes",
    "condition",
    "design",
    "gradient_coding",
    "latency",
    "multiply",
    "simulate",
    "theory",
]

_HOME = {
    "BackendUnavailable": "uepgpu.backends",
    "Backup": "uepgpu.workers",
    "Markov": "uepgpu.workers",
    "Partition": "uepgpu.partition",
    "Racks": "uepgpu.workers",
    "Relaunch": "uepgpu.workers",
    "Tally": "uepgpu.tally",
    "condition": "uepgpu.products",
    "multiply": "uepgpu.products",
    "simulate": "uepgpu.monte_carlo",
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
