"""Checks of device code that need no device. A missing tool skips them for a user and fails where they are required."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # the shared problems

REQUIRED = os.environ.get("UEPGPU_REQUIRE_GPU_CHECKS", "0") not in ("", "0")


def missing(reason: str) -> None:
    """Skip, or fail where the checks are required."""
    if REQUIRED:
        pytest.fail(f"UEPGPU_REQUIRE_GPU_CHECKS is set and {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def numba_cuda() -> None:
    """Need numba-cuda, to compile without a device."""
    if importlib.util.find_spec("numba_cuda") is None:
        missing("numba-cuda is not installed (pip install 'numba-cuda[cu13]==0.30.4')")
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        missing("NUMBA_DISABLE_JIT is set: nothing compiles")


@pytest.fixture(scope="session")
def ptxas() -> str:
    """Return the path of the assembler from PyPI."""
    folders = [Path(p) / "nvidia" for p in sys.path if (Path(p) / "nvidia").is_dir()]
    found = sorted(p for folder in folders for p in folder.glob("*/bin/ptxas"))
    if not found:
        missing("ptxas is not installed (pip install 'nvidia-cuda-nvcc==13.0.*')")
    return str(found[0])


@pytest.fixture(scope="session")
def interpreter():
    """Return the PTX interpreter's module: a single file beside the project, or where the variable says."""
    path = Path(os.environ.get("UEPGPU_PTX_INTERPRETER") or ROOT.parent / "shared" / "tools" / "ptx_interpreter.py")
    if not path.is_file():
        reason = "there is no PTX interpreter (set UEPGPU_PTX_INTERPRETER to ptx_interpreter.py)"
        if not path.parents[1].is_dir():
            pytest.skip(reason)  # it is no part of the project: who has just a checkout cannot have it
        missing(reason)
    spec = importlib.util.spec_from_file_location("ptx_interpreter", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
