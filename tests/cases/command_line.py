"""The command line called in this process."""

from __future__ import annotations

import sys

import pytest

from uepgpu.cli import main


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Call the entry point in this process; return the exit code."""
    monkeypatch.setattr(sys, "argv", ["uepgpu", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code
