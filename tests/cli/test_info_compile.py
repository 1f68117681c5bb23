"""``uepgpu info --compile``: kernels for a GPU ahead of time, and one line where that cannot be."""

from __future__ import annotations

import importlib.util

import pytest

from tests.cases.command_line import call
from uepgpu.machine import ahead


def test_without_numba_cuda_it_says_how_to_get_it(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "numba_cuda" else found(name, *rest))
    assert call(monkeypatch, "info", "--compile", "sm_90") == 2
    assert 'pip install "uepgpu[cuda13]"' in capsys.readouterr().err


def test_it_says_what_was_compiled_and_what_was_there(monkeypatch, capsys):
    made = [ahead.Compiled("a problem", 1.5, False), ahead.Compiled("another", 0.01, True)]
    monkeypatch.setattr(ahead, "compile_ahead", lambda capability: made if capability == "sm_90" else None)
    assert call(monkeypatch, "info", "--compile", "sm_90") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["compiled", "1.50", "s", "a", "problem"],
        ["on", "disk", "0.01", "s", "another"],
    ]
    assert lines[2].startswith("kernels for sm_90: 1 compiled")


def test_an_unknown_kind_of_gpu_is_refused(monkeypatch, capsys):
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("numba-cuda is not installed")
    assert call(monkeypatch, "info", "--compile", "sm_9x") == 2
    assert "sm_75 to sm_129, got 'sm_9x'" in capsys.readouterr().err
