"""What workers may be given together: racks, second tries, several messages."""

from __future__ import annotations

from typing import Any, Literal

from uepgpu.checks import choice, integer, shown
from uepgpu.latency import Exponential, Trace
from uepgpu.workers.backup import Backup, Relaunch
from uepgpu.workers.racks import Racks

__all__ = ["MOST_MESSAGES", "Progress", "check_together", "checked_progress", "require_one_message"]

Progress = Literal["linear", "erlang"]

MOST_MESSAGES = 1000
"""Messages per worker: more than closed forms take of all workers together."""


def check_together(count: int, latency: object, racks: object, backup: object) -> None:
    """Raise ``ValueError`` unless racks and second tries are such, and go with `count` workers and their latency."""
    if isinstance(latency, Trace) and (racks is not None or backup is not None):
        raise ValueError("latency must not be a trace where there are racks or backup: what was recorded has neither")
    if racks is not None and not isinstance(racks, Racks):
        raise ValueError(f"racks must be a uepgpu.Racks, got {shown(racks)}")
    if racks is not None and len(racks.of) != count:
        raise ValueError(f"racks must give one rack per worker: {count} workers, got {len(racks.of)} racks")
    if backup is not None and not isinstance(backup, Backup | Relaunch):
        raise ValueError(f"backup must be a uepgpu.Backup or a uepgpu.Relaunch, got {shown(backup)}")


def checked_progress(messages: Any, progress: Progress, latency: object, racks: Racks | None, others: dict[str, Any]) -> Progress:
    """Return how the messages of a worker follow each other, which is ``"linear"`` where there is one.

    Parameters
    ----------
    messages, progress
        As they were given.
    latency, racks
        Checked.
    others : dict
        What does not go with several messages, None where it was not given.

    Raises
    ------
    ValueError
        They are out of range, or do not go with the latency, the racks or the others.
    """
    choice("progress", progress, ("linear", "erlang"))
    if integer("messages", messages, 1, MOST_MESSAGES) == 1:
        return "linear"
    if given := [name for name, value in others.items() if value is not None]:
        raise ValueError(f"messages must be 1 where there is {' or '.join(others)}, got {messages} with {given[0]}")
    slow = () if racks is None or racks.latency is None else (racks.latency,)
    for law in (*(latency if isinstance(latency, tuple) else (latency,)), *slow):
        if progress == "erlang" and not isinstance(law, Exponential):
            raise ValueError(f"progress='erlang' needs exponential latencies, whose sums are Erlang, got {shown(law)}")
    return progress


def require_one_message(workers: object, what: str) -> None:
    """Raise ``ValueError`` for workers that return several messages, which `what` does not serve."""
    messages = getattr(workers, "messages", 1)  # what is no workers at all is refused elsewhere
    if messages > 1:
        raise ValueError(f"workers must return one packet each for {what}, got messages={messages}")
