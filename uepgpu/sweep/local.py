"""Ranges run in this process: on all cores, or on all GPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from uepgpu.backends import get_backend
from uepgpu.sweep.ranges import Ran, Range, Work, run_range

if TYPE_CHECKING:
    from uepgpu.backends import Devices
    from uepgpu.store.store import Claim

__all__ = ["Local"]


class Local:
    """A runner that works off one range at a time, with every core or device on it.

    Parameters
    ----------
    backend : str
        As for :func:`uepgpu.simulate`.
    threads : int, optional
        Default: all cores.
    """

    slots = 1

    def __init__(self, backend: str = "auto", threads: int | None = None) -> None:
        self.backend, self.threads = backend, threads
        self._waiting: list[tuple[Claim, Work, Range, Callable[[int], None]]] = []

    def submit(self, claim: Claim, work: Work, span: Range, progress: Callable[[int], None]) -> None:
        """Take a range; it runs when it is collected."""
        self._waiting.append((claim, work, span, progress))

    def collect(self, timeout: float) -> list[tuple[Claim, Ran]]:
        """Run what was taken."""
        waiting, self._waiting = self._waiting, []
        devices: Devices = "all" if waiting and get_backend(self.backend).name == "cuda" else None
        return [
            (claim, run_range(work, span, backend=self.backend, threads=self.threads, devices=devices, progress=progress))
            for claim, work, span, progress in waiting
        ]
