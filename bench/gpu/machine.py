"""Sections about the machine: what it is, and the library's own self-test."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from importlib import metadata

from bench.gpu.notes import Notes

__all__ = ["clocks", "environment", "selftest"]

FEW = """
import sys
from uepgpu.cli import main
from uepgpu.machine import selftest
selftest.REALIZATIONS, selftest.BEYOND_32_BITS = 35, 2**32 - 17
sys.exit(main())
"""
"""The command with few realizations, for a device that is pretended."""

RELEVANT = re.compile("numba|cupy|cuda|nvidia|numpy|torch|llvm|scipy|xarray")


def _output(command: str) -> str | None:
    """Return what a command prints; None if there is no such command."""
    if shutil.which(command.split()[0]) is None:
        return None
    return subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout.strip()[-2500:]


def clocks() -> str | None:
    """Return clock, highest clock, power and temperature of the devices."""
    return _output("nvidia-smi --query-gpu=clocks.sm,clocks.max.sm,power.draw,temperature.gpu --format=csv,noheader")


def environment(notes: Notes) -> None:
    """Note the machine, the device, the driver and all versions."""
    notes.say("machine", system=platform.platform(), python=platform.python_version(), cores=os.cpu_count())
    for command in ("nvidia-smi", "nvcc --version"):
        notes.say(command, text=_output(command) or "there is no such command here")
    names = [d.metadata["Name"] or "" for d in metadata.distributions()]
    notes.say("packages", **{name: metadata.version(name) for name in sorted(set(names)) if RELEVANT.search(name)})
    began = time.perf_counter()
    from uepgpu.backends import available

    reason = available()[notes.backend]
    notes.say("the backend answers", ok=reason is None, seconds=time.perf_counter() - began, error=reason or "")
    if notes.on_device and reason is None:
        import cupy

        with notes.step("device"):
            found = cupy.cuda.runtime.getDeviceProperties(0)
            keys = ("name", "major", "minor", "multiProcessorCount", "totalGlobalMem", "l2CacheSize", "sharedMemPerMultiprocessor")
            runtime = cupy.cuda.runtime
            versions = {"driver": runtime.driverGetVersion(), "runtime": runtime.runtimeGetVersion()}
            notes.say("device", clocks=clocks(), **versions, **{key: found[key] for key in keys if key in found})


def selftest(notes: Notes) -> None:
    """Run ``uepgpu info --selftest``."""
    command = [
        sys.executable,
        *(["-c", FEW] if notes.pretended else ["-m", "uepgpu"]),
        "info",
        "--selftest",
        "--backend",
        notes.backend,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    notes.say("uepgpu info --selftest", ok=done.returncode == 0, text=done.stdout[-8000:], error=done.stderr[-1500:])
