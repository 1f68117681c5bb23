"""How a section of the record tells what it found: rows in a file, one JSON object a line."""

from __future__ import annotations

import contextlib
import json
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FULL_BUDGET", "Notes", "fastest"]

FULL_BUDGET = 480.0
"""Seconds in which a GPU does everything; with less, sections do less."""


@dataclass(frozen=True)
class Notes:
    """Where a section writes.

    Attributes
    ----------
    section : str
    backend : str
        What is measured.
    folder : Path
        Of the rows of all sections, and of the lock.
    began : float
        When the record began, in seconds since the epoch.
    budget : float
        Seconds for the whole record.
    pretended : bool
        Whether the device is pretended: everything is done as on a GPU, with few realizations, and no figure is a GPU's.
    """

    section: str
    backend: str
    folder: Path
    began: float
    budget: float
    pretended: bool = False

    @property
    def file(self) -> Path:
        """The section's rows."""
        return self.folder / f"{self.section}.rows"

    @property
    def on_device(self) -> bool:
        """Whether a GPU is measured."""
        return self.backend == "cuda"

    @property
    def share(self) -> float:
        """How much of the full work is done, up to 1."""
        return min(1.0, self.budget / FULL_BUDGET)

    @property
    def torch_device(self) -> str:
        """PyTorch's name for what is measured; no PyTorch is pretended."""
        return "cuda" if self.on_device and not self.pretended else "cpu"

    def size(self, full: int, pretended: int) -> int:
        """Return how much is done: in full, or where the device is pretended."""
        return pretended if self.pretended else full

    def say(self, what: str, *, ok: bool | None = None, **figures: Any) -> None:
        """Write a row: `ok` False is a failure, None a figure that nothing is compared with."""
        row = {"section": self.section, "what": what, "ok": ok, "at": round(time.time() - self.began, 1)}
        if self.pretended:
            row["pretended"] = True
        row |= {key: float(f"{x:.4g}") if isinstance(x, float) else x for key, x in figures.items()}
        with self.file.open("a") as file:
            file.write(json.dumps(row, default=str) + "\n")

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Do one step; what it raises becomes a row, and the section goes on."""
        try:
            yield
        except Exception as error:
            self.say(what, ok=False, error=f"{type(error).__name__}: {error}"[:600], traceback=traceback.format_exc()[-3000:])

    @contextlib.contextmanager
    def device(self) -> Iterator[None]:
        """Have the device alone while something is timed: sections compile side by side and measure in turn."""
        import fcntl

        with (self.folder / "device.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Collect the warnings that are given."""
        texts: list[str] = []
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield texts
        texts += sorted({f"{w.category.__name__}: {w.message}"[:150] for w in said})


def fastest(call: Callable[[], object], times: int = 3) -> float:
    """Return the seconds of the fastest of several calls."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
