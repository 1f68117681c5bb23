"""What all commands have in common: every option is described, flags have no shadow, shells complete, tables can be piped."""

from __future__ import annotations

import csv
import inspect
import io
import re
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.stores import shared_store
from uepgpu.cli.app import app
from uepgpu.commands.compilation import Compilation
from uepgpu.results.best import Question
from uepgpu.specification.names import LAWS
from uepgpu.specification.workers import law_of_words

COMMANDS = sorted(name for name in app if not name.startswith("-"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


def described(text: str) -> dict[str, str]:
    """Return what a docstring says of each parameter."""
    found: dict[str, str] = {}
    names: list[str] = []
    _, _, body = inspect.cleandoc(text).partition("Parameters\n----------\n")
    for line in body.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        for name in names:
            found[name] = found.get(name, "") + (line.strip() if line.startswith(" ") else "")
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    command: Any = app[name].default_command
    said = described(command.__doc__)
    parameters = list(inspect.signature(command).parameters)
    assert [p for p in parameters if len(said.get(p, "")) < 6] == []
    assert set(said) == set(parameters)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_no_word_about_what_is_not_given(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, name, "--help") == 0
    out = capsys.readouterr().out
    assert name in out
    assert re.findall(r"--([\w-]+) +--(?:no|empty)-\1", out) == []
    for noise in ("default: False", "default: None"):
        assert noise not in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_a_script_that_they_can_read(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "completion", shell) == 0
    script = capsys.readouterr().out
    for word in (*COMMANDS, "realizations", "lmmse"):
        assert word in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_an_export_can_be_piped(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "export", str(store), "--csv", "mine.csv", "--bound") == 0
    capsys.readouterr()
    assert call(monkeypatch, "export", str(store), "--csv", "-", "--bound") == 0
    assert capsys.readouterr().out == Path("mine.csv").read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.csv"]
    assert call(monkeypatch, "export", str(store), "--csv", "-", "--netcdf", "x.nc") == 2
    assert "--csv - prints the table" in capsys.readouterr().err
    assert call(monkeypatch, "export", "none.db", "--csv", "-") == 2
    assert capsys.readouterr().out == ""


def test_a_ranking_can_be_piped(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "best", str(store), "--at", "1", "--csv", "mine.csv") == 0
    capsys.readouterr()
    assert call(monkeypatch, "best", str(store), "--at", "1", "--csv", "-") == 0
    out = capsys.readouterr().out
    assert out == Path("mine.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == len(uep.open_store(store))
    assert {row["question"] for row in rows} == {Question("loss", 1.0).kind}


LAW_WORDS = {
    "exponential": uep.latency.Exponential(),
    "exponential rate=2": uep.latency.Exponential(2),
    "shifted-exponential rate=2 shift=.2": uep.latency.ShiftedExponential(2, 0.2),
    "weibull shape=0.7 scale=1e-1": uep.latency.Weibull(0.7, 0.1),
    "pareto shape=2": uep.latency.Pareto(2),
    "log-normal mu=-.5 sigma=1": uep.latency.LogNormal(-0.5, 1),
    "deterministic time=0.3": uep.latency.Deterministic(0.3),
    "{ law = 'staged', compute = 'exponential', start = 0.1 }": uep.latency.Staged(uep.latency.Exponential(), start=0.1),
}


@pytest.mark.parametrize("text", LAW_WORDS)
def test_a_law_is_read_from_words(text: str) -> None:
    assert law_of_words("--latency", text) == LAW_WORDS[text]


def test_every_law_can_be_read_from_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("times.csv").write_text("node,seconds\n1,0.2\n2,0.4\n")
    np.save("trace.npy", [[0.1, 0.2], [0.3, 0.4]])
    empirical: Any = law_of_words("--latency", "empirical samples=times.csv column=seconds")
    assert empirical.samples.tolist() == [0.2, 0.4]
    listed: Any = law_of_words("--latency", "empirical samples=[0.2,0.4]")
    assert listed.samples.tolist() == [0.2, 0.4]
    trace: Any = law_of_words("--latency", "trace latencies=trace.npy replay=order shuffle=true")
    assert (trace.n_workers, trace.replay, trace.shuffle) == (2, "order", True)
    each = law_of_words("--latency", "{ each = ['exponential', 'deterministic'], counts = [2, 1] }")
    assert each == [uep.latency.Exponential()] * 2 + [uep.latency.Deterministic()]
    words = {text.split()[0] for text in LAW_WORDS if not text.startswith("{")} | {"empirical", "trace", "staged"}
    assert words == set(LAWS)


def test_a_product_takes_any_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    np.save("A.npy", rng.normal(size=(6, 6)))
    arguments = ("A.npy", "A.npy", "--code", "uncoded", "--workers", "9", "--backend", "numpy", "--realizations", "20")
    assert call(monkeypatch, "multiply", *arguments, "--deadline", "0.2", "--latency", "deterministic time=0.3") == 0
    out = capsys.readouterr().out
    assert "0.00 packets arrived on average" in out
    assert "W = 9; latency Deterministic(time=0.3); Ω = 1; true work." in out
    assert call(monkeypatch, "multiply", *arguments, "--deadline", "0.31", "--latency", "deterministic time=0.3") == 0
    assert "9.00 packets arrived on average" in capsys.readouterr().out


def test_the_rate_of_a_sweep_leaves_compilation_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    compiled = nullcontext(Compilation(finished=1000.0))
    monkeypatch.setattr("uepgpu.commands.compilation.watched_compilation", lambda **options: compiled)
    assert call(monkeypatch, "sweep", "paper", "--realizations", "100", "--backend", "numpy") == 0
    said = re.search(
        r"600 realizations added in 6 ranges, (\S+) a second; 1000\.0 s of compiling kernels, done once, left out",
        capsys.readouterr().out,
    )
    assert said is not None
    assert float(said[1]) > 1e9  # nothing else took time


def test_compilation_in_several_threads_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("uepgpu.commands.compilation.time.perf_counter", lambda: now[0])
    found = Compilation()
    assert (found(), found.seconds, found.describe()) == (False, 0.0, "")
    for moment, happens in ((1.0, found.start), (2.0, found.start), (3.0, found.end), (5.0, found.end), (7.0, found.start)):
        now[0] = moment
        happens()
    now[0] = 7.5
    assert found()
    assert found.seconds == 4.5
    found.end()
    now[0] = 9.0
    assert (found(), found.seconds) == (False, 4.5)
    assert found.describe() == "; 4.5 s of compiling kernels, done once, left out"
