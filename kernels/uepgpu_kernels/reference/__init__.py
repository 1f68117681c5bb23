"""The NumPy target: vectorised over realizations, written from the mathematics alone. It imports no body."""

from __future__ import annotations

from uepgpu_kernels.reference.run import decode_times, run, run_rounds

__all__ = ["decode_times", "run", "run_rounds"]
