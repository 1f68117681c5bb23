"""Ctrl-C, or a signal to end: finish the ranges that run, or drop them if nothing has come of them yet. Twice: drop them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["asked_to_stop"]

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def asked_to_stop(announce: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C has been pressed; a second Ctrl-C raises ``KeyboardInterrupt``.

    SIGTERM and SIGHUP, which ask a process to end, count as Ctrl-C, unless they are ignored, as under ``nohup``.

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
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    heeded = [n for n in numbers if n == signal.SIGINT or signal.getsignal(n) != signal.SIG_IGN]
    before = {n: signal.signal(n, press) for n in heeded}
    try:
        yield lambda: pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
