"""What ``uepgpu info`` prints: versions, the machine, and which backends can run."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from uepgpu import __version__

__all__ = ["report"]

PACKAGES = ("numpy", "numba", "scipy", "xarray", "matplotlib")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"not installed: pip install {package}"


def _cores() -> str:
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
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
    lines += [(f"backend {name}", "can run" if reason is None else f"cannot run: {reason}") for name, reason in available().items()]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)
