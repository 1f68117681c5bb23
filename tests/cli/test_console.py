"""One error line, one progress bar, one table; and how a command ends."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.cases.command_line import call
from uepgpu.commands.outcome import Failure, exits, refusing, writing
from uepgpu.console import Table, plain, progress, say, show


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(ValueError("first\n  second\tthird "))
    assert capsys.readouterr().err == "uepgpu: first second third\n"


def test_columns_are_aligned_text_to_the_left_and_numbers_to_the_right() -> None:
    table = Table([("EW", "10", "a b"), ("NOW", "2", "c")], ("code", "n", "what"), "Title", "A note.", text=(0, 2))
    assert plain(table).splitlines() == ["Title", "A note.", "code   n  what", "EW    10  a b", "NOW    2  c"]


def test_a_pipe_gets_plain_tables_and_a_terminal_gets_styled_ones(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    parts = ["A remark.", Table([("x", "1")], title="First"), Table([("[b]y[/b]", "2")], ("name", "n"))]
    show(parts)
    assert capsys.readouterr().out == "A remark.\n\nFirst\nx  1\n\nname      n\n[b]y[/b]  2\n"
    screen = io.StringIO()
    show(parts, Console(file=screen, force_terminal=True, width=60))
    assert "\x1b" in screen.getvalue()
    assert "[b]y[/b]" in screen.getvalue()  # people's words are no markup


def test_a_progress_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress("two things", 2) as advance:
            advance(1)
            advance(1, "second")
        assert ("two things" in stream.getvalue()) is stream.isatty()
        assert "compiling" not in stream.getvalue()
        with progress("two things", 2, lambda: True) as advance:
            advance(1)
        assert ("two things, compiling kernels" in stream.getvalue()) is stream.isatty()


def test_a_failure_ends_a_command_with_its_code_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @exits
    def command(error: Exception | None) -> int:
        if isinstance(error, OSError):
            with writing("the table", Path("x")):
                raise error
        with refusing():
            if error is not None:
                raise error
        return 130

    assert [command(e) for e in (None, ValueError("a"), OSError("b"), Failure("c", 7), ImportError("d"))] == [130, 2, 1, 7, 2]
    assert capsys.readouterr().err == (
        "uepgpu: a\nuepgpu: the table could not be written to 'x': b\nuepgpu: c\nuepgpu: d\n"
    )  # fmt: skip


def test_a_fault_of_the_library_is_no_wrong_call() -> None:
    @exits
    def command() -> int:
        with refusing():
            raise KeyError("a fault")

    with pytest.raises(KeyError):
        command()


def test_a_misspelt_backend_gets_one_message_in_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    monkeypatch.chdir(tmp_path)
    np.save("A.npy", np.ones((9, 9)))
    calls = [
        ("sweep", "paper"),
        ("sweep", "gradient-coding"),
        ("multiply", "A.npy", "A.npy", "--code", "mds", "--deadline", "1"),
        ("bench",),
        ("info", "--selftest"),
    ]
    messages = set()
    for words in calls:
        assert call(monkeypatch, *words, "--backend", "nunba") == 2
        messages.add(capsys.readouterr().err)
    (message,) = messages
    assert message == (
        "uepgpu: backend must be one of 'auto', 'cuda', 'numba', 'numpy', got 'nunba' (did you mean 'numba'?)\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (("sweep", "paper"), ("table.csv", "loss.png")),
        (("sweep", "gradient-coding"), ("table.csv", "convergence.png")),
        (("train", "digits"), ("curves.csv", "table.csv", "accuracy-steps.png", "accuracy-time.png", "accuracy-cost.png")),
    ],
)
def test_the_folder_is_checked_for_the_files_that_will_be_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    files: tuple[str, ...],
) -> None:
    if words[0] == "train":
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    for name in files:
        (tmp_path / name).mkdir()
        assert call(monkeypatch, *words, "--out", ".") == 2
        err = capsys.readouterr().err
        assert err == f"uepgpu: --out must be a folder for {', '.join(files)}, but {name!r} is a folder\n"
        (tmp_path / name).rmdir()
