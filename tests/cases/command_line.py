"""The command line called in this process, and the environment to call it in another."""

from __future__ import annotations

import os
import sys

import pytest

from tests.cases.requirements import ROOT
from uepgpu.cli import main


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Call the entry point in this process; return the exit code."""
    monkeypatch.setattr(sys, "argv", ["uepgpu", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def environment() -> dict[str, str]:
    """Return the environment in which another process finds the project."""
    paths = [str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
