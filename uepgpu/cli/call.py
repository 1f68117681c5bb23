"""Calling a command, and which exit code an outcome has.

Exit codes: 0 done, 1 the results could not be written, 2 a wrong call (one line on stderr, nothing written), 130 Ctrl-C
(with everything finished so far kept).
"""

from __future__ import annotations

import os
import sys
import threading
import warnings

from cyclopts import CycloptsError, UnusedCliTokensError

from uepgpu.cli import (  # noqa: F401 - they register
    bench,
    best,
    combine,
    completion,
    design,
    export,
    info,
    multiply,
    plot,
    replay,
    report,
    spec,
    sweep,
    train,
)
from uepgpu.cli.app import app
from uepgpu.cli.streams import safe_streams
from uepgpu.commands.outcome import UNWRITTEN, WRONG, exits
from uepgpu.console import say

__all__ = ["main"]


def _complaint(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument {' '.join(error.unused_tokens or ())!r}"
    cause = error.__cause__ if isinstance(error.__cause__, ValueError) else error
    return str(cause)


@exits
def _call(arguments: list[str]) -> int:
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        say(f"{_complaint(error)} (see: uepgpu --help)")
        return WRONG
    result = command(*bound.args, **bound.kwargs)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Run the command line and exit; the entry point of ``uepgpu``."""
    with safe_streams() as out, warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest: say(f"warning: {message}")
        try:
            code = _call(sys.argv[1:])
        except KeyboardInterrupt:
            say("interrupted, nothing more is written")
            code = 130
        out.flush()
        # The reader of a pipe that is closed, say `head`, has seen enough; files are written before anything is printed.
        if out.error is not None and not isinstance(out.error, BrokenPipeError):
            say(f"standard output could not be written: {out.error}")
            code = code or UNWRITTEN
    if code == 130:
        leave(code)
    sys.exit(code)


def leave(code: int) -> None:
    """End this process after Ctrl-C if it would else stay, or end with another code."""
    # Threads of a pool are waited for at exit, and one that compiles may be busy for a minute.
    if any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate()):
        os._exit(code)
    # CPython remembers an interruption that passed through exec, as dataclasses have at import, and under `python -m`
    # would end with SIGINT instead of our code. A finished exec makes it forget.
    exec("")
