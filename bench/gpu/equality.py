"""Sections about equality: every kernel's tally is that of digests made ahead on a CPU, or of NumPy here."""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench.gpu.notes import Notes
from bench.gpu.problems import digest, equality_cases

__all__ = ["DIGESTS", "SHARDS", "equality", "make_digests", "read_digests"]

DIGESTS = Path(__file__).with_name("digests.json")
SHARDS = 6
"""Processes that share the cases: what takes long on a device is compilation."""


def read_digests() -> dict[str, str]:
    """Return the digest of each case, by its label."""
    found: dict[str, str] = json.loads(DIGESTS.read_text())
    return found


def make_digests() -> str:
    """Return the text of the file of digests, by the NumPy backend."""
    found = {label: digest(problem.simulate(n, "numpy", first)) for label, problem, n, first in equality_cases()}
    return json.dumps(found, indent=1) + "\n"


def equality(notes: Notes, shard: int) -> None:
    """Compare every sixth case; a kernel that serves several is compiled once."""
    expected = read_digests()
    names: list[str] = []
    for label, problem, n, first in equality_cases():
        name = label.rpartition(": ")[0]
        if name not in names:
            names.append(name)
        if names.index(name) % SHARDS != shard or (notes.share < 1 and n < 3001):
            continue
        n = min(n, notes.size(n, 3 if problem.part.n_subproducts == 64 else 35))
        with notes.step(label), notes.listening() as said:
            began = time.perf_counter()
            tally = problem.simulate(n, notes.backend, first)
            seconds, found = time.perf_counter() - began, digest(tally)
            prepared = not notes.pretended and found == expected[label]
            # Where thresholds round otherwise than where digests were made, NumPy on this machine decides.
            # So it does where the device is pretended, for fewer realizations.
            equal = prepared or found == digest(problem.simulate(n, "numpy", first))
            notes.say(label, ok=equal, as_prepared=prepared, first_call_seconds=seconds, ran=tally.backend, realizations=n)
        if said:
            notes.say(f"{label}: warnings", warnings=said)
