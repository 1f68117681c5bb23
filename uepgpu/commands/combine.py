"""What ``uepgpu combine`` does: several stores become a new one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uepgpu.commands.outcome import Failure, exits, writing

__all__ = ["run_combine"]


@exits
def run_combine(stores: Sequence[str], output: str) -> int:
    """Combine stores, say what was done, and return the exit code.

    Parameters
    ----------
    stores : sequence of str
        Their files.
    output : str
        The new store.
    """
    from uepgpu.store.combine import combine
    from uepgpu.store.errors import StoreError

    if not stores:
        raise Failure("combine needs at least one store")
    with writing("the stores", Path(output)):
        try:
            done = combine(stores, output)
        except StoreError as error:
            raise Failure(error) from error
    print(f"{output}: {done.points} points, {done.realizations:,} realizations in {done.ranges:,} ranges")
    if done.doubled:
        print(f"{done.doubled:,} realizations were there several times, and are counted once")
    if done.unreadable:
        print(f"not readable and left out: {done.lost}; run the sweep on {output} to simulate what is missing")
    return 0
