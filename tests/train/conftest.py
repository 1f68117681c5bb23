"""Tests of training need PyTorch: they skip without it, or fail where it is required."""

from __future__ import annotations

import importlib.util
import os

import pytest

MISSING = importlib.util.find_spec("torch") is None
REQUIRED = os.environ.get("UEPGPU_REQUIRE_TORCH") == "1"


def pytest_pycollect_makemodule(module_path, parent):
    """Put a stand-in for every file whose imports would fail."""
    if MISSING and module_path.name != "test_without_torch.py":
        return Missing.from_parent(parent, path=module_path)
    return None


class Missing(pytest.File):
    """Stands for a test file that cannot be imported."""

    def collect(self):
        yield MissingItem.from_parent(self, name="needs-torch")


class MissingItem(pytest.Item):
    def runtest(self):
        message = 'PyTorch is not installed: pip install "uepgpu[train]"'
        if REQUIRED:
            pytest.fail(f"UEPGPU_REQUIRE_TORCH=1, but {message}", pytrace=False)
        pytest.skip(message)


if not MISSING:

    @pytest.fixture(autouse=True)
    def one_thread():
        """Tests are small: threads would only cost time."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)
