"""A few random command lines, specifications and calls; many are a command: ``python -m tests.faults.fuzz_... --count N``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.faults import fuzz_api, fuzz_command_lines, fuzz_specifications
from tests.faults.tally import GOOD, RAN, REFUSED

pytestmark = [
    pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="limits processes as Linux does"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("outcomes", "count"),
    [
        (lambda n: fuzz_command_lines.outcomes(n, 11, training=False), 15),
        (lambda n: fuzz_specifications.outcomes(n, 12), 25),
        (lambda n: fuzz_api.outcomes(n, 13), 40),
    ],
    ids=["command lines", "specifications", "calls"],
)
def test_whatever_is_given_runs_or_is_refused_in_one_line(
    outcomes: Callable[[int], Iterator[tuple[str, str, str]]], count: int
) -> None:
    counts: Counter[str] = Counter()
    for outcome, given, said in outcomes(count):
        assert outcome in GOOD, f"{outcome}: {given}\n{said}"
        counts[outcome] += 1
    assert sum(counts.values()) == count
    assert min(counts[RAN], counts[REFUSED]) > 0
