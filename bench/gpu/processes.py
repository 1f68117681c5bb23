"""Runs sections as processes: a few at once, each with its limit, all within one budget; whatever ends badly is a row."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.gpu.sections import Section

__all__ = ["Rows", "run"]

Rows = list[dict[str, Any]]

ROOT = Path(__file__).parents[2]
PRETENDED = Path(__file__).with_name("pretended")
"""A folder with another CuPy."""

POLL_SECONDS = 0.2
ERROR_LENGTH = 600


def run(
    sections: Mapping[str, Section],
    folder: Path,
    *,
    backend: str,
    pretended: bool = False,
    budget: float,
    at_once: int,
    rewrite: Callable[[Rows], None],
) -> Rows:
    """Run all sections and return their rows; `rewrite` gets the rows so far whenever there are new ones.

    A section that outlasts its limit or the budget is killed with all processes that it started, and so are all if this
    is interrupted.
    """
    began = time.time()
    waiting, running = dict(sections), {}
    shown = -1
    try:
        while waiting or running:
            for name in _startable(waiting, running, at_once):
                section = waiting.pop(name)
                if time.time() - began > budget:
                    _note(folder, name, "not started: the budget was spent")
                else:
                    about = {"section": name, "backend": backend, "folder": str(folder), "began": began, "budget": budget}
                    running[name] = (_start(name, section, folder, about | {"pretended": pretended}), time.time())
            time.sleep(POLL_SECONDS)
            for name, (process, started) in list(running.items()):
                limit = min(started + sections[name].limit, began + budget)
                late = process.poll() is None and time.time() > limit
                if process.poll() is None and not late:
                    continue
                _end(process)
                del running[name]
                if late:
                    _note(folder, name, f"killed after {time.time() - started:.0f} s: out of time")
                elif process.returncode:
                    _note(folder, name, f"exit code {process.returncode}: {_errors(folder, name)[-ERROR_LENGTH:]}")
            rows = read_rows(sections, folder)
            if len(rows) != shown:
                shown = len(rows)
                rewrite(rows)
    finally:
        for process, _ in running.values():
            _end(process)
    return read_rows(sections, folder)


def read_rows(sections: Mapping[str, Section], folder: Path) -> Rows:
    """Return what sections have written; a line that a kill cut off is left out."""
    rows: Rows = []
    for name in sections:
        file = folder / f"{name}.rows"
        for line in file.read_text().splitlines() if file.exists() else ():
            with contextlib.suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
    return rows


def _startable(waiting: Mapping[str, Section], running: Mapping[str, Any], at_once: int) -> list[str]:
    """Return the sections that may start now."""
    together = [name for name, section in waiting.items() if not section.alone]
    if together:
        return together[: max(0, at_once - len(running))]
    return [] if running else list(waiting)[:1]


def _start(name: str, section: Section, folder: Path, about: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.gpu.section", section.target, json.dumps(about)]
    if section.shard is not None:
        command.append(str(section.shard))
    paths = [
        *([str(PRETENDED)] if about["pretended"] else ()),
        str(ROOT),
        str(ROOT / "kernels"),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    with (folder / f"{name}.errors").open("wb") as errors:
        return subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # so that its own processes end with it
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a section with whatever it started, if anything of it still runs."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _errors(folder: Path, name: str) -> str:
    return (folder / f"{name}.errors").read_text(errors="replace")


def _note(folder: Path, name: str, error: str) -> None:
    row = {"section": name, "what": "the whole section", "ok": False, "error": error}
    with (folder / f"{name}.rows").open("a") as file:
        file.write("\n" + json.dumps(row) + "\n")
