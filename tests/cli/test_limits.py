"""Numbers that cannot be: cost and memory are computed first, and refused with the limit, before anything is allocated."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.specifications import SMALL
from uepgpu import checks, codes, gradient_coding
from uepgpu.commands.sweep import SweepOptions, run_sweep

V = (10.0, 1.0, 0.1)
PART = uep.Partition.model("rxc", left_variances=V, right_variances=V, classes=(3, 3, 3))
EW = codes.ExpandingWindow((0.4, 0.35, 0.25))
POOL = uep.Workers(12, omega=1.0, work="unit")
SIMULATE: dict[str, Any] = {"realizations": 10, "seed": 1, "backend": "numpy"}
TABLE: dict[str, Any] = {"rows": 10, "columns": 2, "seed": 1}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--replicas", "1e24"), "--replicas must be an integer from 1 to 2**31 - 1, got '1e24'"),
        (("--epochs", "1e24"), "--epochs must be an integer from 1 to 2**31 - 1"),
        (("--replicas", "2e9"), "trainings of 460 steps are 9.2e+11 steps, and at most 1e+11 can be"),
        (("--epochs", "2e9"), "at most 1e+11 can be"),
        (("--workers", "10" * 20), "--workers must be an integer from 1 to 2**31 - 1"),
        (("--threads", str(10**21)), "--threads must be an integer from 1 to 1024"),
        (("--batch", "0"), "--batch must be an integer from 1 to 2**31 - 1"),
    ],
)
def test_trainings_that_cannot_be_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "train", "digits", "--codes", "centralized", *words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_curves_that_do_not_fit_into_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("uepgpu.checks.free_memory", lambda: 10**9)
    words = ("train", "digits", "--codes", "centralized", "--replicas", "1e7", "--epochs", "1", "--evaluate-every", "1")
    assert call(monkeypatch, *words) == 2
    assert "25 points of the curves of 10,000,000 trainings needs 14.9 GiB of memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "refused",
    {
        "threads": lambda: uep.simulate(EW, PART, POOL, threads=10**21, **SIMULATE),
        "realizations": lambda: uep.simulate(EW, PART, POOL, **SIMULATE | {"realizations": 10**24}),
        "workers": lambda: uep.Workers(10**12, omega="fair"),
        "deadlines that are no times": lambda: uep.simulate(EW, PART, POOL, deadlines=False, **SIMULATE),
        "deadlines of theory": lambda: uep.theory.loss(EW, PART, POOL, deadlines=np.array([True])),
        "a flag": lambda: gradient_coding.gaussian(**TABLE, by_norm=1j),
        "a flag that is text": lambda: gradient_coding.multivariate_t(**TABLE, degrees=2.0, by_norm="no"),
        "a table": lambda: gradient_coding.gaussian(**TABLE | {"rows": 10**9, "columns": 10**4}),
        "its correlations": lambda: gradient_coding.gaussian(**TABLE | {"columns": 10**6}),
        "iterations": lambda: gradient_coding.descend(
            gradient_coding.Problem(np.arange(40.0).reshape(20, 2) % 7, np.arange(20.0), 4),
            gradient_coding.ExactGradient(),
            uep.Workers(8, omega=1.0),
            iterations=10**9,
            realizations=1,
            seed=1,
            step=1.0,
            backend="numpy",
        ),
        "copies": lambda: codes.Repetition(10**30),
    }.values(),
)
def test_calls_that_cannot_be_are_refused_at_once(refused: Callable[[], Any]) -> None:
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ValueError, match=r"must|needs") as caught:
            refused()
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 20
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count = 30", "count = 1000000000000"),
        ("count = 30", f"count = {10**30}"),
        ("count = 30", f"count = {'9' * 5000}"),
        ("seed = 7", f"seed = {2**64}"),
        ("realizations = 3000", f"realizations = {10**30}"),
        ("left_variances = [10, 1, 0.1]", f"left_variances = {[1] * 20_000}"),
        ("deadlines = [0, 0.5, 1]", "deadlines = { start = 0, stop = 1e12, step = 1e-12 }"),
        ("deadlines = [0, 0.5, 1]", f"deadlines = [{10**400}]"),
        ("realizations = 3000", f"realizations = 3000\nx = {'[' * 100_000}"),
    ],
)
def test_specifications_that_cannot_be_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert old in SMALL
    Path("small.toml").write_text(SMALL.replace(old, new, 1))
    assert run_sweep("small.toml", SweepOptions(backend="numpy")) == 2
    err = capsys.readouterr().err
    assert err.startswith("uepgpu: ")
    assert err.count("\n") == 1
    assert len(err) <= 310
    assert [p.name for p in tmp_path.iterdir()] == ["small.toml"]


def test_a_byte_order_mark_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert run_sweep("small.toml", SweepOptions(backend="numpy", realizations=10)) == 0


def test_free_memory_heeds_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CGROUP", tmp_path)
    assert checks.free_memory() > 10**6
    for name, text in (("max", "1000\n"), ("current", "400\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert checks.free_memory() == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert checks.free_memory() > 10**6
    with pytest.raises(ValueError, match=r"a table needs 8\.67e"):
        checks.require_memory("a table", 10**30)
