"""What ``uepgpu info`` and ``uepgpu bench`` print: versions, the machine, which backends can run, checks and timings."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata

from uepgpu import __version__

__all__ = ["print_benchmark", "print_selftest", "report"]

PACKAGES = ("numpy", "numba", "scipy", "xarray", "matplotlib")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"not installed: pip install {package}"


def _cores() -> str:
    from uepgpu.backends import usable_cores

    total, usable = os.cpu_count() or 1, usable_cores()
    return str(total) if usable == total else f"{usable} usable of {total}"


def report() -> str:
    """Return the versions, the machine and the backends as aligned text; a backend that cannot run says why.

    Returns
    -------
    str
        Lines without control codes.
    """
    from uepgpu.backends import available

    lines = [("uepgpu", __version__), ("Python", f"{platform.python_version()} ({platform.python_implementation()})")]
    lines += [(package, _version(package)) for package in PACKAGES]
    lines += [("system", f"{platform.system()} {platform.machine()}"), ("CPU cores", _cores())]
    backends = available()
    lines += [(f"backend {name}", "can run" if reason is None else f"cannot run: {reason}") for name, reason in backends.items()]
    if backends["cuda"] is None:
        from uepgpu_kernels.cuda import describe

        lines += [(f"device {number}", text) for number, text in enumerate(describe())]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _chosen(name: str) -> str | None:
    """Return the backend that runs, or say why not on stderr."""
    from uepgpu.backends import BackendUnavailable, get_backend

    try:
        return get_backend(name).name
    except (BackendUnavailable, ValueError) as error:
        print(f"uepgpu: {error}", file=sys.stderr)
        return None


def print_selftest(backend: str) -> int:
    """Print checks of a backend against NumPy, then a short timing table; return the exit code."""
    from uepgpu.machine.selftest import run_selftest

    name = _chosen(backend)
    if name is None:
        return 2
    print(f"\nself-test of backend {name}: tallies against NumPy's, integer for integer", flush=True)
    failed = 0
    for check in run_selftest(name):
        failed += not check.passed
        print(f"  {'equal' if check.passed else 'DIFFERENT':9}  {check.seconds:7.2f} s  {check.name}", flush=True)
    print(f"self-test: {'passed' if not failed else f'{failed} checks FAILED'}\n", flush=True)
    return print_benchmark(name, quick=True, threads=None, json_path=None) or int(failed > 0)


def print_benchmark(backend: str, *, quick: bool, threads: int | None, json_path: str | None) -> int:
    """Print the UEP-30 timings of a backend; return the exit code."""
    from uepgpu.machine.benchmark import uep30

    name = _chosen(backend)
    if name is None:
        return 2
    print(f"UEP-30 (EW, W = 30, K = 9) on backend {name}, realizations/s, median of rounds (least to most)", flush=True)
    rows = []
    for measured in uep30(name, quick=quick, threads=threads):
        low, high = min(measured.rates), max(measured.rates)
        print(
            f"  {measured.job:22} {measured.rate:10.3e}  ({low:.3e} to {high:.3e}; {measured.realizations:,} realizations a round; "
            f"first call {measured.first_call_seconds:.2f} s)",
            flush=True,
        )
        rows.append({"job": measured.job, "realizations": measured.realizations, "rates": measured.rates})
        rows[-1]["first_call_seconds"] = measured.first_call_seconds
    if json_path is not None:
        try:
            with open(json_path, "w", encoding="utf-8") as file:
                json.dump({"backend": name, "report": report().splitlines(), "jobs": rows}, file, indent=2)
        except OSError as error:
            print(f"uepgpu: --json: {error}", file=sys.stderr)
            return 1
    return 0
