"""Devices, streams, events and launches that are pretended."""

from __future__ import annotations

import threading
import time
from typing import Any

from cupy import arrays
from cupy.cuda import driver, function, runtime

__all__ = ["Device", "Event", "Stream", "driver", "function", "get_current_stream", "get_elapsed_time", "is_available", "runtime"]


class _Current(threading.local):
    stream: Any = None


_current = _Current()


def is_available() -> bool:
    return True


class Device:
    """A device of one multiprocessor and two threads a block: the simulator runs few."""

    compute_capability = "90"

    def __init__(self, number: int = 0) -> None:
        if number != 0:
            raise ValueError(f"cudaErrorInvalidDevice: invalid device ordinal {number}")
        self.id = number
        self.attributes = {"MaxThreadsPerBlock": 2, "MultiProcessorCount": 1, "ClockRate": 1}

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    @property
    def mem_info(self) -> tuple[int, int]:
        return arrays.free(), arrays.TOTAL


class Stream:
    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self._before: list[Any] = []

    def __enter__(self) -> Stream:
        self._before.append(_current.stream)
        _current.stream = self
        return self

    def __exit__(self, *error: object) -> None:
        _current.stream = self._before.pop()

    def synchronize(self) -> None:
        """Wait for nothing: everything is done when it is asked for."""


_NULL = Stream(null=True)


def get_current_stream() -> Stream:
    return _current.stream or _NULL


class Event:
    def __init__(self) -> None:
        self._at: float | None = None
        self._over = False

    def record(self, stream: Stream | None = None) -> None:
        assert stream is None or isinstance(stream, Stream)
        self._at, self._over = time.perf_counter(), False

    def synchronize(self) -> None:
        if self._at is None:
            raise RuntimeError("the event was never recorded")
        self._over = True


def get_elapsed_time(start: Event, end: Event) -> float:
    """Return milliseconds."""
    if start._at is None or end._at is None:
        raise RuntimeError("cudaErrorInvalidResourceHandle: an event was never recorded")
    if not end._over:
        raise RuntimeError("cudaErrorNotReady: nobody has waited for the event")
    return 1e3 * (end._at - start._at)
