"""Counts add, and refuse what contradicts itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import problems
from tests.cases.problems import NOW
from tests.cases.tallies import TIMES, run
from uepgpu import Workers, codes, latency


def test_addition_is_commutative_and_associative_and_keeps_its_operands():
    a, b, c = run(0, 50), run(50, 33), run(1000, 17)
    before = [t.patterns.copy() for t in (a, b, c)]
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == (c + a) + b
    assert (a + b + c).ranges == ((0, 83), (1000, 1017))
    assert (a + b + c).realizations == 100
    assert all(np.array_equal(t.patterns, x) for t, x in zip((a, b, c), before, strict=True))
    assert a + b != a
    assert a + b == run(0, 83)
    assert (run(0, 50, backend="numpy") + b).backend == "numba+numpy"


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), min_size=2, max_size=4))
@settings(deadline=None, max_examples=40)
def test_addition_refuses_exactly_what_overlaps(ranges):
    taken, total = set(), None
    for first, count in ranges:
        own, tally = set(range(first, first + count)), run(first, count, threads=1)
        if taken & own:
            with pytest.raises(ValueError, match=r"overlap: realizations \d+\.\.\d+ are in both"):
                total + tally
            continue
        taken |= own
        total = tally if total is None else total + tally
    assert {i for a, b in total.ranges for i in range(a, b)} == taken


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"seed": 4}, "seed is 3 in one and 4"),
        ({"deadlines": TIMES}, "domain"),
        ({"workers": problems.unit(29)}, "n_packets"),
        ({"code": NOW}, "code"),
        ({"code": codes.ExpandingWindow((0.41, 0.34, 0.25))}, "code"),
        ({"decoder": "eliminate"}, "decoder"),
        ({"part": problems.line(2, 3, 4)}, "classes"),
        ({"tally": "pairs"}, "pairs"),
        ({"tally": "marginals"}, "marginals"),
    ],
)
def test_addition_refuses_other_problems_and_says_what_differs(options, reason):
    with pytest.raises(ValueError, match="do not add") as error:
        run(0, 10) + run(10, 10, **options)
    assert reason in str(error.value)


def test_addition_tells_deadlines_latencies_and_work_apart():
    one = run(0, 10, deadlines=TIMES)
    for options in (
        {"deadlines": (0.1, 0.4, 0.9)},
        {"deadlines": TIMES, "workers": problems.unit(30, omega=1.0, latency=latency.Weibull(0.5))},
        {"deadlines": TIMES, "workers": problems.unit(30, omega=1.0, loss_probability=0.1)},
        {"deadlines": TIMES, "workers": Workers(30, omega=1.0)},
        {"deadlines": TIMES, "workers": problems.unit(30, omega=1.0, speeds=problems.SLOW_HALF)},
    ):
        with pytest.raises(ValueError, match="do not add"):
            one + run(10, 10, **options)
    with pytest.raises(TypeError):
        one + 1
    # In the count domain work decides what a packet costs afterwards, so packets of different work are no one tally.
    free, factored = (run(first, 10, code=codes.MDS(encoding=e)) for first, e in ((0, "free"), (10, "factored")))
    with pytest.raises(ValueError, match="packet_work is 3 in one and 1 in the other"):
        free + factored
    # In the count domain latencies decide nothing, and counting decodes as matching does.
    assert (run(0, 10) + run(10, 10, workers=problems.unit(30, latency=latency.Weibull(0.5)))).realizations == 20
    assert run(0, 10) + run(10, 10, decoder="match") == run(0, 20)


def test_a_tally_does_not_follow_the_callers_array():
    times = np.array(TIMES)
    tally = run(deadlines=times)
    times[:] = 7.0
    assert tally.deadlines.tolist() == list(TIMES)


# --- what they must be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"ranges": ()}, "ranges must be ascending and disjoint"),
        ({"ranges": ((0, 50), (40, 90))}, "ranges must be ascending and disjoint"),
        ({"ranges": ((0, 99),)}, "do not add up to the realizations"),
        ({"seed": 2**64}, "seed must be an integer from 0 to"),
        ({"domain": "time"}, "domain must be 'count', or 'deadline'"),
        ({"domain": "deadline"}, "those are missing"),
        ({"deadlines": np.array(TIMES)}, "those are there"),
        ({"n_packets": 29}, r"patterns must be int64 of shape \(32, 30, 8\)"),
        ({"classes": np.array([1, 1, 1, 2, 2, 2, 4, 4, 4])}, "classes must be 1..L without gaps"),
        ({"class_wise": False}, "it must hold patterns and either pairs or marginals"),
        ({"marginals": np.zeros((32, 31, 9), dtype=np.int64)}, "it must hold patterns alone"),
        ({"patterns": np.full((32, 31, 8), -1)}, "patterns must not be negative"),
        ({"patterns": np.zeros((32, 31, 8))}, "patterns must be int64"),
    ],
)
def test_counts_that_contradict_themselves_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        replace(run(), **changes)


def test_counts_are_read_only():
    tally = run()
    for array in (tally.patterns, tally.classes, (tally + run(100)).patterns):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
