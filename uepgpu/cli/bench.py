"""``uepgpu bench``."""

from __future__ import annotations

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Threads

__all__ = ["bench"]


@app.command
def bench(
    *, backend: str = "auto", quick: bool = False, threads: Threads | None = None, json: str | None = None, force: bool = False
) -> int:
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
        Also write the timings to this .json file.
    force
        Replace a file that holds no earlier timings.
    """
    from uepgpu.commands.bench import run_bench

    return run_bench(backend, quick=quick, threads=threads, json_path=json, force=force)
