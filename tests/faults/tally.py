"""Counting what came of attempts."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator

from tests.faults.child import TRACEBACK, Attempt

__all__ = ["GOOD", "RAN", "REFUSED", "judge", "run_script"]

REFUSED, RAN = "refused in one line with exit 2", "ran"
GOOD = (REFUSED, RAN)
LONGEST = 300
PREFIX = "uepgpu: "


def judge(found: Attempt) -> str:
    """Return in one phrase what came of a command line."""
    if found.code is None:
        return "did not end"
    if found.code == TRACEBACK or "Traceback (most recent call last)" in found.err:
        return "traceback"
    if found.changed:
        return "changed a file that was there"
    if found.code == 0:
        return RAN
    if found.code != 2:
        return f"exit code {found.code}"
    if found.err.count("\n") != 1 or not found.err.startswith(PREFIX):
        return "exit 2 without one line"
    if len(found.err.strip()) > LONGEST + len(PREFIX):
        return "exit 2 with a long line"
    if found.new:
        return "exit 2 and wrote"
    return REFUSED


def run_script(what: str, cases: Callable[[int, int], Iterator[tuple[str, str, str]]]) -> None:
    """Run a script: ``--count`` cases from ``--seed``; print counts and every case that is not good, exit 1 if there is one.

    Parameters
    ----------
    what : str
        What is counted.
    cases : callable
        ``cases(count, seed)`` yields the outcome of each case, what was given, and what was said.
    """
    parser = argparse.ArgumentParser(description=f"Random {what}: what comes of them.")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for number, (outcome, given, said) in enumerate(cases(options.count, options.seed)):
        counts[outcome] += 1
        if outcome not in GOOD:
            print(f"--- case {number}: {outcome}\n{given[:2000]}\n{said[-2000:]}", flush=True)
    print(f"{sum(counts.values())} {what}, seed {options.seed}: " + ", ".join(f"{n} {o}" for o, n in counts.most_common()))
    raise SystemExit(any(outcome not in GOOD for outcome in counts))
