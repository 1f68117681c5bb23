"""The command line as a newcomer meets it: exit codes, one-line errors, files, pipes and Ctrl-C."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import uepgpu
from tests.cases.command_line import call, environment
from tests.cases.specifications import SMALL
from uepgpu.backends.cuda import CudaBackend
from uepgpu.files import Folder

ROOT = Path(uepgpu.__file__).parent.parent
ESCAPE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def uepgpu_run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "uepgpu", *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.toml").write_text(SMALL)
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "broken.toml").write_text("x = [")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "typo.toml").write_text(SMALL.replace("label", "lable"))
    (tmp_path / "missing.toml").write_text(SMALL.replace("left_variances = [10, 1, 0.1]", 'a = "none.npy"\nb = "none.npy"').replace(
        "right_variances = [10, 1, 0.1]", ""
    ))  # fmt: skip
    (tmp_path / "sub").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "table.csv").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


WRONG = [
    ((), "sweep"),
    (("swep", "paper"), 'Did you mean "sweep"?'),
    (("sweep",), "SPEC"),
    (("sweep", "papr"), "(did you mean 'paper'?)"),
    (("sweep", "none.toml"), "no file 'none.toml'"),
    (("sweep", "sub"), "'sub' is a directory"),
    (("sweep", ""), "SPEC must be a TOML file"),
    (("sweep", "broken.toml"), "broken.toml is not valid TOML"),
    (("sweep", "binary.toml"), "binary.toml cannot be read"),
    (("sweep", "typo.toml"), "unknown key 'lable' (did you mean 'label'?)"),
    (("sweep", "missing.toml"), "a: no file"),
    (("sweep", "mine.toml", "surplus"), "unexpected argument 'surplus'"),
    (("sweep", "mine.toml", "--uot", "x"), "--uot"),
    (("sweep", "mine.toml", "--realizations"), "--realizations"),
    (("sweep", "mine.toml", "--realizations", "-5"), "--realizations must be an integer from 1 to 2**63 - 1 such as 1"),
    (("sweep", "mine.toml", "--realizations", str(2**63)), "--realizations must be an integer from 1 to 2**63 - 1 such as 1"),
    (("sweep", "mine.toml", "--realizations", "0"), "got '0'"),
    (("sweep", "mine.toml", "--realizations", "1.5"), "got '1.5'"),
    (("sweep", "mine.toml", "--realizations", "1e30"), "got '1e30'"),
    (("sweep", "mine.toml", "--realizations", "nan"), "got 'nan'"),
    (("sweep", "mine.toml", "--realizations", "1e999"), "got '1e999'"),
    (("sweep", "mine.toml", "--seed", "-1"), "--seed must be an integer from 0 to 2**64 - 1, got -1"),
    (("sweep", "mine.toml", "--threads", "0"), "--threads must be an integer from 1 to 1024, got '0'"),
    (("sweep", "mine.toml", "--backend", "nunba"), "(did you mean 'numba'?)"),
    (("sweep", "mine.toml", "--out", ""), "--out must be a name, got ''"),
    (("sweep", "mine.toml", "--out", "file"), "'file' is not a folder"),
    (("sweep", "mine.toml", "--out", "file/below"), "'file' is not a folder"),
    (("sweep", "mine.toml", "--out", "full"), "is a folder"),
    (("info", "surplus"), "unexpected argument 'surplus'"),
]  # fmt: skip


@pytest.mark.parametrize("arguments, message", WRONG[1:], ids=[" ".join(a) for a, _ in WRONG[1:]])
def test_wrong_calls_end_with_2_and_one_line_and_write_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    before = sorted(folder.rglob("*"))
    assert call(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("uepgpu: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sub").chmod(0o500)
    assert call(monkeypatch, "sweep", "mine.toml", "--out", "sub/x") == 2
    assert "no permission in" in capsys.readouterr().err


def test_a_backend_that_cannot_run_is_refused_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CudaBackend, "unavailable", lambda self: "no device answers")
    assert call(monkeypatch, "sweep", "mine.toml", "--backend", "cuda") == 2
    assert capsys.readouterr().err == "uepgpu: backend 'cuda' cannot run: no device answers\n"
    assert not (folder / "uepgpu-mine").exists()


def test_help_and_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.strip() == uepgpu.__version__
    for arguments in ((), ("--help",)):
        assert call(monkeypatch, *arguments) == 0
        assert "sweep" in capsys.readouterr().out
    assert call(monkeypatch, "sweep", "--help") == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("paper", "fair", "backprop", "--out", "--realizations", "--seed", "--backend", "--threads"))


def test_info_names_versions_and_backends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(CudaBackend, "unavailable", lambda self: "no device answers")
    assert call(monkeypatch, "info") == 0
    lines = [re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    shown = dict(lines)
    assert shown["uepgpu"] == uepgpu.__version__
    assert shown["numpy"] == np.__version__
    assert {"Python", "numba", "scipy", "CPU cores"} <= set(shown)
    assert shown["backend cuda"] == "cannot run: no device answers"
    assert shown["backend numpy"] == "can run"


def test_help_starts_without_the_heavy_libraries(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom uepgpu.cli import main\nsys.argv = ['uepgpu', 'sweep', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('LOADED', [m for m in ('numba', 'scipy', 'matplotlib', 'xarray', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_a_sweep_over_the_users_own_matrices(folder: Path) -> None:
    rng = np.random.default_rng(2)
    np.save(folder / "sub" / "a.npy", rng.normal(size=(30, 20)) * np.repeat([3.0, 1.0, 0.3], 10)[:, None])
    np.save(folder / "sub" / "b.npy", rng.normal(size=(20, 31)))
    tables = 'paradigm = "rxc"\na = "a.npy"\nb = "b.npy"\nrows = 3\ncols = 3\nclasses = [3, 3, 3]\n'
    head, tail = SMALL.split("paradigm")[0], SMALL[SMALL.index("[[series]]") :]
    (folder / "sub" / "own.toml").write_text(head + tables + tail)
    done = uepgpu_run("sweep", "sub/own.toml", "--realizations", "4_000", "--seed", "9", "--backend", "numpy", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert not ESCAPE.search(done.stdout)
    assert "EW" in done.stdout
    assert str(Path("uepgpu-own") / "table.csv") in done.stdout
    assert sorted(file.name for file in (folder / "uepgpu-own").iterdir()) == ["loss.png", "store.db", "table.csv"]
    with (folder / "uepgpu-own" / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3
    assert {(r["realizations"], r["seed"], r["backend"], r["paradigm"]) for r in rows} == {("4000", "9", "numpy", "rxc")}
    required = "code paradigm encoding work workers deadline normalized_loss normalized_loss_stderr normalized_loss_low"
    required += " normalized_loss_high normalized_loss_exact realizations seed backend"
    assert set(required.split()) <= set(rows[0])
    for row in rows:
        assert float(row["normalized_loss"]) == pytest.approx(
            float(row["normalized_loss_exact"]), abs=4 * float(row["normalized_loss_stderr"]) + 1e-12
        )


def test_numbers_may_be_written_with_an_exponent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "sweep", "mine.toml", "--realizations", "2e3", "--out", "deep/er") == 0
    with (folder / "deep" / "er" / "table.csv").open(encoding="utf-8") as file:
        assert {row["realizations"] for row in csv.DictReader(file)} == {"2000"}


def test_results_that_cannot_be_written_end_with_1_and_are_still_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Folder, name: str, content: bytes) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Folder, "write", fail)
    assert call(monkeypatch, "sweep", "mine.toml") == 1
    out, err = capsys.readouterr()
    assert "EW" in out
    assert err == "uepgpu: the results could not be written to 'uepgpu-mine': no space left on device\n"


def test_a_closed_pipe_is_no_error(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "uepgpu", "sweep", "mine.toml"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
    assert (folder / "uepgpu-mine" / "table.csv").is_file()


def test_output_that_cannot_show_greek_letters_is_no_error(folder: Path) -> None:
    text = SMALL.replace('omega = "fair"', "omega = [0.3, 1]")
    (folder / "grid.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "uepgpu", "sweep", "grid.toml"],
        cwd=folder,
        env=environment() | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child process")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_before_anything_has_come_acts_at_once(folder: Path, threads: str) -> None:
    """A kernel that takes a minute for its first realization, as one does that is compiled, in this thread or in others."""
    code = (
        "import os, sys, time\nimport uepgpu_kernels.cpu\nfrom uepgpu.cli import main\n"
        "def slow(*arguments):\n"
        "    os.write(2, b'BEGUN\\n')\n"
        "    time.sleep(60)\n"
        "sys.modules['uepgpu_kernels.cpu.run'].patterns_of = slow\n"
        f"sys.argv = ['uepgpu', 'sweep', 'mine.toml', '--backend', 'numba', '--threads', '{threads}']\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "BEGUN\n"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert time.monotonic() - began < 30
    assert (process.returncode, out) == (130, "")
    assert [line for line in err.splitlines() if line != "BEGUN"] == [
        "uepgpu: interrupted while starting: nothing is lost by that",
        "uepgpu: interrupted before any range was finished. Resume with: uepgpu sweep mine.toml --backend numba --threads "
        + threads,
    ]


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child process")
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_resume(folder: Path) -> None:
    code = (
        "import sys\nfrom uepgpu.sweep.collect import Collection\nfrom uepgpu.cli import main\n"
        "inner = Collection._end\n"
        "def announced(*arguments):\n"
        "    inner(*arguments)\n"
        "    print('FINISHED A RANGE', file=sys.stderr, flush=True)\n"
        "Collection._end = announced\n"
        "sys.argv = ['uepgpu', 'sweep', 'long.toml', '--out', 'kept', '--backend', 'numpy']\n"
        "main()\n"
    )
    third = '\n[[series]]\nlabel = "NOW"\ncode = "now"\n'
    (folder / "long.toml").write_text(SMALL.replace("realizations = 3000", "realizations = 2_000_000_000") + third)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.readline() == "FINISHED A RANGE\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    message = [line for line in err.splitlines() if line != "FINISHED A RANGE"]
    assert process.returncode == 130
    assert len(message) == 2
    assert message[0] == "uepgpu: interrupted: finishing the ranges that run; press Ctrl-C again to drop them"
    assert re.fullmatch(
        r"uepgpu: interrupted; kept/store.db keeps 0 of 3 points done and [123] begun. "
        r"Resume with: uepgpu sweep long.toml --out kept --backend numpy",
        message[1],
    )
    with (folder / "kept" / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert "EW" in {row["series"] for row in rows}
    assert 0 < int(rows[0]["realizations"]) < 2_000_000_000
    assert (folder / "kept" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "EW" in out
