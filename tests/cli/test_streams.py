"""Standard streams that are closed or full: results are written, the exit code says what was not, and nothing is a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.command_line import environment
from tests.cases.specifications import SMALL

RUN = f"{sys.executable} -m uepgpu"
NO_ROOM = "[Errno 28] No space left on device"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="redirections of a POSIX shell")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment(), capture_output=True, encoding="utf-8", timeout=120, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">&-", 1, "uepgpu: standard output could not be written: [Errno 9] Bad file descriptor\n"),
        (">/dev/full", 1, f"uepgpu: standard output could not be written: {NO_ROOM}\n"),
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
        ("<&- >&- 2>&-", 1, ""),
        (">/dev/full 2>/dev/full", 1, ""),
    ],
)
def test_results_are_written_whatever_the_streams_are(folder: Path, redirection: str, code: int, message: str) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    done = shell(f"{RUN} sweep small.toml --backend numpy {redirection}", folder)
    assert (done.returncode, done.stderr) == (code, message)
    assert sorted(p.name for p in (folder / "uepgpu-small").iterdir()) == ["loss.png", "store.db", "table.csv"]
    # Nothing that was printed went into a file that got the descriptor of a closed stream.
    assert (folder / "uepgpu-small" / "store.db").read_bytes().startswith(b"SQLite format 3\0")
    if redirection == "<&- >&- 2>&-":
        again = shell(f"{RUN} sweep small.toml --backend numpy", folder)
        assert (again.returncode, again.stderr) == (0, "")
        assert "finished before, nothing added" in again.stdout


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
@pytest.mark.parametrize("words", ["--help", "info"])
def test_help_that_cannot_be_shown_ends_with_1(folder: Path, words: str, redirection: str) -> None:
    done = shell(f"{RUN} {words} {redirection}", folder)
    assert done.returncode == 1
    assert done.stderr.startswith("uepgpu: standard output could not be written: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_a_wrong_call_has_its_exit_code_without_its_message(folder: Path, redirection: str) -> None:
    assert shell(f"{RUN} sweep none.toml {redirection}", folder).returncode == 2


def test_an_interruption_while_libraries_load_is_one_line(folder: Path) -> None:
    (folder / "cyclopts.py").write_text("raise KeyboardInterrupt\n")
    done = shell(f"PYTHONPATH={folder}:$PYTHONPATH {RUN} info", folder)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "uepgpu: interrupted, nothing more is written\n")
