"""Ctrl-C once: finish the ranges that run, or drop them if nothing has come of them yet. Ctrl-C twice: drop them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["asked_to_stop"]


@contextmanager
def asked_to_stop(announce: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C has been pressed; a second Ctrl-C raises ``KeyboardInterrupt``.

    Parameters
    ----------
    announce : callable
        Called at the first Ctrl-C; if it returns False there is nothing to wait for, and that one raises too.
    """
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        if not announce():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
