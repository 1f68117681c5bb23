"""How a command ends short of its end: one line on stderr and an exit code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec

from uepgpu.console import say

__all__ = ["UNWRITTEN", "WRONG", "Failure", "exits", "refusing", "writing"]

WRONG = 2
"""Exit code of a wrong call."""
UNWRITTEN = 1
"""Exit code when results could not be written."""

P = ParamSpec("P")


class Failure(Exception):
    """Ends a command.

    Parameters
    ----------
    message : object
        The line on stderr.
    code : int
        The exit code.
    """

    def __init__(self, message: object, code: int = WRONG) -> None:
        super().__init__(str(message))
        self.code = code


def exits(run: Callable[P, int]) -> Callable[P, int]:
    """Make a command say its :class:`Failure` and return that exit code."""

    @functools.wraps(run)
    def command(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return run(*args, **kwargs)
        except Failure as failure:
            say(failure)
            return failure.code

    return command


@contextmanager
def refusing(code: int = WRONG) -> Iterator[None]:
    """Turn what the library raises for wrong arguments, files and missing packages into a :class:`Failure`."""
    from uepgpu.backends import BackendUnavailable

    try:
        yield
    except (ValueError, OSError, ImportError, BackendUnavailable) as error:
        raise Failure(error, code) from error


@contextmanager
def writing(what: str, where: Path) -> Iterator[None]:
    """Turn an ``OSError`` into the :class:`Failure` that says that `what` could not be written to `where`."""
    try:
        yield
    except OSError as error:
        raise Failure(f"{what} could not be written to {str(where)!r}: {error}", UNWRITTEN) from error
