"""One attempt in a process of its own, with a limit of time and memory, and what came of it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Attempt", "attempt", "listing"]

TRACEBACK = 99
"""Exit code of an attempt that raised."""
MEMORY = 4 * 2**30


@dataclass(frozen=True)
class Attempt:
    """What came of an attempt.

    Attributes
    ----------
    code : int or None
        Exit code; None if it was still running when its time was over. Negative: ended by that signal.
    out, err : str
    changed : tuple of str
        Files that were there before and are others now.
    new : tuple of str
        Names that were not there before.
    seconds : float
    """

    code: int | None
    out: str
    err: str
    changed: tuple[str, ...]
    new: tuple[str, ...]
    seconds: float


def listing(folder: Path) -> dict[str, bytes | str]:
    """Return what is in a folder: the content of files, what else an entry is."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = "folder" if path.is_dir() else "special"
    return found


def attempt(
    run: Callable[[], int],
    template: Path,
    work: Path,
    seconds: float = 30.0,
    prepare: Callable[[Path], object] = lambda work: None,
) -> Attempt:
    """Run a function in a forked process in a copy of a folder; what it returns is the exit code.

    Parameters
    ----------
    run : callable
    template : Path
        The folder that is copied.
    work : Path
        Where to: made new.
    seconds : float
        What it may take.
    prepare : callable
        Called with the copy before it is looked at.
    """
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(template, work, symlinks=True, ignore=lambda folder, names: [n for n in names if n == "pipe"])
    os.mkfifo(work / "pipe")
    prepare(work)
    before = listing(work)
    out, err = work.with_suffix(".out"), work.with_suffix(".err")
    began = time.monotonic()
    process = os.fork()
    if process == 0:
        _child(run, work, out, err)
    code = _wait(process, began + seconds)
    after = listing(work)
    return Attempt(
        code,
        out.read_text(encoding="utf-8", errors="replace"),
        err.read_text(encoding="utf-8", errors="replace"),
        tuple(name for name, content in before.items() if after.get(name) != content),
        tuple(name for name in after if name not in before),
        time.monotonic() - began,
    )


def _child(run: Callable[[], int], work: Path, out: Path, err: Path) -> None:
    code = TRACEBACK
    try:
        os.chdir(work)
        for descriptor, file in ((1, out), (2, err)):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))  # noqa: SIM115
        soft = _now_used() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
        code = run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else TRACEBACK
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _now_used() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _wait(process: int, until: float) -> int | None:
    while time.monotonic() < until:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None
