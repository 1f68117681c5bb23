"""``uepgpu info``."""

from __future__ import annotations

from uepgpu.cli.app import app

__all__ = ["info"]


@app.command
def info(*, selftest: bool = False, backend: str = "auto", compile: str | None = None) -> int:
    """Show versions, and which backends can run here; for those that cannot, why and what to do.

    Parameters
    ----------
    selftest
        Also compare the backend's tallies with NumPy's, integer for integer, on every decoder, and time it briefly:
        one page to paste into a bug report. Exit code 1 if a check fails.
    backend
        What the self-test tests: auto (the fastest that runs here) or a name from "uepgpu info".
    compile
        Compile the kernels of the self-test for GPUs of this kind ahead of time, sm_90 for an H100, say; no GPU is needed.
    """
    from uepgpu.commands.info import run_info

    return run_info(backend, selftest=selftest, capability=compile)
