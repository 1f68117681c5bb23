"""What this machine is: versions, cores, and which backends can run."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from uepgpu import __version__
from uepgpu.backends import available, usable_cores

__all__ = ["describe_machine"]

PACKAGES = ("numpy", "numba", "scipy", "xarray", "matplotlib")


def describe_machine() -> list[tuple[str, str]]:
    """Return names and values: versions, the machine, the backends; a backend that cannot run says why.

    Examples
    --------
    >>> [value for name, value in describe_machine() if name == "backend numpy"]
    ['can run']
    """
    lines = [("uepgpu", __version__), ("Python", f"{platform.python_version()} ({platform.python_implementation()})")]
    lines += [(package, _version(package)) for package in PACKAGES]
    lines += [("system", f"{platform.system()} {platform.machine()}"), ("CPU cores", _cores())]
    backends = available()
    lines += [(f"backend {name}", "can run" if reason is None else f"cannot run: {reason}") for name, reason in backends.items()]
    if backends["cuda"] is None:
        from uepgpu_kernels.cuda import describe

        lines += [(f"device {number}", text) for number, text in enumerate(describe())]
    return lines


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"not installed: pip install {package}"


def _cores() -> str:
    total, usable = os.cpu_count() or 1, usable_cores()
    return str(total) if usable == total else f"{usable} usable of {total}"
