"""The Numba target for CPUs: loop nests over tiles of realizations, calling the bodies, and nothing else."""

from __future__ import annotations

from uepgpu_kernels.cpu.run import decode_times, run, run_rounds

__all__ = ["decode_times", "run", "run_rounds"]
