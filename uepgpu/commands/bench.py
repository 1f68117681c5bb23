"""What ``uepgpu bench`` does: timings of the UEP-30 job on a backend."""

from __future__ import annotations

import json
from typing import Any

from uepgpu.commands.outcome import exits, refusing, writing
from uepgpu.files import Kind, check_file

__all__ = ["print_timings", "run_bench"]

TIMINGS = Kind(("json",), b"{", b'"made by": "uepgpu bench"')


@exits
def run_bench(backend: str, *, quick: bool, threads: int | None, json_path: str | None, force: bool = False) -> int:
    """Print timings, and write them to a file if one is named; return the exit code."""
    from uepgpu.backends import get_backend
    from uepgpu.machine.info import describe_machine

    with refusing():
        target = None if json_path is None else check_file("--json", json_path, (TIMINGS,), force=force)
        name = get_backend(backend).name
    jobs = print_timings(name, quick=quick, threads=threads)
    if target is not None:
        machine = [f"{name}: {value}" for name, value in describe_machine()]
        content = {"made by": "uepgpu bench", "backend": name, "report": machine, "jobs": jobs}
        with writing("the timings", target.path):
            target.write(json.dumps(content, indent=2).encode())
    return 0


def print_timings(name: str, *, quick: bool, threads: int | None) -> list[dict[str, Any]]:
    """Print a line for each job of a backend as soon as it is timed; return the figures, a dictionary each."""
    from uepgpu.machine.benchmark import uep30

    print(f"UEP-30 (EW, W = 30, K = 9) on backend {name}, realizations/s, median of rounds (least to most)", flush=True)
    jobs = []
    for measured in uep30(name, quick=quick, threads=threads):
        low, high = min(measured.rates), max(measured.rates)
        print(
            f"  {measured.job:22} {measured.rate:10.3e}  ({low:.3e} to {high:.3e}; {measured.realizations:,} realizations a round; "
            f"first call {measured.first_call_seconds:.2f} s)",
            flush=True,
        )
        jobs.append(
            {
                "job": measured.job,
                "realizations": measured.realizations,
                "rates": measured.rates,
                "first_call_seconds": measured.first_call_seconds,
            }
        )
    return jobs
