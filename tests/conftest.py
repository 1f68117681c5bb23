"""What tests share: tools that may be missing, and how tests of training stand in for themselves without PyTorch."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tests.cases.requirements import ROOT, missing

TRAIN = ROOT / "tests" / "train"
WITHOUT_TORCH = importlib.util.find_spec("torch") is None


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


def pytest_pycollect_makemodule(module_path, parent):
    """Put a stand-in for every file whose imports would fail."""
    if WITHOUT_TORCH and module_path.parent == TRAIN and module_path.name != "test_without_torch.py":
        return NeedsTorch.from_parent(parent, path=module_path)
    return None


class NeedsTorch(pytest.File):
    """Stands for a test file that cannot be imported."""

    def collect(self):
        yield NeedsTorchItem.from_parent(self, name="needs-torch")


class NeedsTorchItem(pytest.Item):
    def runtest(self):
        missing('PyTorch is not installed: pip install "uepgpu[train]"', "UEPGPU_REQUIRE_TORCH")


@pytest.fixture(autouse=True)
def one_thread(request):
    """Tests of training are small: threads would only cost time."""
    if WITHOUT_TORCH or request.path.parent != TRAIN:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
