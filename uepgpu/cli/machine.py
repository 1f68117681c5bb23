"""``uepgpu info`` and ``uepgpu bench``: what this machine can do."""

from __future__ import annotations

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Threads

__all__ = ["bench", "info"]


@app.command
def info(*, selftest: bool = False, backend: str = "auto") -> int:
    """Show versions, and which backends can run here; for those that cannot, why and what to do.

    Parameters
    ----------
    selftest
        Also compare the backend's tallies with NumPy's, integer for integer, on every decoder, and time it briefly:
        one page to paste into a bug report. Exit code 1 if a check fails.
    backend
        What the self-test tests: auto (the fastest that runs here) or a name from "uepgpu info".
    """
    from uepgpu.commands.machine import print_selftest, report

    print(report(), flush=True)
    return print_selftest(backend) if selftest else 0


@app.command
def bench(*, backend: str = "auto", quick: bool = False, threads: Threads | None = None, json: str | None = None) -> int:
    """Time the UEP-30 job on a backend: realizations per second, compilation apart, medians of several rounds.

    Parameters
    ----------
    backend
        What is timed: auto (the fastest that runs here) or a name from "uepgpu info".
    quick
        Three short rounds instead of seven of about a second.
    threads
        CPU threads. Default: all cores.
    json
        Also write the figures to this file.
    """
    from uepgpu.commands.machine import print_benchmark

    return print_benchmark(backend, quick=quick, threads=threads, json_path=json)
