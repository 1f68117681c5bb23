"""Which process works on what, and which of them have ended."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from pathlib import Path

__all__ = ["LEASE_SECONDS", "host", "is_dead", "release_dead_owners", "this_process"]

LEASE_SECONDS = 120.0
"""An owner that has been silent so long is taken for dead: its machine may be gone. Beats come every few seconds."""


def host() -> str:
    """Return the name of this machine, with what tells apart its boots where that is known."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{socket.gethostname()} {boot.read_text().strip()}"
    except OSError:
        return socket.gethostname()


def _birth(pid: int) -> str | None:
    """Return when a process was started, where /proc tells; process numbers are used again. None for a process that has ended."""
    try:
        # The name, in parentheses, may hold blanks; the third field is the state, the 22nd the start time.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def this_process() -> str:
    """Return what names this process on its machine for good."""
    return f"{os.getpid()} {_birth(os.getpid()) or ''}".strip()


def is_dead(owner_host: str, process: str, beat: float) -> bool:
    """Return whether an owner will not come back: its process is gone, or it has been silent for long."""
    if time.time() - beat > LEASE_SECONDS:
        return True
    if owner_host != host() or os.name == "nt":  # os.kill ends a process there
        return False
    number, _, birth = process.partition(" ")
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(birth) and _birth(int(number)) != birth


def release_dead_owners(db: sqlite3.Connection, *, but: int | None = None) -> None:
    """Remove the owners that will not come back, `but` one, and their claims; within a transaction."""
    for key, owner_host, process, beat in db.execute("SELECT key, host, process, beat FROM owner").fetchall():
        if key != but and is_dead(owner_host, process, beat):
            db.execute("DELETE FROM claim WHERE owner = ?", (key,))
            db.execute("DELETE FROM owner WHERE key = ?", (key,))
