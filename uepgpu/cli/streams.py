"""Standard output and standard error that may be closed, full, or without Unicode: results do not depend on them."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["SafeStream", "safe_streams"]


class SafeStream:
    """A stream whose first failure is remembered instead of raised; what is written after it goes nowhere.

    Parameters
    ----------
    stream : text file or None
        None, as Python has it, if its descriptor was closed.

    Attributes
    ----------
    error : OSError or None
        The failure.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None
        if stream is None:
            self._stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
        elif hasattr(stream, "reconfigure"):
            # A terminal without Unicode shows '?' for Ω instead of failing.
            stream.reconfigure(errors="replace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text` if nothing has failed yet."""
        if self.error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Hand on what is buffered if nothing has failed yet."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.error = error
        # What is still buffered goes nowhere, so that the interpreter does not complain at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@contextmanager
def safe_streams() -> Iterator[SafeStream]:
    """Make ``sys.stdout`` and ``sys.stderr`` safe while the block runs; yields the former."""
    before = sys.stdout, sys.stderr
    # A closed descriptor is the next one to be given out: a store that got it would receive what is printed.
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    out, err = SafeStream(before[0]), SafeStream(before[1])
    if before[0] is None:
        out.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout, sys.stderr = out, err
    try:
        yield out
        out.flush()
        err.flush()
    finally:
        sys.stdout, sys.stderr = before
