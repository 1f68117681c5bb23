"""Calling a command, and which exit code an outcome has.

Exit codes: 0 done, 1 the results could not be written, 2 a wrong call (one line on stderr, nothing written), 130 Ctrl-C
(with everything finished so far kept).
"""

from __future__ import annotations

import os
import sys
from typing import Any

from cyclopts import CycloptsError, UnusedCliTokensError

from uepgpu.cli import machine, multiply, plot, replay, report, store, sweep, train  # noqa: F401 - they register their commands
from uepgpu.cli.app import app

__all__ = ["main"]


def _complaint(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument {' '.join(error.unused_tokens or ())!r}"
    cause = error.__cause__ if isinstance(error.__cause__, ValueError) else error
    return " ".join(str(cause).split())


def _call(arguments: list[str]) -> int:
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"uepgpu: {_complaint(error)} (see: uepgpu --help)", file=sys.stderr)
        return 2
    result = command(*bound.args, **bound.kwargs)
    return result if isinstance(result, int) else 0


def _mute(stream: Any) -> None:
    """Send what is still buffered for a closed pipe nowhere, so that the interpreter does not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    """Run the command line and exit; the entry point of ``uepgpu``."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Unicode shows '?' for Ω instead of failing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _call(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, say `head`, has seen enough; files are written before anything is printed.
        _mute(sys.stdout)
        code = 0
    except KeyboardInterrupt:
        print("uepgpu: interrupted, nothing more is written", file=sys.stderr)
        code = 130
    if code == 130:
        # CPython remembers an interruption that passed through exec, as dataclasses have at import, and under `python -m`
        # would end with SIGINT instead of our code. A finished exec makes it forget.
        exec("")
    sys.exit(code)
